"""Every file in bad/ states the errors it must give, and gives no other.

A statement that ends in ... is the beginning of one whose wording belongs to the language.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from botd.cli.main import main

BAD = Path(__file__).parent / "bad"
PLACES = {
    "config": "config.yaml",
    "risk": "configs/risk.yaml",
    "lifecycle": "configs/lifecycle.yaml",
    "execution": "configs/execution.yaml",
    "shutdown": "configs/shutdown.yaml",
    "strategy": "strategies/rider.yaml",
}
STATED = re.compile(r"# error (?:(\S+\.yaml):)?(\d+:\d+: .*)")
REPORTED = re.compile(r"\S+\.yaml:\d+:\d+: (?!hint: |warning: ).*")


@pytest.mark.parametrize("case", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_I1_I9_I10_bad_file_gives_exactly_the_errors_it_states(  # noqa: N802 - the ids of the faults
    case: Path, bot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = PLACES[case.stem.partition("__")[0]]
    text = case.read_text()
    (bot / place).write_text(text)
    stated = [f"{match[1] or place}:{match[2]}" for match in STATED.finditer(text)]
    assert stated, "the file states no error"

    code = main(["check"])

    shown = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in shown.err
    assert shown.out == ""
    reported = sorted(line for line in shown.err.splitlines() if REPORTED.fullmatch(line))
    for number, statement in enumerate(sorted(stated)):
        begin = statement.removesuffix("...")
        if begin != statement and number < len(reported) and reported[number].startswith(begin):
            reported[number] = statement
    assert reported == sorted(stated)
