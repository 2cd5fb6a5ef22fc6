"""The metrics, in the text that Prometheus reads. No label holds an amount, and no name a secret."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from botd.api.facts import Durations, Snapshot
from botd.api.routes import Context
from botd.api.tally import COUNTERS
from botd.core.restraint import TradingState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition(Collector):
    """Reads everything at the moment it is asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._process = ProcessCollector(pid=lambda: context.facts.pid, registry=None)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield from self._counters()
        yield from self._daemon()
        yield from self._config()
        yield from self._machine()
        snapshot = self._context.facts.snapshot
        if snapshot is not None:
            yield from _account(snapshot)

    def _counters(self) -> Iterator[Metric]:
        counts = self._context.tally.counts
        for name, (about, labels) in COUNTERS.items():
            family = CounterMetricFamily(name.removesuffix("_total"), about, labels=labels)
            found = dict(counts[name]) if labels else {(): counts[name][()]}
            for values, count in found.items():
                family.add_metric(values, count)
            yield family

    def _daemon(self) -> Iterator[Metric]:
        context, facts = self._context, self._context.facts
        yield gauge("botd_loop_lag_seconds", "How late the trading loop is.", facts.lag_s())
        yield durations("botd_store_commit_seconds", "From a group to its being on disk.", facts.commits)
        state = GaugeMetricFamily("botd_trading_state", "1 for the state it is in.", labels=["state"])
        for one in TradingState:
            state.add_metric([one], float(facts.trading_state == one))
        yield state
        active = GaugeMetricFamily("botd_sessions_active", "Sessions that trade.", labels=["mode"])
        active.add_metric([facts.mode], float(facts.trades))
        yield active
        if facts.row_at_us:
            age_s = (context.clock.now_us() - facts.row_at_us) / 1e6
            yield gauge("botd_feed_age_seconds", "Since the last row.", max(0.0, age_s))
        yield gauge("botd_api_connections", "Connections that are open.", context.tally.connections())
        yield gauge("botd_websocket_connections", "WebSocket clients.", context.tally.sockets)

    def _machine(self) -> Iterator[Metric]:
        """Yield what the kernel says of the daemon; how many files it has open only itself may see."""
        yield from (one for one in self._process.collect() if one.name != "process_open_fds")
        if self._context.facts.open_files is not None:
            yield gauge("process_open_fds", "Files that are open.", self._context.facts.open_files)

    def _config(self) -> Iterator[Metric]:
        facts = self._context.facts
        config = facts.config()
        yield InfoMetricFamily(
            "botd_config", "The plan that trades.", {"hash": config.config_hash, "version": facts.version}
        )
        desk = self._context.reload()
        last = desk.last() if desk is not None else None
        yield gauge(
            "botd_config_last_reload_successful",
            "Whether the files that were read last trade.",
            float(last is None or last.ok),
        )
        read_us = config.applied_us if last is None else last.ts_us
        yield gauge("botd_config_last_reload_timestamp_seconds", "When they were read.", read_us / 1e6)


def gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def durations(name: str, about: str, found: Durations) -> Metric:
    """Turn counts by bucket into the sums that Prometheus wants."""
    buckets, total = [], 0
    for bound, count in zip((*map(str, found.bounds_s), "+Inf"), list(found.counts), strict=True):
        total += count
        buckets.append((bound, float(total)))
    family = HistogramMetricFamily(name, about)
    family.add_metric([], buckets, found.sum_s)
    return family


def _account(snapshot: Snapshot) -> Iterator[Metric]:
    yield gauge("botd_positions_open", "Positions held.", len(snapshot.marks))
    yield CounterMetricFamily("botd_feed_rows", "Rows judged in this session.", value=snapshot.rows)
    equity = GaugeMetricFamily("botd_account_equity", "Cash and open profit.", labels=["currency"])
    drawdown = GaugeMetricFamily("botd_account_drawdown_ratio", "Below the peak.", labels=["currency"])
    exposure = GaugeMetricFamily("botd_account_exposure", "Notional of what is held.", labels=["currency"])
    for one in snapshot.accounts:
        if one.equity is not None:
            equity.add_metric([one.currency], float(one.equity))
        if one.drawdown is not None:
            drawdown.add_metric([one.currency], one.drawdown)
        exposure.add_metric([one.currency], float(one.exposure))
    yield from (equity, drawdown, exposure)
