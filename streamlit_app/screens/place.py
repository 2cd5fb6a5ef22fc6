"""Where the dashboard's bot is: its state file and its API, told by the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

STATE: Final = "BOTD_STATE"
API: Final = "BOTD_API"
_STATE_DEFAULT: Final = "state/botd.sqlite3"
_API_DEFAULT: Final = "http://127.0.0.1:8080"


def state_path() -> Path:
    """Return the path of the state file."""
    return Path(os.environ.get(STATE) or _STATE_DEFAULT)


def api_address() -> str:
    """Return the address of the daemon's API, without a slash at its end."""
    return (os.environ.get(API) or _API_DEFAULT).rstrip("/")
