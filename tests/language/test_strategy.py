from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from botd.language.checks import clauses_unfit_for_bars
from botd.language.strategy import read_strategy
from botd.language.typed import (
    CancelSection,
    EntryType,
    ExitRule,
    OnReload,
    OnStop,
    OrderSpec,
    PositionSide,
    Protect,
    SizeKind,
    SizeSpec,
    Strategy,
)
from tests.language.texts import STRATEGY, brief, diagnostics_of, edited, read

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000
MINUTE = 60 * SECOND

FULL = """\
strategy: full
was: old_name
about: "Everything at once: every key."
shadow: true
instruments: [ETH/USDT:USDT, BTC/USDT:USDT]
side: short
let: { fast: twpa(10s), "wide": 'clamp(fast / price, 0, 1)' }
S1:
  when: >
    fast > 3
    and wide > 0
  confidence: |
    wide
  confidence_min: 0.7
  cooldown: 30m
O1: { when: fast < 3, after: 20s }
Z1:
  when: spread < 150bps
  order: { type: limit, price: best_ask, ttl: 90s }
  size: { risk: 1% of equity, cap: 20% }
ZE1:
  - { name: half, when: pnl > 3% }
  - name: rest
    when: pnl_max - pnl > 1% and held > 5s
    close: 100%
E1:
  - { name: crash, when: pnl < -5%, cooldown: 1h }
  - { name: part, when: pnl < -4%, close: 25% }
protect: { stop_loss: 2%, take_profit: 15%, trailing_stop: 1.5%, holding_max: 5m }
limits: { position_max: 5% }
lifecycle: { holding_max: 60m }
on_reload: adopt
on_stop: flatten
"""


def full() -> Strategy:
    strategy, diagnostics = read_strategy(FULL, "full.yaml")
    assert diagnostics == []
    assert strategy is not None
    return strategy


def test_every_key_is_read() -> None:
    strategy = full()
    assert (strategy.id, strategy.was, strategy.shadow) == ("full", "old_name", True)
    assert strategy.about == "Everything at once: every key."
    assert strategy.instruments == ("ETH/USDT:USDT", "BTC/USDT:USDT")
    assert strategy.universe is None
    assert strategy.side is PositionSide.SHORT
    assert [(name, brief(expr)) for name, expr in strategy.lets] == [
        ("fast", "twpa(10000000, 0)"),
        ("wide", "clamp(div(twpa(10000000, 0), price), 0, 1)"),
    ]
    assert brief(strategy.signal.when) == (
        "and(lt(3, twpa(10000000, 0)), lt(0, clamp(div(twpa(10000000, 0), price), 0, 1)))"
    )
    assert strategy.signal.confidence == strategy.lets[1][1]
    assert strategy.signal.confidence_min == Decimal("0.7")
    assert strategy.signal.cooldown_us == 30 * MINUTE
    assert strategy.cancel is not None
    assert strategy.cancel.when is not None
    assert strategy.cancel.after_us == 20 * SECOND
    assert (strategy.on_reload, strategy.on_stop) == (OnReload.ADOPT, OnStop.FLATTEN)
    assert (strategy.file, strategy.text) == ("full.yaml", FULL)
    assert strategy.limits == strategy.lifecycle == ()  # the configuration reads those


def test_entry_order_and_size() -> None:
    entry = full().entry
    assert entry.written
    assert brief(entry.when) == "lt(spread, 0.015)"
    assert entry.order.type is EntryType.LIMIT
    assert entry.order.price is not None
    assert brief(entry.order.price) == "best_ask"
    assert (entry.order.slippage_max, entry.order.ttl_us) == (None, 90 * SECOND)
    assert entry.size == SizeSpec(kind=SizeKind.RISK, amount=Decimal("0.01"), cap=Decimal("0.20"))


def test_exits_and_protect() -> None:
    strategy = full()
    assert [(r.name, r.close, r.cooldown_us) for r in strategy.exits] == [
        ("half", Decimal("0.5"), 0),
        ("rest", Decimal(1), 0),
    ]
    assert [(r.name, r.close, r.cooldown_us) for r in strategy.emergencies] == [
        ("crash", Decimal(1), 60 * MINUTE),
        ("part", Decimal("0.25"), 0),
    ]
    assert strategy.protect == Protect(
        stop_loss=Decimal("0.02"),
        take_profit=Decimal("0.15"),
        trailing_stop=Decimal("0.015"),
        holding_max_us=5 * MINUTE,
    )


def test_defaults() -> None:
    strategy = read()
    assert (strategy.was, strategy.about, strategy.shadow) == (None, "", False)
    assert strategy.signal.confidence is None
    assert strategy.signal.confidence_min is None
    assert strategy.signal.cooldown_us == MINUTE
    assert strategy.cancel is None
    assert strategy.entry.order == OrderSpec(type=EntryType.MARKET)
    assert strategy.entry.size == SizeSpec(kind=SizeKind.FIXED, amount=Decimal(500), currency="USDT")
    assert (strategy.exits, strategy.emergencies) == ((), ())
    assert strategy.protect == Protect(stop_loss=Decimal("0.02"))
    assert strategy.on_reload is OnReload.PIN
    assert strategy.on_stop is OnStop.CANCEL


def test_strategy_without_z1_enters_on_s1() -> None:
    strategy = read(
        ("Z1:\n  when: always\n  size: { fixed: 500 USDT }\n", ""),
        (
            "  when: fast > slow\n",
            "  when: fast > slow\n  order: { type: market, slippage_max: 50bps }\n  size: { percent: 5% }\n",
        ),
    )
    assert not strategy.entry.written
    assert brief(strategy.entry.when) == "always"
    assert strategy.entry.order.slippage_max == Decimal("0.005")
    assert strategy.entry.size == SizeSpec(kind=SizeKind.PERCENT, amount=Decimal("0.05"))


def test_cancel_by_time_or_by_condition_alone() -> None:
    assert read(("Z1:", "O1: { after: 20s }\nZ1:")).cancel == CancelSection(after_us=20 * SECOND)
    cancel = read(("Z1:", "O1: { when: fast < slow }\nZ1:")).cancel
    assert cancel is not None
    assert cancel.after_us is None


def test_kelly_takes_a_fraction_and_a_cap() -> None:
    strategy = read(
        ("{ fixed: 500 USDT }", "{ kelly: 25%, cap: 10% of equity }"),
        ("  when: fast > slow", "  when: fast > slow\n  confidence: 0.8"),
    )
    assert strategy.entry.size == SizeSpec(kind=SizeKind.KELLY, amount=Decimal("0.25"), cap=Decimal("0.10"))


def test_bare_scalar_names_a_universe() -> None:
    strategy = read(("[BTC/USDT:USDT]", "majors"))
    assert (strategy.universe, strategy.instruments) == ("majors", ())


def test_underscored_instrument_stays_as_written() -> None:
    # which of the listed instruments it is, and the hint, is the configuration's to say
    assert read(("[BTC/USDT:USDT]", "[BTC_USDT]")).instruments == ("BTC_USDT",)


def test_rules_keep_their_order_and_read_lets() -> None:
    rules = "ZE1:\n  - { name: a, when: fast < slow for 3s }\n  - { name: b, when: entry_price > price }\n"
    exits = read(("protect:", f"{rules}protect:")).exits
    assert [rule.name for rule in exits] == ["a", "b"]
    assert isinstance(exits[0], ExitRule)
    assert brief(exits[0].when) == "for(lt(twpa(10000000, 0), twpa(300000000, 0)); 3000000)"


def test_all_faults_come_at_once_in_the_order_of_the_text() -> None:
    found = diagnostics_of(
        ("side: long", "side: buy"),
        ("  slow: twpa(5m)", "  slow: twpa(5)"),
        ("fast > slow", "fast > slow and imbalence > 3 and price > 5%"),
        ("{ fixed: 500 USDT }", "{ fixed: 500 }"),
        ("stop_loss: 2%", "stoploss: 2"),
        ("on_stop: cancel\n", "on_stop: maybe"),
    )
    assert [f"{d.line}:{d.column}: {d.message}" for d in found] == [
        "3:7: 'side' is a position's: write long; 'buy' is an order's side",
        "6:14: twpa() needs a window such as 10s, or from 5m to 1m here, 5 has no unit: price > twpa(5m)",
        "8:25: unknown name 'imbalence'; did you mean 'imbalance'?",
        "8:49: '>' compares price with ratio; divide the price by another price to get a ratio, "
        "such as price / twpa(5m) - 1",
        "11:18: 'fixed' needs a currency, such as 500 USDT",
        "12:12: unknown key 'stoploss' in protect; did you mean 'stop_loss'?",
        "13:10: 'on_stop' needs keep, cancel or flatten, not 'maybe'",
        "13:14: the file must end with a newline; it may be half-written, save it again",
    ]


def test_fault_in_a_let_is_not_repeated_where_it_is_used() -> None:
    found = diagnostics_of(
        ("  fast: twpa(10s)", "  fast: twpa(10)"), ("  slow: twpa(5m)", "  slow: fast * 2")
    )
    assert [(d.line, d.column) for d in found] == [(5, 14)]


@pytest.mark.parametrize("cut", range(1, len(STRATEGY)))
def test_half_written_file_never_passes(cut: int) -> None:
    strategy, diagnostics = read_strategy(STRATEGY[:cut], "small.yaml")
    assert strategy is None
    assert diagnostics


def test_too_many_instruments_and_rules_are_refused() -> None:
    names = ", ".join(f"A{n}/USDT" for n in range(201))
    (found,) = diagnostics_of(("[BTC/USDT:USDT]", f"[{names}]"))
    assert found.message == "201 instruments; at most 200 for one strategy"
    rules = "".join(f"  - {{ name: r{n}, when: always }}\n" for n in range(33))
    (found,) = diagnostics_of(("protect:", f"ZE1:\n{rules}protect:"))
    assert found.message == "ZE1 has 33 rules; at most 32"


def test_empty_rule_list_is_named() -> None:
    (found,) = diagnostics_of(("protect:", "ZE1:\nprotect:"))
    assert (found.line, found.column) == (12, 1)
    assert found.message.startswith("ZE1 is a list of rules; start each with '- '")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ETHBTC", "ETH/BTC or ETH/BTC:BTC"),
        ("sol-usdc", "SOL/USDC"),
        ("USDT", "BTC/USDT or BTC/USDT:USDT"),
        ("BTC-PERP.x", "BTC/USDT or BTC/USDT:USDT"),
    ],
)
def test_instrument_is_guessed(written: str, meant: str) -> None:
    (found,) = diagnostics_of(("[BTC/USDT:USDT]", f"[{written}]"))
    assert found.message == f"'{written}' is not an instrument; write it like {meant}"


def test_rule_name_is_suggested() -> None:
    rule = "ZE1: [ { name: 1-2-3, when: always } ]\nprotect:"
    (found,) = diagnostics_of(("protect:", rule))
    assert found.message.endswith("starting with a letter: a_name")


@pytest.mark.parametrize("name", ["pump_rider", "sma_cross", "mean_reversion", "breakout"])
def test_shipped_strategy_has_no_fault(name: str) -> None:
    path = ROOT / "strategies" / f"{name}.yaml"
    strategy, diagnostics = read_strategy(path.read_text(encoding="utf-8"), path.name)
    assert [d.render() for d in diagnostics] == []
    assert strategy is not None
    assert strategy.id == name
    assert strategy.about


def test_shipped_pump_rider_is_the_one_of_the_page() -> None:
    text = (ROOT / "strategies" / "pump_rider.yaml").read_text(encoding="utf-8")
    strategy, _ = read_strategy(text, "pump_rider.yaml")
    assert strategy is not None
    assert strategy.instruments == ("EVX/BTC", "RCN/BTC")
    rush = "zscore(rush_orders(25000000, 0); 25200000000, 25000000)"
    rush = "zscore(rush_orders(25000000, 0); 25200000000, 25000000)"
    assert brief(strategy.signal.when).startswith(f"and(lt(40, {rush}), ")
    assert strategy.signal.cooldown_us == 30 * MINUTE
    assert [rule.name for rule in (*strategy.exits, *strategy.emergencies)] == ["half", "fade", "crash"]
    assert strategy.protect.holding_max_us == 5 * MINUTE
    assert strategy.warmup_us == 7 * 3600 * SECOND + 50 * SECOND


def test_clauses_needing_trades_are_named() -> None:
    strategy = read(
        ("  slow: twpa(5m)", "  slow: sma(close(1m), 5)"),
        ("fast > slow", "fast > slow and volume(10s) > 3"),
        ("  when: always", "  when: mark_price > slow"),
    )
    found = clauses_unfit_for_bars(strategy, MINUTE)
    assert [f"{d.line}:{d.column}: {d.message}" for d in found] == [
        "5:9: let.fast uses 'twpa', which needs trades, "
        "and these data are bars only; write sma(close(1m), 5)",
        "8:25: S1.when uses 'volume', which needs trades, and these data are bars only; write bar_volume(1m)",
        "10:9: Z1.when uses 'mark_price', which needs mark prices, and these data are bars only; remove it",
    ]


def test_bar_strategy_needs_no_trades() -> None:
    text = (ROOT / "strategies" / "sma_cross.yaml").read_text(encoding="utf-8")
    strategy, _ = read_strategy(text, "sma_cross.yaml")
    assert strategy is not None
    assert clauses_unfit_for_bars(strategy, MINUTE) == []


def test_bars_that_are_no_multiple_of_the_data_are_named() -> None:
    text = (ROOT / "strategies" / "sma_cross.yaml").read_text(encoding="utf-8")
    assert "close(1m)" in text
    for length, nearest in (("30s", "1m"), ("90s", "2m"), ("61m", "1h1m")):
        strategy, _ = read_strategy(text.replace("close(1m)", f"close({length})"), "sma_cross.yaml")
        assert strategy is not None
        if length == "61m":
            assert clauses_unfit_for_bars(strategy, MINUTE) == []
            continue
        found = clauses_unfit_for_bars(strategy, MINUTE)
        assert found
        assert found[0].line == 1 + text[: text.index("close(1m)")].count("\n")
        shown = {"30s": "30s", "90s": "1m30s"}[length]
        assert found[0].message.endswith(
            f" uses bars of {shown}, and these data are bars of 1m; "
            f"write {nearest}, or another multiple of 1m"
        )


def test_faults_of_nested_keys_point_at_the_nearest_written_key() -> None:
    text = edited(("{ fixed: 500 USDT }", "{ kelly: 25% }"))
    _, (warning,) = read_strategy(text, "small.yaml")
    assert (warning.line, warning.column) == (11, 11)
