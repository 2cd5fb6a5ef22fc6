"""The dashboard. `botd dashboard` starts it; it reads the state file read-only and acts through the API."""

from __future__ import annotations

from functools import partial

import streamlit as st
from screens import alerts, configuration, held, market, overview, performance, signals, trades
from screens.actions import show_switches
from screens.frame import choose_session, show_page

PAGES = (
    overview.PAGE,
    market.PAGE,
    held.PAGE,
    signals.PAGE,
    trades.PAGE,
    performance.PAGE,
    configuration.PAGE,
    alerts.PAGE,
)


def main() -> None:
    """Draw the page that was asked for, with what stands beside every page."""
    st.set_page_config(page_title="botd", page_icon=":material/candlestick_chart:", layout="wide")
    chosen = st.navigation(
        [
            st.Page(
                partial(show_page, page),
                title=page.title,
                icon=page.icon,
                url_path=page.url,
                default=page is overview.PAGE,
            )
            for page in PAGES
        ]
    )
    with st.sidebar:
        choose_session()
        show_switches()
    chosen.run()


main()
