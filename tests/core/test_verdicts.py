"""What errors say about requests: the table, and that whatever is not in it is unknown."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import pytest

from botd.core.verdicts import Verdict, verdict

REFUSALS = (
    "InsufficientFunds",
    "InvalidOrder",
    "OrderNotFillable",
    "OrderImmediatelyFillable",
    "BadRequest",
    "BadSymbol",
    "InvalidNonce",
    "AuthenticationError",
    "PermissionDenied",
    "AccountSuspended",
    "MarketClosed",
)
# classes of ccxt that say nothing of the order, its bases among them
UNCLEAR = (
    "BaseError",
    "ExchangeError",
    "OperationFailed",
    "NetworkError",
    "RequestTimeout",
    "ExchangeNotAvailable",
    "OnMaintenance",
    "DDoSProtection",
    "OrderNotFound",
    "OperationRejected",
)


def found(name: str, *, venue: str = "binance", http: int | None = None, code: str = "") -> Verdict:
    return verdict(venue, name, http=http, code=code)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_by_name_is_definite(name: str) -> None:
    assert found(name) is Verdict.REFUSED
    assert found(name, http=400, code="-9999") is Verdict.REFUSED


@pytest.mark.parametrize("name", UNCLEAR)
def test_B4_error_that_is_no_refusal_leaves_it_open(name: str) -> None:
    assert found(name) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "name", ["BadResponse", "NullResponse", "KeyError", "JSONDecodeError", "", "Nonsense"]
)
def test_B5_answer_that_nobody_can_read_leaves_it_open(name: str) -> None:
    assert found(name, http=200) is Verdict.UNKNOWN


@pytest.mark.parametrize("http", [500, 502, 503, 504, 520, 599])
@pytest.mark.parametrize(
    "name", ["InvalidOrder", "InsufficientFunds", "AuthenticationError", "DuplicateOrderId"]
)
def test_B4_server_error_leaves_it_open_whatever_the_class_says(name: str, http: int) -> None:
    assert found(name, http=http) is Verdict.UNKNOWN


@pytest.mark.parametrize("code", ["-1006", "-1007"])
@pytest.mark.parametrize("http", [None, 200, 400, 503])
def test_B4_binance_says_that_the_status_is_unknown(code: str, http: int | None) -> None:
    assert found("InvalidOrder", http=http, code=code) is Verdict.UNKNOWN


@pytest.mark.parametrize("code", ["10000", "10016"])
def test_B4_bybit_says_that_its_server_failed(code: str) -> None:
    assert found("InvalidOrder", venue="bybit", http=200, code=code) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("venue", "name", "code"),
    [
        ("binance", "DuplicateOrderId", ""),
        ("binance", "InvalidOrder", "-4116"),
        ("bybit", "InvalidOrder", "110072"),
        ("simulated", "DuplicateOrderId", "-4116"),
    ],
)
def test_B8_duplicate_id_is_evidence_of_an_order(venue: str, name: str, code: str) -> None:
    assert found(name, venue=venue, http=400, code=code) is Verdict.EXISTS


@pytest.mark.parametrize(
    ("venue", "name", "http", "code"),
    [
        ("binance", "RateLimitExceeded", None, ""),
        ("binance", "ExchangeError", 429, ""),
        ("binance", "DDoSProtection", 429, "-1003"),
        ("binance", "DDoSProtection", None, "-1003"),
        ("bybit", "ExchangeError", 200, "10006"),
        ("elsewhere", "DDoSProtection", 429, "-1003"),
    ],
)
def test_B15_too_many_requests_were_not_looked_at(venue: str, name: str, http: int | None, code: str) -> None:
    assert found(name, venue=venue, http=http, code=code) is Verdict.RATE_LIMITED


@pytest.mark.parametrize("name", ["RateLimitExceeded", "DDoSProtection", "InvalidOrder", "Nonsense"])
@pytest.mark.parametrize("code", ["", "-1003", "-1007"])
def test_F2_ban_goes_before_everything_else(name: str, code: str) -> None:
    assert found(name, http=418, code=code) is Verdict.BANNED


def test_F5_time_stamp_outside_of_the_window_was_refused() -> None:
    assert found("InvalidNonce", http=400, code="-1021") is Verdict.REFUSED
    assert found("ExchangeError", http=400, code="-1021") is Verdict.REFUSED


def test_code_of_one_venue_says_nothing_at_another() -> None:
    assert found("InvalidOrder", venue="bybit", code="-1007") is Verdict.REFUSED
    assert found("ExchangeError", venue="simulated", code="110072") is Verdict.UNKNOWN
