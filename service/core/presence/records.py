"""What the store keeps and hands out: frozen values, safe to hold while the store goes on."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from pws_soap.models import Presence, PresenceState
from service.core.clock import Moment


class Source(StrEnum):
    """How a state was last read."""

    SUBSCRIBED = "subscribed"
    POLLED = "polled"


class ReadingStart(NamedTuple):
    """A fetch that has begun: its place in the store's order of events, and when. `Store.begin` makes it.

    The order is exact where two clock readings may be equal; it decides, the moment is for ages and for showing.
    """

    order: int
    at: Moment


class SharedReading(msgspec.Struct, eq=False, gc=False):
    """A reading that all records share of which a reply told, as long as nothing else is read of them.

    So a reply that says the same as the one before moves one value on, not thousands of records. Only the store changes
    it. `settled` is the order at which it was taken in. `sure` counts the records of the store that rest on it and are
    not in doubt; where `reply` is set, it told of `named` contacts, and all of them were sure then.
    """

    start: ReadingStart
    settled: int
    source: Source
    sure: int = 0
    reply: tuple[Presence, ...] | None = None
    named: int = 0


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """Why a state may no longer be true.

    `order` is its place in the store's order of events: only a reading that began later can settle it. `as_of` is the
    last moment for which the state was still known.
    """

    reason: str
    since: Moment
    order: int
    as_of: Moment | None = None


class Feed(msgspec.Struct, frozen=True, gc=False):
    """What keeps contacts up to date: the subscription of one end user, whatever its id at the moment.

    `confirmed` is when the last successful change-only fetch began: what it did not name had not changed until then.
    `bound` is how long, in seconds, its contacts count as live unconfirmed where that is less than usual: while
    notifications do not come, more fetches do, and one that fails is noticed sooner.
    """

    name: str
    confirmed: Moment | None
    doubt: Doubt | None
    bound: float | None = None


class Spans(NamedTuple):
    """Since when some things are as they are, on the monotonic clock; `service.core.presence.availability` decides with
    them.

    `same`: state, activities and the phone. `idle`: since when idle, None where not. `call_ended`: the end of the last
    call that was seen. Each is a moment at which it was so, or earlier where the document tells it.
    """

    same: float
    idle: float | None = None
    call_ended: float | None = None


def spans_after(before: Record, presence: Presence, at: Moment) -> Spans:
    """The spans once `presence` has been read of the contact, by a reading that began at `at`."""
    known, spans = before.presence, before.spans
    if known is None or spans is None:
        return Spans(at.monotonic, _idle_from(presence, at))
    called, calls = known.on_the_phone is True, presence.on_the_phone is True
    same = known.state is presence.state and known.activities == presence.activities and called is calls
    if not presence.idle:
        idle = None
    elif spans.idle is not None and presence.idle_since in (None, known.idle_since):
        idle = spans.idle
    else:
        idle = _idle_from(presence, at)
    ended = at.monotonic if called and not calls else spans.call_ended
    return spans if same and idle == spans.idle else Spans(spans.same if same else at.monotonic, idle, ended)


def _idle_from(presence: Presence, at: Moment) -> float | None:
    """Since when idle: as the document says, by a clock that is not ours, and never later than when it was read."""
    if not presence.idle:
        return None
    if presence.idle_since is None:
        return at.monotonic
    return at.monotonic - max(0.0, at.wall - presence.idle_since.timestamp())


class Record(msgspec.Struct, frozen=True, gc=False):
    """A watched contact and what is known of it.

    `contact` is its spelling as first watched, `key` the form to compare. `presence` is None until the first reading;
    `rests_on` is the last reading that counts. `problem` says why the last document could not be read; the presence is
    then an older one.
    """

    key: str
    contact: str
    feed: str
    revision: int
    presence: Presence | None = None
    rests_on: SharedReading | None = None
    changed_at: Moment | None = None
    doubt: Doubt | None = None
    problem: str | None = None
    spans: Spans | None = None

    @property
    def reading(self) -> ReadingStart | None:
        """When the last reading that counts began."""
        return None if self.rests_on is None else self.rests_on.start

    @property
    def source(self) -> Source | None:
        """How the state was last read."""
        return None if self.rests_on is None else self.rests_on.source

    @property
    def holds_until(self) -> float | None:
        """The monotonic moment from which on its document says something else (an activity's `until` or `from`)."""
        presence, reading = self.presence, self.reading
        if presence is None or presence.valid_until is None or reading is None:
            return None
        return reading.at.monotonic + presence.valid_until.timestamp() - reading.at.wall

    @property
    def state(self) -> PresenceState:
        """One of the seven; UNKNOWN as long as nothing was read."""
        return self.presence.state if self.presence is not None else PresenceState.UNKNOWN


class ChangeKind(StrEnum):
    """What happened to a contact."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(msgspec.Struct, frozen=True, gc=False):
    """One step of the global revision. `record` is the contact afterwards; for a removal, as it was last."""

    revision: int
    kind: ChangeKind
    record: Record
    before: Record | None = None


class PutReport(msgspec.Struct, frozen=True, gc=False):
    """What became of a reply.

    `contested` and `unreadable` name contacts that must be read again: their state stays in doubt until then.
    `strangers` counts those that are not watched.
    """

    changes: tuple[Change, ...] = ()
    contested: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    strangers: int = 0


class StoreSummary(msgspec.Struct, frozen=True, gc=False):
    """The store in numbers: contacts watched, how many were ever read, and what was odd since the start."""

    contacts: int
    read: int
    revision: int
    strangers: int
    contested: int
    unreadable: int
