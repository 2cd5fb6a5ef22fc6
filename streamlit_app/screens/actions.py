"""What a person can do from the dashboard. Everything is asked twice, and goes to the daemon's API."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from botd.store.queries import OrderView, PositionView

from . import tables, words
from .client import ActionFailed
from .frame import api

_TOLD: Final = "botd-told"  # what came of the last action: (colour, text)
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
    show_told()


def _switch(verb: str, reason: str) -> None:
    if not reason.strip():
        st.session_state[_TOLD] = ("amber", f"A reason is needed to {verb}: it is kept for whoever asks why.")
        return
    do = api().halt if verb == "halt" else api().resume
    _act(lambda key: do(reason.strip(), key=key), f"{verb} asked for", secrets.token_hex(8))


def _act(do: Callable[[str], None], done: str, key: str) -> None:
    try:
        do(key)
    except ActionFailed as error:
        st.session_state[_TOLD] = ("red", str(error))
    else:
        st.session_state[_TOLD] = ("green", f"{done}: the daemon has taken it up.")


def show_told() -> None:
    """Say what came of the last action, until the next one."""
    told = st.session_state.get(_TOLD)
    if told is not None:
        tables.show_banner(told[0], told[1], name="told")


def offer_close(positions: tuple[PositionView, ...]) -> None:
    """Offer to close a position at market."""
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
    """Offer to cancel an order that may still fill."""
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
        asked="Cancel what is left of it? A protective stop that is cancelled protects no more.",
        do=lambda chosen, key: api().cancel(chosen, key=key),
    )


def position_id(one: PositionView) -> str:
    """Return what the API calls a position."""
    return f"{one.strategy}:{one.instrument}:{one.cycle}"


def _offer(
    label: str, options: Mapping[str, str], *, kind: str, asked: str, do: Callable[[str, str], None]
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
        _act(lambda once: do(what, once), f"{kind} of {text}", key)
    if yes or no:
        del st.session_state[asking]
        st.rerun(scope="fragment")
