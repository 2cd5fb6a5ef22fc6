"""The invariants of money, of orders' states and of time, as SQL; see `botd.store.invariants`."""

from __future__ import annotations

from typing import Final

from botd.core.events import OrderType, Section, TimeInForce
from botd.core.outcomes import OrderStatus
from botd.core.portfolio import UNOWNED
from botd.core.restraint import ACCOUNT, TradingState, Verb, scope_of
from botd.store.invariants import (
    CURRENCY,
    LIVE,
    OWN_FLOW,
    SIGNED_QTY,
    Check,
    total,
    words,
)

ANSWER_MAX_US: Final = 90_000_000  # the shipped order_timeout and the minute that S9 gives
SETTLED_US: Final = 60_000_000  # after this long a stop has been sent, resized or replaced
VALID_US: Final = 5_000_000
MINUTE_US: Final = 60_000_000

_PAID_QTY: Final = "CASE f.side WHEN 'sell' THEN f.qty ELSE '-' || f.qty END"
_FLOWS: Final = (
    f"nullif(trim(CASE WHEN {CURRENCY} = t.currency THEN f.realized_pnl || ' -1*' || f.fee ELSE '' END || "
    f"CASE WHEN {OWN_FLOW} AND f.fee_currency = t.currency THEN ' -1*' || f.fee_paid ELSE '' END), '')"
)
_SENT: Final = words({OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL})
_UNFILLED: Final = words(
    {OrderStatus.INTENT, OrderStatus.DENIED, OrderStatus.SUBMITTED, OrderStatus.ACCEPTED}
)

_S7: Final = (
    Check(
        id="S7.balance",
        statement="a balance changes by what fills realized, minus fees in its currency, to the last digit",
        table="portfolio_snapshots",
        sql=f"""
WITH stated AS (
    SELECT l.root, l.since, s.session_id, s.seq, s.ts_us, s.currency, s.balance,
        lag(s.seq) OVER account AS seq_before, lag(s.balance) OVER account AS balance_before
    FROM lineage l CROSS JOIN portfolio_snapshots s ON s.session_id = l.session_id
    WINDOW account AS (PARTITION BY l.root, s.currency ORDER BY s.seq)),
earned AS (
    SELECT t.session_id, t.seq, t.ts_us, t.currency, t.balance, t.seq_before, t.balance_before, (
        SELECT {total(_FLOWS)} FROM lineage e JOIN fills f
            ON f.session_id = e.session_id AND f.seq > t.seq_before AND f.seq < t.seq
        WHERE e.root = t.root) AS fills_result
    FROM stated t WHERE t.seq > t.since AND t.seq_before IS NOT NULL)
SELECT * FROM earned WHERE decimal_differs(decimal_minus(balance, balance_before), fills_result)""",
    ),
    Check(
        id="S7.equity",
        statement="equity is the balance plus what is unrealized, and never above its peak",
        table="portfolio_snapshots",
        sql="""
SELECT s.session_id, s.seq, s.ts_us, s.currency, s.balance, s.unrealized_pnl, s.equity, s.peak_equity
FROM lineage l CROSS JOIN portfolio_snapshots s ON s.session_id = l.session_id AND s.seq > l.since
WHERE decimal_differs(decimal_minus(s.equity, s.unrealized_pnl), s.balance)
    OR decimal_above(s.equity, s.peak_equity)""",
    ),
    Check(
        id="S7.positions",
        statement="what positions have realized and paid in fees is the sum of their fills",
        table="positions",
        sql=f"""
WITH pieces AS (
    SELECT b.root, b.strategy, b.instrument, NULL AS realized, NULL AS fees, b.realized_pnl AS fills_realized,
        b.fees AS fills_fees FROM booked b
    UNION ALL
    SELECT l.root, p.strategy, p.instrument, p.realized_pnl, p.fees, NULL, NULL
    FROM lineage l CROSS JOIN positions p ON p.session_id = l.session_id
    WHERE p.closed_us IS NOT NULL OR l.successor IS NULL)
SELECT root AS session_id, strategy, instrument, {total("realized")} AS realized_pnl,
    {total("fills_realized")} AS fills_realized_pnl, {total("fees")} AS fees_paid,
    {total("fills_fees")} AS fills_fees_paid
FROM pieces GROUP BY root, strategy, instrument
HAVING decimal_differs(realized_pnl, fills_realized_pnl) OR decimal_differs(fees_paid, fills_fees_paid)""",
    ),
    Check(
        id="S7.trade",
        statement="a closed position is one round trip, with the same result",
        table="trades",
        sql="""
SELECT p.session_id, p.strategy, p.instrument, p.cycle, t.seq, p.realized_pnl,
    t.realized_pnl AS trade_realized_pnl, p.fees, t.fees AS trade_fees
FROM lineage l CROSS JOIN positions p ON p.session_id = l.session_id AND p.seq > l.since
LEFT JOIN trades t ON t.session_id = p.session_id AND t.strategy = p.strategy
    AND t.instrument = p.instrument AND t.cycle = p.cycle
WHERE p.closed_us IS NOT NULL AND (t.seq IS NULL
    OR (p.realized_pnl <> t.realized_pnl AND decimal_differs(p.realized_pnl, t.realized_pnl))
    OR (p.fees <> t.fees AND decimal_differs(p.fees, t.fees)))
UNION ALL
SELECT t.session_id, t.strategy, t.instrument, t.cycle, t.seq, p.realized_pnl, t.realized_pnl, p.fees, t.fees
FROM lineage l CROSS JOIN trades t ON t.session_id = l.session_id AND t.seq > l.since
LEFT JOIN positions p ON p.session_id = t.session_id AND p.strategy = t.strategy
    AND p.instrument = t.instrument AND p.cycle = t.cycle
WHERE p.closed_us IS NULL""",
    ),
    Check(
        id="S7.realized",
        statement="a round trip realized what its fills sold for, minus what they bought for",
        table="trades",
        sql=f"""
-- Its fills are those since the one before it: an entry that fills after the close keeps its order's cycle.
WITH steps AS (
    SELECT l.root, f.seq, f.strategy, f.instrument, {SIGNED_QTY} AS change,
        {_PAID_QTY} || '*' || f.price AS flow, NULL AS session_id, NULL AS cycle, NULL AS realized_pnl
    FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq > l.since
    UNION ALL
    SELECT l.root, t.seq, t.strategy, t.instrument, NULL, NULL, t.session_id, t.cycle, t.realized_pnl
    FROM lineage l CROSS JOIN trades t ON t.session_id = l.session_id AND t.seq > l.since),
trips AS (
    SELECT s.*, count(s.cycle) OVER (PARTITION BY s.root, s.strategy, s.instrument ORDER BY s.seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS trip FROM steps s)
SELECT max(session_id) AS session_id, max(CASE WHEN cycle IS NOT NULL THEN seq END) AS seq, strategy,
    instrument, max(cycle) AS cycle, max(realized_pnl) AS realized_pnl, {total("flow")} AS fills_realized_pnl
FROM trips GROUP BY root, strategy, instrument, trip
HAVING count(cycle) = 1 AND count(flow) > 0 AND {total("change")} = '0'
    AND decimal_differs(realized_pnl, fills_realized_pnl)""",
    ),
)

_S8: Final = (
    Check(
        id="S8.restrained",
        statement="no entry is approved while trading is halted or held",
        table="risk_decisions",
        refuses=False,
        sql=f"""
WITH entries AS (
    SELECT r.session_id, r.seq, r.intent_seq, r.strategy, r.instrument, (
        SELECT max(n.state) FROM (SELECT t.state, max(t.seq) FROM trading_states t
            WHERE t.session_id = r.session_id AND t.seq < r.seq AND t.scope IN
            ('{ACCOUNT}', r.instrument, '{scope_of("")}' || r.strategy)
            GROUP BY t.scope) n WHERE n.state <> '{TradingState.ACTIVE}') AS trading
    FROM lineage l CROSS JOIN risk_decisions r ON r.session_id = l.session_id AND r.seq > l.since
    JOIN intents i ON i.session_id = r.session_id AND i.seq = r.intent_seq
    WHERE r.approved AND i.section = '{Section.Z1}')
SELECT * FROM entries WHERE trading IS NOT NULL""",
    ),
)

_S9: Final = (
    Check(
        id="S9.overdue",
        statement=f"a sent order is answered within {ANSWER_MAX_US // 1_000_000} s, or needs a person",
        table="orders",
        refuses=False,
        sql=f"""
SELECT o.session_id, o.seq, o.client_order_id, o.strategy, o.instrument, o.type, o.status, o.in_doubt,
    (c.ts_us - o.updated_us) / 1000000 AS age_s
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id
JOIN journal_cursor c ON c.session_id = o.session_id
WHERE l.successor IS NULL AND o.status IN {LIVE}
    AND (o.status IN {_SENT} OR o.tif = '{TimeInForce.IOC}') AND o.updated_us < c.ts_us - {ANSWER_MAX_US}
    AND NOT o.needs_human""",
    ),
    Check(
        id="S9.ordered",
        statement="an intent that was approved became an order",
        table="intents",
        sql="""
SELECT r.session_id, r.intent_seq AS seq, r.strategy, r.instrument, r.seq AS decision_seq
FROM lineage l CROSS JOIN risk_decisions r ON r.session_id = l.session_id AND r.seq > l.since
LEFT JOIN orders o ON o.session_id = r.session_id AND o.intent_seq = r.intent_seq
WHERE r.approved AND o.seq IS NULL""",
    ),
    Check(
        id="S9.carried",
        statement="an order that works when a session is taken over works on in the next, unchanged",
        table="orders",
        sql="""
SELECT c.session_id, c.client_order_id, c.taken_from, p.strategy, p.instrument, p.status, o.seq
FROM carried c
JOIN orders p ON p.session_id = c.taken_from AND p.client_order_id = c.client_order_id
LEFT JOIN orders o ON o.session_id = c.session_id AND o.client_order_id = c.client_order_id
WHERE o.seq IS NULL OR (p.strategy, p.instrument, p.section, p.rule, p.cycle, p.leg, p.side, p.type)
    <> (o.strategy, o.instrument, o.section, o.rule, o.cycle, o.leg, o.side, o.type)""",
    ),
    Check(
        id="S9.left",
        statement="a session whose market goes on ends flat, or is taken over",
        table="sessions",
        refuses=False,
        sql=f"""
SELECT s.id AS session_id, s.mode, s.feed, s.ended_us, (
        SELECT count(*) FROM positions p WHERE p.session_id = s.id AND p.closed_us IS NULL
    ) AS open_positions, (
        SELECT count(*) FROM orders o WHERE o.session_id = s.id AND o.status IN {LIVE}
    ) AS live_orders
FROM lineage l CROSS JOIN sessions s ON s.id = l.session_id
WHERE l.successor IS NULL AND s.status = 'finished' AND s.mode <> 'warmup'
    AND s.feed NOT LIKE 'recorded:%' AND s.feed NOT LIKE 'merged:%' AND open_positions + live_orders > 0""",
    ),
)

_S10: Final = (
    Check(
        id="S10.state",
        statement="an order's status agrees with what it has filled",
        table="orders",
        sql=f"""
SELECT o.session_id, o.seq, o.client_order_id, o.status, o.in_doubt, o.working_qty, o.filled_qty, o.filled_us
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
WHERE (o.status = '{OrderStatus.FILLED}') <> (o.filled_us IS NOT NULL)
    OR (o.in_doubt AND o.status NOT IN {_SENT}) OR o.updated_seq < o.seq
    OR CASE WHEN o.status = '{OrderStatus.FILLED}'
            THEN o.filled_qty <> o.working_qty AND decimal_above(o.working_qty, o.filled_qty)
        WHEN o.status IN {_UNFILLED} THEN decimal_differs(o.filled_qty, '0')
        WHEN o.status = '{OrderStatus.PARTIALLY_FILLED}'
            THEN NOT (decimal_above(o.filled_qty, '0') AND decimal_above(o.working_qty, o.filled_qty))
    END""",
    ),
    Check(
        id="S10.ended",
        statement="an order is canceled or rejected only where the venue or a person said so",
        table="orders",
        whole=True,
        sql=f"""
WITH said AS (
    SELECT l.root, json_extract(a.value, '$[1].client_order_id') AS client_order_id,
        CASE WHEN json_extract(a.value, '$[0]') = 'OrderRejected' THEN '{OrderStatus.REJECTED}'
            WHEN json_extract(a.value, '$[1].canceled') THEN '{OrderStatus.CANCELED}' END AS status
    FROM lineage l CROSS JOIN journal_events e ON e.session_id = l.session_id AND e.kind = 'answers'
        AND (e.payload LIKE '%["OrderEnded"%' OR e.payload LIKE '%["OrderRejected"%')
    CROSS JOIN json_each(CASE WHEN json_valid(e.payload) THEN e.payload ELSE '[]' END) a
    WHERE json_extract(a.value, '$[0]') IN ('OrderEnded', 'OrderRejected')
    UNION ALL
    SELECT l.root, json_extract(e.payload, '$.scope'), '{OrderStatus.CANCELED}'
    FROM lineage l CROSS JOIN journal_events e ON e.session_id = l.session_id AND e.kind = 'command'
    WHERE json_valid(e.payload) AND json_extract(e.payload, '$.verb') = '{Verb.RESOLVE}')
SELECT o.session_id, o.seq, o.client_order_id, o.strategy, o.instrument, o.status, o.status_reason
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
WHERE o.status IN {words({OrderStatus.CANCELED, OrderStatus.REJECTED})}
    AND (l.root, o.client_order_id, o.status) NOT IN (
        SELECT root, client_order_id, status FROM said WHERE status IS NOT NULL)""",
    ),
)

_SAME: Final = "o.session_id = p.session_id AND o.strategy = p.strategy AND o.instrument = p.instrument"

_PROTECTION: Final = (
    Check(
        id="S12.stop",
        statement="a position that had a stop has one that covers it, an exit under way or a critical alert",
        table="positions",
        refuses=False,
        sql=f"""
SELECT p.session_id, p.strategy, p.instrument, p.cycle, p.qty, p.opened_us, (
    SELECT o.client_order_id FROM orders o WHERE {_SAME} AND o.cycle = p.cycle
        AND o.type = '{OrderType.STOP_MARKET}' ORDER BY o.seq DESC LIMIT 1) AS last_stop
FROM lineage l CROSS JOIN positions p ON p.session_id = l.session_id
JOIN journal_cursor c ON c.session_id = p.session_id
WHERE p.closed_us IS NULL AND l.successor IS NULL AND p.updated_us < c.ts_us - {SETTLED_US}
    AND last_stop IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM orders o WHERE {_SAME} AND o.reduce_only AND o.status IN {LIVE}
        AND (o.type <> '{OrderType.STOP_MARKET}' OR o.status = '{OrderStatus.PENDING_CANCEL}' OR NOT
            decimal_above(ltrim(p.qty, '-'), decimal_minus(o.working_qty, o.filled_qty))))
    AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.session_id = p.session_id AND a.severity = 'critical'
        AND a.strategy = p.strategy AND a.instrument = p.instrument AND a.ts_us >= p.opened_us)""",
    ),
    Check(
        id="S13.reduces",
        statement="an exit only reduces what is held",
        table="fills",
        sql=f"""
WITH moves AS (
    SELECT l.root, f.session_id, f.seq, f.client_order_id, f.trade_id, f.strategy, f.instrument, f.section,
        f.side, f.qty, {SIGNED_QTY} AS change
    FROM lineage l CROSS JOIN fills f ON f.session_id = l.session_id AND f.seq > l.since
    UNION ALL
    SELECT g.root, NULL, 0, NULL, NULL, g.strategy, g.instrument, NULL, NULL, NULL, g.qty FROM opening g),
held AS (
    SELECT m.*, decimal_sum(m.change) OVER (
        PARTITION BY m.root, m.strategy, m.instrument ORDER BY m.seq) AS held_after FROM moves m)
SELECT session_id, seq, client_order_id, trade_id, strategy, instrument, section, side, qty, held_after
FROM held WHERE section <> '{Section.Z1}' AND strategy <> '{UNOWNED}'
    AND CASE side WHEN 'sell' THEN held_after LIKE '-%'
        ELSE held_after NOT LIKE '-%' AND held_after <> '0' END""",
    ),
    Check(
        id="S13.reduce_only",
        statement="exits are reduce-only orders, and entries are not",
        table="orders",
        sql=f"""
SELECT o.session_id, o.seq, o.client_order_id, o.strategy, o.instrument, o.section, o.rule, o.reduce_only
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
WHERE o.reduce_only <> (o.section <> '{Section.Z1}')""",
    ),
)

_TIME: Final = (
    Check(
        id="S16.once",
        statement="a rule speaks at most once at one row",
        table="signals",
        refuses=False,
        sql="""
SELECT s.session_id, s.strategy, s.instrument, s.section, s.rule, s.row_number, count(*) AS signals_count,
    min(s.seq) AS seq, max(s.seq) AS other_seq
FROM lineage l CROSS JOIN signals s ON s.session_id = l.session_id AND s.seq > l.since
GROUP BY s.session_id, s.strategy, s.instrument, s.section, s.rule, s.row_number HAVING count(*) > 1""",
    ),
    Check(
        id="S16.valid",
        statement=f"an intent is sent within {VALID_US // 1_000_000} s of its decision",
        table="orders",
        refuses=False,
        sql=f"""
SELECT o.session_id, o.seq, o.client_order_id, o.intent_seq, i.ts_us AS intent_us, o.ts_us AS sent_us
FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
JOIN intents i ON i.session_id = o.session_id AND i.seq = o.intent_seq
WHERE o.ts_us - i.ts_us NOT BETWEEN 0 AND {VALID_US}""",
    ),
    Check(
        id="S17.orders_per_minute",
        statement="entries of a minute stay under the highest orders_per_minute_max ever configured",
        table="orders",
        refuses=False,
        sql=f"""
WITH limits AS (
    SELECT max(CAST(substr(f.value, instr(f.value, 'orders_per_minute_max:') + 22) AS INTEGER)) AS most
    FROM config_revisions r, json_each(CASE WHEN json_valid(r.files) THEN r.files ELSE '{{}}' END) f
    WHERE instr(f.value, 'orders_per_minute_max:') > 0),
entries AS (
    SELECT o.session_id, o.seq, o.client_order_id, o.ts_us, count(*) OVER (
        PARTITION BY o.session_id ORDER BY o.ts_us RANGE BETWEEN {MINUTE_US - 1} PRECEDING AND CURRENT ROW
    ) AS orders_in_60_s
    FROM lineage l CROSS JOIN orders o ON o.session_id = l.session_id AND o.seq > l.since
    WHERE o.section = '{Section.Z1}' AND o.intent_seq >= l.first_seq)
SELECT e.*, m.most AS orders_per_minute_max FROM entries e, limits m
WHERE m.most > 0 AND e.orders_in_60_s > m.most""",
    ),
    Check(
        id="S20.one_session",
        statement="of one mode and market at most one session may still go on",
        table="sessions",
        refuses=False,
        sql="""
SELECT s.mode, s.feed, count(*) AS sessions_count, min(s.id) AS session_id, max(s.id) AS other_session_id
FROM lineage l CROSS JOIN sessions s ON s.id = l.session_id JOIN journal_cursor c ON c.session_id = s.id
WHERE s.status NOT IN ('finished', 'failed') AND s.mode <> 'warmup'
GROUP BY s.mode, s.feed, s.account HAVING count(*) > 1""",
    ),
)

BOOKS: Final = (*_S7, *_S8, *_S9, *_S10, *_PROTECTION, *_TIME)
