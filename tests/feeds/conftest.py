"""Files and clocks that the feed tests share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.ports import Chunk

Row = tuple[int, float, float, str]


class StepClock:
    """A clock that stands still until someone sleeps, then is where they wanted."""

    def __init__(self, now_us: int) -> None:
        self.time_us = now_us
        self.slept: list[int] = []

    def now_us(self) -> int:
        return self.time_us

    async def sleep_until(self, ts_us: int) -> None:
        self.slept.append(ts_us)
        self.time_us = max(self.time_us, ts_us)
        await asyncio.sleep(0)


@pytest.fixture
def make_clock() -> Callable[[int], StepClock]:
    return StepClock


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of recorded data, or skip: a synthetic twin of every such test runs anyway."""
    default = Path(__file__).parents[2] / ".." / "shared" / "data"
    folder = Path(os.environ.get("BOTD_DATA", default))
    if not (folder / "pumps" / "instruments.yaml").is_file():
        pytest.skip(f"no recorded data in {folder} (set BOTD_DATA)")
    return folder


@pytest.fixture
def write_trades(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of trade files: (name, rows, sidecar entry) -> path; the suffix is the format."""

    def write(name: str, rows: list[Row], entry: str | None = "{instrument: AAA/BTC, rows: trades}") -> Path:
        columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
        table = pa.table(
            {
                "ts_ms": pa.array(columns[0], pa.int64()),
                "price": pa.array(columns[1], pa.float64()),
                "amount": pa.array(columns[2], pa.float64()),
                "side": pa.array(columns[3], pa.string()),
            }
        )
        return save(tmp_path / name, table, entry)

    return write


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of any table: (name, columns, sidecar entry) -> path."""

    def write(name: str, columns: dict[str, object], entry: str | None) -> Path:
        return save(tmp_path / name, pa.table(columns), entry)

    return write


def save(path: Path, table: pa.Table, entry: str | None) -> Path:
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path)
    if entry is not None:
        with (path.parent / "instruments.yaml").open("a") as sidecar:
            sidecar.write(f"{path.name}: {entry}\n")
    return path


@pytest.fixture
def instruments() -> tuple[Instrument, ...]:
    """Return six instruments: one that trends, three that burst, two that are pumped."""
    return (
        instrument("BTC/USDT:USDT", "0.1", "0.001"),
        instrument("ETH/USDT", "0.01", "0.0001"),
        instrument("SOL/USDT", "0.01", "0.001"),
        instrument("XRP/USDT", "0.0001", "0.1"),
        instrument("EVX/BTC", "0.00000001", "1"),
        instrument("RCN/BTC", "0.00000001", "1"),
    )


def instrument(name: str, tick: str, lot: str) -> Instrument:
    base, quote = name.split(":")[0].split("/")
    kind = InstrumentKind.PERPETUAL if ":" in name else InstrumentKind.SPOT
    return Instrument(
        id=InstrumentId(name),
        kind=kind,
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )


@pytest.fixture
def flatten() -> Callable[[Iterator[Chunk]], list[tuple[int, ...]]]:
    """Return a function that turns chunks into (position, instrument, *columns) per row, checking order."""

    def rows_of(chunks: Iterator[Chunk]) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for chunk in chunks:
            assert chunk.rows.flags.c_contiguous
            assert chunk.rows.shape[1] == chunk.instrument.size > 0
            assert not found or found[-1][0] + 1 == chunk.position
            for j in range(chunk.instrument.size):
                found.append((chunk.position + j, int(chunk.instrument[j]), *chunk.rows[:, j].tolist()))
        return found

    return rows_of
