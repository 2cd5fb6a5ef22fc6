"""An instrument whose rows end while those of others go on: it is held until they come again."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from botd.core.instrument import Instrument
from botd.core.restraint import Cause, Restraint, TradingCommand, TradingState, Verb
from botd.engine.layout import T
from botd.ports import Chunk

SILENT_US: Final = 3_600_000_000  # in the rows' own time; a market so quiet is no price either


class Silence:
    """Looks at market rows as they are judged."""

    def __init__(self, instruments: Sequence[Instrument], traded: AbstractSet[str]) -> None:
        """`instruments` are the feed's; those that are traded are held."""
        self._traded = traded
        self._names = [str(one.id) for one in instruments]
        self._last_us = np.zeros(len(instruments), np.int64)

    def judge(self, chunk: Chunk, standing: Sequence[Restraint]) -> list[TradingCommand]:
        """Take in rows; return what to hold and what to release, given what restrains trading now."""
        np.maximum.at(self._last_us, chunk.instrument, chunk.rows[T])
        now_us = int(self._last_us.max(initial=0))
        self._last_us[self._last_us == 0] = now_us  # silent since we listen, at the most
        held = {
            one.scope
            for one in standing
            if one.cause is Cause.QUARANTINED and one.state is TradingState.REDUCING
        }
        late = now_us - self._last_us > SILENT_US
        if not held and not late.any():
            return []
        silent = {self._names[k] for k in np.flatnonzero(late)} & self._traded
        came = {self._names[k] for k in np.unique(chunk.instrument)}
        return [
            *(_command(Verb.HOLD, name, "no rows for an hour") for name in sorted(silent - held)),
            *(_command(Verb.RELEASE, name, "its rows come again") for name in sorted(held & came - silent)),
        ]


def _command(verb: Verb, name: str, reason: str) -> TradingCommand:
    return TradingCommand(verb=verb, cause=Cause.QUARANTINED, who="feed", reason=reason, scope=name)
