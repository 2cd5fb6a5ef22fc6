"""How connections are taken in: who has no room costs nothing, and a machine out of files is waited for."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from botd.api import transport
from botd.api.listening import listen
from botd.api.settings import Bounds
from botd.api.transport import Door, Porch


class Greeter(asyncio.Protocol):
    """Says hello; counts how many of it were made."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


class OutOfFiles(socket.socket):
    """A listening socket whose first accept finds no descriptor left."""

    failures = 1

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def said_by(listening: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(*listening.getsockname()[:2])
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(("room", "said"), [(1, b"hello"), (0, b"")])
async def test_connection_without_room_is_closed_and_nothing_made_for_it(room: int, said: bytes) -> None:
    Greeter.made = 0
    turned_away: list[bool] = []
    door = Door(Bounds(connections_max=room), per_ip=False, turned_away=lambda: turned_away.append(True))
    with listen("127.0.0.1", 0) as listening:
        porch = Porch(listening, door, Greeter)
        porch.open()
        assert await said_by(listening) == said
        porch.close()
    assert (Greeter.made, len(turned_away)) == (room, 1 - room)


async def test_machine_out_of_files_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ACCEPT_AGAIN_S", 0.01)
    door = Door(Bounds(), per_ip=False, turned_away=lambda: None)
    with listen("127.0.0.1", 0) as plain, OutOfFiles(fileno=plain.dup().detach()) as listening:
        porch = Porch(listening, door, Greeter)
        porch.open()
        assert await said_by(listening) == b"hello"
        assert listening.failures == 0
        porch.close()
