"""What answers look like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import Device, Presence, PresenceState, PresenceType
from service.api.models import ContactListView, rfc3339
from service.api.writers.contact import ContactJson
from service.core.clock import Moment
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness, Level
from service.core.presence.query import Page
from service.core.presence.records import Change, ChangeKind, ReadingStart, Record, SharedReading, Source
from service.core.presence.snapshot import ContactSnapshot
from tests.support.examples import examples
from tests.support.plain_contacts import contact_view

NO = AvailabilityVerdict(False, "stale")
AS_OF = Moment(5.0, 1_795_255_203.12)
CHANGED = Moment(1.0, 1_795_255_120.001)
POLLED = SharedReading(ReadingStart(2, AS_OF), 3, Source.POLLED)

ANN = ContactSnapshot(
    Record(
        "ann@example.com",
        "ann@example.com",
        "dispatcher",
        4711,
        presence=Presence(
            "ann@example.com",
            PresenceState.BUSY,
            PresenceType.RICH,
            activities=("busy", "on-the-phone"),
            on_the_phone=True,
            display_name="Ann Example",
            idle=False,
            devices=(Device("cmp-8001-162", open=True, audio=True, video=False, text=False),),
        ),
        rests_on=SharedReading(ReadingStart(1, AS_OF), 2, Source.SUBSCRIBED),
        changed_at=CHANGED,
    ),
    Freshness(Level.LIVE, AS_OF),
    AvailabilityVerdict(False, "on the phone"),
)


@pytest.mark.parametrize(
    ("wall", "shown"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_255_203.12, "2026-11-21T10:00:03.120Z"),
        (1_795_255_120.001, "2026-11-21T09:58:40.001Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(wall: float, shown: str) -> None:
    """RFC 3339, and always the same length."""
    assert rfc3339(wall) == shown


def test_a_contact_looks_as_agreed() -> None:
    """Every key, in this order: programs and people rely on it."""
    assert ContactJson().one(ANN).decode() == (
        '{"contact":"ann@example.com","state":"BUSY","activities":["busy","on-the-phone"],"on_the_phone":true,'
        '"display_name":"Ann Example","note":null,"idle":false,"devices":[{"id":"cmp-8001-162","open":true,'
        '"audio":true,"video":false,"text":false}],"freshness":"live","as_of":"2026-11-21T10:00:03.120Z",'
        '"changed_at":"2026-11-21T09:58:40.001Z","source":"subscribed","revision":4711,'
        '"available":false,"reason":"on the phone","claim":null}'
    )


def test_a_contact_that_was_never_read_has_empty_fields() -> None:
    """The same keys, all told."""
    known = ContactSnapshot(
        Record("bob@example.com", "Bob@example.com", "f", 1),
        Freshness(Level.UNKNOWN),
        AvailabilityVerdict(False, "it was never read"),
    )
    assert json.loads(ContactJson().one(known)) == {
        "contact": "Bob@example.com",
        "state": "UNKNOWN",
        "activities": [],
        "on_the_phone": None,
        "display_name": None,
        "note": None,
        "idle": None,
        "devices": [],
        "freshness": "unknown",
        "as_of": None,
        "changed_at": None,
        "source": None,
        "revision": 1,
        "available": False,
        "reason": "it was never read",
        "claim": None,
    }


def test_what_was_kept_is_not_shown_for_something_newer() -> None:
    """A new revision and a new source are seen, and so is each moment's freshness."""
    writer = ContactJson()
    writer.one(ANN)
    record = ANN.record
    polled = Record("ann@example.com", "ann@example.com", "f", 4711, record.presence, POLLED)
    newer = Record("ann@example.com", "ann@example.com", "f", 4712, rests_on=POLLED)
    assert json.loads(writer.one(ContactSnapshot(polled, Freshness(Level.STALE, AS_OF), NO)))["source"] == "polled"
    assert json.loads(writer.one(ContactSnapshot(newer, Freshness(Level.UNKNOWN), NO)))["state"] == "UNKNOWN"
    assert len(writer) == 1


def test_nothing_is_kept_of_who_is_no_longer_watched() -> None:
    """Memory ends with the watch."""
    writer = ContactJson()
    writer.one(ANN)
    writer.forget([Change(1, ChangeKind.CHANGED, ANN.record)])
    assert len(writer) == 1
    writer.forget([Change(2, ChangeKind.REMOVED, ANN.record)])
    writer.forget([Change(3, ChangeKind.REMOVED, ANN.record)])
    assert len(writer) == 0


def test_what_is_kept_of_contacts_is_bounded() -> None:
    """However many contacts are written."""
    writer = ContactJson(most=3)
    for number in range(10):
        record = Record(f"{number}@x", f"{number}@x", "f", number)
        writer.one(ContactSnapshot(record, Freshness(Level.UNKNOWN), NO))
    assert len(writer) == 3


text = st.text(st.characters(codec="utf-8"), max_size=12)
maybe = st.none() | st.booleans()
moments = st.builds(Moment, st.floats(0, 1e6), st.floats(0, 4e9).map(lambda wall: round(wall, 3)))
presences = st.builds(
    Presence,
    contact=text,
    state=st.sampled_from(PresenceState),
    activities=st.lists(text, max_size=3).map(tuple),
    on_the_phone=maybe,
    display_name=st.none() | text,
    note=st.none() | text,
    idle=maybe,
    devices=st.lists(st.builds(Device, text, st.booleans(), maybe, maybe, maybe), max_size=2).map(tuple),
)
contacts = st.builds(
    ContactSnapshot,
    st.builds(
        Record,
        key=text,
        contact=text,
        feed=text,
        revision=st.integers(0, 2**40),
        presence=st.none() | presences,
        changed_at=st.none() | moments,
        rests_on=st.none()
        | st.builds(SharedReading, st.builds(ReadingStart, st.just(1), moments), st.just(2), st.sampled_from(Source)),
    ),
    st.builds(Freshness, st.sampled_from(Level), st.none() | moments),
    st.builds(AvailabilityVerdict, st.booleans(), text),
    st.none() | st.builds(Claim, text, text, text, text, text, text, moments, moments),
)


@given(st.lists(contacts, max_size=3), st.none() | text, st.integers(0, 2**40))
@settings(max_examples=examples(100), deadline=None)
def test_the_fast_way_and_the_plain_way_agree(known: list[ContactSnapshot], cursor: str | None, revision: int) -> None:
    """Whatever the names and notes hold."""
    plain = ContactListView(
        contacts=[contact_view(each) for each in known], next_cursor=cursor, revision=revision
    ).model_dump(mode="json")
    fast = json.loads(ContactJson().page(Page(tuple(known), cursor, revision)))
    # Of two records with one key the first would be kept: the store has no such two, the strategy may.
    if len({each.record.key for each in known}) == len(known):
        assert fast == plain
        assert list(fast) == list(plain)
        assert [list(each) for each in fast["contacts"]] == [list(each) for each in plain["contacts"]]
