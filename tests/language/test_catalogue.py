"""The closed registry: every word documented, every example checked and compiled."""

from __future__ import annotations

import pytest

from botd.language.catalogue import BY_OP, CONSTRUCTS, POSITION_WORDS, WORDS
from botd.language.lexer import KEYWORDS
from botd.language.program import compile_program
from botd.language.typed import BOOL, UnitKind
from botd.language.words import FOREIGN_WORDS, Entry, Reads
from tests.language.texts import parse, read

ENTRIES = [entry for entries in WORDS.values() for entry in entries]
ALL = [*ENTRIES, *CONSTRUCTS]

# The words that the page on strategies promises, and those of its semantics.
PROMISED = [
    "price",
    "volume",
    "buys",
    "sells",
    "count",
    "vwap",
    "twpa",
    "high",
    "low",
    "range",
    "change",
    "velocity",
    "volume_surge",
    "rush_orders",
    "imbalance",
    "spread",
    "spread_price",
    "mid",
    "best_bid",
    "best_ask",
    "stddev",
    "zscore",
    "slope",
    "mark_price",
    "funding_rate",
    "open",
    "close",
    "bar_high",
    "bar_low",
    "bar_volume",
    "sma",
    "ema",
    "rsi",
    "atr",
    "macd",
    "bollinger_upper",
    "bollinger_lower",
    "highest",
    "lowest",
    "abs",
    "min",
    "max",
    "clamp",
    "if",
    "ago",
    "time_of_day",
    "day_of_week",
    "always",
    "never",
    "pnl",
    "pnl_max",
    "held",
    "entry_price",
    "position_size",
]


def test_every_promised_word_is_there() -> None:
    assert [word for word in PROMISED if word not in WORDS] == []
    assert {entry.name for entry in CONSTRUCTS} == {"crosses", "for", "bars_ago"}


def test_stddev_and_zscore_have_a_form_on_rows_and_one_on_bars() -> None:
    assert {word for word, entries in WORDS.items() if len(entries) > 1} == {"stddev", "zscore"}
    for word in ("stddev", "zscore"):
        assert {entry.reads is Reads.BARS for entry in WORDS[word]} == {True, False}


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.op)
def test_entry_says_all_there_is_to_say(entry: Entry) -> None:
    assert entry.doc
    assert not entry.doc.endswith(".")
    assert entry.causal
    assert entry.warmup
    assert BY_OP[entry.op] is entry


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.op)
def test_example_parses_and_uses_the_word(entry: Entry) -> None:
    expr = parse(entry.example)
    ops = {expr.op}
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        ops.add(node.op)
        waiting += node.args
    assert entry.op in ops or (entry.op == "crosses" and "crosses_above" in ops)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.op)
def test_example_compiles_to_a_program(entry: Entry) -> None:
    condition = entry.example if parse(entry.example).unit == BOOL else f"({entry.example}) > 0"
    rule = f'  - {{ name: out, when: "{condition}", close: 100% }}'
    program = compile_program([read(("protect:", f"ZE1:\n{rule}\nprotect:"))])
    assert len(program.machines[0].exits) == 1


def test_words_cannot_be_mistaken_for_keywords_or_foreign_ones() -> None:
    assert not KEYWORDS & WORDS.keys()
    assert not FOREIGN_WORDS.keys() & WORDS.keys()
    meant = {word.split()[0] for word in FOREIGN_WORDS.values()}
    assert meant <= WORDS.keys() | KEYWORDS


def test_position_words_are_those_of_an_open_position() -> None:
    assert {"pnl", "pnl_max", "held", "entry_price", "position_size"} == POSITION_WORDS


def test_only_bar_words_of_columns_are_series() -> None:
    series = {e.name for e in ENTRIES if not isinstance(e.unit, str) and e.unit.kind is UnitKind.SERIES}
    assert series == {"open", "close", "bar_high", "bar_low", "bar_volume"}


def test_nothing_names_the_future() -> None:
    for entry in ALL:
        assert "next" not in entry.causal
        assert "future" not in entry.causal
