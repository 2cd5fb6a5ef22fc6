"""`botd report`: figures for people and for programs, over the spans and groups that are asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from botd.ports import Batch
from botd.store.journal import open_state
from tests.cli.bots import botd, refused
from tests.store import samples

HOUR_US = 3_600_000_000
T0 = samples.T0 // HOUR_US * HOUR_US


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make four round trips a day apart: +9, -4, -6 and +2 after fees, the losses by another exit."""
    path = tmp_path_factory.mktemp("report") / "x.sqlite3"
    journal = open_state(path)
    journal.start_session(samples.started())
    trades = [
        samples.trade(
            n + 1,
            cycle=n,
            realized_pnl=Decimal(gross),
            fees=Decimal(1),
            opened_us=T0 + 24 * n * HOUR_US,
            closed_us=T0 + 24 * n * HOUR_US + 60_000_000,
            exit_rule="out" if gross > 0 else "crash",
        )
        for n, gross in enumerate((10, -3, -5, 3))
    ]
    cursor = replace(samples.cursor(1, seq=4), ts_us=trades[-1].closed_us + 1)
    journal.commit(Batch(session_id="s1", records=tuple(trades), cursor=cursor))
    journal.close()
    return path


def asked(books: Path, *words: str) -> list[dict[str, object]]:
    done = botd(books.parent, "report", "--state", books, "--json", *words)
    assert (done.code, done.err) == (0, "")
    found: list[dict[str, object]] = json.loads(done.out)
    return found


def test_figures_are_shown_whole_and_in_groups(books: Path) -> None:
    done = botd(books.parent, "report", "--state", books, "--by", "exit")
    assert (done.code, done.err) == (0, "")
    lines = {" ".join(line.split()) for line in done.out.splitlines()}
    assert "trades 4: 2 won, 2 lost" in lines
    assert "profit after fees +1.00 USDT, fees 4.00" in lines
    assert "in a row at most 1 won, 2 lost" in lines
    assert "held 1m 0s in the middle, 1m 0s to 1m 0s" in lines
    assert "ZE1 crash 2 0.00% -10.00 0.00 -5.00 -4.00 -6.00 1m 0s" in lines
    assert "ZE1 out 2 100.00% +11.00 - +5.50 +9.00 +2.00 1m 0s" in lines


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [(4, 1)]),
        (("--period", "today"), [(1, 2)]),
        (("--period", "7D"), [(4, 1)]),
        (("--from", "1970-01-01"), [(4, 1)]),
        (("--until", "1970-01-01"), [(0, 0)]),
    ],
)
def test_spans_are_those_that_trades_closed_in(
    books: Path, words: tuple[str, ...], expected: list[tuple[int, int]]
) -> None:
    found = asked(books, *words)
    assert [(one["trades_count"], Decimal(str(one["pnl_total"]))) for one in found] == expected


def test_programs_get_every_figure_and_money_as_text(books: Path) -> None:
    (one,) = asked(books, "--by", "strategy")
    assert (one["currency"], one["profit_factor"], one["expectancy"]) == ("USDT", 1.1, "0.25000000")
    assert (one["fall_max"], one["sharpe"], one["equity"]) == ("10.00000", None, None)
    groups = one["groups"]
    assert isinstance(groups, dict)
    assert list(groups) == ["dip"]
    assert groups["dip"]["losses_in_a_row"] == 2


def test_span_without_trades_says_so(books: Path) -> None:
    done = botd(books.parent, "report", "--state", books, "--until", "1970-01-01T12:00")
    assert (done.code, done.out) == (0, "no round trip has closed in this span\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--period", "YEAR"), "--period is one of ALL TODAY WEEK MONTH 7D 30D, not YEAR"),
        (("--by", "weather"), "--by is one of strategy symbol side exit hour revision, not weather"),
        (("--from", "soon"), "--from takes a date or a time such as 2026-11-01T12:30, not soon"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(books: Path, words: tuple[str, ...], said: str) -> None:
    refused(botd(books.parent, "report", "--state", books, *words), 2, said)
