"""What travels between replicas: it comes back as it was, and what cannot be read is refused by name."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import Device, Presence, PresenceState, PresenceType
from service.cluster import forms, wire
from service.cluster.members import Member
from service.cluster.upstream import upstream_of
from service.cluster.wire import (
    FORMAT,
    AdoptableResource,
    BeatBody,
    DamagedBytes,
    HandOver,
    NewerFormat,
    NotificationMark,
    OfEpoch,
    StoredReplay,
    WireError,
)
from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEvent, ClaimEventKind, Lease, Person
from service.core.clock import Moment
from service.core.events.commits import FeedChange, RecordChange
from service.core.events.event import CHANGE, REMOVED, Event, EventData, SubscriptionChange, WebhookChange
from service.core.presence.availability import AvailabilityVerdict, Opinion
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Doubt, Feed, ReadingStart, Record, SharedReading, Source, Spans
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot

texts = st.sampled_from(["", "a", "ann@example.com", "Jörg \N{GRINNING FACE}", "\0\n", "x" * 70])
numbers = st.sampled_from([0.0, -0.5, 1.0, 12345.678, 1_800_000_000.123456, 1e-9, 2.0**53])
moments = st.builds(Moment, numbers, numbers)
truths = st.none() | st.booleans()
words = st.lists(texts, max_size=3).map(tuple)
times = st.sampled_from([datetime(1990, 1, 1, tzinfo=UTC), datetime(2027, 1, 15, 8, 0, 0, 123456, tzinfo=UTC)])
devices = st.builds(
    Device,
    texts,
    st.booleans(),
    truths,
    truths,
    truths,
    texts,
    st.none() | numbers,
    words,
    st.none() | times,
    st.none() | texts,
    truths,
)
presences = st.builds(
    Presence,
    texts,
    st.sampled_from(PresenceState),
    st.sampled_from(PresenceType),
    words,
    truths,
    st.none() | texts,
    st.none() | texts,
    truths,
    st.lists(devices, max_size=2).map(tuple),
    st.none() | st.binary(max_size=20),
    st.none() | texts,
    truths,
    st.none() | times,
    st.none() | texts,
    st.none() | texts,
    truths,
    st.none() | texts,
    st.none() | times,
    st.none() | words,
    truths,
    words,
)
doubts = st.builds(Doubt, texts, moments, st.just(0), st.none() | moments)
spans = st.builds(Spans, numbers, st.none() | numbers, st.none() | numbers)
readings = st.builds(SharedReading, st.builds(ReadingStart, st.just(0), moments), st.just(0), st.sampled_from(Source))
records = st.builds(
    Record,
    texts,
    texts,
    texts,
    st.integers(0, 2**53),
    st.none() | presences,
    st.none() | readings,
    st.none() | moments,
    st.none() | doubts,
    st.none() | texts,
    st.none() | spans,
)
feeds = st.builds(Feed, texts, st.none() | moments, st.none() | doubts, st.none() | numbers)
verdicts = st.builds(AvailabilityVerdict, st.booleans(), texts)
claims = st.builds(Claim, texts, texts, texts, texts, texts, texts, moments, moments)
snapshots = st.builds(
    GroupedSnapshot,
    st.builds(
        ContactSnapshot,
        records,
        st.builds(Freshness, st.sampled_from(Level), st.none() | moments, st.none() | texts),
        verdicts,
        st.none() | claims,
    ),
    st.lists(st.builds(Opinion, st.none() | texts, verdicts), max_size=2).map(tuple),
    st.integers(0, 2**53) | st.lists(st.integers(0, 2**53), max_size=3).map(tuple),
)
people = st.builds(Person, texts, texts)
leases = st.builds(Lease, texts, texts, texts, texts, moments, moments, st.lists(people, max_size=3).map(tuple))
happenings: st.SearchStrategy[EventData] = st.one_of(
    st.builds(SubscriptionChange, texts, texts, st.none() | texts, st.none() | texts),
    st.builds(
        ClaimEvent,
        st.sampled_from(ClaimEventKind),
        leases,
        st.none() | people,
        st.none() | texts,
        st.lists(snapshots, max_size=1).map(tuple),
    ),
    st.builds(CoverageChange, texts, st.booleans(), st.integers(0, 9), st.integers(0, 9)),
    st.builds(WebhookChange, texts, st.none() | texts),
)
events = st.one_of(
    st.builds(
        Event,
        st.integers(1, 2**53),
        st.just(CHANGE),
        moments,
        texts,
        after=snapshots,
        before=st.none() | snapshots,
    ),
    st.builds(Event, st.integers(1, 2**53), st.just(REMOVED), moments, texts, before=snapshots),
    st.builds(
        Event,
        st.integers(1, 2**53),
        texts,
        moments,
        data=happenings,
        keys=st.none() | st.frozensets(texts, max_size=4),
        weight=st.integers(1, 9),
    ),
)


def plain(value: Any) -> Any:
    """All fields of a value by name, also those that do not count when values are compared."""
    if isinstance(value, msgspec.Struct):
        return type(value).__name__, {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return type(value).__name__, [plain(each) for each in value]
    return type(value).__name__, value


NOBODY = GroupedSnapshot(
    ContactSnapshot(Record("a", "a", "f", 1), Freshness(Level.UNKNOWN), AvailabilityVerdict(False, "")), ()
)


@given(records)
def test_records(record: Record) -> None:
    """All of a record but what is one store's own, which is 0 here."""
    change = RecordChange(7, record)
    assert plain(wire.decode_entry(7, wire.encode_entry(change))) == plain(change)


@given(snapshots)
def test_contacts(snapshot: GroupedSnapshot) -> None:
    """With the epoch in which they were written."""
    assert plain(wire.decode_contact(wire.encode_contact(9, snapshot))) == plain(OfEpoch(9, snapshot))


@pytest.mark.parametrize("place", ["ann@example.com", "", 7])
def test_places(place: str | int) -> None:
    """In the order of picking."""
    assert wire.decode_place(wire.encode_place(place)) == place
    with pytest.raises(DamagedBytes):
        wire.decode_place(wire.encode_contact(1, NOBODY))


@given(feeds)
def test_feeds(feed: Feed) -> None:
    """In their table and in the log."""
    assert plain(wire.decode_feed(wire.encode_feed(9, feed))) == plain(OfEpoch(9, feed))
    assert plain(wire.decode_entry(7, wire.encode_entry(FeedChange(7, feed)))) == plain(FeedChange(7, feed))


@given(leases)
def test_claims(lease: Lease) -> None:
    """With all the people."""
    assert plain(wire.decode_claim(wire.encode_claim(9, lease))) == plain(OfEpoch(9, lease))


@given(events)
def test_events(event: Event) -> None:
    """With the contact before and after, and what happened beside the contacts."""
    assert plain(wire.decode_entry(event.id, wire.encode_entry(event))) == plain(event)


@settings(max_examples=30)
@given(st.data())
def test_events_of_a_contact_that_is_mostly_what_it_was(data: st.DataObject) -> None:
    """Each field that changed is found again, whichever these are."""
    before = data.draw(snapshots.filter(lambda snapshot: snapshot.contact.record.presence is not None))
    presence, other = before.contact.record.presence, data.draw(presences)
    assert presence is not None
    names = data.draw(st.sets(st.sampled_from(Presence.__struct_fields__)))
    changed = msgspec.structs.replace(presence, **{name: getattr(other, name) for name in names})
    record = msgspec.structs.replace(before.contact.record, presence=changed, revision=data.draw(st.integers(0, 9)))
    after = msgspec.structs.replace(before, contact=msgspec.structs.replace(before.contact, record=record))
    event = Event(9, CHANGE, Moment(1.0, 2.0), "ann", after, before)
    assert plain(wire.decode_entry(9, wire.encode_entry(event))) == plain(event)


@given(numbers, st.integers(0, 2**53), st.lists(feeds, max_size=3), st.dictionaries(texts, numbers), st.booleans())
def test_beats(at: float, last: int, all_feeds: list[Feed], nonces: dict[str, float], is_last: bool) -> None:
    """With what each feed confirms."""
    beat = BeatBody(at, last, tuple(all_feeds), nonces, is_last, upstream=upstream_of("pws", ["imp1", "imp2"]))
    assert plain(wire.decode_beat(wire.encode_beat(beat))) == plain(beat)


def test_the_others() -> None:
    """Members, marks, what is handed over, answers."""
    member = Member("one", "http://one", "1.0", "c0ffee", 1.5, 7, 9, 2, upstream_of("pws", ["imp1"]))
    assert wire.decode_member(wire.encode_member(member)) == member
    mark = NotificationMark("n1", 4, "trace")
    assert wire.decode_mark(wire.encode_mark(mark)) == mark
    resource = AdoptableResource("subscription", "http://n", "dispatcher", 0, 4, ("ann",), 3000.0)
    handover = HandOver((resource,), {"dispatcher": "http://n"}, {"http://n": b"digest"})
    assert wire.decode_handover(wire.encode_handover(handover)) == handover
    replay = StoredReplay("desk", "key", "lease", "asked", b"{}", {"etag": "x"})
    assert wire.decode_replay(wire.encode_replay(replay)) == replay


# What is refused


def test_what_a_newer_version_wrote() -> None:
    """The text says what to do."""
    newer = bytes([FORMAT + 1]) + wire.encode_member(Member("one", "a", "1", "c", 1.0))[1:]
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1} by a newer version.*update this replica") as refused:
        wire.decode_member(newer)
    assert refused.value.found == FORMAT + 1


@pytest.mark.parametrize("foreign", [b"text", b'{"json": 1}', b"\x93\x01\x02\x03", b"\xff", b"\x00", b""])
def test_what_no_version_wrote(foreign: bytes) -> None:
    """It is not taken for a newer format, which would keep everybody from owning."""
    with pytest.raises(DamagedBytes):
        wire.decode_contact(foreign)


def test_a_field_that_a_later_version_added_is_passed_over() -> None:
    """At the end of an array: the format stays the same. One that is missing at the end has its default."""
    member = Member("one", "a", "1", "c", 1.0)
    longer = bytes([FORMAT]) + msgspec.msgpack.encode([*msgspec.structs.astuple(member), "new"])
    assert wire.decode_member(longer) == member
    shorter = bytes([FORMAT]) + msgspec.msgpack.encode(msgspec.structs.astuple(member)[:5])
    assert wire.decode_member(shorter) == member


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x90",
        b"\x01",
        b"\x01\xc1",
        b"\x01\x91\x07",
        bytes([FORMAT]) + msgspec.msgpack.encode((9, [])),
        bytes([FORMAT]) + msgspec.msgpack.encode((0, ["change", [1, 2], "a", None, [2, [0, 0]], None, None, 1])),
        bytes([FORMAT]) + msgspec.msgpack.encode((0, ["change", [1, 2], "a", None, [1, 5], None, None, 1])),
        bytes([FORMAT]) + msgspec.msgpack.encode((0, ["change", [1, 2], "a", None, 7, None, None, 1])),
    ],
)
def test_what_is_none_of_ours(data: bytes) -> None:
    """Nothing is made of a part of it."""
    with pytest.raises(DamagedBytes):
        wire.decode_entry(1, data)


@given(events, st.data())
def test_damaged_bytes_are_refused_or_say_something(event: Event, data: st.DataObject) -> None:
    """No other error comes out than ours."""
    whole = bytearray(wire.encode_entry(event))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(whole), bytes(whole[:place])):
        with contextlib.suppress(WireError):
            assert isinstance(wire.decode_entry(event.id, damaged), Event | FeedChange | RecordChange)


# That nothing is forgotten


FORMS = {
    Device: forms._DeviceForm,
    Presence: forms._PresenceForm,
    Feed: forms.FeedForm,
    Record: forms.RecordForm,
}


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
def test_a_form_has_all_fields(kind: type[msgspec.Struct]) -> None:
    """In the same order, with the same defaults: a new field of core wants a place here, at the end."""
    form = FORMS[kind]
    assert form.__struct_fields__ == kind.__struct_fields__
    if kind in {Device, Presence}:
        assert form.__struct_defaults__ == kind.__struct_defaults__


def test_forms_have_what_travels() -> None:
    """The same for values of other kinds."""
    assert forms.LeaseForm.__struct_fields__ == tuple(each.name for each in dataclasses.fields(Lease))
    assert forms._ClaimForm.__struct_fields__ == tuple(each.name for each in dataclasses.fields(Claim))
    assert forms._FreshnessForm._fields == Freshness._fields
    assert forms.SnapshotForm.__struct_fields__ == (
        *ContactSnapshot.__struct_fields__,
        *GroupedSnapshot.__struct_fields__[1:],
    )
    assert forms.EventForm.__struct_fields__ == tuple(name for name in Event.__struct_fields__ if name != "id")
    assert {kind.__name__ for kind in EventData.__subclasses__() if kind.__module__.startswith("service.")} == {
        "SubscriptionChange",
        "ClaimEvent",
        "CoverageChange",
        "WebhookChange",
    }


def test_an_unknown_event_is_a_bug() -> None:
    """It must not be left out."""
    with pytest.raises(TypeError, match="no form for EventData"):
        wire.encode_entry(Event(1, "x", Moment(1.0, 1.0), data=EventData()))


# How large it is


def test_a_contact_is_small() -> None:
    """A rich contact takes some hundred bytes, and an event little more than the contact once."""
    devices = tuple(
        Device(f"cmp-{number}", True, True, False, True, "soft-phone", 0.8, ("on-the-phone",), datetime.now(UTC), "pws")
        for number in range(2)
    )
    presence = Presence(
        "ann@example.com",
        PresenceState.BUSY,
        PresenceType.RICH,
        ("busy", "on-the-phone"),
        True,
        "Ann Example",
        "in a call",
        False,
        devices,
    )
    at = Moment(12345.678, 1800000000.5)
    record = Record("ann@example.com", "ann@example.com", "dispatcher", 1795736174599130, presence)
    record = msgspec.structs.replace(
        record, rests_on=SharedReading(ReadingStart(0, at), 0, Source.SUBSCRIBED), changed_at=at, spans=Spans(1.0)
    )
    fresh = Freshness(Level.LIVE, at)
    verdict = AvailabilityVerdict(False, "support: on the phone")
    after = GroupedSnapshot(ContactSnapshot(record, fresh, verdict), (Opinion("support", verdict),), 7)
    old = msgspec.structs.replace(record, presence=msgspec.structs.replace(presence, state=PresenceState.AVAILABLE))
    before = GroupedSnapshot(ContactSnapshot(old, fresh, verdict), (Opinion("support", verdict),), 7)
    alone = len(wire.encode_entry(RecordChange(9, record)))
    event = len(wire.encode_entry(Event(9, CHANGE, at, "ann@example.com", after, before)))
    assert alone < 500
    assert event < alone + 250
