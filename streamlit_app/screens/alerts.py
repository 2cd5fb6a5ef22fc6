"""Alerts: what a person should know, by severity."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from botd.store.queries import ScreenReader

from .frame import Frame, Page, Scope
from .overview import show_alerts

LIMIT: Final = 200
SEVERITIES: Final = ("critical", "high", "medium")


def choose() -> tuple[str, ...]:
    """Offer the severities."""
    chosen = st.segmented_control(
        "Severity",
        SEVERITIES,
        selection_mode="multi",
        default=SEVERITIES,
        key="severity",
        bind="query-params",
    )
    return tuple(chosen or SEVERITIES)


def read(reader: ScreenReader, scope: Scope, severities: tuple[str, ...]) -> tuple[Any, ...]:
    """Read the newest alerts."""
    wanted = () if set(severities) == set(SEVERITIES) else severities
    return reader.newest_alerts(scope.sessions, LIMIT, severities=wanted)


def draw(_: Frame, found: tuple[Any, ...]) -> None:
    """Draw the page."""
    st.caption(f"The newest {LIMIT} at most.")
    show_alerts(found)


PAGE: Final = Page(
    title="Alerts", url="alerts", icon=":material/notifications:", read=read, draw=draw, choose=choose
)
