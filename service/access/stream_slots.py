"""How many may hold a connection open at once: streams and requests that wait, of one asker and of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class TooMany(Exception):
    """No slot is free. `whose` says whose limit is reached: "this client's" or "the service's"."""

    def __init__(self, whose: str, limit: int) -> None:
        self.whose = whose
        self.limit = limit
        super().__init__(f"{whose} limit of {limit} open streams and waiting requests is reached")


class ConnectionSlots:
    """Counts them. `limit` of all, `per_client` of one."""

    def __init__(self, limit: int = 200, per_client: int = 50) -> None:
        self._limit = limit
        self._per_client = per_client
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are held."""
        return self._taken.total()

    @contextmanager
    def take(self, client: str) -> Iterator[None]:
        """Hold one as long as the `with` lasts. `client` is a key's name or an address. Raises TooMany."""
        if self._taken[client] >= self._per_client:
            raise TooMany("this client's", self._per_client)
        if self.taken >= self._limit:
            raise TooMany("the service's", self._limit)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
