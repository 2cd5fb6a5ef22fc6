"""Signals joined to what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from botd.core.events import Section
from botd.store import rows
from botd.store.tables import intents, orders, risk_decisions, signals


def signals_with_outcome(
    session_id: str,
    limit: int,
    *,
    where: Sequence[ColumnElement[bool]] = (),
    by_time: bool = False,
    more: Sequence[ColumnElement[Any]] = (),
) -> Select[Any]:
    """Join each signal that was acted on to the first intent it, or as S1 its Z1, led to.

    The newest are taken, `by_time` where `where` is about times; `more` are further columns of the outcome.
    """
    s, i, r, o = signals.c, intents.c, risk_decisions.c, orders.c
    newest = (
        select(signals)
        .where(s.session_id == session_id, *where)
        .order_by(s.ts_us.desc() if by_time else s.seq.desc())
        .limit(limit)
        .subquery("newest")
    )
    n = newest.c
    same = and_(
        *(n[name] == i[name] for name in ("session_id", "strategy", "instrument", "cycle")),
        i.leg == 0,
        n.acted,
        or_(
            and_(i.section == n.section, i.rule == n.rule),
            and_(n.section == Section.S1, i.section == Section.Z1),
        ),
    )
    joined = (
        newest.outerjoin(intents, same)
        .outerjoin(risk_decisions, and_(r.session_id == i.session_id, r.intent_seq == i.seq))
        .outerjoin(orders, and_(o.session_id == i.session_id, o.intent_seq == i.seq))
    )
    columns = [n[rows.COLUMN_OF.get(name, name)] for name in rows.SIGNALS.field_names]
    outcome = (i.qty, r.approved, r.reason, o.client_order_id, o.status, r.checks)
    return select(*columns, *outcome, *more).select_from(joined).order_by(n.seq.desc())
