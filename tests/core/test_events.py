"""What commands and answers are made of."""

from __future__ import annotations

from botd.core.events import DecisionKey, Section
from botd.core.instrument import InstrumentId


def test_decision_key_as_text_names_all_its_parts() -> None:
    key = DecisionKey("s", InstrumentId("BTC/USDT"), 3, Section.ZE1, "half", 2)
    assert str(key) == "s|BTC/USDT|3|ZE1|half|2"
