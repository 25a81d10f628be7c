"""`from` and `until`: which elements of a document count at a given moment, and until when they do (RFC 4480)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import Presence, PresenceState
from pws_soap.pidf import Reading, explain, read_document, read_list, to_presence
from pws_soap.pidf.model import MAX_UNKNOWN

NOON = datetime(2026, 5, 30, 12, tzinfo=UTC)
CALL = (
    '<presence entity="sip:kay@example.com"><person>'
    '<activities from="{}" until="{}"><on-the-phone/></activities><activities><available/></activities>'
    "</person></presence>"
)


def call(start: str, end: str) -> str:
    """A document with a call between two times."""
    return CALL.format(start, end)


def test_a_call_of_long_ago_does_not_count() -> None:
    """It does where nobody says which moment it is."""
    document = call("2005-05-30T12:00:00+05:00", "2005-05-30T17:00:00+05:00")
    assert read_document(document).state is PresenceState.BUSY
    reading = read_document(document, NOON)
    assert (reading.state, reading.on_the_phone, reading.activities) == ("AVAILABLE", False, ("available",))
    assert explain(reading) == (
        "AVAILABLE: decided by person/activities/available (the person says so)",
        "person/activities: until 2005-05-30T12:00:00Z is past: does not count",
    )


def test_an_element_counts_from_its_from_up_to_its_until() -> None:
    """The first moment counts, the last does not; so a document read at its `valid_until` says what comes then."""
    document = call("2026-05-30T12:00:00Z", "2026-05-30T13:00:00Z")
    told = []
    moment: datetime | None = NOON - timedelta(hours=1)
    while moment is not None:
        presence = to_presence(read_document(document, moment))
        told.append((presence.state.value, presence.valid_until))
        moment = presence.valid_until
    assert told == [("AVAILABLE", NOON), ("BUSY", NOON + timedelta(hours=1)), ("AVAILABLE", None)]


def test_without_a_moment_times_are_not_judged() -> None:
    """Nothing is left out, nothing is told of them, and nothing ends."""
    reading = read_document(call("tomorrow", "2005-05-30T17:00:00Z"))
    assert (reading.state, reading.times, reading.valid_until) == ("BUSY", (), None)


def test_a_moment_without_an_offset_is_refused() -> None:
    """A naive time is a mistake of the caller's, and is told before any element has times."""
    with pytest.raises(ValueError, match="now: expected a time in UTC"):
        read_document("<presence/>", datetime(2026, 5, 30, 12))  # noqa: DTZ001  # the mistake itself
    with pytest.raises(ValueError, match="now: expected a time in UTC"):
        list(read_list("<presence/>", datetime(2026, 5, 30, 12)))  # noqa: DTZ001  # the mistake itself


def test_any_offset_of_the_moment_is_the_same_moment() -> None:
    """Only the instant counts."""
    zone = NOON.astimezone(tz=datetime.fromisoformat("2026-01-01T00:00:00+05:00").tzinfo)
    document = call("", "2026-05-30T12:00:01Z")
    assert read_document(document, zone) == read_document(document, NOON)


@pytest.mark.parametrize("carrier", ["{0}", "<richPresenceList>{0}</richPresenceList>"])
def test_each_document_of_a_list_has_its_own_times(carrier: str) -> None:
    """What is past in one says nothing of the next."""
    documents = call("", "2026-05-30T12:00:01Z") + call("", "2026-05-30T11:00:00Z") + call("", "2027-01-01T00:00:00Z")
    readings = list(read_list(carrier.format(documents), NOON))
    assert [reading.state for reading in readings] == ["BUSY", "AVAILABLE", "BUSY"]
    assert [len(reading.times) for reading in readings] == [0, 1, 0]
    assert readings[1].valid_until is None


def test_what_counts_no_longer_takes_along_what_is_in_it() -> None:
    """Also times in it: they change nothing any more."""
    reading = read_document(
        "<presence><person until='2026-05-30T11:00:00Z'><activities until='2026-05-30T13:00:00Z'><busy/></activities>"
        "</person></presence>",
        NOON,
    )
    assert (reading.said, reading.valid_until, len(reading.times)) == ((), None, 1)


def test_only_so_many_lines_tell_of_times() -> None:
    """A document of thousands of past activities is explained in a few lines."""
    past = "".join(f"<x{number} until='2005-01-01T00:00:00Z'/>" for number in range(1000))
    reading = read_document(f"<presence><person><activities>{past}<busy/></activities></person></presence>", NOON)
    assert (len(reading.times), reading.activities) == (MAX_UNKNOWN, ("busy",))


def test_two_presences_differ_not_by_their_validity() -> None:
    """A device that moves its `until` on has no news."""
    one = to_presence(read_document(call("", "2026-05-30T13:00:00Z"), NOON))
    other = to_presence(read_document(call("", "2026-05-30T14:00:00Z"), NOON))
    assert one.valid_until != other.valid_until
    assert one == other
    assert Presence("a@b", PresenceState.BUSY).valid_until is None
    assert to_presence(Reading("a@b", problem="cut", valid_until=NOON)).valid_until is None


times = st.none() | st.integers(-5, 5).map(lambda hours: NOON + timedelta(hours=hours))
elements = st.tuples(st.sampled_from(["busy", "away", "dnd", "available", "on-the-phone"]), times, times)


@given(st.lists(elements, max_size=4), times, times, st.integers(0, 3))
@settings(deadline=None)
def test_between_two_changes_the_document_says_the_same(
    said: list[tuple[str, datetime | None, datetime | None]],
    start: datetime | None,
    end: datetime | None,
    place: int,
) -> None:
    """At every moment before `valid_until` the meaning is that of now, wherever the times stand."""

    def attributes(start: datetime | None, end: datetime | None) -> str:
        return "".join(
            f' {name}="{time.isoformat()}"' for name, time in (("from", start), ("until", end)) if time is not None
        )

    words = "".join(f"<{word}{attributes(*when)}/>" for word, *when in said)
    around = [attributes(start, end) if place == number else "" for number in range(4)]
    document = (
        f"<presence><person{around[0]}><activities{around[1]}>{words}</activities></person>"
        f"<tuple id='t'{around[2]}><status{around[3]}><basic>open</basic>"
        f"<activities>{words}</activities></status></tuple>"
        "</presence>"
    )

    def meaning(at: datetime) -> tuple[object, ...]:
        reading = read_document(document, at)
        return (reading.state, reading.activities, reading.on_the_phone, reading.devices)

    now = NOON - timedelta(hours=6, minutes=30)
    while (change := read_document(document, now).valid_until) is not None:
        assert change > now
        steps = int((change - now) / timedelta(minutes=30))
        assert {meaning(now + step * timedelta(minutes=30)) for step in range(steps)} <= {meaning(now)}
        now = change
    assert {meaning(now + timedelta(hours=hours)) for hours in range(24)} == {meaning(now)}
