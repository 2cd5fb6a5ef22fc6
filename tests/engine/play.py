"""A machine over hand-made rule columns, with a host that books fills as the core does.

Run as a program it prints the digest of a random play, for a comparison with plain Python.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from botd.engine import machine as m
from botd.engine.engine import InstrumentEngine
from botd.engine.layout import ASK, ASZ, BID, BSZ, MARK, P, T
from botd.engine.machine import RuleMachines
from botd.language.program import compile_program
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from tests.engine.cases import LOT, SECOND, START, TICK, blank_rows

NAMES = {
    m.DID_S1: "S1",
    m.DID_S1_WEAK: "weak",
    m.DID_O1_WHEN: "O1",
    m.DID_O1_AFTER: "after",
    m.DID_Z1: "Z1",
    m.DID_TAKE_PROFIT: "take_profit",
    m.DID_TRAILING: "trailing_stop",
    m.DID_HOLDING: "holding_max",
    m.DID_E1: "E1",
    m.DID_ZE1: "ZE1",
    m.DID_RETRY: "retry",
}
UNDEFINED = {".": 0, "1": 1, "?": 2}
Event = tuple[int, str]


def strategy(
    *,
    o1: str = "",
    z1: bool = True,
    exits: str = "",
    emergencies: str = "",
    protect: str = "stop_loss: 90%",
    signal: str = "cooldown: 0s",
    side: str = "long",
    name: str = "tried",
    word: str = "bid_size",
) -> Strategy:
    """Read a strategy whose rule columns the play overwrites; exits and emergencies are lists as YAML.

    Equal expressions share a column: a second machine takes another `word` for `bid_size`.
    """
    entry = "order: { type: market }, size: { fixed: 1 Y }"
    lines = [f"strategy: {name}", "instruments: [X/Y]", f"side: {side}"]
    lines.append(f"S1: {{ when: bid_size > 1, {signal}{'' if z1 else ', ' + entry} }}")
    if o1:
        lines.append(f"O1: {{ {o1} }}")
    if z1:
        lines.append(f"Z1: {{ when: bid_size > 3, {entry} }}")
    if exits:
        lines.append(f"ZE1: [ {exits} ]")
    if emergencies:
        lines.append(f"E1: [ {emergencies} ]")
    text = "\n".join([*lines, f"protect: {{ {protect} }}", "on_stop: keep", ""]).replace("bid_size", word)
    found, faults = read_strategy(text, "tried.yaml")
    assert found is not None, "\n".join(fault.render() for fault in faults)
    return found


class Play:
    """One instrument's machines over rows a second apart."""

    def __init__(
        self,
        strategies: Sequence[Strategy] | Strategy,
        columns: Mapping[str, str] | Sequence[Mapping[str, str]] = (),
        *,
        bid: Sequence[int] | None = None,
        ask: Sequence[int] | None = None,
        mark: Sequence[int] | None = None,
        times: Sequence[int] | None = None,
        confidence: Sequence[float] | None = None,
        rows: int = 0,
        block_max: int = 64,
        confidence_min: float = 0.5,
    ) -> None:
        """Columns are named S1, O1, Z1, ZE1.0, E1.1 and so on: `.` false, `1` true, `?` undefined."""
        if isinstance(strategies, Strategy):
            strategies = [strategies]
        if isinstance(columns, Mapping):
            columns = [columns]
        lengths = [len(text) for named in columns for text in named.values()]
        n = max([rows, *lengths, *(len(x) for x in (bid, ask, mark, times) if x is not None)])
        self.rows = blank_rows(n)
        self.rows[T] = START + (np.arange(n) * SECOND if times is None else np.array(times))
        self.rows[BID] = _filled(bid, n, 1000)
        self.rows[ASK] = _filled(ask, n, 0) if ask is not None else self.rows[BID] + 1
        self.rows[MARK] = _filled(mark, n, 0)
        self.rows[P] = 1000
        self.rows[BSZ] = self.rows[ASZ] = 1500  # S1 is true as written: no guard leaves a column out
        self.confidence = confidence
        self.engine = InstrumentEngine(compile_program(strategies), tick=TICK, lot=LOT, block_max=block_max)
        self.machines = RuleMachines(self.engine, confidence_min=confidence_min)
        self.columns = [{key: _bits(text, n) for key, text in named.items()} for named in columns]
        self.script: dict[int, list[Callable[[Play], None]]] = {}
        self.on_event: Callable[[Play, int, int, str], None] | None = None
        self.events: list[Event] = []
        self.row = 0

    # ---- the host -------------------------------------------------------------------------------

    def at(self, row: int, *actions: Callable[[Play], None]) -> Play:
        """Have the host act just before a row is judged."""
        self.script.setdefault(row, []).extend(actions)
        return self

    def now(self) -> int:
        return int(self.rows[T, min(self.row, self.rows.shape[1] - 1)])

    def word(self, word: int, machine: int = 0) -> int:
        return int(self.machines.words[machine * m.WORDS + word])

    def set(self, word: int, value: int, machine: int = 0) -> None:
        self.machines.words[machine * m.WORDS + word] = value

    # ---- running --------------------------------------------------------------------------------

    def run(self, sizes: Iterable[int] = (64,), *, stops: Iterable[int] = ()) -> list[Event]:
        """Judge every row in blocks of the given sizes (the last again and again); return (row, what).

        `stops` end a scan early, as a driver does that has to ask the venue.
        """
        sizes = iter(sizes)
        size = next(sizes)
        places = set(stops)
        while self.row < self.rows.shape[1]:
            n = min(size, self.rows.shape[1] - self.row)
            self._block(n, places)
            size = next(sizes, size)
        return self.events

    def _block(self, n: int, places: set[int]) -> None:
        start = self.row
        base = self.engine.append(np.ascontiguousarray(self.rows[:, start : start + n]))
        self._overwrite(start, n)
        self.machines.new_block(base, n)
        done: set[int] = set()
        while self.row < start + n:
            if self.row in self.script and self.row not in done:
                done.add(self.row)
                for action in self.script[self.row]:
                    action(self)
            stop = min([p for p in (*places, *self.script) if p > self.row] + [start + n])
            self.row = start + self.machines.scan(self.row - start, stop - start, base)
            for machine, did, rule in self.machines.decisions():
                name = NAMES[did] + (f".{rule}" if did in (m.DID_E1, m.DID_ZE1) else "")
                if len(self.machines.codes) > 1:
                    name = f"{machine}:{name}"
                self.events.append((self.row - 1, name))
                if self.on_event is not None:
                    self.on_event(self, machine, self.row - 1, name)

    def _overwrite(self, start: int, n: int) -> None:
        """Put the hand-made columns in the place of what the expressions gave."""
        stride = self.engine.block_max
        for code, named in zip(self.machines.codes, self.columns, strict=False):
            slots = {"S1": code.s1, "O1": code.o1, "Z1": code.z1}
            slots |= {f"ZE1.{k}": rule.slot for k, rule in enumerate(code.exits)}
            slots |= {f"E1.{k}": rule.slot for k, rule in enumerate(code.emergencies)}
            for key, bits in named.items():
                at = slots[key] * stride
                self.engine.U[at : at + n] = bits[start : start + n]
            if self.confidence is not None and code.confidence >= 0:
                at = code.confidence * stride
                self.engine.F[at : at + n] = self.confidence[start : start + n]


def enter(
    lots: int = 10, price: int = 1000, machine: int = 0, t: int | None = None
) -> Callable[[Play], None]:
    """The first fill of an entry."""

    def act(play: Play) -> None:
        play.engine.phase[machine] = m.IN_POSITION
        for word in (m.BEST, m.BUSY, m.FIRED, m.RETRY):
            play.set(word, 0, machine)
        play.set(m.ENTRY_T, play.now() if t is None else START + t, machine)
        play.machines.reset_position_state(machine)
        hold(lots, lots * price, machine)(play)

    return act


def hold(lots: int, cost: int, machine: int = 0) -> Callable[[Play], None]:
    """A further fill: so many lots, so many tick-lots are held."""

    def act(play: Play) -> None:
        play.set(m.QTY, lots, machine)
        play.set(m.COST, cost, machine)

    return act


def release(machine: int = 0, *, fired: int | None = None) -> Callable[[Play], None]:
    """An exit is over; a ZE1 rule has fired."""

    def act(play: Play) -> None:
        play.set(m.BUSY, 0, machine)
        if fired is not None:
            play.set(m.FIRED, play.word(m.FIRED, machine) | 1 << fired, machine)

    return act


def ask_again(at: int = 0, machine: int = 0) -> Callable[[Play], None]:
    """An exit ended with a remainder."""

    def act(play: Play) -> None:
        play.set(m.RETRY, 1, machine)
        play.set(m.RETRY_AT, START + at if at else 0, machine)

    return act


def idle(machine: int = 0) -> Callable[[Play], None]:
    """The signal or the position is over."""

    def act(play: Play) -> None:
        play.engine.phase[machine] = m.IDLE
        for word in (m.QTY, m.BUSY, m.RETRY):
            play.set(word, 0, machine)

    return act


def block_until(t: int, machine: int = 0) -> Callable[[Play], None]:
    """A cooldown after an exit."""

    def act(play: Play) -> None:
        play.set(m.BLOCKED_UNTIL, max(play.word(m.BLOCKED_UNTIL, machine), START + t), machine)

    return act


def _filled(values: Sequence[int] | None, n: int, default: int) -> NDArray[np.int64]:
    if values is None:
        return np.full(n, default, np.int64)
    return np.array([*values, *[values[-1]] * (n - len(values))], np.int64)


def _bits(text: str, n: int) -> NDArray[np.uint8]:
    return np.array([UNDEFINED[c] for c in text.ljust(n, ".")], np.uint8)


# ---- a play in position ------------------------------------------------------------


def opened(
    columns: dict[str, str],
    *,
    at: int = 1,
    side: str = "long",
    lots: int = 10,
    price: int = 1000,
    **rest: object,
) -> Play:
    """A play whose position opens before row `at`; S1 and Z1 were true in row 0."""
    names = ("exits", "emergencies", "protect")
    rules = {key: rest.pop(key) for key in names if key in rest}
    play = Play(strategy(side=side, **rules), {"S1": "1", "Z1": "1"} | columns, **rest)  # type: ignore[arg-type]
    return play.at(at, enter(lots, price))


def judged(play: Play) -> list[Event]:
    """Run the play; return everything it decided."""
    return play.run()


def after_entry(play: Play) -> list[Event]:
    """Run the play; return what followed S1 and Z1 in row 0."""
    return play.run()[2:]


BOTH_SIDES = ("long", "short")


# ---- random plays ---------------------------------------------------------------------------------

RANDOM_EXITS = (
    "{ name: a, when: bid_size > 4, close: 50% }, "
    "{ name: b, when: pnl > 1% for 3s, close: 100% }, "
    "{ name: c, when: pnl_max - pnl > 2% and held > 4s, close: 30% }"
)
RANDOM_EMERGENCIES = "{ name: d, when: bid_size > 5 }, { name: e, when: pnl crosses below -2%, cooldown: 5s }"
RANDOM_PROTECT = "stop_loss: 90%, take_profit: 4%, trailing_stop: 3%, holding_max: 40s"


def random_play(seed: int, n: int = 3000, *, block_max: int = 64) -> Play:
    """Make two machines, long and short, over random columns, with a host that fills everything late."""
    rng = random.Random(seed)
    both = [
        strategy(
            name=side,
            side=side,
            word="bid_size" if side == "long" else "ask_size",
            o1="when: bid_size > 2, after: 6s",
            exits=RANDOM_EXITS,
            emergencies=RANDOM_EMERGENCIES,
            protect=RANDOM_PROTECT,
            signal='confidence: "clamp(imbalance, 0, 1)", cooldown: 4s',
        )
        for side in ("long", "short")
    ]

    def column(share: float) -> str:
        return "".join("1" if rng.random() < share else rng.choice("...?") for _ in range(n))

    walk, price = [], 1000
    for _ in range(n):
        price = max(400, min(1600, price + rng.randint(-9, 9)))
        walk.append(price)
    play = Play(
        both,
        [
            {
                "S1": column(0.3),
                "O1": column(0.1),
                "Z1": column(0.4),
                "ZE1.0": column(0.1),
                "E1.0": column(0.02),
            }
            for _ in both
        ],
        bid=[0 if rng.random() < 0.01 else p for p in walk],
        ask=[0 if rng.random() < 0.01 else p + 1 for p in walk],
        mark=[p + rng.randint(-3, 3) if rng.random() < 0.9 else 0 for p in walk],
        times=[int(x) for x in np.cumsum([rng.choice([0, 1, 1, 2]) * SECOND for _ in range(n)])],
        confidence=[rng.choice([0.2, 0.5, 0.9, float("nan")]) for _ in range(n)],
        block_max=block_max,
    )
    play.on_event = _fill_later
    return play


def _fill_later(play: Play, machine: int, row: int, name: str) -> None:
    """Answer what was decided two to four rows later, by the row's number alone."""
    what = name.split(":")[1]
    later = row + 2 + row % 3
    bid = int(play.rows[P, row])
    if what == "Z1":
        play.at(later, idle(machine) if row % 5 == 0 else enter(10, bid, machine))
    elif what.startswith("ZE1"):
        play.at(later, ask_again(0, machine) if row % 4 == 0 else release(machine, fired=int(what[-1])))
    elif what in ("take_profit", "trailing_stop", "holding_max", "retry") or what.startswith("E1"):
        play.at(later, ask_again(0, machine) if row % 4 == 0 else idle(machine))


def digest(play: Play) -> str:
    """Return a hash of all that was decided and of the machines' state at the end."""
    parts = [repr(play.events), *(repr(v.tolist()) for v in play.machines.state().values())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    told = random_play(int(sys.argv[1]), int(sys.argv[2]))
    told.run()
    print(len(told.events), digest(told))
