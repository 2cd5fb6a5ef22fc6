from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from botd.telemetry import JsonFormatter, TextFormatter, configure_logging, redact, redact_value


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("botd.runtime", logging.WARNING, "x.py", 1, message, arguments, None)
    made.created = 1_700_000_000.123456  # 2023-11-14 22:13:20 UTC
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_json_line_has_time_level_logger_message_and_fields() -> None:
    line = JsonFormatter().format(record("order %s denied", 7, reason="balance", limit=0.5, gone=None))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "logger": "botd.runtime",
        "message": "order 7 denied",
        "reason": "balance",
        "limit": 0.5,
        "gone": None,
    }


def test_json_line_is_valid_for_values_that_json_does_not_have() -> None:
    line = JsonFormatter().format(record("x", value=float("nan"), level="own", many={"b", "a"}, raw=b"\xff"))
    parsed = json.loads(line, parse_constant=pytest.fail)
    assert parsed["value"] == "nan"
    assert (parsed["level"], parsed["level_"]) == ("warning", "own")
    assert parsed["many"] == ["a", "b"]


def test_values_nested_without_end_are_cut() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "…" in json.dumps(redact_value(endless), ensure_ascii=False)


def test_exception_and_stack_are_in_the_line() -> None:
    try:
        raise ValueError("token=abc123def")
    except ValueError as error:
        failed = record("failed", exc_info=(type(error), error, error.__traceback__), stack_info="Stack here")
    parsed = json.loads(JsonFormatter().format(failed))
    assert "ValueError: token=***" in parsed["exception"]
    assert parsed["stack"] == "Stack here"
    text = TextFormatter().format(failed)
    assert text.startswith("2023-11-14T22:13:20.123Z warning  failed\nTraceback")
    assert text.endswith("Stack here")
    assert "abc123def" not in text


def test_text_line_is_for_people() -> None:
    line = TextFormatter().format(record("order denied", reason="balance"))
    assert line == "2023-11-14T22:13:20.123Z warning  order denied reason=balance"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("api_key=abc", "api_key=***"),
        ("apiKey: abc, symbol: BTC", "apiKey: ***, symbol: BTC"),
        ('{"secret": "a b", "side": "buy"}', '{"secret": "***", "side": "buy"}'),
        ("{'password': 'hunter2'}", "{'password': '***'}"),
        ("GET /x?signature=deadbeef&symbol=BTC", "GET /x?signature=***&symbol=BTC"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("sent Bearer abcdefgh12345", "sent Bearer ***"),
        ("postgresql://bot:pa55@host/db", "postgresql://bot:***@host/db"),
        ("X-MEXC-APIKEY=abc", "X-MEXC-APIKEY=***"),
        ("listen on https://host:8080/path", "listen on https://host:8080/path"),
        ("order 12 filled at 0.5", "order 12 filled at 0.5"),
    ],
)
def test_secrets_are_hidden_in_texts(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_secrets_are_hidden_by_the_name_of_the_field_at_any_depth() -> None:
    line = JsonFormatter().format(
        record("x", api_secret="abc", headers={"X-Auth-Token": "abc", "nested": [{"password": ["abc"]}]})
    )
    assert "abc" not in line
    assert json.loads(line)["headers"] == {"X-Auth-Token": "***", "nested": [{"password": "***"}]}


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)
    yield root
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


def test_configured_logging_writes_once_to_its_stream(root_logger: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(level="info", form="text", stream=first)
    configure_logging(level="warning", form="json", stream=second)
    logging.getLogger("botd.x").info("quiet")
    logging.getLogger("botd.x").warning("loud", extra={"count": 3})
    assert first.getvalue() == ""
    assert [json.loads(line)["message"] for line in second.getvalue().splitlines()] == ["loud"]
