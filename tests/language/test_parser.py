from __future__ import annotations

import pytest

from botd.language.parser import parse_expression
from botd.language.source import Faults, Source
from botd.language.typed import BOOL, COUNT, NUMBER, PRICE, QTY, QUOTE, RATIO, SECONDS, Expr, Span, Unit
from tests.language.texts import brief, parse

SECOND = 1_000_000
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # precedence: or < and < not < for < comparison < + - < * / < sign < [ago]
        ("1 + 2 * 3 < 4", "lt(add(1, mul(2, 3)), 4)"),
        ("1 - 2 - 3 < 4", "lt(sub(sub(1, 2), 3), 4)"),
        ("8 / 4 / 2 < 4", "lt(div(div(8, 4), 2), 4)"),
        ("-2 * 3 < 4", "lt(mul(-2, 3), 4)"),
        ("-price[5s ago] < 4", "lt(neg(ago(price; 5000000)), 4)"),
        ("(1 + 2) * 3 < 4", "lt(mul(add(1, 2), 3), 4)"),
        ("always or never and always", "or(always, and(never, always))"),
        ("not never and always", "and(not(never), always)"),
        ("not price < 2 for 3s", "not(for(lt(price, 2); 3000000))"),
        ("always and price < 2 for 3s", "and(always, for(lt(price, 2); 3000000))"),
        ("(always and never) for 3s or never", "or(for(and(always, never); 3000000), never)"),
        ("always for 3s for 1m", "for(for(always; 3000000); 60000000)"),
        # > and >= swap their sides
        ("price > 1", "lt(1, price)"),
        ("price >= 1", "le(1, price)"),
        ("price < 1", "lt(price, 1)"),
        ("price <= 1", "le(price, 1)"),
        ("price == 1", "eq(price, 1)"),
        ("price != 1", "ne(price, 1)"),
        ("mid crosses above price", "crosses_above(mid, price)"),
        ("mid crosses below price + 1", "crosses_below(mid, add(price, 1))"),
        # windows
        ("twpa(10s) < 1", "lt(twpa(10000000, 0), 1)"),
        ("twpa(from 5m to 1m) < 1", "lt(twpa(300000000, 60000000), 1)"),
        ("twpa(from 5m to 0s) < 1", "lt(twpa(300000000, 0), 1)"),
        ("velocity(10s, 5m) < 1%", "lt(velocity(10000000, 300000000), 0.01)"),
        ("zscore(rush_orders(25s), 7h, every 25s) < 1",
         "lt(zscore(rush_orders(25000000, 0); 25200000000, 25000000), 1)"),
        # bars
        ("sma(close(1m), 10) < 1", "lt(sma(close(60000000); 10), 1)"),
        ("atr(1m, 14) < 1", "lt(atr(60000000, 14), 1)"),
        ("macd_signal(close(5m), 12, 26, 9) < 1", "lt(macd_signal(close(300000000); 12, 26, 9), 1)"),
        ("bollinger_upper(close(1m), 20, 2.5) < 1", "lt(bollinger_upper(close(60000000); 20, 2.5), 1)"),
        ("close(1m)[3 bars ago] < 1", "lt(bars_ago(close(60000000); 3), 1)"),
        ("(close(1m) - open(1m))[1 bar ago] < 1",
         "lt(bars_ago(sub(close(60000000), open(60000000)); 1), 1)"),
        ("sma(close(1m), 5)[2 bars ago] < 1", "lt(bars_ago(sma(close(60000000); 5); 2), 1)"),
        # words with two forms
        ("stddev(1m) < 1", "lt(stddev(60000000, 0), 1)"),
        ("stddev(close(1m), 20) < 1", "lt(stddev_bars(close(60000000); 20), 1)"),
        ("zscore(close(1m), 20) < 1", "lt(zscore_bars(close(60000000); 20), 1)"),
        ("zscore(close(1m), 1h, every 1m) < 1", "lt(zscore(close(60000000); 3600000000, 60000000), 1)"),
        # plain
        ("min(1, 2, 3) < 4", "lt(min(min(1, 2), 3), 4)"),
        ("max(price, 2) < 4", "lt(max(price, 2), 4)"),
        ("clamp(price, 1, 2) < 4", "lt(clamp(price, 1, 2), 4)"),
        ("if(always, price, 2) < 4", "lt(if(always, price, 2), 4)"),
        ("abs(-1) < 4", "lt(abs(-1), 4)"),
        ("ago(price, 5s) < 4", "lt(ago(price; 5000000), 4)"),
        ("(price > 1)[5s ago]", "ago(lt(1, price); 5000000)"),
        # numbers
        ("1h30m < held", "lt(5400, held)"),
        ("1% < pnl", "lt(0.01, pnl)"),
        ("50bps < pnl", "lt(0.005, pnl)"),
        ("1.5e-3 < price", "lt(0.0015, price)"),
        ("500ms < held", "lt(0.5, held)"),
    ],
)  # fmt: skip
def test_tree(text: str, tree: str) -> None:
    assert brief(parse(text)) == tree


PER_SECOND = Unit(PRICE.kind, price=1, seconds=-1)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("price", PRICE),
        ("volume(5s)", QTY),
        ("price * volume(5s)", QUOTE),
        ("price * volume(5s) / volume(5s)", PRICE),
        ("price / mid", RATIO),
        ("price / mid - 1", RATIO),
        ("price - 1", PRICE),
        ("1 - price", PRICE),
        ("price / 2", PRICE),
        ("2 * price", PRICE),
        ("1 + 2", NUMBER),
        ("1 / 2", NUMBER),
        ("10s", SECONDS),
        ("held + 5s", SECONDS),
        ("slope(1m)", PER_SECOND),
        ("slope(1m) * 10s", PRICE),
        ("count(5s)", COUNT),
        ("count(5s) + 1", COUNT),
        ("count(5s) / 60", COUNT),
        ("count(5s) / count(5m)", RATIO),
        ("count(5s) * count(5s)", COUNT),
        ("price / count(5s)", PRICE),
        ("count(5s) * spread", RATIO),
        ("rsi(close(1m), 14)", COUNT),
        ("sma(bar_volume(1m), 5)", QTY),
        ("sma(close(1m), 5)", PRICE),
        ("zscore(price, 5m, every 1s)", COUNT),
        ("-close(1m)", PRICE),
        ("close(1m) - open(1m)", PRICE),
        ("if(always, 1, price)", PRICE),
        ("min(1, price)", PRICE),
        ("abs(1)", NUMBER),
        ("price > 1", BOOL),
        ("close(1m)[1 bar ago]", PRICE),
        ("volume(5s)[5s ago]", QTY),
    ],
)
def test_unit(text: str, unit: Unit) -> None:
    assert parse(text).unit == unit


def test_span_covers_the_text_of_a_node() -> None:
    text = "  (price + 1) > twpa(5m) "
    expr = parse(text)
    right, left = expr.args
    assert text[expr.span.start : expr.span.end] == "(price + 1) > twpa(5m)"
    assert text[left.span.start : left.span.end] == "(price + 1)"
    assert text[right.span.start : right.span.end] == "twpa(5m)"


def test_equality_ignores_where_an_expression_stands() -> None:
    assert parse("price > twpa(5m)") == parse("price   >  (twpa(5m))")


def test_names_are_replaced_and_shown_where_they_are_used() -> None:
    fast = parse("twpa(10s)")
    expr = parse("1 < fast", {"fast": fast})
    assert expr.args[1] == fast
    assert expr.args[1].span == Span(4, 8)


def test_named_constants_serve_as_parameters() -> None:
    names = {"window": parse("10s"), "periods": parse("14")}
    assert brief(parse("twpa(window) < 1", names)) == "lt(twpa(10000000, 0), 1)"
    assert brief(parse("rsi(close(window), periods) < 30", names)) == "lt(rsi(close(10000000); 14), 30)"
    assert brief(parse("always for window", names)) == "for(always; 10000000)"
    assert brief(parse("price[window ago]", names)) == "ago(price; 10000000)"


def test_name_that_is_no_duration_is_refused_as_one() -> None:
    names = {"fast": parse("twpa(10s)")}
    assert messages("always for fast", names) == [
        "1:12: 'for' needs a duration of at most 7d, such as speed < 0 for 3s"
    ]


def test_expression_may_go_on_over_lines() -> None:
    assert brief(parse("price\n   >\r\n\t1")) == "lt(1, price)"


def messages(text: str, names: dict[str, Expr] | None = None, want: Unit | None = None) -> list[str]:
    faults = Faults(Source("x", text))
    expr = parse_expression(faults, 0, len(text), names or {}, position_words=False, want=want)
    assert (expr is None) == faults.refused
    return [f"{d.line}:{d.column}: {d.message}" for d in faults.diagnostics()]


def test_one_expression_reports_several_faults() -> None:
    assert messages("imbalence > 3 and price > 5% or pnl > 1%") == [
        "1:1: unknown name 'imbalence'; did you mean 'imbalance'?",
        "1:25: '>' compares price with ratio; divide the price by another price to get a ratio, "
        "such as price / twpa(5m) - 1",
        "1:33: 'pnl' exists only in ZE1 and E1, where there is a position; use it in a rule there",
    ]


def test_broken_name_causes_no_further_fault() -> None:
    bad = Expr(op="broken", unit=NUMBER, span=Span(0, 1))
    names = {"bad": bad}
    for text in (
        "bad > price and not bad and bad",
        "-bad + 1 < min(bad, 5%)",
        "bad crosses above 5%",
        "bad for 3s",
        "always for bad",
        "bad[5s ago] < 1",
        "price[bad ago] < 1",
        "bad[3 bars ago] < 1",
        "twpa(bad) < 5%",
    ):
        assert parse_expression(Faults(Source("x", text)), 0, len(text), names, position_words=False) is None
        faults = Faults(Source("x", text))
        parse_expression(faults, 0, len(text), names, position_words=False)
        assert faults.diagnostics() == [], text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: expected a value here, found end of the expression"),
        ("price > 1 and", "1:14: expected a value here, found end of the expression"),
        ("price > *", "1:9: expected a value here, found '*'"),
        ("price > for", "1:9: expected a value here, found 'for'"),
        ("price > 1 Or price < 0", "1:11: write 'or' instead of 'Or'"),
        ("price > 5 bps", "1:9: leave out the space: 5bps"),
        ("price > 5 apples", "1:11: 'apples' cannot follow here; "
         "an operator such as and, or, <, + is missing"),
        ("min(1 2) > 1", "1:7: '2' cannot follow here; ')' or an operator such as and, or, <, + is missing"),
        ("price, 3", "1:6: a comma stands between arguments only; digits are not grouped: 1000"),
        ("price > 1]", "1:10: this ']' closes nothing; remove it"),
        ("price[5s ago, 3] > 1", "1:13: expected ']' here, which closes the '['"),
        ("price[5s ago", "1:6: this '[' is never closed; add ']'"),
        ("close(1m)[3 bars] > 1", "1:10: say that it is in the past: close(1m)[3 bars ago]"),
        ("close(1m)[5001 bars ago] > 1", "1:11: this needs a whole number of bars from 1 to 5000"),
        ("5[1 bar ago] > 1",
         "1:1: only bar words have bars ago, such as close(1m)[3 bars ago]; for others write [5s ago]"),
        ("clamp(close(1m), 1, 2)[1 bar ago] > 1",
         "1:1: only bar words have bars ago, such as close(1m)[3 bars ago]; for others write [5s ago]"),
        ("always for price", "1:12: 'for' needs a duration of at most 7d, such as speed < 0 for 3s"),
        ("always for 8d", "1:12: 'for' needs a duration of at most 7d, such as speed < 0 for 3s"),
        ("price > 1e-999", "1:9: this number is too long; write at most 40 digits"),
        ("price > 5..2", "1:9: '5..2' is not a number; write it like 10, 0.5, 10s, 1h30m, 1% or 50bps"),
        ("_x > 1", "1:1: unknown name '_x'; name it under let, or use a word that botd words lists"),
        ("zscore(mid > 2, 1h, every 1s) > 1",
         "1:8: zscore() needs a value here, this is a condition: "
         "zscore(rush_orders(25s), 7h, every 25s) > 40"),
        ("sma(price, 5) > 1",
         "1:5: sma() needs a bar series such as close(1m) first, this is price: sma(close(1m), 10)"),
        ("sma(spread, 5) > 1",
         "1:5: sma() needs a bar series such as close(1m) first, this is a ratio: sma(close(1m), 10)"),
        ("sma(count(5s), 5) > 1",
         "1:5: sma() needs a bar series such as close(1m) first, this is a count: sma(close(1m), 10)"),
        ("sma(close(1m) + 1, 5) > 1",
         "1:5: sma() needs a bar series such as close(1m) first, this is price; "
         "arithmetic and averages of bars are single values: sma(close(1m), 10)"),
        ("zscore(price, 31d, every 1h) > 1", "1:15: this reaches back too far; at most 30d"),
        ("1 & 2", "1:3: '&' means nothing here; write 'and'"),
        ("price > ٣", "1:9: '٣' means nothing here; "
         "only letters, digits and + - * / ( ) [ ] < > = , can stand here"),
        ("price;", "1:6: ';' means nothing here; one expression per rule; join them with 'and' or 'or'"),
    ],
)  # fmt: skip
def test_fault(text: str, message: str) -> None:
    assert messages(text) == [message]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("price > 1", BOOL),
        ("spread", RATIO),
        ("0.7", RATIO),
        ("count(5s) / 40", RATIO),
        ("5", PRICE),
        ("mid", PRICE),
    ],
)
def test_wanted_unit_fits(text: str, want: Unit) -> None:
    assert messages(text, want=want) == []


def test_wanted_value_refuses_a_condition() -> None:
    assert messages("price > 1", want=RATIO) == [
        "1:1: this needs a ratio, this is bool; write it like clamp(change(10s) / 5%, 0, 1)"
    ]


def test_limits_of_size() -> None:
    assert messages("+".join(["1"] * 64) + " < 2") == [
        "1:131: more than 128 terms; name parts of it under let"
    ]
    assert messages("(" * 31 + "always" + ")" * 31) == []
    assert messages("(" * 32 + "always" + ")" * 32) == [
        "1:33: nested deeper than 32 levels; name the inner parts under let"
    ]
    assert messages("x" * 513)[0].startswith("1:1: this is 513 characters long, more than 512")
    assert messages(" " * 300 + "always" + " " * 300) == []


def test_depth_with_names_written_out_is_limited() -> None:
    expr = parse("price")
    for _ in range(3):
        expr = parse("-(" * 15 + "x" + ")" * 15, {"x": expr})
    names = {"x": expr}
    for _ in range(5):
        names = {"x": parse("-(" * 15 + "x" + ")" * 15, names)}
    assert messages("-(" * 15 + "x" + ")" * 15, names) == [
        "1:1: with its named values written out this is too large (over 2048 terms or 128 levels); "
        "simplify the names"
    ]


def test_warnings_leave_the_expression() -> None:
    assert messages("imbalance > 2") == [
        "1:1: 'imbalance' runs from -1 to 1, so this is never true; check the number"
    ]
    assert messages("spread > 2") == ["1:10: 2 means 200%; write 2% if that is meant"]
    assert messages("0.5 < change(5s)") == []
    assert messages("time_of_day > 3600") == ["1:15: 3600 counts as seconds; write 3600s"]
    assert messages("day_of_week == 6") == []
    assert messages("time_of_day > 0") == []
    assert messages("rsi(close(1m), 5) < rsi(close(1m), 9)") == []
    assert messages("1 < 2") == ["1:1: this compares two numbers and is always true; write always"]
    assert messages("rsi(close(1m), 5) crosses above 101") == [
        "1:1: 'rsi' runs from 0 to 100, so this is never true; check the number"
    ]
