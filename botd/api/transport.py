"""The door: how many connections there are, from whom, and how long each may take over what it says.

aiohttp waits without end for the head of a request and for whoever reads an answer slowly.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from botd.api.problems import new_incident
from botd.api.responses import problem_response
from botd.api.settings import Bounds

log = logging.getLogger(__name__)

ACCEPTS_MAX: Final = 32  # at a time: who is in gets a turn as well
ACCEPT_AGAIN_S: Final = 1.0
_UNKNOWN: Final = "?"


class Door:
    """Counts the connections that are open."""

    def __init__(self, bounds: Bounds, *, per_ip: bool, turned_away: Callable[[], None]) -> None:
        self.bounds = bounds
        self.open: Counter[str] = Counter()
        self._turned_away = turned_away
        self._per_ip_max = bounds.connections_per_ip_max if per_ip else bounds.connections_max

    def enter(self, ip: str) -> bool:
        """Let a caller in, unless there are too many."""
        if not self.has_room(ip):
            return False
        self.open[ip] += 1
        return True

    def has_room(self, ip: str) -> bool:
        """Say whether there are not too many callers yet; count who is turned away."""
        full = self.open.total() >= self.bounds.connections_max
        if full or self.open.get(ip, 0) >= self._per_ip_max:
            self._turned_away()
            return False
        return True

    def leave(self, ip: str) -> None:
        self.open[ip] -= 1
        if not self.open[ip]:
            del self.open[ip]


class Porch:
    """Takes connections from a listening socket.

    One for which there is no room is closed before a transport, a task and a protocol are made for it.
    """

    def __init__(
        self, listening: socket.socket, door: Door, make: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._listening = listening
        self._door = door
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[Any]] = set()
        self._waiting: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._waiting = None
        self._listening.setblocking(False)
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        self._loop.remove_reader(self._listening)
        if self._waiting is not None:
            self._waiting.cancel()
        for task in self._entering:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                found, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no more files can be open; it stays readable meanwhile
                log.error("the API takes nobody in for a moment", extra={"reason": error.strerror})
                self._loop.remove_reader(self._listening)
                self._waiting = self._loop.call_later(ACCEPT_AGAIN_S, self.open)
                return
            if not self._door.has_room(str(address[0])):
                found.close()
                continue
            found.setblocking(False)
            entering = self._loop.create_task(self._loop.connect_accepted_socket(self._make, found))
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)


class GuardedHandler(RequestHandler):
    """One connection, with a deadline for the head of each request and for the reading of each answer."""

    __slots__ = ("_admitted", "_deadline", "_door", "_ip")

    def __init__(self, server: web.Server, door: Door, **options: Any) -> None:
        bounds = door.bounds
        super().__init__(
            server,
            auto_decompress=False,
            lingering_time=1.0,
            keepalive_timeout=bounds.idle_s,
            **options,
        )
        self.access_logger = None
        self._logging_enabled = False
        self._door = door
        self._ip = _UNKNOWN
        self._admitted = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self._ip = str(peer[0]) if peer else _UNKNOWN
        self._admitted = self._door.enter(self._ip)
        if not self._admitted:
            transport.abort()  # type: ignore[attr-defined]  # a server's transport can be written to
            return
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._have_head()
        if self._admitted:
            self._admitted = False
            self._door.leave(self._ip)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            self._have_head()
        elif self._deadline is None and self._idles:
            self._await_head()

    @property
    def _idles(self) -> bool:
        """Say whether what came now is the beginning of a request."""
        return not (self._request_in_progress or self._messages or self._payload_parser or self._upgraded)

    def _await_head(self) -> None:
        self._deadline = self._loop.call_later(self._door.bounds.header_s, self._end)

    def _have_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        transport = self.transport
        if transport is not None:
            transport.abort()

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            async with asyncio.timeout(self._door.bounds.answer_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self._end()
            return resp, True

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what broke outside of every handler, without saying how."""
        if status < 500:
            response = problem_response(status, "bad_request", "this is not a request that HTTP knows")
        else:
            incident = new_incident()
            log.error("the API failed", exc_info=exc, extra={"incident": incident})
            response = problem_response(500, "internal", "something broke; the log knows", incident=incident)
        response.force_close()
        return response
