"""How many requests per second one client may make: a token bucket for each client, kept as one number.

The number is the moment at which the bucket will be full again (the generic cell rate algorithm): a request moves it
on by one interval, and may not move it further ahead than the burst allows. Only full buckets are dropped, which are
the same as new ones: no client gets a fresh bucket by making others. When there is no room for one more client, all
new ones share one bucket.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from service.core.clock import Clock

_CHECKED: Final = 2
"""Old buckets checked for each new one: more are dropped than made, and no request pays for checking all."""
_OTHERS: Final = ""


class RateLimiter:
    """Counts the requests of each client. `per_second` 0: no limit. `size`: clients with a bucket of their own."""

    def __init__(self, clock: Clock, per_second: float, burst: int, size: int = 10_000) -> None:
        self._clock = clock
        self._interval = 1 / per_second if per_second else 0.0
        self._ahead = (burst - 1) * self._interval
        self._size = size
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._interval > 0

    def take(self, client: str) -> float:
        """Count a request: 0 where it may go on, else the seconds until the next may. A refused one does not count."""
        if not self._interval:
            return 0.0
        now = self._clock.monotonic()
        if client not in self._full_at:
            self._make_room(now)
            if len(self._full_at) >= self._size:
                client = _OTHERS
        full_at = max(now, self._full_at.get(client, now))
        wait = full_at - now - self._ahead
        if wait > 1e-9:  # rounding is not the client's fault
            return wait
        self._full_at[client] = full_at + self._interval
        return 0.0

    def _make_room(self, now: float) -> None:
        for _ in range(min(_CHECKED, len(self._full_at))):
            client, full_at = self._full_at.popitem(last=False)
            if full_at > now:
                self._full_at[client] = full_at  # not full: to the end of the queue
