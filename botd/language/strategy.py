"""A strategy file to a checked strategy, with every fault it has."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from botd.errors import Diagnostic, InputInvalid
from botd.language.calls import broken
from botd.language.catalogue import WORDS
from botd.language.checks import check_strategy
from botd.language.document import Entry, MapNode, Node, ScalarNode, SeqNode, read_document
from botd.language.fields import Fields, Scope, read_expression
from botd.language.lexer import KEYWORDS
from botd.language.quantities import parse_switch
from botd.language.sections import (
    CANCEL_KEYS,
    ENTRY_KEYS,
    PROTECT_KEYS,
    SIGNAL_KEYS,
    parse_choice,
    parse_name,
    read_cancel,
    read_entry,
    read_protect,
    read_rules,
    read_signal,
)
from botd.language.source import Faults, Source
from botd.language.typed import CancelSection, ExitRule, Expr, OnReload, OnStop, PositionSide, Span, Strategy
from botd.language.warmup import strategy_warmup_us

KEYS: Final = (
    "strategy",
    "was",
    "about",
    "shadow",
    "instruments",
    "side",
    "let",
    "S1",
    "O1",
    "Z1",
    "ZE1",
    "E1",
    "protect",
    "limits",
    "lifecycle",
    "on_reload",
    "on_stop",
)
MANDATORY: Final = {
    "strategy": "my_first",
    "instruments": "[BTC/USDT:USDT]",
    "side": "long",
    "S1": "{ when: price > twpa(5m) }",
    "protect": "{ stop_loss: 2% }",
    "on_stop": "cancel",
}
LETS_MAX: Final = 64
INSTRUMENTS_MAX: Final = 200

_INSTRUMENT = re.compile(r"([A-Z0-9]{1,20})[/_]([A-Z0-9]{1,20})(?::([A-Z0-9]{1,20}))?", re.ASCII)
_UNIVERSE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_QUOTES: Final = ("USDT", "USDC", "BUSD", "USD", "BTC", "ETH", "EUR")


def read_strategy(text: str, file: str) -> tuple[Strategy | None, list[Diagnostic]]:
    """Read and check one strategy file; None when any of the diagnostics is an error.

    Instruments stay as written. `limits` and `lifecycle` are only seen to be mappings here: their
    names and values are those of the configuration.
    """
    root, found = read_document(text, file)
    faults = Faults(Source(file, text))
    faults.extend(found)
    if root is None:
        return None, faults.diagnostics()
    if not isinstance(root, MapNode):
        faults.error(root.span, "a strategy file holds 'key: value' lines; start it with strategy: my_first")
        return None, faults.diagnostics()
    strategy = _Reader(root, faults).read()
    if not faults.refused:
        check_strategy(strategy, root, faults)
    return (None if faults.refused else strategy), faults.diagnostics()


class _Reader:
    """Reads one file's sections. Whatever is refused is replaced, so that reading goes on."""

    def __init__(self, root: MapNode, faults: Faults) -> None:
        self._root = root
        self._faults = faults
        self._scope = Scope(faults=faults)
        self._fields = Fields(self._scope, root, "the strategy", Span(0, 1), KEYS)

    def read(self) -> Strategy:
        self._check_order()
        fields, source = self._fields, self._faults.source
        lets = self._lets()
        signal = fields.section("S1", SIGNAL_KEYS)
        entry = fields.section("Z1", ENTRY_KEYS) if fields.has("Z1") else signal
        if fields.has("Z1"):
            self._refuse_entry_keys(signal)
        universe, instruments = self._instruments()
        strategy = Strategy(
            id=fields.value("strategy", parse_name, ""),
            was=fields.value("was", parse_name, "") or None,
            about=fields.value("about", str, ""),
            shadow=fields.value("shadow", parse_switch, False),
            instruments=instruments,
            universe=universe,
            side=fields.value("side", parse_side, PositionSide.LONG),
            lets=lets,
            signal=read_signal(signal),
            cancel=self._cancel(),
            entry=read_entry(entry, written=fields.has("Z1")),
            exits=self._rules("ZE1"),
            emergencies=self._rules("E1"),
            protect=read_protect(fields.section("protect", PROTECT_KEYS)),
            limits=(),
            lifecycle=(),
            on_reload=fields.value("on_reload", parse_choice(OnReload), OnReload.PIN),
            on_stop=fields.value("on_stop", parse_choice(OnStop), OnStop.CANCEL),
            warmup_us=0,
            file=source.file,
            text=source.text,
        )
        self._check_mappings()
        return replace(strategy, warmup_us=strategy_warmup_us(strategy))

    def _check_order(self) -> None:
        entries = [entry for entry in self._root.entries if entry.key in KEYS]
        places = [KEYS.index(entry.key) for entry in entries]
        for before, here, entry in zip(places, places[1:], entries[1:], strict=False):
            if here < before:
                self._misplaced(entry, KEYS[before])
        if "on_stop" in (e.key for e in entries) and self._root.entries[-1].key != "on_stop":
            self._faults.error(
                self._fields.key_span("on_stop"),
                "'on_stop' must be the last key, so that a half-written file cannot pass; move it to the end",
            )
        for key, example in MANDATORY.items():
            if self._fields.lacks(key):
                self._missing(key, example)

    def _misplaced(self, entry: Entry, before: str) -> None:
        if before == "on_stop":
            return  # on_stop itself is reported
        self._faults.error(
            entry.key_span, f"'{entry.key}' stands after '{before}'; the order is {' '.join(KEYS)}"
        )

    def _missing(self, key: str, example: str) -> None:
        """Report a mandatory key at the key before which it belongs, or at the end."""
        place = KEYS.index(key)
        following = next((e for e in self._root.entries if e.key in KEYS[place + 1 :]), None)
        if following is None:
            end = len(self._faults.source.text.rstrip())
            why = "; it may be half-written" if key == "on_stop" else ""
            self._faults.error(
                Span(end - 1, end), f"the file ends without '{key}'{why}; add {key}: {example}"
            )
        else:
            self._faults.error(
                following.key_span, f"'{key}' is missing; add {key}: {example} before '{following.key}'"
            )

    def _refuse_entry_keys(self, signal: Fields) -> None:
        for key in ("order", "size"):
            if signal.has(key):
                self._faults.error(
                    signal.key_span(key), f"'{key}' stands in Z1 where there is a Z1; move it there"
                )

    def _lets(self) -> tuple[tuple[str, Expr], ...]:
        node, scope = self._fields.node("let"), self._scope
        if node is None:
            return ()
        if not isinstance(node, MapNode):
            self._faults.error(
                self._fields.value_span("let"),
                "'let' holds lines of 'name: expression'; indent them below it",
            )
            return ()
        if len(node.entries) > LETS_MAX:
            self._faults.error(
                self._fields.key_span("let"), f"let has {len(node.entries)} names; at most {LETS_MAX}"
            )
        for index, entry in enumerate(node.entries):
            scope.later = frozenset(e.key for e in node.entries[index:])
            named = self._check_let_name(entry)
            expr = read_expression(scope, entry, None, clause=f"'{entry.key}'", position_words=False)
            scope.names[entry.key] = expr if named else broken(entry.key_span)
        scope.later = frozenset()
        return tuple(scope.names.items())

    def _check_let_name(self, entry: Entry) -> bool:
        name = entry.key
        if name in WORDS or name in KEYWORDS:
            example = f"my_{name}"
            self._faults.error(
                entry.key_span, f"'{name}' is a word of the language; name it otherwise, such as {example}"
            )
            return False
        try:
            parse_name(name)
        except InputInvalid as fault:
            self._faults.error(entry.key_span, f"the name '{name[:40]}' {fault}")
            return False
        return True

    def _instruments(self) -> tuple[str | None, tuple[str, ...]]:
        """Return the universe's name or the instruments."""
        node = self._fields.node("instruments")
        span = self._fields.value_span("instruments")
        if node is None:
            return None, ()
        if isinstance(node, ScalarNode):
            return self._universe(node.text, span), ()
        if isinstance(node, MapNode) or not node.items:
            self._faults.error(
                span, "'instruments' needs a list such as [BTC/USDT:USDT], or a universe's name"
            )
            return None, ()
        if len(node.items) > INSTRUMENTS_MAX:
            self._faults.error(
                span, f"{len(node.items)} instruments; at most {INSTRUMENTS_MAX} for one strategy"
            )
        return None, tuple(self._instrument(item, node) for item in node.items)

    def _universe(self, text: str, span: Span) -> str | None:
        if _UNIVERSE.fullmatch(text):
            return text
        if _INSTRUMENT.fullmatch(text):
            self._faults.error(span, f"instruments are a list, even one alone; write [{text}]")
        else:
            self._faults.error(
                span,
                "'instruments' needs a list such as [BTC/USDT:USDT], or the name of a universe",
            )
        return None

    def _instrument(self, item: Node, among: SeqNode) -> str:
        if not isinstance(item, ScalarNode):
            self._faults.error(item.span, "an instrument is one name, such as BTC/USDT:USDT")
            return ""
        text = item.text
        match = _INSTRUMENT.fullmatch(text)
        if match is None:
            self._faults.error(item.span, f"'{text[:40]}' is not an instrument; write it like {_guess(text)}")
        elif match[3] is not None and match[3] != match[2]:
            self._faults.error(
                item.span,
                f"'{text}' settles in {match[3]}; only those that settle in their quote are traded: "
                f"{match[1]}/{match[2]}:{match[2]}",
            )
        first = next(i for i in among.items if isinstance(i, ScalarNode) and i.text == text)
        if first is not item:
            self._faults.error(item.span, f"'{text[:40]}' is listed twice; keep one")
        return text

    def _cancel(self) -> CancelSection | None:
        return read_cancel(self._fields.section("O1", CANCEL_KEYS)) if self._fields.has("O1") else None

    def _rules(self, section: str) -> tuple[ExitRule, ...]:
        node = self._fields.node(section)
        return () if node is None else read_rules(self._scope, node, section, self._fields.key_span(section))

    def _check_mappings(self) -> None:
        for key, example in (("limits", "{ position_max: 5% }"), ("lifecycle", "{ holding_max: 60m }")):
            node = self._fields.node(key)
            if node is not None and not isinstance(node, MapNode):
                self._faults.error(
                    self._fields.value_span(key), f"'{key}' holds names with values, such as {example}"
                )


def parse_side(text: str) -> PositionSide:
    """Parse the side of the positions; order sides are a common slip."""
    meant = {"buy": "long", "sell": "short"}.get(text.lower())
    if meant:
        raise InputInvalid(f"is a position's: write {meant}; '{text}' is an order's side")
    if text.lower() in ("both", "any"):
        raise InputInvalid(
            "needs long or short; one strategy trades one side, write a second file for the other"
        )
    return parse_choice(PositionSide)(text)


def _guess(text: str) -> str:
    """Return the name of an instrument that a person may have meant."""
    plain = re.sub(r"[^A-Z0-9/:]+", "/", text.upper(), flags=re.ASCII).strip("/:")
    if _INSTRUMENT.fullmatch(plain):
        return plain
    for quote in _QUOTES:
        base = plain.removesuffix(quote)
        if base != plain and re.fullmatch(r"[A-Z0-9]{1,20}", base):
            return f"{base}/{quote} or {base}/{quote}:{quote}"
    return "BTC/USDT or BTC/USDT:USDT"
