"""The shared graph: one node per value, whatever way and order it was written in."""

from __future__ import annotations

import math

import pytest

from botd.engine import layout
from botd.errors import InvariantBroken
from botd.language import opcodes as op
from botd.language.graph import Graph, Node, Plane, has_position_words
from botd.language.parser import parse_expression
from botd.language.source import Faults, Source
from botd.language.typed import RATIO, Expr, Span

SECOND = 1_000_000


def parsed(text: str, *, position_words: bool = False) -> Expr:
    faults = Faults(Source("tried.yaml", text))
    expr = parse_expression(faults, 0, len(text), {}, position_words=position_words)
    assert expr is not None, [d.render() for d in faults.diagnostics()]
    return expr


def lowered(*texts: str) -> tuple[Node, ...]:
    graph = Graph()
    return tuple(graph.lower(parsed(text)) for text in texts)


def raw(name: str, *args: Expr, params: tuple[int | float, ...] = ()) -> Expr:
    return Expr(op=name, args=args, params=params, unit=RATIO, span=Span(0, 0))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("price + twpa(5s)", "twpa(5s) + price"),
        ("volume(5s) * price", "price * volume(5s)"),
        ("price == twpa(5s)", "twpa(5s) == price"),
        ("price != mid", "mid != price"),
        ("price > 1 and mid > 2", "mid > 2 and price > 1"),
        ("price > 1 or mid > 2", "mid > 2 or price > 1"),
        ("price > mid", "mid < price"),
        ("price >= mid", "mid <= price"),
        ("price crosses below mid", "mid crosses above price"),
        ("velocity(5s, 1m)", "twpa(5s) / twpa(1m) - 1"),
        ("volume_surge(5s, 1m)", "(volume(5s) / 5) / (volume(1m) / 60)"),
        ("range(1m)", "high(1m) - low(1m)"),
        ("bollinger_upper(close(1m), 20, 2)", "sma(close(1m), 20) + stddev(close(1m), 20) * 2"),
        ("bollinger_lower(close(1m), 20, 2)", "sma(close(1m), 20) - stddev(close(1m), 20) * 2"),
        ("twpa(60s)", "twpa(from 1m to 0s)"),
        ("clamp(price, 1, 2)", "max(min(price, 2), 1)"),
        ("price * (2 + 3)", "price * 5"),
        ("price - (7 - 2) / (2 * 2)", "price - 1.25"),
        ("price + 3", "3 + price"),
        ("close(1m)[2 bars ago][3 bars ago]", "close(1m)[5 bars ago]"),
        ("(sma(close(1m), 3) - 2)[4 bars ago]", "sma(close(1m), 3)[4 bars ago] - 2"),
        ("3[5s ago] + price", "price + 3"),
        ("atr(1m, 14)", "atr(60s, 14)"),
    ],
)
def test_equal_values_are_one_node(one: str, other: str) -> None:
    a, b = lowered(one, other)
    assert a is b


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("price - mid", "mid - price"),
        ("price / mid", "mid / price"),
        ("price < mid", "mid < price"),
        ("price < 3", "3 < price"),
        ("price <= 3", "3 <= price"),
        ("price - 3", "3 - price"),
        ("price / 3", "3 / price"),
        ("twpa(5s)", "twpa(6s)"),
        ("twpa(5s)", "twpa(from 5s to 1s)"),
        ("volume(5s)", "buys(5s)"),
        ("sma(close(1m), 3)", "sma(open(1m), 3)"),
        ("sma(close(1m), 3)", "sma(close(1m), 3)[1 bars ago]"),
        ("price > 1 for 3s", "price > 1 for 4s"),
        ("zscore(count(5s), 1m, every 5s)", "zscore(volume(5s), 1m, every 5s)"),
        ("always", "never"),
        ("price[5s ago]", "price[6s ago]"),
        ("macd(close(1m), 3, 6)", "macd_signal(close(1m), 3, 6, 4)"),
    ],
)
def test_different_values_are_different_nodes(one: str, other: str) -> None:
    a, b = lowered(one, other)
    assert a is not b
    assert a.hash != b.hash


def test_hash_does_not_depend_on_what_was_lowered_before() -> None:
    text = "zscore(rush_orders(25s), 7h, every 25s) > 40 and volume(10s) / volume(10m) > 3"
    (alone,) = lowered(text)
    *_, after = lowered("volume(10m) > 3", "price crosses above mid", "mid + price > 4", text)
    assert alone.hash == after.hash


def test_windows_share_the_cursor_of_their_edge() -> None:
    graph = Graph()
    for text in ("twpa(10s)", "volume(10s)", "high(10s)", "price[10s ago]", "vwap(from 1m to 10s)"):
        graph.lower(parsed(text))
    assert sorted(n.ip[0] for n in graph.nodes if n.op == op.EDGE) == [10 * SECOND, 60 * SECOND]


def test_window_that_ends_now_has_no_edge_at_its_end() -> None:
    now, before = lowered("change(5s)", "change(from 5s to 1s)")
    assert (now.op, len(now.args)) == (op.CHANGE0, 1)
    assert (before.op, len(before.args)) == (op.CHANGE, 2)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("price < 3", op.LTFC),
        ("price > 3", op.LTCF),
        ("price <= 3", op.LEFC),
        ("price >= 3", op.LECF),
        ("price + 3", op.ADDC),
        ("price * 3", op.MULC),
        ("price - 3", op.SUBFC),
        ("3 - price", op.SUBCF),
        ("price / 3", op.DIVFC),
        ("3 / price", op.DIVCF),
    ],
)
def test_numbers_become_immediates(text: str, code: int) -> None:
    (node,) = lowered(text)
    assert (node.op, node.fp, len(node.args)) == (code, (3.0,), 1)


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (raw("add", raw("const", params=(2.0,)), raw("const", params=(3.0,))), 5.0),
        (raw("sub", raw("const", params=(2.0,)), raw("const", params=(3.0,))), -1.0),
        (raw("mul", raw("const", params=(2.0,)), raw("const", params=(3.0,))), 6.0),
        (raw("div", raw("const", params=(3.0,)), raw("const", params=(2.0,))), 1.5),
        (raw("div", raw("const", params=(3.0,)), raw("const", params=(0.0,))), math.nan),
        (raw("neg", raw("const", params=(3.0,))), -3.0),
    ],
)
def test_arithmetic_of_numbers_is_done_at_once(expr: Expr, value: float) -> None:
    node = Graph().lower(expr)
    assert node.op == op.CONST
    assert node.fp[0] == value or (math.isnan(node.fp[0]) and math.isnan(value))


def test_comparison_of_two_numbers_is_left_to_the_kernels() -> None:
    (node,) = lowered("2 < 3")
    assert (node.op, node.plane) == (op.LTFC, Plane.U)


def test_planes_follow_the_operators() -> None:
    nodes = lowered("price", "price > 3", "(price > 3)[5s ago]", "always", "price[5s ago]")
    assert [n.plane for n in nodes] == [Plane.F, Plane.U, Plane.U, Plane.U, Plane.F]
    edge, history = nodes[4].args
    assert (edge.plane, history.plane) == (Plane.C, Plane.NONE)


def test_samples_of_counts_have_a_least_deviation() -> None:
    nodes = lowered(
        "zscore(rush_orders(5s), 1m, every 5s)",
        "zscore(count(5s), 1m, every 5s)",
        "zscore(volume(5s), 1m, every 5s)",
    )
    assert [n.fp for n in nodes] == [(0.3,), (0.3,), (0.0,)]


def test_long_window_measures_its_slope_in_coarser_time() -> None:
    short, long = lowered("slope(1s)", "slope(1h)")
    assert short.ip == (1,)
    assert long.ip == (3600 * SECOND >> 20,)


def test_ago_of_nothing_is_the_value_itself() -> None:
    graph = Graph()
    price = raw("price")
    assert graph.lower(raw("ago", price, params=(0,))) is graph.lower(price)


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        (raw("pnl"), "'pnl' outside a position rule"),
        (raw("bars_ago", raw("price"), params=(2,)), "'price' has no value of an earlier bar"),
        (raw("sma", raw("price"), params=(2,)), "'price' is no series of bars"),
    ],
)
def test_what_the_checks_refuse_breaks_an_invariant(expr: Expr, why: str) -> None:
    with pytest.raises(InvariantBroken, match=why):
        Graph().lower(expr)


def test_position_words_are_found_at_any_depth() -> None:
    assert has_position_words(parsed("price > 3 and max(pnl, 2) > 1", position_words=True))
    assert not has_position_words(parsed("price > 3 and max(mid, 2) > 1"))


def test_column_numbers_are_those_of_the_ring() -> None:
    names = ("CUM_PT", "CUM_V", "CUM_PV", "CUM_N", "CUM_BUY", "CUM_RUSH")
    assert [getattr(op, name) for name in names] == [getattr(layout, name) for name in names]


@pytest.mark.parametrize(
    ("sampled", "floor"),
    [
        ("count(5s)", 0.3),
        ("count(5s) + rush_orders(5s)", 0.3),
        ("max(count(5s), 1)", 0.3),
        ("count(5s)[1s ago]", 0.3),
        ("volume(5s)", 0.0),
        ("price", 0.0),
    ],
)
def test_deviation_is_floored_wherever_counts_are_sampled(sampled: str, floor: float) -> None:
    (node,) = lowered(f"zscore({sampled}, 1m, every 5s)")
    assert (node.op, node.fp) == (op.ZSCORE, (floor,))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("sma(close(2m), 3) crosses above sma(close(1m), 3) * 2", "1m"),
        ("rsi(close(5m), 14) crosses below 30", "5m"),
        ("close(1m) crosses above close(1m)[2 bars ago]", "1m"),
        ("price crosses above sma(close(1m), 3)", ""),
        ("sma(close(1m), 3)[90s ago] crosses above sma(close(1m), 3)", ""),
        ("sma(close(1m), 3) crosses above sma(close(1m), 3) + price", ""),
        ("price crosses above 3", ""),
    ],
)
def test_crossing_of_bars_only_goes_by_their_shortest(text: str, length: str) -> None:
    (node,) = lowered(text)
    if not length:
        assert node.op == op.CROSS
        return
    assert node.op == op.CROSS_BARS
    assert node.args[2].ip == (int(length[0]) * 60_000_000,)
