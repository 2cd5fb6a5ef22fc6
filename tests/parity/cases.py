"""Data for the parity tests: cuts of the recorded files, and a made twin that is always there."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = Path(__file__).parent / "strategies"
FULL = os.environ.get("BOTD_PARITY") == "full"
DATA = Path(os.environ.get("BOTD_DATA", ROOT.parent / "shared" / "data"))
PUMPS = ("ARNBTC_2020-04-07T1800", "MDABTC_2021-01-03T1700", "ONGBTC_2021-01-11T1600")
ON_TRADES = ("breakout", "mean_reversion", "pump_rider")
ON_BARS = "sma_cross"
HOUR_MS = 3_600_000
BARS_CUT = 1_500


@dataclass(frozen=True, slots=True)
class Case:
    """One strategy on one data file."""

    strategy: str
    data: Path

    @property
    def name(self) -> str:
        return f"{self.strategy} on {self.data.stem}"


def recorded_cases(folder: Path) -> list[Case]:
    """Write cuts of the recorded files (whole files in the full run); nothing where they are missing."""
    if not (DATA / "pumps").is_dir() or not (DATA / "bars").is_dir():
        return []
    cases = []
    for name in PUMPS:
        table = pq.read_table(DATA / "pumps" / f"{name}.parquet")
        if not FULL:
            times = table["ts_ms"].to_numpy()
            busiest = int(times[0]) + int(np.argmax(np.bincount((times - times[0]) // HOUR_MS))) * HOUR_MS
            table = table.filter((times >= busiest - 2 * HOUR_MS) & (times < busiest + 2 * HOUR_MS))
        entry = {"instrument": f"{name[:3]}/BTC", "rows": "trades"}
        cases += [Case(s, _write(folder / f"{name}.parquet", table, entry)) for s in ON_TRADES]
    bars = pq.read_table(DATA / "bars" / "BTC-PERP_1m_2022-01.parquet")
    size = bars.num_rows // 3 if FULL else BARS_CUT
    for k in range(3):
        cut = bars.slice(k * (bars.num_rows // 3), size)
        cases.append(Case(ON_BARS, _write(folder / f"bars_{k}.parquet", cut, _bars_entry())))
    return cases


def made_cases(folder: Path) -> list[Case]:
    """Write three made files per kind: trades with bursts of market buys, and one-minute bars."""
    cases = []
    for seed in (1, 2, 3):
        trades = folder / f"made_{seed}.parquet"
        _write(trades, _made_trades(seed), {"instrument": "AAA/BTC", "rows": "trades"})
        cases += [Case(strategy, trades) for strategy in ON_TRADES]
        bars = folder / f"made_bars_{seed}.parquet"
        cases.append(Case(ON_BARS, _write(bars, _made_bars(seed), _bars_entry())))
    return cases


def _bars_entry() -> dict[str, object]:
    return {
        "instrument": "BTC/USDT:USDT", "rows": "bars", "length": "1m", "stamp": "open",
        "volume_unit": "quote", "tick": 0.25, "lot": 0.001,
    }  # fmt: skip


def _write(path: Path, table: pa.Table, entry: dict[str, object]) -> Path:
    pq.write_table(table, path)
    sidecar = path.parent / "instruments.yaml"
    known = yaml.safe_load(sidecar.read_text()) if sidecar.exists() else {}
    known[path.name] = entry
    sidecar.write_text(yaml.safe_dump(known))
    return path


def _made_trades(seed: int) -> pa.Table:
    """Return two hours of trades: a quiet walk, every 4 minutes a burst that rises 2-4 % and falls back."""
    rng = random.Random(seed)
    rows: list[tuple[int, float, float, str]] = []
    level = 2_000.0
    t, end = 1_600_000_000_000, 1_600_000_000_000 + 2 * HOUR_MS
    while t < end:
        phase = (t // 1000) % 240
        if phase < 12:
            level *= 1 + rng.uniform(0.0005, 0.0030)
            gap, prints, up = rng.randrange(80, 400), rng.randrange(1, 4), rng.random() < 0.9
        elif phase < 60:
            level *= 1 - rng.uniform(0.0, 0.0012)
            gap, prints, up = rng.randrange(200, 1500), 1, rng.random() < 0.3
        else:
            level += (2_000.0 - level) * 0.01 + rng.gauss(0, 0.8)
            gap, prints, up = rng.randrange(300, 4000), 1, rng.random() < 0.5
        t += gap
        for k in range(prints):
            price = (round(level) + (k if up else -k)) * 1e-8
            rows.append((t, price, float(rng.randrange(50, 4000)), "buy" if up else "sell"))
    ts, price, amount, side = zip(*rows, strict=True)
    return pa.table({"ts_ms": ts, "price": price, "amount": amount, "side": side})


def _made_bars(seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    n = 900
    close = np.rint(40_000 * np.exp(np.cumsum(rng.normal(0, 0.0008, n))) * 4) / 4
    opened = np.concatenate(([40_000.0], close[:-1]))
    wide = rng.integers(0, 60, (2, n)) / 4
    return pa.table(
        {
            "ts_ms": 1_640_995_200_000 + np.arange(n) * 60_000,
            "open": opened,
            "high": np.maximum(opened, close) + wide[0],
            "low": np.minimum(opened, close) - wide[1],
            "close": close,
            "volume": rng.integers(1, 50, n) * 10_000.0,
        }
    )


def bot_folder(folder: Path, strategy: str) -> Path:
    """Make a bot folder with the shipped settings and one parity strategy."""
    (folder / "strategies").mkdir(parents=True)
    shutil.copy(ROOT / "config.yaml", folder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copy(STRATEGIES / f"{strategy}.yaml", folder / "strategies")
    return folder


def counted(lines: list[str]) -> tuple[int, int, int]:
    """Return how many S1 signals, entry orders and exit orders there are among decision lines."""
    kinds = list(_kinds(lines))
    return kinds.count("S1"), kinds.count("entry"), kinds.count("exit")


def _kinds(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if '"kind":"signal"' in line and '"section":"S1"' in line:
            yield "S1"
        elif '"kind":"order"' in line and '"type":"stop_market"' not in line:
            yield "entry" if '"section":"Z1"' in line else "exit"
