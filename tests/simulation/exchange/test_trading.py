"""Hours of careless trading under faults and kills: what holds at the venue whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path

from botd.core.events import Side
from botd.ports import OrderReport, OrderState, VenueFill
from botd.simulation.exchange.exchange import RULES
from botd.simulation.exchange.sites import SITES
from tests.simulation.exchange import trading
from tests.simulation.exchange.scene import CASH, PERP, SPOT
from tests.simulation.exchange.trading import Hour, trade

SEEDS = range(12)
INSTRUMENTS = {instrument.id: instrument for instrument in (PERP, SPOT)}


@cache
def hour(seed: int) -> Hour:
    return trade(seed)


def test_one_seed_is_one_run_and_another_seed_another() -> None:
    first, again = hour(1), trade(1)
    assert (again.digest, again.steps, again.fired) == (first.digest, first.steps, first.fired)
    assert again.events == first.events
    assert hour(2).digest != first.digest


def test_two_processes_with_different_hashes_make_the_same_runs() -> None:
    outputs = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, str(Path(trading.__file__)), "1", "2"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append([line.split() for line in done.stdout.splitlines()])
    for number, (one, other) in enumerate(zip(*outputs, strict=True), start=1):
        assert one[-1] != other[-1]  # the hash of a word: the two processes do differ
        assert one[:-1] == other[:-1]
        assert one[1] == hour(number).digest


def test_run_of_the_faults_that_fired_is_the_same_run() -> None:
    whole = hour(3)
    again = trade(3, only=whole.fired)
    assert (again.fired, again.digest) == (whole.fired, whole.digest)


def test_reduce_only_order_never_adds_and_never_turns() -> None:
    fills = 0
    for seed in SEEDS:
        assert hour(seed).flips == [], f"seed {seed}"
        fills += sum(fill.client_order_id.startswith("ro-") for fill in hour(seed).exchange.truth.fills)
    assert fills > 300


def test_positions_and_cash_follow_from_the_fills_to_the_last_digit() -> None:
    for seed in SEEDS:
        exchange = hour(seed).exchange
        held: Counter[str] = Counter()
        paid: Counter[str] = Counter()  # tick-lots
        fees = Decimal(0)
        for fill in (*exchange.truth.fills, *exchange.truth.busts):
            back = -1 if fill.busted else 1
            signed = back * (fill.qty if fill.side is Side.BUY else -fill.qty)
            held[fill.instrument] += signed
            paid[fill.instrument] += signed * fill.price
            fees += back * fill.fee
        assert dict(held) == exchange.account.positions == exchange.truth.positions
        cash = CASH - fees + sum((flow.amount for flow in exchange.truth.flows), Decimal(0))
        for name, tick_lots in paid.items():
            cost = exchange.account.costs[name] * (1 if held[name] > 0 else -1)
            cash += INSTRUMENTS[name].money(cost - tick_lots)
        assert cash == exchange.account.cash["USDT"]


def test_every_fill_has_a_trade_id_of_its_own_and_times_never_fall() -> None:
    for seed in SEEDS:
        fills = hour(seed).exchange.truth.fills
        assert len({(fill.instrument, fill.trade_id) for fill in fills}) == len(fills) > 20
        times = [fill.ts_us for fill in fills]
        assert times == sorted(times)
        assert [
            event for event in hour(seed).events if isinstance(event, VenueFill) and not event.busted
        ] == fills


def test_order_fills_what_it_says_and_does_no_more_than_fill_once_it_has_ended() -> None:
    late = 0
    for seed in SEEDS:
        ended: dict[str, OrderReport] = {}
        filled: Counter[str] = Counter()
        for event in hour(seed).events:
            name = event.client_order_id
            if not name or (isinstance(event, VenueFill) and event.busted):
                continue
            if isinstance(event, VenueFill):
                late += name in ended
                filled[name] += event.qty
                continue
            assert event.filled == filled[name]
            before = ended.get(name)
            if before is not None:
                assert event.state is before.state, f"seed {seed}: {name} goes on after {before}"
                assert event.filled > before.filled
            if event.state is OrderState.FILLED:
                assert event.filled >= event.qty
            if event.state is not OrderState.OPEN:
                ended[name] = event
    assert late


def test_venue_keeps_its_promise_of_when_an_order_can_still_appear() -> None:
    late = 0
    for seed in SEEDS:
        for arrival in hour(seed).exchange.truth.arrivals:
            took_us = arrival.decided_us - arrival.sent_us
            if arrival.outcome == "accepted":
                assert took_us <= RULES.validity_us + RULES.processing_us
                late += took_us > RULES.validity_us
    assert late


def test_an_hour_of_a_hundred_orders_has_about_seventy_faults() -> None:
    hours = [hour(seed) for seed in SEEDS]
    orders = sum(hour.exchange.truth.sent.total() for hour in hours) / len(hours)
    faults = sum(len(hour.fired) for hour in hours) / len(hours)
    assert 80 < orders < 120
    assert 45 < faults < 110


def test_every_site_fires() -> None:
    fired: Counter[str] = Counter()
    for played in (*map(hour, SEEDS), *(trade(seed, swarm=False, hours=2) for seed in range(100, 104))):
        fired.update(fault.site for fault in played.fired)
    assert [site.name for site in SITES if not fired[site.name]] == []


def test_one_request_is_one_arrival_at_most_and_one_order_at_most() -> None:
    for seed in SEEDS:
        truth = hour(seed).exchange.truth
        assert max(truth.sent.values()) == 1
        assert truth.doubled() == []
        arrived = Counter(arrival.order.client_order_id for arrival in truth.arrivals)
        assert max(arrived.values()) == 1
        accepted = {a.order.client_order_id for a in truth.arrivals if a.outcome == "accepted"}
        assert set(truth.orders) == accepted


def test_peaks_are_the_most_that_was_ever_held() -> None:
    for seed in SEEDS:
        truth = hour(seed).exchange.truth
        held: Counter[str] = Counter()
        peaks: Counter[str] = Counter()
        for fill in [event for event in hour(seed).events if isinstance(event, VenueFill)]:
            signed = fill.qty if fill.side is Side.BUY else -fill.qty
            held[fill.instrument] += -signed if fill.busted else signed
            if not fill.busted:
                peaks[fill.instrument] = max(peaks[fill.instrument], abs(held[fill.instrument]))
        assert dict(peaks) == truth.peaks
