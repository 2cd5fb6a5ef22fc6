"""The language reference as a Markdown page: `docs/language.md` is what this returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from botd.config import reference
from botd.config.reference import Section, Word
from botd.language.words import Reads

_EXAMPLE: Final = """\
```yaml
strategy: my_first                   # the id; the file may have any name
about: Buy what rises on volume, sell what stops to.
instruments: [BTC/USDT:USDT]
side: long
let:
  speed: twpa(10s) / twpa(5m) - 1    # a name stands for its expression
S1:  { when: "speed > 0.2% and volume_surge(10s, 5m) > 3", cooldown: 5m }
O1:  { after: 20s }
Z1:  { when: spread < 10bps, size: { percent: 5% of equity } }
ZE1: [ { name: fade, when: "speed < 0 for 3s", close: 100% } ]
protect: { stop_loss: 2%, holding_max: 10m }
on_stop: cancel
```
"""
_HEAD: Final = """\
# The strategy language

Written by `botd words --markdown` from the tables that the checker itself reads; a test holds the two equal.
In the terminal, `botd words` lists the words and `botd words NAME` explains one. `botd check` names every
mistake with file, line and column.
"""
_MACHINE: Final = """\
A strategy is one machine per instrument: idle → signalled (S1) → in position (Z1) → idle. In one row the
order is: `protect`, E1, ZE1 while in position; O1 before Z1 while signalled; S1 while idle. The file's keys
stand in the order given here."""
_UNDEFINED: Final = """\
A value that is not ready makes its rule *undefined*: never true, and its `not` is undefined too. There are no
powers, assignments or loops, and no word for the future: windows end now or earlier, and bars exist once they
have closed."""
_UNITS: Final = """\
Every value has a unit; what is compared, added or subtracted needs the same one on both sides. A *count* is a
plain number that is no ratio."""
_WARM_UP: Final = """\
*Warm-up* is the history that a word needs before it has its value, beside that of what stands in its
brackets. The checker finds the longest of a strategy."""
_POSITION: Final = """\
exist only in the `when` of ZE1 and E1,
where there is a position: not in `let`, S1, O1 or Z1. They have no past (`[5s ago]`) and are not sampled by
`zscore`; `for` with one of them counts from the first fill at the earliest."""
_HEADINGS: Final = {
    Reads.TRADES: "Trades",
    Reads.BOOK: "The book",
    Reads.MARK: "Mark price",
    Reads.FUNDING: "Funding",
    Reads.BARS: "Bars",
    Reads.CLOCK: "Time",
    Reads.POSITION: "The open position",
    Reads.NOTHING: "Of any value",
}


def example() -> str:
    """Return the strategy shown at the top of the page."""
    return _EXAMPLE.removeprefix("```yaml\n").removesuffix("```\n")


def page() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield _EXAMPLE
    yield _MACHINE
    for section in reference.file_sections():
        yield from _section(section)
    yield from _grammar()
    yield from _units()
    yield from _words()
    yield from _position()
    yield from _chapter("Limits")
    yield from _table(("what", "at most"), reference.limits())
    yield ""
    yield "An expression that grows too large is split by naming its parts under `let`."


def _chapter(title: str, level: int = 2) -> Iterator[str]:
    yield ""
    yield f"{'#' * level} {title}"
    yield ""


def _section(section: Section) -> Iterator[str]:
    title, level = (f"`{section.name}`", 3) if section.name else ("Keys of a strategy file", 2)
    yield from _chapter(title, level)
    if section.meaning:
        yield section.meaning
        yield ""
    rows = [(f"`{key.name}`", "yes" if key.mandatory else "", key.value, key.meaning) for key in section.keys]
    yield from _table(("key", "mandatory", "value", "meaning"), rows)


def _grammar() -> Iterator[str]:
    yield from _chapter("Expressions")
    yield "From what binds most loosely to what binds most tightly:"
    yield ""
    yield from _table(
        ("operator", "example", "meaning"),
        [(f"`{operator}`", f"`{text}`", meaning) for operator, text, meaning in reference.OPERATORS],
    )
    yield ""
    yield _UNDEFINED
    yield from _chapter("Literals")
    yield from _table(
        ("literal", "example", "meaning"),
        [(name, f"`{text}`", meaning) for name, text, meaning in reference.LITERALS],
    )


def _units() -> Iterator[str]:
    yield from _chapter("Units")
    yield _UNITS
    yield ""
    yield from _table(
        ("expression", "unit"), [(f"`{text}`", reference.unit_of(text)) for text in reference.UNIT_EXAMPLES]
    )


def _words() -> Iterator[str]:
    yield from _chapter("Words")
    yield "What stands in their brackets:"
    yield ""
    yield from _table(("name", "is"), [(f"`{name}`", kind) for name, kind in reference.parameters()])
    yield ""
    yield _WARM_UP
    every = reference.words()
    for reads, heading in _HEADINGS.items():
        mine = [word for word in every if word.reads is reads]
        yield from _chapter(heading, 3)
        yield from _table(("word", "gives", "meaning", "warm-up", "example"), [_row(word) for word in mine])


def _row(word: Word) -> tuple[str, ...]:
    return (f"`{word.written}`", word.gives, word.meaning, word.warmup, f"`{word.example}`")


def _position() -> Iterator[str]:
    yield from _chapter("Where position words may stand")
    listed = ", ".join(f"`{name}`" for name in reference.position_words())
    yield f"{listed} {_POSITION}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
