"""The routes that read the books. Each runs in a thread of the library."""

from __future__ import annotations

from botd.api import asked, views
from botd.api import models as m
from botd.api.performance import performance_of
from botd.api.routes import Call, Context
from botd.core.portfolio import UNOWNED
from botd.store.queries import PositionView
from botd.telemetry import redact


def _session(context: Context, asked: str | None) -> str:
    return context.library.session_id(context.facts.session_id, asked)


def orders(context: Context, call: Call) -> m.Orders:
    """Give orders, the newest first."""
    query: asked.PageQuery = call.query
    session_id = _session(context, query.session_id)
    found = context.library.books().orders_page(
        session_id, limit=query.limit + 1, before=query.cursor, instrument=query.symbol
    )
    page = found[: query.limit]
    return m.Orders(
        orders=[views.order(session_id, view) for _, view in page],
        next_cursor=page[-1][0] if len(found) > len(page) else None,
    )


def signals(context: Context, call: Call) -> m.Signals:
    """Give signals and what came of them, the newest first."""
    query: asked.PageQuery = call.query
    session_id = _session(context, query.session_id)
    found = context.library.books().signals_page(
        session_id, limit=query.limit + 1, before=query.cursor, instrument=query.symbol
    )
    page = found[: query.limit]
    return m.Signals(
        signals=[views.signal(session_id, one) for one in page],
        next_cursor=page[-1].signal.seq if len(found) > len(page) else None,
    )


def trades(context: Context, call: Call) -> m.Trades:
    """Give round trips, the newest first."""
    query: asked.PageQuery = call.query
    session_id = _session(context, query.session_id)
    found = context.library.books().trades_page(
        session_id, limit=query.limit + 1, before=query.cursor, instrument=query.symbol
    )
    page = found[: query.limit]
    return m.Trades(
        trades=[views.trade(session_id, row) for row in page],
        next_cursor=page[-1].seq if len(found) > len(page) else None,
    )


def open_positions(context: Context, session_id: str) -> list[m.Position]:
    """Give what is held; only the session that runs has prices."""
    snapshot = context.facts.snapshot
    marks = snapshot.marks if snapshot is not None and session_id == context.facts.session_id else {}
    return [
        views.position(session_id, one, marks.get((one.strategy, one.instrument), views.UNPRICED))
        for one in context.library.books().positions(session_id)
    ]


def positions(context: Context, call: Call) -> m.Positions:
    query: asked.PositionsQuery = call.query
    held = open_positions(context, _session(context, query.session_id))
    return m.Positions(positions=[one for one in held if query.symbol in (None, one.symbol)])


def performance(context: Context, call: Call) -> m.Performance:
    session_id = _session(context, call.path["session_id"])
    currencies, groups = performance_of(context.library.books(), session_id)
    return m.Performance(session_id=session_id, period="ALL", currencies=currencies, groups=groups)


def analytics(context: Context, call: Call) -> m.Performance:
    query: asked.AnalyticsQuery = call.query
    session_id = _session(context, query.session_id)
    currencies, groups = performance_of(
        context.library.books(),
        session_id,
        period=query.period,
        from_us=query.from_us,
        until_us=query.until_us,
        by=query.by,
    )
    return m.Performance(session_id=session_id, period=query.period, currencies=currencies, groups=groups)


def sessions(context: Context, call: Call) -> m.Sessions:
    query: asked.LimitQuery = call.query
    found = context.library.books().sessions()[: query.limit]
    return m.Sessions(sessions=[views.session(one) for one in found])


def results(context: Context, call: Call) -> m.Results:
    session_id = _session(context, call.path["session_id"])
    books = context.library.books()
    return m.Results(
        session=views.session(books.session(session_id)),
        counts=dict(books.counts(session_id)),
        currencies=performance_of(books, session_id)[0],
    )


def alerts(context: Context, call: Call) -> m.Alerts:
    query: asked.AlertsQuery = call.query
    session_id = _session(context, query.session_id)
    found = context.library.books().recent_alerts(session_id, limit=query.limit)
    return m.Alerts(alerts=[views.alert(session_id, one) for one in reversed(found)])


def timeouts(context: Context, _: Call) -> m.Timeouts:
    """Say of each position how old it is, and when it would be too old."""
    config = context.facts.config()
    session_id = _session(context, None)
    now_us = context.facts.row_us
    found = []
    for one in context.library.books().positions(session_id):
        if one.strategy == UNOWNED:
            continue
        age_us = max(0, now_us - one.opened_us)
        most_us = config.holding_max_us.get(one.strategy)
        late = most_us is not None and age_us >= most_us
        found.append(
            m.Timeout(
                position_id=_id(one),
                strategy=one.strategy,
                symbol=one.instrument,
                age_us=age_us,
                warning_us=config.warning_us,
                holding_max_us=most_us,
                remaining_us=None if most_us is None else max(0, most_us - age_us),
                state="overdue" if late else "warning" if age_us >= config.warning_us else "fine",
            )
        )
    return m.Timeouts(automatic_timeout=config.automatic_timeout, timeouts=found)


def tracked(context: Context, _: Call) -> m.TrackedPositions:
    held = open_positions(context, _session(context, None))
    return m.TrackedPositions(
        count=len(held), limit=context.facts.config().positions_tracked_max, positions=held
    )


def configuration(context: Context, _: Call) -> m.Configuration:
    """Give the files that trade, without secrets, and what came of the last reload."""
    config = context.facts.config()
    desk = context.reload()
    last = desk.last() if desk is not None else None
    return m.Configuration(
        config_hash=config.config_hash,
        applied_at=config.applied_us,
        applied_us=config.applied_us,
        files={name: redact(text) for name, text in sorted(config.files.items())},
        last_reload=None if last is None else views.reload(last),
    )


def _id(one: PositionView) -> str:
    return views.position_id(one.strategy, one.instrument, one.cycle)
