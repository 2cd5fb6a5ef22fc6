"""Secrets stay in the process: canaries that no log, file, page or report may show."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import hashlib
import logging
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from botd.api.tokens import find_tokens, name_of
from botd.cli.main import _keep_traceback
from botd.config.loader import check_bot, load_plan
from botd.machine import read_plan
from botd.telemetry import JsonFormatter, set_level
from tests.cli.bots import ROOT, Running, botd, edit, make_bot, write_pump
from tests.test_daemon import DATA, wait_until

# as a venue's keys and our tokens look; in two pieces, so that no file of ours has what is looked for
KEY = "mx0v" + "glCANARY9kTq3WzYb7Rn5LpXs4Hd8"
TOKEN = "7f3aCANARY" + "-tok_Q9mZ4xVb2Nc8Ks6Jd1Hg5Fw"
LEAK = "sg5CANARY8" + "dHq2PzLm4Xv"
CANARY = b"CANARY"
LOGGERS = ("aiohttp.access", "ccxt.base.exchange", "sqlalchemy.engine.Engine", "urllib3")


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = make_bot(tmp_path / "bot")
    write_pump(folder / DATA, bursts=12)
    return folder


def answer(address: str, path: str, token: str | None = None, method: str = "GET") -> bytes:
    """Return what the API answers, headers too."""
    request = urllib.request.Request(f"{address}{path}", method=method)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return bytes(found.headers) + found.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return bytes(refused.headers) + refused.read()


def test_N1_N3_canaries_of_a_daemon_are_nowhere(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("BOTD_API_ENABLED", "true"),
        ("BOTD_API_PORT", "0"),
        ("BOTD_API_TOKEN_TRADER", TOKEN),
        ("MEXC_API_SECRET", KEY),
    ):
        monkeypatch.setenv(name, value)
    edit(bot / "config.yaml", "level: info", "level: debug")
    pages = []
    with Running(bot, "run", "--data", DATA, "--speed", "60") as daemon:
        place = bot / "state/api-address"
        wait_until(lambda: place.exists() and bool(place.read_text()))
        daemon.wait_for(" trade rider ")
        address = place.read_text().strip()
        paths = ("/health", "/health/deep", "/metrics", "/api/config", "/api/trading/orders", "/openapi.json")
        pages = [answer(address, path) for path in paths]
        pages.append(answer(address, f"/api/nothing?api_key={KEY}&signature={LEAK}", TOKEN))
        pages.append(answer(address, "/api/reload", f"{TOKEN}x", "POST"))
        rider = bot / "strategies/rider.yaml"
        good = rider.read_text()
        rider.write_text(f"# {KEY}\n{good}")  # pasted by mistake; with nothing beside it that names it
        pages.append(answer(address, "/api/reload", TOKEN, "POST"))
        assert b"looks like a secret" in pages[-1]
        pages.append(answer(address, "/api/config"))
        assert "Max core file size        0" in Path(f"/proc/{daemon.process.pid}/limits").read_text()
        command = Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes()
        daemon.wait_for("reload refused")
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)
        rider.write_text(good)
    said = daemon.text.encode()
    assert b"config.rejected" in said
    kept = [path.read_bytes() for path in (bot / "state").rglob("*") if path.is_file()]
    assert len(kept) > 3
    for found in (said, command, *pages, *kept):
        assert CANARY not in found, found[max(0, found.index(CANARY) - 200) :][:400]


def test_N1_value_that_was_given_is_hidden_wherever_it_stands() -> None:
    find_tokens(Path("/nowhere"), {"BOTD_API_TOKEN_TRADER": LEAK * 2}, makes=False)
    try:
        raise TimeoutError(f"request 7 of {LEAK * 2} to the venue")
    except TimeoutError as error:
        failed = logging.makeLogRecord(
            {"msg": "failed", "exc_info": (type(error), error, error.__traceback__)}
        )
    line = JsonFormatter().format(failed)
    assert "request 7 of *** to the venue" in line
    assert "CANARY" not in line


@pytest.fixture
def _levels() -> object:
    names = (
        None,
        *LOGGERS,
        "aiohttp",
        "ccxt",
        "sqlalchemy",
        "asyncio",
        "alembic",
        "apscheduler",
        "watchfiles",
    )
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("_levels")
@pytest.mark.parametrize("name", LOGGERS)
def test_N2_libraries_that_log_headers_and_bodies_never_log_at_debug(name: str) -> None:
    set_level("debug")
    assert logging.getLogger("botd.daemon").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    set_level("error")
    assert not logging.getLogger(name).isEnabledFor(logging.WARNING)


@pytest.mark.usefixtures("_levels")
@pytest.mark.parametrize("level", ["debug", "info"])
def test_statements_of_a_database_are_no_news_to_an_operator(level: str) -> None:
    set_level(level)
    assert not logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.INFO)
    assert logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(
    "line",
    [
        f"# {KEY}",
        "# api_key: abcd1234efgh",
        "# password = correct-horse-9",
        "# eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "# 1234567890:AAE4hKq-abcdefghijklmnopqrstuvwxyz0",
        f"# {'0a1B2c3D' * 4}",
        f"# {'0f' * 32}",
        "# -----BEGIN EC PRIVATE KEY-----",
        "mexc_secret_key: 9f8e7d6c5b4a",
    ],
)
@pytest.mark.parametrize("name", ["config.yaml", "configs/risk.yaml", "strategies/rider.yaml"])
def test_N3_what_looks_like_a_secret_is_refused_and_not_shown(bot: Path, name: str, line: str) -> None:
    file = bot / name
    file.write_text(f"{file.read_text()}{line}\n")
    checked = check_bot(bot)
    assert checked.plan is None
    (fault,) = [one for one in checked.diagnostics if "looks like a secret" in one.message]
    assert fault.line == len(file.read_text().splitlines())
    shown = "\n".join(one.render() for one in checked.diagnostics)
    assert line.split()[-1] not in shown


def test_N3_session_whose_kept_files_have_one_stays_readable(bot: Path) -> None:
    files = dict(load_plan(bot).files)
    files["config.yaml"] += "# api_key: abcd1234efgh\n"
    assert read_plan(files).files == files


def test_N3_no_command_takes_a_secret_as_an_argument() -> None:
    options = {
        option
        for file in (ROOT / "botd/cli").glob("*.py")
        for option in re.findall(r'"(--[a-z-]+)', file.read_text())
    }
    assert "--config" in options
    assert not [one for one in options if re.search("token|secret|key|pass", one)]


def test_N4_log_calls_a_token_by_its_digest_alone() -> None:
    name = name_of(TOKEN)
    assert name == hashlib.sha256(b"botd api token\0" + TOKEN.encode()).hexdigest()[:8]
    assert not {TOKEN[at : at + 4] for at in range(len(TOKEN) - 3)} & {name[at : at + 4] for at in range(5)}


def test_N5_memory_goes_to_no_core_dump_and_no_thread_reports_past_the_log() -> None:
    code = (
        "import ctypes, os, resource, threading\n"
        "from botd.hardening import harden\n"
        "from botd.telemetry import configure_logging\n"
        "configure_logging()\n"
        "harden(os.environ)\n"
        "def fail():\n"
        "    local = os.environ['BOTD_API_TOKEN_TRADER']\n"
        "    raise ValueError('no ' + local)\n"
        "thread = threading.Thread(target=fail, name='worker')\n"
        "thread.start()\n"
        "thread.join()\n"
        "print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE))\n"  # PR_GET_DUMPABLE
    )
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "BOTD_API_TOKEN_TRADER": TOKEN}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "0 (0, 0)\n"
    assert '"message": "a thread has failed"' in done.stderr
    assert "ValueError: no ***" in done.stderr
    assert "CANARY" not in done.stderr


def test_N5_report_of_a_crash_has_no_locals_and_no_secrets() -> None:
    local = KEY
    try:
        raise ValueError(f"GET /order?signature={LEAK} of {len(local)}")
    except ValueError:
        where = _keep_traceback()
    file = Path(where.removeprefix("traceback in "))
    text = file.read_text()
    file.unlink()
    assert "ValueError: GET /order?signature=*** of 33" in text
    assert "CANARY" not in text


def test_N3_check_shows_no_secret(bot: Path) -> None:
    (bot / "strategies/rider.yaml").write_text(
        f"api_key: {KEY}\n{(bot / 'strategies/rider.yaml').read_text()}"
    )
    done = botd(bot, "check")
    assert done.code == 2
    assert "strategies/rider.yaml:1:10: this looks like a secret" in done.err
    assert "CANARY" not in done.err + done.out
