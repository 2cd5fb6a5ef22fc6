"""What the daemon loads before it trades: each library that it does not need is time without stops."""

from __future__ import annotations

import subprocess
import sys

UNNEEDED = ("sqlalchemy", "alembic", "pyarrow", "pandas", "ccxt", "greenlet", "botd.simulation")


def test_daemon_loads_nothing_that_trading_does_not_need() -> None:
    code = (
        "import sys; import botd.daemon, botd.machine, botd.runtime.terminal, botd.telemetry; "
        f"sys.exit(' '.join(sorted(set({UNNEEDED!r}) & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
