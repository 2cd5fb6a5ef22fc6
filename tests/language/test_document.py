from __future__ import annotations

import pytest

from botd.language.document import MapNode, Node, ScalarNode, SeqNode, read_document
from botd.language.strategy import read_strategy


def read(text: str) -> Node:
    node, diagnostics = read_document(text, "f.yaml")
    assert diagnostics == []
    assert node is not None
    return node


def faults(text: str) -> list[str]:
    """Return `line:column: message` of every diagnostic."""
    return [f"{d.line}:{d.column}: {d.message}" for d in read_document(text, "f.yaml")[1]]


def test_values_stay_text() -> None:
    node = read("a: no\nb: 010\nc: 1:30\nd: ~\ne: 2020-01-01\nf: 0x10\ng: .inf\n")
    assert isinstance(node, MapNode)
    values = {e.key: e.value.text for e in node.entries if isinstance(e.value, ScalarNode)}
    assert values == {
        "a": "no", "b": "010", "c": "1:30", "d": "~", "e": "2020-01-01", "f": "0x10", "g": ".inf"
    }  # fmt: skip


def test_spans_point_into_the_text() -> None:
    text = "ä: [1, 'two']\nb:\n  c: three   # why\n"
    node = read(text)
    assert isinstance(node, MapNode)
    items = node.get("ä")
    assert isinstance(items, SeqNode)
    assert items.flow
    assert text[items.span.start : items.span.end] == "[1, 'two']"
    two = items.items[1]
    assert isinstance(two, ScalarNode)
    assert two.quoted
    assert text[two.span.start : two.span.end] == "'two'"
    assert text[two.content.start : two.content.end] == "two"
    inner = node.get("b")
    assert isinstance(inner, MapNode)
    assert not inner.flow
    assert text[inner.span.start : inner.span.end] == "c: three   # why"
    three = inner.get("c")
    assert isinstance(three, ScalarNode)
    assert text[three.content.start : three.content.end] == "three"
    assert inner.get("d") is None


@pytest.mark.parametrize("header", ["|", ">", ">-", "|  # note"])
def test_content_of_a_block_value_is_its_body(header: str) -> None:
    text = f"a: {header}\n  one\n  two\n\nb: 1\n"
    node = read(text)
    assert isinstance(node, MapNode)
    value = node.get("a")
    assert isinstance(value, ScalarNode)
    assert not value.quoted
    assert text[value.content.start : value.content.end].split() == ["one", "two"]


def test_windows_line_ends_are_fine() -> None:
    node = read("a: 1\r\nb: 2\r\n")
    assert isinstance(node, MapNode)
    assert [e.key for e in node.entries] == ["a", "b"]


def test_root_may_be_a_list_or_a_value() -> None:
    assert isinstance(read("- 1\n- 2\n"), SeqNode)
    assert isinstance(read("x\n"), ScalarNode)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: the file is empty"]),
        (" \n\n", ["1:1: the file is empty"]),
        ("# a\n", ["1:1: the file holds comments only; it needs 'key: value' lines"]),
        ("a: 1", ["1:4: the file must end with a newline; it may be half-written, save it again"]),
        ("a: " + "x" * 262_144 + "\n", ["1:1: the file is over 256 KiB; split it"]),
        ("a: " + "é" * 131_072 + "\n", ["1:1: the file is over 256 KiB; split it"]),
        ("\ufeffa: 1\n", ["1:1: the file starts with a byte order mark; save it as UTF-8 without one"]),
        ("a: \ufeff\n", ["1:4: the character U+FEFF is not allowed; delete it"]),
        ("a: \x00\n", ["1:4: the character U+0000 is not allowed; delete it"]),
        ("a: \ud800\n", ["1:4: the character U+D800 is not allowed; delete it"]),
        ("a: 1\u2028b: 2\n", ["1:5: the character U+2028 is not allowed; delete it"]),
        ("a: 1\rb: 2\n", ["1:5: a carriage return alone ends no line; save the file with LF line ends"]),
        ("a: 1\na: 2\na: 3\n", [
            "2:1: 'a' is given twice, first on line 1; keep one",
            "3:1: 'a' is given twice, first on line 1; keep one",
        ]),
        ("[a]: 1\n", ["1:1: a key is a plain word, not a list or mapping"]),
        ("<<: {a: 1}\n", ["1:1: '<<' merges are not allowed; write the keys out"]),
        ("a: &x 1\n", ["1:4: '&x' is an anchor, which is not allowed; write the value out"]),
        ("a: &x [1]\n", ["1:4: '&x' is an anchor, which is not allowed; write the value out"]),
        ("a: *x\n", ["1:4: '*' names an alias, which is not allowed; write the value out or quote it"]),
        ("a: !!python/object:os.system x\n", [
            "1:4: the tag '!!python/object:os.system' is not allowed; remove it, or put the value in quotes"
        ]),
        ("a: ! x\n", ["1:4: the tag '!' is not allowed; remove it, or put the value in quotes"]),
        ("a: 1\n---\nb: 1\n", ["2:1: a second document starts here; a file holds one, remove '---'"]),
        ("a: [1,\nb: 2\n", ["1:4: this '[' is not closed, or a comma is missing before line 2"]),
        ("a: {b: x[1]}\n", ["1:9: an expression with [ ] or { } inside brackets must be in quotes"]),
        ("a: 'x\n", ["1:4: the quote that opens here is never closed"]),
        ("a: |\n  x\n\ty\n", ["3:1: a tab cannot indent; use spaces"]),
        ("\ta: 1\n", ["1:1: a tab cannot indent; use spaces"]),
        ("a: `x`\n", ["1:4: '`' cannot start a value; put the value in quotes"]),
        ("a: 1\nbc\n", ["2:1: this line is not 'key: value'; a ':' with a space after it is missing"]),
        ("%YAML 3.0\n--- a\n", [
            "1:1: this is not valid YAML: found incompatible YAML document; "
            "compare the line with its neighbours"
        ]),
    ],
    ids=repr,
)  # fmt: skip
def test_refusals(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_comma_inside_braces_is_reported_once_and_marks_the_value() -> None:
    text = "s: {when: clamp(x, 0, 1) > 2, b: 3}\n"
    node, _ = read_document(text, "f.yaml")
    assert faults(text) == [
        "1:20: inside { } a comma ends the value, so '0' stands alone; "
        "put the expression with the comma in quotes"
    ]
    assert isinstance(node, MapNode)
    section = node.get("s")
    assert isinstance(section, MapNode)
    when, b = section.get("when"), section.get("b")
    assert isinstance(when, ScalarNode)
    assert isinstance(b, ScalarNode)
    assert when.cut
    assert not b.cut
    assert b.text == "3"


def test_word_alone_in_braces_is_reported() -> None:
    assert faults("a: {b}\n") == [
        "1:5: inside { } a comma ends the value, so 'b' stands alone; "
        "put the expression with the comma in quotes"
    ]
    assert len(faults("a: {b: [1], c}\n")) == 1


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 3000, "- " * 5000, "[" * 5000 + "]" * 5000])
def test_deep_nesting_gives_one_line(text: str) -> None:
    found = faults(text + "\n")
    assert len(found) == 1
    assert found[0].endswith("nested deeper than 32 levels; the file is damaged or not ours")


def test_tree_is_returned_beside_faults_that_leave_one() -> None:
    node, diagnostics = read_document("a: 1\na: 2", "f.yaml")
    assert isinstance(node, MapNode)
    assert len(diagnostics) == 2


def test_key_of_several_lines_is_named_on_one() -> None:
    _, faults = read_strategy("? |\n\n  - \n", "s.yaml")
    assert faults[0].message.startswith("unknown key '-' in the strategy")
