from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from botd.telemetry import (
    JsonFormatter,
    PatientHandler,
    TextFormatter,
    configure_logging,
    redact,
    redact_value,
)


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
        ("{'X-BAPI-SIGN': 'abc', 'x': 1}", "{'X-BAPI-SIGN': '***', 'x': 1}"),
        ("POST https://api.telegram.org/bot123456:AA-b_c/send", "POST https://api.telegram.org/bot***/send"),
        ("listen on https://host:8080/path", "listen on https://host:8080/path"),
        ("order 12 filled at 0.5", "order 12 filled at 0.5"),
    ],
)
def test_N1_secrets_are_hidden_in_texts(text: str, shown: str) -> None:  # noqa: N802 - the fault's id
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


# ---- a log that cannot be written ---------------------------------------------------------------


class Pipe:
    """A pipe whose reader has gone to sleep, filled to the brim."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        os.set_blocking(self.into, False)
        self.filling = 0
        with suppress(BlockingIOError):
            while True:
                self.filling += os.write(self.into, b"x" * 4096)
        os.set_blocking(self.into, True)

    def read_until(self, end: str) -> list[str]:
        """Return the lines behind the filling, the last of them the first that ends so."""
        text = ""
        while not text.endswith(f"{end}\n"):
            data = os.read(self.out, 65536)
            skipped = min(self.filling, len(data))
            self.filling -= skipped
            text += data[skipped:].decode()
        return text.splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for descriptor in (pipe.out, pipe.into):
        os.close(descriptor)


def test_H12_reader_that_does_not_read_holds_nobody_up(pipe: Pipe) -> None:  # noqa: N802 - the fault's id
    handler = PatientHandler(pipe.into, lines_max=10)
    for k in range(50):
        handler.handle(record(f"line {k}"))  # returns
    assert handler.lost in (39, 40)  # one may be on its way already
    assert pipe.read_until("or at all")[:2] == ["line 0", "line 1"]
    handler.close()


def test_H12_lost_lines_are_said_once_there_is_room_again(pipe: Pipe) -> None:  # noqa: N802 - the fault's id
    handler = PatientHandler(pipe.into, lines_max=3)
    for k in range(9):
        handler.handle(record(f"line {k}"))
    *kept, said = pipe.read_until("or at all")
    assert kept == [f"line {k}" for k in range(len(kept))]
    assert said.startswith(f"{9 - len(kept)} log lines were lost")
    handler.handle(record("later"))
    assert pipe.read_until("later") == ["later"]
    handler.close()
    assert handler.lost == 0


def test_H12_full_disk_loses_lines_and_says_how_many_later(tmp_path: Path) -> None:  # noqa: N802 - the id
    full = os.open("/dev/full", os.O_WRONLY)
    handler = PatientHandler(full)
    for k in range(7):
        handler.handle(record(f"line {k}"))
    handler.flush()
    assert handler.lost == 7
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, full)  # somebody has made room
    handler.handle(record("and on"))
    handler.close()
    assert (tmp_path / "log").read_text().splitlines() == [
        "and on",
        "7 log lines were lost: the log could not be written fast enough, or at all",
    ]
    for descriptor in (full, log):
        os.close(descriptor)


def test_H12_lost_lines_are_said_at_the_end(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    full = os.open("/dev/full", os.O_WRONLY)
    handler = PatientHandler(full)
    handler.handle(record("gone"))
    handler.flush()
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, full)
    handler.close()
    assert (tmp_path / "log").read_text().startswith("1 log lines were lost")
    handler.handle(record("after the end"))
    assert handler.lost == 1
    for descriptor in (full, log):
        os.close(descriptor)


def test_H12_end_does_not_wait_for_a_reader_that_does_not_read(pipe: Pipe) -> None:  # noqa: N802 - the id
    handler = PatientHandler(pipe.into)
    handler.handle(record("never read"))
    handler.close()  # returns


def test_non_blocking_stream_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.into, False)
    handler = PatientHandler(pipe.into)
    for k in range(100):
        handler.handle(record(f"line {k}"))
    assert pipe.read_until("line 99") == [f"line {k}" for k in range(100)]
    handler.close()


def test_line_that_cannot_be_made_is_reported_and_breaks_nothing(tmp_path: Path) -> None:
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    handler = PatientHandler(log)
    handler.handle(record("%d", "x"))
    handler.handle(record("lone surrogate \ud800"))
    handler.close()
    os.close(log)
    bad, odd = (tmp_path / "log").read_text().splitlines()
    assert bad.startswith("a log line of botd.runtime cannot be made: TypeError: %d format")
    assert odd == "lone surrogate \\ud800"


def test_stream_with_a_descriptor_is_written_by_a_thread(root_logger: logging.Logger, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        configure_logging(form="text", stream=stream)
        assert isinstance(root_logger.handlers[0], PatientHandler)
        logging.getLogger("botd.x").warning("to disk")
        configure_logging(form="text", stream=io.StringIO())  # closes the one before
        assert (tmp_path / "log").read_text().endswith("to disk\n")
