"""The link between a daemon and the process of its API: what may be said on it, and what comes of it."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from botd.api.facts import ConfigFacts, Durations, Wire
from botd.api.library import Library
from botd.api.link import Answer, Asked, Begin, Logged, News, ReloadNews, Shut, log_line, packed, unpacked
from botd.api.remote import Remote, RemoteLog
from botd.api.settings import ApiSettings
from botd.api.tokens import Role, Tokens
from botd.core.reload import ReloadOutcome
from botd.core.restraint import Cause, TradingCommand, Verb
from tests.api.stand import CANARY, TRADER, VIEWER, HandClock, made_once
from tests.store import samples


def news(**more: Any) -> News:
    given: dict[str, Any] = {
        "session_id": "s1",
        "trades": True,
        "books": False,
        "trading_state": "active",
        "row_us": 1,
        "row_at_us": 2,
        "lag_s": 0.0,
        "open_files": 9,
        "snapshot": None,
        "commits": Durations(),
        "config": None,
        "reloads": None,
    }
    return News(**(given | more))


def config(name: str) -> ConfigFacts:
    return ConfigFacts(
        config_hash=name,
        applied_us=1,
        files={},
        warning_us=1,
        automatic_timeout=True,
        holding_max_us={},
        positions_tracked_max=1,
    )


OUTCOME = ReloadOutcome(
    ts_us=5, who="ann", ok=True, config_hash="c", running_hash="c", session_id="s1", position=3
)


class Ends:
    """Both ends of a link: what the process knows, and what the daemon hears of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.daemon, there = multiprocessing.Pipe()
        begin = Begin(
            settings=ApiSettings(),
            state_path=folder / "botd.sqlite3",
            answers_path=folder / "answers",
            tokens=Tokens({Role.TRADER: TRADER, Role.VIEWER: VIEWER}),
            mode="paper",
            version="9",
            started_us=1,
            pid=os.getpid(),
            news=news(config=config("first")),
        )
        self.there: Connection = there
        self.library = Library(begin.state_path, self.clock)
        self.wire = Wire()
        self.remote = Remote(there, begin, self.library, self.wire, self.clock)

    def said(self) -> Asked | Shut | Logged:
        assert self.daemon.poll(5)
        return unpacked(self.daemon.recv_bytes())


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    made = Ends(tmp_path)
    yield made
    made.library.close()
    made.daemon.close()
    made.there.close()


@pytest.mark.parametrize("verb", [Verb.CLOSE, Verb.CANCEL])
def test_command_is_the_same_on_both_sides(ends: Ends, verb: Verb) -> None:
    done: list[int] = []
    command = TradingCommand(
        verb=verb, cause=Cause.COMMAND, who="ann", reason="odd", scope="BTC/USDT", strategy="dip"
    )
    ends.remote.ask(command, lambda: done.append(1))
    asked = ends.said()
    assert isinstance(asked, Asked)
    assert asked.command() == command
    ends.remote.hear(Answer(number=asked.number + 1))  # somebody else's
    assert not done
    for _ in range(2):
        ends.remote.hear(Answer(number=asked.number))
    assert done == [1]


def test_reload_is_asked_for_and_its_outcome_comes_back(ends: Ends) -> None:
    assert ends.remote.reloads() is None
    ends.remote.hear(news(reloads=ReloadNews(last=None, swapped_us=None)))
    desk = ends.remote.reloads()
    assert desk is not None and desk.last() is None
    found, given_up = desk.request("ann"), desk.request("bob")
    first, second = ends.said(), ends.said()
    assert isinstance(first, Asked) and isinstance(second, Asked)
    assert [(one.what, one.who) for one in (first, second)] == [("reload", "ann"), ("reload", "bob")]
    ends.remote.hear(news(reloads=ReloadNews(last=OUTCOME, swapped_us=7), config=config("second")))
    ends.remote.hear(Answer(number=first.number, outcome=OUTCOME))
    ends.remote.hear(Answer(number=second.number))
    assert found.result(0) == OUTCOME
    assert given_up.cancelled()
    desk = ends.remote.reloads()
    assert desk is not None and (desk.last(), desk.swapped_us()) == (OUTCOME, 7)
    assert ends.remote.facts.config().config_hash == "second"
    ends.remote.hear(news())
    assert ends.remote.facts.config().config_hash == "second"


def test_daemon_that_says_nothing_is_late(ends: Ends) -> None:
    facts = ends.remote.facts
    ends.remote.hear(news(lag_s=0.3))
    assert facts.lag_s() == 0.3
    ends.clock.pass_s(0.9)
    assert facts.lag_s() == 0.3
    ends.clock.pass_s(5)
    assert facts.lag_s() == pytest.approx(5.9)
    ends.remote.hear(news())
    assert facts.lag_s() == 0


def test_books_are_shut_before_that_is_said_and_not_said_where_they_were_not_open(ends: Ends) -> None:
    ends.library.folder.joinpath("botd.sqlite3").write_bytes(made_once())
    ends.remote.hear(news())
    assert not ends.daemon.poll(0)
    ends.remote.hear(news(books=True))
    assert ends.library.books().known("s1")
    ends.remote.hear(news())
    assert isinstance(ends.said(), Shut)


def test_committed_records_come_over_in_their_groups(ends: Ends) -> None:
    groups = ([samples.alert(1), samples.alert(2)], [samples.alert(3)])
    before = ends.wire.generation
    ends.remote.hear(news(groups=groups))
    assert [list(one) for one in ends.wire.take()] == list(groups)
    assert ends.wire.generation == before + 2


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x80\x05.",  # a pickle
        b'{"type":"asked","number":1,"what":"resolve","who":"x"}',
        b'{"type":"asked","number":"1","what":"halt","who":"x"}',
        b'{"type":"asked","number":1,"what":"halt","who":"x","cause":"command"}',
        b'{"type":"begin"}',
    ],
)
def test_daemon_takes_nothing_but_what_may_be_said(said: bytes) -> None:
    with pytest.raises(ValueError):
        unpacked(said)


def test_daemons_level_decides_which_lines_of_the_process_it_logs(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[Logged] = []
    log = logging.getLogger("tests.remote")
    handler = RemoteLog(lines.append)
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO):
            log.info("a %s", "line", extra={"who": "ann", "token": CANARY})
            try:
                raise RuntimeError("broken")
            except RuntimeError:
                log.exception("it broke")
    finally:
        log.removeHandler(handler)
    sent = [unpacked(packed(one)) for one in lines]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for one in sent:
            assert isinstance(one, Logged)
            log_line(one)
    (record,) = caplog.records
    assert record.message == "it broke"
    assert "RuntimeError: broken" in vars(record)["exception"]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        first = sent[0]
        assert isinstance(first, Logged)
        log_line(first)
    (record,) = caplog.records
    assert (record.message, vars(record)["who"], vars(record)["token"]) == ("a line", "ann", "***")
