"""What people and pages that must not do a thing hear when they try. The ids are those of FAULTS."""

from __future__ import annotations

import http.client
import itertools
import json
import logging
import re
import socket
from pathlib import Path

import pytest

from botd.api.routes import Access, Route
from botd.api.settings import Bounds
from botd.api.table import ROUTES
from tests.api.stand import CANARY, POSITION, SESSION, TRADER, VIEWER, Got, Reloads, Stand, ended
from tests.api.test_reads import FAILED

# ruff: noqa: N802 - the faults' ids

NAMES = {"session_id": SESSION, "position": POSITION, "order_id": "b-2"}
BAD = "x" * 43
MANY = Bounds(acts_max=1000, bad_tokens_max=1000)


def path_of(route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: NAMES[found[1]], route.path)


def call(stand: Stand, route: Route, token: str | None) -> Got:
    return stand.ask(route.method, path_of(route), token=token)


# ---- M1: tokens -----------------------------------------------------------------------------------


def expected(route: Route, token: str | None, *, open_: bool) -> int:
    """Return what the table of roles says."""
    if token == BAD and (route.access is not Access.ANYBODY or open_):
        return 401
    if route.access is Access.TRADER:
        return {None: 401, VIEWER: 403}.get(token, 200)
    if route.access is Access.VIEWER and token is None and not open_:
        return 401
    return 200


@pytest.mark.parametrize("open_", [True, False])
def test_M1_every_route_takes_the_tokens_of_its_roles_and_no_others(tmp_path: Path, open_: bool) -> None:
    found, wanted = {}, {}
    with Stand(tmp_path, bounds=MANY, read_open=open_) as stand:
        stand.reloads = Reloads(FAILED)
        for route, token in itertools.product(ROUTES, (None, BAD, VIEWER, TRADER)):
            got = call(stand, route, token)
            name = (route.name, token)
            found[name] = 200 if route.name == "reload" and got.status == 409 else got.status
            wanted[name] = (
                expected(route, token, open_=True) if token == BAD else expected(route, token, open_=open_)
            )
            if got.status in (401, 403):
                assert json.loads(got.body)["message"]
    assert found == wanted


@pytest.mark.parametrize(
    "header", [f"Basic {TRADER}", TRADER, "Bearer", "Bearer ", f"Bearer {TRADER[:-1]}", f"Bearer {TRADER} x"]
)
def test_M1_what_is_not_quite_a_token_is_none(tmp_path: Path, header: str) -> None:
    with Stand(tmp_path, bounds=MANY) as stand:
        assert stand.post("/api/trading/halt", token=None, Authorization=header).status == 401
        assert stand.desk.asked == []


def test_M1_token_in_the_url_or_a_cookie_is_none(stand: Stand) -> None:
    for path in (f"/api/trading/halt?token={TRADER}", "/api/trading/halt"):
        got = stand.post(path, token=None, Cookie=f"token={TRADER}")
        assert got.status == 401


# ---- M2: browsers ---------------------------------------------------------------------------------


def test_M2_name_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    ours = ("127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:8080", "bot")
    others = ("evil.example", "127.0.0.1.evil.example", "10.0.0.7", "")
    with Stand(tmp_path, hosts=("bot",)) as stand:
        for path in ("/health", "/openapi.json"):
            assert [stand.get(path, Host=host).status for host in ours] == [200] * 5
            assert [stand.get(path, Host=host).status for host in others] == [400] * 4
        assert stand.get("/nowhere", Host="evil.example").status == 400


def test_M2_request_with_two_names_is_refused(stand: Stand) -> None:
    with stand.socket() as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert raw.recv(4096).startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://evil.example", False), ("null", False), ("http://localhost:3000", False),
        ("https://bot.example", True), ("OWN", True), ("file://", False),
    ],
)  # fmt: skip
def test_M2_page_of_somebody_else_cannot_act_nor_listen(tmp_path: Path, origin: str, allowed: bool) -> None:
    with Stand(tmp_path, origins=("https://bot.example",)) as stand:
        sent = f"http://127.0.0.1:{stand.port}" if origin == "OWN" else origin
        acted = stand.post("/api/trading/halt", Origin=sent)
        assert acted.status == (200 if allowed else 403)
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        with stand.socket() as raw:
            lines = [f"{name}: {text}" for name, text in upgrade.items()]
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
            head = ["GET /ws HTTP/1.1", f"Host: 127.0.0.1:{stand.port}", f"Origin: {sent}", key, *lines]
            raw.sendall("\r\n".join([*head, "", ""]).encode())
            said = raw.recv(4096)
        assert said.startswith(b"HTTP/1.1 101" if allowed else b"HTTP/1.1 403")


def test_M2_body_of_a_form_is_no_command_and_nobody_is_given_cors(stand: Stand) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert stand.post("/api/trading/halt", b"{}", Content_Type=kind).status == 415
    got = stand.ask("OPTIONS", "/api/trading/halt", Origin="http://evil.example")
    assert got.status == 405
    assert not [name for name in got.headers if name.lower().startswith("access-control")]


# ---- M3: bodies -----------------------------------------------------------------------------------


def test_M3_large_body_is_refused_before_it_has_come(stand: Stand) -> None:
    head = f"POST /api/trading/halt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TRADER}\r\n"
    for how, body in (
        (f"Content-Length: {10**9}", b""),
        ("Transfer-Encoding: chunked", b"8000\r\n" + b" " * 0x8000 + b"\r\n" + b"9000\r\n" + b" " * 0x9000),
    ):
        with stand.socket() as raw:
            raw.sendall(f"{head}Content-Type: application/json\r\n{how}\r\n\r\n".encode() + body)
            assert raw.recv(65536).startswith(b"HTTP/1.1 413")
    assert stand.post("/api/trading/halt", b'{"reason": "' + b"x" * 65_000 + b'"}').status == 422


def test_M3_packed_body_is_not_unpacked(stand: Stand) -> None:
    for packing in ("gzip", "deflate", "br", "zstd"):
        assert stand.post("/api/trading/halt", b"\x1f\x8b", Content_Encoding=packing).status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 33 + b"]" * 33, b'{"reason":' * 40 + b"1" + b"}" * 40, b"[" * 65_000, b"{", b'"halt"',
        b"[]", b"\xff",
        b'{"reason": 7}', b'{"reason": "x", "code": "import os"}', b'{"reason": null}', b"NaN",
    ],
)  # fmt: skip
def test_M3_M6_body_that_is_not_what_a_route_takes_is_refused(stand: Stand, body: bytes) -> None:
    before = list(stand.desk.asked)
    got = stand.post("/api/trading/halt", body)
    assert (got.status, stand.desk.asked) == (422, before)


def test_M3_brackets_in_a_text_are_not_deep(stand: Stand) -> None:
    assert stand.post("/api/trading/halt", {"reason": "[" * 100}).status == 200


# ---- M4: slow ones --------------------------------------------------------------------------------

QUICK = Bounds(header_s=0.2, body_s=0.2, idle_s=0.3, answer_s=0.3, connections_max=16, acts_max=100)


def test_M4_head_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=QUICK) as stand:
        for begun in (b"", b"GET /health HTTP/1.1\r\nHost: loc"):
            with stand.socket() as raw:
                raw.sendall(begun)
                assert ended(raw)
        with stand.socket() as raw:  # nor does a second one after a good first
            raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
            raw.sendall(b"GET /health HT")
            assert ended(raw)


def test_M4_body_that_does_not_end_is_answered(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=QUICK) as stand, stand.socket() as raw:
        raw.sendall(
            f"POST /api/trading/halt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TRADER}\r\n"
            "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{".encode()
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 408")


def test_M4_connections_are_counted_by_all_and_by_each(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=Bounds(header_s=30)) as stand:
        held = [socket.create_connection(("127.0.0.1", stand.port), timeout=10) for _ in range(8)]
        for one in held:
            one.sendall(b"GET /health HT")
        refused = [socket.create_connection(("127.0.0.1", stand.port), timeout=10) for _ in range(100)]
        assert all(ended(one) for one in refused)
        held.pop().close()
        for one in held[:1]:  # who is in is served
            one.sendall(b"TP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        for one in (*held, *refused):
            one.close()
        assert "botd_api_turned_away_total 100.0" in retried(stand, "/metrics").body.decode()


def retried(stand: Stand, path: str) -> Got:
    """Ask until there is room: the server hears a little later that others have left."""
    for _ in range(200):
        try:
            return stand.get(path)
        except (ConnectionError, http.client.RemoteDisconnected):
            continue
    raise AssertionError("there is never room")


def test_M4_behind_a_proxy_one_address_may_have_all_connections(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=QUICK, behind_proxy=True) as stand:
        held = [socket.create_connection(("127.0.0.1", stand.port), timeout=10) for _ in range(12)]
        for one in held:
            one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        for one in held:
            one.close()


def test_M4_reader_who_does_not_read_is_cut_off(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=QUICK) as stand, stand.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with pytest.raises(ConnectionError):
            for _ in range(100_000):
                raw.sendall(request)


# ---- M5, M6: names that are paths, code that is a parameter -----------------------------------------


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2fetc%2fpasswd", "%00", "a%00b", "%2e%2e", "a b", "é", "x" * 129, "%0a", "BTC%2FUSDT%2F.."],
)
def test_M5_name_that_is_none_is_not_found(stand: Stand, name: str) -> None:
    before = len(stand.desk.asked)
    for path in ("/api/sessions/{}/results", "/api/trading/performance/{}"):
        assert stand.get(path.format(quote(name))).status == 404
    for path in ("/api/trading/positions/{}/close", "/api/trading/orders/{}/cancel"):
        assert stand.post(path.format(quote(name))).status == 404
    assert len(stand.desk.asked) == before


def quote(name: str) -> str:
    return name.replace(" ", "%20").replace("é", "%C3%A9")


@pytest.mark.parametrize(
    "query",
    [
        "plot_config=x", "limit=__import__('os')", "limit=0", "limit=1001", "limit=1e3", "limit=-1",
        "limit=5_0", "limit=1&limit=2", "symbol=BTC/USDT;drop", "session_id=..%2f", "cursor=x",
        "strategy=cHJpbnQ=",
    ],
)  # fmt: skip
def test_M6_parameter_that_nobody_knows_is_refused(stand: Stand, query: str) -> None:
    got = stand.get(f"/api/trading/orders?{query}")
    assert (got.status, got.json["error"]) == (422, "invalid")


# ---- M7: too often ----------------------------------------------------------------------------------


def test_M7_five_bad_tokens_shut_an_address_out_for_five_minutes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Stand(tmp_path) as stand, caplog.at_level(logging.WARNING):
        assert [stand.post("/api/trading/halt", token=BAD).status for _ in range(6)] == [401] * 5 + [429]
        got = stand.post("/api/trading/halt")
        assert (got.status, got.headers["Retry-After"], stand.desk.asked) == (429, "300", [])
        assert stand.get("/api/alerts").status == 200  # who shows no token guesses none
        assert len([one for one in caplog.records if one.message.startswith("too many bad tokens")]) == 1
        assert BAD not in caplog.text
        stand.clock.pass_s(299)
        assert stand.post("/api/trading/halt").status == 429
        stand.clock.pass_s(2)
        assert stand.post("/api/trading/halt").status == 200


def test_M7_bad_tokens_that_come_slowly_shut_nobody_out(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        for _ in range(12):
            assert stand.post("/api/trading/halt", token=BAD).status == 401
            stand.clock.pass_s(16)


def test_M7_behind_a_proxy_who_is_shut_out_is_whom_the_proxy_names(tmp_path: Path) -> None:
    with Stand(tmp_path, behind_proxy=True) as stand:
        for _ in range(5):
            stand.post("/api/trading/halt", token=BAD, X_Forwarded_For="1.2.3.4, 203.0.113.9")
        shut = stand.post("/api/trading/halt", X_Forwarded_For="203.0.113.9")
        other = stand.post("/api/trading/halt", X_Forwarded_For="203.0.113.9, 203.0.113.10")
        assert (shut.status, other.status) == (429, 200)
        assert "from 203.0.113.10 (api)" in stand.desk.asked[0][1]


def test_M7_ten_commands_a_minute_and_a_halt_is_never_too_many(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        statuses = [stand.post("/api/trading/resume").status for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        assert stand.post("/api/trading/halt").status == 200
        stand.clock.pass_s(61)
        assert stand.post("/api/trading/resume").status == 200


# ---- M9, M10: what is said --------------------------------------------------------------------------


def test_M9_S18_failure_says_nothing_but_the_incident_that_the_log_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Stand(tmp_path) as stand:
        stand.desk.breaks = True
        got = stand.post("/api/trading/halt")
        assert (got.status, got.json["error"]) == (500, "internal")
        for secret in (CANARY, "RuntimeError", "Traceback", "/secret/place", ".py"):
            assert secret not in got.body.decode()
        (line,) = [one for one in caplog.records if getattr(one, "incident", None) == got.json["incident"]]
        assert line.levelno == logging.ERROR


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"DELETE /api/trading/orders HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
)
def test_M9_what_is_no_request_is_answered_as_one_problem(stand: Stand, text: bytes, status: int) -> None:
    with stand.socket() as raw:
        raw.sendall(text)
        head, _, body = raw.recv(65536).partition(b"\r\n\r\n")
    assert head.split()[1] == str(status).encode()
    assert set(json.loads(body)) == {"error", "message", "incident"}
    assert b"aiohttp" not in head + body and b"python" not in (head + body).lower()


def test_M10_health_tells_no_positions_and_labels_no_balances(tmp_path: Path) -> None:
    with Stand(tmp_path, read_open=False) as stand:
        open_ = stand.get("/health").body + stand.get("/health/ready").body
        for word in (b"BTC", b"dip", b"equity", b"balance", b"position"):
            assert word not in open_
        for path in ("/metrics", "/health/deep", "/api/config"):
            assert stand.get(path).status == 401
        text = stand.get("/metrics", token=VIEWER).body.decode()
        labels = [label for line in text.splitlines() for label in re.findall(r'(\w+)="', line)]
        assert set(labels) <= {
            *("symbol", "side", "order_type", "reason", "severity", "type", "strategy", "section"),
            *("route", "status", "state", "mode", "hash", "version", "currency", "le"),
        }
