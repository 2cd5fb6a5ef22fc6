"""What an error says about the request that met it. Whatever is not known to be a refusal is unknown.

Names are those of ccxt's exceptions, codes the venues' own. Sources: the class tree of ccxt 4.5, Binance's
general API information ("HTTP 5XX ... execution status UNKNOWN") and error codes, Bybit's error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What became of a request for an order."""

    REFUSED = "refused"  # looked at, and not carried out
    RATE_LIMITED = "rate_limited"  # not looked at: too many of them
    BANNED = "banned"  # not looked at, nor is any other for a while
    EXISTS = "exists"  # the venue has an order of this id
    UNKNOWN = "unknown"  # carried out or not


_OF_NAME: Final[Mapping[str, Verdict]] = {
    "RateLimitExceeded": Verdict.RATE_LIMITED,
    "DuplicateOrderId": Verdict.EXISTS,
    **dict.fromkeys(
        (
            *("InsufficientFunds", "InvalidOrder", "OrderNotFillable", "OrderImmediatelyFillable"),
            *("BadRequest", "BadSymbol", "ArgumentsRequired", "NotSupported", "ContractUnavailable"),
            *("InvalidNonce", "AuthenticationError", "PermissionDenied", "AccountSuspended"),
            *("AccountNotEnabled", "MarketClosed", "ManualInteractionNeeded", "RestrictedLocation"),
        ),
        Verdict.REFUSED,
    ),
}
# a venue's own codes say more than the class that a library makes of them
_OF_CODE: Final[Mapping[tuple[str, str], Verdict]] = {
    ("bybit", "110072"): Verdict.EXISTS,  # ccxt: InvalidOrder
    ("bybit", "10006"): Verdict.RATE_LIMITED,
    ("bybit", "10000"): Verdict.UNKNOWN,  # server timeout
    ("bybit", "10016"): Verdict.UNKNOWN,  # server error
    ("binance", "-1003"): Verdict.RATE_LIMITED,
    ("binance", "-1006"): Verdict.UNKNOWN,  # unexpected response
    ("binance", "-1007"): Verdict.UNKNOWN,  # timeout: send status unknown
    ("binance", "-1021"): Verdict.REFUSED,  # outside of recvWindow
    ("binance", "-4116"): Verdict.EXISTS,  # duplicated client order id, USD-M
}
GONE: Final = frozenset({"BadSymbol", "ContractUnavailable"})  # refused, and so will be all that follow
_BANNED: Final = 418
_RATE_LIMITED: Final = 429
_SERVER_ERRORS: Final = 500


def verdict(venue: str, name: str, *, http: int | None, code: str) -> Verdict:
    """Return what an error at a venue says about the request."""
    if http == _BANNED:
        return Verdict.BANNED
    found = _OF_CODE.get((venue, code))
    if found is not None:
        return found
    if http == _RATE_LIMITED:
        return Verdict.RATE_LIMITED
    if http is not None and http >= _SERVER_ERRORS:
        return Verdict.UNKNOWN
    return _OF_NAME.get(name, Verdict.UNKNOWN)
