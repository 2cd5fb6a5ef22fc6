"""Whether the daemon lives, whether it trades, and what it stands on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, Literal

from botd.api import models as m
from botd.api.routes import Call, Context

LAG_MAX_S: Final = 2.0  # of the trading loop: then new entries are held as well
ROW_AGE_MAX_S: Final = 60.0
DISK_MIN_BYTES: Final = 5_000_000_000
MEMORY_MAX: Final = 0.9


def health(context: Context, _: Call) -> m.Health:
    """Say that somebody is there. Nothing of it is about money."""
    facts = context.facts
    desk = context.reload()
    last = desk.last() if desk is not None else None
    return m.Health(
        status="alive",
        version=facts.version,
        mode=facts.mode,
        uptime_s=max(0.0, (context.clock.now_us() - facts.started_us) / 1e6),
        session_id=facts.session_id or None,
        trading_state=facts.trading_state,
        last_row_age_s=_row_age_s(context),
        config_hash=facts.config().config_hash,
        config_state="ok" if last is None or last.ok else "stale",
    )


def readiness(context: Context) -> m.Readiness:
    """Say whether the session trades."""
    facts, lag_s = context.facts, context.facts.lag_s()
    checks = {
        "session": m.Check(ok=bool(facts.session_id), detail=facts.session_id or "no session is open yet"),
        "trading": m.Check(
            ok=facts.trades,
            detail=f"rows are judged, {facts.trading_state}" if facts.trades else "starting, or stopping",
        ),
        "loop": m.Check(ok=lag_s < LAG_MAX_S, detail=f"{lag_s:.3f} s late"),
    }
    return m.Readiness(ready=all(one.ok for one in checks.values()), checks=checks)


def deep_health(context: Context, _: Call) -> m.DeepHealth:
    """Look at what the daemon stands on; runs in a thread of the library."""
    age_s, lag_s = _row_age_s(context), context.facts.lag_s()
    failing = {"books": _books(context), "loop": m.Check(ok=lag_s < LAG_MAX_S, detail=f"{lag_s:.3f} s late")}
    warning = {
        "disk": _disk(context.library.folder),
        "memory": _memory(),
        "feed": m.Check(
            ok=age_s is not None and age_s < ROW_AGE_MAX_S,
            detail="no row yet" if age_s is None else f"the last row came {age_s:.1f} s ago",
        ),
    }
    status: Literal["ok", "warn", "fail"] = "ok"
    if not all(one.ok for one in failing.values()):
        status = "fail"
    elif not all(one.ok for one in warning.values()):
        status = "warn"
    return m.DeepHealth(status=status, checks=failing | warning)


def _row_age_s(context: Context) -> float | None:
    at_us = context.facts.row_at_us
    return max(0.0, (context.clock.now_us() - at_us) / 1e6) if at_us else None


def _books(context: Context) -> m.Check:
    books = context.library.books()  # where there are none, the answer is a problem of its own
    return m.Check(ok=True, detail=f"{len(books.sessions())} sessions can be read")


def _disk(folder: Path) -> m.Check:
    free = shutil.disk_usage(folder).free
    return m.Check(ok=free >= DISK_MIN_BYTES, detail=f"{free / 1e9:.1f} GB free")


def _memory() -> m.Check:
    """Judge the machine's memory by what the kernel counts as available."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        used = 1 - known["MemAvailable"] / known["MemTotal"]
    except (OSError, KeyError, ValueError, IndexError):
        return m.Check(ok=True, detail="this machine does not say")
    return m.Check(ok=used <= MEMORY_MAX, detail=f"{used:.0%} used")
