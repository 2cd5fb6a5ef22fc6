"""Read a Parquet or CSV file into plain columns and refuse what is no market data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from botd.errors import InputInvalid
from botd.feeds.sidecar import SIDECAR_NAME, RowsKind
from botd.ports import I64

F64 = NDArray[np.float64]

SUFFIXES: Final = (".parquet", ".csv")
TIME_COLUMNS: Final = {"ts_us": 1, "ts_ms": 1000}
COLUMNS: Final = {
    RowsKind.TRADES: ("price", "amount", "side"),
    RowsKind.BARS: ("open", "high", "low", "close", "volume"),
}
_FIRST_US: Final = 946_684_800_000_000  # 2000-01-01
_LAST_US: Final = 4_102_444_800_000_000  # 2100-01-01


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The good rows of a file in time order (stable), and what was left out to get there."""

    time_us: I64
    numbers: dict[str, NDArray[np.floating[Any]]]  # every number column of the kind
    side: I64  # +1 buy, -1 sell; empty for bars
    dropped: int  # rows with a price that is not a positive number, or an amount that cannot be
    sorted_here: bool  # the file was out of order


def read_columns(path: Path, rows: RowsKind) -> Columns:
    """Read, check and sort the columns of one data file; InputInvalid says what is wrong in one line."""
    table = _open_table(path)
    names = list(table.column_names)
    time_name = _required_columns(path, names, rows)
    if table.num_rows == 0:
        raise InputInvalid(f"{path}: holds no rows")
    time_us = _time_column(path, table, time_name)
    numbers = {name: _number_column(path, table, name) for name in COLUMNS[rows] if name != "side"}
    side = _side_column(path, table) if rows is RowsKind.TRADES else np.zeros(0, np.int64)
    good = _good_rows(numbers, rows)
    dropped = int(good.size - np.count_nonzero(good))
    if dropped == good.size:
        raise InputInvalid(f"{path}: none of its {good.size} rows has a price above 0")
    order = np.flatnonzero(good)
    sorted_here = bool(np.any(np.diff(time_us[order]) < 0))
    if sorted_here:
        order = order[np.argsort(time_us[order], kind="stable")]
    return Columns(
        time_us=time_us[order],
        numbers={name: column[order] for name, column in numbers.items()},
        side=side[order] if side.size else side,
        dropped=dropped,
        sorted_here=sorted_here,
    )


def guess_kind(path: Path) -> RowsKind | None:
    """Return what the columns of a file look like, or None when they are no market data."""
    names = set(_column_names(path))
    if not names & set(TIME_COLUMNS):
        return None
    return next((kind for kind, needed in COLUMNS.items() if names.issuperset(needed)), None)


def suggest_entry(path: Path, rows: RowsKind) -> str:
    """Return the sidecar line that a file without an entry needs, with a guess at its instrument."""
    stem = path.stem.split("_")[0].upper()
    quotes = (quote for quote in ("USDT", "USDC", "BTC", "ETH", "EUR", "USD") if stem.endswith(quote))
    quote = next(quotes, None)
    base = stem[: -len(quote)] if quote else ""
    guess = f"{base}/{quote}" if base.isalnum() else "BASE/QUOTE"
    more = ", length: 1m, stamp: open, volume_unit: base" if rows is RowsKind.BARS else ""
    return f"{path.name}: {{instrument: {guess}, rows: {rows}{more}}}"


def _open_table(path: Path) -> Any:
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return parquet.read_table(path)
        from pyarrow import csv

        return csv.read_csv(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputInvalid(f"{path}: cannot be read as {path.suffix[1:]}: {_first_line(error)}") from error


def _column_names(path: Path) -> Sequence[str]:
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return list(parquet.read_schema(path).names)
        from pyarrow import csv

        with csv.open_csv(path) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputInvalid(f"{path}: cannot be read as {path.suffix[1:]}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _required_columns(path: Path, names: Sequence[str], rows: RowsKind) -> str:
    """Return the name of the time column, or say which columns are there and which are needed."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputInvalid(f"{path}: column '{twice[0]}' is there twice")
    time_name = next((name for name in TIME_COLUMNS if name in names), None)
    if time_name is None or not set(names).issuperset(COLUMNS[rows]):
        needed = ", ".join(COLUMNS[rows])
        message = f"{path}: {rows} need the columns ts_ms (or ts_us), {needed}; it has {', '.join(names)}"
        raise InputInvalid(message)
    return time_name


def _time_column(path: Path, table: Any, name: str) -> I64:
    import pyarrow as pa

    column = table[name]
    if not pa.types.is_integer(column.type) or column.null_count:
        missing = "has gaps" if column.null_count else f"is {column.type}"
        raise InputInvalid(f"{path}: column '{name}' must hold whole numbers, and {missing}")
    time_us = np.asarray(column.to_numpy()).astype(np.int64) * TIME_COLUMNS[name]
    off = (time_us < _FIRST_US) | (time_us >= _LAST_US)
    if np.any(off):
        row = int(np.argmax(off))
        unit = "milliseconds" if name == "ts_ms" else "microseconds"
        value = column[row].as_py()
        raise InputInvalid(f"{path}: '{name}' {value} in row {row + 1} is no time in {unit} since 1970")
    return time_us


def _number_column(path: Path, table: Any, name: str) -> NDArray[np.floating[Any]]:
    import pyarrow as pa

    column = table[name]
    types = pa.types
    if types.is_float32(column.type):
        return np.asarray(column.to_numpy(), dtype=np.float32)
    if types.is_float64(column.type) or types.is_integer(column.type) or types.is_decimal(column.type):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    raise InputInvalid(f"{path}: column '{name}' must hold numbers, and is {column.type}")


def _side_column(path: Path, table: Any) -> I64:
    import pyarrow as pa
    from pyarrow import compute

    column = table["side"]
    try:
        text = column.cast(pa.string()).combine_chunks()
    except pa.ArrowException as error:
        raise InputInvalid(f"{path}: column 'side' must be buy or sell, and is {column.type}") from error
    buy = np.asarray(compute.fill_null(compute.equal(text, "buy"), False).to_numpy(zero_copy_only=False))
    sell = np.asarray(compute.fill_null(compute.equal(text, "sell"), False).to_numpy(zero_copy_only=False))
    unknown = ~(buy | sell)
    if np.any(unknown):
        row = int(np.argmax(unknown))
        raise InputInvalid(f"{path}: side {text[row].as_py()!r} in row {row + 1} must be buy or sell")
    return buy.astype(np.int64) - sell.astype(np.int64)


def _good_rows(numbers: dict[str, NDArray[np.floating[Any]]], rows: RowsKind) -> NDArray[np.bool_]:
    """Mark rows whose prices are positive and finite and whose amount can be."""
    amount_name = "amount" if rows is RowsKind.TRADES else "volume"
    amount = numbers[amount_name]
    good = np.isfinite(amount) & (amount > 0 if rows is RowsKind.TRADES else amount >= 0)
    for name, column in numbers.items():
        if name != amount_name:
            good &= np.isfinite(column) & (column > 0)
    if rows is RowsKind.BARS:
        top = np.maximum(numbers["open"], numbers["close"])
        bottom = np.minimum(numbers["open"], numbers["close"])
        good &= (numbers["high"] >= top) & (numbers["low"] <= bottom)
    return np.asarray(good, dtype=np.bool_)


def sidecar_beside(path: Path) -> Path:
    """Return where the sidecar of a data file is, there or not."""
    return path.parent / SIDECAR_NAME
