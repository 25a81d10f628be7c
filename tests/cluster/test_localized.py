"""The owner's moments on our clock: each wrong on the harmless side alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.models import Presence, PresenceState
from service.cluster.clock_mapping import ClockMapping
from service.cluster.localized import Localizer
from service.core.claims.model import ClaimEvent, ClaimEventKind, Lease, Person
from service.core.clock import Moment
from service.core.events.event import CHANGE, Event
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Doubt, Feed, ReadingStart, Record, SharedReading, Source, Spans
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot

EARLIER = 1e-6
NOW = 600.0
"""On the clock of the test."""

drifts = st.floats(-0.0004, 0.0004)
offsets = st.floats(-1e5, 1e5)
moments = st.floats(0.0, NOW)


def nobody(_claim: str) -> Moment | None:
    return None


class Clocks:
    """Two clocks, and a mapping that has heard a minute of beats of the one on the other."""

    def __init__(self, offset: float, drift: float, latency: float = 0.2) -> None:
        self.offset, self.drift = offset, drift
        self.mapping = ClockMapping()
        for second in range(60):
            made = NOW - 60.0 + second
            self.mapping.heard(made, self.ours(made + latency), self.ours(made - latency))
        self.localizer = Localizer(self.mapping, self.ours(NOW), nobody)

    def ours(self, at: float) -> float:
        """A moment of the owner's clock, which is the test's, on ours."""
        return self.offset + at * (1 + self.drift)


def record(at: float, same: float, idle: float | None = None, ended: float | None = None) -> Record:
    reading = SharedReading(ReadingStart(0, Moment(at, 7.0)), 0, Source.POLLED)
    doubt = Doubt("lost", Moment(at, 8.0), 0, Moment(at, 9.0))
    presence = Presence("ann", PresenceState.BUSY)
    return Record("ann", "ann", "feed", 3, presence, reading, Moment(at, 5.0), doubt, None, Spans(same, idle, ended))


@given(offsets, drifts, moments, moments)
def test_moments_of_a_record(offset: float, drift: float, at: float, same: float) -> None:
    """What is known looks no younger; what lasts looks no longer. Wall times stay."""
    clocks = Clocks(offset, drift)
    given_, found = record(at, same, idle=same, ended=same), clocks.localizer.record(record(at, same, same, same))
    assert found.rests_on is not None
    assert found.doubt is not None
    assert found.doubt.as_of is not None
    assert found.changed_at is not None
    assert found.spans is not None
    assert found.spans.idle is not None
    assert found.spans.call_ended is not None
    for moment in (found.rests_on.start.at, found.doubt.since, found.doubt.as_of, found.changed_at):
        assert clocks.ours(at) - 2.0 < moment.monotonic <= clocks.ours(at) + EARLIER
    assert clocks.ours(same) - 2.0 < found.spans.idle <= clocks.ours(same) + EARLIER
    for since in (found.spans.same, found.spans.call_ended):
        assert clocks.ours(same) - EARLIER <= since < clocks.ours(same) + 2.0
        assert since <= clocks.ours(NOW)
    assert [found.rests_on.start.at.wall, found.doubt.since.wall, found.doubt.as_of.wall] == [7.0, 8.0, 9.0]
    assert (found.presence, found.rests_on.source, found.revision) == (given_.presence, Source.POLLED, 3)


@given(offsets, drifts, moments, st.floats(1.0, 3600.0))
def test_a_claim_is_never_shorter(offset: float, drift: float, made: float, seconds: float) -> None:
    """Than it was promised for."""
    clocks = Clocks(offset, drift)
    lease = Lease("c", "g", "", "joe", Moment(made, 1.0), Moment(made + seconds, 2.0), (Person("ann", "ann"),))
    found = clocks.localizer.lease(lease)
    assert found.expires.monotonic >= clocks.ours(made + seconds) - EARLIER
    assert found.expires.wall == 2.0
    assert found.people == lease.people


@pytest.mark.parametrize("mapping", [None, ClockMapping()])
def test_without_a_mapping(mapping: ClockMapping | None) -> None:
    """As of an earlier tenure: known long ago, lasting since now, claimed for the whole length again."""
    localizer = Localizer(mapping, 50.0, nobody)
    found = localizer.record(record(40.0, 30.0, 20.0, 10.0))
    assert found.rests_on is not None
    assert found.rests_on.start.at == (-math.inf, 7.0)
    assert found.spans == Spans(50.0, -math.inf, 50.0)
    assert localizer.feed(Feed("f", Moment(1.0, 2.0), None)).confirmed == (-math.inf, 2.0)
    lease = Lease("c", "g", "", "joe", Moment(10.0, 1.0), Moment(40.0, 2.0), ())
    assert localizer.lease(lease).expires == (80.0, 2.0)


def test_what_is_long_ago_stays_so() -> None:
    """A record that the owner itself has from an earlier tenure."""
    clocks = Clocks(0.0, 0.0)
    found = clocks.localizer.record(record(-math.inf, 1.0, -math.inf))
    assert found.rests_on is not None
    assert found.rests_on.start.at.monotonic == -math.inf
    assert found.spans is not None
    assert found.spans.idle == -math.inf


def test_a_claim_has_one_end() -> None:
    """That of its lease, in whatever it is told; another one after it was renewed."""
    end = Moment(123.0, 2.0)
    localizer = Localizer(Clocks(0.0, 0.0).mapping, NOW, lambda claim: end if claim == "c" else None)
    claim = Claim("c", "ann", "ann", "g", "", "joe", Moment(1.0, 1.0), Moment(31.0, 2.0))
    contact = ContactSnapshot(
        record(1.0, 1.0), Freshness(Level.LIVE, Moment(1.0, 1.0)), AvailabilityVerdict(True, ""), claim
    )
    snapshot = GroupedSnapshot(contact, ())
    lease = Lease("c", "g", "", "joe", Moment(1.0, 1.0), Moment(31.0, 2.0), ())
    told = Event(
        1, ClaimEventKind.MADE, Moment(1.0, 1.0), data=ClaimEvent(ClaimEventKind.MADE, lease, None, None, (snapshot,))
    )
    data = localizer.event(told).data
    assert isinstance(data, ClaimEvent)
    assert data.lease.expires == end
    assert data.contacts[0].contact.claim is not None
    assert data.contacts[0].contact.claim.expires == end
    change = localizer.event(Event(2, CHANGE, Moment(1.0, 1.0), "ann", snapshot, snapshot))
    assert change.after is not None
    assert change.before is not None
    for found in (change.after, change.before):
        assert found.contact.claim is not None
        assert found.contact.claim.expires == end
        assert found.contact.freshness.as_of is not None
        assert found.contact.freshness.as_of.monotonic <= 1.0
    renewed = localizer.lease(Lease("c", "g", "", "joe", Moment(1.0, 1.0), Moment(61.0, 3.0), ()))
    assert renewed.expires.monotonic > 60.0


def test_a_claim_is_no_longer_after_two_owners() -> None:
    """Neither of whose clocks is known: it gets its whole length again each time, and no more."""
    lease = Lease("c", "g", "", "joe", Moment(10.0, 1.0), Moment(40.0, 2.0), (Person("ann", "ann"),))
    for now in (500.0, -100.0, 7000.0):
        lease = Localizer(None, now, nobody).lease(lease)
        assert (lease.made.monotonic, lease.expires.monotonic) == (now, now + 30.0)


def test_a_claim_that_is_told_of_twice_is_the_same() -> None:
    """Else a contact would seem to be another whenever what is known is loaded anew."""
    clocks, end = Clocks(300.0, 0.0005), Moment(NOW + 12.0, 2.0)
    claim = Claim("c", "ann", "ann", "g", "", "joe", Moment(1.0, 1.0), Moment(31.0, 2.0))
    contact = ContactSnapshot(
        record(1.0, 1.0), Freshness(Level.LIVE, Moment(1.0, 1.0)), AvailabilityVerdict(True, ""), claim
    )
    found = {
        Localizer(mapping, NOW, lambda _claim: end).snapshot(GroupedSnapshot(contact, ())).contact.claim
        for mapping in (None, clocks.mapping, Clocks(-5.0, 0.0).mapping)
    }
    assert len(found) == 1
