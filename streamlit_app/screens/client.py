"""The daemon's HTTP API: all that the dashboard can do to a bot goes through here."""

from __future__ import annotations

import http.client
import json
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

ACT_TIMEOUT_S: Final = 10.0  # the daemon waits for its own loop before it answers
RELOAD_TIMEOUT_S: Final = 40.0  # new engines are warmed
LOOK_TIMEOUT_S: Final = 0.5
ANSWER_MAX: Final = 1_000_000
TOKEN: Final = "BOTD_API_TOKEN_TRADER"
TOKEN_FILE: Final = f"{TOKEN}_FILE"
TOKEN_NAME: Final = "api-token-trader"  # beside the state file


class ActionFailed(Exception):
    """The daemon did not do what was asked, or nobody knows. The message is one line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One daemon's API. The token is read when something is asked, and kept nowhere.

    What acts returns whether it is done, or only asked for yet, and raises ActionFailed. The key tells the
    daemon that a second try is the same request.
    """

    address: str
    folder: Path  # of the state file

    def halt(self, reason: str, *, key: str) -> bool:
        """Ask that no new risk is taken."""
        return self._post("/api/trading/halt", {"reason": reason}, key)

    def resume(self, reason: str, *, key: str) -> bool:
        """Ask that every halt is lifted."""
        return self._post("/api/trading/resume", {"reason": reason}, key)

    def close(self, position_id: str, *, key: str) -> bool:
        """Ask that a position is closed at market."""
        return self._post(f"/api/trading/positions/{quote(position_id, safe='')}/close", {}, key)

    def cancel(self, order_id: str, *, key: str) -> bool:
        """Ask that an order is cancelled."""
        return self._post(f"/api/trading/orders/{quote(order_id, safe='')}/cancel", {}, key)

    def reload(self, *, key: str) -> bool:
        """Ask that the files are read again."""
        return self._post("/api/reload", {}, key, timeout_s=RELOAD_TIMEOUT_S)

    def answers(self) -> bool:
        """Say whether the daemon answers at all."""
        try:
            with _OPENER.open(f"{self.address}/health", timeout=LOOK_TIMEOUT_S) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def _post(
        self, path: str, body: Mapping[str, Any], key: str, *, timeout_s: float = ACT_TIMEOUT_S
    ) -> bool:
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
            with _OPENER.open(request, timeout=timeout_s) as answer:
                answer.read(ANSWER_MAX)
                return bool(answer.status != HTTPStatus.ACCEPTED)
        except urllib.error.HTTPError as error:
            with error:
                raise ActionFailed(_told(error.code, error.read(ANSWER_MAX))) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ConnectionRefusedError):
                raise ActionFailed(
                    f"no daemon at {self.address}; without its API 'botd halt' and 'botd resume' still work"
                ) from None
            raise ActionFailed(
                "the daemon gave no clear answer: it may or may not have done it; look before you try again"
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address it is for, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


# No proxy: the API is on this machine or at the address that was given.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def find_token(folder: Path) -> str:
    """Return the trader's token: from the environment, the file it names, or the state folder."""
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        token = _read(Path(os.environ.get(TOKEN_FILE) or folder / TOKEN_NAME))
    if not token or not token.isascii() or not token.isprintable():  # never shown, not even in part
        raise ActionFailed("the API token is empty or has characters that no token has")
    return token


def _read(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ActionFailed(f"others can read the API token in {path}; run chmod 600 {path}")
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        raise ActionFailed(
            f"no API token: {TOKEN} is not set and there is no {path}; the daemon makes that file"
        ) from None
    except OSError as error:
        raise ActionFailed(f"cannot read the API token in {path}: {error.strerror}") from None


def _told(status: int, body: bytes) -> str:
    """Return what the daemon said about a refusal, as one line."""
    try:
        told = json.loads(body)
        if told.get("ok") is False:  # what came of a reload
            text = f"{len(told['errors'])} faults in the files; the Configuration page shows each"
        elif isinstance(told["error"], dict):
            text = f"{told['error']['message']} ({told['error']['code']})"
        else:
            text = f"{told['message']} ({told['error']})"
    except (ValueError, KeyError, TypeError, AttributeError):
        text = "it gave no reason"
    return f"the daemon refused: {' '.join(text.split())} [{status}]"
