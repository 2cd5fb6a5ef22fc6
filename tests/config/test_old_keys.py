from __future__ import annotations

import pytest

from botd.config.models import (
    ConfigFile,
    ExecutionFile,
    LifecycleFile,
    LimitsShape,
    RiskFile,
    ShutdownFile,
)
from botd.config.old_keys import OLD_KEYS, advice_for_old_key, snake_case
from botd.config.strategy_schema import KEYS


def test_old_keys_are_known_in_both_spellings() -> None:
    said = "'{}' is a key of the old configuration; write positions_max in configs/risk.yaml, such as 5"
    assert advice_for_old_key("maxPositions") == said.format("maxPositions")
    assert advice_for_old_key("max_positions") == said.format("max_positions")


def test_todays_key_in_the_wrong_place_is_not_called_old() -> None:
    assert (
        advice_for_old_key("stop_loss")
        == "'stop_loss' does not belong here; write protect: { stop_loss: 2% } in the strategy file"
    )


@pytest.mark.parametrize("key", ["strategy", "positions_max", "tick", "S1", ""])
def test_other_keys_get_no_advice(key: str) -> None:
    assert advice_for_old_key(key) is None


def test_snake_case_takes_capitals_and_dashes() -> None:
    assert snake_case("maxHoldingTimeMinutes") == "max_holding_time_minutes"
    assert snake_case("max-retries") == "max_retries"


def test_no_old_key_is_a_key_of_todays_files_at_the_top() -> None:
    shapes = (ConfigFile, RiskFile, LifecycleFile, ExecutionFile, ShutdownFile, LimitsShape)
    today = {key for shape in shapes for key in shape.model_fields} | set(KEYS)
    assert today.isdisjoint(OLD_KEYS)
