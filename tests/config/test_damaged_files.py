"""However a file is damaged, the check ends with a verdict."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from botd.cli.main import main

FILES = (
    "config.yaml",
    "configs/risk.yaml",
    "configs/lifecycle.yaml",
    "configs/execution.yaml",
    "configs/shutdown.yaml",
    "strategies/rider.yaml",
    "strategies/fade.yaml",
)
JUNK = (
    "\n",
    " ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "%",
    "#",
    "&a",
    "*a",
    "!!x",
    "0",
    "-",
    "ä",
    "\x00",
)


def damaged(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        until = min(len(text), at + rng.randint(0, 30))
        text = {
            "cut off": text[:at],
            "taken out": text[:at] + text[until:],
            "put in": text[:at] + rng.choice(JUNK) + text[at:],
            "twice": text[:until] + text[at:],
        }[rng.choice(("cut off", "taken out", "put in", "twice"))]
    return text


def test_check_of_damaged_files_says_ok_or_what_is_wrong(
    bot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    refused = 0
    for _ in range(200):
        place = rng.choice(FILES)
        whole = (bot / place).read_text()
        (bot / place).write_text(damaged(whole, rng))
        code = main(["check"])
        shown = capsys.readouterr()
        assert code in (0, 2), (seed, shown.err)
        assert "botd: unexpected" not in shown.err, (seed, shown.err)
        assert (code == 2) == (place in shown.err or "error" in shown.err), (seed, shown.err)
        refused += code == 2
        (bot / place).write_text(whole)
    assert refused > 100, seed


@pytest.mark.parametrize("place", FILES)
def test_no_half_written_file_is_accepted(bot: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Saving is not atomic everywhere: what a reader sees may be any beginning of the file."""
    whole = (bot / place).read_text()
    for lines in range(len(whole.splitlines())):
        (bot / place).write_text("".join(whole.splitlines(keepends=True)[:lines]))
        assert main(["check"]) == 2, lines
    (bot / place).write_text(whole.rstrip("\n"))
    assert main(["check"]) == 2
    assert "Traceback" not in capsys.readouterr().err
