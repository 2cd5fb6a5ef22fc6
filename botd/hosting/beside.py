"""A dashboard beside a daemon: it begins with it, is begun anew where it ends, and ends with it."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NoReturn
from urllib.parse import urlsplit

FIRST_WAIT_S: Final = 1.0  # before a dashboard that ended is begun anew; doubled each time
WAIT_MAX_S: Final = 60.0
END_S: Final = 5.0
PORT: Final = "BOTD_DASHBOARD_PORT"
HOST: Final = "BOTD_DASHBOARD_HOST"
_OUTPUT: Final = 1  # for people; the other one is the daemon's log
_ANY: Final = ("0.0.0.0", "::")


def command(*words: str) -> list[str]:
    """Return what runs a botd command by this Python, with nothing of the working folder in its path."""
    return [sys.executable, "-P", "-m", "botd", *words]


def dashboard_words(place: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the words that make the dashboard of a bot, and the address to look at."""
    host, port = environment.get(HOST, "127.0.0.1"), environment.get(PORT, "8501")
    shown = "127.0.0.1" if host in _ANY else f"[{host}]" if ":" in host else host
    return ["dashboard", *place, "--host", host, "--port", port], f"http://{shown}:{port}"


def is_taken(address: str) -> bool:
    """Say whether something listens at an address already."""
    try:
        place = urlsplit(address)
        with socket.create_connection((place.hostname, place.port), timeout=1):
            return True
    except (OSError, ValueError):  # of a name or a port that is none, the dashboard tells itself
        return False


def place_of(words: Sequence[str]) -> list[str]:
    """Return of the words of `botd run` those that say which bot it is."""
    for k, one in enumerate(words):
        if one == "--config" or one.startswith("--config="):
            return list(words[k : k + 1 if "=" in one else k + 2])
    return []


def become_daemon(daemon: Sequence[str], dashboard: Sequence[str], *, quiet: bool) -> NoReturn:
    """Become the daemon, so that its signals and exit code are this process's own.

    A `quiet` dashboard writes nothing: the terminal is the daemon's.
    """
    ends, lives = os.pipe()
    if os.fork() == 0:
        os.close(lives)
        keep(dashboard, ends, quiet=quiet)
        os._exit(0)
    os.close(ends)
    os.set_inheritable(lives, True)  # open for as long as the daemon lives, however it ends
    os.execv(daemon[0], list(daemon))


def keep(dashboard: Sequence[str], ends: int, *, quiet: bool) -> None:
    """Keep a dashboard running until the other end of the pipe `ends` is gone."""
    os.setsid()  # Ctrl-C is for the daemon
    wait_s = FIRST_WAIT_S
    while True:
        gone, lives = os.pipe()
        process = subprocess.Popen(
            dashboard,
            pass_fds=[lives],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else _OUTPUT,
        )
        os.close(lives)
        over = ends in select.select([ends, gone], [], [])[0]
        os.close(gone)
        _end(process)
        if over or select.select([ends], [], [], wait_s)[0]:
            return
        if not quiet:
            os.write(_OUTPUT, b"the dashboard ended by itself; it is begun anew\n")
        wait_s = min(2 * wait_s, WAIT_MAX_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
        return
    process.kill()
    process.wait()
