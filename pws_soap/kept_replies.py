"""Remembers what the last reply to each request meant, by digests of both: an equal reply is not read again.

A server that has nothing new to say of thousands of contacts says the same bytes again. What they mean depends on
nothing but request and reply, unless a document in it says from or until when something holds (RFC 4480): such a reply
must not be kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from hashlib import sha256
from typing import Final

from pws_soap.models import Presence

MAX_REPLIES: Final = 256
"""Requests whose last reply is kept; beyond, the one that was not asked for longest goes."""
MAX_PRESENCES: Final = 131_072
"""Presences of all kept replies together, in eight bytes each beside the presence itself."""
_PART: Final = 1024 * 1024
"""Bytes digested between two places to pause, in a millisecond."""


class KeptReplies:
    """The last reply to each of some requests, as digest and presences."""

    def __init__(self, replies: int = MAX_REPLIES, presences: int = MAX_PRESENCES) -> None:
        self._most, self._room = replies, presences
        self._kept: OrderedDict[bytes, tuple[bytes, tuple[Presence, ...]]] = OrderedDict()
        self._count = 0

    def __repr__(self) -> str:
        return f"<KeptReplies to {len(self._kept)} requests>"

    def __len__(self) -> int:
        return self._count

    def known(self, request: bytes, digest: bytes) -> list[Presence] | None:
        """What a reply with this digest to that request was read as, if it was the last."""
        key = sha256(request).digest()
        kept = self._kept.get(key)
        if kept is None or kept[0] != digest:
            return None
        self._kept.move_to_end(key)
        return list(kept[1])

    def keep(self, request: bytes, digest: bytes, presences: list[Presence]) -> None:
        """Remembers what a reply was read as, in place of an earlier one to the same request."""
        key = sha256(request).digest()
        self._drop(key)
        if len(presences) <= self._room:
            self._kept[key] = (digest, tuple(presences))
            self._count += len(presences)
        while len(self._kept) > self._most or self._count > self._room:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        _, presences = self._kept.pop(key, (b"", ()))
        self._count -= len(presences)


def digest_in_steps(reply: bytes) -> Generator[None, None, bytes]:
    """The digest of a reply, with a yield after each part of a long one."""
    view = memoryview(reply)  # a part of it is no copy
    made = sha256(view[:_PART])
    for at in range(_PART, len(reply), _PART):
        yield
        made.update(view[at : at + _PART])
    return made.digest()
