"""What has happened since the start, counted from the records, and put into words."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from botd.core.events import Section
from botd.core.instrument import InstrumentId, quote_of
from botd.core.money import ZERO, is_dollar, plain_text
from botd.core.records import IntentRecord, Record, RiskRecord, SignalRecord, TradeRecord
from botd.core.restraint import ACCOUNT, Cause, Restraint, TradingState
from botd.core.updates import AlertRecord

DECISIONS_KEPT: Final = 40

Decision = SignalRecord | IntentRecord | RiskRecord | TradeRecord | AlertRecord


@dataclass(slots=True)
class StrategyTally:
    """One strategy's counts."""

    signals: int = 0  # S1
    entries: int = 0  # Z1
    denied: int = 0
    trades: int = 0
    wins: int = 0
    net: dict[str, Decimal] = field(default_factory=dict)  # P&L after fees by currency


class Tally:
    """Counts over every record handed to it."""

    def __init__(self) -> None:
        self.strategies: dict[str, StrategyTally] = {}
        self.denials: Counter[str] = Counter()
        self.alerts: Counter[tuple[str, str]] = Counter()  # (severity, type)
        self.last_alert: dict[tuple[str, str], str] = {}
        self.realized: dict[str, Decimal] = {}  # of closed trades, without fees
        self.fees: dict[str, Decimal] = {}
        self.decisions: deque[Decision] = deque(maxlen=DECISIONS_KEPT)

    def of(self, strategy: str) -> StrategyTally:
        """Return a strategy's counts, zeros where nothing has happened."""
        found = self.strategies.get(strategy)
        if found is None:
            found = self.strategies[strategy] = StrategyTally()
        return found

    def add(self, records: Sequence[Record]) -> list[str]:
        """Count records; return a line for each closed trade, denial and alert among them."""
        lines = []
        for record in records:
            if isinstance(record, SignalRecord):
                if record.section is Section.S1:
                    self.of(record.strategy).signals += 1
                if record.section is not Section.Z1:  # its intent tells more
                    self.decisions.append(record)
            elif isinstance(record, IntentRecord):
                if record.section is Section.Z1:
                    self.of(record.strategy).entries += 1
                    self.decisions.append(record)
            elif isinstance(record, RiskRecord):
                if not record.approved:
                    lines.append(self._denied(record))
            elif isinstance(record, TradeRecord):
                lines.append(self._closed(record))
            elif isinstance(record, AlertRecord):
                lines.append(self._alerted(record))
        return lines

    def _denied(self, record: RiskRecord) -> str:
        self.of(record.strategy).denied += 1
        self.denials[str(record.reason)] += 1
        last = self.decisions[-1] if self.decisions else None
        if isinstance(last, IntentRecord) and last.seq == record.intent_seq:
            self.decisions.pop()  # the denial takes the place of what it denies
        self.decisions.append(record)
        return f"{clock_text(record.ts_us)} denied {record.strategy} {record.instrument}: {why(record)}"

    def _closed(self, record: TradeRecord) -> str:
        tally = self.of(record.strategy)
        net, currency = net_of(record), quote_of(record.instrument)
        tally.trades += 1
        tally.wins += net > 0
        tally.net[currency] = tally.net.get(currency, ZERO) + net
        self.realized[currency] = self.realized.get(currency, ZERO) + record.realized_pnl
        self.fees[currency] = self.fees.get(currency, ZERO) + record.fees
        self.decisions.append(record)
        grounds = f"{record.exit_section} {why(record)}"
        return trade_line(record.closed_us, record.strategy, record.instrument, net, grounds, record.seq)

    def _alerted(self, record: AlertRecord) -> str:
        key = (record.severity, record.type)
        self.alerts[key] += 1
        self.last_alert[key] = record.message
        self.decisions.append(record)
        return alert_line(record.ts_us, record.severity, record.type, record.message, record.seq)


def total(tallies: Iterable[StrategyTally]) -> StrategyTally:
    """Return the sums of the counts; `net` is left empty."""
    whole = StrategyTally()
    for one in tallies:
        whole.signals += one.signals
        whole.entries += one.entries
        whole.denied += one.denied
        whole.trades += one.trades
        whole.wins += one.wins
    return whole


def trade_line(
    ts_us: int, strategy: str, instrument: InstrumentId, net: Decimal, grounds: str, seq: int
) -> str:
    """Return what is told of a closed trade; the number at its end is its record's."""
    currency = quote_of(instrument)
    amount = f"{money(net, currency, signed=True)} {currency} after fees"
    return f"{clock_text(ts_us)} trade {strategy} {instrument} {amount}, {grounds} #{seq}"


def alert_line(ts_us: int, severity: str, kind: str, message: str, seq: int) -> str:
    """Return what is told of an alert; the number at its end is its record's."""
    return f"{clock_text(ts_us)} alert {severity} {kind}: {message} #{seq}"


def net_of(record: TradeRecord) -> Decimal:
    """Return a trade's P&L after fees."""
    return record.realized_pnl - record.fees


# ---- words --------------------------------------------------------------------------------------


def clock_text(ts_us: int) -> str:
    """Return a time as `2025-11-21 14:03:22`, UTC."""
    return f"{datetime.fromtimestamp(ts_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def restraint_text(one: Restraint) -> str:
    """Return what keeps new risk out: where, since when, why, by whom, and how to lift it."""
    by_person = one.state is TradingState.HALTED and one.cause is not Cause.DAILY_LOSS  # the next day does
    where = "" if one.scope == ACCOUNT else f" on {one.scope}"
    why = f": {one.reason}" if one.reason else ""
    lift = "; 'botd resume' lifts it" if by_person else ""
    return f"{one.state}{where} since {clock_text(one.since_us)} UTC, {one.cause}, by {one.who}{why}{lift}"


def feed_name(identity: str) -> str:
    """Return a feed's identity without what only machines compare: digests, grids, ranges."""
    kind, _, rest = identity.partition(":")
    parts = rest.split(":")
    if kind == "recorded":
        return f"{parts[0]} (recorded)"
    if kind == "synthetic" and len(parts) > 1:
        return f"synthetic market, seed {parts[1]}"
    if kind == "merged":
        return f"{parts[0]} files (recorded)"
    return identity


def number(amount: Decimal) -> str:
    """Return an amount with thousands marked and at most 8 decimals, none of them idle."""
    text = plain_text(round(amount, 8))
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole not in ("", "-", "-0") else text


def money(amount: Decimal, currency: str, *, signed: bool = False) -> str:
    """Return an amount with the decimals that its currency is read with."""
    digits = 2 if is_dollar(currency) else 8
    rounded = round(amount, digits) or ZERO  # no sign on what rounds to nothing
    return f"{rounded:{'+' if signed else ''},.{digits}f}"


def percent(ratio: float, *, signed: bool = False) -> str:
    """Return a ratio as `1.25%`; what rounds to nothing has no sign."""
    hundredths = round(ratio * 10_000)
    return f"{(hundredths or 0) / 100:{'+' if signed and hundredths else ''}.2f}%"


def span(us: int) -> str:
    """Return a length of time with its two largest units: `45s`, `3m 12s`, `2h 5m`, `4d 3h`."""
    seconds = max(0, us) // 1_000_000
    for size, unit, smaller_size, smaller in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if seconds >= size:
            return f"{seconds // size}{unit} {seconds % size // smaller_size}{smaller}"
    return f"{seconds}s"


def moment_us(record: Decision) -> int:
    """Return the event time of a decision."""
    return record.closed_us if isinstance(record, TradeRecord) else record.ts_us


def why(record: Decision) -> str:
    """Return the grounds of a decision."""
    if isinstance(record, RiskRecord):
        if record.cause is not None and record.since_us is not None:
            return f"{record.reason}, {record.cause} since {clock_text(record.since_us)}"
        if record.limit is None or record.actual is None:
            return str(record.reason)
        return f"{record.reason}, {number(record.actual)} against a limit of {number(record.limit)}"
    if isinstance(record, IntentRecord):
        return record.sizing
    if isinstance(record, TradeRecord):
        rule = f"{record.exit_rule}: " if record.exit_rule else ""
        prices = f"{number(record.entry_price)} to {number(record.exit_price)}"
        held = span(record.closed_us - record.opened_us)
        return f"{rule}{record.side} {number(record.qty)}, {prices}, {held}"
    if isinstance(record, AlertRecord):
        return record.message
    return _signal_why(record)


def _signal_why(record: SignalRecord) -> str:
    values = ", ".join(f"{name} {value:.4g}" for name, value in record.values)
    if record.section is Section.S1:
        weak = "" if record.acted else ", too low to act on"
        head = "" if record.confidence is None else f"confidence {record.confidence:.2f}{weak}"
    elif record.section is Section.O1:
        head = "its time is over" if record.reason == "after" else "no longer wanted"
    else:
        head = record.rule
    return ", ".join(part for part in (head, values) if part)
