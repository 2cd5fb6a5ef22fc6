"""Every section that can end a trade has its marker on the screen."""

from __future__ import annotations

import pytest

from botd.core.bot import Bot
from botd.core.events import Section
from tests.runtime.screens import Records
from tests.runtime.test_terminal import frame_of, row_with, screen_of, text_of


@pytest.mark.parametrize("section", [Section.MANUAL, Section.EXTERNAL, Section.PROTECT])
def test_picture_shows_a_trade_that_any_section_ended(bot: Bot, make: Records, section: Section) -> None:
    trade = make.trade("5.00", "0.50", exit_section=section, exit_rule="liquidation")
    text = text_of(frame_of(screen_of(bot, [trade])), width=120)
    assert f" {section} " in row_with(text, "14:0", "+4.50")
