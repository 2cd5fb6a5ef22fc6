"""The thread of the API: it begins anew where it breaks, on the same address, and ends when told."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from botd.api.listening import listen
from botd.api.thread import Serve, ServingThread
from tests.api.stand import Stand


def test_api_that_breaks_begins_anew_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []
    served = threading.Event()

    def make() -> Serve:
        async def serve(listening: socket.socket, started: Callable[[], None]) -> None:
            tries.append(listening.getsockname()[1])
            if len(tries) < 3:
                raise RuntimeError("broken")
            started()
            served.set()
            await asyncio.get_running_loop().create_future()

        return serve

    with caplog.at_level(logging.CRITICAL):
        thread = ServingThread(listen("127.0.0.1", 0), make, monotonic=float, backoff_s=(0.0,))
        thread.start()
        assert served.wait(10)
        assert thread.serving.is_set()
        thread.stop()
    assert len(tries) == 3 and len(set(tries)) == 1
    assert [one.message for one in caplog.records] == ["the API broke and begins anew; trading goes on"] * 2
    assert not thread.serving.is_set()


def test_waits_grow_until_it_has_served_for_a_while() -> None:
    now = [0.0]
    waited: list[float] = []
    done, stopped = threading.Event(), threading.Event()

    def make() -> Serve:
        async def serve(listening: socket.socket, started: Callable[[], None]) -> None:
            now[0] += 61.0 if len(waited) == 3 else 0.0
            raise RuntimeError("broken")

        return serve

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 5:
            done.set()
            stopped.wait(10)

    thread = ServingThread(
        listen("127.0.0.1", 0),
        make,
        monotonic=lambda: now[0],
        backoff_s=(1.0, 2.0, 4.0),
        pause=pause,
    )
    thread.start()
    assert done.wait(10)
    stopping = threading.Thread(target=thread.stop)
    stopping.start()
    stopped.set()
    stopping.join(10)
    assert waited[:5] == [1.0, 2.0, 4.0, 1.0, 2.0]


def test_thread_that_never_began_can_be_stopped() -> None:
    thread = ServingThread(listen("127.0.0.1", 0), lambda: pytest.fail("made"), monotonic=float)
    thread.stop()
    thread.start()  # and has nothing left to do


def test_stopped_api_is_gone_from_its_port(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        assert stand.get("/health").status == 200
        stand.thread.stop()
        with pytest.raises(ConnectionRefusedError):
            stand.get("/health")
