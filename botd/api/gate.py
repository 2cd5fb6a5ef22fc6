"""What every request passes before its handler: who asks, from where, how often, and with how much."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from botd.api.problems import Problem
from botd.api.rates import Lockout, Rate
from botd.api.routes import Access, Call, Clock, Route
from botd.api.settings import ApiSettings
from botd.api.tokens import Role, Tokens, name_of

log = logging.getLogger(__name__)

_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_UNKNOWN: Final = "?"


class Gate:
    """Checks requests; one event loop uses it."""

    def __init__(self, settings: ApiSettings, tokens: Tokens, clock: Clock) -> None:
        bounds = settings.bounds
        self._settings = settings
        self._bounds = bounds
        self._tokens = tokens
        self._clock = clock
        self._lockout = Lockout(bounds.bad_tokens_max, bounds.bad_tokens_window_s, bounds.blocked_s)
        self._acts = Rate(bounds.acts_max, bounds.acts_window_s)

    def check_host(self, request: web.Request) -> None:
        """Refuse a request that was led here by another name."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._settings.answers_to(hosts[0]):
            raise Problem(
                400, "unknown_host", "this server is not called that; add the name to api.hosts if it is"
            )

    def check_origin(self, request: web.Request) -> None:
        """Refuse what a web page of somebody else asks."""
        origin = request.headers.get("Origin")
        if origin is not None and not self._settings.trusts_origin(origin, request.headers.get("Host", "")):
            raise Problem(
                403, "unknown_origin", "this page may not do that; add its address to api.origins if it may"
            )

    def ip_of(self, request: web.Request) -> str:
        """Return who asks; behind a proxy it is whom the proxy names last."""
        if self._settings.behind_proxy:
            named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
            try:
                return str(ipaddress.ip_address(named))
            except ValueError:
                return request.remote or _UNKNOWN
        return request.remote or _UNKNOWN

    def admit(self, request: web.Request, access: Access) -> str:
        """Return who asks, for the books; raise Problem where they may not."""
        ip = self.ip_of(request)
        role, name = self._role(request, ip)
        needs = access is Access.TRADER or (access is Access.VIEWER and self._settings.reads_need_token)
        if role is None and needs:
            raise _unauthorized("this needs a token: send Authorization: Bearer …")
        if access is Access.TRADER and role is not Role.TRADER:
            raise Problem(403, "forbidden", "this token may read and not act; use the trader's")
        return f"{role} {name} from {ip} (api)" if role is not None else f"anybody from {ip} (api)"

    def _role(self, request: web.Request, ip: str) -> tuple[Role | None, str]:
        given = request.headers.getall("Authorization", [])
        if not given:
            return None, ""
        now_s = self._clock.monotonic()
        left_s = self._lockout.left_s(ip, now_s)
        if left_s:
            raise _too_often("too many bad tokens came from there", left_s)
        scheme, _, token = given[0].partition(" ")
        token = token.strip()
        role = self._tokens.role_of(token) if scheme.lower() == "bearer" and len(given) == 1 else None
        if role is None:
            if self._lockout.bad(ip, now_s):
                log.warning(
                    "too many bad tokens: nobody there is listened to for a while",
                    extra={"ip": ip, "seconds": self._bounds.blocked_s},
                )
            raise _unauthorized("this token is not known here")
        return role, name_of(token)

    def count_act(self, who: str) -> None:
        """Count a command; raise Problem where there are too many."""
        if not self._acts.hit(who, self._clock.monotonic()):
            raise _too_often("too many commands in a minute", self._bounds.acts_window_s)

    async def body_of(self, request: web.Request) -> bytes:
        """Read a body that is small, comes in time and is JSON by its name; nothing where there is none."""
        if not request.can_read_body:
            return b""
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Problem(415, "encoded", "send the body as it is, without Content-Encoding")
        if request.content_length is not None and request.content_length > self._bounds.body_max:
            raise _too_large(self._bounds.body_max)
        try:
            async with asyncio.timeout(self._bounds.body_s):
                body = await request.read()
        except TimeoutError as error:
            raise Problem(408, "body_late", "the body did not come in time") from error
        except web.HTTPRequestEntityTooLarge as error:
            raise _too_large(self._bounds.body_max) from error
        if body and request.content_type != "application/json":
            raise Problem(415, "not_json", "send the body as application/json")
        if _depth(body) > self._bounds.depth_max:
            raise Problem(422, "too_deep", f"JSON may be {self._bounds.depth_max} deep")
        return body


def call_of(route: Route, request: web.Request, who: str, body: bytes) -> Call:
    """Check path, query and body against what a route takes; raise Problem where they are wrong."""
    path = dict(request.match_info)
    for name, pattern in route.patterns.items():
        if not re.fullmatch(pattern, path[name], re.ASCII):
            raise Problem(404, "not_found", "there is nothing of that name")
    if len(request.query) != len(set(request.query)):
        raise Problem(422, "invalid", "a parameter is given twice")
    query = _checked(route.query, dict(request.query))
    if route.body is None:
        return Call(who=who, path=path, query=query)
    try:
        taken = route.body.model_validate_json(body, strict=True) if body else route.body()
    except ValidationError as error:
        raise _invalid(error) from error
    return Call(who=who, path=path, query=query, body=taken)


def key_of(request: web.Request) -> str | None:
    """Return the Idempotency-Key, None where there is none."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(422, "invalid", "an Idempotency-Key is up to 128 letters, digits, - and _")
    return key


def _checked(model: type[BaseModel], given: Mapping[str, Any]) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    return Problem(422, "invalid", f"{where}: {first['msg']}" if where else str(first["msg"]))


def _depth(body: bytes) -> int:
    """Return how deep the brackets of a text go, strings left out."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unauthorized(message: str) -> Problem:
    return Problem(401, "unauthorized", message, headers={"WWW-Authenticate": "Bearer"})


def _too_often(message: str, seconds: float) -> Problem:
    return Problem(429, "too_often", message, headers={"Retry-After": str(max(1, round(seconds)))})


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"a body may have {most} bytes")
