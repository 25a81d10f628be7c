"""How many connections may be held open at once, by streams and waiting requests: of one client, and of all."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from typing import Final

from service.access.errors import RequestRefused

_RETRY: Final = 5
"""Seconds after which a client may try again for a slot: others come and go."""


class TooManyStreams(RequestRefused):
    """No slot is free. `whose` says whose limit is reached: "this client's" or "the service's"."""

    kind = "too-many-streams"

    def __init__(self, whose: str, limit: int) -> None:
        detail = f"{whose[:1].upper()}{whose[1:]} limit of {limit} open streams and requests is reached"
        super().__init__(detail, {"Retry-After": str(_RETRY)})


class ConnectionSlots:
    """Counts open connections: at most `limit` in all, `per_client` of one client."""

    def __init__(self, limit: int = 200, per_client: int = 50) -> None:
        self._limit = limit
        self._per_client = per_client
        self._taken: Counter[str] = Counter()
        self._streams = 0

    @property
    def limit(self) -> int:
        """How many there may be in all."""
        return self._limit

    @property
    def streams(self) -> int:
        """How many of the slots that are held are those of streams; the others are those of waiting requests."""
        return self._streams

    @property
    def taken(self) -> int:
        """How many slots are held."""
        return self._taken.total()

    def take(self, client: str, *, stream: bool = False) -> AbstractContextManager[None]:
        """Hold a slot as long as the `with` lasts. `client` is a key's name or an address. Raises TooManyStreams."""
        return _HeldSlot(self, client, stream=stream)

    def enter(self, client: str, *, stream: bool) -> None:
        """Take a slot. Raises TooManyStreams."""
        if self._taken[client] >= self._per_client:
            raise TooManyStreams("this client's", self._per_client)
        if self.taken >= self._limit:
            raise TooManyStreams("the service's", self._limit)
        self._taken[client] += 1
        self._streams += stream

    def leave(self, client: str, *, stream: bool) -> None:
        """Give it back."""
        self._streams -= stream
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]


class _HeldSlot(AbstractContextManager[None]):
    """A slot for as long as a `with` lasts: an object of few bytes, since a stream has it for hours."""

    __slots__ = ("_client", "_slots", "_stream")

    def __init__(self, slots: ConnectionSlots, client: str, *, stream: bool) -> None:
        self._slots = slots
        self._client = client
        self._stream = stream

    def __enter__(self) -> None:
        self._slots.enter(self._client, stream=self._stream)

    def __exit__(self, *_error: object) -> None:
        self._slots.leave(self._client, stream=self._stream)
