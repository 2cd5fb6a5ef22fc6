"""What is committed and not told is told by the next start. G7."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from botd.core.instrument import InstrumentId
from botd.core.updates import Untold, UntoldAlert, UntoldTrade
from botd.runtime.outbox import AGAIN_MAX, Outbox
from botd.runtime.terminal import Screen
from tests.runtime.manual_clock import ManualClock

ALERT = UntoldAlert(7, 1_763_733_802_000_000, "high", "note", "look")
TRADE = UntoldTrade(9, 1_763_733_803_000_000, "s", InstrumentId("BTC/USDT:USDT"), Decimal("-1.5"), "E1 out")


class Books:
    def __init__(self, *found: Untold) -> None:
        self.found = found
        self.asked: list[tuple[str, int]] = []

    def untold(self, session_id: str, seq: int) -> tuple[Untold, ...]:
        self.asked.append((session_id, seq))
        return self.found


def told(outbox: Outbox, books: Books) -> list[str]:
    lines: list[str] = []
    outbox.tell_again(books, lines.append)
    return lines


def test_G7_what_came_after_the_mark_is_told_with_its_number(tmp_path: Path) -> None:
    books = Books(ALERT, TRADE)
    Outbox(tmp_path).mark("paper-1", 12345)
    Outbox(tmp_path).mark("paper-1", 6)
    assert told(Outbox(tmp_path), books) == [
        "2025-11-21 14:03:22 alert high note: look #7",
        "2025-11-21 14:03:23 trade s BTC/USDT:USDT -1.50 USDT after fees, E1 out #9",
    ]
    assert books.asked == [("paper-1", 6)]


@pytest.mark.parametrize("text", [None, "", "x y", "7"])
def test_G7_without_a_mark_that_can_be_read_nothing_is_told_again(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "published").write_text(text)
    assert told(Outbox(tmp_path), Books(ALERT)) == []


def test_G7_no_more_than_a_thousand_are_told_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.mark("paper-1", 0)
    lines = told(outbox, Books(*[ALERT] * (AGAIN_MAX + 3)))
    assert len(lines) == AGAIN_MAX + 1
    assert lines[0] == "3 trades and alerts more were not told of; the state file has them"


def test_G7_mark_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "gone")
    outbox.mark("paper-1", 6)
    assert outbox.marked() is None


def test_G7_what_waits_for_lines_is_called_once_they_are_written() -> None:
    order: list[str] = []
    screen = Screen(Console(file=io.StringIO()), ManualClock(), mode="paper", write=order.append)
    screen.after_lines(lambda: order.append("before the screen is on"))
    with screen:
        screen.say("a line")
        screen.after_lines(lambda: order.append("told"))
        screen.say("another")
    assert order == ["before the screen is on", "a line", "told", "another"]


def test_G7_death_before_the_first_line_is_written_loses_none(tmp_path: Path) -> None:
    Outbox(tmp_path).begin("paper-1", 3)
    books = Books(TRADE)
    assert len(told(Outbox(tmp_path), books)) == 1
    Outbox(tmp_path).begin("paper-1", 8)  # the next start does not move it
    assert told(Outbox(tmp_path), books)
    assert books.asked == [("paper-1", 3)] * 2
