"""Exits while a print is unconfirmed: what reads the market waits, what looks at the position goes on."""

from __future__ import annotations

import pytest

from botd.core.events import Command
from tests.core.scene import Scene, bought, strategy, submitted

STEP = 0.0625  # seconds between prints: three of them are less than the 250 ms that confirm
LEVELS = [
    "price < 60",
    "mid < 60",
    "best_bid < 60",
    "change(10s) < -20%",
    "pnl < 90% and price < 60",
]
CROSSINGS = ["price crosses below 60", "pnl < 90% and price crosses below 60"]
SECTIONS = pytest.mark.parametrize("section", ["ze1", "e1"])


def opened(rule: str, section: str = "ze1") -> Scene:
    """A position of 10 at 102, 40 s old, and a market that stood still at 101."""
    share = ", close: 100%" if section == "ze1" else ""
    text = f"{{ name: out, when: '{rule}'{share} }}"
    scene = Scene(strategy(**{section: text}), outlier_sigma=3.0)
    bought(scene)
    for _ in range(40):
        assert scene.row(101) == []
    return scene


def prints(scene: Scene, *prices: int, step: float = STEP, **columns: int) -> list[list[Command]]:
    """Return what each print made the bot do."""
    done = []
    for price in prices:
        done.append(scene.row(price, at=scene.second + step, **columns))  # type: ignore[arg-type]
    return done


@SECTIONS
@pytest.mark.parametrize("rule", [*LEVELS, *CROSSINGS])
def test_A7_one_print_far_off_sells_nothing(rule: str, section: str) -> None:  # noqa: N802 - the fault's id
    scene = opened(rule, section)
    assert prints(scene, 50, 101, 101, 101, 101, 101) == [[]] * 6


@SECTIONS
@pytest.mark.parametrize("rule", [*LEVELS, *CROSSINGS])
def test_A7_crash_that_three_prints_confirm_sells(rule: str, section: str) -> None:  # noqa: N802 - the fault's id
    done = prints(opened(rule, section), 50, 51, 50, 50)
    assert done[:3] == [[]] * 3
    assert submitted(done[3]).qty == 10


@pytest.mark.parametrize("rule", [*LEVELS, *CROSSINGS])
def test_A7_crash_that_time_confirms_sells(rule: str) -> None:  # noqa: N802 - the fault's id
    done = prints(opened(rule), 50, 49, step=0.25)
    assert done[0] == []
    assert submitted(done[1]).qty == 10


def test_A7_crash_in_late_prints_sells_at_the_second() -> None:  # noqa: N802 - the fault's id
    done = prints(opened("price < 60"), 50, 20, step=0.5)
    assert done[0] == []
    assert submitted(done[1]).qty == 10


@pytest.mark.parametrize("rule", CROSSINGS)
def test_crossing_by_an_outlier_is_forgotten_when_another_clears_it(rule: str) -> None:
    assert prints(opened(rule), 50, 160, 160, 160, 160, 160) == [[]] * 6


@pytest.mark.parametrize("rule", CROSSINGS)
def test_crossing_by_a_price_that_comes_back_is_none(rule: str) -> None:
    assert prints(opened(rule), 50, 100, 100, 100, 100) == [[]] * 5


@pytest.mark.parametrize("rule", CROSSINGS)
def test_crossing_before_the_outlier_is_the_past(rule: str) -> None:
    scene = opened(rule)
    assert prints(scene, 50, 101, 95) == [[]] * 3
    done = prints(scene, 45, 45, 45, 45)
    assert done[:3] == [[]] * 3
    assert submitted(done[3]).qty == 10


def test_pnl_sees_the_top_before_the_outlier_and_then_the_crash() -> None:
    assert prints(opened("pnl < -40%"), 50, 101, 101) == [[]] * 3
    done = prints(opened("pnl < -40%"), 50, 50, 50, 50)
    assert done[:3] == [[]] * 3
    assert submitted(done[3]).qty == 10


def test_rule_of_position_words_alone_goes_on() -> None:
    assert submitted(prints(opened("held > 40s"), 50)[0]).qty == 10


def test_mark_needs_no_print_to_confirm_it() -> None:
    assert submitted(prints(opened("mark_price < 60"), 50, mark=50)[0]).qty == 10


def test_for_is_not_reset_by_unconfirmed_rows() -> None:
    scene = opened("(held > 40s and price > 90) for 2s")
    assert prints(scene, 101, step=0.5) == [[]]  # true from here on
    assert prints(scene, 50, 101, step=0.125) == [[], []]
    assert prints(scene, 101, step=1.5) == [[]]
    assert submitted(prints(scene, 101, step=0.25)[0]).qty == 10


def test_for_begins_with_the_confirmation() -> None:
    scene = opened("(pnl < 90% and price < 60) for 1s")
    assert prints(scene, 50, 50, 50, 50) == [[]] * 4
    assert prints(scene, 50, step=0.875) == [[]]  # 1.0625 s after the first, 0.875 s after the fourth
    assert submitted(prints(scene, 50, step=0.125)[0]).qty == 10
