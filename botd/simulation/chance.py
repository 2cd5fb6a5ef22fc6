"""Faults by number: the n-th draw at a site is a pure function of (seed, site, n).

So switching one fault off moves no other, which is what makes a failing run shrink. Each seed turns some
sites off and others up (swarm testing, Groce et al. 2012): a run with every fault on never gets deep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from botd.errors import InvariantBroken
from botd.feeds.chance import make_key, pick

T = TypeVar("T")

SITES_ON: Final = 0.6  # the share of sites that a seed has on
INTENSITIES: Final = (0.25, 1.0, 4.0)
SHARE_MAX: Final = 0.9

_UNIT: Final = 1.0 / (1 << 53)
_WHOLE: Final = 1 << 64


class Fired(NamedTuple):
    """A fault that happened: the n-th draw at its site, counted from 1."""

    site: str
    n: int


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a fault can happen, and the share of its draws that are one at plain intensity."""

    name: str
    share: float


class Stream:
    """Draws one after the other, a pure function of a key."""

    def __init__(self, key: int) -> None:
        self._key = key
        self._drawn = 0

    def bits(self) -> int:
        """Return the next 64 bits."""
        self._drawn += 1
        return pick(self._key, self._drawn)

    def span(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * ((self.bits() >> 11) * _UNIT)

    def below(self, stop: int) -> int:
        """Return a whole number in [0, stop)."""
        return self.bits() * stop >> 64

    def one_of(self, things: Sequence[T]) -> T:
        """Return one of them."""
        return things[self.below(len(things))]

    def magnitude(self, bits: int) -> int:
        """Return a whole number in [1, 2**bits] whose order of magnitude is even: most are small."""
        return 1 + self.below(1 << self.below(bits + 1))


class Chance:
    """What happens in a run, and what has happened so far."""

    def __init__(
        self,
        seed: int,
        sites: Iterable[Site] = (),
        *,
        swarm: bool = True,
        only: Collection[Fired] | None = None,
        suppressed: Collection[Fired] = (),
    ) -> None:
        """`only` makes exactly these faults happen where the run comes by them; `suppressed` never happen."""
        self.seed = seed
        self.fired: list[Fired] = []
        self.healed = False  # no fault happens any more; draws go on
        self._only = None if only is None else frozenset(only)
        self._suppressed = frozenset(suppressed)
        self._thresholds = {site.name: self._threshold(site, swarm) for site in sites}
        self._keys: dict[str, int] = {}
        self._drawn: Counter[str] = Counter()
        self._streams: dict[str, Stream] = {}

    def stream(self, name: str) -> Stream:
        """Return the draws of this name that are no faults, such as latencies."""
        found = self._streams.get(name)
        if found is None:
            found = self._streams[name] = Stream(make_key(self.seed, "stream", name))
        return found

    def hit(self, site: str) -> Stream | None:
        """Draw at a site: None where nothing happens, else the draws that the fault itself may need."""
        threshold = self._thresholds.get(site)
        if threshold is None:
            raise InvariantBroken(f"there is no fault site {site}")
        key = self._keys.get(site)
        if key is None:
            key = self._keys[site] = make_key(self.seed, "site", site)
        n = self._drawn[site] = self._drawn[site] + 1
        fault = Fired(site, n)
        happens = pick(key, n) < threshold if self._only is None else fault in self._only
        if not happens or self.healed or fault in self._suppressed:
            return None
        self.fired.append(fault)
        return Stream(make_key(self.seed, "fault", site, n))

    def _threshold(self, site: Site, swarm: bool) -> int:
        """Return below which of 64 bits a draw is a fault; a site's lot depends on no other site."""
        share = site.share
        if swarm:
            lot = Stream(make_key(self.seed, "swarm", site.name))
            on = lot.span(0.0, 1.0) < SITES_ON
            share = min(SHARE_MAX, share * lot.one_of(INTENSITIES)) if on else 0.0
        return int(share * _WHOLE)
