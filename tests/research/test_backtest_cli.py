"""`botd backtest` as a person calls it: files, folders, portfolios, reports, decisions."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.cli.bots import (
    RIDER,
    ROOT,
    T0_MS,
    Done,
    botd,
    edit,
    list_file,
    make_bot,
    refused,
    write_bars,
    write_pump,
)

CROSS = """\
strategy: cross
instruments: [SOL/USDT:USDT]
side: long
let:
  fast: sma(close(1m), 2)
  slow: sma(close(1m), 5)
S1: { when: fast crosses above slow }
Z1: { when: always, order: { type: market, slippage_max: 50bps }, size: { fixed: 500 USDT } }
ZE1: [ { name: down, when: fast crosses below slow, close: 100% } ]
protect: { stop_loss: 10% }
on_stop: cancel
"""
RIDER_FILE = "strategies/rider.yaml"


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return make_bot(tmp_path / "bot")


@pytest.fixture
def two_files(bot: Path) -> Path:
    """Return a bot with two files of one instrument, one after the other: 4 trades and 3."""
    write_pump(bot / "data/a.parquet", bursts=4, seed=1)
    write_pump(bot / "data/b.parquet", bursts=3, seed=2, start_ms=T0_MS + 3_600_000)
    return bot


def backtest(bot: Path, *arguments: object) -> Done:
    return botd(bot, "backtest", *arguments)


def report(bot: Path, *arguments: object) -> Any:
    """Return the report as JSON; nothing else is on standard output then."""
    done = backtest(bot, *arguments, "--json", "-")
    assert done.code == 0, done.err
    return json.loads(done.out)


# ---- reports ----------------------------------------------------------------------------------


def test_json_has_the_trades_and_one_object_per_file(two_files: Path) -> None:
    found = report(two_files, RIDER_FILE, "--data", "data")
    assert found["trades_count"] == len(found["trades"]) == 7
    assert found["strategies"] == ["rider"]
    assert [(one["file"], one["trades_count"], one["rows_count"]) for one in found["files"]] == [
        ("a.parquet", 4, 1920),
        ("b.parquet", 3, 1440),
    ]
    assert [trade["file"] for trade in found["trades"]] == ["a.parquet"] * 4 + ["b.parquet"] * 3
    for one in found["files"]:
        assert len(one["trades"]) == one["trades_count"]
        assert one["results"]["BTC"]["start_equity"] == "1"  # each file has an account of its own


def test_pooled_figures_are_those_of_the_trades(two_files: Path) -> None:
    found = report(two_files, RIDER_FILE, "--data", "data")
    pooled = found["results"]["BTC"]
    gains = [Decimal(one["realized_pnl"]) - Decimal(one["fees"]) for one in found["trades"]]
    assert Decimal(pooled["pnl_total"]) == sum(gains)
    assert Decimal(pooled["fees"]) == sum(Decimal(one["fees"]) for one in found["trades"])
    assert pooled["win_rate"] == sum(gain > 0 for gain in gains) / 7
    for trade, gain in zip(found["trades"], gains, strict=True):
        assert Decimal(trade["pnl"]) == gain


def test_file_of_a_folder_is_judged_as_alone(two_files: Path) -> None:
    folder = report(two_files, RIDER_FILE, "--data", "data")
    for number, name in enumerate(("a.parquet", "b.parquet")):
        alone = report(two_files, RIDER_FILE, "--data", f"data/{name}")
        assert alone["files"] == [folder["files"][number]]


def test_portfolio_is_one_account_over_all_files(two_files: Path) -> None:
    found = report(two_files, RIDER_FILE, "--data", "data", "--portfolio")
    (one,) = found["files"]
    assert (one["file"], one["trades_count"], one["rows_count"]) == ("data", 7, 3360)
    assert found["trades_count"] == 7
    # 5 % of an equity that has grown: the second file's trades are larger than they are alone
    alone = report(two_files, RIDER_FILE, "--data", "data/b.parquet")
    assert Decimal(found["trades"][4]["qty"]) > Decimal(alone["trades"][0]["qty"])


def test_portfolio_refuses_files_that_overlap(two_files: Path) -> None:
    write_pump(two_files / "data/c.parquet", bursts=1, seed=3, start_ms=T0_MS + 600_000)
    refused(
        backtest(two_files, RIDER_FILE, "--data", "data", "--portfolio"),
        2,
        "a.parquet and c.parquet both hold NXS/BTC at the same time",
        "without --portfolio",
    )
    assert report(two_files, RIDER_FILE, "--data", "data")["trades_count"] == 8


def test_portfolio_refuses_trades_beside_bars(two_files: Path) -> None:
    write_bars(two_files / "data/z.parquet", [100.0, 101.0])
    refused(backtest(two_files, RIDER_FILE, "--data", "data", "--portfolio"), 2, "cannot be one portfolio")


def test_decisions_file_is_what_the_digest_says(two_files: Path) -> None:
    done = backtest(two_files, RIDER_FILE, "--data", "data", "--decisions", "out.jsonl")
    written = (two_files / "out.jsonl").read_bytes()
    (said,) = re.findall(r"^(\d+) decisions, sha256 ([0-9a-f]{64})$", done.out, re.M)
    assert said == (str(written.count(b"\n")), hashlib.sha256(written).hexdigest())
    kinds = [json.loads(line)["kind"] for line in written.splitlines()]
    assert kinds.count("trade") == 7


def test_decisions_are_those_of_the_daemon(bot: Path) -> None:
    write_pump(bot / "data/a.parquet", bursts=3)
    backtest(bot, RIDER_FILE, "--data", "data", "--decisions", "out.jsonl")
    assert botd(bot, "run", "--data", "data/a.parquet").code == 0
    assert botd(bot, "decisions").out == (bot / "out.jsonl").read_text()


def test_reports_go_to_files_and_the_table_to_the_screen(two_files: Path) -> None:
    done = backtest(two_files, RIDER_FILE, "--data", "data", "--json", "r.json", "--md", "r.md")
    assert done.code == 0
    assert json.loads((two_files / "r.json").read_text())["trades_count"] == 7
    page = (two_files / "r.md").read_text()
    assert page.startswith("# Backtest of rider\n")
    assert page.count("| NXS/BTC | long |") == 7
    assert "rider on 2 files of data\n" in done.out
    assert "  trades  " in done.out


def test_markdown_on_the_screen_is_alone_there(two_files: Path) -> None:
    done = backtest(two_files, RIDER_FILE, "--data", "data", "--md", "-")
    assert done.out.startswith("# Backtest of rider\n")
    assert "sha256" not in done.out


def test_lines_fit_and_are_whole(two_files: Path) -> None:
    done = backtest(two_files, RIDER_FILE, "--data", "data")
    table, _, digest = done.out.rstrip().rpartition("\n")
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80
    assert len(digest.split()[-1]) == 64
    first, second = done.err.splitlines()  # a line per file, and no progress bar where nobody looks
    assert first.startswith("a.parquet: NXS/BTC, 1,920 trades, 2023-11-14 22:13:20 to ")
    assert first.endswith("tick 0.00000001 (configured), lot 1 (configured), book: derived")
    assert second.startswith("b.parquet: ")


def test_bars_are_judged_with_their_own_rules(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot", cross=CROSS)
    closes = [100.0 + 5 * ((i // 8) % 2) * (i % 8) for i in range(200)]
    write_bars(bot / "data/sol.parquet", closes)
    found = report(bot, "strategies", "--data", "data")
    assert found["trades_count"] >= 5
    assert [(one["instruments"], one["book"]) for one in found["files"]] == [(["SOL/USDT:USDT"], "none")]
    assert found["results"].keys() == {"USDT"}


def test_strategy_without_a_config_runs_on_the_shipped_values(tmp_path: Path) -> None:
    (tmp_path / "rider.yaml").write_text(RIDER)
    write_pump(tmp_path / "data/nxs.parquet", bursts=2)
    found = report(tmp_path, "rider.yaml", "--data", "data")
    assert found["trades_count"] == 2
    assert found["files"][0]["results"]["BTC"]["start_equity"] == "1"


def test_strategies_trade_the_data_whatever_instruments_they_name(bot: Path) -> None:
    edit(bot / RIDER_FILE, "[NXS/BTC]", "[ABC/BTC]")
    write_pump(bot / "data/xyz.parquet", bursts=2, instrument="XYZ/BTC")
    found = report(bot, RIDER_FILE, "--data", "data")
    assert {trade["instrument"] for trade in found["trades"]} == {"XYZ/BTC"}


# ---- what is refused --------------------------------------------------------------------------


def places(done: Done) -> list[str]:
    """Return the diagnostics, without what was said of the data, of a backtest that was refused."""
    assert done.code == 2, done
    assert done.out == ""
    assert done.said[-1].endswith("; nothing was started")
    return [line for line in done.said if line.startswith("strategies/")]


def test_rules_that_need_trades_are_named_on_bars(bot: Path) -> None:
    write_bars(bot / "data/sol.parquet", [100.0 + i for i in range(20)])
    found = places(backtest(bot, RIDER_FILE, "--data", "data"))
    assert any("let.speed uses 'change', which needs trades" in line for line in found)
    assert all(re.match(r"strategies/rider\.yaml:\d+:\d+: ", line) for line in found)


def test_size_in_another_currency_than_the_data_is_named(bot: Path) -> None:
    edit(bot / RIDER_FILE, "{ percent: 5% of equity }", "{ fixed: 500 USDT }")
    write_pump(bot / "data/nxs.parquet", bursts=1)
    (line,) = places(backtest(bot, RIDER_FILE, "--data", "data"))
    assert "the size is in USDT, but NXS/BTC is quoted in BTC" in line


def test_currency_that_the_account_has_none_of_is_told_of_the_data_not_of_a_strategy(bot: Path) -> None:
    write_pump(bot / "data/nxs.parquet", bursts=1)
    edit(bot / "data/instruments.yaml", "NXS/BTC", "NXS/XAU")
    done = backtest(bot, RIDER_FILE, "--data", "data")
    assert done.code == 2
    assert done.err == (
        "botd: data/instruments.yaml: nxs.parquet is NXS/XAU, quoted in XAU, and the account has none; "
        "correct the instrument there, or add XAU to account.equity in config.yaml\n"
    )


def test_short_on_spot_is_named(bot: Path) -> None:
    edit(bot / RIDER_FILE, "side: long", "side: short")
    write_pump(bot / "data/nxs.parquet", bursts=1)
    (line,) = places(backtest(bot, RIDER_FILE, "--data", "data"))
    assert "NXS/BTC is spot" in line


def test_fault_in_a_strategy_is_told_before_the_data_are_read(bot: Path) -> None:
    edit(bot / RIDER_FILE, "when: speed > 1%", "when: sped > 1%")
    (line,) = places(backtest(bot, RIDER_FILE, "--data", "nowhere"))
    assert "did you mean 'speed'" in line


def no_data(bot: Path) -> None:
    (bot / "data").mkdir()


def no_sidecar(bot: Path) -> None:
    write_pump(bot / "data/nxs.parquet", bursts=1)
    (bot / "data/instruments.yaml").unlink()


def nothing_listed_is_there(bot: Path) -> None:
    list_file(write_pump(bot / "data/nxs.parquet", bursts=1), None).unlink()


def wrong_columns(bot: Path) -> None:
    write_bars(bot / "data/nxs.parquet", [1.0, 2.0])
    (bot / "data/instruments.yaml").write_text("nxs.parquet: {instrument: NXS/BTC, rows: trades}\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_data, "data: holds no data files; they end in .parquet or .csv"),
        (no_sidecar, "data/instruments.yaml is missing"),
        (nothing_listed_is_there, "none of the 1 files that instruments.yaml lists is there"),
        (wrong_columns, "trades need the columns ts_ms (or ts_us), price, amount, side"),
    ],
)
def test_folder_without_usable_data_is_one_line(bot: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(bot)
    refused(backtest(bot, RIDER_FILE, "--data", "data"), 2, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml", "--data", "data"], "nowhere.yaml: no such file or folder"),
        ([RIDER_FILE], "Missing option '--data'"),
        ([RIDER_FILE, "--data", "nowhere"], "nowhere: there is no such file or folder"),
        ([RIDER_FILE, "--data", "data", "--json", "nowhere/r.json"], "there is no folder nowhere"),
        ([RIDER_FILE, "--data", "data", "--md", "data"], "cannot write data: it is a folder"),
        ([RIDER_FILE, "--data", "data", "--decisions", "/proc/x/d"], "cannot write /proc/x/d"),
        ([RIDER_FILE, "--data", "data", "--config", "nowhere"], "nowhere: no such file"),
    ],
)
def test_wrong_call_is_one_line_before_any_work(two_files: Path, arguments: list[str], said: str) -> None:
    refused(backtest(two_files, *arguments), 2, said)


# ---- the recorded market ------------------------------------------------------------------------


@pytest.fixture
def recorded() -> Path:
    folder = Path(os.environ.get("BOTD_DATA", ROOT / "../shared/data"))
    if not (folder / "pumps/instruments.yaml").is_file():
        pytest.skip(f"no recorded data in {folder} (set BOTD_DATA)")
    return folder.resolve()


def test_pump_rider_on_every_recorded_pump(recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "strategies", tmp_path / "strategies")
    found = report(tmp_path, "strategies/pump_rider.yaml", "--data", recorded / "pumps")
    assert len(found["files"]) == 27
    for one in found["files"]:
        assert (
            one["rows_count"]
            == pyarrow.parquet.ParquetFile(recorded / "pumps" / one["file"]).metadata.num_rows
        )
    assert found["trades_count"] == len(found["trades"]) > 0


def test_sma_cross_on_the_recorded_bars(recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "strategies", tmp_path / "strategies")
    found = report(tmp_path, "strategies/sma_cross.yaml", "--data", recorded / "bars")
    (one,) = found["files"]
    assert one["rows_count"] == 45_031
    assert found["trades_count"] > 100


# ---- what goes to the screen --------------------------------------------------------------------


def test_dash_is_the_screen_for_decisions_too(two_files: Path) -> None:
    done = backtest(two_files, RIDER_FILE, "--data", "data/a.parquet", "--decisions", "-")
    assert done.code == 0
    kinds = [json.loads(line)["kind"] for line in done.out.splitlines()]
    assert kinds.count("trade") == 4
    assert not (two_files / "-").exists()


@pytest.mark.parametrize("pair", [("--decisions", "--json"), ("--decisions", "--md"), ("--json", "--md")])
def test_two_outputs_for_the_screen_are_refused(two_files: Path, pair: tuple[str, str]) -> None:
    done = backtest(two_files, RIDER_FILE, "--data", "data", pair[0], "-", pair[1], "-")
    refused(done, 2, f"{pair[0]} and {pair[1]} cannot both go to the screen")


@pytest.mark.parametrize("length", ["30s", "90s"])
def test_bars_of_another_length_than_the_data_are_refused(tmp_path: Path, length: str) -> None:
    bot = make_bot(tmp_path / "bot", cross=CROSS.replace("close(1m)", f"close({length})"))
    write_bars(bot / "data/sol.parquet", [100.0 + k % 7 for k in range(60)])
    done = backtest(bot, "strategies/cross.yaml", "--data", "data/sol.parquet")
    assert (done.code, done.out) == (2, "")
    assert "strategies/cross.yaml:5:13: let.fast uses bars of" in done.err
    assert "and these data are bars of 1m; write" in done.err
