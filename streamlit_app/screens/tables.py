"""Tables and figures as HTML: exact text that can be read, searched and copied, in every theme and width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import streamlit as st

from . import words

STYLE: Final = Path(__file__).with_name("style.css")
GREY: Final = """
<style>
[class*="st-key-botd-body"] { filter: grayscale(1); opacity: .42; }
</style>
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell: text, how it looks, and what is said when it is pointed at."""

    text: str
    look: str = ""  # classes
    title: str = ""
    dot: str = ""  # colour of a dot before it


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; `n` numbers stand to the right, `w` wraps, `x` is left out on a phone."""

    name: str
    look: str = ""


Value = str | Cell
REVISION_SHOWN: Final = 7  # characters in a table, where it stands beside much else


def revision_cell(revision: str | None) -> Cell:
    """Return the beginning of a revision; all that is kept of it is said when it is pointed at."""
    return Cell((revision or words.NONE)[:REVISION_SHOWN], "mono", title=revision or "")


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[Value]], *, key: str, empty: str) -> None:
    """Draw a table, or say in its place why there is nothing in it."""
    lines = [_row(columns, row) for row in rows]
    if not lines:
        st.html(f'<div class="botd-empty" data-table="{key}">{escape(empty)}</div>')
        return
    heads = "".join(f'<th class="{one.look}">{escape(one.name)}</th>' for one in columns)
    st.html(
        f'<div class="botd-scroll"><table class="botd-table" data-table="{key}">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _row(columns: Sequence[Column], row: Sequence[Value]) -> str:
    cells = []
    for column, value in zip(columns, row, strict=True):
        cell = value if isinstance(value, Cell) else Cell(value)
        title = f' title="{escape(cell.title)}"' if cell.title else ""
        dot = f'<span class="botd-dot" style="background:{cell.dot}"></span>' if cell.dot else ""
        cells.append(f'<td class="{column.look} {cell.look}"{title}>{dot}{escape(cell.text)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


@dataclass(frozen=True, slots=True)
class Card:
    """One figure with its name, and a line below."""

    name: str
    value: str
    below: str = ""
    look: str = ""


def show_cards(cards: Iterable[Card]) -> None:
    """Draw figures side by side; on a phone two in a row."""
    drawn = "".join(
        f'<div class="botd-card" data-card="{escape(one.name)}"><div class="k">{escape(one.name)}</div>'
        f'<div class="v {one.look}">{escape(one.value)}</div><div class="s">{escape(one.below)}</div></div>'
        for one in cards
    )
    st.html(f'<div class="botd-cards">{drawn}</div>')


def show_heading(text: str) -> None:
    """Write a small heading."""
    st.html(f'<div class="botd-h">{escape(text)}</div>')


def show_banner(colour: str, text: str, *, name: str) -> None:
    """Say something across the page; `name` is for tests."""
    st.html(f'<div class="botd-banner {colour}" data-banner="{name}">{escape(text)}</div>')
