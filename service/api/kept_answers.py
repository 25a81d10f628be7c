"""The bytes of answers, kept for as long as making them anew would give the same.

An answer follows from the store, the claims, the marks of events, the time, and who asks for what. The versions of the
store and of the leases grow with the first three; of time it matters whether the answer's next boundary has come, which
is found while it is made (`service.core.presence.boundaries`). Who asks for what is the key: the path, the query as it
was sent, and the principal, which is another one after each reload. What is decided for each request, such as whether
it may be made at all, is decided before anybody looks here.

An answer about one contact outlives the changes of others: then it is looked whether all it was made of is still there.
Plain values in bounded memory: what was used last stays longest. A large answer is kept from the second time on that it
is asked for: who walks through all pages once fills no memory, and puts out nothing that others ask for again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from service.access.principal import Principal
from service.api.etags import JSON, Representation, Tags, content_of, question_of, with_tag
from service.api.middleware.limits import complete
from service.core.presence.boundaries import SLACK
from service.core.presence.paging import OrderUse
from service.core.wiring import Core

MAX_ANSWERS: Final = 10_000
MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of all kept answers together, headers and all: a hundred pages of a thousand contacts are more."""
LARGE: Final = 16 * 1024
"""Bytes of a body from which on it is kept only once it is asked for again."""
_OVERHEAD: Final = 1500
"""Bytes that an answer takes beside its body: its headers, its tag, its place."""

RawHeaders = Sequence[tuple[bytes, bytes]]
Stamp = tuple[int, int]
"""As long as it is the same, only time changes what answers say."""
Basis = tuple[object, ...]
"""What an answer about one contact is made of: values that are replaced, and never changed."""


@dataclass(slots=True)
class KeptAnswer:
    """An answer, ready to be sent. `content` is its tag but for the revision.

    `whole` and `unchanged` are the headers behind the tag, of the answer and of a 304. `order` is to be used whenever
    the answer is given. `until` is monotonic.
    """

    who: Principal
    question: str
    content: bytes
    body: bytes
    whole: RawHeaders
    unchanged: RawHeaders
    until: float
    order: OrderUse | None
    contact: str | None
    basis: Basis | None
    stamp: Stamp
    shown: int | None
    _event: int = -1
    _tagged: RawHeaders = ()
    _asked: bytes | None = None
    """None: nothing is remembered. An empty header is a question like any other."""
    _known: RawHeaders = ()

    def tagged(self, event: int) -> RawHeaders:
        """All headers of the answer, with the tag that it has when `event` is the newest one."""
        if event != self._event:
            self._event, self._tagged = event, ((b"etag", b'"%d-%b"' % (event, self.content)), *self.whole)
        return self._tagged

    def known(self, asked: bytes, event: int) -> RawHeaders | None:
        """All headers of the 304 to a client that asked with this `If-None-Match`; None where it gets the answer.

        `event` is the newest one. What a client asks with is mostly the same again and again.
        """
        if asked == self._asked:
            return self._known
        tags = Tags(self.question, (asked.decode("latin-1"),))
        tag = tags.of_content(self.content.decode(), event)
        headers = [(b"etag", tag.encode("latin-1")), *self.unchanged]
        if tags.has(tag):  # whatever happens: the tag is the client's
            self._asked, self._known = asked, headers
            return headers
        return headers if tags.any_will_do else None


class KeptAnswers:
    """The kept answers of one service."""

    def __init__(self, core: Core, most: int = MAX_ANSWERS, most_bytes: int = MAX_BYTES) -> None:
        self._store = core.store
        self._leases = core.leases
        self._reader = core.reader
        self._log = core.log
        self._clock = core.clock
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, bytes, str], KeptAnswer] = OrderedDict()
        self._asked_once: dict[int, None] = {}
        """Hashes of the keys of large answers that were made once."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<KeptAnswers {len(self)} of {self.bytes} bytes>"

    @property
    def stamp(self) -> Stamp:
        """To be taken before an answer is made."""
        return (self._store.version, self._leases.version)

    def find(self, path: str, query: bytes, who: Principal) -> KeptAnswer | None:
        """The answer that making it now would give; None where that is not certain."""
        key = (path, query, who.name)
        kept = self._kept.get(key)
        if kept is None or kept.who is not who or self._clock.monotonic() + SLACK >= kept.until:
            return None
        stamp = (self._store.version, self._leases.version)
        if kept.stamp != stamp:
            if kept.contact is None or not _is_same(kept.basis, self._basis(kept.contact, who)):
                return None
            kept.stamp = stamp
        self._kept.move_to_end(key)
        return kept

    def keep(
        self,
        path: str,
        query: bytes,
        who: Principal,
        representation: Representation,
        until: float,
        stamp: Stamp,
        *,
        order: OrderUse | None = None,
        contact: str | None = None,
    ) -> KeptAnswer | None:
        """Keep an answer in JSON, unless something has changed while it was made, or it is large and new.

        `contact` is the one that it is about, where it is about one; `stamp` was taken before.
        """
        key = (path, query, who.name)
        if stamp != self.stamp or (len(representation.body) >= LARGE and not self._was_asked(key)):
            return None
        question = question_of(who, path, query)
        kept = KeptAnswer(
            who,
            question,
            content_of(question, representation).encode(),
            representation.body,
            *_headers(representation),
            until,
            order,
            contact,
            None if contact is None else self._basis(contact, who),
            stamp,
            representation.shown,
        )
        self._drop(key)
        self._kept[key] = kept
        self.bytes += _size(key, kept)
        while self._kept and (len(self._kept) > self._most or self.bytes > self._most_bytes):
            self._drop(next(iter(self._kept)))
        return kept

    def _was_asked(self, key: tuple[str, bytes, str]) -> bool:
        """Whether this was asked for before, as far as is remembered; from now on it was."""
        known = hash(key)
        if known in self._asked_once:
            return True
        if len(self._asked_once) >= self._most:
            self._asked_once.clear()
        self._asked_once[known] = None
        return False

    def _basis(self, contact: str, who: Principal) -> Basis | None:
        record = self._store.get(contact)
        if record is None:
            return None
        marks = None if who.details else self._log.snapshot(record.key)
        feed, claim = self._store.feeds()[record.feed], self._reader.held(record.key)
        # A reading that several contacts share moves on while the record stays.
        return (record, record.reading, record.source, feed, claim, marks)

    def _drop(self, key: tuple[str, bytes, str]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= _size(key, kept)


def _size(key: tuple[str, bytes, str], kept: KeptAnswer) -> int:
    return len(key[0]) + len(key[1]) + len(kept.body) + _OVERHEAD


def _is_same(one: Basis | None, other: Basis | None) -> bool:
    return one is not None and other is not None and all(a is b for a, b in zip(one, other, strict=True))


def _headers(representation: Representation) -> tuple[RawHeaders, RawHeaders]:
    """The headers behind the tag, of the answer and of a 304."""
    if not representation.headers and representation.media_type == JSON:
        return _headers_of(len(representation.body))
    whole, unchanged = (_behind_the_tag(with_tag(representation, "", is_known=known)) for known in (False, True))
    return whole, unchanged


@lru_cache(maxsize=1024)  # they differ in the length alone, and contacts are of few lengths
def _headers_of(length: int) -> tuple[RawHeaders, RawHeaders]:
    example = Representation(b" " * length)
    whole, unchanged = (_behind_the_tag(with_tag(example, "", is_known=known)) for known in (False, True))
    return whole, unchanged


def _behind_the_tag(response: Response) -> RawHeaders:
    """The headers of an answer as they leave the service, but for the first: the tag differs from time to time."""
    headers = MutableHeaders(raw=response.raw_headers)
    complete(headers)
    return tuple(headers.raw[1:])
