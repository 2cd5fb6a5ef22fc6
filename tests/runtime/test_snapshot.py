"""Snapshots: everything a session is made of comes back; nothing else is ever loaded."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from botd.app import build_loop, open_feeds
from botd.config.loader import load_strategies, on_instruments
from botd.core.events import OrderType, Section, Side, TimeInForce
from botd.core.outcomes import OrderStatus
from botd.core.records import Record
from botd.runtime.loop import TradingLoop
from botd.runtime.snapshot import decode, encode
from tests.parity.cases import ROOT, STRATEGIES, made_cases
from tests.parity.runs import lines_of

PLAN = "abc"


def loop_of(folder: Path) -> tuple[TradingLoop, object]:
    plan = load_strategies([STRATEGIES / "breakout.yaml"], ROOT / "config.yaml")
    (feed,) = open_feeds(plan, made_cases(folder)[0].data)
    return build_loop(on_instruments(plan, feed.instruments), feed, session_id="s"), feed


def test_session_continues_from_its_snapshot_as_if_nothing_had_been(tmp_path: Path) -> None:
    first, feed = loop_of(tmp_path)
    records: list[Record] = []
    rest: list[Record] = []
    second: TradingLoop | None = None
    venue = None
    for chunk in feed.read(0, rows_max=700):  # type: ignore[attr-defined]
        for group in first.run(chunk):
            records.extend(group.records)
        if second is None and chunk.position > 3_000:
            payload = encode(first.state(), plan=PLAN)
            second, _ = loop_of(tmp_path)
            state = decode(payload, plan=PLAN)
            assert state is not None
            second.restore(state)
            venue = first.venue.state()
            second.venue.recall((venue, []), expected=True)  # type: ignore[attr-defined]
            before = len(records)
        elif second is not None:
            for group in second.run(chunk):
                rest.extend(group.records)
    assert len(rest) > 80
    assert lines_of(rest) == lines_of(records[before:])


@pytest.mark.parametrize("kind", [Section, Side, OrderType, TimeInForce, OrderStatus])
def test_state_is_the_same_whatever_a_python_pickles_an_enum_as(
    kind: type[Enum], monkeypatch: pytest.MonkeyPatch
) -> None:
    member = next(iter(kind))

    def as_3_11_2(self: Enum, protocol: int) -> tuple[Callable[..., object], tuple[object, ...]]:
        return getattr, (self.__class__, self.name)  # so until 3.11.3, by value ever since

    here = encode({"a": member, "b": [member]}, plan=PLAN)
    monkeypatch.setattr(kind, "__reduce_ex__", as_3_11_2)
    there = encode({"a": member, "b": [member]}, plan=PLAN)
    assert there == here
    state = decode(there, plan=PLAN)
    assert state is not None and state["a"] is member and state["b"][0] is member


def test_state_of_another_plan_or_format_is_no_state() -> None:
    payload = encode({"a": 1, "b": np.arange(3), "c": np.float64(2.5)}, plan=PLAN)
    assert decode(payload, plan="other") is None
    assert decode(b"something else", plan=PLAN) is None
    state = decode(payload, plan=PLAN)
    assert state is not None
    assert state["b"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("hostile", [os.getcwd, Decimal("1"), print], ids=["call", "type", "builtin"])
def test_code_in_a_changed_file_is_not_run(hostile: object) -> None:
    head = encode({}, plan=PLAN).split(b"\n", 2)[:2]
    payload = b"\n".join([*head, zlib.compress(pickle.dumps({"x": hostile}))])
    assert decode(payload, plan=PLAN) is None


def test_state_that_an_older_botd_wrote_is_read_where_a_class_has_moved() -> None:
    head = encode({}, plan=PLAN).split(b"\n", 2)[:2]
    old = zlib.compress(b"(dVstatus\ncbotd.core.records\nOrderStatus\n(Vfilled\ntRs.")
    assert decode(b"\n".join([*head, old]), plan=PLAN) == {"status": OrderStatus.FILLED}


def test_damaged_file_is_no_state() -> None:
    payload = encode({"a": 1}, plan=PLAN)
    assert decode(payload[:-3], plan=PLAN) is None
