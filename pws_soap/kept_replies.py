"""Remembers what the last reply to each request meant, and its bytes: what comes again unchanged is not read again.

A server that is asked for thousands of contacts says of nearly all of them what it said before. What it says means the
same then, as it depends on nothing but request and reply, unless a document says from or until when something holds
(RFC 4480): that one is read each time.

Of a reply whose entries could be cut out (`pws_soap.entries`) each entry is kept, and the next reply is held against
them byte by byte: where all around the entries is the same, and they are about the same contacts in the same order,
only those that differ are read. Of any other reply only an equal one is known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Hashable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from pws_soap.entries import PER_STEP, EntryReader, NotCut
from pws_soap.models import Presence, Session, same_contact

MAX_REPLIES: Final = 256
"""Requests whose last reply is kept; beyond, the one that was not asked for longest goes."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Memory of all kept replies together, beside their presences: six lists of 5000 rich documents. A server that names
only who has changed needs next to nothing of it."""
_OF_ENTRY: Final = 64
"""Bytes that an entry takes beside its own."""
_FEW: Final = 50
"""Entries that have changed, beside a quarter of all: with more of them a reply is read as a new one."""
_COMPARED: Final = 2000
"""Entries compared between two places to pause, in half a millisecond."""

Steps: TypeAlias = Generator[None, None, list[Presence] | None]


class KeptReply:
    """A reply and what it means."""

    def __init__(self, frame: Hashable, presences: list[Presence], entries: list[bytes | None], size: int) -> None:
        """`entries`: those of a reply that was cut, one for each presence, without those that have to be read each
        time. `frame`: the rest of the reply; the whole where it has no entries."""
        self._frame = frame
        self._presences = presences
        self._entries = entries
        self.memory = size + _OF_ENTRY * len(entries)
        """In bytes, beside the presences."""

    @classmethod
    def of_whole(cls, body: bytes, presences: Sequence[Presence]) -> KeptReply:
        """Of a reply that means the same at any time."""
        return cls(body, list(presences), [], len(body))

    @classmethod
    def of_entries(cls, reader: EntryReader, presences: Sequence[Presence]) -> KeptReply | None:
        """Of a reply whose entries `reader` has read. Where they do not stand for one contact each, only an equal reply
        will be known; None where that one may mean something else."""
        cut, entries = reader.cut, reader.lasting
        if len(entries) == len(presences) and all(each.contact for each in presences):
            return cls(cut.frame, list(presences), entries, len(cut.body))
        return None if None in entries else cls.of_whole(cut.body, presences)

    def read_in_steps(self, body: bytes, reader: EntryReader | None) -> Steps:
        """What the next reply means; None where it has to be read as a new one. `reader` is of that reply."""
        if self._frame == body:
            return list(self._presences)
        if reader is None or self._frame != reader.cut.frame:
            return None
        presences = self._presences.copy()
        changed: dict[int, bytes | None] = {}
        with suppress(NotCut):
            if (yield from self._compare(reader, presences, changed)):
                for place, entry in changed.items():  # at once, as another call may have come in between
                    self._entries[place], self._presences[place] = entry, presences[place]
                return presences
        return None

    def _compare(
        self, reader: EntryReader, presences: list[Presence], changed: dict[int, bytes | None]
    ) -> Generator[None, None, bool]:
        """Puts what differs into `presences` and `changed`. Whether the reply is like this one for all else."""
        cut = reader.cut
        body, at = cut.body, cut.start
        for place, entry in enumerate(self._entries):
            if entry is not None and body.startswith(entry, at):
                at += len(entry)
            else:
                end = body.find(cut.last, at, cut.end) + len(cut.last)
                if end <= at or len(changed) > _FEW + place // 4:
                    return False
                new, at = body[at:end], end
                presence, lasts = reader.read(new)
                if same_contact(presence.contact) != same_contact(presences[place].contact):
                    return False
                presences[place], changed[place] = presence, new if lasts else None
            if reader.work >= PER_STEP or place % _COMPARED == _COMPARED - 1:
                yield
                reader.work = 0
        return at == cut.end


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
