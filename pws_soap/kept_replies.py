"""Remembers what the last reply to each request meant, and its bytes: what comes again unchanged is not read again.

A server that is asked for thousands of contacts says of nearly all of them what it said before. What it says means the
same then, as it depends on nothing but request and reply, unless a document says from or until when something holds
(RFC 4480): that one is read each time.

A reply whose entries could be cut out (`pws_soap.entries`) is kept with them, and the next one is held against it
byte by byte: where all around the entries is the same, and they are about the same contacts in the same order,
only those that differ are read. Of any other reply only an equal one is known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Hashable
from contextlib import suppress
from hashlib import sha256
from operator import attrgetter
from typing import Final, NamedTuple

from pws_soap.entries import PER_STEP, Cut, EntryReader, NotCut, contacts_of
from pws_soap.models import Presence, Session, same_contact

MAX_REPLIES: Final = 256
"""Requests whose last reply is kept; beyond, the one that was not asked for longest goes."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Memory of all kept replies together, beside their presences: six lists of 5000 rich documents. A server that names
only who has changed needs next to nothing of it."""
_OF_DOCUMENT: Final = 64
"""Bytes that a document takes beside its own."""
_FEW: Final = 8
"""Entries that have changed, beside a quarter of all: with more of them a reply is read as a new one."""
_COMPARED: Final = 2000
"""Entries compared between two places to pause, in half a millisecond."""

_CONTACT: Final = attrgetter("contact")


class KeptReply(NamedTuple):
    """A reply and what it means.

    `entries` are contacts, in the reply that they were cut out of, or documents, where None stands for one that has to
    be read each time; one for each presence. `frame` is the rest; of a reply without entries the whole. `memory` is
    what it takes beside the presences, in bytes.
    """

    frame: Hashable
    presences: list[Presence]
    entries: Cut | list[bytes | None]
    memory: int

    @classmethod
    def of_whole(cls, body: bytes, presences: list[Presence]) -> KeptReply:
        """Of a reply that means the same at any time."""
        return cls(body, presences.copy(), [], len(body))

    @classmethod
    def of_entries(cls, reader: EntryReader, presences: list[Presence]) -> KeptReply | None:
        """Of a reply whose entries `reader` has read. Where they do not stand for one contact each, only an equal reply
        will be known; None where that may mean something else."""
        cut, documents = reader.cut, reader.documents
        if reader.count == len(presences) and all(map(_CONTACT, presences)):
            return cls._of(cut, presences.copy(), documents or cut)
        return None if None in documents else cls.of_whole(cut.body, presences)

    @classmethod
    def _of(cls, cut: Cut, presences: list[Presence], entries: Cut | list[bytes | None]) -> KeptReply:
        return cls(cut.frame, presences, entries, len(cut.body) + _OF_DOCUMENT * len(presences))

    def followed_by(self, body: bytes, reader: EntryReader | None) -> Generator[None, None, KeptReply | None]:
        """The next reply, in steps; None where it has to be read as a new one. `reader` is of that reply."""
        if body == (self.entries.body if isinstance(self.entries, Cut) else self.frame):
            return self
        if reader is None or self.frame != reader.cut.frame:
            return None
        presences = self.presences.copy()
        with suppress(NotCut):
            changed = yield from self._compare(reader, presences)
            if changed is None:
                return None
            if isinstance(self.entries, Cut):
                return self._of(reader.cut, presences, reader.cut)
            documents = self.entries.copy()
            for place, document in changed.items():
                documents[place] = document
            return self._of(reader.cut, presences, documents)
        return None

    def _compare(
        self, reader: EntryReader, presences: list[Presence]
    ) -> Generator[None, None, dict[int, bytes | None] | None]:
        """The entries that differ, by their place; puts what they mean into `presences`. None where they are many, or
        not about the same contacts in the same order."""
        cut, changed = reader.cut, dict[int, bytes | None]()
        body, at = cut.body, cut.start
        for place, entry in enumerate(contacts_of(self.entries) if isinstance(self.entries, Cut) else self.entries):
            if entry is not None and body.startswith(entry, at):
                at += len(entry)
            else:
                end = body.find(cut.last, at, cut.end) + len(cut.last)
                if end <= at or len(changed) > _FEW + place // 4:
                    return None
                new, at = body[at:end], end
                presence, lasts = reader.read(new)
                if same_contact(presence.contact) != same_contact(presences[place].contact):
                    return None
                presences[place], changed[place] = presence, new if lasts else None
            if reader.work >= PER_STEP or place % _COMPARED == _COMPARED - 1:
                yield
                reader.work = 0
        return changed if at == cut.end else None


class _Key(NamedTuple):
    """A request, by a digest: it holds a session key."""

    user: Hashable
    digest: bytes


class KeptReplies:
    """The last reply to each of some requests. A session's replies go when its user has another one."""

    def __init__(self, replies: int = MAX_REPLIES, memory: int = MAX_BYTES) -> None:
        self._most, self._room = replies, memory
        self._kept: OrderedDict[_Key, KeptReply] = OrderedDict()
        self._sessions: dict[Hashable, Session] = {}
        self.memory = 0
        """Of all that is kept, in bytes."""

    def __repr__(self) -> str:
        return f"<KeptReplies to {len(self)} requests>"

    def __len__(self) -> int:
        return len(self._kept)

    def last(self, session: Session, request: bytes) -> KeptReply | None:
        """The reply to the last such request of that session."""
        key = self._key(session, request)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def keep(self, session: Session, request: bytes, reply: KeptReply) -> None:
        """Remembers a reply, in place of an earlier one to the same request."""
        self._forget_before(session)
        key = self._key(session, request)
        self._drop(key)
        if reply.memory <= self._room:
            self._kept[key] = reply
            self.memory += reply.memory
        while len(self._kept) > self._most or self.memory > self._room:
            self._drop(next(iter(self._kept)))

    def _key(self, session: Session, request: bytes) -> _Key:
        return _Key((session.user, session.kind), sha256(request).digest())

    def _forget_before(self, session: Session) -> None:
        """Forgets the replies to an earlier session of the same user, which nobody will ask for again."""
        user = (session.user, session.kind)
        known = self._sessions.get(user)
        if known is session or known == session:
            return
        if len(self._sessions) > self._most:
            self._sessions.clear()
        for key in [each for each in self._kept if each.user == user or each.user not in self._sessions]:
            self._drop(key)
        self._sessions[user] = session

    def _drop(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        self.memory -= 0 if kept is None else kept.memory
