"""The folder of compiled kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from botd.engine import jit


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("BOTD_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_named_folder_is_taken(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset.setenv("BOTD_CACHE_DIR", str(tmp_path / "a"))
    unset.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert jit.cache_folder().is_relative_to(tmp_path / "a")


def test_users_cache_folder_is_taken(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset.setenv("HOME", str(tmp_path))
    assert jit.cache_folder().is_relative_to(tmp_path / ".cache" / "botd")
    unset.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert jit.cache_folder().is_relative_to(tmp_path / "x" / "botd")


def test_folder_that_cannot_be_made_gives_way_to_a_temporary_one(
    unset: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    unset.setenv("BOTD_CACHE_DIR", str(file))
    unset.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert jit.cache_folder().is_relative_to(tmp_path / "tmp")


def test_without_any_folder_a_fresh_one_is_made(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "botd").write_text("in the way")
    unset.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folder = jit.cache_folder()
    assert folder.is_dir()
    assert folder.name.startswith("botd-kernels-")


def test_any_change_of_a_kernel_source_changes_the_folder(tmp_path: Path) -> None:
    package = Path(jit.__file__).parents[1]
    copy = tmp_path / "botd"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from botd.engine.jit import cache_folder; print(cache_folder().name)"

    def name() -> str:
        env = os.environ | {"BOTD_NO_NUMBA": "1", "BOTD_CACHE_DIR": str(tmp_path / "cache")}
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout.strip()

    first = name()
    assert name() == first == jit.cache_folder().name
    for source in ("engine/kernels.py", "engine/layout.py", "language/opcodes.py"):
        with (copy / source).open("a") as file:
            file.write("# changed\n")
        second = name()
        assert second != first
        first = second


@pytest.mark.parametrize(
    "modules",
    [
        "botd.language.program, botd.engine.layout",
        "botd.store.journal, botd.store.queries, botd.store.fsck",  # what reads the books judges no rows
    ],
)
def test_who_judges_no_rows_imports_no_compiler(modules: str) -> None:
    code = f"import sys, {modules}; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(jit.__file__).parents[2], check=True)
