"""Where a stream resumes: what the id of an event says about its client, and what follows it.

The id of an event is its revision, a number: the client knows everything up to it. A client that lags gets a range of
the log coalesced: the last event of each contact, in the order of their revisions. The connection may break between
any two of them, so their ids name the range too, `ID.BEGIN.END`: the client knows everything up to BEGIN, and of the
events behind it, up to END, the coalesced ones up to ID. With the last of them it knows everything up to END, and the
id of that one is a number again.

An id says all that there is to know about a client: nothing is remembered between two connections, and every process
that has the same log can resume it. The same range coalesced again gives the same events, so a client that resumes
inside a range gets the rest of them, with the ids that they would have had. The next range begins where this one ends:
ranges neither nest nor overlap, however often a connection breaks.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

from service.core.events.event import Event
from service.core.presence.snapshot import GroupedSnapshot

MAX_LENGTH: Final = 64
"""Characters of an id that a client may send: three numbers of 20 digits and two dots are 62."""
MOST_NOTICES: Final = 100
"""Events beside the contacts that one range tells, the newest; older ones are of no use any more."""
_SLICE: Final = 500
"""Events looked at in one turn of the event loop."""
_ID: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20})\.([0-9]{1,20}))?")


class CoalescedRange(NamedTuple):
    """The events behind the revision `begin`, up to `end`, of which only the last of each contact is sent."""

    begin: int
    end: int


class StreamPosition(NamedTuple):
    """What a client knows: everything up to `revision`; within a `range`, see above."""

    revision: int
    range: CoalescedRange | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position that an id of an event stands for; None for text that is no such id."""
        found = _ID.fullmatch(text)
        if found is None:
            return None
        revision = int(found[1])
        if found[2] is None:
            return cls(revision)
        begin, end = int(found[2]), int(found[3])
        return cls(revision, CoalescedRange(begin, end)) if begin <= revision <= end else None

    def __str__(self) -> str:
        """The id, as it is sent."""
        if self.range is None or self.revision == self.range.end:
            return str(self.revision)
        return f"{self.revision}.{self.range.begin}.{self.range.end}"

    @property
    def known(self) -> int:
        """The revision up to which the client knows everything: what follows it must be in the log."""
        return self.revision if self.range is None else self.range.begin

    @property
    def newest(self) -> int:
        """The newest revision that the position names: one beyond the log is of no log of ours."""
        return self.revision if self.range is None else self.range.end


class VisibleEvent(NamedTuple):
    """An event to send, and its contact `before`, as the client knows it: None where it knows none.

    `range` is the one in which the event is the last of its contact; None where every event is sent.
    """

    event: Event
    before: GroupedSnapshot | None
    range: CoalescedRange | None = None

    @property
    def id(self) -> str:
        """The id that is sent with it."""
        return str(StreamPosition(self.event.id, self.range))


Visible = Callable[[Sequence[Event]], Sequence[Event]]
"""Those of some events that may change what a client sees."""


def one_by_one(events: Sequence[Event]) -> list[VisibleEvent]:
    """Every event, for a client that keeps up."""
    return [VisibleEvent(event, event.before) for event in events]


async def coalesce(events: Sequence[Event], begin: int, visible: Visible) -> list[VisibleEvent]:
    """The last visible event of each contact, in order; of the events beside the contacts the newest.

    `events` are all that follow the revision `begin`. What a client knows of a contact is what it was before the first
    of its events.
    """
    before: dict[str, GroupedSnapshot | None] = {}
    last: dict[str, Event] = {}  # in the order of the events
    notices: deque[Event] = deque(maxlen=MOST_NOTICES)
    for start in range(0, len(events), _SLICE):
        for event in visible(events[start : start + _SLICE]):
            if event.key is None:
                notices.append(event)
            else:
                before.setdefault(event.key, event.before)
                last.pop(event.key, None)
                last[event.key] = event
        await asyncio.sleep(0)
    kept = sorted([*last.values(), *notices], key=_revision)  # two ordered runs: no more than a merge
    if not kept:
        return []
    coalesced = CoalescedRange(begin, kept[-1].id)
    found: list[VisibleEvent] = []
    for start in range(0, len(kept), _SLICE):
        found += [
            VisibleEvent(event, None if event.key is None else before[event.key], coalesced)
            for event in kept[start : start + _SLICE]
        ]
        await asyncio.sleep(0)
    return found


async def replay(events: Sequence[Event], position: StreamPosition, visible: Visible) -> list[VisibleEvent]:
    """The rest of a coalesced range, for a client that resumes inside it. `events` are all that follow its begin."""
    if position.range is None:
        return []
    inside = events[: bisect_right(events, position.range.end, key=_revision)]
    coalesced = await coalesce(inside, position.range.begin, visible)
    return coalesced[bisect_right(coalesced, position.revision, key=lambda each: each.event.id) :]


def _revision(event: Event) -> int:
    return event.id
