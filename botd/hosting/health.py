"""Whether a container is well, for its HEALTHCHECK: `python -m botd.hosting.health`, exit code 0 or 1.

It asks what the container's first process was told to run, and loads nothing: it is run every half minute.
"""

from __future__ import annotations

import http.client
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ANSWER_S: Final = 4.0  # each; the image gives both of them 10 s
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def addresses(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return what to ask, by name, of a container whose first process is this command."""
    words = list(command)
    after = words[words.index("container") + 1 :] if "container" in words else []
    found = {}
    if after[:1] != ["dashboard"] and environment.get("BOTD_API_ENABLED") != "false":
        found["API"] = f"http://127.0.0.1:{environment.get('BOTD_API_PORT', '8080')}/health"
    if after[:1] != ["run"]:
        found["dashboard"] = (
            f"http://127.0.0.1:{environment.get('BOTD_DASHBOARD_PORT', '8501')}/_stcore/health"
        )
    return found


def fault_of(address: str) -> str:
    """Return what is wrong with an address, nothing where it answers as it should."""
    try:
        with _OPENER.open(address, timeout=ANSWER_S):
            return ""
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


def main() -> int:
    """Ask, and say what came of it in one line."""
    first = Path("/proc/1/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    faults = {name: fault_of(one) for name, one in addresses(first, os.environ).items()}
    sys.stdout.write("; ".join(f"{name}: {fault or 'well'}" for name, fault in faults.items()) + "\n")
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
