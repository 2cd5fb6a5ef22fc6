"""Bots in folders, data files, and the real command on them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet

from tests.cli.forked import FORKER, Forked

ROOT = Path(__file__).resolve().parents[2]
T0_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
COMMAND = (sys.executable, "-W", "error", "-m", "botd.cli.main")

# Quiet trades make no signal; a burst of buys makes one, and what follows closes the position.
RIDER = """\
strategy: rider
about: Ride a burst of buys.
instruments: [NXS/BTC]
side: long
let:
  speed: change(10s)
S1:
  when: speed > 1%
  confidence: clamp(0.6 + speed, 0, 1)
  cooldown: 30s
Z1:
  when: spread < 200bps
  order: { type: market, slippage_max: 200bps }
  size:  { percent: 5% of equity }
ZE1:
  - { name: half, when: pnl > 1%, close: 50% }
  - { name: fade, when: speed < 0, close: 100% }
protect: { stop_loss: 5%, take_profit: 10%, holding_max: 2m }
limits: { losing_streak_max: 1000, daily_loss_max: 90%, drawdown_max: 90% }
on_stop: cancel
"""

CONFIG = """\
mode: paper
account:
  name: paper
  equity: { USDT: 10000, BTC: 1 }
session:
  budget: 1000 USD
instruments:
  NXS/BTC: { tick: 0.00000001, lot: 1, min_notional: 0.0001 BTC }
  SOL/USDT:USDT: { tick: 0.01, lot: 0.01, min_notional: 5 USDT, leverage: 1 }
universes: {}
feed:
  kind: synthetic
  seed: 1
  speed: 1
data:
  outlier: 3
  outlier_window: 5m
  outlier_confirm: 250ms
state:
  path: state/botd.sqlite3
schedule: {}
record: true
logging:
  level: info
  format: json
includes:
  strategies: strategies
  risk: configs/risk.yaml
  lifecycle: configs/lifecycle.yaml
  execution: configs/execution.yaml
  shutdown: configs/shutdown.yaml
"""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """The lines that are neither source excerpts nor carets."""
        return [line for line in self.err.splitlines() if line and not line.startswith(" ")]


def make_bot(folder: Path, **strategies: str) -> Path:
    """Make a bot with the shipped settings; `rider` alone unless strategies are given by name."""
    (folder / "strategies").mkdir(parents=True)
    (folder / "configs").mkdir()
    for file in (ROOT / "configs").glob("*.yaml"):
        (folder / "configs" / file.name).write_bytes(file.read_bytes())
    (folder / "config.yaml").write_text(CONFIG)
    for name, text in (strategies or {"rider": RIDER}).items():
        (folder / "strategies" / f"{name}.yaml").write_text(text)
    return folder


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that must stand in the file once."""
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file.name}"
    file.write_text(text.replace(old, new))


def write_pump(
    path: Path, *, bursts: int = 12, instrument: str = "NXS/BTC", start_ms: int = T0_MS, seed: int = 7
) -> Path:
    """Write five minutes of quiet trades per burst: in each the price climbs 3 % in 6 s, and falls back.

    Base price 0.00003000 BTC, tick 1e-8, whole lots; a quiet trade every second, ten a second in a burst.
    """
    rng = random.Random(seed)
    rows: list[tuple[int, float, float, str]] = []
    for burst in range(bursts):
        begin = start_ms + burst * 300_000
        for second in range(300):
            at, into = begin + second * 1000, second - 150
            busy = 0 <= into < 20
            for part in range(10 if busy else 1):
                climb = into * 10 + part if busy else 0
                ticks = 3000 + (min(climb * 3 // 2, 90) if climb < 60 else max(0, 90 - (climb - 60)))
                side = "buy" if (busy and climb < 60) or (not busy and rng.random() < 0.5) else "sell"
                ticks += 1 if side == "buy" else 0
                rows.append((at + part * 100, ticks / 1e8, float(rng.randint(500, 5000)), side))
    return write_trades(path, rows, f"{{instrument: {instrument}, rows: trades}}")


def write_trades(path: Path, rows: Sequence[tuple[int, float, float, str]], entry: str | None) -> Path:
    """Write a Parquet file of (ts_ms, price, amount, side), and its entry into the sidecar beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times, prices, amounts, sides = zip(*rows, strict=True)
    columns = {"ts_ms": times, "price": prices, "amount": amounts, "side": sides}
    pa.parquet.write_table(pa.table({name: list(values) for name, values in columns.items()}), path)
    return list_file(path, entry)


def write_bars(path: Path, closes: Sequence[float], *, instrument: str = "SOL/USDT:USDT") -> Path:
    """Write one-minute bars with these closes, each opening at the one before."""
    opens = [closes[0], *closes[:-1]]
    columns = {
        "ts_ms": [T0_MS // 60_000 * 60_000 + 60_000 * i for i in range(len(closes))],
        "open": opens,
        "high": [max(pair) for pair in zip(opens, closes, strict=True)],
        "low": [min(pair) for pair in zip(opens, closes, strict=True)],
        "close": list(closes),
        "volume": [1000.0] * len(closes),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table(columns), path)
    return list_file(path, f'{{instrument: "{instrument}", rows: bars, length: 1m, stamp: open, tick: 0.01}}')


def list_file(path: Path, entry: str | None) -> Path:
    if entry is not None:
        with (path.parent / "instruments.yaml").open("a") as sidecar:
            sidecar.write(f"{path.name}: {entry}\n")
    return path


# ---- the command --------------------------------------------------------------------------------


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nobody's terminal decides how wide the output is."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "FORCE_COLOR", "BOTD_CONFIG")
    }
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "dumb", **more}


def botd(folder: Path, *arguments: object, timeout: float = 60, user: int | None = None) -> Done:
    """Run the command in a folder to its end; a traceback on the screen is always a failure."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        with out.open("w") as to_out, err.open("w") as to_err:
            outputs = {"out": to_out.fileno(), "err": to_err.fileno()}
            told = FORKER.fork(
                folder, [*map(str, arguments)], environment=environment(), user=user, **outputs
            )
        process = Forked(told)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        done = Done(code, out.read_text(), err.read_text())
    assert "Traceback" not in done.out + done.err, done.out + done.err
    assert "unexpected" not in done.err, done.err
    return done


def refused(done: Done, code: int, *said: str) -> None:
    """Hold a refusal to: its exit code, and one line on standard error alone that says these words."""
    assert done.code == code, done
    assert done.out == ""
    assert len(done.said) == 1, done.err
    assert done.said[0].startswith("botd: ")
    assert len(done.said[0]) < 300
    for words in said:
        assert words in done.said[0], done.err


class Running:
    """A command that has been started; its output can be waited for line by line."""

    command: tuple[str, ...] = COMMAND

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.process = self.begin(folder, [*map(str, arguments)])
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        assert self.process.stdout is not None and self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def begin(self, folder: Path, arguments: Sequence[str]) -> subprocess.Popen[str] | Forked:
        """Start the process."""
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=folder,
            env=environment(PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = self._ended or stream is self.process.stdout
            self._news.notify_all()

    def wait_for(self, text: str, *, timeout: float = 60) -> str:
        """Return the first line of standard output that holds a text; fail where none comes."""
        found: list[str] = []

        def seen() -> bool:
            found[:] = [line for line in self.lines if text in line]
            return bool(found) or self._ended

        with self._news:
            self._news.wait_for(seen, timeout)
        assert found, f"no line with {text!r} in {timeout} s:\n{self.text}"
        return found[0]

    @property
    def text(self) -> str:
        return "\n".join([*self.lines, "---- standard error", *self.errors])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, *, timeout: float = 60) -> Done:
        """Wait for the end."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(10)
        # Python drops, and prints, an exception that a signal raises inside a destructor or a callback
        assert "Traceback" not in self.text or "Exception ignored in" in self.text, self.text
        return Done(code, *("".join(f"{line}\n" for line in lines) for lines in (self.lines, self.errors)))

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Warm(Running):
    """A command that is started in a process which has loaded it already: what loading takes is seconds."""

    def begin(self, folder: Path, arguments: Sequence[str]) -> subprocess.Popen[str] | Forked:
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        try:
            told = FORKER.fork(folder, arguments, environment=environment(), out=to_out, err=to_err)
        finally:
            os.close(to_out)
            os.close(to_err)
        return Forked(told, os.fdopen(out), os.fdopen(err))
