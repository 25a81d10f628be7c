"""The engine has gone back: a replica that knows what it has lost owns next, and the others follow on from there."""

from __future__ import annotations

from pws_soap.models import Presence, PresenceState
from service.cluster import tables
from service.cluster.engine import LEASE, Table
from service.core.claims.model import ClaimEvent, ClaimEventKind, ClaimRequest, Granted
from service.core.clock import ManualClock
from service.core.events.event import Event
from service.core.presence.filters import Filter
from service.core.presence.records import Source
from tests.cluster.replicas import ANN, BOB, CID, Replica, World
from tests.support.bare_service import AVAILABLE, AWAY

FEED = "dispatcher"
FREE = Filter(states=frozenset({PresenceState.AVAILABLE}))


async def opened(world: World, owner: Replica) -> None:
    """Three people are watched and read, and everybody knows it."""
    await owner.take_over()
    owner.store.watch((ANN, BOB, CID), FEED)
    read(owner, *(Presence(contact, AVAILABLE) for contact in (ANN, BOB, CID)))
    await world.settle(owner)
    for replica in world.replicas:
        if replica is not owner:
            replica.follower.heard()


def read(owner: Replica, *states: Presence) -> None:
    """A fetch that succeeds."""
    reading = owner.store.begin()
    owner.store.put(states, reading, source=Source.SUBSCRIBED)
    owner.store.confirm(FEED, reading)
    owner.store.trust(FEED)


async def lost_tail(world: World) -> tuple[Replica, Replica, Replica, int]:
    """Ann goes away and Bob is claimed; the first owner and one mirror know it, the engine goes back behind it.

    The mirror that knows it owns then. The other one knows no more than the engine: up to which id is returned as well.
    """
    owner, heir, behind = world.replicas
    await opened(world, owner)
    image, last = world.server.image(), behind.core.log.last
    read(owner, Presence(ANN, AWAY))
    assert isinstance(owner.core.claim_service.ask(ClaimRequest("sales", 1, 60.0, "", "joe")).outcome, Granted)
    await owner.commit()
    await heir.follow()
    world.server.rewind(image)
    assert isinstance(world.server.clock, ManualClock)
    world.server.clock.advance(LEASE + 0.1)
    await heir.take_over(knows_more=True)
    return owner, heir, behind, last


def claims_in(replica: Replica, after: int) -> list[tuple[ClaimEventKind, frozenset[str]]]:
    """What streams are told of claims behind this id."""
    found: list[Event] | None = replica.core.log.since(after)
    assert found is not None
    return [(event.data.kind, event.data.lease.keys) for event in found if isinstance(event.data, ClaimEvent)]


async def test_what_was_lost_is_told_again_with_new_ids() -> None:
    """A client that follows those who are free learns that somebody is not, at whichever replica it goes on."""
    world = World()
    _, heir, behind, last = await lost_tail(world)
    lost = heir.follower.highest
    await heir.commit()
    await behind.follow()
    for replica in (heir, behind):
        streamed = replica.streamed(last, FREE)
        assert streamed is not None
        assert [name for _, name, _ in streamed if name == "removed"] == ["removed"], replica.name
        (claim,) = claims_in(replica, last)
        assert claim[0] is ClaimEventKind.MADE
        assert replica.core.log.since(lost) is None, "nobody else has these ids"
        assert [lease.keys for lease in replica.core.claim_service.leases()] == [claim[1]]
    assert heir.streamed(last) == behind.streamed(last)


async def test_a_stream_that_begins_then_can_go_on() -> None:
    """The newest event that is known was lost: a snapshot of that id would be followed by another one, for ever."""
    world = World()
    _, heir, _, _ = await lost_tail(world)
    assert heir.core.log.since(heir.core.log.last) is not None
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    world.server.rewind()
    await heir.take_over(knows_more=True)
    assert heir.core.log.since(heir.core.log.last) is not None
    await heir.commit()
    assert heir.core.log.since(heir.core.log.newest) is not None


async def test_who_follows_events_here_hears_nothing_twice() -> None:
    """A replica's own history and trends know already what it tells the others again."""
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    image = world.server.image()
    heard: list[str | None] = []
    heir.core.log.follow(lambda events: heard.extend(event.key for event in events))
    read(owner, Presence(ANN, AWAY))
    await owner.commit()
    await heir.follow()
    assert heard.count(ANN) == 1
    world.server.rewind(image)
    assert isinstance(world.server.clock, ManualClock)
    world.server.clock.advance(LEASE + 0.1)
    await heir.take_over(knows_more=True)
    await heir.commit()
    assert heard.count(ANN) == 1


async def test_claims_that_the_engine_has_and_nobody_knows_are_over() -> None:
    """They were let go of in what was lost: anybody who mirrors them lets go of them too."""
    world = World()
    owner, heir, behind = world.replicas
    await opened(world, owner)
    outcome = owner.core.claim_service.ask(ClaimRequest("sales", 1, 60.0, "", "joe")).outcome
    assert isinstance(outcome, Granted)
    await world.settle(owner, 1)
    image, last = world.server.image(), behind.core.log.last
    owner.core.claim_service.release(outcome.lease.id)
    await owner.commit()
    await heir.follow()
    world.server.rewind(image)
    assert isinstance(world.server.clock, ManualClock)
    world.server.clock.advance(LEASE + 0.1)
    await heir.take_over(knows_more=True)
    await heir.commit()
    await behind.follow()
    assert claims_in(behind, last) == [(ClaimEventKind.RELEASED, outcome.lease.keys)]
    assert not behind.core.claim_service.leases()
    assert not world.server.snapshot().tables[Table.HELD]


async def test_a_lease_that_came_back_with_an_older_state_makes_it_no_whole_one() -> None:
    """Its owner is about to learn that it owns no longer; loading what is there now would forget the rest."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    image = world.server.image()
    read(owner, Presence(ANN, AWAY))
    await owner.commit()
    await mirror.follow()
    world.server.rewind(image)
    assert world.server.holder is not None
    assert not tables.is_whole(world.server.snapshot(), mirror.follower.highest)
