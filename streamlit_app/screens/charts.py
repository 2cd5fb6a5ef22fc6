"""Figures: the account's equity, and the market with what the strategies did in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go
import streamlit as st

from botd.store.queries import BarView, EquityPoint, SignalStory

from . import words

UP: Final = "#16a05c"
DOWN: Final = "#e0464c"
# S1 yellow, Z1 green, ZE1 blue, E1 red; what protects leaves like E1, O1 takes a signal back.
MARKS: Final[Mapping[str, tuple[str, str, str]]] = {
    "S1": ("#f5c518", "diamond", "signal"),
    "Z1": ("#22c55e", "triangle-up", "entry"),
    "ZE1": ("#3b82f6", "triangle-down", "partial exit"),
    "E1": ("#ef4444", "triangle-down", "exit"),
    "protect": ("#ef4444", "x", "protective exit"),
}
_EDGE: Final = "rgba(20,20,20,.85)"
_CONFIG: Final = {"displayModeBar": False, "scrollZoom": True}
_QUIET: Final = "rgba(128,128,128,.18)"


def time_of(ts_us: int) -> str:
    """Return a time as the figures take it."""
    return f"{words.moment(ts_us):%Y-%m-%dT%H:%M:%S.%f}"


def show_equity(points: Sequence[EquityPoint], currency: str) -> None:
    """Draw the equity, and below it how far it is under its peak."""
    times = [time_of(one.ts_us) for one in points]
    figure = go.Figure()
    figure.add_scatter(
        x=times,
        y=[float(one.equity) for one in points],
        name="equity",
        line={"color": "#3b82f6", "width": 2, "shape": "hv"},
        hovertemplate=f"%{{x|%m-%d %H:%M}}<br><b>%{{y:,.8~f}} {escape(currency)}</b><extra></extra>",
    )
    figure.add_scatter(
        x=times,
        y=[-float(one.drawdown) * 100 for one in points],
        name="drawdown",
        yaxis="y2",
        fill="tozeroy",
        line={"color": DOWN, "width": 1, "shape": "hv"},
        fillcolor="rgba(224,70,76,.22)",
        hovertemplate="%{y:.2f} %<extra>drawdown</extra>",
    )
    deepest = max((float(one.drawdown) * 100 for one in points), default=0.0)
    figure.update_layout(
        height=300,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        hovermode="x unified",
        uirevision=currency,
        yaxis={
            "domain": [0.30, 1],
            "automargin": True,
            "gridcolor": _QUIET,
            "tickformat": ",.8~f",
            "nticks": 6,
        },
        yaxis2={
            "domain": [0, 0.22],
            "automargin": True,
            "gridcolor": _QUIET,
            "ticksuffix": " %",
            "nticks": 3,
            "range": [-max(deepest * 1.15, 0.1), 0],
        },
        xaxis={"gridcolor": _QUIET, "anchor": "y2"},
    )
    st.plotly_chart(
        figure, key=f"equity-{currency}", config=_CONFIG, alt=f"Equity and drawdown in {currency}"
    )


def show_market(
    bars: Sequence[BarView], marks: Sequence[SignalStory], *, instrument: str, length_us: int
) -> None:
    """Draw candles, volume, and each signal at its time and price."""
    # A bar covers the time from its open on: it is drawn in the middle of it, as its signals lie inside.
    times = [time_of(one.open_us + length_us // 2) for one in bars]
    figure = go.Figure()
    figure.add_candlestick(
        x=times,
        open=[float(one.open) for one in bars],
        high=[float(one.high) for one in bars],
        low=[float(one.low) for one in bars],
        close=[float(one.close) for one in bars],
        name=instrument,
        text=[bar_text(one) for one in bars],
        hoverinfo="text",
        increasing={"line": {"color": UP, "width": 1}, "fillcolor": UP},
        decreasing={"line": {"color": DOWN, "width": 1}, "fillcolor": DOWN},
        showlegend=False,
    )
    figure.add_bar(
        x=times,
        y=[float(one.volume) for one in bars],
        name="volume",
        yaxis="y2",
        marker={"color": [UP if one.close >= one.open else DOWN for one in bars], "opacity": 0.45},
        hoverinfo="skip",
        showlegend=False,
    )
    _add_marks(figure, marks)
    most = max((one.volume for one in bars), default=0)
    axis = {"gridcolor": _QUIET, "automargin": True}
    figure.update_layout(
        height=560,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        uirevision=f"{instrument}-{length_us}",
        hovermode="closest",
        hoverlabel={"align": "left"},
        bargap=0.15,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemsizing": "constant"},
        xaxis={**axis, "rangeslider": {"visible": False}, "anchor": "y2"},
        yaxis={**axis, "domain": [0.22, 1], "tickformat": ",.10~f"},
        yaxis2={**axis, "domain": [0, 0.17], "nticks": 3, "tickformat": "~s" if most >= 10_000 else ",.3~f"},
    )
    st.plotly_chart(figure, key="market", config=_CONFIG, alt=f"Candles, volume and signals of {instrument}")


def _add_marks(figure: go.Figure, marks: Sequence[SignalStory]) -> None:
    for section, (colour, symbol, meaning) in MARKS.items():
        told = [one for one in marks if one.signal.section == section]
        if told:
            figure.add_scatter(
                x=[time_of(one.signal.ts_us) for one in told],
                y=[float(one.signal.price) for one in told],
                mode="markers",
                name=f"{section} {meaning}",
                marker={
                    "color": colour,
                    "symbol": symbol,
                    "size": 11,
                    "opacity": [1.0 if one.signal.acted else 0.45 for one in told],
                    "line": {"color": _EDGE, "width": 1},
                },
                text=[mark_text(one) for one in told],
                hovertemplate="%{text}<extra></extra>",
            )


def bar_text(one: BarView) -> str:
    """Return what a bar says when it is pointed at."""
    told = [
        f"<b>{words.when(one.open_us)} UTC</b>",
        f"open {words.price(one.open)}",
        f"high {words.price(one.high)}",
        f"low {words.price(one.low)}",
        f"close {words.price(one.close)}",
        f"volume {words.plain(one.volume)}",
    ]
    return "<br>".join(told)


def mark_text(one: SignalStory) -> str:
    """Return what a marker says when it is pointed at."""
    signal = one.signal
    lines = [
        f"<b>{signal.section} {escape(signal.rule)}</b> {escape(signal.strategy)}",
        f"{words.when(signal.ts_us)} UTC at {words.price(signal.price)}",
        *(f"{escape(name)} = {value:.6g}" for name, value in signal.values),
    ]
    if signal.confidence is not None:
        lines.append(f"confidence {signal.confidence:.2f}")
    lines.append(escape(outcome(one)))
    return "<br>".join(lines)


def outcome(one: SignalStory) -> str:
    """Say in a few words what came of a signal."""
    signal = one.signal
    if not signal.acted:
        return "recorded only"
    if one.deny_reason is not None:
        return f"denied: {one.deny_reason}"
    if one.order_status is None:
        return signal.reason or "no order"
    if one.avg_price is not None and one.filled_qty:
        at = words.average(one.avg_price, signal.price)
        return f"{one.order_status}: {words.plain(one.filled_qty)} at {at}"
    return str(one.order_status)
