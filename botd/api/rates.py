"""How often somebody may do something, and who has tried too many tokens."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

KEYS_MAX: Final = 1024  # callers remembered; the one heard of longest ago is forgotten first


class Rate:
    """Counts in a sliding window, for each caller apart. Time is seconds that only grow."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def hit(self, key: str, now_s: float) -> bool:
        """Count one more; return whether it was within the rate. What was not is not counted."""
        hits = self._hits.setdefault(key, deque())
        self._hits.move_to_end(key)
        while len(self._hits) > KEYS_MAX:
            self._hits.popitem(last=False)
        while hits and hits[0] <= now_s - self._window_s:
            hits.popleft()
        if len(hits) >= self._most:
            return False
        hits.append(now_s)
        return True


class Lockout:
    """Shuts out who has shown too many bad tokens."""

    def __init__(self, most: int, window_s: float, blocked_s: float) -> None:
        self._rate = Rate(most - 1, window_s)
        self._blocked_s = blocked_s
        self._until: OrderedDict[str, float] = OrderedDict()

    def bad(self, key: str, now_s: float) -> bool:
        """Count a bad token; return whether it was the one too many."""
        if self._rate.hit(key, now_s):
            return False
        self._until[key] = now_s + self._blocked_s
        while len(self._until) > KEYS_MAX:
            self._until.popitem(last=False)
        return True

    def left_s(self, key: str, now_s: float) -> float:
        """Return for how long a caller is still shut out, 0 where it is not."""
        until = self._until.get(key, 0.0)
        if until <= now_s:
            self._until.pop(key, None)
            return 0.0
        return until - now_s
