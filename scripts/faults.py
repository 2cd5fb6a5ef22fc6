"""Print which faults of tests/faults.toml have a test: one whose name carries the id, such as `test_B2_...`.

With --strict the exit code is 1 where a fault that is due has none, or an id in a test's name is no fault's.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"^\s*(?:async )?def test_((?:[A-Z]\d+_)+)", re.MULTILINE)
INVARIANT = re.compile(r"S\d+")  # the invariants of the books, which tests are named after too


class Fault(NamedTuple):
    """One row of the list."""

    id: str
    title: str
    due: bool


def read_faults(path: Path) -> list[Fault]:
    """Return the faults in the order of the file."""
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Fault(name, row["title"], row.get("due", False))
        for section in sections.values()
        for name, row in section.items()
    ]


def find_tests(folder: Path) -> dict[str, list[str]]:
    """Return the files, relative to the folder, of the tests that carry each id; one entry per test."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for match in NAME.finditer(path.read_text(encoding="utf-8")):
            for name in match[1].rstrip("_").split("_"):
                found.setdefault(name, []).append(path.relative_to(folder).as_posix())
    return found


def lines(faults: list[Fault], tests: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the table and what follows from it."""
    for fault in faults:
        files = tests.get(fault.id, [])
        mark = f"{len(files):>3}" if files else "  -"
        need = "due" if fault.due else "   "
        where = ", ".join(dict.fromkeys(files))
        yield f"{fault.id:<4}{need} {mark}  {fault.title}{f'  [{where}]' if where else ''}"
    due = [fault.id for fault in faults if fault.due]
    without = [one for one in due if one not in tests]
    yield f"{len(due) - len(without)} of {len(due)} due faults have a test, {len(without)} have none"
    if without:
        yield f"without: {' '.join(without)}"
    if unknown := strange(faults, tests):
        yield f"no fault has these ids, and tests carry them: {' '.join(unknown)}"


def strange(faults: list[Fault], tests: Mapping[str, list[str]]) -> list[str]:
    known = {fault.id for fault in faults}
    return [name for name in tests if name not in known and not INVARIANT.fullmatch(name)]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Print the table; return the exit code."""
    faults, tests = read_faults(root / "tests/faults.toml"), find_tests(root / "tests")
    print("\n".join(lines(faults, tests)))
    missing = any(fault.due and fault.id not in tests for fault in faults)
    return int("--strict" in arguments and (missing or bool(strange(faults, tests))))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
