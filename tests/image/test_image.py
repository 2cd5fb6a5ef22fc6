"""The image on a real Docker engine: who it runs as, what it keeps, what it takes from the host."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import statistics
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.cli.bots import edit
from tests.dashboard.scene import CHROMIUM
from tests.image.engine import BARE, IMAGE, Container, docker, wait_until

CANARY = "canary" + secrets.token_hex(16)
EDITS = 10
ACTIVE_S = 12.0  # what is promised where a mount delivers no events


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def test_it_becomes_healthy_as_nobody_in_particular_on_a_read_only_root(container: Container) -> None:
    print("time to healthy", seconds(container.await_health()))
    status = container.sh("id -u; cat /proc/1/status; touch /etc/botd/x /x 2>&1 || true")
    assert status.startswith("10001\n")
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert status.count("Read-only file system") == 2
    assert container.inspect("{{json .Config.Healthcheck.Test}}").startswith('["CMD","python"')


def test_both_ports_answer_and_only_the_printed_token_acts(container: Container) -> None:
    container.await_health()
    container.await_trading()
    assert container.ask("/health")[0] == 200
    assert container.ask("/api/trading/orders")[0] == 401
    halt = {"reason": "test"}
    assert container.ask("/api/trading/halt", body=halt)[0] == 401
    assert container.ask("/api/trading/halt", body=halt, token="x" * 43)[0] == 401
    token = container.token()
    assert container.sh("stat -c '%a %u' /state/api-token-trader") == "600 10001\n"
    status, answer = container.ask("/api/trading/halt", body=halt, token=token)
    assert (status, answer["done"]) == (200, True)
    assert container.ask("/api/trading/resume", body=halt, token=token)[0] == 200
    with urllib.request.urlopen(f"{container.url(8501)}/_stcore/health") as page:
        assert page.status == 200


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no browser: apt-get install chromium fonts-dejavu-core")
def test_dashboard_shows_the_books_and_its_halt_reaches_the_daemon(container: Container) -> None:
    container.await_health()
    container.await_trading()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM))
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        page.goto(container.url(8501))
        expect(page.get_by_text("Equity USDT").first).to_be_visible(timeout=30_000)
        page.get_by_role("button", name="Halt trading").click()
        page.get_by_label("Why?").fill("seen in the container")
        page.get_by_role("button", name="Halt now").click()
        token = container.token()
        wait_until(lambda: "seen in the container" in str(container.read("/api/alerts", token)), seconds=20)
        browser.close()


def trades_of(container: Container, token: str) -> list[str]:
    """Return the newest trades that are on disk, the oldest first."""
    found = container.read("/api/trading/trades?limit=200", token)["trades"]
    return [f"{one['trade_id']} {one['realized_pnl']}" for one in reversed(found)]


def session_of(container: Container, token: str) -> str:
    return str(container.read("/api/sessions", token)["sessions"][0]["session_id"])


def goes_on(before: list[str], after: list[str]) -> bool:
    """Say whether a list continues another; both are the ends of longer ones."""
    return (
        before[-1] in after and after[: after.index(before[-1]) + 1] == before[-1 - after.index(before[-1]) :]
    )


def test_state_survives_stops_and_kills(container: Container) -> None:
    container.await_trading()
    token = container.token()
    session = session_of(container, token)
    for ending in ("stop", "kill"):
        held = wait_until(
            lambda: container.read("/api/trading/positions", token)["positions"],
            seconds=120,
            told=container.logs,
        )
        before = trades_of(container, token)
        close = f"/api/trading/positions/{held[0]['position_id']}/close"
        print("an exit asked for, and at once the end:", container.ask(close, body={}, token=token)[0])
        if ending == "kill":
            container.kill()
        else:
            begun = time.monotonic()
            assert container.stop() == 0
            print("docker stop with open positions", seconds(time.monotonic() - begun))
            (*_, last) = [one for one in container.logs().splitlines() if one and not one.startswith("{")]
            assert last == "stopped in order"
        container.start()
        container.await_trading()
        assert goes_on(before, trades_of(container, token))
        assert session_of(container, token) == session
    assert container.logs().count("API token, made now") == 1
    container.stop()
    books = docker("run", "--rm", "-v", f"{container.volume}:/state", *BARE, IMAGE, "fsck")
    print("fsck:", books.splitlines()[-1])


def test_strategy_edited_on_the_host_becomes_active(container: Container, strategies: Path) -> None:
    container.await_trading()
    token = container.token()
    took: list[float] = []
    for k in range(EDITS):
        revision = container.read("/api/config", token)["config_hash"]
        edit(strategies / "sma_cross.yaml", f"sma(close(1m), {10 + k})", f"sma(close(1m), {11 + k})")
        saved = time.time()

        def is_active(old: str = revision) -> float:
            now = container.read("/api/config", token)
            return float(now["applied_us"]) / 1e6 if now["config_hash"] != old else 0.0

        took.append(wait_until(is_active, seconds=ACTIVE_S, told=container.logs) - saved)
    assert f"sma(close(1m), {10 + EDITS})" in str(container.read("/api/config", token)["files"])
    print(f"edit to active: median {statistics.median(took):.2f} s, longest {max(took):.2f} s of {EDITS}")


def test_faulty_edit_is_told_with_its_place_and_trades_on(container: Container, strategies: Path) -> None:
    container.await_trading()
    token = container.token()
    revision = container.read("/api/config", token)["config_hash"]
    edit(strategies / "sma_cross.yaml", "crosses above slow", "crosses abov slow")
    wait_until(
        lambda: "strategies/sma_cross.yaml:" in container.logs(), seconds=ACTIVE_S, told=container.logs
    )

    def now() -> Any:
        return container.read("/api/config", token)

    wait_until(lambda: now()["last_reload"] is not None, seconds=ACTIVE_S, told=container.logs)
    assert now()["config_hash"] == revision
    assert now()["last_reload"]["ok"] is False


def test_daemon_that_is_killed_ends_the_container_with_its_code(container: Container) -> None:
    container.await_health()
    container.kill_inside("botd run")
    assert container.exit_code() == 128 + signal.SIGKILL


def test_first_process_reaps_what_others_leave_behind(container: Container) -> None:
    container.await_health()
    for _ in range(20):
        container.sh("(sleep 0.01 &)")
    zombies = "grep -lsE '^State:.Z' /proc/[0-9]*/status || true"
    wait_until(lambda: container.sh(zombies) == "", seconds=10, told=lambda: container.sh("ps || true"))


def test_dashboard_that_is_killed_comes_back(container: Container) -> None:
    container.await_health()
    container.kill_inside("streamlit run")
    wait_until(lambda: "the dashboard ended by itself" in container.logs(), seconds=10)

    def answers() -> bool:
        return "dashboard: well" in docker(
            "exec", container.name, "python", "-m", "botd.hosting.health", check=False
        )

    wait_until(answers, seconds=60, told=container.logs)
    assert container.ask("/health")[0] == 200


def test_stop_before_it_trades_is_clean(container: Container) -> None:
    wait_until(lambda: "state: /state" in container.logs(), seconds=30)
    assert container.stop() == 0


@pytest.fixture
def network() -> Iterator[str]:
    name = f"botd-test-{secrets.token_hex(4)}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


def test_daemon_and_dashboard_in_containers_of_their_own(network: str) -> None:
    """They share the volume. With --init, Docker's own first process does what botd's does elsewhere."""
    options = ("--init", "--network", network)
    called = ("--network-alias", "bot", "-e", "BOTD_API_HOSTS=bot")
    with Container(*options, *called, words=("run",)) as daemon:
        daemon.start().await_health()
        daemon.await_trading()
        with pytest.raises(OSError):
            urllib.request.urlopen(daemon.url(8501), timeout=5)
        to_it = ("-e", "BOTD_API=http://bot:8080")
        with Container(*options, *to_it, words=("dashboard",), volume=daemon.volume) as dashboard:
            dashboard.start().await_health()
            assert dashboard.ask("/health") == (0, None)
            halt = "from screens.client import Api; from pathlib import Path; "
            halt += (
                "print(Api(address='http://bot:8080', folder=Path('/state')).halt('by the other', key='k1'))"
            )
            where = "cd $(python -c 'import botd, os; print(os.path.dirname(botd.__file__))')/streamlit_app"
            assert dashboard.sh(f'{where}; python -c "{halt}"') == "True\n"
            assert dashboard.stop() == 0
        assert daemon.stop() == 0
        assert "by the other" in daemon.logs()


def test_secret_of_the_environment_is_shown_nowhere(strategies: Path) -> None:
    secret = ("-e", f"BOTD_API_TOKEN_TRADER={CANARY}", "-e", f"VENUE_API_SECRET={CANARY}2")
    with Container(*secret, "-v", f"{strategies}:/etc/botd/strategies") as one:
        one.start().await_health()
        one.await_trading()
        assert one.ask("/api/trading/halt", body={"reason": "test"}, token=CANARY)[0] == 200
        edit(strategies / "sma_cross.yaml", "crosses above slow", "crosses abov slow")
        assert one.ask("/api/reload", body={}, token=CANARY)[0] == 409
        answers = [
            str(one.ask(path, token=CANARY))
            for path in ("/health/deep", "/openapi.json", "/api/config", "/api/alerts", "/api/sessions")
        ]
        files = one.sh("grep -rlF canary /state /etc/botd /tmp 2>/dev/null || true")
        told = one.sh("botd status; botd config history; botd check || true; cat /proc/[0-9]*/cmdline")
        assert one.stop() == 0
        assert "canary" not in "".join([one.logs(), told, files, *answers])


def fix_in(logs: str) -> list[str]:
    """Return the command for the host that a refusal names."""
    (line,) = logs.strip().splitlines()
    return shlex.split(line.partition("on the host run: ")[2])


def test_volume_of_another_user_says_the_fix_and_the_fix_works() -> None:
    with Container() as one:
        docker("run", "--rm", "--user", "0", "--entrypoint", "chown", "-v", f"{one.volume}:/state", IMAGE,
               "-R", "0:0", "/state")  # fmt: skip
        one.start()
        assert one.exit_code() == 9
        command, *words = fix_in(one.logs())
        assert command == "docker"
        docker(*[IMAGE if word == "botd" else word for word in words])
        one.start().await_health()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_empty_folder_of_another_user_says_the_fix_and_is_filled_after_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Container("-v", f"{tmp_path}:/etc/botd") as one:
        one.start()
        assert one.exit_code() == 9
        assert fix_in(one.logs()) == ["sudo", "chown", "-R", "10001:10001", str(tmp_path)]
        os.chown(tmp_path, 10001, 10001)
        one.start().await_health()
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "config.yaml", "configs", "state", "strategies",
        ]  # fmt: skip
        assert "4 strategies" in one.sh("botd check")
        assert "/state/botd.sqlite3" in one.sh("ls /state/botd.sqlite3")


def test_bad_strategy_ends_the_first_start_with_its_code(strategies: Path) -> None:
    edit(strategies / "sma_cross.yaml", "crosses above slow", "crosses abov slow")
    with Container("-v", f"{strategies}:/etc/botd/strategies") as one:
        one.start()
        assert one.exit_code() == 2
        assert re.search(r"^strategies/sma_cross.yaml:\d+:\d+: ", one.logs(), re.MULTILINE) or (
            "strategies/sma_cross.yaml:" in one.logs()
        )
