"""The first process of a container, on a process that is not: what it passes on, reaps and ends with."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.cli.bots import environment

BEGIN = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans come to this process, as to the first of a container
from botd.hosting.init import go_on_in_child
go_on_in_child()
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # a test that fails leaves nobody behind
def say(text):
    os.write(1, f"{text}\\n".encode())
"""

Begun = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def begun() -> Iterator[Begun]:
    with ExitStack() as stack:

        def start(code: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", BEGIN + code],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=30)
    return process.returncode, said.strip()


@pytest.mark.parametrize(
    ("code", "ended"),
    [("sys.exit(7)", 7), ("sys.exit()", 0), ("os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_init_ends_with_the_exit_code_of_its_child(begun: Begun, code: str, ended: int) -> None:
    assert end_of(begun(code)) == (ended, "")


def test_stop_reaches_the_child_and_its_answer_counts(begun: Begun) -> None:
    process = begun("""
signal.signal(signal.SIGTERM, lambda *_: (say("stopping"), sys.exit(4)))
say("ready")
signal.pause()
""")
    assert line_of(process) == "ready"
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (4, "stopping")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_child_stopped_before_it_listens_is_stopped_in_order(begun: Begun, number: signal.Signals) -> None:
    process = begun("""
signal.signal(signal.SIGINT, signal.SIG_DFL)
say("ready")
signal.pause()
""")
    assert line_of(process) == "ready"
    process.send_signal(number)
    assert end_of(process) == (0, "")


def test_child_that_the_second_stop_kills_did_not_stop_in_order(begun: Begun) -> None:
    process = begun("""
def first(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    say("heard")
signal.signal(signal.SIGTERM, first)
say("ready")
while True:
    signal.pause()
""")
    assert line_of(process) == "ready"
    process.send_signal(signal.SIGTERM)
    assert line_of(process) == "heard"
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (128 + signal.SIGTERM, "")


def test_orphans_are_reaped_while_the_child_goes_on(begun: Begun) -> None:
    process = begun("""
ends, begins = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.close(begins)
        os.read(ends, 1)  # until the child lets it go
    os._exit(0)
os.wait()
orphans = open(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read().split()
orphans.remove(str(os.getpid()))
say(len(orphans))
os.close(begins)
while any(os.path.exists(f"/proc/{one}") for one in orphans):
    os.sched_yield()
""")
    assert end_of(process) == (0, "1")


def test_what_the_child_left_behind_may_end_first(begun: Begun) -> None:
    process = begun("""
ends, lives = os.pipe()
child = os.getpid()
if os.fork() == 0:
    os.close(lives)
    os.read(ends, 1)  # until the child is gone
    while os.path.exists(f"/proc/{child}"):
        os.sched_yield()  # until it is reaped
    say("after it")
    os.read(0, 1)
    os._exit(0)
os._exit(3)
""")
    assert line_of(process) == "after it"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    assert end_of(process) == (3, "")
