"""In which order contacts are listed, and cursors that lead through it.

By contact the order never changes, so a page begins after a contact and its cursor says after which: nothing is kept.
By anything else it does: a contact that becomes free while a client walks the pages would come twice, or never. So the
order of the first page is kept, and the cursor names it and a place in it. What is kept is bounded; a cursor whose
order is gone says so (`CursorExpired`), and the walk begins anew.

Of several replicas each keeps its own orders. Their cursors end with who keeps the order (`replica_of`), so that a
request with such a cursor can be passed on.

An order is named by its content. So the same first page has the same cursor as long as nothing in the order changes,
and costs one place however often it is asked for.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter, OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from service.core.clock import Clock

MAX_CURSOR: Final = 2048
"""Characters of a cursor: the longest contact URI fits with all of its characters in four bytes."""
MAX_ORDERS: Final = 64
"""Orders that are kept for all clients together; further ones make room."""
MAX_ORDERS_OF_ONE: Final = 16
MAX_KEYS: Final = 1_000_000
"""Contacts in all of them together: eight bytes each, since the names themselves are the store's."""
MAX_AGE: Final = 600.0
"""Seconds for which an order is kept after it was last used."""
_AFTER: Final = b"after:"
_ORDER: Final = b"order:"
_MARK, _NAME, _PLACE, _REPLICA = 8, 12, 4, 4  # bytes


class CursorExpired(Exception):
    """The order that a cursor leads through is kept no longer."""


class WrongCursor(ValueError):
    """Malformed cursor, or a cursor of another query. The message says what was expected."""


# --- cursors


class After(NamedTuple):
    """Go on after this key."""

    key: str


class Position(NamedTuple):
    """Go on at a place in a kept order."""

    order: bytes
    place: int


def mark(*question: object) -> bytes:
    """What ties a cursor to the question it belongs to: values whose repr says all there is."""
    return blake2b(repr(question).encode(errors="backslashreplace"), digest_size=_MARK).digest()


def cursor_after(question: bytes, key: str) -> str:
    """A cursor that goes on after a contact."""
    return _encoded(_AFTER + question + key.encode())


def cursor_at(question: bytes, order: bytes, place: int, replica: bytes = b"") -> str:
    """A cursor that goes on at a place in a kept order. `replica`: the mark of the one that keeps it, if any."""
    return _encoded(_ORDER + question + order + place.to_bytes(_PLACE, "big") + replica)


def replica_mark(name: str) -> bytes:
    """A replica's mark in the cursors of its orders. `name` is that of one process."""
    return blake2b(name.encode(), digest_size=_REPLICA).digest()


def replica_of(cursor: str) -> bytes | None:
    """The mark of the replica that keeps the order of a cursor; None for a cursor that names none."""
    plain = _decoded(cursor)
    is_marked = plain.startswith(_ORDER) and len(plain) == len(_ORDER) + _MARK + _NAME + _PLACE + _REPLICA
    return plain[-_REPLICA:] if is_marked else None


def read_cursor(cursor: str, question: bytes) -> After | Position:
    """What a cursor says. Raises WrongCursor."""
    plain = _decoded(cursor)
    kind, rest = plain[: len(_AFTER)], plain[len(_AFTER) :]
    given, rest = rest[:_MARK], rest[_MARK:]
    found: After | Position | None = None
    if kind == _AFTER and rest:
        try:
            found = After(rest.decode())
        except UnicodeDecodeError:
            found = None
    elif kind == _ORDER and len(rest) in {_NAME + _PLACE, _NAME + _PLACE + _REPLICA}:
        found = Position(rest[:_NAME], int.from_bytes(rest[_NAME : _NAME + _PLACE], "big"))
    if found is None:
        raise WrongCursor("a next_cursor of an earlier page, unchanged")
    if given != question:
        raise WrongCursor("a cursor of the same filters, sort and API key; without one the list begins anew")
    return found


def _decoded(cursor: str) -> bytes:
    """The bytes of a cursor; empty where it is malformed."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _encoded(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


# --- orders that are kept


@dataclass(slots=True)
class _Order:
    client: str
    keys: tuple[str, ...]
    used: float


class KeptOrders:
    """The orders through which clients may still walk. The one that was used last stays longest.

    Where there is no room, the client that has most of them loses one: many orders of one client cost no other client
    its own.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        most: int = MAX_ORDERS,
        of_one: int = MAX_ORDERS_OF_ONE,
        keys: int = MAX_KEYS,
        age: float = MAX_AGE,
    ) -> None:
        self._clock = clock
        self._most = most
        self._of_one = of_one
        self._most_keys = keys
        self._age = age
        self._kept: OrderedDict[tuple[bytes, bytes], _Order] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<KeptOrders {len(self._kept)} with {self.keys} contacts>"

    @property
    def keys(self) -> int:
        """Contacts in all of them."""
        return sum(len(order.keys) for order in self._kept.values())

    def keep(self, question: bytes, client: str, keys: tuple[str, ...]) -> bytes:
        """Keep an order; its name. `client` is whose room it takes."""
        name = blake2b("\n".join(keys).encode(errors="backslashreplace"), digest_size=_NAME, key=question).digest()
        self._put(question, name, client, keys)
        return name

    def keep_on(self, question: bytes, name: bytes, client: str) -> bool:
        """Keep an order that was asked for again, as `keep` does; False where it is kept no longer."""
        order = self._kept.get((question, name))
        if order is None or order.used < self._oldest():
            return False
        self._put(question, name, client, order.keys)
        return True

    def _put(self, question: bytes, name: bytes, client: str, keys: tuple[str, ...]) -> None:
        self._kept.pop((question, name), None)
        self._drop_old()
        own = [each for each, order in self._kept.items() if order.client == client]
        for oldest in own[: max(0, len(own) + 1 - self._of_one)]:
            del self._kept[oldest]
        room = self._most_keys - len(keys)
        while self._kept and (len(self._kept) >= self._most or self.keys > room):
            self._drop_one(client)
        self._kept[question, name] = _Order(client, keys, self._clock.monotonic())

    def get(self, question: bytes, name: bytes) -> tuple[str, ...]:
        """The keys of an order. Raises CursorExpired when it is kept no longer."""
        self._drop_old()
        order = self._kept.get((question, name))
        if order is None:
            raise CursorExpired
        order.used = self._clock.monotonic()
        self._kept.move_to_end((question, name))
        return order.keys

    def _drop_one(self, client: str) -> None:
        """Of the client that will have most, the one unused for longest: of equals, `max` takes the first."""
        held = Counter([client, *(order.client for order in self._kept.values())])
        del self._kept[max(self._kept, key=lambda each: held[self._kept[each].client])]

    def _drop_old(self) -> None:
        oldest = self._oldest()
        while self._kept and next(iter(self._kept.values())).used < oldest:
            self._kept.popitem(last=False)

    def _oldest(self) -> float:
        return self._clock.monotonic() - self._age
