"""Files and folders that cannot be read: one clear line each, and what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from botd.errors import InputInvalid
from botd.feeds.folder import find_data, open_data
from botd.feeds.recorded import RecordedFeed

T0 = 1_600_000_000_000  # ms
TRADES = [(T0, 0.000103, 5.0, "buy"), (T0 + 40, 0.0001, 7.5, "sell")]
BARS = {
    "ts_ms": [1_640_991_660_000, 1_640_991_720_000, 1_640_991_840_000],  # 23:01, 23:02, 23:04
    "open": [100.0, 100.5, 101.0],
    "high": [101.0, 100.5, 103.25],
    "low": [99.5, 100.0, 100.75],
    "close": [100.5, 100.125, 102.0],
    "volume": [1005.0, 250.0, 0.0],
}


ERRORS = [
    ("missing.parquet", None, None, "there is no such file"),
    ("a.txt", "hello", None, r"is no data file; it must end in .parquet or .csv"),
    ("a.parquet", "not parquet", "{instrument: A/BTC, rows: trades}", "cannot be read as parquet"),
    ("a.csv", "", "{instrument: A/BTC, rows: trades}", "cannot be read as csv"),
    (
        "a.csv",
        "time,price\n1,2\n",
        "{instrument: A/BTC, rows: trades}",
        r"trades need the columns ts_ms \(or ts_us\), price, amount, side; it has time, price",
    ),
    (
        "a.csv",
        "ts_ms,price,amount,side\n1600000000000,2,3,buy\n",
        "{instrument: A/BTC, rows: bars, length: 1m}",
        r"bars need the columns ts_ms \(or ts_us\), open, high, low, close, volume; it has ts_ms, price",
    ),
    ("a.csv", "ts_ms,price,amount,side\n", "{instrument: A/BTC, rows: trades}", "holds no rows"),
    (
        "a.csv",
        "ts_ms,price,amount,side\n1600000000000,2,3,long\n",
        "{instrument: A/BTC, rows: trades}",
        "side 'long' in row 1 must be buy or sell",
    ),
    (
        "a.csv",
        "ts_ms,price,amount,side\n1600000000,2,3,buy\n",
        "{instrument: A/BTC, rows: trades}",
        "'ts_ms' 1600000000 in row 1 is no time in milliseconds",
    ),
    (
        "a.csv",
        "ts_ms,price,amount,side\n2020-01-01,2,3,buy\n",
        "{instrument: A/BTC, rows: trades}",
        "column 'ts_ms' must hold whole numbers",
    ),
    (
        "a.csv",
        "ts_ms,price,amount,side\n1600000000000,much,3,buy\n",
        "{instrument: A/BTC, rows: trades}",
        "column 'price' must hold numbers, and is string",
    ),
    (
        "a.csv",
        "ts_ms,price,amount,side\n1600000000000,0,3,buy\n",
        "{instrument: A/BTC, rows: trades}",
        "none of its 1 rows has a price above 0",
    ),
    (
        "EVXBTC_2021.csv",
        "ts_ms,price,amount,side\n1600000000000,2,3,buy\n",
        None,
        r"instruments.yaml is missing; write this line into it: "
        r"EVXBTC_2021.csv: \{instrument: EVX/BTC, rows: trades\}$",
    ),
    ("a.csv", "file,symbol\nx,y\n", None, "trades need the columns .* it has file, symbol"),
]


@pytest.mark.parametrize(("name", "content", "entry", "message"), ERRORS)
def test_bad_file_gets_one_clear_line(
    tmp_path: Path, name: str, content: str | None, entry: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    if entry is not None:
        (tmp_path / "instruments.yaml").write_text(f"{name}: {entry}\n")
    with pytest.raises(InputInvalid, match=message) as caught:
        open_data(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_file_without_entry_in_a_sidecar_is_told_the_line(write_table: Callable[..., Path]) -> None:
    write_table("a.parquet", BARS, "{instrument: A/USDT, rows: bars, length: 1m}")
    path = write_table("ETHUSDT_1m.parquet", BARS, None)
    line = (
        r"ETHUSDT_1m.parquet: \{instrument: ETH/USDT, rows: bars, "
        r"length: 1m, stamp: open, volume_unit: base\}$"
    )
    with pytest.raises(InputInvalid, match=f"has no entry for it; write this line into it: {line}"):
        RecordedFeed(path)


def test_folder_opens_listed_files_by_name(write_trades: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("b.parquet", "a.csv"):
        write_trades(name, TRADES)
    write_trades("unlisted.parquet", TRADES, None)
    (tmp_path / "events.csv").write_text("file,symbol\nx,y\n")
    with (tmp_path / "instruments.yaml").open("a") as sidecar:
        sidecar.write("gone.parquet: {instrument: AAA/BTC, rows: trades}\n")
    assert [path.name for path, _ in find_data(tmp_path)] == ["a.csv", "b.parquet"]
    assert [feed.path.name for feed in open_data(tmp_path)] == ["a.csv", "b.parquet"]


def test_folder_without_data_is_refused(tmp_path: Path, write_trades: Callable[..., Path]) -> None:
    with pytest.raises(InputInvalid, match="there is no such file or folder"):
        open_data(tmp_path / "none")
    with pytest.raises(InputInvalid, match="holds no data files"):
        open_data(tmp_path)
    (tmp_path / "events.csv").write_text("file,symbol\nx,y\n")
    with pytest.raises(InputInvalid, match="holds no data files"):
        open_data(tmp_path)
    write_trades("NXSBTC_x.parquet", TRADES, None)
    with pytest.raises(
        InputInvalid, match=r"such as NXSBTC_x.parquet: \{instrument: NXS/BTC, rows: trades\}"
    ):
        open_data(tmp_path)
    (tmp_path / "instruments.yaml").write_text("gone.csv: {instrument: A/BTC, rows: trades}\n")
    with pytest.raises(InputInvalid, match=r"none of the 1 files that instruments.yaml lists is there"):
        open_data(tmp_path)
