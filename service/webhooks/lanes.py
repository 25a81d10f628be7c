"""Lanes of messages: one for each contact, and one for each thing that other events are about; they take turns.

Of each lane one message at most is under way. What belongs into a lane, and what is lost, is decided by `queue`. Time
is an argument; `now` is monotonic.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.core.events.event import Event
from service.core.presence.snapshot import GroupedSnapshot
from service.webhooks import message
from service.webhooks.message import WebhookMessage


@dataclass(eq=False, slots=True)
class Entry:
    """Something that waits or is under way: an event, or a message that is no event of this run.

    `known` is the contact as the target has it; `unsure`: or as something that came later. `witness` is then a contact
    that passed the filter and that the target may have. `since` is wall time, `due` monotonic: not to be tried before.
    `attempts` were made at the message as it is, from `begun` on. `failures` are those of them between which the target
    took `others`, counted in all: how long the message itself is left alone.
    """

    lane: str
    since: float
    lanes: Lanes
    event: Event | None = None
    message: WebhookMessage | None = None
    known: GroupedSnapshot | None = None
    unsure: bool = False
    witness: GroupedSnapshot | None = None
    due: float = 0.0
    attempts: int = 0
    failures: int = 0
    others: int = -1
    begun: float | None = None

    @property
    def id(self) -> int:
        """The id of what is sent."""
        if self.event is not None:
            return self.event.id
        return 0 if self.message is None else self.message.id

    @property
    def is_contact(self) -> bool:
        """Whether it is the last event of a contact."""
        return self.event is not None and self.event.key is not None

    @property
    def is_bounded(self) -> bool:
        """Whether it may be lost: all but the events of contacts that are watched, of which there are only so many, and
        what says how many were lost, of which there are two at most."""
        if self.event is None:
            return self.message is None or self.message.kind != message.LOST
        return self.event.after is None


@dataclass(eq=False, slots=True)
class Lanes:
    """Lanes that take turns. `ready`: those with a message that may be sent; `flying`: those with one under way."""

    contacts: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    others: dict[str, deque[Entry]] = field(default_factory=dict)
    ready: OrderedDict[str, None] = field(default_factory=OrderedDict)
    flying: dict[str, Entry] = field(default_factory=dict)
    _sleeping: list[tuple[float, int, str]] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self.contacts) + sum(map(len, self.others.values())) + len(self.flying)

    def head(self, lane: str) -> Entry | None:
        """What comes next in a lane."""
        found = self.contacts.get(lane)
        return found if found is not None else next(iter(self.others.get(lane, ())), None)

    def schedule(self, lane: str, now: float) -> None:
        """Let a lane take its turn, if there is something in it that may be sent."""
        head = self.head(lane)
        if head is None or lane in self.flying:
            self.ready.pop(lane, None)
        elif head.due > now:
            self.ready.pop(lane, None)
            heapq.heappush(self._sleeping, (head.due, next(self._count), lane))
        else:
            self.ready.setdefault(lane, None)

    def take(self, now: float) -> Entry | None:
        """The next message that may be sent now."""
        while self._sleeping and self._sleeping[0][0] <= now:
            self.schedule(heapq.heappop(self._sleeping)[2], now)
        if not self.ready:
            return None
        lane, _ = self.ready.popitem(last=False)
        entry = self.contacts.pop(lane, None)
        if entry is None:
            waiting = self.others[lane]
            entry = waiting.popleft()
            if not waiting:
                del self.others[lane]
        self.flying[lane] = entry
        return entry

    def try_again(self, now: float) -> None:
        """Let those take their turn that wait after a failure."""
        for _, _, lane in tuple(self._sleeping):
            head = self.head(lane)
            if head is not None and head.failures:
                head.due, head.failures = min(head.due, now), 0
                self.schedule(lane, now)

    def next_due(self, now: float) -> float | None:
        """When there will be something to take, if nothing else happens."""
        if self.ready:
            return now
        return self._sleeping[0][0] if self._sleeping else None

    def remove(self, entry: Entry, now: float) -> None:
        """Take out something that waits."""
        if self.contacts.get(entry.lane) is entry:
            del self.contacts[entry.lane]
        else:
            waiting = self.others[entry.lane]
            waiting.remove(entry)
            if not waiting:
                del self.others[entry.lane]
        self.schedule(entry.lane, now)

    def entries(self) -> Iterator[Entry]:
        """Everything, each lane in its order."""
        yield from self.flying.values()
        yield from self.contacts.values()
        yield from itertools.chain.from_iterable(self.others.values())


def oldest(lanes: Lanes) -> Iterator[Entry]:
    """Some entries, the oldest of all among them."""
    yield from lanes.flying.values()
    yield from itertools.islice(lanes.contacts.values(), 1)
    for waiting in lanes.others.values():
        yield waiting[0]
