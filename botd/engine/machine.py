# allow: size - one kernel per stage, as in kernels.py
"""Stage 2: the rule machines of one instrument, idle -> signalled -> entering -> open -> idle.

`scan` walks the rows of a block that stage 1 has filled in and stops after the first row at which any
machine decides something. It makes the machine's own transition; what follows from a decision
(sizing, risk, orders) is the host's. The words of a machine are int64 in `M`, floats in `MF`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from botd.engine.engine import InstrumentEngine
from botd.engine.flags import OutlierFlags
from botd.engine.jit import U8, entry, inline
from botd.engine.layout import ASK, BID, KIND, MARK, OPEN, RowKind, T
from botd.language.opcodes import (
    P_ABS,
    P_ADD,
    P_AND,
    P_COLF,
    P_COLU,
    P_CONST,
    P_CROSS,
    P_DIV,
    P_EQ,
    P_EVENT,
    P_FOR,
    P_IF,
    P_LE,
    P_LT,
    P_MAX,
    P_MIN,
    P_MUL,
    P_NE,
    P_NEG,
    P_NOT,
    P_OR,
    P_SUB,
    P_WORD,
)
from botd.language.program import MachineCode
from botd.language.typed import PositionSide

IDLE: Final = 0
SIGNALLED: Final = 1
ENTERING: Final = 2  # an entry order works, nothing has filled yet
IN_POSITION: Final = 3

# words of a machine
ARMED: Final = 0  # S1 was false or undefined once since it last came true
BLOCKED_UNTIL: Final = 1  # cooldowns: S1 not before this time
SIGNAL_T: Final = 2
QTY: Final = 3  # lots held
COST: Final = 4  # tick-lots paid for what is held
ENTRY_T: Final = 5  # first fill
BEST: Final = 6  # best exit price since entry, ticks; 0 = none yet
BUSY: Final = 7  # exit in flight: 0 none, 1 ZE1, 2 protect or full, 3 E1
FIRED: Final = 8  # bit k: ZE1 rule k has fired in this position
RETRY: Final = 9  # 1: ask the rest of an exit again at the next row
RETRY_AT: Final = 10  # ... not before this time
WAITS: Final = 11  # 1: Z1 is not asked, an order of the last position is still out
WORDS: Final = 12

# fixed numbers of a machine
S1_SLOT: Final = 0
O1_SLOT: Final = 1
Z1_SLOT: Final = 2
AFTER_US: Final = 3
COOLDOWN_US: Final = 4
SIGN: Final = 5
RULE0: Final = 6
N_E1: Final = 7
N_ZE1: Final = 8
HOLDING_MAX_US: Final = 9
CONF_SLOT: Final = 10
POS_STATE0: Final = 11
POS_STATE1: Final = 12
SPEC_WORDS: Final = 13

# a rule: its U column, or its range of the position program; E1's cooldown; whether a print can move it
RULE_SLOT: Final = 0
RULE_START: Final = 1
RULE_STOP: Final = 2
RULE_COOLDOWN_US: Final = 3
RULE_WAITS: Final = 4  # 1: not judged while a print is unconfirmed
RULE_WORDS: Final = 5

# fixed floats of a machine
TAKE_PROFIT: Final = 0  # 0 = off
TRAILING_STOP: Final = 1
CONFIDENCE_MIN: Final = 2
SPEC_FLOATS: Final = 3

# what a machine decided
DID_S1: Final = 1
DID_S1_WEAK: Final = 2  # confidence below the minimum: recorded, not acted on
DID_O1_WHEN: Final = 3
DID_O1_AFTER: Final = 4
DID_Z1: Final = 5
DID_TAKE_PROFIT: Final = 6
DID_TRAILING: Final = 7
DID_HOLDING: Final = 8
DID_E1: Final = 9
DID_ZE1: Final = 10
DID_RETRY: Final = 11

_BAR: Final = int(RowKind.BAR)
_FAR: Final = 1 << 62
NAN: Final = math.nan


@inline
def find_active(j0, n_rows, active, phase, M, SP, U, S):
    """List the machines that can do anything in rows [j0, n_rows) of the block."""
    n = 0
    for s in range(phase.shape[0]):
        hit = phase[s] != IDLE or M[s * WORDS + ARMED] == 0
        if not hit:
            o = U8(SP[s * SPEC_WORDS + S1_SLOT] * S)
            for j in range(j0, n_rows):
                if U[o + U8(j)] == 1:
                    hit = True
                    break
        if hit:
            active[n] = s
            n += 1
    active[phase.shape[0]] = n


@entry
def scan(
    j0, j1, n_rows, base, active, phase, M, MF, SP, FSP, RU, R, tops, U, F, S, pos_code, pos_fpar, reg, pst, ev, out
):  # fmt: skip
    """Run every machine over rows [j0, j1) of the block; stop after the first row with a decision.

    `active` is int64[nm + 1]: the machines that can do anything up to the block's end at `n_rows`, their
    count last; it is made anew where the count is -1. Returns the next row; out[0] is the number of events in ev, each
    (row j, machine, what, rule). One function on purpose: a call with arrays costs more than a row.
    """
    nm = phase.shape[0]
    out[0] = 0
    if active[nm] < 0:
        find_active(j0, n_rows, active, phase, M, SP, U, S)
    n = active[nm]
    if n == 0:
        return j1
    tick = FSP[nm * SPEC_FLOATS]
    lot = FSP[nm * SPEC_FLOATS + 1]
    j = j0
    while j < j1:
        quiet = True
        for a in range(n):
            s = active[a]
            if phase[s] != IDLE or M[s * WORDS + ARMED] == 0:
                quiet = False
                break
        if quiet:  # nothing can happen before one of their S1 is true
            nearest = j1
            for a in range(n):
                o = U8(SP[active[a] * SPEC_WORDS + S1_SLOT] * S)
                k = j
                while k < nearest and U[o + U8(k)] != 1:
                    k += 1
                nearest = k
            j = nearest
            if j == j1:
                return j1
        i = U8(base + j)
        t = R[T, i]
        ne = 0
        for a in range(n):
            s = active[a]
            z = s * WORDS
            y = s * SPEC_WORDS
            u1 = U[U8(SP[y + S1_SLOT] * S + j)]
            if u1 != 1:
                M[z + ARMED] = 1
            ph = phase[s]
            did = 0
            rule = 0
            if ph == IN_POSITION:
                # ---- what is held: P&L against the exit-side top, the best price since entry
                sign = SP[y + SIGN]
                top = tops[S + j] if sign > 0 else tops[2 * S + j]
                ref = R[MARK, i]
                if ref == 0:
                    ref = top
                average = M[z + COST] / M[z + QTY]
                pnl = NAN  # an unknown top: nothing about it is true
                if top > 0:
                    pnl = (top - average) / average if sign > 0 else (average - top) / average
                    if not (MF[s] >= pnl):  # also the first row, where it is NaN
                        MF[s] = pnl
                best = M[z + BEST]
                if ref > 0 and (best == 0 or (sign > 0 and ref > best) or (sign < 0 and ref < best)):
                    M[z + BEST] = best = ref
                # ---- protect, or the remainder of an exit
                if M[z + RETRY] != 0 and t >= M[z + RETRY_AT]:
                    M[z + RETRY] = 0
                    did = DID_RETRY
                elif M[z + BUSY] == 0:
                    take = FSP[s * SPEC_FLOATS + TAKE_PROFIT]
                    trail = FSP[s * SPEC_FLOATS + TRAILING_STOP]
                    gain = pnl
                    if ref != top and take > 0.0:
                        gain = (ref - average) / average if sign > 0 else (average - ref) / average
                    if take > 0.0 and ref > 0 and gain >= take:
                        did = DID_TAKE_PROFIT
                    elif (
                        trail > 0.0
                        and ref > 0
                        and ((best - ref) / best if sign > 0 else (ref - best) / best) >= trail
                    ):
                        did = DID_TRAILING
                    elif SP[y + HOLDING_MAX_US] > 0 and t - M[z + ENTRY_T] >= SP[y + HOLDING_MAX_US]:
                        did = DID_HOLDING
                    if did != 0:
                        M[z + BUSY] = 2
                # ---- E1, then ZE1; every rule is judged at every row, for `for` counts rows
                n_e1 = SP[y + N_E1]
                for r in range(n_e1 + SP[y + N_ZE1]):
                    q = (SP[y + RULE0] + r) * RULE_WORDS
                    lo = RU[q + RULE_START]
                    hi = RU[q + RULE_STOP]
                    if tops[j] != 0 and RU[q + RULE_WAITS] != 0:
                        # an unconfirmed row is none, so that no `for` counts it or starts anew by it; but
                        # what is true in one row only is kept until it is known what the print was
                        for k in range(lo, hi):
                            if pos_code[k, 0] == P_EVENT:
                                if tops[3 * S + j] < 0:
                                    pst[pos_code[k, 5]] = -1
                                if U[U8(pos_code[k, 2] * S + j)] == 1:
                                    pst[pos_code[k, 5]] = 1
                        continue
                    if lo == hi:
                        true = U[U8(RU[q + RULE_SLOT] * S + j)] == 1
                    else:
                        d = 0
                        for k in range(lo, hi):
                            op = pos_code[k, 0]
                            d = pos_code[k, 1]
                            c = pos_code[k, 2]
                            b = pos_code[k, 3]
                            if op == P_WORD:
                                if c == 0:
                                    reg[d] = pnl
                                elif c == 1:
                                    reg[d] = MF[s]
                                elif c == 2:
                                    reg[d] = (t - M[z + ENTRY_T]) / 1000000.0
                                elif c == 3:
                                    reg[d] = average * tick
                                else:
                                    reg[d] = M[z + QTY] * lot
                            elif op == P_CONST:
                                reg[d] = pos_fpar[k]
                            elif op == P_COLU:
                                u = U[U8(c * S + j)]
                                reg[d] = 2.0 if u > 1 else float(u)
                            elif op == P_EVENT:
                                st = pos_code[k, 5]
                                u = U[U8(c * S + j)]
                                reg[d] = 2.0 if u > 1 else float(u)
                                if pst[st] == 1 and tops[3 * S + j] > 0:
                                    reg[d] = 1.0
                                pst[st] = -1
                            elif op == P_COLF:
                                reg[d] = F[U8(c * S + j)]
                            elif op == P_FOR:
                                st = pos_code[k, 5]
                                if reg[c] == 1.0:
                                    if pst[st] < 0:
                                        pst[st] = t
                                    reg[d] = 1.0 if t - pst[st] >= pos_code[k, 4] else 0.0
                                else:
                                    pst[st] = -1
                                    reg[d] = reg[c]
                            elif op == P_NEG:
                                reg[d] = -reg[c]
                            elif op == P_ABS:
                                reg[d] = abs(reg[c])
                            elif op == P_NOT:
                                reg[d] = 1.0 - reg[c] if reg[c] <= 1.0 else 2.0
                            elif op == P_IF:
                                v = reg[b]
                                w = reg[pos_code[k, 4]]
                                reg[d] = (v if reg[c] == 1.0 else w) if reg[c] <= 1.0 else NAN
                            else:
                                v = reg[c]
                                w = reg[b]
                                unknown = v != v or w != w
                                x = 0.0
                                if op == P_LT:
                                    x = 2.0 if unknown else (1.0 if v < w else 0.0)
                                elif op == P_LE:
                                    x = 2.0 if unknown else (1.0 if v <= w else 0.0)
                                elif op == P_AND:
                                    x = v * w if v <= 1.0 and w <= 1.0 else 2.0
                                elif op == P_OR:
                                    x = (v if v > w else w) if v <= 1.0 and w <= 1.0 else 2.0
                                elif op == P_ADD:
                                    x = v + w
                                elif op == P_SUB:
                                    x = v - w
                                elif op == P_MUL:
                                    x = v * w
                                elif op == P_DIV:
                                    x = v / w if w != 0.0 else NAN
                                elif op == P_MIN:
                                    x = v if v < w or v != v else w
                                elif op == P_MAX:
                                    x = v if v > w or v != v else w
                                elif op == P_EQ:
                                    x = 2.0 if unknown else (1.0 if v == w else 0.0)
                                elif op == P_NE:
                                    x = 2.0 if unknown else (1.0 if v != w else 0.0)
                                elif op == P_CROSS:  # pst: 0 the last difference was negative, 1 positive
                                    st = pos_code[k, 5]
                                    x = 2.0 if unknown else (1.0 if v > w and pst[st] == 0 else 0.0)
                                    if v > w:
                                        pst[st] = 1
                                    elif v < w:
                                        pst[st] = 0
                                reg[d] = x
                        true = reg[d] == 1.0
                    if not true or (did != 0 and (did != DID_RETRY or r >= n_e1)):
                        continue
                    if r < n_e1:  # takes over an exit in flight, and a remainder that is being asked for
                        if M[z + BUSY] < 3:
                            M[z + BUSY] = 3
                            M[z + RETRY] = 0
                            did = DID_E1
                            rule = r
                    elif M[z + BUSY] == 0 and (M[z + FIRED] >> (r - n_e1)) & 1 == 0:
                        M[z + BUSY] = 1
                        did = DID_ZE1
                        rule = r - n_e1
            elif ph == IDLE:
                if u1 == 1 and M[z + ARMED] != 0 and t >= M[z + BLOCKED_UNTIL]:
                    M[z + ARMED] = 0
                    M[z + BLOCKED_UNTIL] = max(M[z + BLOCKED_UNTIL], t + SP[y + COOLDOWN_US])
                    weak = False
                    if SP[y + CONF_SLOT] >= 0:
                        weak = not (F[U8(SP[y + CONF_SLOT] * S + j)] >= FSP[s * SPEC_FLOATS + CONFIDENCE_MIN])
                    if weak:
                        did = DID_S1_WEAK
                    else:
                        ev[ne * 4] = j
                        ev[ne * 4 + 1] = s
                        ev[ne * 4 + 2] = DID_S1
                        ev[ne * 4 + 3] = 0
                        ne += 1
                        M[z + SIGNAL_T] = t
                        phase[s] = SIGNALLED
                        ph = SIGNALLED
            if ph == SIGNALLED:  # also in the row that made S1 true
                if SP[y + O1_SLOT] >= 0 and U[U8(SP[y + O1_SLOT] * S + j)] == 1:
                    did = DID_O1_WHEN
                elif SP[y + AFTER_US] > 0 and t >= M[z + SIGNAL_T] + SP[y + AFTER_US]:
                    did = DID_O1_AFTER
                elif U[U8(SP[y + Z1_SLOT] * S + j)] == 1 and tops[j] == 0 and M[z + WAITS] == 0:
                    did = DID_Z1  # tops[j]: an unconfirmed print waits
                if did != 0:
                    phase[s] = ENTERING if did == DID_Z1 else IDLE
            if did != 0:
                ev[ne * 4] = j
                ev[ne * 4 + 1] = s
                ev[ne * 4 + 2] = did
                ev[ne * 4 + 3] = rule
                ne += 1
        j += 1
        if ne > 0:
            out[0] = ne
            return j
    return j1


# ---- the in-kernel policy of sweeps: market orders of a fixed quantity, int64 cash ----------------
PENDING_T: Final = 0  # arrival of the order in flight; 0 = none
PENDING_LOTS: Final = 1  # lots to trade, positive
PENDING_ROW: Final = 2  # the row that decided it
COOLDOWN: Final = 3  # microseconds that S1 rests after the exit's fill: E1's
CASH: Final = 4  # tick-lots * 1e4, fees in it
TRADES: Final = 5  # fills
CLOSED: Final = 6  # round trips
POLICY_WORDS: Final = 7

# words of a fill in the log; out[1] counts the fills, logged or not
FILL_MACHINE: Final = 0
FILL_ROW: Final = 1  # the row that decided the order
FILL_T: Final = 2
FILL_LOTS: Final = 3  # signed: positive is bought
FILL_PRICE: Final = 4
FILL_WORDS: Final = 5


@inline
def policy_fill(s, i, phase, M, MF, SP, R, pst, orders, log, out, fee_e4, slip_ppm, bar_only):
    """Fill the order in flight before row i where it is due; the core's rules, without partial fills."""
    z = s * WORDS
    o = s * POLICY_WORDS
    sign = SP[s * SPEC_WORDS + SIGN]
    entering = phase[s] == ENTERING
    buy = (sign > 0) == entering
    if bar_only:
        if R[KIND, i] != _BAR:
            return
        px = R[OPEN, i]
        if buy:
            px = -((-px * (1000000 + slip_ppm)) // 1000000)
        else:
            px = max(1, (px * (1000000 - slip_ppm)) // 1000000)
    else:
        px = R[ASK, i - 1] if buy else R[BID, i - 1]
    t = orders[o + PENDING_T]
    q = orders[o + PENDING_LOTS]
    k = out[1] * FILL_WORDS
    if k + FILL_WORDS <= log.shape[0]:
        log[k + FILL_MACHINE] = s
        log[k + FILL_ROW] = orders[o + PENDING_ROW]
        log[k + FILL_T] = t
        log[k + FILL_LOTS] = q if buy else -q
        log[k + FILL_PRICE] = px
    out[1] += 1
    orders[o + CASH] -= px * q * fee_e4
    orders[o + TRADES] += 1
    orders[o + PENDING_T] = 0
    if entering:
        orders[o + CASH] -= sign * px * q * 10000
        orders[o + COOLDOWN] = 0
        M[z + QTY] = q
        M[z + COST] = px * q
        M[z + ENTRY_T] = t
        M[z + BEST] = 0
        M[z + BUSY] = 0
        M[z + FIRED] = 0
        MF[s] = np.nan
        for k in range(SP[s * SPEC_WORDS + POS_STATE0], SP[s * SPEC_WORDS + POS_STATE1]):
            pst[k] = -1
        phase[s] = IN_POSITION
    else:
        orders[o + CASH] += sign * px * q * 10000
        orders[o + CLOSED] += 1
        M[z + QTY] = 0
        M[z + BUSY] = 0
        M[z + BLOCKED_UNTIL] = max(M[z + BLOCKED_UNTIL], t + orders[o + COOLDOWN])
        phase[s] = IDLE


@inline
def policy_fills(i, phase, M, MF, SP, R, pst, orders, log, out, fee_e4, slip_ppm, bar_only):
    """Fill everything that is due before row i, in the order of arrival; return the next arrival."""
    t = R[T, i]
    while True:
        first = -1
        due = _FAR
        for s in range(phase.shape[0]):
            p = orders[s * POLICY_WORDS + PENDING_T]
            if p != 0 and p < due:
                due = p
                first = s
        if due > t:
            return due
        policy_fill(first, i, phase, M, MF, SP, R, pst, orders, log, out, fee_e4, slip_ppm, bar_only)
        if orders[first * POLICY_WORDS + PENDING_T] != 0:
            return t + 1  # no bar: ask again at the next row


@entry
def policy_scan(
    n, base, row0, active, phase, M, MF, SP, FSP, RU, R, tops, U, F, S, pos_code, pos_fpar, reg, pst, ev, out,
    orders, log, lots, latency, fee_e4, slip_ppm, bar_only,
):  # fmt: skip
    """Run a whole block with fills in the kernel: every entry trades `lots`, every exit closes all."""
    find_active(0, n, active, phase, M, SP, U, S)
    if active[phase.shape[0]] == 0:
        return
    for j in range(n):  # no print is an outlier here
        tops[S + j] = R[BID, base + j]
        tops[2 * S + j] = R[ASK, base + j]
    j = 0
    due = _FAR
    for s in range(phase.shape[0]):
        if orders[s * POLICY_WORDS + PENDING_T] != 0:
            due = min(due, orders[s * POLICY_WORDS + PENDING_T])
    while j < n:
        stop = n
        if due != _FAR:
            stop = j
            while stop < n and R[T, base + stop] < due:
                stop += 1
            if stop == j:
                due = policy_fills(
                    base + j, phase, M, MF, SP, R, pst, orders, log, out, fee_e4, slip_ppm, bar_only
                )  # fmt: skip
                stop = n if due == _FAR else j + 1
        j = scan(
            j, stop, n, base, active, phase, M, MF, SP, FSP, RU, R, tops, U, F, S, pos_code, pos_fpar, reg, pst,
            ev, out,
        )  # fmt: skip
        for e in range(out[0]):
            s = ev[e * 4 + 1]
            did = ev[e * 4 + 2]
            o = s * POLICY_WORDS
            if did == DID_E1:
                orders[o + COOLDOWN] = RU[
                    (SP[s * SPEC_WORDS + RULE0] + ev[e * 4 + 3]) * RULE_WORDS + RULE_COOLDOWN_US
                ]
            if did == DID_Z1 or (
                did >= DID_TAKE_PROFIT and orders[o + PENDING_T] == 0
            ):  # E1 sends nothing new
                orders[o + PENDING_T] = R[T, base + ev[e * 4]] + latency
                orders[o + PENDING_LOTS] = lots if did == DID_Z1 else M[s * WORDS + QTY]
                orders[o + PENDING_ROW] = row0 + ev[e * 4]
                due = min(due, orders[o + PENDING_T])


class RuleMachines:
    """The machines of one instrument and their state; `scan` runs them over the engine's block."""

    def __init__(
        self, engine: InstrumentEngine, *, confidence_min: float, flags: OutlierFlags | None = None
    ) -> None:
        """Without `flags` no print is an outlier."""
        machines = engine.program.machines
        self.engine = engine
        self.flags = flags or OutlierFlags(sigma=0.0, window_us=0, confirm_us=0, block_max=engine.block_max)
        self.codes: tuple[MachineCode, ...] = machines
        n = len(machines)
        self.words: NDArray[np.int64] = np.zeros(n * WORDS, np.int64)
        self.words[ARMED::WORDS] = 1
        self.pnl_max: NDArray[np.float64] = np.full(max(1, n), np.nan)
        spec, floats, rules = _specs(machines, confidence_min)
        self.spec = spec
        self.floats = np.concatenate((floats, [engine.tick, engine.lot]))
        self.rules = rules
        self.pos_state: NDArray[np.int64] = np.full(max(1, engine.program.n_pos_state), -1, np.int64)
        self.events: NDArray[np.int64] = np.zeros((2 * n + 1) * 4, np.int64)
        self._event_words = self.events.data  # read through a view a word costs half
        self.out: NDArray[np.int64] = np.zeros(2, np.int64)
        self._active: NDArray[np.int64] = np.zeros(n + 1, np.int64)
        self._registers: NDArray[np.float64] = np.zeros(max(1, engine.program.n_reg))
        self._rows = 0
        self.bind()

    def bind(self) -> None:
        """Cache the kernel's arguments; call again after the engine has replaced an array."""
        e = self.engine
        self._ring = e.ring
        self.args = (
            self._active, e.phase, self.words, self.pnl_max, self.spec, self.floats, self.rules, e.ring,
            self.flags.tops, e.U, e.F, e.block_max, e.program.pos_code, e.program.pos_fpar, self._registers,
            self.pos_state, self.events, self.out,
        )  # fmt: skip

    def new_block(self, base: int, rows: int) -> None:
        """Say that the engine has a new block of so many rows at ring index `base`.

        Its prints are flagged, and who is active is found anew.
        """
        self.flags.load(self.engine.ring, base, rows)
        self._rows = rows
        self._active[-1] = -1
        if self.engine.ring is not self._ring:
            self.bind()

    def scan(self, start: int, stop: int, base: int) -> int:
        """Run rows [start, stop) of the block up to and including the first with a decision.

        `base` is the ring index of the block's row 0. Returns the next row; `decisions()` lists what was
        decided.
        """
        return int(scan(start, stop, self._rows, base, *self.args))

    def find_active_again(self) -> None:
        """Have the scan look anew for machines that can act: one has left idle inside the block."""
        self._active[-1] = -1

    def decisions(self) -> list[tuple[int, int, int]]:
        """Return (machine, what, rule) of the last scan's stopping row, in machine order."""
        words, count = self._event_words, self.out.item(0)
        if count == 1:
            return [(words[1], words[2], words[3])]
        return [(words[k], words[k + 1], words[k + 2]) for k in range(1, count * 4, 4)]

    def reset_position_state(self, machine: int) -> None:
        """Forget what position rules counted: `for` restarts at the first fill."""
        start, stop = self.codes[machine].pos_state
        if start < stop:
            self.pos_state[start:stop] = -1
        self.pnl_max[machine] = NAN

    def state(self) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
        """Return copies of everything that a snapshot keeps."""
        return {
            "phase": self.engine.phase.copy(),
            "words": self.words.copy(),
            "pnl_max": self.pnl_max.copy(),
            "pos_state": self.pos_state.copy(),
            **self.flags.state(),
        }

    def restore(self, state: dict[str, NDArray[np.int64] | NDArray[np.float64]]) -> None:
        """Continue from `state()`."""
        self.engine.phase[:] = state["phase"]
        self.words[:] = state["words"]
        self.pnl_max[:] = state["pnl_max"]
        self.pos_state[:] = state["pos_state"]
        self.flags.restore(state)
        self._active[-1] = -1


def _specs(
    machines: tuple[MachineCode, ...], confidence_min: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    spec = np.zeros(len(machines) * SPEC_WORDS, np.int64)
    floats = np.zeros(len(machines) * SPEC_FLOATS)
    rules: list[tuple[int, int, int, int, int]] = []
    for k, code in enumerate(machines):
        strategy = code.strategy
        protect, cancel, minimum = strategy.protect, strategy.cancel, strategy.signal.confidence_min
        y = spec[k * SPEC_WORDS : (k + 1) * SPEC_WORDS]
        y[S1_SLOT], y[O1_SLOT], y[Z1_SLOT], y[CONF_SLOT] = code.s1, code.o1, code.z1, code.confidence
        y[AFTER_US] = (cancel.after_us or 0) if cancel else 0
        y[COOLDOWN_US] = strategy.signal.cooldown_us
        y[SIGN] = 1 if strategy.side is PositionSide.LONG else -1
        y[RULE0], y[N_E1], y[N_ZE1] = len(rules), len(code.emergencies), len(code.exits)
        y[HOLDING_MAX_US] = protect.holding_max_us or 0
        y[POS_STATE0], y[POS_STATE1] = code.pos_state
        f = floats[k * SPEC_FLOATS : (k + 1) * SPEC_FLOATS]
        f[TAKE_PROFIT] = float(protect.take_profit or 0)
        f[TRAILING_STOP] = float(protect.trailing_stop or 0)
        f[CONFIDENCE_MIN] = confidence_min if minimum is None else float(minimum)
        written = (*strategy.emergencies, *strategy.exits)
        for rule, text in zip((*code.emergencies, *code.exits), written, strict=True):
            rules.append((rule.slot, rule.pos_start, rule.pos_end, text.cooldown_us, int(rule.waits)))
    return spec, floats, np.array(rules or [(0, 0, 0, 0, 0)], np.int64).reshape(-1)
