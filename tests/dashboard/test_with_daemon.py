"""The dashboard beside a daemon that runs: what is pressed or saved changes the bot, and is shown."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from botd.store.queries import ScreenReader
from tests.api.test_daemon_api import ON, Caller
from tests.cli.bots import Warm, edit, make_bot, write_pump
from tests.dashboard.scene import CHROMIUM, HOLDER, INSTRUMENT, WAIT_S, Dashboard, fall_silent
from tests.test_daemon import wait_until

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(),
    reason=f"there is no browser at {CHROMIUM}: apt-get install chromium fonts-dejavu-core",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A bot that trades and holds a position, and a tab on its dashboard."""

    folder: Path
    daemon: Warm
    api: Caller
    page: Page
    url: str

    @property
    def state(self) -> Path:
        return self.folder / "state/botd.sqlite3"

    def show(self, path: str) -> Page:
        self.page.goto(f"{self.url}/{path}")
        self.page.wait_for_selector(".botd-strip[data-state]")
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        return self.page

    def trading_state(self) -> tuple[str, str]:
        """Return it as the API and as the books have it."""
        with ScreenReader(self.state) as reader:
            return self.api.get("/health")["trading_state"], str(reader.trading(reader.session().id).state)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = make_bot(tmp_path_factory.mktemp("live") / "bot", holder=HOLDER)
    write_pump(folder / "data/nxs.parquet", bursts=60)
    api = Caller(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, text in ON.items():
            patch.setenv(name, text)
        daemon = Warm(folder, "run", "--data", "data/nxs.parquet", "--speed", "60")
    with daemon, sync_playwright() as driver:
        wait_until(lambda: api.position() is not None)
        dashboard = Dashboard(folder / "state/botd.sqlite3", (folder / "state/api-address").read_text())
        page = driver.chromium.launch(executable_path=str(CHROMIUM)).new_page()
        page.set_default_timeout(WAIT_S * 1000)
        expect.set_options(timeout=WAIT_S * 1000)
        yield Scene(folder, daemon, api, page, dashboard.url)
        page.context.browser.close()
        assert "Traceback" not in dashboard.close()


def press(page: Page, verb: str, reason: str) -> None:
    page.get_by_role("button", name=f"{verb} trading").click()
    page.get_by_label("Why?").fill(reason)
    page.get_by_role("button", name=f"{verb} now").click()
    expect(page.locator('[data-banner="told"]')).to_contain_text(f"{verb}: done")


def test_halt_and_resume_by_button_are_the_daemons_and_outlive_the_page(scene: Scene) -> None:
    page = scene.show("")
    strip = page.locator(".botd-strip[data-state]")
    expect(strip).to_have_attribute("data-state", "active")
    press(page, "Halt", "odd prices")
    wait_until(lambda: scene.trading_state() == ("halted", "halted"))
    assert "odd prices" in (scene.folder / "state/HALT").read_text()
    expect(strip).to_have_attribute("data-state", "halted")
    page.reload()
    expect(page.locator('[data-banner="trading"]')).to_contain_text("odd prices. Exits go on.")
    press(page, "Resume", "all is well")
    wait_until(lambda: scene.trading_state() == ("active", "active"))
    assert not (scene.folder / "state/HALT").exists()
    expect(strip).to_have_attribute("data-state", "active")


def test_broken_and_mended_file_are_shown_and_only_the_mended_one_trades(scene: Scene) -> None:
    page = scene.show("configuration")
    rider = scene.folder / "strategies/holder.yaml"
    first = scene.api.get("/health")["config_hash"]
    banner, running = page.locator('[data-banner="reload"]'), page.locator('[data-card="Running"] .v')
    expect(running).to_have_text(first[:12])
    edit(rider, "cooldown: 1h", "cooldwn: 2h")
    expect(banner).to_contain_text("refused, 1 error. strategies/holder.yaml:4: ")
    lines = page.get_by_test_id("stCode").first.locator("code").inner_text().splitlines()
    assert lines[2].index("^") == lines[1].index("cooldwn")
    expect(running).to_have_text(first[:12])
    assert scene.api.get("/health")["config_hash"] == first
    edit(rider, "cooldwn: 2h", "cooldown: 2h")
    expect(banner).to_contain_text("by files: ok, 1 change")
    second = scene.api.get("/health")["config_hash"]
    assert second != first
    page.reload()
    expect(running).to_have_text(second[:12])
    expect(page.locator('[data-card="Brought by"] .v')).to_have_text("files")
    expect(page.get_by_test_id("stCode").first).to_contain_text("cooldown: 2h")


def test_position_closed_by_button_is_closed_and_stays_so_on_reload(scene: Scene) -> None:
    page = scene.show("orders")
    expect(page.locator('[data-table="positions"] tbody tr')).to_have_count(1)
    page.get_by_role("button", name="Close", exact=False).first.click()
    page.get_by_role("button", name="Yes, close it").click()
    expect(page.locator('[data-banner="told"]')).to_contain_text(f"Close holder · {INSTRUMENT}")
    wait_until(lambda: scene.api.position() is None)
    expect(page.locator('[data-table="positions"] tbody tr')).to_have_count(0)
    with ScreenReader(scene.state) as reader:
        info = reader.session()
        assert reader.held(info.id) == ()
        assert [one.section for one in reader.newest_orders((info.id,), 1)] == ["manual"]
    page.reload()
    expect(page.locator('[data-table="orders"] tbody tr').first).to_contain_text("manual")
    expect(page.locator('[data-table="positions"] tbody tr')).to_have_count(0)


def test_page_of_a_daemon_that_was_killed_turns_red(scene: Scene) -> None:
    """The last of them: it ends the bot."""
    page = scene.show("")
    expect(page.locator(".botd-strip[data-state]")).to_have_attribute("data-stale", "false")
    scene.daemon.signal(signal.SIGKILL)
    scene.daemon.process.wait(30)
    fall_silent(scene.state, 16)
    expect(page.locator('[data-banner="stale"]')).to_contain_text(
        "The daemon is down: it has written nothing"
    )
    expect(page.locator(".botd-strip[data-state]")).to_have_attribute("data-stale", "true")
