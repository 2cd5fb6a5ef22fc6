"""The routes that do something. Each is obeyed by the trading loop, at its place among the events."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from botd.api import asked, health, views
from botd.api import models as m
from botd.api.problems import Problem
from botd.api.routes import SYMBOL, Call, Context
from botd.core.events import Section
from botd.core.portfolio import UNOWNED
from botd.core.restraint import Cause, Restraint, TradingCommand, Verb
from botd.store.queries import OrderView, PositionView

log = logging.getLogger(__name__)

_SYMBOL: Final = re.compile(SYMBOL, re.ASCII)
T = TypeVar("T")


async def alive(context: Context, call: Call) -> tuple[int, m.Health]:
    return 200, health.health(context, call)


async def ready(context: Context, _: Call) -> tuple[int, m.Readiness]:
    found = health.readiness(context)
    return (200 if found.ready else 503), found


async def halt(context: Context, call: Call) -> tuple[int, m.TradingStateChange]:
    """Take no new entries from now on."""
    reason = _reason(call)
    done = await _obeyed(context, lambda then: context.controls.halt(call.who, reason, then))
    return await _state(context, done)


async def resume(context: Context, call: Call) -> tuple[int, m.TradingStateChange]:
    """Lift every halt."""
    reason = _reason(call)
    done = await _obeyed(context, lambda then: context.controls.resume(call.who, reason, then))
    return await _state(context, done)


async def close(context: Context, call: Call) -> tuple[int, m.Acted]:
    """Close a position, or all that is held of an instrument, at market."""
    named = call.path["position"]
    session_id = _running(context)
    held = await _look(context, lambda: context.library.books().positions(session_id))
    meant = _meant(held, named)
    for one in meant:
        log.warning(
            "a close is asked for",
            extra={"who": call.who, "strategy": one.strategy, "instrument": one.instrument},
        )
    done = [await _ask(context, call, Verb.CLOSE, one.instrument, one.strategy) for one in meant]
    exits = await _look(context, lambda: _exits_of(context, session_id, meant))
    return (200 if all(done) else 202), m.Acted(done=all(done), orders=exits)


async def cancel(context: Context, call: Call) -> tuple[int, m.Acted]:
    """Cancel an entry that works."""
    session_id = _running(context)
    name = call.path["order_id"]
    order = await _look(context, lambda: _order(context, session_id, name))
    if order is None:
        raise Problem(404, "no_order", f"the running session has no order {name}")
    if order.section is not Section.Z1:
        raise Problem(
            409, "not_an_entry", f"{name} closes or protects a position; close the position, not the order"
        )
    if not views.cancelable(order):
        raise Problem(409, "order_over", f"{name} is {order.status}: there is nothing to cancel")
    log.warning("a cancel is asked for", extra={"who": call.who, "order": name})
    done = await _ask(context, call, Verb.CANCEL, name)
    after = await _look(context, lambda: _order(context, session_id, name))
    orders = [views.order(session_id, after)] if after is not None else []
    return (200 if done else 202), m.Acted(done=done, orders=orders)


async def reload(context: Context, call: Call) -> tuple[int, m.Reload]:
    """Read the files again and trade by them, or say why not."""
    desk = context.reload()
    if desk is None:
        raise Problem(503, "no_reload", "this daemon cannot reload; stop and start it")
    asked = desk.request(call.who)
    try:
        waited = asyncio.shield(asyncio.wrap_future(asked))  # who waits no more must not end it
        outcome = await asyncio.wait_for(waited, context.settings.bounds.reloaded_s)
    except asyncio.CancelledError as error:
        if not asked.cancelled():
            raise  # it is the caller who is gone
        raise Problem(503, "no_reload", "this daemon stops and reloads no more") from error
    except TimeoutError as error:
        raise Problem(
            503, "reload_late", "the reload is not done yet; GET /api/config says what comes of it"
        ) from error
    return (200 if outcome.ok else 409), views.reload(outcome)


# ---- obeyed -------------------------------------------------------------------------------------


async def _obeyed(context: Context, start: Callable[[Callable[[], None]], None]) -> bool:
    """Ask for something and wait a while; return whether it is obeyed and on disk."""
    loop = asyncio.get_running_loop()
    obeyed = asyncio.Event()

    def then() -> None:
        with suppress(RuntimeError):  # this loop is closed by now
            loop.call_soon_threadsafe(obeyed.set)

    await context.library.run(lambda: start(then))  # it may write a file
    try:
        async with asyncio.timeout(context.settings.bounds.obeyed_s):
            await obeyed.wait()
    except TimeoutError:
        return False
    return True


async def _ask(context: Context, call: Call, verb: Verb, scope: str, strategy: str = "") -> bool:
    command = TradingCommand(
        verb=verb, cause=Cause.COMMAND, who=call.who, reason=_reason(call), scope=scope, strategy=strategy
    )
    return await _obeyed(context, lambda then: context.controls.ask(command, then))


async def _look(context: Context, read: Callable[[], T]) -> T:
    return await context.library.run(read)


async def _state(context: Context, done: bool) -> tuple[int, m.TradingStateChange]:
    session_id = context.facts.session_id
    standing: tuple[Restraint, ...] = ()
    if session_id:
        with suppress(Problem):  # the books are shut: it is done all the same
            standing = await _look(context, lambda: context.library.books().restraints(session_id))
    change = m.TradingStateChange(
        done=done,
        trading_state=context.facts.trading_state,
        restraints=[views.standing(one) for one in standing],
    )
    return (200 if done else 202), change


def _running(context: Context) -> str:
    if not context.facts.session_id:
        raise Problem(503, "no_session", "there is no session yet; ask again")
    return context.facts.session_id


def _reason(call: Call) -> str:
    body: asked.Reason | None = call.body
    return " ".join(body.reason.split()) if body is not None else ""


def _meant(held: tuple[PositionView, ...], named: str) -> list[PositionView]:
    """Return the open positions that an id or a symbol names; raise Problem where there is none."""
    if _SYMBOL.fullmatch(named):
        meant = [one for one in held if one.instrument == named]
    else:
        meant = [one for one in held if views.position_id(one.strategy, one.instrument, one.cycle) == named]
    if not meant:
        raise Problem(404, "no_position", f"nothing is held as {named}")
    owned = [one for one in meant if one.strategy != UNOWNED]
    if not owned:
        raise Problem(
            409, "unowned", f"what is held as {named} belongs to no strategy; close it at the venue"
        )
    return owned


def _order(context: Context, session_id: str, name: str) -> OrderView | None:
    found = context.library.books().recent_orders(session_id, limit=1, name=name)
    return found[0] if found else None


def _exits_of(context: Context, session_id: str, closed: list[PositionView]) -> list[m.Order]:
    """Return the orders that close these positions."""
    pairs = {(one.strategy, one.instrument, one.cycle) for one in closed}
    found = [
        one
        for symbol in {one.instrument for one in closed}
        for one in context.library.books().recent_orders(session_id, instrument=symbol)
    ]
    return [
        views.order(session_id, one)
        for one in found
        if one.section is Section.MANUAL and (one.strategy, one.instrument, one.cycle) in pairs
    ]
