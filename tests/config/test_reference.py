"""The language reference: the committed page, and that everything it shows is what the checker takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from botd.config import reference
from botd.config.reference_page import example, page
from botd.language import sections, strategy
from botd.language.catalogue import CONSTRUCTS, WORDS
from botd.language.parser import CHARACTERS_MAX, DEPTH_MAX, NODES_MAX, parse_expression
from botd.language.source import Faults, Source
from botd.language.strategy import read_strategy
from botd.language.units import unit_name

ROOT = Path(__file__).parents[2]
SHOWN = [
    *(word.example for word in reference.words()),
    *(text for _, text, _ in reference.OPERATORS),
    *(text for _, text, _ in reference.LITERALS),
    *reference.UNIT_EXAMPLES,
]


def faults_of(text: str, *, position_words: bool) -> list[str]:
    faults = Faults(Source("x", text))
    parse_expression(faults, 0, len(text), {}, position_words=position_words)
    return [fault.message for fault in faults.diagnostics()]


def test_committed_page_is_the_one_the_tables_make() -> None:
    committed = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    assert committed == page(), "run: botd words --markdown > docs/language.md"


@pytest.mark.parametrize("text", dict.fromkeys(SHOWN))
def test_example_has_no_fault_and_stands_in_the_page(text: str) -> None:
    assert faults_of(text, position_words=True) == []
    assert f"`{text}`" in page()


def test_strategy_shown_has_no_fault() -> None:
    read, faults = read_strategy(example(), "my_first.yaml")
    assert [fault.render() for fault in faults] == []
    assert read is not None


def test_every_word_of_the_catalogue_is_in_the_reference() -> None:
    entries = [*(entry for forms in WORDS.values() for entry in forms), *CONSTRUCTS]
    words = reference.words()
    assert [word.meaning for word in words] == [entry.doc for entry in entries]
    names = dict(reference.parameters())
    assert {p.name for entry in entries for p in entry.parameters} == names.keys()
    assert names["fast"] == "a duration such as 10s; or a whole number of bars such as 14"


def test_every_key_that_the_language_reads_is_in_the_reference() -> None:
    found = {section.name: [key.name for key in section.keys] for section in reference.file_sections()}
    assert tuple(found[""]) == strategy.KEYS
    assert {key.name for key in reference.file_sections()[0].keys if key.mandatory} == set(strategy.MANDATORY)
    for name, keys in {
        "S1": sections.SIGNAL_KEYS,
        "O1": sections.CANCEL_KEYS,
        "Z1": sections.ENTRY_KEYS,
        "ZE1": sections.EXIT_KEYS,
        "E1": sections.EMERGENCY_KEYS,
        "protect": sections.PROTECT_KEYS,
        "order": sections.ORDER_KEYS,
        "size": sections.SIZE_KEYS,
    }.items():
        assert sorted(found[name]) == sorted(keys)
    assert all(section.meaning for section in reference.file_sections()[1:])


def test_units_shown_are_those_of_the_checker() -> None:
    shown = {text: reference.unit_of(text) for text in reference.UNIT_EXAMPLES}
    assert shown["price / twpa(5m)"] == "ratio"
    assert shown["price * volume(10s)"] == "quote money"
    assert shown["price > 100"] == "condition"
    assert reference.unit_of("price +") == ""


@pytest.mark.parametrize("word", reference.position_words())
def test_position_word_stands_in_exit_rules_only(word: str) -> None:
    assert faults_of(word, position_words=True) == []
    assert faults_of(word, position_words=False) == [
        f"'{word}' exists only in ZE1 and E1, where there is a position; use it in a rule there"
    ]


def test_limits_are_those_that_the_parser_keeps() -> None:
    shown = dict(reference.limits())
    assert shown["characters of one expression"] == str(CHARACTERS_MAX) == "512"
    assert shown["terms of one expression"] == str(NODES_MAX) == "128"
    assert shown["depth of one expression"] == f"{DEPTH_MAX} levels" == "32 levels"


def test_word_says_its_unit_its_range_and_what_it_reads() -> None:
    by_written = {word.written: word for word in reference.words()}
    assert by_written["rsi(series, periods)"].gives == "count, 0 to 100"
    assert by_written["close(length)"].gives == f"series of {unit_name(WORDS['price'][0].unit)}"  # type: ignore[arg-type]
    assert by_written["condition for back"].gives == "condition"
    assert str(by_written["spread"].reads) == "the book"
    assert by_written["zscore(x, over, every)"].warmup == "the sampled window and one step"
    assert by_written["min(x, y, …)"].gives == "the values' common unit"
