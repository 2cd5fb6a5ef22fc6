"""What a person gets who gives the command something wrong: one clear line, its exit code, nothing lost."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.bots import (
    RIDER,
    T0_MS,
    Done,
    botd,
    edit,
    list_file,
    make_bot,
    refused,
    write_bars,
    write_trades,
)

CROSS = """\
strategy: cross
instruments: [SOL/USDT:USDT]
side: long
S1:
  when: sma(close(1m), 2) crosses above sma(close(1m), 5)
Z1: { when: always, order: { type: market, slippage_max: 50bps }, size: { fixed: 500 USDT } }
protect: { stop_loss: 10% }
on_stop: cancel
"""
PLACED = re.compile(r"^[\w./-]+:\d+:\d+: ")

Damage = Callable[[Path], None]


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return make_bot(tmp_path / "bot")


def run(folder: Path, *more: object) -> Done:
    return botd(folder, "run", "--data", "data/nxs.parquet", *more)


# ---- files of the bot -------------------------------------------------------------------------


def unknown_key(bot: Path) -> None:
    edit(bot / "configs/risk.yaml", "positions_max:", "position_count_max:")


def duplicate_key(bot: Path) -> None:
    edit(bot / "config.yaml", "mode: paper\n", "mode: paper\nmode: paper\n")


def wrong_unit(bot: Path) -> None:
    edit(bot / "strategies/rider.yaml", "when: speed > 1%", "when: price > 1%")


def unknown_name(bot: Path) -> None:
    edit(bot / "strategies/rider.yaml", "when: speed > 1%", "when: sped > 1%")


def broken_yaml(bot: Path) -> None:
    edit(bot / "configs/execution.yaml", "{ min: 100ms, max: 500ms }", "{ min: 100ms, max: 500ms")


def brackets(bot: Path) -> None:
    (bot / "strategies/rider.yaml").write_text("strategy: " + "[" * 5000 + "]" * 5000 + "\n")


def brackets_in_rule(bot: Path) -> None:
    nested = "(" * 5000 + "speed" + ")" * 5000
    edit(bot / "strategies/rider.yaml", "when: speed > 1%", f"when: {nested} > 1%")


def missing_file(bot: Path) -> None:
    (bot / "configs/risk.yaml").unlink()


def empty_folder(bot: Path) -> None:
    (bot / "strategies/rider.yaml").unlink()


def unlisted(bot: Path) -> None:
    edit(bot / "strategies/rider.yaml", "[NXS/BTC]", "[NSX/BTC]")


def without_newline(bot: Path) -> None:
    file = bot / "strategies/rider.yaml"
    file.write_text(file.read_text().rstrip())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (unknown_key, ["'position_count_max'", "'positions_max'"]),
        (duplicate_key, ["'mode'"]),
        (wrong_unit, ["'>' compares price with ratio"]),
        (unknown_name, ["'sped'", "did you mean 'speed'"]),
        (broken_yaml, ["configs/execution.yaml"]),
        (brackets, ["strategies/rider.yaml:1:"]),
        (brackets_in_rule, ["strategies/rider.yaml:"]),
        (missing_file, ["configs/risk.yaml: no such file"]),
        (empty_folder, ["strategies: has no strategies; put at least one .yaml file there"]),
        (unlisted, ["'NSX/BTC' is not among the instruments of config.yaml; did you mean 'NXS/BTC'?"]),
        (without_newline, ["must end with a newline"]),
    ],
)
def test_run_of_a_bot_with_a_fault_says_where_and_starts_nothing(
    bot: Path, damage: Damage, said: list[str]
) -> None:
    damage(bot)
    done = botd(bot, "run")
    assert done.code == 2
    assert done.out == ""
    assert PLACED.match(done.said[0])
    for words in said:
        assert words in done.err
    assert done.said[-1].endswith("; nothing was started")
    assert len(done.said) <= 4
    assert not (bot / "state").exists()


@pytest.mark.parametrize("place", ["strategies/z.yaml", "configs/risk.yaml", "config.yaml"])
def test_pipe_in_place_of_a_file_is_said_and_never_waited_for(bot: Path, place: str) -> None:
    (bot / place).unlink(missing_ok=True)
    os.mkfifo(bot / place)
    for command in ("check", "run"):
        done = botd(bot, command, timeout=30)
        assert done.code == 2
        assert done.err.count(f"{place}: is a pipe, a socket or a device; only regular files are read") == 1


def test_folder_that_is_named_like_a_strategy_is_said(bot: Path) -> None:
    (bot / "strategies/x.yaml").mkdir()
    done = botd(bot, "check")
    assert done.code == 0
    assert "strategies/x.yaml: warning: is a folder and is not read" in done.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not read")
@pytest.mark.parametrize(
    "place", ["config.yaml", "configs/risk.yaml", "strategies/rider.yaml", "strategies", "."]
)
def test_what_may_not_be_read_is_said_in_our_words(bot: Path, place: str) -> None:
    for one in (bot, *bot.parents):
        if "pytest" in one.as_posix():
            one.chmod(0o755)
    (bot / place).chmod(0)
    for command in ("check", "run"):
        done = botd(bot, command, bot, user=65534) if command == "check" else botd(bot, command, user=65534)
        assert done.code == 2, done
        assert "this user may not read it; change its permissions" in done.err
        assert "Errno" not in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not read")
def test_strategies_in_a_folder_that_may_not_be_entered_are_said_at_their_key(bot: Path) -> None:
    for one in (bot, *bot.parents):
        if "pytest" in one.as_posix():
            one.chmod(0o755)
    (bot / "private").mkdir(mode=0o700)
    (bot / "strategies").rename(bot / "private/strategies")
    edit(bot / "config.yaml", "strategies: strategies", "strategies: private/strategies")
    done = botd(bot, "check", bot, user=65534)
    assert done.code == 2, done
    assert re.search(r"config.yaml:\d+:\d+: .*private/strategies: this user may not read it", done.err)


def test_run_names_the_faults_of_all_files_at_once(bot: Path) -> None:
    for damage in (duplicate_key, unknown_key, unknown_name):
        damage(bot)
    done = botd(bot, "run")
    shown = "\n".join(done.said)
    assert done.code == 2
    for file in ("config.yaml:", "configs/risk.yaml:", "strategies/rider.yaml:"):
        assert file in shown


def test_run_outside_of_a_bot_says_what_is_missing(tmp_path: Path) -> None:
    refused(botd(tmp_path, "run"), 2, "config.yaml", "no such file")
    refused(botd(tmp_path, "run", "--config", "nowhere"), 2, "nowhere: no such file")


# ---- data files -------------------------------------------------------------------------------

QUIET = [(T0_MS + 1000 * i, 0.00003 + (i % 3) * 1e-8, 100.0, ("buy", "sell")[i % 2]) for i in range(50)]
ENTRY = "{instrument: NXS/BTC, rows: trades}"


def no_file(bot: Path) -> None:
    return


def wrong_columns(bot: Path) -> None:
    write_bars(bot / "data/nxs.parquet", [1.0, 2.0], instrument="NXS/BTC")
    (bot / "data/instruments.yaml").write_text(f"nxs.parquet: {ENTRY}\n")


def not_parquet(bot: Path) -> None:
    (bot / "data").mkdir()
    (bot / "data/nxs.parquet").write_text("ts_ms,price\n1,2\n")
    list_file(bot / "data/nxs.parquet", ENTRY)


def empty_file(bot: Path) -> None:
    (bot / "data").mkdir()
    (bot / "data/nxs.parquet").write_bytes(b"")
    list_file(bot / "data/nxs.parquet", ENTRY)


def no_sidecar(bot: Path) -> None:
    write_trades(bot / "data/nxs.parquet", QUIET, None)


def not_in_sidecar(bot: Path) -> None:
    write_trades(bot / "data/nxs.parquet", QUIET, None)
    list_file(bot / "data/other.parquet", ENTRY)


def wrong_side(bot: Path) -> None:
    write_trades(bot / "data/nxs.parquet", [(T0_MS, 0.00003, 1.0, "bid")], ENTRY)


def seconds(bot: Path) -> None:
    write_trades(bot / "data/nxs.parquet", [(T0_MS // 1000, 0.00003, 1.0, "buy")], ENTRY)


def is_a_folder(bot: Path) -> None:
    (bot / "data/nxs.parquet").mkdir(parents=True)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_file, "data/nxs.parquet: there is no such file or folder"),
        (
            wrong_columns,
            "data/nxs.parquet: trades need the columns ts_ms (or ts_us), price, amount, side; "
            "it has ts_ms, open, high, low, close, volume",
        ),
        (not_parquet, "data/nxs.parquet: cannot be read as parquet"),
        (empty_file, "data/nxs.parquet: cannot be read as parquet"),
        (no_sidecar, "data/instruments.yaml"),
        (not_in_sidecar, "data/instruments.yaml"),
        (wrong_side, "side 'bid' in row 1 must be buy or sell"),
        (seconds, f"'ts_ms' {T0_MS // 1000} in row 1 is no time in milliseconds"),
        (is_a_folder, "data/nxs.parquet: holds no data files"),
    ],
)
def test_run_on_bad_data_is_one_line_and_starts_nothing(bot: Path, damage: Damage, said: str) -> None:
    damage(bot)
    refused(run(bot), 2, said)
    assert not (bot / "state").exists()


def test_run_on_a_folder_of_several_files_asks_for_one(bot: Path) -> None:
    for name in ("a", "b"):
        write_trades(bot / f"data/{name}.parquet", QUIET, ENTRY)
    refused(botd(bot, "run", "--data", "data"), 2, "data: the daemon runs on one data file", "has 2")


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "fast", "10x", ""])
def test_speed_that_is_none_is_refused(bot: Path, speed: str) -> None:
    write_trades(bot / "data/nxs.parquet", QUIET, ENTRY)
    refused(run(bot, f"--speed={speed}"), 2, "write max or a number above 0, such as 10")


def test_speed_without_data_is_refused(bot: Path) -> None:
    refused(botd(bot, "run", "--speed", "10"), 2, "--speed goes with --data")


def test_run_on_bars_says_in_one_line_each_which_strategies_it_leaves_out(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "two", rider=RIDER.replace("NXS/BTC", "SOL/USDT:USDT"), cross=CROSS)
    write_bars(bot / "data/sol.parquet", [100.0 + i for i in range(20)])
    done = botd(bot, "run", "--data", "data/sol.parquet")
    assert done.code == 0, done
    lines = [line for line in done.out.splitlines() if "left out" in line or "^" in line]
    assert len(lines) == 1
    assert "strategies/rider.yaml:" in lines[0]
    assert "warning: rider is left out on these data: " in lines[0]
    assert lines[0].endswith(" more)")


def test_run_on_bars_leaves_out_a_strategy_of_bars_that_they_cannot_make(tmp_path: Path) -> None:
    fine = CROSS.replace("strategy: cross", "strategy: fine").replace("close(1m)", "close(30s)")
    bot = make_bot(tmp_path / "two", fine=fine, cross=CROSS)
    write_bars(bot / "data/sol.parquet", [100.0 + i for i in range(20)])
    done = botd(bot, "run", "--data", "data/sol.parquet")
    assert done.code == 0, done
    (line,) = [line for line in done.out.splitlines() if "left out" in line]
    assert "strategies/fine.yaml:" in line
    assert "uses bars of 30s, and these data are bars of 1m" in line


def test_run_on_data_that_no_strategy_can_trade_names_the_clauses(bot: Path) -> None:
    write_bars(bot / "data/sol.parquet", [100.0 + i for i in range(20)])
    done = botd(bot, "run", "--data", "data/sol.parquet")
    assert done.code == 2
    assert "speed uses 'change', which needs trades, and these data are bars only" in done.err
    assert not (bot / "state").exists()
