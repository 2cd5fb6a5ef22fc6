"""Stage 1: prefix sums and the block machine that computes every column of a program.

Each instruction loops over a block of rows, so live (one row) and batch (hundreds) run the same code
and give the same bits. What accumulates is int64; prefix sums may wrap, their differences are exact.
Scale last: `sum / length * tick`, never `sum * tick / length`, which breaks exact ties.

`stage1(base, n, *args)` takes the arguments of `InstrumentEngine.args`, in this order:
  code i8[n*8], fpar f8[n]   the program, see language.opcodes
  R i8[N_COLUMNS, cap]       the ring; rows base .. base+n hold their input columns
  hdr i8[16]                 words H_* below
  F f8, U u1, C i8           planes: slot s, row j of the block at s*S + j
  ist i8, fst f8             node states; row numbers in them are absolute
  dq i8, br i8, sr f8        rings of deques, closed bars, samples
  hist f8[n_hist, cap]       value histories beside the ring
  links i8                   ist offsets of the deques, then of the bar builders
  phase i8[n_machines]       0 idle; written by stage 2 only
  tick f8, lot f8            one tick and one lot
It returns 0, or changes nothing and returns GROW_DEQUES or GROW_BARS: call `InstrumentEngine.grow`
with it and call again.
"""

from __future__ import annotations

import math
from typing import Final

from botd.engine.jit import U8, entry, inline, jit
from botd.engine.layout import (
    ASK,
    ASZ,
    BID,
    BSZ,
    CUM_BUY,
    CUM_N,
    CUM_PT,
    CUM_PT_HIGH,
    CUM_PV,
    CUM_PV_HIGH,
    CUM_RUSH,
    CUM_V,
    HIGH,
    KIND,
    LOW,
    MARK,
    N_INPUT,
    OPEN,
    SIDE,
    P,
    Q,
    RowKind,
    T,
)
from botd.engine.wide import high_product, wide
from botd.language.opcodes import (
    ABS,
    ADD,
    ADDC,
    AGO,
    AGOU,
    AND,
    ASK_SIZE,
    B_ATR,
    B_EMA,
    B_HIGHEST,
    B_LAST,
    B_LOWEST,
    B_MACD,
    B_MACD_SIGNAL,
    B_RSI,
    B_SMA,
    B_STDDEV,
    B_ZSCORE,
    BAR,
    BEST_ASK,
    BEST_BID,
    BID_SIZE,
    CHANGE,
    CHANGE0,
    CROSS,
    CROSS_BARS,
    DAY_OF_WEEK,
    DIV,
    DIVCF,
    DIVFC,
    EDGE,
    EQ,
    FOR,
    FUNDING_RATE,
    GUARD,
    HIGHW,
    HIST,
    HISTU,
    IFF,
    IMBALANCE,
    LE,
    LECF,
    LEFC,
    LOWW,
    LT,
    LTCF,
    LTFC,
    MARK_PRICE,
    MAX,
    MID,
    MIN,
    MUL,
    MULC,
    NE,
    NEG,
    NEVER,
    NOT,
    OR,
    PRICE,
    SELLS,
    SELLS0,
    SLOPEW,
    SPREAD,
    SPREAD_PRICE,
    STDDEVW,
    SUB,
    SUBCF,
    SUBFC,
    SUM,
    SUM0,
    TIME_OF_DAY,
    TWPA,
    TWPA0,
    VWAP,
    VWAP0,
    ZSCORE,
)

NAN: Final = math.nan
_TRADE: Final = int(RowKind.TRADE)
_BAR: Final = int(RowKind.BAR)
_FUNDING: Final = int(RowKind.FUNDING)
DAY_US: Final = 86_400_000_000

# words of hdr
H_END: Final = 0  # rows in the ring
H_FIRST: Final = 1  # absolute row number of ring index 0
H_NEED: Final = 2  # bit c: prefix column CUM_PT + c is computed
H_S: Final = 3  # stride of the planes
H_DQ_CAP: Final = 4  # power of two
H_DQ_SLACK: Final = 5  # rows that surely fit before deque sizes are looked at again
H_BR_CAP: Final = 6  # power of two
H_BR_KEEP: Final = 7  # closed bars that operators look back
H_N_DEQUE: Final = 8
H_N_BAR: Final = 9
H_BAR_US: Final = 10  # length of BAR rows where known, else 0
H_RUSH_T: Final = 11  # the buy group being read: its time, first price, whether it counts already
H_RUSH_P: Final = 12
H_RUSH_DONE: Final = 13
HDR_WORDS: Final = 16

GROW_DEQUES: Final = 1
GROW_BARS: Final = 2

_NEED_PT: Final = 1
_NEED_V: Final = 1 << (CUM_V - CUM_PT)
_NEED_PV: Final = 1 << (CUM_PV - CUM_PT)
_NEED_N: Final = 1 << (CUM_N - CUM_PT)
_NEED_BUY: Final = 1 << (CUM_BUY - CUM_PT)
_NEED_RUSH: Final = 1 << (CUM_RUSH - CUM_PT)


@inline
def prefix(R, base, n, hdr):
    """Compute the prefix columns that windows of the program read."""
    need = hdr[H_NEED]
    end = base + n
    k0 = base - 1
    if need & _NEED_PT:
        if base > 0:
            s = R[CUM_PT, U8(k0)]
            h = R[CUM_PT_HIGH, U8(k0)]
            t0 = R[T, U8(k0)]
            p0 = R[P, U8(k0)]
        else:
            s = 0
            h = 0
            t0 = R[T, U8(0)]
            p0 = R[P, U8(0)]
        for k in range(base, end):
            t = R[T, U8(k)]
            s += p0 * (t - t0)
            h += high_product(p0, t - t0)
            t0 = t
            p0 = R[P, U8(k)]
            R[CUM_PT, U8(k)] = s
            R[CUM_PT_HIGH, U8(k)] = h
    if need & _NEED_V:
        s = R[CUM_V, U8(k0)] if base > 0 else 0
        for k in range(base, end):
            s += R[Q, U8(k)]
            R[CUM_V, U8(k)] = s
    if need & _NEED_PV:
        s = R[CUM_PV, U8(k0)] if base > 0 else 0
        h = R[CUM_PV_HIGH, U8(k0)] if base > 0 else 0
        for k in range(base, end):
            s += R[P, U8(k)] * R[Q, U8(k)]
            h += high_product(R[P, U8(k)], R[Q, U8(k)])
            R[CUM_PV, U8(k)] = s
            R[CUM_PV_HIGH, U8(k)] = h
    if need & _NEED_N:
        s = R[CUM_N, U8(k0)] if base > 0 else 0
        for k in range(base, end):
            s += int(R[KIND, U8(k)] == _TRADE)
            R[CUM_N, U8(k)] = s
    if need & _NEED_BUY:
        s = R[CUM_BUY, U8(k0)] if base > 0 else 0
        for k in range(base, end):
            s += R[Q, U8(k)] if R[SIDE, U8(k)] > 0 else 0
            R[CUM_BUY, U8(k)] = s
    if need & _NEED_RUSH:
        s = R[CUM_RUSH, U8(k0)] if base > 0 else 0
        for k in range(base, end):
            if R[SIDE, U8(k)] > 0 and R[KIND, U8(k)] == _TRADE:
                if R[T, U8(k)] != hdr[H_RUSH_T]:
                    hdr[H_RUSH_T] = R[T, U8(k)]
                    hdr[H_RUSH_P] = R[P, U8(k)]
                    hdr[H_RUSH_DONE] = 0
                elif hdr[H_RUSH_DONE] == 0 and R[P, U8(k)] != hdr[H_RUSH_P]:
                    hdr[H_RUSH_DONE] = 1
                    s += 1
            R[CUM_RUSH, U8(k)] = s


@inline
def k_edge(R, base, n, first, lag, ist, io, C, o):
    c = ist[io] - first
    if c < -1:
        c = -1
    for j in range(n):
        i = base + j
        lim = R[T, U8(i)] - lag
        if c + 4 <= i:  # independent compares: no mispredicted branch where a few rows leave at once
            c += (
                int(R[T, U8(c + 1)] <= lim)
                + int(R[T, U8(c + 2)] <= lim)
                + int(R[T, U8(c + 3)] <= lim)
                + int(R[T, U8(c + 4)] <= lim)
            )
        while R[T, U8(c + 1)] <= lim:  # ends at row i at the latest: lag > 0
            c += 1
        C[o + U8(j)] = c
    if c >= 0:
        ist[io] = c + first


@inline
def k_extreme(R, base, n, first, C, a, b, has_to, F, o, sign, dq, d0, cap, ist, io, tick):
    """High (sign 1) or low (-1) of rows [edge, end]: the price standing at the start counts too."""
    h = ist[io]
    t = ist[io + 1]
    nx = ist[io + 2]
    if nx < first:
        nx = first
    m = cap - 1
    for j in range(n):
        last = base + j
        if has_to:
            last = C[b + U8(j)]
        last += first
        while nx <= last:
            v = sign * R[P, U8(nx - first)]
            while t > h and dq[U8(d0 + cap + ((t - 1) & m))] <= v:
                t -= 1
            dq[U8(d0 + (t & m))] = nx
            dq[U8(d0 + cap + (t & m))] = v
            t += 1
            nx += 1
        lo = C[a + U8(j)]
        if lo < 0 or R[P, U8(lo)] <= 0:  # before the first trade no price stands
            F[o + U8(j)] = NAN
        else:
            lo += first
            while dq[U8(d0 + (h & m))] < lo:
                h += 1
            F[o + U8(j)] = float(sign * dq[U8(d0 + cap + (h & m))]) * tick
    ist[io] = h
    ist[io + 1] = t
    ist[io + 2] = nx


@inline
def k_stddev(R, base, n, first, C, a, b, has_to, F, o, ist, io, tick):
    """Deviation of trade prices: integer sums of the window, rebased to the last price."""
    drop = ist[io]
    add = ist[io + 1]
    if drop < first:
        drop = first
    if add < first:
        add = first
    cnt = ist[io + 2]
    s1 = ist[io + 3]
    s2 = ist[io + 4]
    h2 = ist[io + 5]  # its high word
    for j in range(n):
        last = base + j
        if has_to:
            last = C[b + U8(j)]
        while add <= last + first:
            k = add - first
            if R[KIND, U8(k)] == _TRADE:
                p = R[P, U8(k)]
                cnt += 1
                s1 += p
                s2 += p * p
                h2 += high_product(p, p)
            add += 1
        lo = C[a + U8(j)]
        if lo < 0:
            F[o + U8(j)] = NAN
        else:
            while drop <= lo + first:
                k = drop - first
                if R[KIND, U8(k)] == _TRADE:
                    p = R[P, U8(k)]
                    cnt -= 1
                    s1 -= p
                    s2 -= p * p
                    h2 -= high_product(p, p)
                drop += 1
            if cnt == 0:
                F[o + U8(j)] = NAN
            else:
                r = R[P, U8(last)]
                d1 = float(s1 - cnt * r) / float(cnt)
                low = s2 - 2 * r * s1 + cnt * r * r
                high = h2 - 2 * high_product(r, s1) + high_product(cnt * r, r)
                d2 = wide(high, low) / float(cnt)
                v = d2 - d1 * d1
                F[o + U8(j)] = math.sqrt(v) * tick if v > 0.0 else 0.0
    ist[io] = drop
    ist[io + 1] = add
    ist[io + 2] = cnt
    ist[io + 3] = s1
    ist[io + 4] = s2
    ist[io + 5] = h2


@inline
def k_slope(R, base, n, first, unit, C, a, b, has_to, F, o, ist, io, tick):
    """Least-squares price per second over the rows of a window; time in whole units of a 2^20th of it."""
    drop = ist[io]
    add = ist[io + 1]
    if drop < first:
        drop = first
    if add < first:
        add = first
    cnt = ist[io + 2]
    sx = ist[io + 3]
    sy = ist[io + 4]
    sxx = ist[io + 5]
    sxy = ist[io + 6]
    sh = ist[io + 7]  # y in units of 2^20, and its products
    sxh = ist[io + 8]
    for j in range(n):
        last = base + j
        if has_to:
            last = C[b + U8(j)]
        while add <= last + first:
            x = R[T, U8(add - first)] // unit
            y = R[P, U8(add - first)]
            cnt += 1
            sx += x
            sy += y
            sxx += x * x
            sxy += x * y
            sh += y >> 20
            sxh += x * (y >> 20)
            add += 1
        lo = C[a + U8(j)]
        if lo < 0:
            F[o + U8(j)] = NAN
        else:
            while drop <= lo + first:
                x = R[T, U8(drop - first)] // unit
                y = R[P, U8(drop - first)]
                cnt -= 1
                sx -= x
                sy -= y
                sxx -= x * x
                sxy -= x * y
                sh -= y >> 20
                sxh -= x * (y >> 20)
                drop += 1
            F[o + U8(j)] = NAN
            if cnt > 1 and R[P, U8(lo)] > 0:
                x0 = R[T, U8(last)] // unit
                y0 = R[P, U8(last)]
                fn = float(cnt)
                fx = float(sx - cnt * x0)
                fy = float(sy - cnt * y0)
                fxx = float(sxx - 2 * x0 * sx + cnt * x0 * x0)
                h0 = y0 >> 20
                high = sxh - x0 * sh - h0 * sx + cnt * x0 * h0
                rest = sxy - x0 * sy - y0 * sx + cnt * x0 * y0 - high * 1048576
                fxy = float(high + (rest >> 20)) * 1048576.0 + float(rest & 1048575)
                var = fxx - fx * fx / fn
                if var > 0.0:
                    F[o + U8(j)] = (fxy - fx * fy / fn) / var * (1000000.0 / float(unit)) * tick
    ist[io] = drop
    ist[io + 1] = add
    ist[io + 2] = cnt
    ist[io + 3] = sx
    ist[io + 4] = sy
    ist[io + 5] = sxx
    ist[io + 6] = sxy
    ist[io + 7] = sh
    ist[io + 8] = sxh


@inline
def k_zscore(R, base, n, window, every, floor, F, a, o, sr, ist, io, fst, fo):
    """Current value against samples taken at multiples of `every` strictly before now.

    ist: previous row's time, next sample's time, oldest sample in the window, ready samples, offset and
    capacity in sr. fst: previous value, mean, deviation. The sums are made anew,
    oldest first, whenever the set of samples changes: they do not remember where history began.
    """
    before = ist[io]
    nxt = ist[io + 1]
    oldest = ist[io + 2]
    ready = ist[io + 3]
    off = ist[io + 4]
    cap = ist[io + 5]
    xp = fst[fo]
    mean = fst[fo + 1]
    dev = fst[fo + 2]
    for j in range(n):
        t = R[T, U8(base + j)]
        x = F[a + U8(j)]
        changed = False
        if before == NEVER:
            nxt = -((-t) // every) * every
            oldest = nxt
        elif nxt < t:
            reach = (t - window) // every * every
            if nxt < reach:  # samples that no window reaches are not taken
                nxt = reach
            while nxt < t:
                sr[U8(off + (nxt // every) % cap)] = xp
                nxt += every
            changed = True
        if oldest <= t - window:
            oldest = (t - window) // every * every + every
            changed = True
        if changed:
            ready = 0
            s = 0.0
            ref = 0.0
            k = oldest
            while k < nxt:
                v = sr[U8(off + (k // every) % cap)]
                if v == v:
                    if ready == 0:
                        ref = v
                    ready += 1
                    s += v - ref  # equal samples deviate by exactly nothing
                k += every
            if ready > 0:
                mean = ref + s / float(ready)
                s = 0.0
                k = oldest
                while k < nxt:
                    v = sr[U8(off + (k // every) % cap)]
                    if v == v:
                        s += (v - mean) * (v - mean)
                    k += every
                dev = math.sqrt(s / float(ready))
        d = dev if dev > floor else floor
        if ready == 0 or 4 * ready * every < window or not d > 0.0:
            F[o + U8(j)] = NAN
        else:
            F[o + U8(j)] = (x - mean) / d
        before = t
        xp = x
    ist[io] = before
    ist[io + 1] = nxt
    ist[io + 2] = oldest
    ist[io + 3] = ready
    fst[fo] = xp
    fst[fo + 1] = mean
    fst[fo + 2] = dev


@inline
def close_bar(br, b0, cap, nb, op, hi, lo, cl, vo):
    s = nb & (cap - 1)
    br[U8(b0 + s)] = op
    br[U8(b0 + cap + s)] = hi
    br[U8(b0 + 2 * cap + s)] = lo
    br[U8(b0 + 3 * cap + s)] = cl
    br[U8(b0 + 4 * cap + s)] = vo


@inline
def k_bar(R, base, n, tf, bar_us, ist, io, br, b0, cap, C, o):
    """Build bars aligned to the epoch from trades, or from shorter BAR rows stamped at their close.

    The bar in which history begins is left out unless it is whole. An empty bar is flat at the last
    close. Trades at a bar's end belong to the next bar; a BAR row belongs to the bar it ends in.
    """
    nb = ist[io]
    t0 = ist[io + 1]
    op = ist[io + 2]
    hi = ist[io + 3]
    lo = ist[io + 4]
    cl = ist[io + 5]
    vo = ist[io + 6]
    traded = ist[io + 7]
    for j in range(n):
        i = U8(base + j)
        t = R[T, i]
        kind = R[KIND, i]
        p = R[P, i]
        x = t - 1 if kind == _BAR else t  # the last instant whose trades the row holds
        if t0 == NEVER:
            if p <= 0:  # no price yet
                C[o + U8(j)] = nb
                continue
            t0 = x - x % tf
            if kind == _BAR:
                whole = t - bar_us <= t0 if bar_us > 0 else t - t0 == tf
            else:
                whole = t == t0
            if not whole:
                t0 += tf
            op = hi = lo = cl = p
            vo = 0
            traded = 0
        while x >= t0 + tf:
            close_bar(br, b0, cap, nb, op, hi, lo, cl, vo)
            nb += 1
            t0 += tf
            op = hi = lo = cl
            vo = 0
            traded = 0
        if kind == _TRADE:
            if x < t0:
                op = hi = lo = cl = p
            else:
                if traded == 0:
                    op = hi = lo = p
                    traded = 1
                hi = max(hi, p)
                lo = min(lo, p)
                cl = p
                vo += R[Q, i]
        elif kind == _BAR:
            if x < t0:
                op = hi = lo = cl = p
            else:
                if traded == 0:
                    op = R[OPEN, i]
                    hi = R[HIGH, i]
                    lo = R[LOW, i]
                    traded = 1
                hi = max(hi, R[HIGH, i])
                lo = min(lo, R[LOW, i])
                cl = p
                vo += R[Q, i]
                if t >= t0 + tf:
                    close_bar(br, b0, cap, nb, op, hi, lo, cl, vo)
                    nb += 1
                    t0 += tf
                    op = hi = lo = cl
                    vo = 0
                    traded = 0
        C[o + U8(j)] = nb
    ist[io] = nb
    ist[io + 1] = t0
    ist[io + 2] = op
    ist[io + 3] = hi
    ist[io + 4] = lo
    ist[io + 5] = cl
    ist[io + 6] = vo
    ist[io + 7] = traded


@inline
def k_sma(n, L, C, a, br, x0, m, ist, io, fst, fo, F, o, scale):
    """Moving sums of whole numbers: exact, so they do not remember where history began."""
    done = ist[io]
    ago = ist[io + 1]
    s = ist[io + 2]
    v = fst[fo]
    div = float(L)
    for j in range(n):
        closed = C[a + U8(j)]
        while done < closed:
            i = done - ago
            done += 1
            if i >= 0:
                s += br[U8(x0 + (i & m))]
                if i >= L:
                    s -= br[U8(x0 + ((i - L) & m))]
                if i + 1 >= L:
                    v = float(s) / div
        F[o + U8(j)] = v * scale
    ist[io] = done
    ist[io + 2] = s
    fst[fo] = v


@inline
def u_ema(br, x0, m, i, L, ist, io, fst, fo):
    x = br[U8(x0 + (i & m))]
    if i < L:
        ist[io + 2] += x
        if i == L - 1:
            fst[fo] = float(ist[io + 2]) / float(L)
    else:
        fst[fo] += (float(x) - fst[fo]) * (2.0 / float(L + 1))


@inline
def u_rsi(br, x0, m, i, L, fst, fo):
    if i == 0:
        return
    d = float(br[U8(x0 + (i & m))] - br[U8(x0 + ((i - 1) & m))])
    up = d if d > 0.0 else 0.0
    down = -d if d < 0.0 else 0.0
    fl = float(L)
    if i <= L:
        fst[fo + 1] += up
        fst[fo + 2] += down
        if i == L:
            fst[fo + 1] /= fl
            fst[fo + 2] /= fl
    else:
        fst[fo + 1] = (fst[fo + 1] * (fl - 1.0) + up) / fl
        fst[fo + 2] = (fst[fo + 2] * (fl - 1.0) + down) / fl
    if i >= L:
        s = fst[fo + 1] + fst[fo + 2]
        fst[fo] = 100.0 * (fst[fo + 1] / s) if s > 0.0 else NAN


@inline
def u_extreme(br, x0, m, i, L, sign, fst, fo):
    if i + 1 < L:
        return
    v = sign * br[U8(x0 + (i & m))]
    for k in range(i - L + 1, i):
        v = max(v, sign * br[U8(x0 + (k & m))])
    fst[fo] = float(sign * v)


@inline
def u_deviation(br, x0, m, i, L, zscore, fst, fo):
    if i + 1 < L:
        return
    s = 0
    for k in range(i - L + 1, i + 1):
        s += br[U8(x0 + (k & m))]
    mean = float(s) / float(L)
    v = 0.0
    for k in range(i - L + 1, i + 1):
        d = float(br[U8(x0 + (k & m))]) - mean
        v += d * d
    dev = math.sqrt(v / float(L))
    if zscore:
        fst[fo] = (float(br[U8(x0 + (i & m))]) - mean) / dev if dev > 0.0 else NAN
    else:
        fst[fo] = dev


@inline
def u_macd(br, x0, m, i, signal_line, ist, io, fst, fo):
    """Both averages are seeded at the slow one's first bar, the signal line with its first values' mean."""
    fast = ist[io + 3]
    slow = ist[io + 4]
    signal = ist[io + 5]
    xi = br[U8(x0 + (i & m))]
    x = float(xi)
    ist[io + 2] += xi if i < slow else 0
    if i < slow - 1:
        return
    if i == slow - 1:
        s = 0
        for k in range(slow - fast, slow):
            s += br[U8(x0 + (k & m))]
        fst[fo + 1] = float(s) / float(fast)
        fst[fo + 2] = float(ist[io + 2]) / float(slow)
    else:
        fst[fo + 1] += (x - fst[fo + 1]) * (2.0 / float(fast + 1))
        fst[fo + 2] += (x - fst[fo + 2]) * (2.0 / float(slow + 1))
    v = fst[fo + 1] - fst[fo + 2]
    if not signal_line:
        fst[fo] = v
        return
    k = i - (slow - 1)
    if k < signal:
        fst[fo + 3] += v
        if k == signal - 1:
            fst[fo + 3] /= float(signal)
    else:
        fst[fo + 3] += (v - fst[fo + 3]) * (2.0 / float(signal + 1))
    if k >= signal - 1:
        fst[fo] = fst[fo + 3]


@inline
def u_atr(br, b0, cap, i, L, fst, fo):
    if i == 0:
        return
    m = cap - 1
    c = br[U8(b0 + 3 * cap + ((i - 1) & m))]
    hi = max(br[U8(b0 + cap + (i & m))], c)
    lo = min(br[U8(b0 + 2 * cap + (i & m))], c)
    tr = float(hi - lo)
    fl = float(L)
    if i <= L:
        fst[fo + 1] += tr
        if i == L:
            fst[fo + 1] /= fl
    else:
        fst[fo + 1] = (fst[fo + 1] * (fl - 1.0) + tr) / fl
    if i >= L:
        fst[fo] = fst[fo + 1]


@inline
def k_bar_op(op, n, L, column, C, a, br, b0, cap, ist, io, fst, fo, F, o, scale):
    """Handle every bar that closed in the block, `ago` bars behind; other rows repeat the value."""
    done = ist[io]
    ago = ist[io + 1]
    m = cap - 1
    x0 = b0 + column * cap
    for j in range(n):
        while done < C[a + U8(j)]:
            i = done - ago
            done += 1
            if i < 0:
                continue
            if op == B_LAST:
                fst[fo] = float(br[U8(x0 + (i & m))])
            elif op == B_EMA:
                u_ema(br, x0, m, i, L, ist, io, fst, fo)
            elif op == B_RSI:
                u_rsi(br, x0, m, i, L, fst, fo)
            elif op == B_HIGHEST:
                u_extreme(br, x0, m, i, L, 1, fst, fo)
            elif op == B_LOWEST:
                u_extreme(br, x0, m, i, L, -1, fst, fo)
            elif op == B_STDDEV:
                u_deviation(br, x0, m, i, L, False, fst, fo)
            elif op == B_ZSCORE:
                u_deviation(br, x0, m, i, L, True, fst, fo)
            elif op == B_MACD:
                u_macd(br, x0, m, i, False, ist, io, fst, fo)
            elif op == B_MACD_SIGNAL:
                u_macd(br, x0, m, i, True, ist, io, fst, fo)
            else:
                u_atr(br, b0, cap, i, L, fst, fo)
        F[o + U8(j)] = fst[fo] * scale
    ist[io] = done


@inline
def k_block(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, phase, tick, lot):
    """Run the program over one block: one pass of the instructions, each a loop over the rows."""
    S = hdr[H_S]
    first = hdr[H_FIRST]
    n_code = code.shape[0] // 8
    pc = -1
    while pc < n_code - 1:
        pc += 1
        z = pc * 8
        op = code[z]
        o = U8(code[z + 1] * S)
        a = U8(code[z + 2] * S)
        b = U8(code[z + 3] * S)
        io = code[z + 4]
        fo = code[z + 5]
        ip0 = code[z + 6]
        ip1 = code[z + 7]
        if op >= B_LAST and op <= B_ATR:
            scale = tick if code[z + 3] != 4 else lot
            if op == B_RSI or op == B_ZSCORE:
                scale = 1.0
            if C[a + U8(n - 1)] == ist[io]:  # the common case: no bar closed
                v = fst[fo] * scale
                for j in range(n):
                    F[o + U8(j)] = v
            else:
                cap = hdr[H_BR_CAP]
                b0 = ip1 * 5 * cap
                if op == B_SMA:
                    x0 = b0 + code[z + 3] * cap
                    k_sma(n, ip0, C, a, br, x0, cap - 1, ist, io, fst, fo, F, o, scale)
                    continue
                k_bar_op(op, n, ip0, code[z + 3], C, a, br, b0, cap, ist, io, fst, fo, F, o, scale)
            continue
        if op == LT:
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                U[o + U8(j)] = int(x < y) | ((int(x != x) | int(y != y)) << 1)
        elif op == AND:  # undefined where either is
            for j in range(n):
                u = U[a + U8(j)]
                w = U[b + U8(j)]
                U[o + U8(j)] = (u & w & 1) | ((u | w) & 2)
        elif op == OR:
            for j in range(n):
                U[o + U8(j)] = U[a + U8(j)] | U[b + U8(j)]
        elif op == NOT:
            for j in range(n):
                U[o + U8(j)] = U[a + U8(j)] ^ 1
        elif op == LTFC:
            y = fpar[pc]
            for j in range(n):
                x = F[a + U8(j)]
                U[o + U8(j)] = int(x < y) | ((int(x != x) | int(y != y)) << 1)
        elif op == LTCF:
            x = fpar[pc]
            for j in range(n):
                y = F[a + U8(j)]
                U[o + U8(j)] = int(x < y) | ((int(x != x) | int(y != y)) << 1)
        elif op == LE:
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                U[o + U8(j)] = int(x <= y) | ((int(x != x) | int(y != y)) << 1)
        elif op == LEFC:
            y = fpar[pc]
            for j in range(n):
                x = F[a + U8(j)]
                U[o + U8(j)] = int(x <= y) | ((int(x != x) | int(y != y)) << 1)
        elif op == LECF:
            x = fpar[pc]
            for j in range(n):
                y = F[a + U8(j)]
                U[o + U8(j)] = int(x <= y) | ((int(x != x) | int(y != y)) << 1)
        elif op == EQ:
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                U[o + U8(j)] = int(x == y) | ((int(x != x) | int(y != y)) << 1)
        elif op == NE:
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                U[o + U8(j)] = int(x < y) | int(x > y) | ((int(x != x) | int(y != y)) << 1)
        elif op == ADD:
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] + F[b + U8(j)]
        elif op == SUB:
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] - F[b + U8(j)]
        elif op == MUL:
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] * F[b + U8(j)]
        elif op == DIV:
            for j in range(n):
                y = F[b + U8(j)]
                F[o + U8(j)] = F[a + U8(j)] / y if y != 0.0 else NAN
        elif op == ADDC:
            y = fpar[pc]
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] + y
        elif op == MULC:
            y = fpar[pc]
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] * y
        elif op == SUBFC:
            y = fpar[pc]
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] - y
        elif op == SUBCF:
            x = fpar[pc]
            for j in range(n):
                F[o + U8(j)] = x - F[a + U8(j)]
        elif op == DIVFC:
            y = fpar[pc]
            for j in range(n):
                F[o + U8(j)] = F[a + U8(j)] / y if y != 0.0 else NAN
        elif op == DIVCF:
            x = fpar[pc]
            for j in range(n):
                y = F[a + U8(j)]
                F[o + U8(j)] = x / y if y != 0.0 else NAN
        elif op == NEG:
            for j in range(n):
                F[o + U8(j)] = -F[a + U8(j)]
        elif op == ABS:
            for j in range(n):
                F[o + U8(j)] = abs(F[a + U8(j)])
        elif op == MIN:
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                F[o + U8(j)] = x if x < y or x != x else y
        elif op == MAX:
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                F[o + U8(j)] = x if x > y or x != x else y
        elif op == IFF:
            c = U8(ip0 * S)
            for j in range(n):
                u = U[c + U8(j)]
                F[o + U8(j)] = NAN if u > 1 else (F[a + U8(j)] if u == 1 else F[b + U8(j)])
        elif op == EDGE:
            k_edge(R, base, n, first, ip0, ist, io, C, o)
        elif op == TWPA0:
            for j in range(n):
                i = base + j
                c = C[a + U8(j)]
                if c < 0 or R[P, U8(c)] <= 0:
                    F[o + U8(j)] = NAN
                else:
                    p = R[P, U8(c)]
                    x = R[T, U8(i)] - ip0 - R[T, U8(c)]
                    s = R[CUM_PT, U8(i)] - R[CUM_PT, U8(c)] - p * x
                    h = R[CUM_PT_HIGH, U8(i)] - R[CUM_PT_HIGH, U8(c)] - high_product(p, x)
                    F[o + U8(j)] = wide(h, s) / float(ip0) * tick
        elif op == TWPA:
            for j in range(n):
                c = C[a + U8(j)]
                if c < 0 or R[P, U8(c)] <= 0:
                    F[o + U8(j)] = NAN
                else:
                    e = C[b + U8(j)]
                    now = R[T, U8(base + j)]
                    p = R[P, U8(e)]
                    x = now - ip1 - R[T, U8(e)]
                    s = R[CUM_PT, U8(e)] + p * x
                    h = R[CUM_PT_HIGH, U8(e)] + high_product(p, x)
                    p = R[P, U8(c)]
                    x = now - ip0 - R[T, U8(c)]
                    s -= R[CUM_PT, U8(c)] + p * x
                    h -= R[CUM_PT_HIGH, U8(c)] + high_product(p, x)
                    F[o + U8(j)] = wide(h, s) / float(ip0 - ip1) * tick
        elif op == SUM0:
            scale = lot if ip1 != 0 else 1.0
            for j in range(n):
                c = C[a + U8(j)]
                F[o + U8(j)] = NAN if c < 0 else float(R[U8(ip0), U8(base + j)] - R[U8(ip0), U8(c)]) * scale
        elif op == SUM:
            scale = lot if ip1 != 0 else 1.0
            for j in range(n):
                c = C[a + U8(j)]
                F[o + U8(j)] = (
                    NAN if c < 0 else float(R[U8(ip0), U8(C[b + U8(j)])] - R[U8(ip0), U8(c)]) * scale
                )
        elif op == SELLS0 or op == SELLS:
            for j in range(n):
                c = C[a + U8(j)]
                e = base + j
                if op == SELLS:
                    e = C[b + U8(j)]
                if c < 0:
                    F[o + U8(j)] = NAN
                else:
                    s = R[CUM_V, U8(e)] - R[CUM_V, U8(c)] - (R[CUM_BUY, U8(e)] - R[CUM_BUY, U8(c)])
                    F[o + U8(j)] = float(s) * lot
        elif op == VWAP0 or op == VWAP:
            for j in range(n):
                c = C[a + U8(j)]
                e = base + j
                if op == VWAP:
                    e = C[b + U8(j)]
                F[o + U8(j)] = NAN
                if c >= 0:
                    s = R[CUM_V, U8(e)] - R[CUM_V, U8(c)]
                    if s != 0:
                        h = R[CUM_PV_HIGH, U8(e)] - R[CUM_PV_HIGH, U8(c)]
                        F[o + U8(j)] = wide(h, R[CUM_PV, U8(e)] - R[CUM_PV, U8(c)]) / float(s) * tick
        elif op == CHANGE0 or op == CHANGE:
            for j in range(n):
                c = C[a + U8(j)]
                e = base + j
                if op == CHANGE:
                    e = C[b + U8(j)]
                F[o + U8(j)] = NAN
                if c >= 0 and R[P, U8(c)] != 0:
                    F[o + U8(j)] = float(R[P, U8(e)]) / float(R[P, U8(c)]) - 1.0
        elif op == HIGHW or op == LOWW:
            cap = hdr[H_DQ_CAP]
            sign = 1 if op == HIGHW else -1
            k_extreme(R, base, n, first, C, a, b, ip1 != 0, F, o, sign, dq, ip0 * 2 * cap, cap, ist, io, tick)
        elif op == BAR:
            cap = hdr[H_BR_CAP]
            k_bar(R, base, n, ip0, hdr[H_BAR_US], ist, io, br, ip1 * 5 * cap, cap, C, o)
        elif op == CROSS:  # ist: sign of the last difference
            side = ist[io]
            for j in range(n):
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                u = 2 if x != x or y != y else int(x > y and side < 0)
                if x > y:
                    side = 1
                elif x < y:
                    side = -1
                U[o + U8(j)] = u
            ist[io] = side
        elif op == CROSS_BARS:  # ist: sign of the last difference, the one at the previous bar, closed bars
            side = ist[io]
            then = ist[io + 1]
            closed = ist[io + 2]
            c = U8(ip0 * S)
            for j in range(n):
                if C[c + U8(j)] != closed:
                    closed = C[c + U8(j)]
                    then = side
                x = F[a + U8(j)]
                y = F[b + U8(j)]
                U[o + U8(j)] = 2 if x != x or y != y else int(x > y and then < 0)
                if x > y:
                    side = 1
                elif x < y:
                    side = -1
            ist[io] = side
            ist[io + 1] = then
            ist[io + 2] = closed
        elif op == FOR:  # ist: since when it has been true
            since = ist[io]
            for j in range(n):
                u = U[a + U8(j)]
                if u == 1:
                    t = R[T, U8(base + j)]
                    if since == NEVER:
                        since = t
                    U[o + U8(j)] = int(t - since >= ip0)
                else:
                    since = NEVER
                    U[o + U8(j)] = 0 if u == 0 else 2
            ist[io] = since
        elif op == GUARD:
            if phase[code[z + 3]] == 0:
                hit = 0
                for j in range(n):
                    hit |= int(U[a + U8(j)] == 1)
                if hit == 0:
                    pc += ip0
        elif op == PRICE:
            for j in range(n):
                p = R[P, U8(base + j)]
                F[o + U8(j)] = float(p) * tick if p > 0 else NAN
        elif op == BEST_BID:
            for j in range(n):
                p = R[BID, U8(base + j)]
                F[o + U8(j)] = float(p) * tick if p > 0 else NAN
        elif op == BEST_ASK:
            for j in range(n):
                p = R[ASK, U8(base + j)]
                F[o + U8(j)] = float(p) * tick if p > 0 else NAN
        elif op == BID_SIZE:
            for j in range(n):
                F[o + U8(j)] = float(R[BSZ, U8(base + j)]) * lot if R[BID, U8(base + j)] > 0 else NAN
        elif op == ASK_SIZE:
            for j in range(n):
                F[o + U8(j)] = float(R[ASZ, U8(base + j)]) * lot if R[ASK, U8(base + j)] > 0 else NAN
        elif op == MID:
            for j in range(n):
                p = R[BID, U8(base + j)]
                q = R[ASK, U8(base + j)]
                F[o + U8(j)] = float(p + q) * 0.5 * tick if p > 0 and q > 0 else NAN
        elif op == SPREAD:
            for j in range(n):
                p = R[BID, U8(base + j)]
                q = R[ASK, U8(base + j)]
                F[o + U8(j)] = float(2 * (q - p)) / float(p + q) if p > 0 and q > 0 else NAN
        elif op == SPREAD_PRICE:
            for j in range(n):
                p = R[BID, U8(base + j)]
                q = R[ASK, U8(base + j)]
                F[o + U8(j)] = float(q - p) * tick if p > 0 and q > 0 else NAN
        elif op == IMBALANCE:
            for j in range(n):
                i = U8(base + j)
                p = R[BSZ, i]
                q = R[ASZ, i]
                known = R[BID, i] > 0 and R[ASK, i] > 0 and p + q > 0
                F[o + U8(j)] = float(p - q) / float(p + q) if known else NAN
        elif op == MARK_PRICE:
            for j in range(n):
                p = R[MARK, U8(base + j)]
                F[o + U8(j)] = float(p) * tick if p > 0 else NAN
        elif op == FUNDING_RATE:  # FUNDING rows carry the rate in 1e-9 in column HIGH
            v = fst[fo]
            for j in range(n):
                if R[KIND, U8(base + j)] == _FUNDING:
                    v = float(R[HIGH, U8(base + j)]) / 1000000000.0
                F[o + U8(j)] = v
            fst[fo] = v
        elif op == TIME_OF_DAY:
            for j in range(n):
                F[o + U8(j)] = float(R[T, U8(base + j)] % DAY_US) / 1000000.0
        elif op == DAY_OF_WEEK:  # the epoch was a Thursday
            for j in range(n):
                F[o + U8(j)] = float((R[T, U8(base + j)] // DAY_US + 3) % 7)
        elif op == HIST:
            for j in range(n):
                hist[U8(ip0), U8(base + j)] = F[a + U8(j)]
        elif op == HISTU:
            for j in range(n):
                hist[U8(ip0), U8(base + j)] = float(U[a + U8(j)])
        elif op == AGO:
            for j in range(n):
                c = C[a + U8(j)]
                F[o + U8(j)] = NAN if c < 0 else hist[U8(ip0), U8(c)]
        elif op == AGOU:
            for j in range(n):
                c = C[a + U8(j)]
                u = 2
                if c >= 0:
                    u = int(hist[U8(ip0), U8(c)])
                U[o + U8(j)] = u
        elif op == ZSCORE:
            k_zscore(R, base, n, ip0, ip1, fpar[pc], F, a, o, sr, ist, io, fst, fo)
        elif op == STDDEVW:
            k_stddev(R, base, n, first, C, a, b, ip1 != 0, F, o, ist, io, tick)
        elif op == SLOPEW:
            k_slope(R, base, n, first, ip0, C, a, b, ip1 != 0, F, o, ist, io, tick)


@jit
def room(R, base, n, hdr, ist, links):
    """Say whether deques and bar rings have room for n more rows: 0, GROW_DEQUES or GROW_BARS."""
    nd = hdr[H_N_DEQUE]
    if nd > 0 and hdr[H_DQ_SLACK] < n:
        now = base + hdr[H_FIRST]
        worst = 0
        for d in range(nd):
            io = links[d]
            worst = max(worst, ist[io + 1] - ist[io] + now - max(ist[io + 2], hdr[H_FIRST]))
        hdr[H_DQ_SLACK] = hdr[H_DQ_CAP] - worst
        if hdr[H_DQ_SLACK] < n:
            return GROW_DEQUES
    t = R[T, U8(base + n - 1)]
    bars = hdr[H_BR_CAP] - hdr[H_BR_KEEP]
    for d in range(nd, nd + hdr[H_N_BAR]):
        io = links[d]
        tf = ist[io + 8]
        t0 = ist[io + 1]
        if t0 == NEVER:
            t0 = R[T, U8(base)] - tf
        if t - t0 >= tf * bars:
            return GROW_BARS
    hdr[H_DQ_SLACK] -= n
    return 0


@jit
def stage1(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot):
    """Compute prefix sums and every column of rows base .. base+n, which hold their input columns."""
    full = room(R, base, n, hdr, ist, links)
    if full != 0:
        return full
    prefix(R, base, n, hdr)
    k_block(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, phase, tick, lot)
    hdr[H_END] = base + n
    return 0


@entry
def advance(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot):
    """Run stage 1 over rows that are in the ring already."""
    return stage1(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot)


@entry
def append_rows(
    rows, base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot
):
    """Copy n rows, int64[N_INPUT, n], into the ring and run stage 1 over them."""
    for c in range(N_INPUT):
        for j in range(n):
            R[U8(c), U8(base + j)] = rows[U8(c), U8(j)]
    return stage1(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot)


@entry
def run_history(
    base, end, block, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot
):
    """Run stage 1 over rows base .. end of the ring in blocks; returns the row it stopped at.

    It stops before `end` only where deques or bar rings must grow; `room` says which.
    """
    while base < end:
        n = min(block, end - base)
        if (
            stage1(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot)
            != 0
        ):
            break
        base += n
    return base
