"""Where a stream is in the log, and what it is told from there on.

A place is the id of the last event that was told, a number: all that a client sends back. Mostly that says everything.
But a client that lags is told the last event of each contact out of a whole stretch of the log, in the order of their
ids, and nobody knows where in it the connection may break. Whoever comes back from inside of a stretch has not been
told what was left out before that place. So such stretches are remembered: what a contact looked like where one began
counts as well as what the client may know of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from service.core.events.event import Event
from service.core.presence.snapshot import GroupedSnapshot

MAX_LENGTH: Final = 64
"""Characters of a place that a client may send."""
MOST_NEWS: Final = 100
"""Events beside the contacts that are told of one stretch, the newest; older ones are of no use any more."""
_FORM: Final = re.compile(r"[0-9]{1,20}")


def place_of(text: str) -> int | None:
    """The place that a client sent; None when it is nothing of ours."""
    return int(text) if _FORM.fullmatch(text) else None


class VisibleEvent(NamedTuple):
    """An event that is to be told, and the contact as the client may know it: None where it may know nothing."""

    event: Event
    before: tuple[GroupedSnapshot | None, ...]


class CoalescedRange(NamedTuple):
    """Of what lies behind the id `begin`, up to `end`, not everything was told."""

    begin: int
    end: int


class Stretches:
    """Stretches of the log that were told in short, to whomever: the last `limit` of them."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._known: list[CoalescedRange] = []
        self._lost = 0

    def __len__(self) -> int:
        return len(self._known)

    def add(self, stretch: CoalescedRange, floor: int) -> None:
        """Remember one; those before `floor`, from where on one can resume, are of no use any more."""
        self._known = [each for each in self._known if each.end > floor] + [stretch]
        if len(self._known) > self._limit:
            self._lost = max(self._lost, self._known.pop(0).end)

    def around(self, place: int) -> list[CoalescedRange] | None:
        """Those that `place` lies in; None when that is known no longer."""
        if place < self._lost:
            return None
        return [each for each in self._known if each.begin < place < each.end]


def each(events: Sequence[Event]) -> list[VisibleEvent]:
    """All of them, one after the other."""
    return [VisibleEvent(event, (event.before,)) for event in events]


def coalesce(events: Sequence[Event]) -> list[VisibleEvent]:
    """The last event of each contact, with what was told before the first; of others, the newest. In order."""
    before: dict[str, GroupedSnapshot | None] = {}
    last: dict[str, Event] = {}
    news: list[Event] = []
    for event in events:
        if event.key is None:
            news.append(event)
        else:
            before.setdefault(event.key, event.before)
            last[event.key] = event
    steps = [VisibleEvent(event, (before[key],)) for key, event in last.items()]
    steps += [VisibleEvent(event, ()) for event in news[-MOST_NEWS:]]
    return sorted(steps, key=lambda step: step.event.id)


def replay(events: Sequence[Event], place: int, stretches: Sequence[CoalescedRange]) -> list[VisibleEvent]:
    """What follows `place`, which lies in `stretches`. `events` are all since the first of them began.

    A client out of a stretch knows of a contact whose last event there is still to come what it knew at the begin of
    the stretch; of any other, and so does a client that was told everything, what it was like at `place`. Nobody knows
    which client this is, so that the first event of each contact is told against both.
    """
    steps: list[VisibleEvent] = []
    begun: set[str] = set()
    for event in events:
        if event.id <= place:
            continue
        if event.key is None:
            steps.append(VisibleEvent(event, ()))
            continue
        before = [event.before]
        if event.key not in begun:
            begun.add(event.key)
            same = [each for each in events if each.key == event.key]
            for begin, end in stretches:
                if event.id <= end:
                    before.append(next(each.before for each in same if each.id > begin))
        steps.append(VisibleEvent(event, tuple(before)))
    return steps
