"""Tables that fit their terminal: where it is narrow, whole columns go, the least needed first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

Cell = Text | str

_HEADER: Final = "bold white on grey23"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. Names and amounts stay (`drop` 0); of the others those with the highest `drop` go first."""

    header: Cell = ""
    drop: int = 0
    right: bool = False
    width_min: int = 0
    shrinks: bool = False  # may be cut to `width_min`, and takes the room that is left
    grows: bool = False  # takes the room that is left


def make_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int, left: int = 1
) -> Table:
    """Return a table of at most `width` cells. `left` is the space before each column."""
    places = fitting(columns, rows, width, left)
    tight = _needed(columns, rows, places, left, headers=True) > width
    padding = (0, 1, 0, 0 if tight else left)
    table = Table(box=None, expand=True, header_style=_HEADER, padding=padding)
    for place in places:
        column = columns[place]
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(
            column.header,
            justify=justify,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if not tight and (column.shrinks or column.grows) else None,
            width=_width(column, rows, place, headers=False) if tight else None,
            min_width=None if tight else _width(column, rows, place, headers=True),
        )
    for row in rows:
        table.add_row(*(row[place] if place < len(row) else "" for place in places))
    return table


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, left: int) -> list[int]:
    """Return the places of the columns that stay in a table of this width."""
    places = list(range(len(columns)))
    while _needed(columns, rows, places, left, headers=True) > width:
        droppable = [place for place in places if columns[place].drop]
        if not droppable:
            break
        places.remove(max(droppable, key=lambda place: columns[place].drop))
    return places


def _needed(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    places: Sequence[int],
    left: int,
    *,
    headers: bool,
) -> int:
    return sum(_width(columns[place], rows, place, headers=headers) + left + 1 for place in places)


def _width(column: Column, rows: Sequence[Sequence[Cell]], place: int, *, headers: bool) -> int:
    """Return the cells that a column cannot do without; a row of one cell alone is a remark, no name."""
    if column.shrinks:
        return column.width_min
    cells = [_length(row[place]) for row in rows if place < len(row) and (headers or len(row) > 1)]
    header = _length(column.header) if headers and not column.grows else 1
    return max([column.width_min, header, *cells])


def _length(cell: Cell) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(cell)
