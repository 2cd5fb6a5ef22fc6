"""`botd words` in the terminal."""

from __future__ import annotations

import pytest

from botd.cli.main import main
from botd.config.reference_page import page
from botd.language.catalogue import WORDS


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["words", *arguments]) == 0
    return capsys.readouterr().out


def test_words_lists_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {line.split("(")[0].split()[0] for line in said(capsys).splitlines() if line.startswith("  ")}
    assert WORDS.keys() <= listed


def test_words_of_a_name_shows_both_of_its_forms(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "zscore")
    assert "zscore(series, periods)\n" in text
    assert "  example  zscore(rush_orders(25s), 7h, every 25s) > 40\n" in text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("stop_loss", "stop_loss, a key of protect: such as 2%, 50bps. rests at the venue"),
        ("strategy", "strategy, a key of the file: text. The id: it stays the same across edits"),
        ("Z1", "Z1: Entry, asked when signalled."),
        ("for", "condition for back"),
        ("bars ago", "x[periods bars ago]"),
        ("twap", "'twap' is 'twpa' here\ntwpa(window)"),
        ("crossover", "'crossover' is 'crosses above' here\nx crosses above y"),
        ("twpa()", "twpa(window)"),
    ],
)
def test_words_explains_keys_sections_and_words_of_other_tools(
    name: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, name).startswith(line)


def test_words_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--markdown") == page()


def test_unknown_name_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["words", "stop_los"]) == 2
    assert main(["words", "xyzzy"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "botd: no word, section or key 'stop_los'; did you mean 'stop_loss'?",
        "botd: no word, section or key 'xyzzy'; botd words lists them all",
    ]
