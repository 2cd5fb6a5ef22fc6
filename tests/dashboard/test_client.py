"""The dashboard's way to the API, on a loopback server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamlit_app.screens.client import ActionFailed, Api, find_token
from tests.dashboard.scene import CANARY, LoopbackApi, free_port


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BOTD_API_TOKEN_TRADER", raising=False)
    monkeypatch.delenv("BOTD_API_TOKEN_TRADER_FILE", raising=False)
    token = tmp_path / "api-token-trader"
    token.write_text(f"{CANARY}\n")
    token.chmod(0o600)
    return tmp_path


@pytest.fixture
def server() -> Iterator[LoopbackApi]:
    server = LoopbackApi()
    yield server
    server.close()


def test_actions_go_to_their_paths_with_token_and_key(server: LoopbackApi, folder: Path) -> None:
    api = Api(address=server.url, folder=folder)
    assert api.halt("odd", key="k1")
    assert api.resume("fine", key="k2")
    assert api.close("rider-nxs-btc-7", key="k3")
    assert api.cancel("b/1", key="k4")
    assert api.reload(key="k5")
    assert [(one.path, one.body, one.key) for one in server.heard] == [
        ("/api/trading/halt", {"reason": "odd"}, "k1"),
        ("/api/trading/resume", {"reason": "fine"}, "k2"),
        ("/api/trading/positions/rider-nxs-btc-7/close", {}, "k3"),
        ("/api/trading/orders/b%2F1/cancel", {}, "k4"),
        ("/api/reload", {}, "k5"),
    ]
    assert {one.token for one in server.heard} == {CANARY}


def test_action_that_is_only_asked_for_says_so(server: LoopbackApi, folder: Path) -> None:
    server.status = 202
    assert not Api(address=server.url, folder=folder).halt("odd", key="k")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "unowned", "message": "close it at the venue", "incident": null}', "venue (unowned)"),
        (b'{"error": {"code": "unowned", "message": "close it at the venue"}}', "venue (unowned)"),
        (b'{"ok": false, "errors": [{}, {}]}', "2 faults in the files"),
        (b"<html>", "it gave no reason"),
        (b"[]", "it gave no reason"),
    ],
)
def test_refusal_is_one_line_of_what_was_said(
    server: LoopbackApi, folder: Path, body: bytes, said: str
) -> None:
    server.status, server.answer = 409, body
    with pytest.raises(ActionFailed) as failed:
        Api(address=server.url, folder=folder).reload(key="k")
    assert said in str(failed.value)
    assert "[409]" in str(failed.value)
    assert "\n" not in str(failed.value)


def test_no_daemon_is_told_from_an_answer_that_did_not_come(folder: Path) -> None:
    with pytest.raises(ActionFailed, match="no daemon at"):
        Api(address=f"http://127.0.0.1:{free_port()}", folder=folder).halt("odd", key="k")
    with socket.create_server(("127.0.0.1", 0)) as deaf:

        def hang_up() -> None:
            connection, _ = deaf.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ActionFailed, match="may or may not have done it"):
            Api(address=f"http://127.0.0.1:{deaf.getsockname()[1]}", folder=folder).halt("odd", key="k")
        thread.join()


def test_redirect_does_not_carry_the_token_away(server: LoopbackApi, folder: Path) -> None:
    server.status = 302
    with pytest.raises(ActionFailed, match=r"\[302\]"):
        Api(address=server.url, folder=folder).halt("odd", key="k")
    assert len(server.heard) == 1


def test_health_is_asked_without_a_token(server: LoopbackApi, folder: Path) -> None:
    assert not Api(address=server.url, folder=folder).answers()  # 404: something else listens there
    assert not Api(address=f"http://127.0.0.1:{free_port()}", folder=folder).answers()


def test_token_of_the_environment_goes_before_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / "other"
    other.write_text("from-a-named-file")
    other.chmod(0o600)
    assert find_token(folder) == CANARY
    monkeypatch.setenv("BOTD_API_TOKEN_TRADER_FILE", str(other))
    assert find_token(folder) == "from-a-named-file"
    monkeypatch.setenv("BOTD_API_TOKEN_TRADER", "from-the-environment")
    assert find_token(folder) == "from-the-environment"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (CANARY, 0o644, "run chmod 600"),
        (f"{CANARY}\nX-Header: 1", 0o600, "characters that no token has"),
        ("", 0o600, "empty"),
        (None, 0o600, "the daemon makes that file"),
    ],
)
def test_N4_token_that_cannot_be_used_is_never_shown(  # noqa: N802 - the fault's id
    folder: Path, text: str | None, mode: int, said: str
) -> None:
    path = folder / "api-token-trader"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(ActionFailed) as failed:
        Api(address="http://127.0.0.1:1", folder=folder).halt("odd", key="k")
    assert said in str(failed.value)
    assert CANARY[:8] not in str(failed.value)
