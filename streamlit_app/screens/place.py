"""Where the dashboard's bot is: its state file and its API, told by the environment."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

STATE: Final = "BOTD_STATE"
API: Final = "BOTD_API"
_STATE_DEFAULT: Final = "state/botd.sqlite3"
_API_FILE: Final = "api-address"  # in the state folder
_API_DEFAULT: Final = "http://127.0.0.1:8080"


def state_path() -> Path:
    """Return the path of the state file."""
    return Path(os.environ.get(STATE) or _STATE_DEFAULT)


def api_address() -> str:
    """Return the address of the daemon's API, without a slash at its end: the daemon writes it down."""
    told = os.environ.get(API, "").strip()
    if not told:
        with suppress(OSError):
            told = (state_path().parent / _API_FILE).read_text(encoding="utf-8").strip()
    return (told or _API_DEFAULT).rstrip("/")
