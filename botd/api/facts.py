"""What the API knows of its daemon, each a value that is put there whole: nobody waits."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from botd.core.records import Record

COMMIT_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
WAITING_MAX: Final = 10_000  # groups of records that the API has not counted yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a position is worth now; None where no price is known."""

    price: Decimal | None
    unrealized_pnl: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One currency's books now."""

    currency: str
    equity: Decimal | None  # None where a position has no price
    drawdown: float | None
    exposure: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The bot between two blocks."""

    trading_state: str
    rows: int
    marks: Mapping[tuple[str, str], Mark]  # by strategy and instrument
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """The plan that trades."""

    config_hash: str
    applied_us: int
    files: Mapping[str, str]
    warning_us: int  # configs/lifecycle.yaml
    automatic_timeout: bool
    holding_max_us: Mapping[str, int | None]  # by strategy
    positions_tracked_max: int


class Durations:
    """A histogram that one thread fills and others read as it is."""

    def __init__(self, bounds_s: Sequence[float] = COMMIT_BUCKETS_S) -> None:
        self.bounds_s = tuple(bounds_s)
        self.counts = [0] * (len(self.bounds_s) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds

    def copy(self) -> Durations:
        """Return another one that is as this one is now."""
        made = Durations(self.bounds_s)
        made.counts, made.sum_s = list(self.counts), self.sum_s
        return made


@dataclass(slots=True, kw_only=True)
class Facts:
    """One daemon. Whoever hears of it sets what is here, the API's thread reads it."""

    mode: str
    version: str
    started_us: int
    pid: int
    config: Callable[[], ConfigFacts]
    lag_s: Callable[[], float]  # of the trading loop
    session_id: str = ""  # empty before one is open
    trades: bool = False  # it has met what was there before, and judges rows as they come
    row_us: int = 0  # event time of the last row judged
    row_at_us: int = 0  # when that was, by the wall clock
    trading_state: str = "active"
    open_files: int | None = None  # None where the machine does not say
    snapshot: Snapshot | None = None
    commits: Durations = field(default_factory=Durations)


class Wire:
    """Takes committed records from whoever hears of them to the API's thread."""

    def __init__(self) -> None:
        self.generation = 0  # rises with every group
        self._waiting: deque[Sequence[Record]] = deque(maxlen=WAITING_MAX)
        self._wake: Callable[[], object] | None = None

    def publish(self, records: Sequence[Record]) -> None:
        """Leave committed records; nobody is woken unless somebody listens."""
        self._waiting.append(records)
        self.generation += 1
        wake = self._wake
        if wake is not None:
            with suppress(RuntimeError):  # the API's loop is closed: it will be there again
                wake()

    def wake_by(self, wake: Callable[[], object] | None) -> None:
        """Have a function called, in the thread that hears, whenever records come in."""
        self._wake = wake

    def take(self) -> list[Sequence[Record]]:
        """Hand over what waits, oldest first."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken
