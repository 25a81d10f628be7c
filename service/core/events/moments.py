"""Which contacts have a moment coming at which time alone may change what is said of them.

A heap of moments, each with the keys that share it: what was read by one fetch has one bound. No entry is taken out
before its moment: a contact that has an earlier one by then is passed over, and a contact whose moment moves on keeps
the earlier entry until that comes. So what is read again and again is entered once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from math import inf


class Moments:
    """The entries of all contacts. At most twice as many as there are contacts, see `rebuild`."""

    def __init__(self) -> None:
        self._heap: list[float] = []
        self._keys: dict[float, list[str]] = {}
        self._entries = 0

    def __repr__(self) -> str:
        return f"<Moments {self._entries} entries at {len(self._heap)} moments>"

    def __len__(self) -> int:
        """How many entries there are, those that are passed over included."""
        return self._entries

    @property
    def next_moment(self) -> float:
        """That of the next entry; infinity where there is none."""
        return self._heap[0] if self._heap else inf

    def enter(self, key: str, moment: float) -> None:
        """Have the key come up at this moment. One that never comes is not entered."""
        if moment == inf:
            return
        keys = self._keys.get(moment)
        if keys is None:
            keys = self._keys[moment] = []
            heapq.heappush(self._heap, moment)
        keys.append(key)
        self._entries += 1

    def come(self, now: float) -> Iterator[tuple[float, list[str]]]:
        """Take out the entries whose moment has come by `now`: each moment with its keys."""
        while self._heap and self._heap[0] <= now:
            moment = heapq.heappop(self._heap)
            keys = self._keys.pop(moment)
            self._entries -= len(keys)
            yield moment, keys

    def rebuild(self, entries: Iterable[tuple[str, float]]) -> None:
        """Begin anew with these."""
        self._heap, self._keys, self._entries = [], {}, 0
        for key, moment in entries:
            self.enter(key, moment)
