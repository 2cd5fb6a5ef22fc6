"""The list of faults and the script that says which of them have a test."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIST = """\
[A] # one
A1 = { title = "Silence", due = true }
A3 = { title = "A gap" }
[B]
B1 = { title = "Lost", due = true }
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults", ROOT / "scripts/faults.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tests/core").mkdir(parents=True)
    (tmp_path / "tests/faults.toml").write_text(LIST)
    return tmp_path


def test_ids_of_the_list_are_unique_and_stand_in_their_order(script: ModuleType) -> None:
    faults = script.read_faults(ROOT / "tests/faults.toml")
    places = [(fault.id[0], int(fault.id[1:])) for fault in faults]
    assert places == sorted(set(places))
    assert not [one.id for one in faults if one.title[0].islower() or one.title.endswith(".")]


def test_no_test_carries_the_id_of_no_fault(script: ModuleType) -> None:
    faults = script.read_faults(ROOT / "tests/faults.toml")
    assert script.strange(faults, script.find_tests(ROOT / "tests")) == []


def test_ids_are_found_in_the_names_of_tests(script: ModuleType, root: Path) -> None:
    (root / "tests/core/test_one.py").write_text(
        "def test_A1_B1_both() -> None: ...\nasync def test_A1_again() -> None: ...\n"
        "def test_A3sides() -> None: ...\n# def test_B9_in_a_comment() -> None: ...\n"
    )
    (root / "tests/other.py").write_text("def test_A3_in_a_file_of_no_tests() -> None: ...\n")
    assert script.find_tests(root / "tests") == {"A1": ["core/test_one.py"] * 2, "B1": ["core/test_one.py"]}


def test_due_fault_without_a_test_is_named_and_strict_fails(
    script: ModuleType, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "tests/test_one.py").write_text("def test_A1_is_met() -> None: ...\n")
    assert script.main([], root) == 0
    assert capsys.readouterr().out.splitlines() == [
        "A1  due   1  Silence  [test_one.py]",
        "A3        -  A gap",
        "B1  due   -  Lost",
        "1 of 2 due faults have a test, 1 have none",
        "without: B1",
    ]
    assert script.main(["--strict"], root) == 1


@pytest.mark.parametrize(("name", "code"), [("A1_B1_x", 0), ("A1_B1_S3_x", 0), ("A1_B1_B2_x", 1)])
def test_strict_passes_where_every_due_fault_has_a_test_and_no_id_is_strange(
    script: ModuleType, root: Path, name: str, code: int
) -> None:
    (root / "tests/test_one.py").write_text(f"def test_{name}() -> None: ...\n")
    assert script.main(["--strict"], root) == code
