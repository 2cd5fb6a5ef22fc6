"""The views of the state file: the columns that the design documents name, for people and screens.

They are derived, so every migration drops and makes them anew. Times are int microseconds UTC. A column
that nothing in the file knows yet is NULL: `risk_score`, `exchange_order_id`, and of an open position
everything that needs a mark or margin.
"""

from __future__ import annotations

from typing import Final

SIGNAL_HISTORY: Final = """
SELECT
    s.session_id || ':' || s.seq AS signal_id,
    s.section AS signal_type,
    s.instrument AS symbol,
    s.side AS side,
    i.qty AS quantity,
    s.price AS price,
    CASE WHEN s.confidence = 'nan' THEN NULL ELSE CAST(s.confidence AS DOUBLE PRECISION) END AS confidence,
    s.strategy AS strategy_name,
    s.indicator_values AS indicator_values,
    CAST(NULL AS DOUBLE PRECISION) AS risk_score,
    r.approved AS approved,
    r.reason AS rejection_reason,
    o.client_order_id AS order_id,
    s.ts_us AS created_at
FROM signals s
LEFT JOIN intents i
    ON i.session_id = s.session_id AND i.strategy = s.strategy AND i.instrument = s.instrument
    AND i.cycle = s.cycle AND i.leg = 0 AND s.acted
    AND ((i.section = s.section AND i.rule = s.rule) OR (s.section = 'S1' AND i.section = 'Z1'))
LEFT JOIN risk_decisions r ON r.session_id = i.session_id AND r.intent_seq = i.seq
LEFT JOIN orders o ON o.session_id = i.session_id AND o.intent_seq = i.seq
"""

LIVE_ORDERS: Final = """
SELECT
    client_order_id AS order_id,
    CAST(NULL AS TEXT) AS exchange_order_id,
    instrument AS symbol,
    side,
    type AS order_type,
    working_qty AS quantity,
    COALESCE(limit_price, stop_price) AS requested_price,
    filled_qty AS filled_quantity,
    avg_price AS average_fill_price,
    status,
    NULLIF(status_reason, '') AS error_message,
    CASE WHEN CAST(decision_price AS DOUBLE PRECISION) <> 0 THEN
        (CAST(avg_price AS DOUBLE PRECISION) / CAST(decision_price AS DOUBLE PRECISION) - 1) * 10000
        * CASE WHEN side = 'buy' THEN 1 ELSE -1 END
    END AS slippage,
    fee AS commission,
    ts_us AS created_at,
    updated_us AS updated_at,
    filled_us AS filled_at
FROM orders
"""

LIVE_POSITIONS: Final = """
SELECT
    instrument AS symbol,
    side,
    qty AS quantity,
    entry_price,
    CAST(NULL AS TEXT) AS current_price,
    CAST(NULL AS TEXT) AS liquidation_price,
    CASE WHEN closed_us IS NOT NULL THEN '0' END AS unrealized_pnl,
    CAST(NULL AS DOUBLE PRECISION) AS unrealized_pnl_pct,
    CAST(NULL AS TEXT) AS margin,
    CAST(NULL AS TEXT) AS leverage,
    CAST(NULL AS DOUBLE PRECISION) AS margin_ratio,
    opened_us AS opened_at,
    updated_us AS updated_at,
    closed_us AS closed_at,
    CASE WHEN closed_us IS NULL THEN 'open' ELSE 'closed' END AS status
FROM positions
"""

RISK_EVENTS: Final = """
SELECT
    session_id || ':' || seq AS event_id,
    session_id,
    type AS event_type,
    CASE severity WHEN 'critical' THEN 'CRITICAL' WHEN 'high' THEN 'WARNING' ELSE 'INFO' END AS severity,
    message,
    strategy AS strategy_name,
    instrument AS symbol,
    ts_us AS created_at
FROM alerts
"""

VIEWS: Final = {
    "signal_history": SIGNAL_HISTORY,
    "live_orders": LIVE_ORDERS,
    "live_positions": LIVE_POSITIONS,
    "risk_events": RISK_EVENTS,
}
