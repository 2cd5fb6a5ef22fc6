"""What a reload does with each setting: one table, which knows every key there is."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from botd.config.changes import RELOADS, Uptake, changed_files, needs_restart, table
from botd.config.loader import check_bot, load_plan
from botd.config.models import ConfigFile, ExecutionFile, LifecycleFile, RiskFile, ShutdownFile

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "config.yaml": ConfigFile,
    "configs/risk.yaml": RiskFile,
    "configs/lifecycle.yaml": LifecycleFile,
    "configs/execution.yaml": ExecutionFile,
    "configs/shutdown.yaml": ShutdownFile,
}
# edits of the good bot that a running one refuses, and at which key
REFUSED = {
    "account": ("USDT: 5000.50", "USDT: 5000.51"),
    "instruments": ("tick: 0.5", "tick: 0.25"),
    "feed": ("speed: max", "speed: 2"),
    "data": ("outlier_confirm: 500ms", "outlier_confirm: 400ms"),
    "state": ("books/test", "books/other"),
    "api": ("state:", "api: { port: 8081 }\nstate:"),
    "logging.format": ("format: text", "format: json"),
}


def edited(bot: Path, old: str, new: str, name: str = "config.yaml") -> None:
    text = (bot / name).read_text()
    assert old in text
    (bot / name).write_text(text.replace(old, new))


def test_table_has_every_key_of_the_files_of_settings_once() -> None:
    for file, shape in FILES.items():
        listed = {key.split(".")[0] for one in RELOADS if one.file == file for key in one.keys}
        assert listed == set(shape.model_fields), file
    keys = [(one.file, key) for one in RELOADS for key in one.keys]
    assert len(keys) == len(set(keys))


def test_documentation_shows_the_table() -> None:
    assert table() in (ROOT / "docs/configuration.md").read_text()


@pytest.mark.parametrize("key", REFUSED)
def test_change_that_needs_a_restart_is_refused_at_its_key(bot: Path, key: str) -> None:
    before = load_plan(bot)
    edited(bot, *REFUSED[key])
    (fault,) = needs_restart(before, load_plan(bot))
    assert fault.message.startswith(f"{key} cannot change while botd runs: take it back, or stop botd")
    assert fault.line > 0


def test_every_refusal_but_the_mode_has_an_edit_here() -> None:
    refused = {key for one in RELOADS if one.uptake is Uptake.RESTART for key in one.keys}
    assert refused == {*REFUSED, "mode"}  # there is one mode


def test_schedule_level_and_intervals_are_taken_up(bot: Path) -> None:
    before = load_plan(bot)
    edited(bot, "10 0 * * mon-fri", "20 0 * * mon-fri")
    edited(bot, "level: debug", "level: info")
    edited(bot, "positions:", "positions: 11s #", "configs/execution.yaml")
    after = load_plan(bot)
    assert after.settings.execution.sync_positions_us == 11_000_000
    assert needs_restart(before, after) == ()


def test_I11_an_edit_never_turns_paper_into_live(bot: Path) -> None:
    plan = load_plan(bot)
    (fault,) = needs_restart(plan, replace(plan, mode="live"))
    assert fault.message.startswith("mode cannot change while botd runs")
    edited(bot, "mode: paper", "mode: live")
    checked = check_bot(bot)
    assert checked.plan is None
    assert any("live" in one.message for one in checked.diagnostics)


@pytest.mark.parametrize(
    ("old", "new"), [("position_max: 11%", "position_max: 5%"), ("position_max: 11%", "position_max: 12%")]
)
def test_I11_limits_of_paper_are_hot_both_ways(bot: Path, old: str, new: str) -> None:
    before = load_plan(bot)
    edited(bot, old, new, "configs/risk.yaml")
    after = load_plan(bot)
    assert needs_restart(before, after) == ()
    assert changed_files(before, after) == ("configs/risk.yaml: changed",)  # what the row says
