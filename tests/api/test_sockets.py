"""WebSocket clients: what they hear, and what becomes of those that flood, lag or never read."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from botd.api.settings import Bounds
from botd.core.outcomes import OrderStatus
from botd.core.records import Record
from tests.api.stand import TRADER, VIEWER, Stand
from tests.store import samples

# ruff: noqa: N802 - the faults' ids

ALL = ("signal_generated", "order_created", "order_updated", "order_filled", "order_cancelled")


@asynccontextmanager
async def client(stand: Stand, *, token: str | None = None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = f"http://127.0.0.1:{stand.port}/ws"
    async with aiohttp.ClientSession() as session, session.ws_connect(address, headers=headers) as one:
        yield one


async def say(one: aiohttp.ClientWebSocketResponse, kind: str, **more: Any) -> Any:
    await one.send_json({"type": kind, **more})
    return await one.receive_json(timeout=10)


def many(count: int) -> tuple[Record, ...]:
    return tuple(samples.alert(100 + number) for number in range(count))


async def test_client_hears_the_topics_and_symbols_that_it_asked_for(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        async with client(stand) as one:
            said = await say(one, "subscribe", topics=["order_created", "risk_alert"], symbols=["BTC/USDT"])
            assert said["type"] == "subscribed"
            assert said["data"] == {"symbols": ["BTC/USDT"], "topics": ["order_created", "risk_alert"]}
            other = samples.order(90, client_order_id="x-1", instrument="ETH/USDT", cycle=9)
            stand.wire.publish((*samples.entry(), other, samples.alert(91, instrument=None)))
            first, second = await one.receive_json(timeout=10), await one.receive_json(timeout=10)
            assert (first["type"], first["data"]["order_id"]) == ("order_created", "b-1")
            assert (first["data"]["quantity"], first["data"]["decision_price"]) == ("0.050", "20000.00")
            assert first["timestamp"] == first["data"]["at"] == "2023-11-14T22:13:20.000001Z"
            assert first["data"]["seq"] == 5
            assert (second["type"], second["data"]["symbol"]) == ("risk_alert", None)  # of the account
            assert (await say(one, "unsubscribe", topics=["order_created"]))["data"]["topics"] == [
                "risk_alert"
            ]
            stand.wire.publish((samples.order(92), samples.alert(93)))
            assert (await one.receive_json(timeout=10))["data"]["seq"] == 93


async def test_every_topic_has_its_records(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        async with client(stand) as one:
            topics = [*ALL, "position_updated", "position_closed", "risk_alert", "trading_state"]
            await say(one, "subscribe", topics=topics)
            stand.wire.publish(
                (
                    *samples.entry(),
                    samples.update(20, OrderStatus.CANCELED),
                    samples.position(21, lots=0),
                    samples.alert(22),
                    samples.trading_state(23),
                    samples.trade(24),  # told of by the position that closed
                )
            )
            heard = [await one.receive_json(timeout=10) for _ in range(10)]
    assert [frame["type"] for frame in heard] == [
        *("signal_generated", "signal_generated", "order_created", "order_updated", "order_filled"),
        *("position_updated", "order_cancelled", "position_closed", "risk_alert", "trading_state"),
    ]
    assert {frame["data"]["session_id"] for frame in heard} == {"s1"}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"type": "subscribe"}', '{"type": "subscribe", "topics": []}', '{"type": "eval"}',
     '{"type": "subscribe", "topics": ["market_data"]}', '{"type": "subscribe", "topics": ["x"], "code": 1}'],
)  # fmt: skip
async def test_message_that_nobody_knows_is_answered_and_changes_nothing(stand: Stand, text: str) -> None:
    async with client(stand) as one:
        await one.send_str(text)
        said = await one.receive_json(timeout=10)
        assert (said["type"], set(said["data"])) == ("error", {"message"})
        again = await say(one, "subscribe", topics=["risk_alert"])
        assert again["data"]["topics"] == ["risk_alert"]


async def test_M1_socket_needs_a_token_where_reading_does(tmp_path: Path) -> None:
    with Stand(tmp_path, read_open=False) as stand:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with client(stand):
                raise AssertionError("it was let in")
        assert caught.value.status == 401
        for token in (VIEWER, TRADER):
            async with client(stand, token=token) as one:
                assert (await say(one, "subscribe", topics=["risk_alert"]))["type"] == "subscribed"


# ---- Q: hostile ones --------------------------------------------------------------------------------


def never_reads(stand: Stand) -> socket.socket:
    """Open a WebSocket that asks for alerts and then reads nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.settimeout(10)
    raw.connect(("127.0.0.1", stand.port))
    raw.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert raw.recv(4096).startswith(b"HTTP/1.1 101")
    body = b'{"type": "subscribe", "topics": ["risk_alert"]}'
    mask = b"\0\0\0\0"
    raw.sendall(bytes([0x81, 0x80 | len(body)]) + mask + body)
    assert b"subscribed" in raw.recv(4096)
    return raw


async def test_Q1_client_that_never_reads_is_cut_off_and_the_others_hear_on(tmp_path: Path) -> None:
    bounds = Bounds(send_s=0.2, queue_max=64)
    with Stand(tmp_path, bounds=bounds) as stand:
        async with client(stand) as good:
            await say(good, "subscribe", topics=["risk_alert"])
            raw = never_reads(stand)
            assert stand.tally.sockets == 2
            heard = 0
            while stand.tally.sockets == 2:  # it fills its buffers, and the kernel's, and then its queue
                stand.wire.publish(many(50))
                for _ in range(50):
                    assert (await good.receive_json(timeout=10))["type"] == "risk_alert"
                heard += 50
            assert heard >= 50
            stand.wire.publish(many(1))
            assert (await good.receive_json(timeout=10))["data"]["seq"] == 100
            raw.close()


async def test_Q1_client_that_lags_is_told_so_and_dropped(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=Bounds(queue_max=8)) as stand:
        async with client(stand) as one:
            await say(one, "subscribe", topics=["risk_alert"])
            stand.wire.publish(many(100))  # at once: no client can keep up with that
            kinds = []
            async for message in one:
                kinds.append(message.json()["type"])
            assert (kinds[-1], one.close_code) == ("lagged", 1013)
        assert "botd_websocket_lagged_total 1.0" in stand.get("/metrics").body.decode()


async def test_Q1_publisher_never_waits_whoever_reads_or_not(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=Bounds(queue_max=8)) as stand:
        raw = never_reads(stand)
        done = threading.Event()

        def publish() -> None:
            for _ in range(1000):
                stand.wire.publish(many(1))
            done.set()

        threading.Thread(target=publish).start()
        assert await asyncio.to_thread(done.wait, 10)
        raw.close()


async def test_Q2_client_that_floods_or_sends_much_is_closed(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        async with client(stand) as one:
            with suppress(aiohttp.ClientConnectionResetError):  # it may be closed before the last of them
                for _ in range(30):
                    await one.send_str("x")
            async for _ in one:
                pass
            assert one.close_code in (1008, 1006)  # what was sent after it resets the connection
        async with client(stand) as one:
            await one.send_str("x" * 5000)
            assert (await one.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
            assert one.close_code == 1009
        async with client(stand) as one:
            await one.send_bytes(b"x")
            assert (await one.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
            assert one.close_code == 1003


async def test_Q1_sockets_are_counted(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=Bounds(sockets_max=1)) as stand:
        async with client(stand):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with client(stand):
                    raise AssertionError("it was let in")
            assert caught.value.status == 503
        for _ in range(1000):  # the server hears a little later that the first has left
            try:
                async with client(stand) as one:
                    assert not one.closed
                    return
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == 503
        raise AssertionError("there is never room again")


async def test_end_of_the_server_closes_its_clients(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        async with client(stand) as one:
            await say(one, "subscribe", topics=["risk_alert"])
            last, _ = await asyncio.gather(one.receive(timeout=10), asyncio.to_thread(stand.thread.stop))
            assert last.type is aiohttp.WSMsgType.CLOSE
            assert one.close_code == 1001
