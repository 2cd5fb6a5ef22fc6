"""A bot's files while somebody writes them: when a change is whole, and how it may come about."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from botd.config.folder import BotFolder
from botd.config.loader import check_bot
from botd.errors import Severity
from botd.language.strategy import read_strategy
from tests.cli.bots import RIDER, ROOT, edit, make_bot


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return make_bot(tmp_path / "bot")


def folder(bot: Path) -> BotFolder:
    plan = check_bot(bot).plan
    assert plan is not None
    return BotFolder(bot, plan.files)


@pytest.mark.parametrize("file", sorted((ROOT / "strategies").glob("*.yaml")), ids=lambda file: file.stem)
def test_I2_no_prefix_of_a_shipped_strategy_is_a_strategy(file: Path) -> None:
    data = file.read_bytes()
    for count in range(len(data)):
        strategy, found = read_strategy(data[:count].decode(errors="ignore"), file.name)
        assert strategy is None or any(one.severity is Severity.ERROR for one in found), count


@pytest.mark.parametrize("name", ["risk", "lifecycle", "execution", "shutdown"])
def test_I2_no_prefix_of_settings_is_a_plan(bot: Path, name: str) -> None:
    """At every line's end, where a cut file can still parse, and around the values of the last keys."""
    file = bot / "configs" / f"{name}.yaml"
    data = file.read_bytes()
    ends = {k + 1 for k, byte in enumerate(data) if byte == ord("\n")} | set(range(len(data) - 40, len(data)))
    for count in sorted(ends - {len(data)}):
        file.write_bytes(data[:count])
        assert check_bot(bot).plan is None, data[:count][-40:]


def test_I2_change_counts_once_two_reads_agree(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that pauses in the middle is waited for: what it leaves for less than a while is not read."""
    file = bot / "strategies/rider.yaml"
    whole = RIDER.replace("30s", "90s")
    slept: list[float] = []
    steps: list[Callable[[], object]] = [
        lambda: file.write_text(whole[:300]),
        lambda: file.write_text(whole[:-1]),
        lambda: file.write_text(whole),
    ]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if steps:
            steps.pop(0)()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    _, checked = asyncio.run(folder(bot).settle())
    assert checked.plan is not None
    assert checked.plan.files["strategies/rider.yaml"] == whole
    assert slept == [0.3] * 4


def in_place(bot: Path) -> None:
    edit(bot / "strategies/rider.yaml", "30s", "31s")


def by_rename(bot: Path) -> None:
    draft = bot / "strategies/.rider.yaml.swp"
    draft.write_text(RIDER.replace("30s", "31s"))
    draft.replace(bot / "strategies/rider.yaml")


def by_link(bot: Path) -> None:
    """As a mounted config map is swapped: the folder is a link to a link that is put elsewhere."""
    fresh = bot / "..fresh"
    fresh.mkdir()
    (fresh / "rider.yaml").write_text(RIDER.replace("30s", "31s"))
    link = bot / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(bot / "..data")


def by_deletion(bot: Path) -> None:
    (bot / "strategies/other.yaml").unlink()


@pytest.mark.parametrize("change", [in_place, by_rename, by_link, by_deletion])
async def test_I3_every_way_of_saving_is_noticed(bot: Path, change: Callable[[Path], None]) -> None:
    (bot / "strategies/other.yaml").write_text(RIDER.replace("rider", "other"))
    if change is by_link:
        (bot / "strategies").rename(bot / "..old")
        (bot / "..data").symlink_to("..old")
        (bot / "strategies").symlink_to("..data")
    watched = folder(bot)
    before = watched.fingerprint()
    changed = asyncio.Event()
    watching = asyncio.create_task(watched.watch(changed))
    await asyncio.sleep(0.2)  # the watcher tells nobody that it has begun
    change(bot)
    async with asyncio.timeout(20):
        await changed.wait()
    watching.cancel()
    assert watched.fingerprint() != before


def test_I3_what_editors_leave_beside_a_file_is_no_change(bot: Path) -> None:
    watched = folder(bot)
    before = watched.fingerprint()
    for name in (".rider.yaml.swp", "rider.yaml~", "4913", "notes.txt"):
        (bot / "strategies" / name).write_text("x")
    assert watched.fingerprint() == before
    (bot / "strategies/new.yaml").write_text("x")
    assert watched.fingerprint() != before


def test_I5_two_files_with_one_id_are_both_refused(bot: Path) -> None:
    (bot / "strategies/copy.yaml").write_text(RIDER)
    checked = check_bot(bot)
    assert checked.plan is None
    assert any("is already in" in one.message for one in checked.diagnostics)


async def test_I1_configuration_that_is_gone_is_a_fault_and_settles(bot: Path) -> None:
    watched = folder(bot)
    (bot / "config.yaml").unlink()
    fingerprint, checked = await watched.settle()
    assert checked.plan is None
    assert "no such file" in checked.diagnostics[0].message
    assert watched.fingerprint() == fingerprint  # it is judged once, and not again and again
