"""The dashboard in a real browser: its numbers are those of the books, and its buttons reach the API."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from botd.store.queries import by_group
from tests.dashboard.scene import (
    CANARY,
    CHROMIUM,
    FAULT,
    INSTRUMENT,
    WAIT_S,
    Books,
    Dashboard,
    LoopbackApi,
    cells,
    column,
    fall_silent,
)

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(),
    reason=f"there is no browser at {CHROMIUM}: apt-get install chromium fonts-dejavu-core",
)
PAGES = {  # what a page alone says, and its address
    "Equity USDT": "",
    "candlestick": "chart",
    "slippage bps": "orders",
    "A signal that was acted on": "signals",
    "left by": "trades",
    "profit factor": "performance",
    "What changed against": "configuration",
    "critical thing": "alerts",
}
COLOURS = {"S1": "#f5c518", "Z1": "#22c55e", "ZE1": "#3b82f6", "E1": "#ef4444"}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    books = Books(tmp_path_factory.mktemp("dashboard") / "bot")
    yield books
    books.journal.close()


@pytest.fixture(scope="module")
def api() -> Iterator[LoopbackApi]:
    api = LoopbackApi()
    yield api
    api.close()


@pytest.fixture(scope="module")
def dashboard(books: Books, api: LoopbackApi) -> Iterator[Dashboard]:
    dashboard = Dashboard(books.path, api.url)
    yield dashboard
    said = dashboard.close()
    assert CANARY not in said
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def frames() -> list[str | bytes]:
    """Everything that the app has sent to the tab."""
    return []


@pytest.fixture(scope="module")
def tab(browser: Browser, frames: list[str | bytes]) -> Iterator[Page]:
    """One tab for all tests: a second one would load the app anew."""
    page = browser.new_page(viewport={"width": 1360, "height": 900})
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    page.set_default_timeout(WAIT_S * 1000)
    expect.set_options(timeout=WAIT_S * 1000)
    yield page
    page.close()


@pytest.fixture
def page(tab: Page, books: Books, api: LoopbackApi) -> Page:
    books.beat()
    api.accept()
    return tab


def show(page: Page, dashboard: Dashboard, path: str) -> Page:
    """Open a page and wait until all of it is there."""
    page.goto(f"{dashboard.url}/{path}")
    page.wait_for_selector(".botd-strip[data-state]")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_selector("[class*=st-key-botd-body] > *")
    return page


def when(ts_us: int) -> str:
    return f"{datetime.fromtimestamp(ts_us / 1e6, UTC):%m-%d %H:%M:%S}"


def told(page: Page) -> Any:
    return page.locator('[data-banner="told"]')


# ---- the numbers of the books -------------------------------------------------------------------


def test_overview_shows_the_books_and_how_old_they_are(
    page: Page, dashboard: Dashboard, books: Books
) -> None:
    show(page, dashboard, "")
    for one in books.look(lambda reader: reader.books(books.line)):
        digits = 2 if one.currency == "USDT" else 8
        card = page.locator(f'[data-card="Equity {one.currency}"] .v')
        expect(card).to_have_text(f"{one.equity:,.{digits}f}")
    results = books.look(lambda reader: reader.results(books.line))
    net = sum(one.stats.pnl_total for one in results)
    expect(page.locator('[data-card="Today BTC"] .v')).to_have_text(f"{net:+.8f}")
    expect(page.locator(".botd-asof")).to_have_text(
        f"{datetime.fromtimestamp(books.cursor.ts_us / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )
    expect(page.locator(".botd-strip[data-state]")).to_have_attribute("data-stale", "false")
    (held,) = cells(page, "positions")
    (position,) = books.look(lambda reader: reader.held(books.info.id))
    assert held[:4] == [position.strategy, position.instrument, "long", f"{position.qty:,f}"]
    last = books.look(lambda reader: reader.last_bars([INSTRUMENT]))[INSTRUMENT].close
    assert Decimal(held[6].replace("−", "-")) == ((last - position.entry_price) * position.qty).quantize(
        Decimal("1e-8")
    )
    reload = page.locator('[data-banner="reload"]')
    expect(reload).to_contain_text(f"refused, 1 error. {FAULT.file}:{FAULT.line}: {FAULT.message}")
    expect(page.locator('[data-table="alerts"]')).to_contain_text("critical thing <b>0</b>")


def test_markers_of_the_chart_are_where_the_signals_are(
    page: Page, dashboard: Dashboard, books: Books
) -> None:
    show(page, dashboard, "chart")
    page.wait_for_selector(".js-plotly-plot .scatterlayer path.point")
    drawn = page.evaluate(
        """() => document.querySelector('.js-plotly-plot').data.filter(t => t.mode === 'markers')
            .map(t => ({name: t.name, colour: t.marker.color, x: [...t.x], y: [...t.y],
                text: [...t.text]}))"""
    )
    signals = [one.signal for one in books.look(lambda reader: reader.stories(books.line, 1000))]
    assert {trace["name"].split()[0] for trace in drawn} == set(COLOURS)
    for trace in drawn:
        section = trace["name"].split()[0]
        wanted = [one for one in signals if one.section == section]
        places = {
            (
                datetime.fromtimestamp(s.ts_us / 1e6, UTC).isoformat(timespec="microseconds")[:23],
                float(s.price),
            )
            for s in wanted
        }
        assert {(x[:23], y) for x, y in zip(trace["x"], trace["y"], strict=True)} == places
        assert trace["colour"] == COLOURS[section]
    (first,) = {text for trace in drawn for text in trace["text"] if "greedy" in text and "Z1" in text}
    assert "denied: position_max" in first
    values = dict(next(one for one in signals if one.strategy == "rider" and one.section == "S1").values)
    assert any(f"speed = {values['speed']:.6g}" in text for trace in drawn for text in trace["text"])


def test_candles_and_volume_of_the_chart_are_the_bars(page: Page, dashboard: Dashboard, books: Books) -> None:
    show(page, dashboard, "chart?timeframe=5m")
    page.wait_for_selector(".js-plotly-plot .scatterlayer path.point")
    drawn = page.evaluate(
        """() => { const [candles, volume] = document.querySelector('.js-plotly-plot').data;
            return [candles.type, candles.text.length, candles.text[0], volume.y.length] }"""
    )
    bars = books.look(
        lambda reader: reader.bars(INSTRUMENT, 300_000_000, since_us=0, until_us=books.cursor.ts_us + 1)
    )
    assert drawn[:2] == ["candlestick", len(bars)]
    assert f"high {bars[0].high:f}" in drawn[2]
    assert f"volume {bars[0].volume:,f}" in drawn[2]
    assert drawn[3] == len(bars)


def test_orders_show_what_they_slipped_and_signals_what_came_of_them(
    page: Page, dashboard: Dashboard, books: Books
) -> None:
    show(page, dashboard, "orders")
    orders = books.look(lambda reader: reader.newest_orders(books.line, 100))
    assert column(page, "orders", "time (UTC)") == [when(one.ts_us) for one in orders]
    slips = column(page, "orders", "slippage bps")
    for one, shown in zip(orders, slips, strict=True):
        if one.avg_price is None:
            assert shown == "–"
        else:
            side = 1 if one.side == "buy" else -1
            bps = float((one.avg_price / one.decision_price - 1) * 10_000 * side)
            assert float(shown.replace("−", "-")) == pytest.approx(bps, abs=0.051)
    live = {one.section: one for one in books.look(lambda reader: reader.live_orders(books.info.id))}
    assert set(column(page, "live", "order")) == {
        f"buy limit @ {live['Z1'].limit_price:f}",
        f"sell stop market @ {live['protect'].stop_price:f}",
    }
    show(page, dashboard, "signals")
    stories = books.look(lambda reader: reader.stories(books.line, 100))
    assert column(page, "signals", "time (UTC)") == [when(one.signal.ts_us) for one in stories]
    risks = column(page, "signals", "risk")
    assert any(re.fullmatch(r"denied: position_max \(limit .+, actual .+\)", risk) for risk in risks)
    denied = page.locator("[title*='position_max']", has_text="denied: position_max")
    told = denied.first.get_attribute("title")
    assert told is not None
    assert re.search(r"^position_max: \S+, limit \S+: broken$", told, re.MULTILINE)
    assert re.search(r"^drawdown_max: \S+, limit \S+$", told, re.MULTILINE)
    assert sum(risk.startswith("denied") for risk in risks) == sum(one.approved is False for one in stories)


def test_trades_and_their_file_are_those_of_the_books(page: Page, dashboard: Dashboard, books: Books) -> None:
    show(page, dashboard, "trades")
    trades = books.look(lambda reader: reader.newest_trades(books.line, None))
    nets = [one.realized_pnl - one.fees for one in trades]
    assert len(trades) == 3
    assert [Decimal(text.split()[0].replace("−", "-")) for text in column(page, "trades", "profit")] == nets
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [Decimal(row["net_pnl"]) for row in rows] == nets
    assert [int(row["closed_us"]) for row in rows] == [one.closed_us for one in trades]


def test_performance_is_that_of_the_trades(page: Page, dashboard: Dashboard, books: Books) -> None:
    show(page, dashboard, "performance")
    (one,) = books.look(lambda reader: reader.results(books.line))
    (row,) = cells(page, "performance")
    assert row[:3] == ["rider", INSTRUMENT, "3"]
    assert row[3] == f"{one.stats.win_rate * 100:.1f} %"
    assert row[4] == f"{one.stats.pnl_total:+.8f} BTC"
    found = {one.currency: one for one in books.look(lambda reader: reader.performance(books.line))}
    made = found["BTC"]
    for name, shown in (
        ("Win rate BTC", f"{one.stats.win_rate * 100:.1f} %"),
        ("Max drawdown BTC", f"{made.performance.max_drawdown * 100:.2f} %"),
    ):
        expect(page.locator(f'[data-card="{name}"] .v')).to_have_text(shown)
    page.get_by_role("radio", name="TODAY").click()
    page.wait_for_url("**period=TODAY**")
    assert cells(page, "performance") == [row]  # all of them closed on the last day of the data


@pytest.mark.parametrize("by", ["exit", "hour"])
def test_performance_is_put_together_as_is_asked(
    page: Page, dashboard: Dashboard, books: Books, by: str
) -> None:
    show(page, dashboard, f"performance?by={by}")
    found = books.look(lambda reader: by_group(reader.performance(books.line), by))
    assert found
    assert [row[:2] for row in cells(page, "groups")] == [
        [one.group, str(one.stats.trades_count)] for one in found
    ]


def test_configuration_shows_what_runs_and_the_faults_of_the_last_reload(
    page: Page, dashboard: Dashboard, books: Books
) -> None:
    show(page, dashboard, "configuration")
    expect(page.locator('[data-card="Running"] .v')).to_have_text(books.info.config_hash[:12])
    code = page.get_by_test_id("stCode").first
    expect(code).to_contain_text(FAULT.render().splitlines()[0])
    lines = code.locator("code").inner_text().splitlines()
    assert lines[2].index("^") == lines[1].index("sped")
    page.get_by_text("strategies/rider.yaml", exact=True).click()
    expect(page.get_by_test_id("stExpander").filter(has_text="strategies/rider.yaml")).to_contain_text(
        "pnl > 0.5%"
    )


def test_alerts_are_those_of_the_severities_chosen(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard, "alerts")
    assert column(page, "alerts", "severity") == ["high", "medium", "high", "critical"]
    page.get_by_role("button", name="medium").click()
    expect(page.locator('[data-table="alerts"] tbody tr')).to_have_count(3)
    page.reload()
    page.wait_for_selector(".botd-strip[data-state]")
    expect(page.locator('[data-table="alerts"] tbody tr')).to_have_count(3)


# ---- what a person does -------------------------------------------------------------------------


def test_halt_asks_why_and_reaches_the_api(page: Page, dashboard: Dashboard, api: LoopbackApi) -> None:
    show(page, dashboard, "alerts")
    page.get_by_role("button", name="Halt trading").click()
    page.get_by_role("button", name="Halt now").click()
    expect(told(page)).to_contain_text("A reason is needed to halt")
    assert api.heard == []
    page.get_by_label("Why?").fill("odd prices")
    page.get_by_role("button", name="Halt now").click()
    expect(told(page)).to_contain_text("Halt: done")
    (heard,) = api.heard
    assert (heard.path, heard.body, heard.token) == ("/api/trading/halt", {"reason": "odd prices"}, CANARY)


def test_refusal_of_the_api_is_shown_as_it_is_said(
    page: Page, dashboard: Dashboard, api: LoopbackApi
) -> None:
    api.refuse(409, "no_session", "there is no session yet; ask again")
    show(page, dashboard, "alerts")
    page.get_by_role("button", name="Resume trading").click()
    page.get_by_label("Why?").fill("all is well")
    page.get_by_role("button", name="Resume now").click()
    expect(told(page)).to_contain_text(
        "Resume: the daemon refused: there is no session yet; ask again (no_session) [409]"
    )


def test_close_and_cancel_are_asked_twice_and_reach_the_api(
    page: Page, dashboard: Dashboard, api: LoopbackApi, books: Books
) -> None:
    show(page, dashboard, "orders")
    page.get_by_role("button", name="Close", exact=False).first.click()
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator('[data-banner="close-asked"]')).to_have_count(0)
    assert api.heard == []
    page.get_by_role("button", name="Close", exact=False).first.click()
    page.get_by_role("button", name="Yes, close it").click()
    expect(told(page)).to_contain_text("Close holder · NXS/BTC")
    page.get_by_role("button", name="Cancel", exact=False).first.click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(told(page)).to_contain_text("Cancel NXS/BTC · buy")
    entry = next(o for o in books.look(lambda reader: reader.live_orders(books.info.id)) if o.section == "Z1")
    (position,) = books.look(lambda reader: reader.held(books.info.id))
    assert [one.path for one in api.heard] == [
        f"/api/trading/positions/holder-nxs-btc-{position.cycle}/close",
        f"/api/trading/orders/{entry.client_order_id}/cancel",
    ]
    assert {one.token for one in api.heard} == {CANARY}
    assert len({one.key for one in api.heard}) == 2


def test_reload_of_the_page_loses_nothing(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard, "chart")
    page.get_by_role("radio", name="15m").click()
    page.wait_for_url("**timeframe=15m**")
    page.get_by_text("with those before it").click()
    page.wait_for_url("**history=false**")
    page.reload()
    page.wait_for_selector(".js-plotly-plot")
    assert "timeframe=15m" in page.url
    expect(page.get_by_role("radio", name="15m")).to_be_checked()
    page.get_by_role("link", name="Trades").click()
    page.wait_for_selector('[data-table="trades"]')
    assert page.url.startswith(f"{dashboard.url}/trades")
    assert "history=false" in page.url


# ---- faults -------------------------------------------------------------------------------------


def test_L2_page_of_a_silent_daemon_is_red_and_grey(  # noqa: N802 - the fault's id
    page: Page, dashboard: Dashboard, books: Books
) -> None:
    show(page, dashboard, "")
    expect(page.locator('[data-banner="stale"]')).to_have_count(0)
    assert page.evaluate(_OPACITY) == "1"
    fall_silent(books.path, 16)
    banner = page.locator('[data-banner="stale"]')
    expect(banner).to_contain_text("The daemon is down: it has written nothing for")
    expect(page.locator(".botd-strip[data-state]")).to_have_attribute("data-stale", "true")
    assert float(page.evaluate(_OPACITY)) < 0.5
    books.beat()
    expect(banner).to_have_count(0)
    books.journal.end_session(books.info.id, status="stopped", ended_us=books.cursor.ts_us)
    expect(banner).to_contain_text("The daemon is not running: its session is stopped")


_OPACITY = "() => getComputedStyle(document.querySelector('[class*=st-key-botd-body]')).opacity"


def test_N3_no_page_is_sent_the_token(  # noqa: N802
    page: Page, dashboard: Dashboard, frames: list[str | bytes]
) -> None:
    """The server has it in its environment and beside the state file; the other tests saw their pages."""
    seen = str(frames)
    for title, path in PAGES.items():
        if title not in seen:
            show(page, dashboard, path)
    texts = [frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame for frame in frames]
    assert all(any(title in text for text in texts) for title in PAGES)
    assert not any(CANARY in text for text in texts)
    assert CANARY not in page.content()
