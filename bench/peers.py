"""Make one virtual environment per peer: their pins collide. A peer that cannot be installed is named.

usage: python bench/peers.py [NAME ...]     environments go to BOTD_BENCH_PEERS (bench/peers by default)
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(os.environ.get("BOTD_BENCH_PEERS", ROOT / "bench" / "peers")).resolve()
UV = ROOT / ".venv" / "bin" / "uv"

# What each environment holds. `base` is the hand-written numba loop, the floor under every engine.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "base": ("numpy", "numba", "pyarrow"),
    "vectorbt": ("vectorbt", "pyarrow"),
    "hftbacktest": ("hftbacktest", "pyarrow"),
    "nautilus": ("nautilus_trader==1.221.0", "numpy", "pyarrow"),
    "backtrader": ("backtrader", "numpy", "pandas", "pyarrow"),
    "freqtrade": ("freqtrade", "pyarrow"),
}


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return PEERS / peer / "bin" / "python"


def reason_file(peer: str) -> Path:
    """Return the file that says why a peer could not be installed."""
    return PEERS / f"{peer}.failed"


def prepare(peer: str) -> str | None:
    """Install a peer once; return why it cannot be had, or None."""
    done = PEERS / f"{peer}.installed"
    wanted = "\n".join(PACKAGES[peer]) + "\n"
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return None
    PEERS.mkdir(parents=True, exist_ok=True)
    env: dict[str, str] = runpy.run_path(str(ROOT / "scripts" / "setup.py"), run_name="setup")[
        "uv_environment"
    ]()
    steps = (
        [str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(PEERS / peer)],
        [str(UV), "pip", "install", "--quiet", "--python", str(python_of(peer)), *PACKAGES[peer]],
    )
    for step in steps:
        result = subprocess.run(step, env=env, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
            reason_file(peer).write_text("\n".join(lines) + "\n", encoding="utf-8")
            return lines[-1] if lines else f"the installer ended with code {result.returncode}"
    reason_file(peer).unlink(missing_ok=True)
    done.write_text(wanted, encoding="utf-8")
    return None


def main(names: list[str]) -> int:
    """Prepare the named peers, or all of them, and say which could not be had."""
    failed = 0
    for peer in names or PACKAGES:
        reason = prepare(peer)
        failed += reason is not None
        print(f"{peer}: {reason or 'ready'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
