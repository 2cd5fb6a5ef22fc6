"""The daemon's HTTP API: all that the dashboard can do to a bot goes through here."""

from __future__ import annotations

import json
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

ACT_TIMEOUT_S: Final = 10.0  # the daemon waits for its own loop before it answers
LOOK_TIMEOUT_S: Final = 0.5
ANSWER_MAX: Final = 1_000_000
_TOKEN: Final = ("BOTD_API_TOKEN", "BOTD_API_TOKEN_TRADER")
_TOKEN_FILE: Final = "BOTD_API_TOKEN_TRADER_FILE"
_TOKEN_NAMES: Final = ("api-token-trader", "api-trader.token")  # beside the state file


class ActionFailed(Exception):
    """The daemon did not do what was asked. The message is one line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One daemon's API. The token is read when something is asked, and kept nowhere."""

    address: str
    folder: Path  # of the state file

    def halt(self, reason: str, *, key: str) -> None:
        """Ask that no new risk is taken."""
        self._post("/api/trading/halt", {"reason": reason}, key)

    def resume(self, reason: str, *, key: str) -> None:
        """Ask that every halt is lifted."""
        self._post("/api/trading/resume", {"reason": reason}, key)

    def close(self, position_id: str, *, key: str) -> None:
        """Ask that a position is closed at market."""
        self._post(f"/api/trading/positions/{quote(position_id, safe='')}/close", {}, key)

    def cancel(self, order_id: str, *, key: str) -> None:
        """Ask that an order is cancelled."""
        self._post(f"/api/trading/orders/{quote(order_id, safe='')}/cancel", {}, key)

    def reload(self, *, key: str) -> None:
        """Ask that the files are read again."""
        self._post("/api/reload", {}, key)

    def answers(self) -> bool:
        """Say whether the daemon answers at all."""
        try:
            with _OPENER.open(f"{self.address}/health", timeout=LOOK_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    def _post(self, path: str, body: Mapping[str, Any], key: str) -> None:
        """Post once. The key tells the daemon that a second try is the same request."""
        request = urllib.request.Request(
            f"{self.address}{path}",
            data=json.dumps(body).encode(),
            method="POST",
            headers={
                "Authorization": f"Bearer {find_token(self.folder)}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            },
        )
        try:
            with _OPENER.open(request, timeout=ACT_TIMEOUT_S) as answer:
                answer.read(ANSWER_MAX)
        except urllib.error.HTTPError as error:
            with error:
                raise ActionFailed(_told(error.code, error.read(ANSWER_MAX))) from None
        except TimeoutError:
            raise ActionFailed(
                "the daemon did not answer in time: it may or may not have done it; look before you try again"
            ) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", error)
            raise ActionFailed(
                f"no daemon at {self.address} ({why}); without its API, 'botd halt' and 'botd resume' work"
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address it is for, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


# No proxy: the API is on this machine or an address that was given.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def find_token(folder: Path) -> str:
    """Return the trader's token: from the environment, a file it names, or the state folder."""
    for name in _TOKEN:
        if token := os.environ.get(name, "").strip():
            return token
    named = os.environ.get(_TOKEN_FILE)
    for path in [Path(named)] if named else [folder / name for name in _TOKEN_NAMES]:
        if path.is_file():
            return _read(path)
    raise ActionFailed(
        f"no API token: neither {_TOKEN[0]} is set nor is there {folder / _TOKEN_NAMES[0]}; "
        "the daemon makes that file when it starts"
    )


def _read(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ActionFailed(f"others can read the API token in {path}; run chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ActionFailed(f"cannot read the API token in {path}: {error.strerror}") from error


def _told(status: int, body: bytes) -> str:
    """Return what the daemon said about a refusal, as one line."""
    try:
        told = json.loads(body)
        error = told["error"]
        code, message = (
            (error["code"], error["message"]) if isinstance(error, dict) else (error, told["message"])
        )
        text = f"{message} ({code})"
    except (ValueError, KeyError, TypeError):
        text = "it gave no reason"
    return f"the daemon refused: {' '.join(text.split())} [{status}]"
