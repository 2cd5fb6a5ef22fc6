"""Processes of the command that `forker` makes: each as much of a `subprocess.Popen` as tests need."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
LOADED_S = 60.0


class Forked:
    """A process that was forked; it lives on when its test does not look at it."""

    def __init__(self, told: int, stdout: IO[str] | None = None, stderr: IO[str] | None = None) -> None:
        self._told = open(told, "rb", buffering=0)  # noqa: SIM115 - closed where the process has ended
        self.stdout, self.stderr = stdout, stderr
        self.returncode: int | None = None
        assert self._tells(LOADED_S), "no process was made"
        self.pid = self._read()

    def _tells(self, seconds: float | None) -> bool:
        return bool(select.select([self._told], [], [], seconds)[0])

    def _read(self) -> int:
        line = self._told.readline()
        assert line, "whoever kept the process has died"
        return int(line)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None where it has not ended."""
        if self.returncode is None and self._tells(0):
            self.returncode = self._read()
            self._told.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code at the end."""
        if self.returncode is None and not self._tells(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: signal.Signals | int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ends just now
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forker:
    """The process that forks; one per test process, made when it is needed first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def fork(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        out: int,
        err: int,
        user: int | None = None,
    ) -> int:
        """Start the command; return where its process id, and in the end its exit code, can be read."""
        if self._orders is None:
            self._orders = self._begin(environment)
        read, write = os.pipe()
        order = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": dict(environment),
            "user": user,
        }
        socket.send_fds(self._orders, [json.dumps(order).encode()], [out, err, write])
        os.close(write)
        return read

    def _begin(self, environment: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.cli.forker"],
                cwd=ROOT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=theirs,
            )
        atexit.register(self.close)
        return ours

    def close(self) -> None:
        if self._orders is not None:
            self._orders.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


FORKER = Forker()
