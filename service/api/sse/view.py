"""What one client sees of an event: nothing, that a contact changed, that it left the view, or what else happened.

It is decided from the event alone, by comparing what the client saw before with what it sees now. So nothing has to be
remembered for a stream but its place in the log, and one that resumes gets exactly what it would have got.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from service.access.principal import Principal
from service.api.sse import wire_format
from service.api.sse.resume import VisibleEvent
from service.api.writers.compact import compact
from service.api.writers.contact import ContactJson
from service.api.writers.event import event_json
from service.core.events.event import CHANGE, REMOVED, Event
from service.core.events.log import EventLog
from service.core.presence import brief
from service.core.presence.claim import is_told_alike
from service.core.presence.query import Filter, Reader
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot
from service.core.presence.store import Store

KEPT: Final = 8 * 1024 * 1024
"""Bytes of events and snapshots that are kept for the streams that see the same: five thousand contacts are three."""
_FRAME: Final = 256
"""Bytes that a frame takes beside its own: its keys and its places in two tables."""
_VIEW: Final = 1024
"""Bytes that a view takes beside what its filter holds: the filter with its empty sets, and two tables."""


class ViewKey(NamedTuple):
    """Who sees the same: a filter, limits included, and whether details are shown."""

    wanted: Filter
    details: bool

    @property
    def size(self) -> int:
        """Bytes, roughly. A client may send a filter as long as a request line can be."""
        wanted = self.wanted
        sets = (wanted.states, wanted.activities, wanted.groups, wanted.levels, wanted.within or ())
        return _VIEW + sys.getsizeof(wanted.text) + sum(sys.getsizeof(found) + _text_size(found) for found in sets)


def _text_size(texts: Iterable[str]) -> int:
    return sum(map(sys.getsizeof, texts))


class FrameCache:
    """Frames written for one stream, kept for all that see the same. `turn`: a lock for work that takes long.

    `limit` bounds all that it holds, the views' filters included, each of which is held once.
    """

    def __init__(self, limit: int = KEPT) -> None:
        self.turn = asyncio.Lock()
        self._limit = limit
        self._size = 0
        self._frames: dict[tuple[int, int, int], bytes] = {}
        """By the number of the view, the id and the part; the oldest first."""
        self._views: dict[ViewKey, _CachedView] = {}
        self._keys: dict[int, ViewKey] = {}
        self._numbers = itertools.count()

    def __repr__(self) -> str:
        return f"<FrameCache {len(self._frames)}, {self._size} bytes>"

    def get(self, view_key: ViewKey, id: int, part: int = 0) -> bytes | None:  # noqa: A002  # the event's own word
        """A part of what is sent with that id; None when it is not kept."""
        view = self._views.get(view_key)
        return None if view is None else self._frames.get((view.number, id, part))

    def keep(self, frame: bytes, view_key: ViewKey, id: int, part: int = 0) -> None:  # noqa: A002
        """Keep one; the oldest make room."""
        view = self._views.get(view_key)
        if view is None:
            view = self._views[view_key] = _CachedView(next(self._numbers), view_key.size)
            self._keys[view.number] = view_key
            self._size += view.size
        key = (view.number, id, part)
        known = self._frames.pop(key, None)
        if known is None:
            view.frames += 1
            self._size += _FRAME
        self._frames[key] = frame
        self._size += len(frame) - len(known or b"")
        while self._size > self._limit:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        key = next(iter(self._frames))
        self._size -= len(self._frames.pop(key)) + _FRAME
        view_key = self._keys[key[0]]
        view = self._views[view_key]
        view.frames -= 1
        if not view.frames:
            self._size -= view.size
            del self._views[view_key], self._keys[key[0]]


@dataclass(slots=True)
class _CachedView:
    """A view that has frames in the cache: its number, the bytes of its key, and how many frames there are."""

    number: int
    size: int
    frames: int = 0


@lru_cache(maxsize=256)
def _all_within(groups: frozenset[str] | None) -> Filter:
    """One for all streams of the same limits."""
    return Filter(within=groups)


class SubscriberView:
    """Renders events for one client. Raises Unknown for an unknown group, or one that its key must not know of."""

    __slots__ = ("_frames", "_members", "_reader", "_store", "_view_key", "_visible", "_wanted", "_who", "_writer")

    def __init__(
        self, reader: Reader, store: Store, writer: ContactJson, frames: FrameCache, wanted: Filter, who: Principal
    ) -> None:
        self._reader = reader
        self._store = store
        self._writer = writer
        self._frames = frames
        self._wanted = wanted
        self._who = who
        self._visible = _all_within(who.groups)
        self._view_key = ViewKey(wanted, who.details)
        self._members = reader.members(wanted)

    @property
    def key(self) -> ViewKey:
        """Clients with the same key are sent the same."""
        return self._view_key

    def __repr__(self) -> str:
        return f"<SubscriberView of {self._who.name}>"

    def most_shown(self) -> int:
        """How many contacts are in its groups: so many it may show in time, whatever else the filter asks."""
        if self._members is None:
            return self._store.summary().contacts
        return sum(self._store.get(key) is not None for key in self._members)

    async def everybody(self, log: EventLog) -> tuple[Sequence[GroupedSnapshot], int]:
        """All contacts, and the id as of which they are so; where many streams begin, one after the other.

        Raises NotCommitted where that id may not be told.
        """
        async with self._frames.turn:
            await log.settle()  # of thousands that have just become stale, some in each turn
            found = log.everybody(), log.newest
            await asyncio.sleep(0)
        await log.accepted(found[1])
        return found

    async def contacts(self, log: EventLog, everybody: Sequence[GroupedSnapshot], start: int, at: int) -> bytes:
        """Those of some contacts that pass, as JSON with commas between; `start` is the place of the first of them.

        However many streams begin together, in one turn of the event loop one such part is written.
        """
        kept = self._frames.get(self._view_key, at, 1 + start)
        if kept is not None:
            return kept
        async with self._frames.turn:
            kept = self._frames.get(self._view_key, at, 1 + start)
            if kept is None:
                seen = (
                    (self._reader.visible_to(log.confirmed(snapshot), self._wanted), snapshot) for snapshot in everybody
                )
                kept = b",".join(self._shown(contact, snapshot) for contact, snapshot in seen if contact is not None)
                self._frames.keep(kept, self._view_key, at, 1 + start)
                await asyncio.sleep(0)
        return kept

    def visible(self, events: Sequence[Event]) -> Sequence[Event]:
        """Those that may change what this client sees: nothing that it gets may depend on the others."""
        if self._who.details:
            return events
        return [event for event in events if event.after is None or self._is_visible(event, event.after)]

    def _is_visible(self, event: Event, after: GroupedSnapshot) -> bool:
        return event.before is None or brief.revision(after, self._who.groups) == event.id

    def event(self, step: VisibleEvent) -> bytes:
        """The event as it is sent; nothing when it changes nothing for this client."""
        event, before, coalesced = step
        alone = coalesced is None
        if alone and (kept := self._frames.get(self._view_key, event.id)) is not None:
            return kept
        rendered = self.rendered(event, before)
        frame = b"" if rendered is None else wire_format.event(rendered[0], step.id, rendered[1])
        if alone:
            self._frames.keep(frame, self._view_key, event.id)
        return frame

    def rendered(self, event: Event, before: GroupedSnapshot | None) -> tuple[str, bytes] | None:
        """The event's name and data as the client sees it, who knows the contact as it was `before`; None: nothing."""
        return self._about_contact(event, before) if event.key is not None else self._beside_contacts(event)

    def _about_contact(self, event: Event, before: GroupedSnapshot | None) -> tuple[str, bytes] | None:
        """What the client gets, unless it knows it already; `before` is what it knows."""
        was = None if before is None else self._reader.visible_to(before, self._wanted)
        now = None if event.after is None else self._reader.visible_to(event.after, self._wanted)
        if now is not None:
            same = was is not None and self._looks_the_same(was, now)
            return None if same else (CHANGE, self._shown(now, event.after))
        if was is None:
            return None
        gone = b'{"contact":%b,"revision":%d,"watched":%b}' % (
            compact(was.record.contact),
            event.id,
            b"true" if event.after is not None else b"false",
        )
        return REMOVED, gone

    def _beside_contacts(self, event: Event) -> tuple[str, bytes] | None:
        """An event that is about no single contact; None where this client must not know of it."""
        if self._members is not None and event.keys is not None and event.keys.isdisjoint(self._members):
            return None
        data = event_json(event, self._who, self._contacts_of_claim)
        return None if data is None else (event.name, data)

    def _contacts_of_claim(self, contacts: Iterable[GroupedSnapshot]) -> bytes:
        """Those that this client may see, whether they pass its filter or not, with commas between."""
        visible = ((self._reader.visible_to(snapshot, self._visible), snapshot) for snapshot in contacts)
        return b",".join(self._shown(contact, snapshot) for contact, snapshot in visible if contact is not None)

    def _looks_the_same(self, was: ContactSnapshot, now: ContactSnapshot) -> bool:
        if was.freshness.level is not now.freshness.level:
            return False
        if self._who.details:
            read_alike = (was.record.revision, was.verdict) == (now.record.revision, now.verdict)
            return read_alike and is_told_alike(was.claim, now.claim)
        return was.verdict.available is now.verdict.available and _name(was) == _name(now)

    def _shown(self, contact: ContactSnapshot, snapshot: GroupedSnapshot | None) -> bytes:
        if not self._who.details:
            return self._writer.brief(brief.of(contact, snapshot, self._who.groups))
        # What is kept is kept of contacts as they are: a past one must not come in its place, nor stay for ever.
        current = self._store.get(contact.record.key)
        is_current = current is not None and current.revision == contact.record.revision
        writer = self._writer if is_current else ContactJson()
        return writer.one(contact)


def _name(contact: ContactSnapshot) -> str | None:
    presence = contact.record.presence
    return None if presence is None else presence.display_name
