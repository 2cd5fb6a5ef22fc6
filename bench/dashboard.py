"""Time every page of the dashboard in a real browser, at 100,000 orders and a million signals."""

from __future__ import annotations

import argparse
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from botd.store.journal import open_state

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
SESSION = "paper-bench"
INSTRUMENTS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "EVX/BTC", "RCN/BTC")
STRATEGIES = ("breakout", "mean_reversion", "sma_cross")
SECOND_US, MINUTE_US = 1_000_000, 60_000_000
DAYS = 30
HEADINGS = {
    "Overview": "",
    "Chart": "chart",
    "Positions and orders": "orders",
    "Signals": "signals",
    "Trades": "trades",
    "Performance": "performance",
    "Configuration": "configuration",
    "Alerts": "alerts",
}


def fill(path: Path, *, signals: int, orders: int) -> None:
    """Write a session of so many signals and orders, as thirty days would leave it."""
    open_state(path).close()
    now_us = time.time_ns() // 1000 // MINUTE_US * MINUTE_US
    start_us = now_us - DAYS * 86_400 * SECOND_US
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    db.execute(
        "INSERT INTO sessions (id, mode, feed, config_hash, started_us, status, account) "
        "VALUES (?, 'paper', 'synthetic:bench', 'bench', ?, 'running', 'paper')",
        (SESSION, start_us),
    )
    files = '{"config.yaml": "mode: paper\\n"}'
    db.execute("INSERT INTO config_revisions VALUES (?, 'bench', ?)", (start_us, files))
    many(db, "signals", 15, signal_rows(signals, start_us, now_us))
    fill_orders(db, signals, orders, start_us, now_us)
    many(db, "ohlcv_history", 10, bar_rows(start_us, now_us))
    cursor = (SESSION, 1, 1, now_us, 9 * signals, 0)
    db.execute(f"INSERT INTO journal_cursor VALUES ({marks(6)})", cursor)
    db.execute("COMMIT")
    db.close()


def marks(count: int) -> str:
    return ", ".join("?" * count)


def many(db: sqlite3.Connection, table: str, width: int, rows: Iterator[tuple[object, ...]]) -> None:
    db.executemany(f"INSERT INTO {table} VALUES ({marks(width)})", rows)


def signal_rows(count: int, start_us: int, now_us: int) -> Iterator[tuple[object, ...]]:
    step = (now_us - start_us) // count
    sections = ("S1", "Z1", "ZE1", "E1")
    for n in range(count):
        who = (STRATEGIES[n % 3], INSTRUMENTS[n % 5], sections[n % 4], "")
        values = '{"rise": 0.0021, "surge": 2.5}'
        at = start_us + n * step
        yield (SESSION, n, *who, n // 4, n, at, "buy", "3000.5", "0.61", values, 1, "")


def fill_orders(db: sqlite3.Connection, first: int, count: int, start_us: int, now_us: int) -> None:
    """Write intents, risk decisions, orders, fills, trades, positions, snapshots and alerts."""
    step = (now_us - start_us) // count
    tables: dict[str, list[tuple[object, ...]]] = {
        name: [] for name in ("intents", "risk_decisions", "orders", "fills", "trades", "positions")
    }
    books: list[tuple[object, ...]] = []
    told: list[tuple[object, ...]] = []
    equity = 10_000.0
    for n in range(count):
        at, seq = start_us + n * step, first + 8 * n
        enters = n % 2 == 0
        strategy, instrument, cycle = STRATEGIES[n // 2 % 3], INSTRUMENTS[n // 2 % 5], n // 2
        section, side = ("Z1", "buy") if enters else ("ZE1", "sell")
        key = (strategy, instrument, section, "", cycle, 0)
        is_open = n >= count - 2
        tables["intents"].append((SESSION, seq, *key, n, at, side, "0.069", "3000.5", "2 % of equity"))
        decision = (SESSION, seq + 1, seq, strategy, instrument, n, at, 1)
        tables["risk_decisions"].append((*decision, None, None, None, None, None))
        order = (SESSION, seq + 2, f"b-{n}", seq, *key, n, at, side, "market", "ioc", "0.069")
        state = (
            "accepted" if is_open else "filled",
            0,
            "0.069",
            "0.069",
            "3000.6",
            "0.1",
            "",
            at,
            seq + 3,
            at,
            0,
        )
        tables["orders"].append((*order, None, None, 0, "3000.5", *state))
        fill = (SESSION, seq + 4, f"b-{n}", f"t-{n}", *key, at, side, "0.069", "3000.6", "0.1", 0, "0")
        tables["fills"].append((*fill, None, None, None))
        if not enters:
            gain = (n * 7919 % 200 - 95) / 100
            equity += gain - 0.2
            money = ("0.069", "3000.5", "3001.5", at - step, at, f"{gain:.2f}", "0.20")
            who = (strategy, instrument, cycle, "long")
            tables["trades"].append((SESSION, seq + 5, *who, *money, "ZE1", "out", None))
            now = f"{equity:.2f}"
            book = ("USDT", now, "0", now, "0", "11000", f"{max(0, 1 - equity / 11000):.12f}")
            books.append((SESSION, seq + 6, at, *book, 0))
        closed = None if is_open and enters else at
        if enters:
            held = ("long", "0.069" if closed is None else "0", "3000.5", "0", "0.1")
            tables["positions"].append((SESSION, strategy, instrument, cycle, *held, at, at, closed, seq + 7))
        if n % 100 == 0:
            what = (("critical", "high", "medium")[n // 100 % 3], "test", "something happened")
            told.append((SESSION, seq + 7, at, *what, strategy, instrument))
    for name, rows in (*tables.items(), ("portfolio_snapshots", books), ("alerts", told)):
        many(db, name, len(rows[0]), iter(rows))


def bar_rows(start_us: int, now_us: int) -> Iterator[tuple[object, ...]]:
    for instrument in INSTRUMENTS:
        for n, at in enumerate(range(start_us, now_us, MINUTE_US)):
            middle = 300_000 + n % 500
            yield (instrument, at, middle, middle + 60, middle - 50, middle + n % 40, 900, "0.01", "0.001", n)


def start(state: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the dashboard and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "botd.cli.main", "dashboard", "--state", str(state), "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "BOTD_API": ""}
    )
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return process, url
        except OSError:
            time.sleep(0.1)


def time_load(page: Page, url: str) -> float:
    """Return how long a page takes from its address to its last element."""
    begin = time.perf_counter()
    page.goto(url)
    drawn(page)
    return time.perf_counter() - begin


def time_click(page: Page, name: str) -> float:
    """Return how long a page takes from the click on its name to its last element."""
    link = page.get_by_role("link", name=name, exact=True)
    begin = time.perf_counter()
    link.click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    drawn(page)
    return time.perf_counter() - begin


def drawn(page: Page) -> None:
    """Wait until the page's run has ended and its figures are there."""
    page.wait_for_selector(".botd-strip[data-state]")
    page.wait_for_selector("[class*=st-key-botd-body] > *")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')]"
        ".every(one => one.querySelector('.main-svg'))"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=1_000_000)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--state", type=Path, help="use this file, made at the first run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        state = given.state or Path(folder, "botd.sqlite3")
        if not state.exists():
            fill(state, signals=given.signals, orders=given.orders)
        print(f"{state.stat().st_size / 1e6:.0f} MB")
        process, url = start(state)
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        try:
            first = time_load(page, url)
            print(f"first page of a fresh server and browser: {first:.2f} s")
            print("page                  address: median, worst    click: median, worst")
            for name, path in HEADINGS.items():
                loads = [time_load(page, f"{url}/{path}") for _ in range(given.rounds)]
                other = "Alerts" if name != "Alerts" else "Trades"
                clicks = []
                for _ in range(given.rounds):
                    time_click(page, other)
                    clicks.append(time_click(page, name))
                told = [
                    f"{find(times):>10.2f} s"
                    for times in (loads, clicks)
                    for find in (statistics.median, max)
                ]
                print(f"{name:<22}{''.join(told)}")
        finally:
            browser.close()
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
