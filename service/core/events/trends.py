"""The picture of the last hours: how many were free, busy, on the phone or not sure, minute by minute; nobody's name.

Follows the event log, so that a sample costs what the groups are, and not how many are watched. It is in memory alone,
and bounded: 720 samples, twelve hours with one a minute, of 24 bytes for each group. Of fewer than three contacts there
is no picture, since it would be the day of a person.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from enum import StrEnum
from typing import Final, NamedTuple

from pws_soap.models import PresenceState
from service.core.clock import Clock, Moment
from service.core.events.event import Event, SubscriptionChange
from service.core.events.log import EventLog
from service.core.presence.freshness import Level
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot

DEFAULT_INTERVAL: Final = 60.0
"""Seconds between two samples."""
MOST_SAMPLES: Final = 720
FEWEST: Final = 3
"""Contacts. Of fewer no sample is shown."""
MOST_MARKS: Final = 500
"""Events of subscriptions that are kept; beyond, the oldest go."""


class Activity(StrEnum):
    """What a contact counts as. Each counts as one of them; the first that fits decides."""

    UNSURE = "unsure"
    """Stale, or never read."""
    FREE = "free"
    """Available by the rule of the group, and claimed by nobody."""
    ON_THE_PHONE = "on_the_phone"
    CLAIMED = "claimed"
    BUSY = "busy"
    """There, and not free: busy, in a meeting, not to be disturbed, wrapping up, idle."""
    AWAY = "away"


_PLACES: Final = {activity: place for place, activity in enumerate(Activity)}
_WIDTH: Final = len(_PLACES)
_THERE: Final = frozenset({PresenceState.AVAILABLE, PresenceState.BUSY, PresenceState.DND})


class Sample(NamedTuple):
    """How many counted as what at one moment. `lag`: the longest time from a notification to the change that it was
    about, in seconds, of those since the sample before; None where there was none."""

    at: Moment
    counts: Mapping[Activity, int]
    lag: float | None


class Mark(NamedTuple):
    """An event of a subscription, such as `subscription.lost`. `groups`: those that have contacts of it; None: it is
    about no contacts in particular."""

    at: Moment
    name: str
    groups: frozenset[str] | None = None


class _KeptSample(NamedTuple):
    at: Moment
    counts: array[int]
    lag: float | None


class Trends:
    """Follows a log. `groups`: the names of all groups; `interval`: seconds between two samples."""

    def __init__(
        self, clock: Clock, groups: Iterable[str], interval: float = DEFAULT_INTERVAL, most: int = MOST_SAMPLES
    ) -> None:
        self.interval = interval
        self._clock = clock
        self._rows = {name: row * _WIDTH for row, name in enumerate((None, *groups))}
        self._now = array("I", bytes(4 * _WIDTH * len(self._rows)))
        self._counted: dict[str, tuple[int, ...]] = {}
        """Where in it each contact is counted. An event's `before` need not be that: of several replicas the one that
        loses the ownership never tells the last that it had to tell."""
        self._distinct: dict[tuple[int, ...], tuple[int, ...]] = {}
        """Those places once: of thousands of contacts many are counted in the same."""
        self._samples: deque[_KeptSample] = deque(maxlen=most)
        self._marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self._lag: float | None = None
        self._members: Mapping[str, Set[str]] = {}

    def __repr__(self) -> str:
        return f"<Trends of {len(self._rows) - 1} groups, {len(self._samples)} samples>"

    def follow(self, log: EventLog, members: Mapping[str, Set[str]] | None = None) -> Callable[[], None]:
        """Count what the log tells from now on; call what is returned to stop. The log must have told nothing yet.

        `members`: the keys of each group's contacts, by which marks belong to groups.
        """
        self._members = members or {}
        return log.follow(self._take)

    def lagged(self, seconds: float) -> None:
        """A notification was followed by what it was about after so many seconds."""
        self._lag = max(seconds, self._lag or 0.0)

    def sample(self) -> None:
        """Keep how things are now."""
        self._samples.append(_KeptSample(Moment.of(self._clock), self._now[:], self._lag))
        self._lag = None

    async def run(self) -> None:
        """Take samples, for ever."""
        while True:
            await self._clock.sleep(self.interval)
            self.sample()

    def counts(self, group: str | None = None) -> Mapping[Activity, int]:
        """How many count as what now, of all or of a group. KeyError: there is no such group."""
        return self._counts(self._now, group)

    def samples(self, group: str | None = None) -> Sequence[Sample]:
        """What was kept of all or of a group, the oldest first. KeyError: there is no such group."""
        samples = [Sample(kept.at, self._counts(kept.counts, group), kept.lag) for kept in self._samples]
        return [sample for sample in samples if sum(sample.counts.values()) >= FEWEST]

    def marks(self, within: Set[str] | None = None) -> Sequence[Mark]:
        """What happened to subscriptions since the oldest sample, the oldest first.

        Of those with contacts of the groups `within` only, where given, as a stream tells it.
        """
        since = self._samples[0].at.monotonic - self.interval if self._samples else 0.0
        found = [mark for mark in self._marks if mark.at.monotonic >= since]
        if within is None:
            return found
        return [mark for mark in found if mark.groups is None or not mark.groups.isdisjoint(within)]

    def _counts(self, counts: array[int], group: str | None) -> Mapping[Activity, int]:
        row = self._rows[group]
        return dict(zip(_PLACES, counts[row : row + _WIDTH], strict=True))

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event.data, SubscriptionChange):
                self._marks.append(Mark(event.at, event.name, self._groups_of(event)))
            if event.key is not None and (event.before is not None or event.after is not None):
                self._count(event.key, () if event.after is None else tuple(self._places_of(event.after)))

    def _groups_of(self, event: Event) -> frozenset[str] | None:
        if event.keys is None:
            return None
        return frozenset(name for name, keys in self._members.items() if not event.keys.isdisjoint(keys))

    def _count(self, key: str, places: tuple[int, ...]) -> None:
        before = self._counted.get(key, ())
        if before == places:
            return
        for place in before:
            self._now[place] -= 1
        for place in places:
            self._now[place] += 1
        if places:
            self._counted[key] = self._distinct.setdefault(places, places)
        else:
            del self._counted[key]

    def _places_of(self, snapshot: GroupedSnapshot) -> Iterator[int]:
        contact = snapshot.contact
        yield self._rows[None] + _PLACES[activity_of(contact, available=contact.verdict.available)]
        for group, available in snapshot.available_by_group():
            row = self._rows.get(group) if group is not None else None
            if row is not None:
                yield row + _PLACES[activity_of(contact, available=available)]


def activity_of(contact: ContactSnapshot, *, available: bool) -> Activity:
    """What a contact counts as; `available` by the rule in question, claims counted."""
    if contact.freshness.level is not Level.LIVE:
        return Activity.UNSURE
    if available:
        return Activity.FREE
    presence = contact.record.presence
    if presence is not None and presence.on_the_phone:
        return Activity.ON_THE_PHONE
    if contact.claim is not None:
        return Activity.CLAIMED
    return Activity.BUSY if contact.record.state in _THERE else Activity.AWAY
