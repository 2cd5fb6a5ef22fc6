"""What `make setup` promises: pinned packages, no index's address, pip's settings kept, clear refusals."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "scripts" / "setup.py"


@pytest.mark.parametrize("name", ["run.lock", "dev.lock", "tools.lock"])
def test_lock_pins_every_package_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    packages = re.findall(r"^[A-Za-z0-9]", text, flags=re.MULTILINE)
    pinned = re.findall(
        r"^[\w.\[\],-]+==\S+ (?:; .+ )?\\\n    --hash=sha256:[0-9a-f]{64}", text, flags=re.MULTILINE
    )
    assert len(pinned) == len(packages) > 0


def test_lock_holds_every_direct_dependency() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = config["project"]["optional-dependencies"]
    wanted = [*config["project"]["dependencies"], *extras["ui"], *extras["live"]]
    locked = set(
        re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "run.lock").read_text(), flags=re.MULTILINE)
    )
    named = {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in wanted}
    assert named <= locked


def test_pip_configuration_reaches_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nextra-index-url =\n  file:///one\n  file:///two\nfind-links = /wheels /more\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "file:///mirror")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    module = runpy.run_path(str(SETUP), run_name="setup")
    monkeypatch.setitem(module["uv_environment"].__globals__, "PYTHON", sys.executable)
    env = module["uv_environment"]()
    assert env["UV_DEFAULT_INDEX"] == "file:///mirror"
    assert env["UV_INDEX"].split()[-2:] == ["file:///one", "file:///two"]
    assert env["UV_FIND_LINKS"].split(",")[-2:] == ["/wheels", "/more"]


def test_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    code = (
        "import runpy, sys\nsys.version_info = (3, 9, 2)\nsys.argv = ['setup.py', 'run']\n"
        f"runpy.run_path({str(SETUP)!r}, run_name='__main__')\n"
    )
    env = {**os.environ, "PATH": str(tmp_path)}  # no other Python to go on with
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Python >= 3.11 is needed, this is 3.9" in done.stderr
    assert "Traceback" not in done.stderr
