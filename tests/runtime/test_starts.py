"""The log of starts: what counts towards a crash loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from botd.errors import InputInvalid
from botd.runtime.starts import STARTS_NAME, StartLog

MINUTE = 60_000_000
NOW = 1_790_000_000_000_000


def test_G12_starts_without_a_clean_end_are_counted(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    counts = [StartLog(tmp_path).begin(NOW + k * MINUTE) for k in range(6)]
    assert counts == [1, 2, 3, 4, 5, 6]


def test_G12_clean_end_begins_the_count_anew(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    log = StartLog(tmp_path)
    for k in range(4):
        log.begin(NOW + k)
    log.settle()
    assert log.begin(NOW + 9) == 1
    log.settle()
    log.settle()
    assert not (tmp_path / STARTS_NAME).exists()


def test_G12_starts_before_the_last_ten_minutes_do_not_count(tmp_path: Path) -> None:  # noqa: N802 - the id
    log = StartLog(tmp_path)
    assert [log.begin(NOW + k * 3 * MINUTE) for k in range(9)] == [1, 2, 3, 4, 4, 4, 4, 4, 4]


def test_G12_clock_that_was_set_back_hides_no_start(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    log = StartLog(tmp_path)
    for _ in range(4):
        log.begin(NOW)
    assert log.begin(NOW - 5 * MINUTE) == 5


@pytest.mark.parametrize("text", ["", "[1790000", "{}x", "7", '["x"]', "\x00"])
def test_damaged_log_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / STARTS_NAME).write_text(text)
    assert StartLog(tmp_path).begin(NOW) == 1


def test_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = StartLog(tmp_path)
    assert [log.begin(NOW + k) for k in range(100)][-1] == 20


def test_start_that_cannot_be_noted_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{STARTS_NAME}.tmp").mkdir()
    with pytest.raises(InputInvalid, match=r"cannot write .*starts\.json: Is a directory; make room for it"):
        StartLog(tmp_path).begin(NOW)
