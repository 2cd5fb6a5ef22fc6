"""All routes there are."""

from __future__ import annotations

from typing import Final

from botd.api import acts, asked, health, reads
from botd.api import models as m
from botd.api.metrics import CONTENT_TYPE
from botd.api.routes import ID, SYMBOL, Access, Route

_SESSION: Final = {"session_id": ID}
_WHO: Final = Access.VIEWER

ROUTES: Final = (
    Route(
        method="GET", path="/health", name="health", access=Access.ANYBODY, answer=m.Health, does=acts.alive,
        about="Whether the daemon lives, and what it trades by.",
    ),
    Route(
        method="GET", path="/health/ready", name="ready", access=Access.ANYBODY, answer=m.Readiness,
        does=acts.ready, statuses={503: m.Readiness},
        about="Whether the session trades: 200, else 503 with what is missing.",
    ),
    Route(
        method="GET", path="/health/deep", name="deep_health", access=_WHO, answer=m.DeepHealth,
        reads=health.deep_health, fresh_s=2.0, sheds=False,
        about="Whether books, disk, memory, feed and loop are well.",
    ),
    Route(
        method="GET", path="/metrics", name="metrics", access=_WHO, content_type=CONTENT_TYPE,
        text=lambda context: context.metrics(), about="Metrics for Prometheus.",
    ),
    Route(
        method="GET", path="/openapi.json", name="openapi", access=Access.ANYBODY,
        text=lambda context: context.description(), about="This description.",
    ),
    Route(
        method="GET", path="/api/trading/orders", name="orders", access=_WHO, answer=m.Orders,
        reads=reads.orders, query=asked.PageQuery, about="Orders, the newest first.",
    ),
    Route(
        method="GET", path="/api/trading/positions", name="positions", access=_WHO, answer=m.Positions,
        reads=reads.positions, query=asked.PositionsQuery, about="What is held.",
    ),
    Route(
        method="GET", path="/api/trading/signals", name="signals", access=_WHO, answer=m.Signals,
        reads=reads.signals, query=asked.PageQuery, about="Signals and what came of them, the newest first.",
    ),
    Route(
        method="GET", path="/api/trading/trades", name="trades", access=_WHO, answer=m.Trades,
        reads=reads.trades, query=asked.PageQuery, about="Round trips, the newest first.",
    ),
    Route(
        method="GET", path="/api/trading/performance/{session_id}", name="performance", access=_WHO,
        answer=m.Performance, reads=reads.performance, patterns=_SESSION, fresh_s=10.0,
        about="What a session came to, by currency.",
    ),
    Route(
        method="GET", path="/api/sessions", name="sessions", access=_WHO, answer=m.Sessions,
        reads=reads.sessions, query=asked.LimitQuery, about="Sessions, the one that runs first.",
    ),
    Route(
        method="GET", path="/api/sessions/{session_id}/results", name="results", access=_WHO,
        answer=m.Results, reads=reads.results, patterns=_SESSION, fresh_s=10.0,
        about="A session, how much it recorded, and what it came to.",
    ),
    Route(
        method="GET", path="/api/analytics/performance", name="analytics", access=_WHO,
        answer=m.Performance, reads=reads.analytics, query=asked.AnalyticsQuery, fresh_s=10.0,
        about="What a period came to, by currency.",
    ),
    Route(
        method="GET", path="/api/lifecycle/timeouts", name="timeouts", access=_WHO, answer=m.Timeouts,
        reads=reads.timeouts, about="How old positions are, and when they are too old.",
    ),
    Route(
        method="GET", path="/api/lifecycle/tracked-positions", name="tracked", access=_WHO,
        answer=m.TrackedPositions, reads=reads.tracked,
        about="Positions that are watched, and how many may be.",
    ),
    Route(
        method="GET", path="/api/alerts", name="alerts", access=_WHO, answer=m.Alerts, reads=reads.alerts,
        query=asked.AlertsQuery, about="Alerts, the newest first.",
    ),
    Route(
        method="GET", path="/api/config", name="config", access=_WHO, answer=m.Configuration,
        reads=reads.configuration, about="The files that trade, and what came of the last reload.",
    ),
    Route(
        method="POST", path="/api/trading/halt", name="halt", access=Access.TRADER,
        answer=m.TradingStateChange, does=acts.halt, body=asked.Reason, statuses={202: m.TradingStateChange},
        counted=False, about="Take no new entries, at once and over restarts; exits go on.",
    ),
    Route(
        method="POST", path="/api/trading/resume", name="resume", access=Access.TRADER,
        answer=m.TradingStateChange, does=acts.resume, body=asked.Reason,
        statuses={202: m.TradingStateChange}, about="Lift every halt.",
    ),
    Route(
        method="POST", path="/api/trading/positions/{position}/close", name="close", access=Access.TRADER,
        answer=m.Acted, does=acts.close, body=asked.Reason, patterns={"position": f"{ID}|{SYMBOL}"},
        statuses={202: m.Acted},
        about="Close a position by its id, or all that strategies hold of a symbol, at market. "
        "A halt does not hinder it, and an exit in flight is not doubled.",
    ),
    Route(
        method="POST", path="/api/trading/orders/{order_id}/cancel", name="cancel", access=Access.TRADER,
        answer=m.Acted, does=acts.cancel, body=asked.Reason, patterns={"order_id": ID},
        statuses={202: m.Acted},
        about="Cancel an entry that works. Exits and stops belong to their position.",
    ),
    Route(
        method="POST", path="/api/reload", name="reload", access=Access.TRADER, answer=m.Reload,
        does=acts.reload, body=asked.Reason, statuses={409: m.Reload},
        about="Trade by the files as they are now: 200, or 409 with every fault where they are refused.",
    ),
)  # fmt: skip
