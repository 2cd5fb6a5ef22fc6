"""`deploy/compose.yaml` on a real Docker engine, by whichever Compose there is."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bots import ROOT
from tests.image.engine import DOCKER, IMAGE, START_S, docker, wait_until


def find_compose() -> tuple[str, ...]:
    """Return what runs Compose: the client's own, or the older program."""
    own = "Compose" in docker("compose", "version", check=False)
    return (DOCKER, "compose") if own else ("docker-compose",)


class Project:
    """A project of the shipped file, beside strategies of its own, on any free ports."""

    def __init__(self, folder: Path) -> None:
        self.name = f"botd-test-{secrets.token_hex(4)}"
        (folder / "deploy").mkdir()
        shutil.copy(ROOT / "deploy" / "compose.yaml", folder / "deploy")
        shutil.copytree(ROOT / "strategies", folder / "strategies")
        self._folder = folder
        self._compose = find_compose()
        free = {"BOTD_API_AT": "127.0.0.1:0", "BOTD_DASHBOARD_AT": "127.0.0.1:0"}
        self._environment = {**os.environ, **free, "BOTD_IMAGE": IMAGE, "BOTD_VOLUME": self.name}

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*self._compose, "-p", self.name, "-f", "deploy/compose.yaml", *words],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def container(self) -> str:
        return self("ps", "-q", "botd").split()[-1]

    def status(self, form: str) -> str:
        return docker("inspect", "--format", form, self.container()).strip()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    if shutil.which(find_compose()[0]) is None:
        pytest.skip("there is no Compose: apt-get install docker-compose")
    one = Project(tmp_path)
    yield one
    one("down", "--volumes")


def test_project_becomes_healthy_comes_back_and_stops_in_order(project: Project) -> None:
    project("up", "-d", "--no-build")
    first = project.status("{{.State.Pid}}")

    def is_healthy() -> bool:
        return project.status("{{.State.Health.Status}}") == "healthy"

    wait_until(is_healthy, seconds=START_S, told=lambda: project("logs"))
    assert project.status("{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}") == "true [ALL]"
    if os.geteuid() == 0 and Path(f"/proc/{first}/cmdline").exists():
        # as a crash: what `docker kill` ends stays ended
        os.kill(int(first), 9)
        wait_until(
            lambda: project.status("{{.State.Running}} {{.State.Pid}}") not in ("false 0", f"true {first}"),
            seconds=30,
        )
        wait_until(is_healthy, seconds=START_S, told=lambda: project("logs"))
    container = project.container()
    begun = "session paper-"
    wait_until(lambda: begun in docker("logs", container), seconds=START_S, told=lambda: project("logs"))
    project("stop")
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"
    assert "stopped in order" in project("logs")
