"""Strict YAML with positions: every scalar stays text, and what YAML guesses at is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import yaml

from botd.errors import Diagnostic
from botd.language.source import Faults, Source
from botd.language.typed import Span

__all__ = [
    "Entry",
    "MapNode",
    "Node",
    "ScalarNode",
    "SeqNode",
    "Source",
    "read_document",
]

FILE_BYTES_MAX: Final = 256 * 1024
DEPTH_MAX: Final = 32

# What the YAML reader refuses, and line breaks that editors do not show as such.
_UNWANTED = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """One value as text. `content` is where the text stands without quotes or block header.

    `cut` marks a value that a comma inside { } cut short: the fault is reported, its text is no more
    than a beginning.
    """

    text: str
    span: Span
    quoted: bool
    content: Span
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeqNode:
    """A list."""

    items: tuple[Node, ...]
    span: Span
    flow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One `key: value` of a mapping."""

    key: str
    key_span: Span
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNode:
    """A mapping in the order of the file; keys are unique."""

    entries: tuple[Entry, ...]
    span: Span
    flow: bool = False

    def get(self, key: str) -> Node | None:
        """Return the value of a key, or None."""
        return next((e.value for e in self.entries if e.key == key), None)


Node: TypeAlias = MapNode | SeqNode | ScalarNode


def read_document(text: str, file: str) -> tuple[Node | None, list[Diagnostic]]:
    """Parse one strict YAML document; any error among the diagnostics refuses the file.

    The tree is returned whenever it could be built, so that a caller can report its own faults
    beside the ones found here.
    """
    faults = Faults(Source(file, text))
    root = None
    if _acceptable(text, faults):
        root = _TreeReader(text, faults).read()
    return root, faults.diagnostics()


def _acceptable(text: str, faults: Faults) -> bool:
    if len(text) > FILE_BYTES_MAX or len(text.encode("utf-8", "surrogatepass")) > FILE_BYTES_MAX:
        faults.error(Span(0, 1), "the file is over 256 KiB; split it")
        return False
    if not text.strip():
        faults.error(Span(0, 1), "the file is empty")
        return False
    if not text.endswith("\n"):
        end = len(text)
        faults.error(
            Span(end - 1, end), "the file must end with a newline; it may be half-written, save it again"
        )
    unwanted = _UNWANTED.search(text)
    if unwanted is None:
        return True
    where = Span(unwanted.start(), unwanted.end())
    if unwanted.start() == 0 and unwanted.group() == "\ufeff":
        faults.error(where, "the file starts with a byte order mark; save it as UTF-8 without one")
    elif unwanted.group() == "\r":
        faults.error(where, "a carriage return alone ends no line; save the file with LF line ends")
    else:
        faults.error(where, f"the character U+{ord(unwanted.group()):04X} is not allowed; delete it")
    return False


class _Stop(Exception):
    """The document cannot be read further; the fault is already reported."""


class _TreeReader:
    """Builds the tree from parser events with an explicit stack, so that depth costs no recursion."""

    def __init__(self, text: str, faults: Faults) -> None:
        self._text = text
        self._faults = faults
        self._open: list[_Open] = []
        self._root: Node | None = None

    def read(self) -> Node | None:
        """Return the root, or None when there is none or the text is broken."""
        documents = 0
        try:
            for event in yaml.parse(self._text, Loader=yaml.CSafeLoader):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._fail(
                            _span(event), "a second document starts here; a file holds one, remove '---'"
                        )
                self._take(event)
        except _Stop:
            return None
        except yaml.MarkedYAMLError as fault:
            self._explain(fault)
            return None
        if self._root is None:
            self._faults.error(Span(0, 1), "the file holds comments only; it needs 'key: value' lines")
        return self._root

    def _fail(self, span: Span, message: str) -> None:
        self._faults.error(span, message)
        raise _Stop

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._fail(
                _span(event), "'*' names an alias, which is not allowed; write the value out or quote it"
            )
        if isinstance(event, yaml.NodeEvent):
            self._refuse_properties(event)
        if isinstance(event, yaml.ScalarEvent):
            self._put(_scalar(event, self._text))
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= DEPTH_MAX:
                self._fail(
                    _span(event), f"nested deeper than {DEPTH_MAX} levels; the file is damaged or not ours"
                )
            self._open.append(_Open(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            opened = self._open.pop()
            self._put(opened.close(_end(event), self._faults))

    def _refuse_properties(self, event: Any) -> None:
        span = _span(event)
        if event.anchor is not None:
            self._fail(span, f"'&{event.anchor}' is an anchor, which is not allowed; write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            written = self._text[span.start : span.end].split()[0]
            self._fail(span, f"the tag '{written}' is not allowed; remove it, or put the value in quotes")

    def _put(self, node: Node) -> None:
        if self._open:
            self._open[-1].add(node, self._faults)
        else:
            self._root = node

    def _explain(self, fault: yaml.MarkedYAMLError) -> None:
        mark, opened = fault.problem_mark, fault.context_mark
        at = min(getattr(mark, "index", 0), max(0, len(self._text) - 1))
        begin = getattr(opened, "index", at)
        where, message = _explanation(str(fault.problem), self._text, at, begin)
        self._faults.error(Span(where, where + 1), message)


class _Open:
    """A list or mapping whose end has not been read yet."""

    def __init__(self, event: Any) -> None:
        self._start: int = event.start_mark.index
        self._flow: bool = event.flow_style
        self._is_map = isinstance(event, yaml.MappingStartEvent)
        self._items: list[Node] = []
        self._entries: dict[str, Entry] = {}
        self._key: Node | None = None
        self._last_key = ""

    def add(self, node: Node, faults: Faults) -> None:
        """Take the next node: an item, a key or the value of the last key."""
        if not self._is_map:
            self._items.append(node)
        elif self._key is None:
            self._key = node
        else:
            key, self._key = self._key, None
            self._add_entry(key, node, faults)

    def _add_entry(self, key: Node, value: Node, faults: Faults) -> None:
        if not isinstance(key, ScalarNode):
            faults.error(key.span, "a key is a plain word, not a list or mapping")
            return
        if key.text == "<<":
            faults.error(key.span, "'<<' merges are not allowed; write the keys out")
            return
        before = self._entries.get(key.text)
        if before is not None:
            line, _ = faults.source.position(before.key_span.start)
            faults.error(key.span, f"'{key.text}' is given twice, first on line {line}; keep one")
            return
        between = faults.source.text[key.span.end : value.span.start]
        if self._flow and isinstance(value, ScalarNode) and not value.text and ":" not in between:
            self._note_cut(key, faults)
            return
        self._last_key = key.text
        self._entries[key.text] = Entry(key=key.text, key_span=key.span, value=value)

    def _note_cut(self, key: ScalarNode, faults: Faults) -> None:
        """Report `{ when: clamp(x, 0, 1) > 2 }` once: YAML reads the keys `when`, `0` and `1) > 2`."""
        last = self._entries.get(self._last_key)
        if last is not None and isinstance(last.value, ScalarNode):
            if last.value.cut:
                return
            self._entries[last.key] = replace(last, value=replace(last.value, cut=True))
        faults.error(
            key.span,
            f"inside {{ }} a comma ends the value, so '{key.text}' stands alone; "
            "put the expression with the comma in quotes",
        )

    def close(self, end: int, faults: Faults) -> Node:
        """Return the finished node."""
        if not self._flow:  # libyaml ends a block at the next token; end it with its last line instead
            end = len(faults.source.text[:end].rstrip())
        span = Span(self._start, max(self._start, end))
        if self._is_map:
            return MapNode(entries=tuple(self._entries.values()), span=span, flow=self._flow)
        return SeqNode(items=tuple(self._items), span=span, flow=self._flow)


def _span(event: Any) -> Span:
    start: int = event.start_mark.index
    return Span(start, max(_end(event), start + 1))


def _end(event: Any) -> int:
    end: int = event.end_mark.index
    return end


def _scalar(event: Any, text: str) -> ScalarNode:
    start, end = event.start_mark.index, event.end_mark.index
    content = Span(start, end)
    if event.style in ("'", '"'):
        content = Span(start + 1, end - 1)
    elif event.style in ("|", ">"):
        header_end = text.find("\n", start) + 1
        content = Span(header_end or end, end)
    return ScalarNode(
        text=event.value, span=Span(start, end), quoted=event.style in ("'", '"'), content=content
    )


_ADVICE: Final = {
    "mapping values are not allowed in this context": (
        "a second ': ' in one value; put the value in quotes, or check the indentation"
    ),
    "did not find expected key": (
        "the indentation of this line fits none of the lines above; align it with its neighbours"
    ),
    "did not find expected '-' indicator": (
        "the indentation of this line fits none of the lines above; align it with its neighbours"
    ),
    "did not find expected node content": "a value is missing here, or a bracket is not closed",
    "found unknown escape character": "a backslash in double quotes starts an escape; use single quotes",
}


def _explanation(problem: str, text: str, at: int, begin: int) -> tuple[int, str]:
    """Return where a YAML fault is best shown and what to do about it."""
    if problem in _ADVICE:
        return at, _ADVICE[problem]
    if problem in ("did not find expected ',' or ']'", "did not find expected ',' or '}'"):
        if text[at] in "[{":
            return at, "an expression with [ ] or { } inside brackets must be in quotes"
        line = text.count("\n", 0, at) + 1
        return begin, f"this '{text[begin]}' is not closed, or a comma is missing before line {line}"
    if problem == "found unexpected end of stream":
        return begin, "the quote that opens here is never closed"
    if problem == "could not find expected ':'":
        return begin, "this line is not 'key: value'; a ':' with a space after it is missing"
    if "tab character" in problem or (
        problem == "found character that cannot start any token" and text[at] == "\t"
    ):
        return at, "a tab cannot indent; use spaces"
    if problem == "found character that cannot start any token":
        return at, f"'{text[at]}' cannot start a value; put the value in quotes"
    return at, f"this is not valid YAML: {problem}; compare the line with its neighbours"
