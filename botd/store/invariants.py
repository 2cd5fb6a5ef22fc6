"""The safety invariants as SQL over the state file: each query returns the rows that break one.

Beside the tables of the file the queries read four more, which `botd.store.fsck` makes for itself:

- `lineage`: a session, the `root` of those that handed their account on to it, its `place` among them, its
  `first_seq`, its `successor`, and `since`: records up to that number are taken on trust;
- `booked`: the fills of a session summed by strategy and instrument;
- `opening`: the same over all sessions of a root, up to `since`;
- `carried`: the orders that worked when a session was taken over, by the session that took them.

Sums and comparisons of amounts are those of `botd.store.exact`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from botd.core.events import OrderType, Section
from botd.core.orders import TERMINAL
from botd.core.outcomes import OrderStatus
from botd.core.portfolio import UNOWNED, UNOWNED_PART


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One invariant, or the part of one that a query can decide."""

    id: str  # the invariant's number in the catalogue, and what of it
    statement: str  # what is true of a sound file
    table: str  # whose rows it judges
    sql: str  # returns the rows that break it, with what finds them
    refuses: bool = True  # a broken row means that the books cannot be trusted: nothing may trade on them
    whole: bool = False  # reads all of the file: not for a start, nor for every hour


def words(members: Iterable[str]) -> str:
    """Write words of a closed set as an SQL list."""
    return f"({', '.join(repr(str(word)) for word in sorted(members))})"


def total(term: str) -> str:
    """Write the exact sum of a term over a group: in one call, where an aggregate takes one for each row."""
    return f"decimal_total(group_concat({term}, ' '))"


LIVE: Final = words(set(OrderStatus) - TERMINAL)
SIGNED_QTY: Final = "CASE f.side WHEN 'buy' THEN f.qty ELSE '-' || f.qty END"
_QUOTE: Final = "substr(f.instrument, instr(f.instrument, '/') + 1)"
CURRENCY: Final = f"substr({_QUOTE}, 1, instr({_QUOTE} || ':', ':') - 1)"
# A fee in the base currency of a spot leaves less of it; one in any other is a flow of that currency, where
# nobody has said what it is worth.
BASE_FEE: Final = (
    "(f.fee_currency = substr(f.instrument, 1, instr(f.instrument, '/') - 1) AND f.instrument NOT LIKE '%:%')"
)
OWN_FLOW: Final = f"(f.fee_currency IS NOT NULL AND f.fee = '0' AND NOT {BASE_FEE})"
DUST: Final = (
    f"CASE WHEN {BASE_FEE} THEN '-1*' || f.fee_paid "
    f"WHEN f.section = '{Section.EXTERNAL}' AND f.rule = 'dust' "
    "THEN CASE f.side WHEN 'sell' THEN f.qty ELSE '-' || f.qty END END"
)
_RESTING_STOP: Final = (
    f"(o.intent_seq IS NULL AND o.type = '{OrderType.STOP_MARKET}' AND o.section = '{Section.PROTECT}' "
    "AND o.reduce_only)"
)

PREPARATION: Final = (
    f"""CREATE TEMP TABLE booked AS
SELECT l.root, l.place, f.session_id, f.strategy, f.instrument, {total(SIGNED_QTY)} AS qty,
    {total("f.realized_pnl")} AS realized_pnl, {total("f.fee")} AS fees
FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id
GROUP BY f.session_id, f.strategy, f.instrument""",
    f"""CREATE TEMP TABLE opening AS
SELECT l.root, f.strategy, f.instrument, {total(SIGNED_QTY)} AS qty
FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq <= l.since
GROUP BY l.root, f.strategy, f.instrument""",
    f"""CREATE TEMP TABLE carried AS
SELECT l.root, l.place + 1 AS place, l.successor AS session_id, o.client_order_id, o.session_id AS taken_from
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id
WHERE l.successor IS NOT NULL AND o.status IN {LIVE}""",
)

_S1: Final = (
    Check(
        id="S1.one_order",
        statement="an intent has at most one order",
        table="orders",
        sql="""
SELECT o.session_id, o.intent_seq, count(*) AS orders_count, min(o.client_order_id) AS client_order_id,
    max(o.client_order_id) AS other_client_order_id
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.intent_seq > l.since
GROUP BY o.session_id, o.intent_seq HAVING count(*) > 1""",
    ),
    Check(
        id="S1.client_order_id",
        statement="a client order id names one order",
        table="orders",
        sql="""
SELECT o.client_order_id, count(*) AS orders_count, min(o.session_id) AS session_id,
    max(o.session_id) AS other_session_id
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
LEFT JOIN carried c ON c.session_id = o.session_id AND c.client_order_id = o.client_order_id
WHERE c.session_id IS NULL GROUP BY o.client_order_id HAVING count(*) > 1""",
    ),
)

_S2: Final = (
    Check(
        id="S2.intent",
        statement="an order was asked for by an intent; only a resting stop and what others did have none",
        table="orders",
        sql=f"""
SELECT o.session_id, o.seq, o.client_order_id, o.strategy, o.instrument, o.section, o.rule, o.cycle, o.leg,
    o.intent_seq
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
LEFT JOIN intents i ON i.session_id = o.session_id AND i.seq = o.intent_seq
WHERE i.seq IS NULL AND o.section <> '{Section.EXTERNAL}' AND NOT {_RESTING_STOP} AND NOT EXISTS (
    SELECT 1 FROM lineage e JOIN intents j ON j.session_id = e.session_id AND j.seq = o.intent_seq
    WHERE e.root = l.root AND e.place < l.place AND o.intent_seq < l.first_seq)""",
    ),
    Check(
        id="S2.terms",
        statement="an order is what its intent asked for, and came after it",
        table="orders",
        sql="""
SELECT o.session_id, o.seq, o.client_order_id, o.intent_seq, o.side, i.side AS asked_side, o.qty,
    i.qty AS asked_qty
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
JOIN intents i ON i.session_id = o.session_id AND i.seq = o.intent_seq
WHERE i.seq >= o.seq OR (i.strategy, i.instrument, i.section, i.rule, i.cycle, i.leg, i.side)
        <> (o.strategy, o.instrument, o.section, o.rule, o.cycle, o.leg, o.side)
    OR (i.qty <> o.qty AND decimal_differs(i.qty, o.qty))""",
    ),
    Check(
        id="S2.stop",
        statement="a stop that rests at the venue protects a position of its own cycle",
        table="orders",
        sql=f"""
SELECT o.session_id, o.seq, o.client_order_id, o.strategy, o.instrument, o.cycle, o.status
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
LEFT JOIN positions p ON p.session_id = o.session_id AND p.strategy = o.strategy
    AND p.instrument = o.instrument AND p.cycle = o.cycle
WHERE {_RESTING_STOP} AND p.session_id IS NULL AND NOT EXISTS (
    SELECT 1 FROM carried c WHERE c.session_id = o.session_id AND c.client_order_id = o.client_order_id)""",
    ),
)

# A former botd asked risk about entries only: an exit's order is numbered right after its intent, and no
# decision fits between them. Where one fits, one was written, and is lost.
_NEVER_ASKED: Final = f"""(i.section <> '{Section.Z1}' AND EXISTS (SELECT 1 FROM orders o
    WHERE o.session_id = i.session_id AND o.intent_seq = i.seq AND o.seq = i.seq + 1))"""

_S3: Final = (
    Check(
        id="S3.decided",
        statement="an intent has exactly one risk decision",
        table="intents",
        sql=f"""
SELECT i.session_id, i.seq, i.strategy, i.instrument, i.section, i.rule, i.cycle, i.leg,
    count(r.seq) AS decisions_count
FROM lineage l CROSS JOIN intents i ON i.session_id = l.session_id AND i.seq > l.since
LEFT JOIN risk_decisions r ON r.session_id = i.session_id AND r.intent_seq = i.seq
GROUP BY i.session_id, i.seq
HAVING count(r.seq) > 1 OR (count(r.seq) = 0 AND NOT {_NEVER_ASKED})""",
    ),
    Check(
        id="S3.approved",
        statement="no order goes out for an intent that was denied, or before the decision",
        table="orders",
        sql="""
SELECT o.session_id, o.seq, o.client_order_id, o.intent_seq, r.seq AS decision_seq, r.approved, r.reason
FROM lineage l CROSS JOIN risk_decisions r ON r.session_id = l.session_id AND r.seq > l.since
JOIN orders o ON o.session_id = r.session_id AND o.intent_seq = r.intent_seq
WHERE NOT r.approved OR r.seq >= o.seq""",
    ),
    Check(
        id="S3.reason",
        statement="a risk decision answers an intent; a denial has a reason and an approval none",
        table="risk_decisions",
        sql="""
SELECT r.session_id, r.seq, r.intent_seq, r.strategy, r.instrument, r.approved, r.reason
FROM lineage l CROSS JOIN risk_decisions r ON r.session_id = l.session_id AND r.seq > l.since
LEFT JOIN intents i ON i.session_id = r.session_id AND i.seq = r.intent_seq
WHERE i.seq IS NULL OR i.seq >= r.seq OR (i.strategy, i.instrument) <> (r.strategy, r.instrument)
    OR r.approved <> (r.reason IS NULL)""",
    ),
)

_S5: Final = (
    Check(
        id="S5.position",
        statement="what is held is the sum of the fills, over all sessions that held it",
        table="positions",
        sql=f"""
WITH pieces AS (
    SELECT l.session_id, b.strategy, b.instrument, NULL AS stated, b.qty AS booked
    FROM lineage l CROSS JOIN booked b ON b.root = l.root AND b.place <= l.place
    UNION ALL
    SELECT p.session_id, p.strategy, p.instrument, p.qty, NULL
    FROM lineage l CROSS JOIN positions p ON p.session_id = l.session_id AND p.closed_us IS NULL)
SELECT session_id, strategy, instrument, {total("stated")} AS position_qty, {total("booked")} AS fills_qty
FROM pieces GROUP BY session_id, strategy, instrument HAVING decimal_differs(position_qty, fills_qty)""",
    ),
    Check(
        id="S5.dust",
        statement="fees in the base currency came out of what is held: what left positions covers them",
        table="fills",
        refuses=False,
        sql=f"""
SELECT l.root AS session_id, f.instrument, {total(DUST)} AS dust
FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id
WHERE f.fee_currency IS NOT NULL OR f.section = '{Section.EXTERNAL}'
GROUP BY l.root, f.instrument HAVING decimal_above('0', dust)""",
    ),
    Check(
        id="S5.flat",
        statement="a closed position holds nothing, and an open one something on its side",
        table="positions",
        sql="""
SELECT p.session_id, p.strategy, p.instrument, p.cycle, p.side, p.qty, p.closed_us
FROM lineage l CROSS JOIN positions p ON p.session_id = l.session_id AND p.seq > l.since
WHERE decimal_differs(p.qty, '0') <> (p.closed_us IS NULL) OR p.side NOT IN ('long', 'short')
    OR CASE p.side WHEN 'long' THEN decimal_above('0', p.qty) ELSE decimal_above(p.qty, '0') END""",
    ),
    Check(
        id="S5.one_open",
        statement="a strategy has at most one open position on an instrument",
        table="positions",
        sql="""
SELECT p.session_id, p.strategy, p.instrument, count(*) AS open_count, min(p.cycle) AS cycle,
    max(p.cycle) AS other_cycle
FROM lineage l CROSS JOIN positions p ON p.session_id = l.session_id AND p.closed_us IS NULL
GROUP BY p.session_id, p.strategy, p.instrument HAVING count(*) > 1""",
    ),
    Check(
        id="S5.lineage",
        statement="a session begins with its first record, or goes on where another one ends",
        table="sessions",
        sql="""
SELECT l.session_id, s.mode, s.feed, l.first_seq, s.started_us
FROM lineage l CROSS JOIN sessions s ON s.id = l.session_id WHERE l.place = 0 AND l.first_seq > 1""",
    ),
)

_S6: Final = (
    Check(
        id="S6.booked_once",
        statement="a fill is booked once",
        table="fills",
        sql="""
SELECT l.root AS session_id, f.instrument, f.trade_id, f.client_order_id, count(*) AS fills_count,
    min(f.seq) AS seq, max(f.seq) AS other_seq
FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq > l.since
GROUP BY l.root, f.trade_id, f.client_order_id, f.instrument HAVING count(*) > 1""",
    ),
    Check(
        id="S6.order",
        statement="a fill is of an order of ours, on its side, and of more than nothing",
        table="fills",
        sql=f"""
SELECT f.session_id, f.seq, f.trade_id, f.client_order_id, f.strategy, f.instrument, f.side, f.qty
FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq > l.since
LEFT JOIN orders o ON o.session_id = f.session_id AND o.client_order_id = f.client_order_id
WHERE f.seq <= o.seq OR NOT decimal_above(f.qty, '0')
    OR (o.seq IS NULL AND NOT EXISTS ( -- one that was over before the session began, and filled late
        SELECT 1 FROM lineage e JOIN orders p ON p.session_id = e.session_id
            AND p.client_order_id = f.client_order_id
        WHERE e.root = l.root AND e.place < l.place AND f.strategy IN (p.strategy, {UNOWNED!r})
            AND (f.instrument, f.section, f.rule, f.cycle, f.leg, f.side)
                = (p.instrument, p.section, p.rule, p.cycle, p.leg, p.side)
            AND NOT EXISTS (SELECT 1 FROM fills g WHERE g.session_id = e.session_id
                AND g.client_order_id = f.client_order_id AND g.trade_id = f.trade_id)))
    OR f.strategy NOT IN (o.strategy, {UNOWNED!r})
    OR (f.instrument, f.section, f.rule, f.cycle, f.leg, f.side)
        <> (o.instrument, o.section, o.rule, o.cycle, o.leg, o.side)""",
    ),
    Check(
        id="S6.reversal",
        statement="a fill that takes another back names one that was booked, on the other side and before it",
        table="fills",
        sql=f"""
SELECT f.session_id, f.seq, f.trade_id, f.instrument, f.side, f.reverses
FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq > l.since
WHERE f.reverses IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM fills g WHERE g.instrument = f.instrument AND g.side <> f.side AND g.ts_us <= f.ts_us
        AND (g.trade_id = f.reverses OR g.trade_id LIKE f.reverses || '{UNOWNED_PART}%'))""",
    ),
    Check(
        id="S6.filled",
        statement="what an order has filled and paid in fees is the sum of its fills",
        table="orders",
        sql=f"""
WITH own AS (
    SELECT f.session_id, f.client_order_id, CASE count(*) WHEN 1 THEN f.qty ELSE {total("f.qty")} END AS qty,
        CASE count(*) WHEN 1 THEN f.fee ELSE {total("f.fee")} END AS fee
    FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq > l.since
    GROUP BY f.session_id, f.client_order_id),
inherited AS (
    SELECT c.session_id, c.client_order_id, {total("f.qty")} AS qty, {total("f.fee")} AS fee
    FROM carried c JOIN lineage e ON e.root = c.root AND e.place <= c.place
    JOIN fills f ON f.session_id = e.session_id AND f.client_order_id = c.client_order_id
    GROUP BY c.session_id, c.client_order_id)
SELECT o.session_id, o.seq, o.client_order_id, o.status, o.filled_qty,
    coalesce(n.qty, own.qty, '0') AS fills_qty, o.fee, coalesce(n.fee, own.fee, '0') AS fills_fee
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
LEFT JOIN own ON own.session_id = o.session_id AND own.client_order_id = o.client_order_id
LEFT JOIN inherited n ON n.session_id = o.session_id AND n.client_order_id = o.client_order_id
WHERE (o.filled_qty <> fills_qty AND decimal_differs(o.filled_qty, fills_qty))
    OR (o.fee <> fills_fee AND decimal_differs(o.fee, fills_fee))""",
    ),
    Check(
        id="S6.overfilled",
        statement="an order has filled no more than its quantity, or an alert says so",
        table="orders",
        sql="""
SELECT o.session_id, o.seq, o.client_order_id, o.status, o.working_qty, o.filled_qty
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
WHERE o.filled_qty <> o.working_qty AND decimal_above(o.filled_qty, o.working_qty) AND NOT EXISTS (
    SELECT 1 FROM lineage e JOIN alerts a ON a.session_id = e.session_id AND a.type = 'overfill'
    WHERE e.root = l.root AND instr(a.message, ' ' || o.client_order_id || ',') > 0)""",
    ),
)

ORDERS_AND_FILLS: Final = (*_S1, *_S2, *_S3, *_S5, *_S6)
