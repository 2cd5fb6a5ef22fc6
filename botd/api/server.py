"""The server: the table of routes behind the gate, on a socket that is there already."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from botd.api.answers import Answers
from botd.api.gate import Gate, call_of, key_of
from botd.api.metrics import Exposition
from botd.api.models import document
from botd.api.openapi import describe
from botd.api.problems import HEADERS, Problem, new_incident
from botd.api.responses import problem_response
from botd.api.routes import Access, Call, Context, Route
from botd.api.sockets import Sockets
from botd.api.table import ROUTES
from botd.api.transport import Door, GuardedHandler, Porch

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHED_LAG_S: Final = 0.25  # the trading loop is behind: it needs the machine more than a reader does
_WORDS: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Server:
    """Serves a context until it is cancelled."""

    def __init__(self, context: Context, gate: Gate, answers: Answers) -> None:
        self._context = context
        self._gate = gate
        self._answers = answers
        self._sockets = Sockets(context)
        settings = context.settings
        self._door = Door(
            settings.bounds,
            per_ip=not settings.behind_proxy,
            turned_away=lambda: context.tally.add("botd_api_turned_away_total"),
        )
        description = describe(
            ROUTES, version=context.facts.version, reads_need_token=settings.reads_need_token
        )
        exposition = Exposition(context)
        context.description = lambda: description
        context.metrics = exposition.text
        context.tally.connections = self._door.open.total

    async def serve(self, listening: socket.socket, started: Callable[[], None]) -> None:
        """Serve on a listening socket; `started` is called once it does."""
        loop = asyncio.get_running_loop()
        runner = web.AppRunner(self._application(), handle_signals=False)
        await runner.setup()
        inner = runner.server
        if inner is None:
            raise RuntimeError("aiohttp made no server")
        porch = Porch(listening, self._door, lambda: GuardedHandler(inner, self._door, loop=loop))
        porch.open()
        self._sockets.begin()
        try:
            started()
            await loop.create_future()  # until it is cancelled
        finally:
            porch.close()
            await self._sockets.end()
            await inner.shutdown(1.0)
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[self._outermost], client_max_size=self._context.settings.bounds.body_max
        )
        for route in ROUTES:
            path = route.path.replace("{position}", "{position:[^{}/]{1,200}}")
            application.router.add_route(route.method, path, self._handler(route))
        application.router.add_route("GET", "/ws", self._websocket)
        return application

    # ---- every request ----------------------------------------------------------------------------

    @web.middleware
    async def _outermost(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn whatever goes wrong into an answer that says nothing of how we are built."""
        try:
            self._gate.check_host(request)
            response = await handler(request)
        except Problem as problem:
            response = problem_response(
                problem.status, problem.error, problem.message, headers=problem.headers
            )
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            word = _WORDS.get(error.status, "bad_request")
            response = problem_response(error.status, word, error.reason, headers=allow)
        except Exception:
            incident = new_incident()
            log.exception("the API failed", extra={"incident": incident, "path": request.path[:200]})
            response = problem_response(
                500, "internal", "something broke; the log has this incident", incident=incident
            )
        if not response.prepared:
            response.headers.update(HEADERS)
        name = getattr(request.match_info.handler, "route_name", "none")
        self._context.tally.add("botd_api_requests_total", name, str(response.status))
        return response

    def _handler(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            status, body = await self._answer(route, request)
            return web.Response(status=status, body=body, headers={"Content-Type": route.content_type})

        handle.route_name = route.name  # type: ignore[attr-defined]  # for the count of requests
        return handle

    async def _answer(self, route: Route, request: web.Request) -> tuple[int, bytes]:
        if route.access is Access.TRADER:
            self._gate.check_origin(request)
        who = self._gate.admit(request, route.access)
        if route.method != "POST":
            if request.can_read_body:
                raise Problem(400, "no_body", "this takes no body")
            return await self._read(route, request, call_of(route, request, who, b""))
        body = await self._gate.body_of(request)
        call, key = call_of(route, request, who, body), key_of(request)

        async def act() -> tuple[int, bytes]:
            if route.counted:
                self._gate.count_act(who)
            return await self._do(route, call)

        if key is None:
            return await act()
        what = (f"{route.method} {request.rel_url.raw_path}", body)
        return await self._answers.once(f"{who.partition(' from ')[0]}/{key}", what, act)

    async def _read(self, route: Route, request: web.Request, call: Call) -> tuple[int, bytes]:
        context, reads = self._context, route.reads
        if route.text is not None:
            self._sockets.drain()
            return 200, route.text(context)
        if reads is None:
            return await self._do(route, call)
        if route.sheds and context.facts.lag_s() > SHED_LAG_S:
            raise Problem(503, "busy", "the trading loop is behind; ask again", headers={"Retry-After": "1"})
        generation = context.wire.generation
        return 200, await context.library.look(
            request.rel_url.raw_path_qs, generation, route.fresh_s, lambda: document(reads(context, call))
        )

    async def _do(self, route: Route, call: Call) -> tuple[int, bytes]:
        if route.does is None:
            raise RuntimeError(f"{route.name} has no handler")
        status, answer = await route.does(self._context, call)
        if route.access is Access.TRADER:
            self._context.library.forget()
        return status, document(answer)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        self._gate.check_origin(request)
        self._gate.admit(request, Access.VIEWER)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Problem(400, "no_websocket", "this is for WebSockets; send Upgrade: websocket")
        return await self._sockets.serve(request)
