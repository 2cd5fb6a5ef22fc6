"""From a plan and an environment to an address and tokens: what is refused, in one line each."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from botd.api.settings import ApiSettings
from botd.api.tokens import Role, find_tokens, token_file
from botd.config.loader import load_plan
from botd.config.plan import ApiAddress
from botd.errors import InputInvalid
from botd.reception import ApiNeeds, NoApi
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.control import ControlFiles
from botd.serving import DaemonApi, DaemonControls, settings_of
from tests.cli.bots import make_bot

# ruff: noqa: N802 - the faults' ids

LONG = "0123456789abcdef0123456789abcdef"


def serve(folder: Path, environment: Mapping[str, str], *, api: str = "") -> DaemonApi:
    """Make the API of a bot as a start does."""
    bot = folder / "bot"
    if not bot.exists():
        make_bot(bot)
        (bot / "state").mkdir()
    config = bot / "config.yaml"
    if api:
        config.write_text(f"{config.read_text()}api: {api}\n")
    plan = load_plan(bot)
    needs = ApiNeeds(
        brake=Brake(),
        files=ControlFiles(bot / "state"),
        clock=WallClock(),
        lag_s=float,
        plan=lambda: plan,
        reload=lambda: None,
    )
    settings = settings_of(plan.api, environment)
    assert settings is not None
    return DaemonApi(settings, needs, environment)


def refused(folder: Path, environment: Mapping[str, str], *, api: str = "") -> str:
    with pytest.raises(InputInvalid) as caught:
        serve(folder, environment, api=api)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_M1_start_beyond_this_machine_needs_consent_a_proxy_and_a_token_of_32_bytes(tmp_path: Path) -> None:
    env = {"BOTD_API_PORT": "0"}
    assert "api.expose: true" in refused(tmp_path, env, api="{ host: 0.0.0.0, read_open: true }")
    env["BOTD_API_EXPOSE"] = "true"
    assert "api.behind_proxy: true" in refused(tmp_path, env)
    env["BOTD_API_BEHIND_PROXY"] = "true"
    assert "api.read_open" in refused(tmp_path, env)
    config = tmp_path / "bot/config.yaml"
    config.write_text(config.read_text().replace(", read_open: true", ""))
    assert "BOTD_API_TOKEN_TRADER_FILE" in refused(tmp_path, env)
    env["BOTD_API_TOKEN_TRADER"] = LONG[:31]
    assert "shorter than 32 bytes" in refused(tmp_path, env)
    assert list((tmp_path / "bot/state").iterdir()) == []
    env["BOTD_API_TOKEN_TRADER"] = LONG
    with serve(tmp_path, env):
        pass


def test_port_that_is_taken_refuses_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = refused(tmp_path, {"BOTD_API_PORT": str(taken.getsockname()[1])})
    assert "something else does, perhaps another botd" in line
    assert "api.port in config.yaml" in line
    assert "set api.host" in refused(tmp_path, {"BOTD_API_HOST": "198.51.100.1", "BOTD_API_EXPOSE": "true",
        "BOTD_API_BEHIND_PROXY": "true", "BOTD_API_TOKEN_TRADER": LONG})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"), [("ENABLED", "yes"), ("EXPOSE", "1"), ("PORT", "x"), ("PORT", "70000")]
)
def test_environment_that_is_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(InputInvalid, match=f"BOTD_API_{name} must be"):
        settings_of(ApiAddress(), {f"BOTD_API_{name}": text})


def test_environment_wins_over_the_file_and_can_switch_it_off() -> None:
    assert settings_of(ApiAddress(enabled=False), {}) is None
    assert settings_of(ApiAddress(), {"BOTD_API_ENABLED": "false"}) is None
    found = settings_of(ApiAddress(port=1), {"BOTD_API_PORT": "9", "BOTD_API_HOSTS": "a, b"})
    assert found == ApiSettings(port=9, hosts=("a", "b"))


def test_M1_local_start_writes_a_token_for_each_role_that_only_its_owner_reads(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        find_tokens(tmp_path, {}, makes=True)
    finally:
        os.umask(old)
    texts = {role: token_file(tmp_path, role).read_text().strip() for role in Role}
    assert len(set(texts.values())) == 2
    for role, text in texts.items():
        assert token_file(tmp_path, role).stat().st_mode & 0o777 == 0o600
        assert len(text) >= 32
    again = find_tokens(tmp_path, {}, makes=True)
    assert [again.role_of(texts[role]) for role in Role] == list(Role)
    assert again.role_of(texts[Role.TRADER][:-1]) is None


def test_M1_N3_token_that_others_read_that_is_twice_there_or_twice_used_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(LONG)
    file.chmod(0o640)
    env = {"BOTD_API_TOKEN_TRADER_FILE": str(file)}
    with pytest.raises(InputInvalid, match="chmod 600"):
        find_tokens(tmp_path, env, makes=True)
    file.chmod(0o600)
    assert find_tokens(tmp_path, env, makes=False).role_of(LONG) is Role.TRADER
    for more, words in (
        ({"BOTD_API_TOKEN_TRADER": LONG}, "are both set"),
        ({"BOTD_API_TOKEN_VIEWER": LONG}, "are the same"),
        ({"BOTD_API_TOKEN_VIEWER_FILE": str(tmp_path / "none")}, "cannot read the API token"),
        ({"BOTD_API_TOKEN_VIEWER_FILE": str(tmp_path)}, "no regular file"),
    ):
        with pytest.raises(InputInvalid, match=words):
            find_tokens(tmp_path, env | more, makes=False)


def test_halt_is_in_force_before_its_file_and_a_resume_takes_the_file_away(tmp_path: Path) -> None:
    brake, files = Brake(), ControlFiles(tmp_path)
    controls, done = DaemonControls(brake, files), list[str]()
    controls.halt("ann", "odd", lambda: done.append("halt"))
    assert brake.on and files.halt_path.exists()
    assert {one.verb for one in brake.take()} == {"halt"}
    brake.settle()
    controls.resume("ann", "", lambda: done.append("resume"))
    assert not files.halt_path.exists()
    assert [one.verb for one in brake.take()] == ["resume"]
    brake.settle()
    assert done == ["halt", "resume"]


def test_halt_that_cannot_be_written_is_in_force_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    brake = Brake()
    DaemonControls(brake, ControlFiles(tmp_path / "nowhere")).halt("ann", "", lambda: None)
    assert brake.on
    assert "may not survive a restart" in caplog.text


def test_no_api_takes_whatever_it_is_told() -> None:
    with NoApi() as api:
        api.begin("s")
        api.trades(True)
        api.heard(())
        api.committed(0.1)
