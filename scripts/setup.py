"""Make `.venv/` and install what the lock files name; called by `make setup` and `make test`.

Runs on the system's Python 3, old ones included, with its standard library only. It does nothing when nothing
changed: what was installed is remembered in `.venv/botd-setup.json` as hashes of the files that decided it.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
UV = VENV / "bin" / "uv"
RECORD = VENV / "botd-setup.json"
OLDEST = (3, 11)
NEWEST = (3, 14)  # the newest Python that every locked package has a wheel for

# pip's settings and what uv calls the same thing; uv reads none of pip's files or variables by itself.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}
UNWANTED = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")

NO_PACKAGES = """packages could not be installed; the installer's message is above.
  Without a network, point pip at a folder of wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=/folder)
  or at a mirror (PIP_INDEX_URL=...), and run make again."""
NO_VENV = "this Python cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"
NO_KERNELS = "the kernels did not compile; the message is above"


def fail(message: str) -> NoReturn:
    """Print what is wrong for the person at the terminal and stop with the code for bad input."""
    print(f"set-up: {message}", file=sys.stderr)
    raise SystemExit(2)


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"set-up: {message}", flush=True)


def use_supported_python() -> None:
    """Go on under a Python between OLDEST and NEWEST, or say which one to install."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other and runs(other, "import venv, ensurepip"):
            os.execv(other, [other, str(Path(__file__).resolve()), *sys.argv[1:]])
    found = "{}.{}".format(*sys.version_info[:2])
    if sys.version_info[:2] > NEWEST:
        say(f"Python {found} is newer than botd was tried with; going on")
        return
    fail(
        f"Python >= 3.11 is needed, this is {found}; install one, or name it: make PYTHON=/path/to/python3.11"
    )


def runs(python: str, code: str) -> bool:
    """Return whether `python` can run `code`."""
    try:
        return subprocess.run([python, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def digest(paths: list[Path]) -> str:
    """Hash the names and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def lock_file(kind: str) -> Path:
    """Return the path of one lock file."""
    return ROOT / "requirements" / f"{kind}.lock"


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that would send an installation elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def uv_environment() -> dict[str, str]:
    """Return the environment with pip's configuration (files and variables) in the words of uv.

    Every package is pinned by hash, so taking it from whichever index has it is safe here.
    """
    env = {**clean_environment(), "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON_DOWNLOADS": "never"}
    command = [PYTHON, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=False).stdout.decode()
    for line in listing.splitlines():
        key, _, quoted = line.partition("=")
        section, _, name = key.rpartition(".")
        if section not in ("global", "install", ":env:") or name not in UV_NAMES:
            continue
        values = str(ast.literal_eval(quoted)).split()  # one setting may hold several values
        if values and UV_NAMES[name] not in os.environ:
            env[UV_NAMES[name]] = ("," if name == "find-links" else " ").join(values)
    return env


def make_venv() -> None:
    """Create the environment, or create it anew when it does not run or was made for another folder."""
    if runs(PYTHON, "import pip") and read_record().get("root", str(ROOT)) == str(ROOT):
        return
    say("making .venv with Python {}.{}.{}".format(*sys.version_info[:3]))
    base = getattr(sys, "_base_executable", sys.executable)  # not the python of a .venv that is replaced
    command = [base, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if made.returncode:
        sys.stderr.write(made.stdout.decode(errors="replace"))
        fail(NO_VENV)


def read_record() -> dict[str, str]:
    """Return what the last set-up recorded, or an empty record."""
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(record: dict[str, str]) -> None:
    """Replace the record in one step, so that a set-up that was cut short is repeated."""
    partial = RECORD.with_suffix(".new")
    partial.write_text(json.dumps({**record, "root": str(ROOT)}, indent=1), encoding="utf-8")
    partial.replace(RECORD)


def install_by_pip(*arguments: str) -> None:
    """Install by pip; stop with what a person can do about it when that fails."""
    command = [PYTHON, "-m", "pip", "install", "-qq", "--no-input", *arguments]
    if subprocess.run(command, env=clean_environment(), cwd=ROOT, check=False).returncode:
        fail(NO_PACKAGES)


def install_lock(kind: str) -> None:
    """Install one lock file by uv, and by pip where uv cannot."""
    lock = str(lock_file(kind))
    say(f"installing requirements/{kind}.lock")
    command = [
        str(UV),
        "pip",
        "install",
        "--quiet",
        "--python",
        PYTHON,
        "--no-deps",
        "--require-hashes",
        "-r",
        lock,
    ]
    if UV.exists() and subprocess.run(command, env=uv_environment(), cwd=ROOT, check=False).returncode == 0:
        return
    say("uv could not install it; trying pip, which takes some minutes")
    install_by_pip("--require-hashes", "--no-deps", "-r", lock)


def warm_kernels() -> None:
    """Compile the engine's kernels into their cache, so that the first start does not wait for it."""
    if not (ROOT / "botd" / "engine" / "warm.py").exists():
        return
    say("compiling the kernels")
    command = [PYTHON, "-m", "botd.engine.warm"]
    if subprocess.run(command, cwd=ROOT, env=clean_environment(), check=False).returncode:
        fail(NO_KERNELS)


def set_up(kind: str) -> bool:
    """Bring the environment up to date for `run` or `dev`; return whether there was anything to do."""
    make_venv()
    tools, run, project = lock_file("tools"), lock_file("run"), ROOT / "pyproject.toml"
    editable = ("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    steps: tuple[tuple[str, list[Path], Callable[[], None]], ...] = (
        ("tools", [tools], lambda: install_by_pip("--require-hashes", "-r", str(tools))),
        (kind, [lock_file(kind)], lambda: install_lock(kind)),
        ("project", [project], lambda: install_by_pip(*editable)),
        ("kernels", [run, *(ROOT / "botd" / "engine").glob("*.py")], warm_kernels),
    )
    record = read_record()
    worked = False
    for name, decides, step in steps:
        wanted = digest(decides)
        if record.get(name) == wanted:
            continue
        step()
        worked = True
        record[name] = wanted
        if name == "dev":  # it holds everything of the run lock at the same versions
            record["run"] = digest([run])
        write_record(record)
    return worked


def main() -> None:
    """Set up while holding the folder, so that two makes at once do not write into each other's work."""
    if sys.argv[1:] not in (["run"], ["dev"]):
        fail("usage: setup.py run|dev")
    use_supported_python()
    began = time.monotonic()
    with (ROOT / "Makefile").open(encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        worked = set_up(sys.argv[1])
    if worked:
        say(f"done in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
