"""What files and signals ask of the brake, each once."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from botd.core.restraint import Cause, TradingCommand, Verb
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles
from botd.runtime.listener import HEARD, Listener, keep_for_listener


class Post:
    """A listener over a folder, and what it has asked for."""

    def __init__(self, folder: Path) -> None:
        self.brake = Brake()
        self.files = ControlFiles(folder)
        self.listener = Listener(self.brake, self.files)

    def look(self) -> list[tuple[Verb, Cause]]:
        """Look at the files three times; return what was asked, and obey it."""
        for _ in range(3):
            self.listener.look()
        taken = self.brake.take()
        self.brake.settle()
        return [(one.verb, one.cause) for one in taken]


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


@pytest.fixture
def kept() -> Iterator[None]:
    with keep_for_listener():
        yield
        assert signal.sigpending() & HEARD == set()


HALT_BY_FILE = (Verb.HALT, Cause.FILE)
RESUME = (Verb.RESUME, Cause.COMMAND)


def test_R3_file_halts_once_for_each_writing(post: Post) -> None:  # noqa: N802 - the fault's id
    assert post.look() == []
    post.files.halt_path.write_text("odd prices")
    assert post.look() == [HALT_BY_FILE]
    assert post.look() == []
    post.files.halt_path.unlink()
    post.files.halt_path.write_text("odder prices")
    assert post.look() == [HALT_BY_FILE]


def test_R3_taking_the_file_away_resumes_nothing(post: Post) -> None:  # noqa: N802 - the fault's id
    post.files.halt_path.touch()
    post.look()
    post.files.halt_path.unlink()
    assert post.look() == []


def test_resume_is_asked_for_once_and_its_file_goes_when_it_is_obeyed(post: Post) -> None:
    post.files.ask_resume("ann", "all well")
    for _ in range(3):
        post.listener.look()
    assert post.files.resume_path.exists()  # a daemon that dies here resumes at its next start
    (asked,) = post.brake.take()
    assert asked == TradingCommand(verb=Verb.RESUME, cause=Cause.COMMAND, who="ann", reason="all well")
    post.listener.look()
    assert post.files.resume_path.exists()
    post.brake.settle()
    assert not post.files.resume_path.exists()  # not only at the next look: a halt may come before it
    assert post.look() == []


def test_newer_resume_is_not_dropped_for_an_older_one_that_is_obeyed(post: Post) -> None:
    post.files.ask_resume("ann", "")
    post.listener.look()
    post.brake.take()
    post.files.ask_resume("bob", "")
    post.brake.settle()
    assert post.look() == [RESUME]


def test_halt_after_a_resume_wins(post: Post) -> None:
    post.files.ask_resume("ann", "")
    post.listener.look()
    post.files.halt_path.touch()
    assert post.look() == [RESUME, HALT_BY_FILE]
    assert not post.files.resume_path.exists()
    assert post.look() == []


@pytest.mark.usefixtures("kept")
def test_R3_sigusr1_halts_and_leaves_a_halt_for_the_next_start(post: Post) -> None:  # noqa: N802 - the id
    signal.raise_signal(signal.SIGUSR1)
    post.listener.wait(5.0)
    assert post.brake.on
    (asked,) = post.brake.take()
    assert (asked.verb, asked.cause, asked.reason) == (Verb.HALT, Cause.SIGNAL, "SIGUSR1")
    assert asked.who == f"process {os.getpid()} of user {os.getuid()}"
    assert post.look() == []  # its own file is no news
    assert Post(post.files.halt_path.parent).look() == [(Verb.HALT, Cause.SIGNAL)]


@pytest.mark.usefixtures("kept")
def test_R3_sigusr1_halts_where_nothing_can_be_written(  # noqa: N802 - the fault's id
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    post = Post(tmp_path / "gone")
    signal.raise_signal(signal.SIGUSR1)
    post.listener.wait(5.0)
    assert post.brake.on
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "ERROR"]


@pytest.mark.usefixtures("kept")
def test_J4_sighup_asks_for_a_reload_and_for_nothing_else(  # noqa: N802
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
        post.listener.wait(5.0)
        post.listener.wait(0.0)
    assert [record.message[:28] for record in caplog.records] == ["SIGHUP: nothing trades yet, "]
    asked: list[str] = []
    post.listener.on_reload = asked.append
    signal.raise_signal(signal.SIGHUP)
    post.listener.wait(5.0)
    (who,) = asked
    assert who.startswith(f"SIGHUP by process {os.getpid()} of user ")
    assert not post.brake.asked


def test_R3_signal_to_a_thread_that_does_not_block_it_is_heard_too(tmp_path: Path) -> None:  # noqa: N802
    """As to a thread of a library that was there before anything was blocked."""
    there, done = threading.Event(), threading.Event()

    def live() -> None:
        there.set()
        done.wait(20)

    thread = threading.Thread(target=live)
    thread.start()
    there.wait(20)
    post = Post(tmp_path)
    with keep_for_listener():
        assert thread.ident is not None
        signal.pthread_kill(thread.ident, signal.SIGUSR1)
        while not post.brake.asked:
            post.listener.wait(0.01)
    done.set()
    thread.join(20)
    assert [(one.verb, one.cause, one.who) for one in post.brake.take()] == [
        (Verb.HALT, Cause.SIGNAL, "somebody")
    ]


def test_waiting_ends_without_a_signal(post: Post) -> None:
    with keep_for_listener():
        post.listener.wait(0.0)
    assert not post.brake.asked


def test_signals_are_kept_inside_only() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with keep_for_listener():
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= HEARD
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
