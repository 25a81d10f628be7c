"""What Redis and Valkey answer, damaged or not, read as the values of `engine`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from service.cluster.engine import Beat, BeatPlace, EngineDamaged, StoredEntry

FOREIGN: Final = b"\x00"
"""What is read of an entry that no replica has written: bytes that mean nothing (`service.cluster.wire`)."""
_BEYOND: Final = 2**52
"""Ids and epochs are below this for another century, and counted exactly for twice as long."""

Reply = Any
"""What the engine sent: numbers, bytes, and lists of them. The package gives it no type."""


def text(value: bytes | str | None) -> str:
    """A text; an empty one where somebody has removed it."""
    return value if isinstance(value, str) else (value or b"").decode("utf-8", "surrogateescape")


def fields_of(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Names and values, which come in turn."""
    return {text(flat[place]): flat[place + 1] for place in range(0, len(flat), 2)}


def place_of(id: bytes) -> tuple[int, int]:  # noqa: A002  # as in StoredMark
    """The parts of an id. Raises ValueError."""
    first, _, second = id.partition(b"-")
    return int(first), int(second or 0)


def number(value: bytes | None) -> int:
    """A field of the lease. Raises EngineDamaged where somebody has removed it."""
    if value is None or not value.isdigit():
        raise EngineDamaged(f"the engine has {text(value)!r} in the lease, which no replica has written")
    return int(value)


def entry_of(place: bytes, fields: Sequence[bytes]) -> StoredEntry:
    """An entry, with the id of the one before it: where that is not the last one read, some are missing."""
    found, id_ = fields_of(fields), ours(place)[0]
    try:
        return StoredEntry(id_, int(found["e"]), id_ - int(found["d"]), found["v"])
    except (KeyError, ValueError):
        return StoredEntry(id_, 0, 0, FOREIGN)


def beat_of(place: bytes, fields: Sequence[bytes]) -> Beat:
    """A beat, with its place in the stream."""
    return Beat(*BeatPlace(*ours(place)), value_of(fields))


def ours(id: bytes) -> tuple[int, int]:  # noqa: A002  # as in StoredMark
    """The parts of an id, or an epoch. Raises EngineDamaged for one that no replica has written: it would be above all
    of ours for ever."""
    with contextlib.suppress(ValueError):
        first, second = place_of(id)
        if 0 <= first < _BEYOND:
            return first, second
    raise EngineDamaged(f"the engine has the id {text(id)!r}, which no replica has written: the next owner removes it")


def value_of(fields: Sequence[bytes]) -> bytes:
    """The bytes of an entry; `FOREIGN` where there are none."""
    return fields_of(fields).get("v", FOREIGN)
