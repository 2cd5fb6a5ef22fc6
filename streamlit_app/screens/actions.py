"""What a person can do from the dashboard. Everything is asked twice, and goes to the daemon's API."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from botd.store.queries import OrderView, PositionView

from . import tables, words
from .client import ActionFailed
from .frame import TOLD, api

REASON_MAX: Final = 200


def show_switches() -> None:
    """Offer halt and resume, each with its reason."""
    with st.popover("Halt trading", icon=":material/front_hand:", width="stretch", key="halt"):
        st.caption("No new entries, until somebody resumes. Exits and stops go on.")
        with st.form("halt-form", border=False, clear_on_submit=True):
            reason = st.text_input("Why?", key="halt-reason", max_chars=REASON_MAX)
            if st.form_submit_button("Halt now", type="primary", width="stretch", key="halt-now"):
                _switch("halt", reason)
    with st.popover("Resume trading", icon=":material/play_arrow:", width="stretch", key="resume"):
        st.caption("Lifts every halt. What a hold waits for lifts the hold.")
        with st.form("resume-form", border=False, clear_on_submit=True):
            reason = st.text_input("Why?", key="resume-reason", max_chars=REASON_MAX)
            if st.form_submit_button("Resume now", type="primary", width="stretch", key="resume-now"):
                _switch("resume", reason)


def _switch(verb: str, reason: str) -> None:
    if not reason.strip():
        _tell("amber", f"A reason is needed to {verb}: it is kept for whoever asks why.")
        return
    do = api().halt if verb == "halt" else api().resume
    _act(lambda key: do(reason.strip(), key=key), verb.capitalize(), secrets.token_hex(8))


def _act(do: Callable[[str], bool], what: str, key: str) -> None:
    try:
        done = do(key)
    except ActionFailed as error:
        _tell("red", f"{what}: {error}")
    else:
        how = "done" if done else "asked for; it is in force, and not in the books yet"
        _tell("green", f"{what}: {how}")


def _tell(colour: str, text: str) -> None:
    at = words.when(time.time_ns() // 1000)[11:]
    st.session_state[TOLD] = (colour, f"{at} UTC  {text}")


def offer_reload() -> None:
    """Offer to have the files read again, at once."""
    if st.button("Read the files again", key="reload", icon=":material/refresh:"):
        _act(lambda key: api().reload(key=key), "Reload", secrets.token_hex(8))


def offer_close(positions: tuple[PositionView, ...]) -> None:
    """Offer to close a position at market; what belongs to no strategy is closed at the venue."""
    positions = tuple(one for one in positions if not one.strategy.startswith("~"))
    named = {
        f"{one.strategy} · {one.instrument} · {one.side} {words.plain(abs(one.qty))}": one
        for one in positions
    }
    _offer(
        "Close a position",
        {text: position_id(one) for text, one in named.items()},
        kind="close",
        asked="Sell or buy it back at market now?",
        do=lambda chosen, key: api().close(chosen, key=key),
    )


def offer_cancel(orders: tuple[OrderView, ...]) -> None:
    """Offer to cancel an entry that works; exits and stops belong to their position."""
    orders = tuple(one for one in orders if one.section == "Z1")
    named = {
        f"{one.instrument} · {one.side} {words.plain(one.working_qty)} {one.type} · {one.client_order_id}": (
            str(one.client_order_id)
        )
        for one in orders
    }
    _offer(
        "Cancel an order",
        named,
        kind="cancel",
        asked="Cancel what is left of it?",
        do=lambda chosen, key: api().cancel(chosen, key=key),
    )


def position_id(one: PositionView) -> str:
    """Return what the API calls a position."""
    name = one.instrument.lower().replace("/", "-").replace(":", "-")
    return f"{one.strategy}-{name}-{one.cycle}"


def _offer(
    label: str, options: Mapping[str, str], *, kind: str, asked: str, do: Callable[[str, str], bool]
) -> None:
    """Offer one of some things to act on; the second click does it, with the key of the first."""
    if not options:
        return
    asking = f"botd-{kind}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(label, list(options), key=f"{kind}-which")
        if st.button(label.split()[0], key=f"{kind}-ask", icon=":material/close:") and chosen:
            st.session_state[asking] = (chosen, options[chosen], secrets.token_hex(8))
    pending = st.session_state.get(asking)
    if pending is None:
        return
    text, what, key = pending
    with st.container(border=True, key=f"{kind}-confirm"):
        tables.show_banner("amber", f"{text}: {asked}", name=f"{kind}-asked")
        with st.container(horizontal=True):
            yes = st.button(f"Yes, {kind} it", type="primary", key=f"{kind}-yes")
            no = st.button("No", key=f"{kind}-no")
    if yes:
        _act(lambda once: do(what, once), f"{kind.capitalize()} {text}", key)
    if yes or no:
        del st.session_state[asking]
        st.rerun()
