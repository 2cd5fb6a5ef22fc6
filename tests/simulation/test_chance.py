"""Faults by number: pure, independent of each other, on and off by seed, repeatable and suppressible."""

from __future__ import annotations

from collections import Counter

import pytest

from botd.errors import InvariantBroken
from botd.simulation.chance import SHARE_MAX, Chance, Fired, Site, Stream

LOST = Site("net.lost", 0.2)
LATE = Site("net.late", 0.1)
FULL = Site("disk.full", 0.05)
SITES = (LOST, LATE, FULL)


def play(chance: Chance, draws: int = 200) -> list[tuple[str, int, float]]:
    """Draw at every site in turn; return which fault happened and how big it was."""
    found = []
    for n in range(1, draws + 1):
        for site in SITES:
            fault = chance.hit(site.name)
            if fault is not None:
                found.append((site.name, n, fault.span(1, 2)))
    return found


def test_draws_are_the_same_for_one_seed_and_others_for_another() -> None:
    assert play(Chance(1, SITES, swarm=False)) == play(Chance(1, SITES, swarm=False))
    assert play(Chance(1, SITES, swarm=False)) != play(Chance(2, SITES, swarm=False))


def test_draws_are_pinned_across_versions() -> None:
    chance = Chance(7, SITES, swarm=False)
    play(chance, 20)
    assert [tuple(fault) for fault in chance.fired[:3]] == [
        ("net.lost", 3),
        ("net.late", 5),
        ("disk.full", 9),
    ]
    assert [chance.stream("x").below(1000) for _ in range(3)] == [191, 567, 977]


def test_draw_at_a_site_does_not_depend_on_the_others() -> None:
    alone = Chance(1, SITES, swarm=False)
    for _ in range(200):
        alone.hit(LATE.name)
    together = Chance(1, SITES, swarm=False)
    play(together)
    assert alone.fired == [fault for fault in together.fired if fault.site == LATE.name]
    assert len(alone.fired) > 5


def test_suppressed_fault_moves_no_other_and_no_other_changes() -> None:
    whole = play(Chance(1, SITES, swarm=False))
    for name, n, _ in whole[:10]:
        less = play(Chance(1, SITES, swarm=False, suppressed=[Fired(name, n)]))
        assert less == [found for found in whole if found[:2] != (name, n)]


def test_only_the_named_faults_happen() -> None:
    whole = play(Chance(1, SITES))
    some = [Fired(name, n) for name, n, _ in whole[::3]]
    chance = Chance(1, SITES, only=some)
    assert play(chance) == whole[::3]
    assert chance.fired == some


def test_faults_come_as_often_as_their_share_says() -> None:
    counts: Counter[str] = Counter()
    for seed in range(20):
        counts.update(name for name, _, _ in play(Chance(seed, SITES, swarm=False), 500))
    for site in SITES:
        assert counts[site.name] == pytest.approx(10_000 * site.share, rel=0.1)


def test_each_seed_turns_some_sites_off_and_others_up() -> None:
    shares: dict[str, set[float]] = {site.name: set() for site in SITES}
    for seed in range(60):
        chance = Chance(seed, SITES)
        play(chance, 400)
        counts = Counter(fault.site for fault in chance.fired)
        for site in SITES:
            shares[site.name].add(round(counts[site.name] / 400 / site.share))
    for name, found in shares.items():
        assert {0, 1} <= found and max(found) >= 3, name
    for seed in range(40):
        certain = Chance(seed, [Site("always", 1.0)])
        hits = sum(certain.hit("always") is not None for _ in range(300))
        assert hits < 300 * (SHARE_MAX + 0.08)


def test_lot_of_a_site_does_not_depend_on_which_others_there_are() -> None:
    for seed in range(10):
        one, three = Chance(seed, [LOST]), Chance(seed, SITES)
        for _ in range(300):
            one.hit(LOST.name)
            three.hit(LOST.name)
        assert one.fired == three.fired


def test_healed_run_has_no_faults_and_its_draws_go_on() -> None:
    chance = Chance(1, SITES, swarm=False)
    chance.healed = True
    assert play(chance, 100) == []
    chance.healed = False
    rest = [Fired(name, n + 100) for name, n, _ in play(chance, 100)]
    assert rest == [fault for fault in chance.fired if fault.n > 100]
    assert rest


def test_unknown_site_is_refused() -> None:
    with pytest.raises(InvariantBroken, match=r"no fault site net\.lots"):
        Chance(1, SITES).hit("net.lots")


def test_stream_draws_stay_in_their_range() -> None:
    draws = Stream(99)
    assert {draws.below(3) for _ in range(100)} == {0, 1, 2}
    assert all(2.0 <= draws.span(2.0, 2.5) < 2.5 for _ in range(1000))
    assert {draws.one_of("ab") for _ in range(50)} == {"a", "b"}
    sizes = [draws.magnitude(10) for _ in range(1000)]
    assert (min(sizes), max(sizes) > 700, sorted(sizes)[500] < 60) == (1, True, True)
