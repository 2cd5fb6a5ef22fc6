"""The WebSocket clients: what they asked to hear, and no more of it than they can take.

Nobody waits for a client: each has a queue of its own, and one that does not keep up is told so and dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, Literal

import orjson
from aiohttp import WSMsgType, web
from pydantic import Field, TypeAdapter, ValidationError

from botd.api.asked import Request, Symbol
from botd.api.frames import Frame, Topic, frames_of
from botd.api.problems import Problem
from botd.api.routes import Context
from botd.api.shapes import time_text
from botd.core.records import Record

_TOPICS_MAX: Final = len(Topic)
_SYMBOLS_MAX: Final = 64
CLOSE_S: Final = 1.0  # that a client has to say farewell
COUNT_EVERY_S: Final = 1.0  # records are taken at least this often, whether anybody listens or not


class Subscribe(Request):
    """From here on, frames of these topics come as well."""

    type: Literal["subscribe"]
    topics: Annotated[list[Topic], Field(min_length=1, max_length=_TOPICS_MAX)]
    symbols: Annotated[tuple[Symbol, ...], Field(max_length=_SYMBOLS_MAX)] = ()
    """Only these; all where there are none. It replaces what was asked before."""


class Unsubscribe(Request):
    """From here on, frames of these topics come no more."""

    type: Literal["unsubscribe"]
    topics: Annotated[list[Topic], Field(min_length=1, max_length=_TOPICS_MAX)]


_MESSAGE: Final[TypeAdapter[Subscribe | Unsubscribe]] = TypeAdapter(
    Annotated[Subscribe | Unsubscribe, Field(discriminator="type")]
)


class Client:
    """One WebSocket: what it wants, and what waits for it."""

    def __init__(self, socket: web.WebSocketResponse, queue_max: int) -> None:
        self.socket = socket
        self.topics: frozenset[Topic] = frozenset()
        self.symbols: frozenset[str] = frozenset()
        self.lagged = False
        self.news = asyncio.Event()
        self._queue: deque[tuple[str, bytes]] = deque()
        self._queue_max = queue_max

    def wants(self, frame: Frame) -> bool:
        if frame.topic not in self.topics:
            return False
        return not self.symbols or frame.symbol is None or frame.symbol in self.symbols

    def put(self, kind: str, text: bytes) -> None:
        """Have a frame sent; one too many, and the client is to be dropped."""
        if len(self._queue) >= self._queue_max:
            self.lagged = True
            self._queue.clear()
        if not self.lagged:
            self._queue.append((kind, text))
        self.news.set()

    def take(self) -> tuple[str, bytes] | None:
        return self._queue.popleft() if self._queue else None


class Sockets:
    """All WebSocket clients, and the one place that takes committed records from the wire."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bounds = context.settings.bounds
        self._clients: set[Client] = set()
        self._ticking: asyncio.TimerHandle | None = None

    # ---- records --------------------------------------------------------------------------------

    def drain(self) -> None:
        """Count what was committed, and hand it to who wants it."""
        for records in self._context.wire.take():
            self._context.tally.count(records)
            if self._clients:
                self._broadcast(records)

    def _broadcast(self, records: Sequence[Record]) -> None:
        for frame in frames_of(self._context.facts.session_id, records):
            wanting = [one for one in self._clients if one.wants(frame)]
            if wanting:
                text = _text(frame.topic, frame.data, frame.ts_us)
                for one in wanting:
                    one.put(frame.topic, text)

    def begin(self) -> None:
        """Take records now and then from here on."""
        loop = asyncio.get_running_loop()

        def tick() -> None:
            self.drain()
            self._ticking = loop.call_later(COUNT_EVERY_S, tick)

        self._ticking = loop.call_later(COUNT_EVERY_S, tick)

    async def end(self) -> None:
        """Close every socket."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._context.wire.wake_by(None)
        await asyncio.gather(*map(_close, self._clients))

    # ---- one client -----------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Talk to a client until one of both ends it."""
        if len(self._clients) >= self._bounds.sockets_max:
            raise Problem(503, "too_many", "there are too many WebSocket clients; try again later")
        socket = web.WebSocketResponse(
            heartbeat=self._bounds.heartbeat_s, max_msg_size=self._bounds.frame_max, compress=False
        )
        await socket.prepare(request)
        client = Client(socket, self._bounds.queue_max)
        self._enter(client)
        sending = asyncio.create_task(self._send(client, request), name="websocket")
        try:
            await self._hear(client)
        finally:
            self._leave(client)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    def _enter(self, client: Client) -> None:
        self._clients.add(client)
        self._context.tally.sockets = len(self._clients)
        loop = asyncio.get_running_loop()
        self._context.wire.wake_by(lambda: loop.call_soon_threadsafe(self.drain))

    def _leave(self, client: Client) -> None:
        self._clients.discard(client)
        self._context.tally.sockets = len(self._clients)
        if not self._clients:
            self._context.wire.wake_by(None)

    async def _hear(self, client: Client) -> None:
        """Take what a client says, as often as it may say something."""
        heard: deque[float] = deque(maxlen=self._bounds.frames_per_s)
        async for message in client.socket:
            now_s = self._context.clock.monotonic()
            if len(heard) == self._bounds.frames_per_s and now_s - heard[0] < 1.0:
                await client.socket.close(code=1008, message=b"too many messages")
                return
            heard.append(now_s)
            if message.type is not WSMsgType.TEXT:
                await client.socket.close(code=1003, message=b"text only")
                return
            self._answer(client, message.data)

    def _answer(self, client: Client, text: str) -> None:
        try:
            said = _MESSAGE.validate_json(text)
        except ValidationError as error:
            self._say(client, "error", {"message": _first_fault(error)})
            return
        if isinstance(said, Subscribe):
            client.topics |= frozenset(said.topics)
            client.symbols = frozenset(said.symbols)
        else:
            client.topics -= frozenset(said.topics)
        self._say(client, "subscribed", {"topics": sorted(client.topics), "symbols": sorted(client.symbols)})

    def _say(self, client: Client, kind: str, data: dict[str, Any]) -> None:
        client.put(kind, _text(kind, data, self._context.clock.now_us()))

    async def _send(self, client: Client, request: web.Request) -> None:
        """Send what waits; whoever takes too long over it is cut off."""
        try:
            while True:
                await client.news.wait()
                client.news.clear()
                while (waiting := client.take()) is not None:
                    await self._send_one(client, *waiting)
                if client.lagged:
                    self._context.tally.add("botd_websocket_lagged_total")
                    text = _text("lagged", {"message": "you read too slowly"}, self._context.clock.now_us())
                    await self._send_one(client, "lagged", text)
                    await client.socket.close(code=1013, message=b"lagged")
                    return
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()

    async def _send_one(self, client: Client, kind: str, text: bytes) -> None:
        async with asyncio.timeout(self._bounds.send_s):
            await client.socket.send_str(text.decode())
        self._context.tally.add("botd_websocket_messages_sent_total", kind)


async def _close(client: Client) -> None:
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(CLOSE_S):
            await client.socket.close(code=1001, message=b"the daemon stops")


def _text(kind: str, data: dict[str, Any], ts_us: int) -> bytes:
    return orjson.dumps({"type": kind, "data": data, "timestamp": time_text(ts_us)})


def _first_fault(error: ValidationError) -> str:
    fault: Iterable[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    first = next(iter(fault))
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
