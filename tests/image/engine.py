"""Containers of the image under test, on a real Docker engine, and what can be asked of them from outside."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Self

IMAGE = os.environ.get("BOTD_IMAGE", "")
DOCKER = os.environ.get("BOTD_DOCKER", "docker")
BARE = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
START_S = 180.0  # of a machine that has other things to do
STOP_S = 70


def docker(*words: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
    """Run the client; return both of its outputs."""
    done = subprocess.run(
        [DOCKER, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}"
    return done.stdout


def wait_until(what: Callable[[], Any], *, seconds: float, told: Callable[[], str] = str) -> Any:
    """Ask again and again until there is an answer, and return it: a container tells nobody."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s\n{told()}")


class Container:
    """One container of the image: two ports of this machine lead to it, and its state is a volume."""

    def __init__(self, *options: str, words: tuple[str, ...] = (), volume: str | None = None) -> None:
        self.name = f"botd-test-{secrets.token_hex(4)}"
        self.volume = volume or self.name
        ports = ("-p", "127.0.0.1::8080", "-p", "127.0.0.1::8501")
        state = ("-v", f"{self.volume}:/state")
        every = ("--health-interval", "1s")  # the image's own is 30 s
        docker("create", "--name", self.name, *BARE, *ports, *state, *every, *options, IMAGE, *words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", self.name)
        docker("volume", "rm", "--force", self.volume, check=False)  # another may still have it

    # ---- its life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        docker("start", self.name)
        return self

    def stop(self) -> int:
        docker("stop", "--time", str(STOP_S), self.name)
        return self.exit_code()

    def kill(self) -> None:
        """Send SIGKILL to its first process, which takes all others with it."""
        docker("kill", "--signal", "KILL", self.name)
        self.exit_code()

    def exit_code(self) -> int:
        return int(docker("wait", self.name))

    def inspect(self, form: str) -> str:
        return docker("inspect", "--format", form, self.name).strip()

    def logs(self) -> str:
        return docker("logs", self.name)

    def sh(self, script: str) -> str:
        return docker("exec", self.name, "sh", "-c", script)

    def kill_inside(self, words: str) -> None:
        """Send SIGKILL to the one process in it whose command holds some words."""
        code = (
            "import os, pathlib\n"
            "for one in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
            f"    if {words!r}.encode() in one.read_bytes().replace(b'\\0', b' ') and "
            "int(one.parts[2]) not in (1, os.getpid()):\n"
            "        os.kill(int(one.parts[2]), 9)\n"
        )
        docker("exec", self.name, "python", "-c", code)

    def await_health(self) -> float:
        """Wait for Docker to call it healthy; return how many seconds it took."""
        begun = time.monotonic()
        health = "{{.State.Health.Status}} {{.State.Running}}"

        def well() -> bool:
            status = self.inspect(health)
            assert status.endswith("true"), self.logs()
            return status.startswith("healthy")

        wait_until(well, seconds=START_S, told=self.logs)
        return time.monotonic() - begun

    # ---- its API ------------------------------------------------------------------------------------

    def url(self, port: int) -> str:
        return f"http://{docker('port', self.name, str(port)).splitlines()[0]}"

    def token(self) -> str:
        """Return the token that its log shows."""
        (line,) = [one for one in self.logs().splitlines() if one.startswith("API token, made now")]
        return line.rpartition(" ")[2]

    def ask(self, path: str, *, token: str = "", body: object = None, method: str = "") -> tuple[int, Any]:
        """Ask the API through the published port; return status and answer, (0, None) where nobody is."""
        request = urllib.request.Request(
            self.url(8080) + path,
            method=method or ("GET" if body is None else "POST"),
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (OSError, http.client.HTTPException):
            return 0, None

    def read(self, path: str, token: str) -> Any:
        """Read something that has to be there; the API may want a moment."""
        answer: list[Any] = []

        def there() -> bool:
            status, found = self.ask(path, token=token)
            answer[:] = [found]
            return status == 200

        wait_until(there, seconds=START_S, told=lambda: f"{answer}\n{self.logs()}")
        return answer[0]

    def await_trading(self) -> None:
        wait_until(
            lambda: self.ask("/health/ready")[0] == 200,
            seconds=START_S,
            told=lambda: f"{self.ask('/health/ready')}\n{self.logs()}",
        )
