"""The keys of one mapping: which may stand there, which must, and what their values are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from botd.errors import InputInvalid
from botd.language.calls import broken
from botd.language.document import Entry, MapNode, Node, ScalarNode
from botd.language.parser import parse_expression
from botd.language.source import Faults, nearest
from botd.language.typed import Expr, Span, Unit

T = TypeVar("T")

# Other names for a key, as people know them from elsewhere.
SYNONYMS: Final[Mapping[str, str]] = {
    "name": "strategy",
    "id": "strategy",
    "description": "about",
    "comment": "about",
    "symbol": "instruments",
    "symbols": "instruments",
    "pair": "instruments",
    "pairs": "instruments",
    "market": "instruments",
    "markets": "instruments",
    "universe": "instruments",
    "direction": "side",
    "variables": "let",
    "indicators": "let",
    "define": "let",
    "signal": "S1",
    "cancel": "O1",
    "entry": "Z1",
    "open": "Z1",
    "exit": "ZE1",
    "exits": "ZE1",
    "emergency": "E1",
    "stops": "protect",
    "risk_management": "protect",
    "condition": "when",
    "if": "when",
    "trigger": "when",
    "timeout": "after",
    "expire": "after",
    "sl": "stop_loss",
    "tp": "take_profit",
    "target": "take_profit",
    "trailing": "trailing_stop",
    "time_stop": "holding_max",
    "max_holding_time": "holding_max",
    "slippage": "slippage_max",
    "amount": "fixed",
    "qty": "fixed",
    "quantity": "fixed",
    "equity": "percent",
    "share": "percent",
    "max": "cap",
    "limit_price": "price",
    "expires": "ttl",
    "close_percent": "close",
    "min_confidence": "confidence_min",
}

# Keys of other tools that have no counterpart.
NEEDLESS: Final[Mapping[str, str]] = {
    "timeframe": "leave it out; expressions name their bars, such as close(5m)",
    "interval": "leave it out; expressions name their bars, such as close(5m)",
    "warmup": "leave it out; the warm-up is derived from the expressions",
    "startup_candle_count": "leave it out; the warm-up is derived from the expressions",
    "enabled": "leave it out; shadow: true watches without trading",
    "disabled": "leave it out; shadow: true watches without trading",
    "mode": "leave it out; config.yaml says the mode for all strategies",
    "leverage": "leave it out; limits: { leverage_max: 1 } bounds it",
}

# Where a key belongs that stands in the wrong section.
HOMES: Final[Mapping[str, str]] = {
    "confidence": "S1",
    "confidence_min": "S1",
    "after": "O1",
    "order": "Z1",
    "size": "Z1",
    "stop_loss": "protect",
    "take_profit": "protect",
    "trailing_stop": "protect",
    "holding_max": "protect",
    "slippage_max": "order",
    "ttl": "order",
    "kelly": "size",
    "fixed": "size",
    "risk": "size",
    "percent": "size",
    "cap": "size",
    "close": "a rule of ZE1",
    "when": "S1, O1, Z1 or a rule of ZE1 and E1",
    "cooldown": "S1 or a rule of E1",
}


@dataclass(slots=True, kw_only=True)
class Scope:
    """What the readers of one file share: where faults go and which names there are."""

    faults: Faults
    names: dict[str, Expr] = field(default_factory=dict)
    later: frozenset[str] = frozenset()


class Fields:
    """The entries of one mapping, read by key. Whatever is wrong is reported once and replaced."""

    def __init__(
        self, scope: Scope, node: Node | None, where: str, span: Span, known: tuple[str, ...]
    ) -> None:
        self.scope = scope
        self.where = where
        self.span = span
        self._known = known
        self._entries: dict[str, Entry] = {}
        self._meant: set[str] = set()
        self._readable = isinstance(node, MapNode)
        if isinstance(node, MapNode):
            self._entries = {entry.key: entry for entry in node.entries}
            for entry in node.entries:
                if entry.key not in known:
                    self._refuse(entry)
        elif node is not None:
            example = f"{where} holds keys such as {known[0]}: …, each on its own line or inside {{ }}"
            scope.faults.error(_shown(node, span), example)

    def _refuse(self, entry: Entry) -> None:
        key, known = entry.key, self._known
        synonym = SYNONYMS.get(key.lower(), "")
        if synonym in known:
            advice = f"; write '{synonym}'"
        elif key.lower() in NEEDLESS:
            advice = f"; {NEEDLESS[key.lower()]}"
        else:
            synonym = nearest(key, known) or ""
            advice = f"; did you mean '{synonym}'?" if synonym else ""
        if not advice and key in HOMES:
            advice = f"; it belongs in {HOMES[key]}"
        if not advice:
            advice = f"; the keys here are {', '.join(known)}"
        self._meant.add(synonym)
        self.scope.faults.error(
            entry.key_span, f"unknown key '{' '.join(key.split())}' in {self.where}{advice}"
        )

    def lacks(self, key: str) -> bool:
        """Say whether a key is missing, and no misspelt one stands for it."""
        return self._readable and key not in self._entries and key not in self._meant

    def has(self, *keys: str) -> bool:
        """Say whether any of the keys is given."""
        return any(key in self._entries for key in keys)

    def node(self, key: str) -> Node | None:
        """Return the value of a key as it stands in the file."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def key_span(self, key: str) -> Span:
        """Return where a key stands, or the section when it is missing."""
        entry = self._entries.get(key)
        return self.span if entry is None else entry.key_span

    def value_span(self, key: str) -> Span:
        """Return where a value stands, or its key when it is empty."""
        entry = self._entries.get(key)
        return self.span if entry is None else _shown(entry.value, entry.key_span)

    def need(self, key: str, example: str) -> None:
        """Report a key that must be there and is not."""
        if self.lacks(key):
            self.scope.faults.error(
                self.span, f"{self.where} lacks '{key}'; add it, such as {key}: {example}"
            )

    def value(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """Return a key's value; the default when it is absent or refused."""
        entry = self._entries.get(key)
        if entry is None:
            return default
        span = _shown(entry.value, entry.key_span)
        if not isinstance(entry.value, ScalarNode):
            self.scope.faults.error(span, f"'{key}' takes one value, not a list or mapping")
            return default
        try:
            return parse(entry.value.text)
        except InputInvalid as fault:
            self.scope.faults.error(span, f"'{key}' {fault}")
            return default

    def expression(self, key: str, want: Unit | None, *, position_words: bool = False) -> Expr:
        """Return a key's expression; a broken one when it is absent or refused."""
        entry = self._entries.get(key)
        if entry is None:
            return broken(self.span)
        return read_expression(self.scope, entry, want, clause=f"'{key}'", position_words=position_words)

    def section(self, key: str, known: tuple[str, ...]) -> Fields:
        """Return the fields of a mapping inside this one."""
        return Fields(self.scope, self.node(key), key, self.key_span(key), known)


def read_expression(
    scope: Scope, entry: Entry, want: Unit | None, *, clause: str, position_words: bool
) -> Expr:
    """Parse the expression that is a key's value; broken when it has faults."""
    node, faults = entry.value, scope.faults
    if not isinstance(node, ScalarNode):
        advice = "an expression stands alone, without - [ ] { }; put one with brackets in quotes"
        faults.error(_shown(node, entry.key_span), f"{clause} needs one expression; {advice}")
        return broken(node.span)
    if node.cut:  # the comma that cut it is reported
        return broken(node.span)
    if not node.text.strip():
        faults.error(entry.key_span, f"{clause} is empty; write an expression, such as price > twpa(5m)")
        return broken(node.span)
    if node.quoted:
        slash = faults.source.text.find("\\", node.content.start, node.content.end)
        if slash >= 0:
            faults.error(
                Span(slash, slash + 1),
                "leave the backslash out; a long expression may simply go on in the next line",
            )
            return broken(node.span)
    expr = parse_expression(
        faults,
        node.content.start,
        node.content.end,
        scope.names,
        position_words=position_words,
        want=want,
        clause=clause,
        later=scope.later,
    )
    return broken(node.span) if expr is None else expr


def _shown(node: Node, otherwise: Span) -> Span:
    """Return the span of a value, or another one when there is nothing to see."""
    return node.span if node.span.end > node.span.start else otherwise
