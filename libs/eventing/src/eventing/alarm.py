"""Telling a broken release from poison: when too many keys park too fast, the consumer stops instead of parking all."""

import time
from collections.abc import Callable, Iterable, Set
from typing import Final

WINDOW_SECONDS: Final = 300.0


class ReleaseLooksBroken(Exception):
    """More than a hundred keys, and more than a tenth of those seen, would have parked within five minutes."""


class Alarm:
    """Counts the keys that one group saw and parked in the last five minutes."""

    def __init__(self, group: str, keys: int = 100, clock: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._keys = keys
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._parked: dict[str, float] = {}

    def reset(self) -> None:
        """Begin to count again."""
        self._seen.clear()
        self._parked.clear()

    def note(self, seen: Iterable[str], parked: Set[str]) -> None:
        """Count keys just seen, and those about to park; raises ReleaseLooksBroken before they do."""
        now = self._clock()
        for key in seen:
            self._seen.pop(key, None)
            self._seen[key] = now
        for key in parked:
            self._parked[key] = now
        if len(self._parked) <= self._keys:
            return
        for counted in (self._seen, self._parked):
            while counted and (first := next(iter(counted))) and counted[first] < now - WINDOW_SECONDS:
                del counted[first]
        if len(self._parked) > self._keys and len(self._parked) * 10 > len(self._seen):
            raise ReleaseLooksBroken(
                f"{len(self._parked)} of the {len(self._seen)} keys of {self._group} parked within five minutes"
            )
