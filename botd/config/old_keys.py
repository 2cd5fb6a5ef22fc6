"""Keys of the old configuration, and what to write instead."""

from __future__ import annotations

import re
from typing import Final

_STRATEGY: Final = "in the strategy file"
_CONFIDENCE: Final = "confidence_min in S1 of the strategy, or signal.confidence_min in configs/risk.yaml"
_SIZE: Final = "size: { fixed: 500 USDT }, { risk: 1% of equity } or { kelly: 25% } in Z1"

# Old key, in the spelling of the old files, to what says the same now.
OLD_KEYS: Final[dict[str, str]] = {
    # orders
    "maxRetries": "query_retries in configs/execution.yaml; a submit is never sent again",
    "retryDelayMs": "query_backoff in configs/execution.yaml, such as 1s",
    "retryBackoff": "query_backoff in configs/execution.yaml, such as 1s",
    "orderTimeoutSeconds": "order_timeout in configs/execution.yaml, such as 30s",
    "orderTimeout": "order_timeout in configs/execution.yaml, such as 30s",
    "orderTtlSeconds": "order_ttl in configs/execution.yaml, such as 5m",
    "maxSlippagePercent": "slippage_max in configs/execution.yaml, such as 0.5%",
    "maxSlippage": "slippage_max in configs/execution.yaml, such as 0.5%",
    "slippagePercent": "paper.bar_slippage in configs/execution.yaml, such as 0.1%",
    "orderType": f"order: {{ type: market }} or {{ type: limit }} in Z1 {_STRATEGY}",
    # limits
    "maxPositionSize": "position_max and position_max_usd in configs/risk.yaml, such as 10% and 1000 USD",
    "maxPositionSizeUsd": "position_max_usd in configs/risk.yaml, such as 1000 USD",
    "maxPositionSizePercent": "position_max in configs/risk.yaml, such as 10%",
    "maxPositions": "positions_max in configs/risk.yaml, such as 5",
    "maxConcurrentPositions": "positions_max in configs/risk.yaml, such as 5",
    "maxOpenPositions": "positions_max in configs/risk.yaml, such as 5",
    "maxLeverage": "leverage_max in configs/risk.yaml, such as 1",
    "maxDailyLoss": "daily_loss_max in configs/risk.yaml, such as 5%",
    "maxDailyLossPercent": "daily_loss_max in configs/risk.yaml, such as 5%",
    "maxDrawdown": "drawdown_max in configs/risk.yaml, such as 15%",
    "maxDrawdownPercent": "drawdown_max in configs/risk.yaml, such as 15%",
    "maxExposure": "total_exposure_max in configs/risk.yaml, such as 50%",
    "maxExposurePercent": "total_exposure_max in configs/risk.yaml, such as 50%",
    "maxTotalExposure": "total_exposure_max in configs/risk.yaml, such as 50%",
    "maxSymbolExposure": "symbol_exposure_max in configs/risk.yaml, such as 20%",
    "maxOrdersPerMinute": "orders_per_minute_max in configs/risk.yaml, such as 30",
    "maxConsecutiveLosses": "losing_streak_max in configs/risk.yaml, such as 6",
    "minConfidence": _CONFIDENCE,
    "confidenceThreshold": _CONFIDENCE,
    "signalCooldownMinutes": "cooldown in S1 of the strategy, such as 30m",
    "cooldownMinutes": "cooldown in S1 or E1 of the strategy, such as 30m",
    "cooldownSeconds": "cooldown in S1 or E1 of the strategy, such as 60s",
    "failureThreshold": "breaker.failures in configs/risk.yaml, such as 5",
    "recoveryTimeout": "breaker.open in configs/risk.yaml, such as 30s",
    "recoveryTimeoutSeconds": "breaker.open in configs/risk.yaml, such as 30s",
    # exits
    "maxHoldingTimeMinutes": "holding_max in configs/lifecycle.yaml or protect: { holding_max: 4h } "
    f"{_STRATEGY}",
    "maxHoldingTime": f"holding_max in configs/lifecycle.yaml or protect: {{ holding_max: 4h }} {_STRATEGY}",
    "warningTimeMinutes": "lifecycle.warning in configs/lifecycle.yaml, such as 180m",
    "enableAutomaticTimeout": "lifecycle.automatic_timeout in configs/lifecycle.yaml",
    "automaticTimeout": "lifecycle.automatic_timeout in configs/lifecycle.yaml",
    "stopLossPercent": f"protect: {{ stop_loss: 2% }} {_STRATEGY}",
    "stopLoss": f"protect: {{ stop_loss: 2% }} {_STRATEGY}",
    "takeProfitPercent": f"protect: {{ take_profit: 15% }} {_STRATEGY}",
    "takeProfit": f"protect: {{ take_profit: 15% }} {_STRATEGY}",
    "trailingStopPercent": f"protect: {{ trailing_stop: 1.5% }} {_STRATEGY}",
    "trailingStop": f"protect: {{ trailing_stop: 1.5% }} {_STRATEGY}",
    "positionSize": f"{_SIZE} {_STRATEGY}",
    "positionSizePercent": f"size: {{ percent: 5% of equity }} in Z1 {_STRATEGY}",
    "closePercent": f"close: 50% in a rule of ZE1 {_STRATEGY}",
    "healthThreshold": "health.threshold in configs/lifecycle.yaml, such as 30",
    "emergencyClose": "health.emergency_close in configs/lifecycle.yaml",
    # everything else
    "initialBalance": "account.equity in config.yaml, such as { USDT: 10000 }",
    "initialCapital": "account.equity in config.yaml, such as { USDT: 10000 }",
    "tradingMode": "mode in config.yaml",
    "paperTrading": "mode: paper in config.yaml",
    "symbols": "instruments, names as ccxt writes them, such as [BTC/USDT:USDT]",
    "symbol": "instruments, names as ccxt writes them, such as [BTC/USDT:USDT]",
    "tradingPairs": "instruments, names as ccxt writes them, such as [BTC/USDT:USDT]",
    "strategyName": f"strategy: its_id as the first key {_STRATEGY}",
    "strategyId": f"strategy: its_id as the first key {_STRATEGY}",
    "syncIntervalSeconds": "sync.positions in configs/execution.yaml, such as 10s",
    "reconciliationInterval": "sync.positions in configs/execution.yaml, such as 10s",
    "pnlUpdateInterval": "pnl.mark_interval in configs/execution.yaml, such as 10s",
    "shutdownTimeout": "shutdown.ceiling in configs/shutdown.yaml, such as 60s",
    "shutdownTimeoutSeconds": "shutdown.ceiling in configs/shutdown.yaml, such as 60s",
    "logLevel": "logging: { level: info, format: json } in config.yaml",
    "databaseUrl": "state: { path: state/botd.sqlite3 } in config.yaml",
    "warningMarginRatio": "margin.warn in configs/risk.yaml, such as 25%",
    "criticalMarginRatio": "margin.alert in configs/risk.yaml, such as 15%",
    "minMarginRatio": "margin.alert in configs/risk.yaml, such as 15%",
}


def snake_case(key: str) -> str:
    """Return a key in the spelling of today's files."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key.replace("-", "_")).lower()


_BY_SNAKE: Final = {snake_case(key): (key, instead) for key, instead in OLD_KEYS.items()}


def advice_for_old_key(key: str) -> str | None:
    """Say what to write instead of a key of the old configuration; None when it is no such key.

    Old keys are known in camelCase and in snake_case (`maxRetries`, `max_retries`).
    """
    known = _BY_SNAKE.get(snake_case(key))
    if known is None:
        return None
    if re.search(rf"\b{re.escape(key)}\b", known[1]):
        return f"'{key}' does not belong here; write {known[1]}"
    return f"'{key}' is a key of the old configuration; write {known[1]}"
