"""The sections of a strategy file, each from its YAML to its typed value."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from botd.errors import InputInvalid
from botd.language.document import MapNode, Node, SeqNode
from botd.language.fields import Fields, Scope
from botd.language.quantities import (
    DURATION_UNITS_US,
    parse_duration,
    parse_equity_share,
    parse_money,
    parse_ratio,
    parse_share,
)
from botd.language.source import did_you_mean
from botd.language.typed import (
    BOOL,
    PRICE,
    RATIO,
    CancelSection,
    EntrySection,
    EntryType,
    ExitRule,
    Expr,
    OrderSpec,
    Protect,
    SignalSection,
    SizeKind,
    SizeSpec,
    Span,
)

N = TypeVar("N", Decimal, int)
E = TypeVar("E", bound=StrEnum)

SIGNAL_KEYS: Final = ("when", "confidence", "confidence_min", "cooldown", "order", "size")
CANCEL_KEYS: Final = ("when", "after")
ENTRY_KEYS: Final = ("when", "order", "size")
ORDER_KEYS: Final = ("type", "slippage_max", "price", "ttl")
SIZE_KEYS: Final = ("fixed", "percent", "risk", "kelly", "cap")
EXIT_KEYS: Final = ("name", "when", "close")
EMERGENCY_KEYS: Final = ("name", "when", "close", "cooldown")
PROTECT_KEYS: Final = ("stop_loss", "take_profit", "trailing_stop", "holding_max")

COOLDOWN_US: Final = DURATION_UNITS_US["m"]
LONGEST_US: Final = 30 * DURATION_UNITS_US["d"]
RULES_MAX: Final = 32
CLOSE_DEFAULTS: Final = {"ZE1": Decimal("0.5"), "E1": Decimal(1)}
SIZE_EXAMPLE: Final = "{ fixed: 500 USDT }"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def parse_name(text: str) -> str:
    """Parse an id or a rule's name."""
    if _NAME.fullmatch(text):
        return text
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower(), flags=re.ASCII).strip("_")[:40]
    better = plain if _NAME.fullmatch(plain) else "a_name"
    raise InputInvalid(f"needs small letters, digits and _, at most 40, starting with a letter: {better}")


def parse_choice(kind: type[E]) -> Callable[[str], E]:
    """Return the parser of a closed set of words."""

    def parse(text: str) -> E:
        words = [member.value for member in kind]
        if text in words:
            return kind(text)
        advice = did_you_mean(text, words)
        choice = f"{', '.join(words[:-1])} or {words[-1]}"
        raise InputInvalid(f"needs {choice}, not '{text[:40]}'{advice}")

    return parse


def within(parse: Callable[[str], N], least: N, most: N, said: str) -> Callable[[str], N]:
    """Return a parser that also refuses values outside of (least, most]."""

    def parse_within(text: str) -> N:
        value = parse(text)
        if not least < value <= most:
            raise InputInvalid(f"must be {said}")
        return value

    return parse_within


_share_to_close = within(parse_ratio, Decimal(0), Decimal(1), "more than 0% and at most 100%")
_loss = within(parse_ratio, Decimal(0), Decimal("0.999999"), "more than 0% and under 100%")
_gain = within(parse_ratio, Decimal(0), Decimal(100), "more than 0% and at most 10000%")
_slippage = within(parse_ratio, Decimal(0), Decimal("0.5"), "more than 0% and at most 50%")
_fraction = within(parse_ratio, Decimal(0), Decimal(1), "more than 0% and at most 100%")
_of_equity = within(parse_equity_share, Decimal(0), Decimal(10), "more than 0% and at most 1000%")
_risked = within(parse_equity_share, Decimal(0), Decimal(1), "more than 0% and at most 100%")
_time = within(parse_duration, 0, LONGEST_US, "more than 0s and at most 30d")
_pause = within(parse_duration, -1, LONGEST_US, "at most 30d")


def read_signal(fields: Fields) -> SignalSection:
    """Read S1."""
    fields.need("when", "price > high(from 60s to 2s)")
    confidence = fields.expression("confidence", RATIO) if fields.has("confidence") else None
    confidence_min = fields.value("confidence_min", parse_share, Decimal(-1))
    return SignalSection(
        when=fields.expression("when", BOOL),
        confidence=confidence,
        confidence_min=confidence_min if confidence_min >= 0 else None,
        cooldown_us=fields.value("cooldown", _pause, COOLDOWN_US),
    )


def read_cancel(fields: Fields) -> CancelSection:
    """Read O1."""
    if not fields.has("when", "after"):
        fields.need("after", "20s")
    return CancelSection(
        when=fields.expression("when", BOOL) if fields.has("when") else None,
        after_us=fields.value("after", _time, 0) or None,
    )


def read_entry(fields: Fields, *, written: bool) -> EntrySection:
    """Read Z1, or order and size of S1 when there is no Z1."""
    if written:
        fields.need("when", "always")
    fields.need("size", SIZE_EXAMPLE)
    when = fields.expression("when", BOOL) if written else always(fields.span)
    return EntrySection(when=when, order=_read_order(fields), size=_read_size(fields), written=written)


def always(span: Span) -> Expr:
    """Return the condition that holds at every row."""
    return Expr(op="always", unit=BOOL, span=span)


def _read_order(fields: Fields) -> OrderSpec:
    if not fields.has("order"):
        return OrderSpec()
    order = fields.section("order", ORDER_KEYS)
    order.need("type", "market")
    kind = order.value("type", parse_choice(EntryType), EntryType.MARKET)
    faults = fields.scope.faults
    if kind is EntryType.LIMIT:
        order.need("price", "best_bid")
        if order.has("slippage_max"):
            faults.error(
                order.key_span("slippage_max"), "a limit order has no slippage; remove 'slippage_max'"
            )
    else:
        for key in ("price", "ttl"):
            if order.has(key):
                faults.error(
                    order.key_span(key), f"'{key}' is for limit orders; write type: limit, or remove it"
                )
    slippage = order.value("slippage_max", _slippage, Decimal(0))
    return OrderSpec(
        type=kind,
        slippage_max=slippage or None,
        price=order.expression("price", PRICE) if order.has("price") else None,
        ttl_us=order.value("ttl", _time, 0) or None,
    )


def _read_size(fields: Fields) -> SizeSpec:
    size = fields.section("size", SIZE_KEYS)
    given = [kind for kind in SizeKind if size.has(kind.value)]
    faults = fields.scope.faults
    if len(given) > 1:
        names = " and ".join(f"'{kind}'" for kind in given)
        faults.error(size.key_span(given[1].value), f"{names} both say how much; keep one")
    elif not given and isinstance(fields.node("size"), MapNode):
        faults.error(
            size.span, f"size lacks the amount; write it like {SIZE_EXAMPLE} or {{ risk: 1% of equity }}"
        )
    cap = size.value("cap", _of_equity, Decimal(0)) or None
    kind = given[0] if given else SizeKind.FIXED
    if kind is SizeKind.FIXED:
        amount, currency = size.value("fixed", parse_money, (Decimal(1), "USDT"))
        if amount <= 0:
            faults.error(size.value_span("fixed"), "'fixed' must be more than 0")
        return SizeSpec(kind=kind, amount=amount, currency=currency, cap=cap)
    parse = {SizeKind.PERCENT: _of_equity, SizeKind.RISK: _risked, SizeKind.KELLY: _fraction}[kind]
    return SizeSpec(kind=kind, amount=size.value(kind.value, parse, Decimal(1)), cap=cap)


def read_rules(scope: Scope, node: Node, section: str, span: Span) -> tuple[ExitRule, ...]:
    """Read the named rules of ZE1 or E1."""
    if not isinstance(node, SeqNode):
        shown = node.span if node.span.end > node.span.start else span
        scope.faults.error(
            shown,
            f"{section} is a list of rules; start each with '- ', such as - {{ name: out, when: pnl > 3% }}",
        )
        return ()
    if len(node.items) > RULES_MAX:
        scope.faults.error(span, f"{section} has {len(node.items)} rules; at most {RULES_MAX}")
    rules = [_read_rule(scope, item, section) for item in node.items]
    seen: set[str] = set()
    for rule, item in zip(rules, node.items, strict=True):
        if rule.name and rule.name in seen:
            scope.faults.error(item.span, f"{section} has two rules named '{rule.name}'; rename one")
        seen.add(rule.name)
    return tuple(rules)


def _read_rule(scope: Scope, item: Node, section: str) -> ExitRule:
    known = EMERGENCY_KEYS if section == "E1" else EXIT_KEYS
    fields = Fields(scope, item, f"a rule of {section}", item.span, known)
    fields.need("name", "fade")
    fields.need("when", "pnl < -1%")
    return ExitRule(
        name=fields.value("name", parse_name, ""),
        when=fields.expression("when", BOOL, position_words=True),
        close=fields.value("close", _share_to_close, CLOSE_DEFAULTS[section]),
        cooldown_us=fields.value("cooldown", _pause, 0),
    )


def read_protect(fields: Fields) -> Protect:
    """Read protect."""
    return Protect(
        stop_loss=fields.value("stop_loss", _loss, Decimal(0)) or None,
        take_profit=fields.value("take_profit", _gain, Decimal(0)) or None,
        trailing_stop=fields.value("trailing_stop", _loss, Decimal(0)) or None,
        holding_max_us=fields.value("holding_max", _time, 0) or None,
    )
