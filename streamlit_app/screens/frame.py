"""What every page has: which session it shows, how old that is, and one short read every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import streamlit as st

from botd.errors import BotdError, InputInvalid
from botd.store.queries import ScreenReader, TradingView

from . import tables, words
from .client import Api
from .place import api_address, state_path

STALE_US: Final = 15_000_000
REFRESH_S: Final = 2.0
SHARED_S: Final = 1.0  # how old a look may be that somebody else has taken
SESSIONS_MAX: Final = 50
STARTING: Final = "The bot is starting: it warms up for some 20 seconds, and this page fills by itself."
TOLD: Final = "botd-told"  # in the session's state: what came of the last action, as colour and text

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which sessions a page is about."""

    session: str  # the one chosen
    mode: str
    status: str
    ended_us: int | None
    config_hash: str
    sessions: tuple[str, ...]  # it and, where asked for, those before it; newest first
    is_newest: bool  # the one that runs, or ran last


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How things stand at one look."""

    scope: Scope
    now_us: int
    as_of_us: int  # event time of the newest committed row
    written_us: int
    trading: TradingView
    daemon_answers: bool  # asked only where nothing is written

    @property
    def age_us(self) -> int:
        """How long ago the daemon last wrote; it does so every second."""
        return max(0, self.now_us - self.written_us)

    @property
    def is_past(self) -> bool:
        """Whether this is an ended session that somebody chose to look at."""
        return not self.scope.is_newest

    @property
    def is_stale(self) -> bool:
        """Whether nobody may take these numbers for how things stand now."""
        return not self.is_past and (self.scope.status != "running" or self.age_us > STALE_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: what is chosen on it, what is read, and how that is drawn."""

    title: str
    url: str
    icon: str
    read: Callable[[ScreenReader, Scope, Any], Any]
    draw: Callable[[Frame, Any], None]
    choose: Callable[[], Any] = lambda: None  # widgets that stay as they are while the rest is refreshed
    every_s: float = REFRESH_S


def api() -> Api:
    """Return the daemon's API."""
    return Api(address=api_address(), folder=state_path().parent)


def peek(read: Callable[[ScreenReader], T]) -> T | None:
    """Read something small for a widget; None where there is nothing to read, which the page itself says."""
    try:
        with ScreenReader(state_path()) as reader:
            return read(reader)
    except BotdError:
        return None


def choose_session() -> None:
    """Offer the sessions of the file, the newest first."""
    found = peek(lambda reader: reader.sessions()) or ()
    shown = [one for one in found if one.mode != "warmup"] + [one for one in found if one.mode == "warmup"]
    names = [one.id for one in shown[:SESSIONS_MAX]]
    if not names:
        return
    st.selectbox("Session", names, key="session", bind="query-params", help="The newest one, unless chosen.")
    st.toggle(
        "with those before it",
        value=True,
        key="history",
        bind="query-params",
        help="An account goes on from session to session; the first began with a day's warm-up.",
    )


def find_scope(reader: ScreenReader, chosen: str | None, with_before: bool) -> Scope:
    """Return the sessions that were chosen, or the newest."""
    newest = reader.session()
    known = {one.id: one for one in reader.sessions()}
    info = known.get(chosen or newest.id, newest)
    return Scope(
        session=info.id,
        mode=info.mode,
        status=info.status,
        ended_us=info.ended_us,
        config_hash=info.config_hash,
        sessions=reader.line(info.id) if with_before else (info.id,),
        is_newest=info.id == newest.id,
    )


def show_page(page: Page) -> None:
    """Draw a page, and again every few seconds."""
    st.html(tables.STYLE)
    st.subheader(page.title, anchor=False)
    choice = page.choose()
    if TOLD in st.session_state:
        colour, text = st.session_state[TOLD]
        tables.show_banner(colour, text, name="told")

    @st.fragment(run_every=page.every_s)
    def refresh() -> None:
        try:
            frame, found = _read(page, choice)
        except InputInvalid as error:  # there are no books yet, or they are somewhere else
            if api().answers():
                tables.show_banner("blue", STARTING, name="starting")
            else:
                tables.show_banner("red", f"Nothing to show: {error}", name="error")
            return
        except BotdError as error:
            tables.show_banner("red", f"Nothing to show: {error}", name="error")
            return
        show_strip(frame)
        with st.container(key=f"botd-body-{page.url}"):
            page.draw(frame, found)

    refresh()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look at the state file found. It is shared by all who look at the same, and never changed."""

    scope: Scope
    as_of_us: int
    written_us: int
    trading: TradingView
    found: Any


@st.cache_resource(ttl=SHARED_S, max_entries=256, show_spinner=False)
def _look(url: str, choice: Any, chosen: str | None, with_before: bool, _page: Page) -> _Look:
    """Take one look, and leave the file; twenty who look at one page in one second are one reader."""
    with ScreenReader(state_path()) as reader:
        scope = find_scope(reader, chosen, with_before)
        cursor = reader.cursor(scope.session)
        return _Look(
            scope=scope,
            as_of_us=cursor.ts_us if cursor else 0,
            written_us=reader.written_us(),
            trading=reader.trading(scope.session),
            found=_page.read(reader, scope, choice),
        )


def _read(page: Page, choice: Any) -> tuple[Frame, Any]:
    chosen, with_before = st.session_state.get("session"), st.session_state.get("history", True)
    look = _look(page.url, choice, chosen, with_before, page)
    scope, written_us = look.scope, look.written_us
    now_us = time.time_ns() // 1000
    quiet = scope.is_newest and scope.status == "running" and now_us - written_us > STALE_US
    frame = Frame(
        scope=scope,
        now_us=now_us,
        as_of_us=look.as_of_us,
        written_us=written_us,
        trading=look.trading,
        daemon_answers=quiet and api().answers(),
    )
    return frame, look.found


def show_strip(frame: Frame) -> None:
    """Say how new everything is, and whether the bot trades."""
    state = "past" if frame.is_past else str(frame.trading.state)
    shown = "PAST SESSION" if frame.is_past else state.upper()
    as_of = words.when(frame.as_of_us) + " UTC" if frame.as_of_us else "no row yet"
    beat = f"{words.span(frame.age_us)} ago"
    st.html(
        f'<div class="botd-strip" data-state="{state}" data-stale="{str(frame.is_stale).lower()}">'
        f'<span class="botd-pill {state}">{shown}</span>'
        f'<span>as of <b class="botd-asof">{as_of}</b></span>'
        f'<span>heartbeat <b class="botd-beat">{beat}</b></span>'
        f"<span>{frame.scope.mode} <b>{frame.scope.session}</b></span></div>"
    )
    if frame.is_stale:
        st.html(tables.GREY)
        tables.show_banner("red", stale_text(frame), name="stale")
    cause = frame.trading.cause
    if cause is not None and not frame.is_past:
        reason = f": {cause.reason}" if cause.reason else ""
        more = f" and {len(frame.trading.restraints) - 1} more" if len(frame.trading.restraints) > 1 else ""
        where = "" if cause.scope == "account" else f" on {cause.scope}"
        tables.show_banner(
            "amber",
            f"Trading is {cause.state}{where} since {words.when(cause.since_us)} UTC, by {cause.who} "
            f"({cause.cause}){reason}{more}. Exits go on.",
            name="trading",
        )


def stale_text(frame: Frame) -> str:
    """Say why the numbers are old, and what to do."""
    age = words.span(frame.age_us)
    status = frame.scope.status
    if status != "running":
        ended = f" at {words.when(frame.scope.ended_us)} UTC" if frame.scope.ended_us else ""
        how = f"its session is {status}{ended}"
        return f"The daemon is not running: {how}. These numbers are old; start 'botd run'."
    if frame.daemon_answers:
        why = "no market rows come in, or its disk hangs"
        return f"The daemon answers, but has written nothing for {age}: {why}."
    return f"The daemon is down: it has written nothing for {age}. These numbers are old; look at its log."


def pick(label: str, options: Sequence[str], *, key: str, default: str | None = None) -> str | None:
    """Offer a choice that stays in the address; return None for the first option where that is `all`."""
    index = options.index(default) if default in options else 0
    chosen = st.selectbox(label, options, index=index, key=key, bind="query-params")
    return None if chosen in (None, "all") else chosen
