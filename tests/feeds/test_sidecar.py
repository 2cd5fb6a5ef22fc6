from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from botd.core.instrument import InstrumentKind
from botd.core.settings import PaperSettings
from botd.errors import ConfigInvalid, InputInvalid
from botd.feeds.sidecar import (
    NO_INSTRUMENTS,
    BarStamp,
    FileEntry,
    RowsKind,
    VolumeUnit,
    build_instrument,
    read_sidecar,
    split_instrument_id,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "instruments.yaml"
    path.write_text(text)
    return path


def test_entries_are_read_in_full(tmp_path: Path) -> None:
    entries = read_sidecar(
        write(
            tmp_path,
            "# comment\n"
            'b.parquet: {instrument: "BTC/USDT:USDT", rows: bars, length: 5m, stamp: close,\n'
            "            volume_unit: quote, tick: 0.25, lot: 1e-3, min_notional: 5}\n"
            "t.csv: {instrument: NXS/BTC, rows: trades}\n",
        )
    )
    assert list(entries) == ["b.parquet", "t.csv"]
    bars, trades = entries.values()
    assert (bars.instrument, bars.rows, bars.length_us) == ("BTC/USDT:USDT", RowsKind.BARS, 300_000_000)
    assert (bars.stamp, bars.volume_unit) == (BarStamp.CLOSE, VolumeUnit.QUOTE)
    assert (bars.tick_size, bars.lot_size, bars.min_notional) == (Decimal("0.25"), Decimal("0.001"), 5)
    assert trades == FileEntry(file="t.csv", instrument=trades.instrument, rows=RowsKind.TRADES)
    assert (trades.stamp, trades.volume_unit, trades.tick_size) == (BarStamp.OPEN, VolumeUnit.BASE, None)


BAD = [
    ("a.csv: {instrument: A/B, rows: ticks}\n", ["1:32: 'ticks' is not known here; write trades or bars"]),
    ("a.csv: {rows: trades}\n", ["1:1: 'a.csv' lacks 'instrument'"]),
    ("a.csv: {instrument: A/B, rows: bars}\n", ["1:1: 'a.csv' lacks 'length', such as 1m"]),
    ("a.csv: {instrument: AB, rows: trades}\n", ["1:21: 'AB' is not an instrument; write it as BTC/USDT"]),
    ("a.csv: {instrument: A/B:C, rows: trades}\n", ["1:21: 'A/B:C' is not an instrument"]),
    (
        "a.csv: {instrument: A/B, rows: trades, tik: 1}\n",
        ["1:40: unknown key 'tik'; known are instrument, rows, length"],
    ),
    ("a.csv: {instrument: A/B, rows: trades, tick: 0}\n", ["1:46: '0' must be a positive multiple"]),
    ("a.csv: {instrument: A/B, rows: trades, lot: -1}\n", ["1:45: '-1' is not a number of 0 or more"]),
    ("a.csv: {instrument: A/B, rows: bars, length: 1x}\n", ["1:46: '1x' is not a length; write it as 1m"]),
    ("a.csv: {instrument: A/B, rows: trades, stamp: open}\n", ["1:47: 'stamp' is for bars"]),
    ("a.csv: {instrument: [A], rows: trades}\n", ["1:21: 'instrument' needs one plain value"]),
    ("a.csv: hello\n", ["1:8: 'a.csv' needs a mapping"]),
    ("a.csv: {[x]: 1, instrument: A/B, rows: trades}\n", ["1:9: a key must be plain text"]),
    ("- a\n", ["1:1: needs one entry per data file"]),
    ("", ["instruments.yaml: needs one entry per data file"]),
    ("a.csv: {instrument: A/B\n", ["not valid YAML"]),
    ("? [a]\n: b\n", ["1:3: a key must be plain text"]),
    (
        "a.csv: {instrument: A/B, rows: trades}\na.csv: {instrument: C/D, rows: trades}\n",
        ["2:1: 'a.csv' is here twice; keep one"],
    ),
    (
        "a.csv: {instrument: A/B, instrument: A/B, rows: x}\nb.csv: {rows: bars, length: 0m}\n",
        [
            "1:26: 'instrument' is here twice",
            "1:49: 'x' is not known here",
            "2:1: 'b.csv' lacks 'instrument'",
        ],
    ),
]


@pytest.mark.parametrize(("text", "messages"), BAD)
def test_every_fault_is_named_with_its_place(tmp_path: Path, text: str, messages: list[str]) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read_sidecar(write(tmp_path, text))
    lines = str(caught.value).splitlines()
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert message in line
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{a: " * 5000])
def test_nested_brackets_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        read_sidecar(write(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "instruments.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputInvalid, match="cannot be read"):
        read_sidecar(path)


def test_instrument_ids() -> None:
    assert split_instrument_id("EVX/BTC") == ("EVX", "BTC", InstrumentKind.SPOT)
    assert split_instrument_id("BTC/USDT:USDT") == ("BTC", "USDT", InstrumentKind.PERPETUAL)
    assert split_instrument_id("BTC/USD:BTC") is None  # inverse
    assert split_instrument_id("BTCUSDT") is None


def test_entry_made_in_code_is_checked_too() -> None:
    entry = FileEntry(file="x", instrument="no", rows=RowsKind.TRADES)  # type: ignore[arg-type]
    one = Decimal(1)
    with pytest.raises(InputInvalid, match="'no' is not an instrument"):
        build_instrument(entry, tick_size=one, lot_size=one, known=NO_INSTRUMENTS, paper=PaperSettings())
    with pytest.raises(InputInvalid, match="lacks 'length'"):
        FileEntry(file="x", instrument="A/B", rows=RowsKind.BARS)  # type: ignore[arg-type]


def test_min_notional_defaults_by_quote() -> None:
    entry = FileEntry(file="x", instrument="A/BTC", rows=RowsKind.TRADES)  # type: ignore[arg-type]
    paper = PaperSettings(min_notional={"BTC": Decimal("0.0001")})
    one = Decimal(1)
    made = build_instrument(entry, tick_size=one, lot_size=one, known=NO_INSTRUMENTS, paper=paper)
    assert made.min_notional == Decimal("0.0001")
