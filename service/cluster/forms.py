"""The values of core as plain arrays, which is what they look like in the engine.

Each form has the fields of its value in the same order, as an array without names: some 400 bytes for a contact with
rich presence. A field that is added at the end may be missing in what an older version wrote, and is passed over by an
older version that reads it; any other change is a new format (`wire.FORMAT`). `tests/cluster/test_wire.py` fails where
a value of core has a field that its form lacks.

What belongs to one store alone does not travel: the order of its events (`ReadingStart.order`, `Doubt.order`), and
which records share a reading. All moments are of the owner's clock; `clock_mapping` makes them ours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from pws_soap.models import Device, Presence, PresenceState, PresenceType
from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEvent, ClaimEventKind, Lease, Person
from service.core.clock import Moment
from service.core.events.event import Event, EventData, SubscriptionChange, WebhookChange
from service.core.presence.availability import AvailabilityVerdict, Opinion
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Doubt, Feed, ReadingStart, Record, SharedReading, Source, Spans
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot, Marks


class _Form(Struct, array_like=True, gc=False):
    """An array without names."""


class _DeviceForm(_Form):
    id: str
    open: bool
    audio: bool | None = None
    video: bool | None = None
    text: bool | None = None
    kind: str = "other"
    priority: float | None = None
    activities: tuple[str, ...] = ()
    timestamp: datetime | None = None
    source: str | None = None
    basic: bool | None = None


class _PresenceForm(_Form):
    contact: str
    state: PresenceState
    type: PresenceType = PresenceType.BASIC
    activities: tuple[str, ...] = ()
    on_the_phone: bool | None = None
    display_name: str | None = None
    note: str | None = None
    idle: bool | None = None
    devices: tuple[_DeviceForm, ...] = ()
    document: bytes | None = None
    problem: str | None = None
    in_meeting: bool | None = None
    idle_since: datetime | None = None
    phone_status: str | None = None
    im_status: str | None = None
    manual: bool | None = None
    note_language: str | None = None
    valid_until: datetime | None = None
    said: tuple[str, ...] | None = None
    basic: bool | None = None
    times: tuple[str, ...] = ()


class _DoubtForm(_Form):
    reason: str
    since: Moment
    as_of: Moment | None = None


class _ReadingForm(_Form):
    at: Moment
    source: Source


class FeedForm(_Form):
    """A feed."""

    name: str
    confirmed: Moment | None
    doubt: _DoubtForm | None
    bound: float | None = None


class RecordForm(_Form):
    """A record."""

    key: str
    contact: str
    feed: str
    revision: int
    presence: _PresenceForm | None = None
    rests_on: _ReadingForm | None = None
    changed_at: Moment | None = None
    doubt: _DoubtForm | None = None
    problem: str | None = None
    spans: Spans | None = None


class LeaseForm(_Form):
    """A lease of people, with all that it holds."""

    id: str
    group: str
    purpose: str
    holder: str
    made: Moment
    expires: Moment
    people: tuple[Person, ...]


class _ClaimForm(_Form):
    id: str
    key: str
    contact: str
    group: str
    purpose: str
    holder: str
    made: Moment
    expires: Moment


class _FreshnessForm(NamedTuple):
    level: Level
    as_of: Moment | None
    reason: str | None


class SnapshotForm(_Form):
    """A contact as the event log has it."""

    record: RecordForm
    freshness: _FreshnessForm
    verdict: AvailabilityVerdict
    claim: _ClaimForm | None
    opinions: tuple[Opinion, ...]
    marks: int | tuple[int, ...]


class _SubscriptionForm(_Form, tag="subscription"):
    end_user: str
    node: str
    reason: str | None
    origin: str | None


class _ClaimEventForm(_Form, tag="claim"):
    kind: ClaimEventKind
    lease: LeaseForm
    person: Person | None
    reason: str | None
    contacts: tuple[SnapshotForm, ...]


class _CoverageForm(_Form, tag="coverage"):
    group: str
    is_low: bool
    free: int
    min_free: int


class _WebhookForm(_Form, tag="webhook"):
    target: str
    reason: str | None


_DataForm = _SubscriptionForm | _ClaimEventForm | _CoverageForm | _WebhookForm


class EventForm(_Form):
    """An event but for its id, which is the entry's.

    `before` says how the snapshot before differs from `after` (`difference`), None where there was none.
    """

    name: str
    at: Moment
    key: str | None
    after: SnapshotForm | None
    before: Any
    data: _DataForm | None
    keys: tuple[str, ...] | None
    weight: int


# --- records


def record_form(record: Record) -> RecordForm:
    """A record as an array."""
    presence, reading = record.presence, record.rests_on
    return RecordForm(
        record.key,
        record.contact,
        record.feed,
        record.revision,
        None if presence is None else _presence_form(presence),
        None if reading is None else _ReadingForm(reading.start.at, reading.source),
        record.changed_at,
        _doubt_form(record.doubt),
        record.problem,
        record.spans,
    )


def record_of(form: RecordForm) -> Record:
    """The record that an array means."""
    presence, reading = form.presence, form.rests_on
    return Record(
        form.key,
        form.contact,
        form.feed,
        form.revision,
        None if presence is None else _presence_of(presence),
        None if reading is None else SharedReading(ReadingStart(0, reading.at), 0, reading.source),
        form.changed_at,
        _doubt_of(form.doubt),
        form.problem,
        form.spans,
    )


def _presence_form(presence: Presence) -> _PresenceForm:
    fields = list(astuple(presence))
    fields[_DEVICES] = tuple(_DeviceForm(*astuple(device)) for device in presence.devices)
    return _PresenceForm(*fields)


def _presence_of(form: _PresenceForm) -> Presence:
    fields = list(astuple(form))
    fields[_DEVICES] = tuple(Device(*astuple(device)) for device in form.devices)
    return Presence(*fields)


_DEVICES = Presence.__struct_fields__.index("devices")


def _doubt_form(doubt: Doubt | None) -> _DoubtForm | None:
    return None if doubt is None else _DoubtForm(doubt.reason, doubt.since, doubt.as_of)


def _doubt_of(form: _DoubtForm | None) -> Doubt | None:
    return None if form is None else Doubt(form.reason, form.since, 0, form.as_of)


def feed_form(feed: Feed) -> FeedForm:
    """A feed as an array."""
    return FeedForm(feed.name, feed.confirmed, _doubt_form(feed.doubt), feed.bound)


def feed_of(form: FeedForm) -> Feed:
    """The feed that an array means."""
    return Feed(form.name, form.confirmed, _doubt_of(form.doubt), form.bound)


# --- claims


def lease_form(lease: Lease) -> LeaseForm:
    """A lease as an array."""
    return LeaseForm(lease.id, lease.group, lease.purpose, lease.holder, lease.made, lease.expires, lease.people)


def lease_of(form: LeaseForm) -> Lease:
    """The lease that an array means."""
    return Lease(form.id, form.group, form.purpose, form.holder, form.made, form.expires, form.people)


def _claim_form(claim: Claim) -> _ClaimForm:
    return _ClaimForm(
        claim.id,
        claim.key,
        claim.contact,
        claim.group,
        claim.purpose,
        claim.holder,
        claim.made,
        claim.expires,
    )


def _claim_of(form: _ClaimForm) -> Claim:
    return Claim(form.id, form.key, form.contact, form.group, form.purpose, form.holder, form.made, form.expires)


# --- events


def snapshot_form(snapshot: GroupedSnapshot) -> SnapshotForm:
    """A snapshot as an array."""
    contact = snapshot.contact
    return SnapshotForm(
        record_form(contact.record),
        _FreshnessForm(*contact.freshness),
        contact.verdict,
        None if contact.claim is None else _claim_form(contact.claim),
        snapshot.opinions,
        snapshot.marks,
    )


def snapshot_of(form: SnapshotForm) -> GroupedSnapshot:
    """The snapshot that an array means."""
    claim = None if form.claim is None else _claim_of(form.claim)
    contact = ContactSnapshot(record_of(form.record), Freshness(*form.freshness), form.verdict, claim)
    marks: Marks = form.marks
    return GroupedSnapshot(contact, form.opinions, marks)


def event_form(event: Event) -> EventForm:
    """An event as an array."""
    after = None if event.after is None else snapshot_form(event.after)
    before = None if event.before is None else difference(_plain(snapshot_form(event.before)), _plain(after))
    return EventForm(
        event.name,
        event.at,
        event.key,
        after,
        before,
        None if event.data is None else _data_form(event.data),
        None if event.keys is None else tuple(sorted(event.keys)),
        event.weight,
    )


def event_of(id: int, form: EventForm) -> Event:  # noqa: A002  # as in Event
    """The event that an array means."""
    before = None
    if form.before is not None:
        before = msgspec.convert(undone(form.before, _plain(form.after)), SnapshotForm, builtin_types=_PLAIN_TYPES)
    return Event(
        id,
        form.name,
        form.at,
        form.key,
        None if form.after is None else snapshot_of(form.after),
        None if before is None else snapshot_of(before),
        None if form.data is None else _data_of(form.data),
        None if form.keys is None else frozenset(form.keys),
        form.weight,
    )


def _data_form(data: EventData) -> _DataForm:
    match data:
        case SubscriptionChange():
            return _SubscriptionForm(data.end_user, data.node, data.reason, data.origin)
        case ClaimEvent():
            contacts = tuple(map(snapshot_form, data.contacts))
            return _ClaimEventForm(data.kind, lease_form(data.lease), data.person, data.reason, contacts)
        case CoverageChange():
            return _CoverageForm(data.group, data.is_low, data.free, data.min_free)
        case WebhookChange():
            return _WebhookForm(data.target, data.reason)
        case _:
            raise TypeError(f"no form for {type(data).__name__}")


def _data_of(form: _DataForm) -> EventData:
    match form:
        case _SubscriptionForm():
            return SubscriptionChange(form.end_user, form.node, form.reason, form.origin)
        case _ClaimEventForm():
            contacts = tuple(map(snapshot_of, form.contacts))
            return ClaimEvent(form.kind, lease_of(form.lease), form.person, form.reason, contacts)
        case _CoverageForm():
            return CoverageChange(form.group, form.is_low, form.free, form.min_free)
        case _WebhookForm():
            return WebhookChange(form.target, form.reason)


# --- what of two arrays differs: of a contact that changed most of what it was before is what it is now

_PLAIN_TYPES = (datetime, bytes)
_SAME, _OTHER, _PARTS = 0, 1, 2
Plain = Any
"""Lists of lists of plain values."""


def _plain(form: SnapshotForm | None) -> Plain:
    return None if form is None else msgspec.to_builtins(form, builtin_types=_PLAIN_TYPES)


def difference(of: Plain, base: Plain) -> Plain:
    """How `of` is made from `base`."""
    if of == base and type(of) is type(base):
        return _SAME
    if not isinstance(of, list) or not isinstance(base, list) or len(of) != len(base) or not of:
        return [_OTHER, of]
    parts = [[place, difference(mine, its)] for place, (mine, its) in enumerate(zip(of, base, strict=True))]
    return [_PARTS, *(part for part in parts if part[1] != _SAME)]


def undone(changed: Plain, base: Plain) -> Plain:
    """What `difference` was made of. ValueError, TypeError, IndexError: it was not made of this base."""
    if changed == _SAME:
        return base
    kind, *rest = changed
    if kind == _OTHER:
        return rest[0]
    if kind != _PARTS or not isinstance(base, list):
        raise ValueError("not a difference")
    found = list(base)
    for place, part in rest:
        found[place] = undone(part, base[place])
    return found
