"""A mirror's life: it joins, falls behind, hears nobody, becomes the owner and stops being it."""

from __future__ import annotations

import asyncio
import math

import pytest

from pws_soap.models import Presence
from service.cluster import tables
from service.cluster.engine import LEASE, Batch, Beat, LogPosition, LogRewound, News, Put, StoredEntry, Table, Taken
from service.cluster.mirroring import JOINING, NOBODY_HEARD, STEPPED_DOWN, TAKEN_OVER, NotWhole
from service.cluster.wire import FORMAT, DamagedBytes, NewerFormat
from service.core import wakeup
from service.core.claims.model import ClaimRequest, Granted, Lease, RejectReason
from service.core.clock import ManualClock
from service.core.events.commits import FeedChange
from service.core.presence.freshness import Level
from service.core.presence.records import Source
from service.runtime.engine_trouble import EngineTrouble
from service.runtime.following import Following
from tests.cluster.replicas import ANN, BOB, CID, Replica, World
from tests.support.bare_service import AVAILABLE, BUSY

FEED = "dispatcher"


def levels(replica: Replica) -> set[Level]:
    """How sure it is, of all of them."""
    found = [replica.one(key) for key in (ANN, BOB, CID)]
    return {each.freshness.level for each in found if each is not None}


def reasons(replica: Replica) -> set[str | None]:
    found = [replica.one(key) for key in (ANN, BOB, CID)]
    return {each.freshness.reason for each in found if each is not None}


def read(owner: Replica, *states: Presence) -> None:
    """A fetch that succeeds."""
    reading = owner.store.begin()
    owner.store.put(states, reading, source=Source.SUBSCRIBED)
    owner.store.confirm(FEED, reading)
    owner.store.trust(FEED)


async def opened(world: World, owner: Replica) -> None:
    """Three people are watched and read, and everybody knows it."""
    await owner.take_over()
    owner.store.watch((ANN, BOB, CID), FEED)
    read(owner, *(Presence(contact, AVAILABLE) for contact in (ANN, BOB, CID)))
    await world.settle(owner)
    for replica in world.replicas:
        if replica is not owner:
            replica.follower.heard()


def claimed(owner: Replica, group: str = "sales") -> Lease:
    outcome = owner.core.claim_service.ask(ClaimRequest(group, 1, 60.0, "", "joe")).outcome
    assert isinstance(outcome, Granted), outcome
    return outcome.lease


async def expire(world: World) -> None:
    """The lease in the engine is over."""
    assert isinstance(world.server.clock, ManualClock)
    world.server.clock.advance(LEASE + 0.1)


async def take_over(world: World, heir: Replica) -> None:
    """After the owner's last word nothing came for three seconds."""
    await expire(world)
    world.advance(LEASE + 0.1)
    if heir.follower.position.log < world.server.last:
        await heir.follower.join(heir.engine, as_owner=True)
    await heir.take_over()


# --- joining


async def test_nothing_is_live_before_the_owner_is_heard() -> None:
    """Anybody who joins has records whose age it cannot know."""
    world = World()
    owner, mirror, _ = world.replicas
    assert mirror.follower.is_silent
    assert mirror.core.log.is_silent
    await owner.take_over()
    owner.store.watch((ANN,), FEED)
    read(owner, Presence(ANN, AVAILABLE))
    await owner.commit()
    await owner.beat()
    await mirror.follower.join(mirror.engine)
    assert (levels(mirror), reasons(mirror)) == ({Level.STALE}, {NOBODY_HEARD})
    mirror.follower.heard()  # whatever is said of the lease, no nonce has come back
    assert (levels(mirror), reasons(mirror)) == ({Level.STALE}, {"not confirmed since this replica follows"})
    assert mirror.follower.alive == -math.inf
    await mirror.echo()
    owner.note()
    await owner.beat()
    await mirror.follow()
    assert levels(mirror) == {Level.LIVE}
    assert mirror.follower.owner == owner.name
    assert mirror.clock.monotonic() - 1 < mirror.follower.alive <= mirror.clock.monotonic()


async def test_joining_is_silent_and_ends_streams() -> None:
    """Between two states of the mirror nothing is told."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    cuts = mirror.core.log.cuts
    joining = asyncio.create_task(mirror.follower.join(mirror.engine))
    await asyncio.sleep(0)
    assert reasons(mirror) == {JOINING}
    assert mirror.core.log.is_silent
    await joining
    assert mirror.core.log.cuts > cuts
    assert levels(mirror) == {Level.LIVE}
    assert not mirror.core.log.is_silent


async def test_a_mirror_that_is_far_behind_joins_anew() -> None:
    """The log of the engine is short: what is missing is noticed, and nobody resumes across it."""
    world = World(kept=6)
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    before = mirror.core.log.last
    assert mirror.streamed(before) == []
    for state in [BUSY, AVAILABLE] * 6:
        read(owner, Presence(ANN, state))
        await owner.commit()
    await mirror.follow()
    assert mirror.streamed(before) is None
    assert mirror.follower.position.log == owner.last
    await world.settle(owner)
    floor = mirror.core.log.floor
    assert mirror.streamed(floor) == owner.streamed(floor)
    assert mirror.told() == owner.told()


async def test_a_newer_format_is_not_passed_over() -> None:
    """A mirror without that entry would say something untrue."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    at = mirror.follower.position
    newer = StoredEntry(at.log + 1, owner.epoch, at.log, bytes([FORMAT + 1, 0]))
    with pytest.raises(NewerFormat):
        await mirror.follower.take(News((newer,)))
    assert mirror.follower.position == at


async def test_damaged_bytes_are_passed_over_once() -> None:
    """They come to nobody's ears: a beat is said again, an entry's meaning is in the tables, behind a new floor."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    at = mirror.follower.position
    with pytest.raises(DamagedBytes):
        await mirror.follower.take(News((), (Beat(owner.epoch, at.beat.number + 1, b"\x01\xc1"),)))
    assert mirror.follower.position.beat.number == at.beat.number + 1
    before = mirror.core.log.last
    await owner.engine.commit(owner.epoch, owner.last, Batch([(owner.last + 1, b"\x01\xc1")]))
    with pytest.raises(DamagedBytes):
        await mirror.follow()
    await mirror.follower.join(mirror.engine)
    assert mirror.streamed(before) is None
    assert mirror.core.log.floor == owner.last + 1
    assert mirror.told() == owner.told()


async def test_a_new_owner_mends_damaged_tables() -> None:
    """Who follows cannot use them; who owns reads everybody anew, and removes what nobody can read."""
    world = World()
    owner, heir, mirror = world.replicas
    await opened(world, owner)
    read_by_all = [Table.RECORDS, Table.FEEDS, Table.CLAIMS, Table.ORDER]
    await owner.engine.commit(
        owner.epoch, owner.last, Batch([], [Put(table, "x", b"\x01\xc1") for table in read_by_all])
    )
    with pytest.raises(DamagedBytes):
        await heir.follower.join(heir.engine)
    await expire(world)
    world.advance(LEASE + 0.1)
    snapshot = await heir.follower.join(heir.engine, as_owner=True)
    assert {key for key in (ANN, BOB, CID) if heir.one(key) is not None} == {ANN, BOB, CID}
    assert snapshot is not None
    assert {put[:2] for put in tables.repairs(heir.core, snapshot, 1) if put.value is None} >= {
        (table, "x") for table in read_by_all
    }
    await heir.take_over()
    await world.settle(heir)
    assert levels(mirror) != {Level.UNKNOWN}


async def test_what_is_mended_is_as_it_is_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are looked through in many turns of the event loop: what happens meanwhile is not undone."""
    monkeypatch.setattr(tables, "_STEP", 1)
    world = World()
    owner, other, _ = world.replicas
    await opened(world, owner)
    lease = claimed(owner)
    await owner.commit()
    for table, name in ((Table.RECORDS, ANN), (Table.CLAIMS, lease.id)):
        world.server.spoil(table, name, b"not ours")
    places = await wakeup.in_turns(tables.unsound(await owner.engine.snapshot()))
    assert set(places) == {(Table.RECORDS, ANN), (Table.CLAIMS, lease.id)}
    mends = tables.mends(owner.core, places, owner.epoch)
    await owner.engine.commit(owner.epoch, owner.last, Batch([], next(mends)))
    read(owner, Presence(ANN, BUSY))
    assert owner.core.claim_service.release(lease.id)
    await owner.commit()
    for puts in mends:
        await owner.engine.commit(owner.epoch, owner.last, Batch([], puts))
    await other.follower.join(other.engine)
    record = other.store.get(ANN)
    assert record is not None
    assert record.presence == Presence(ANN, BUSY)
    assert other.core.claim_service.get(lease.id) is None


async def test_news_of_an_owner_that_is_none_any_more() -> None:
    """Its beats count for nothing once another one was heard."""
    world = World()
    owner, heir, mirror = world.replicas
    await opened(world, owner)
    old = (await mirror.engine.follow(LogPosition(owner.last), 0.0)).beats[-1:]
    await take_over(world, heir)
    await world.settle(heir)
    alive = mirror.follower.alive
    assert await mirror.follower.take(News((), old))
    assert (mirror.follower.epoch, mirror.follower.owner, mirror.follower.alive) == (heir.epoch, heir.name, alive)


async def test_what_was_loaded_in_part_is_not_believed() -> None:
    """No matter who is heard meanwhile: feeds of one moment and contacts of another would make a lie."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    owner.store.doubt_contacts([ANN], "a reply was lost")
    world.advance(1.0)
    read(owner)
    await world.settle(owner)
    entry = Put(Table.RECORDS, "zoe@example.com", bytes([FORMAT + 1, 0]))
    await owner.engine.commit(owner.epoch, owner.last, Batch([], [entry]))
    with pytest.raises(NewerFormat):
        await mirror.follower.join(mirror.engine)
    assert levels(mirror) == {Level.LIVE, Level.STALE}, "nothing was touched"
    await owner.engine.commit(owner.epoch, owner.last, Batch([], [Put(Table.RECORDS, entry.field, None)]))
    newer = (owner.last + 1, bytes([FORMAT + 1, 0]))
    await owner.engine.commit(owner.epoch, owner.last, Batch([newer]))
    with pytest.raises(NewerFormat):
        await mirror.follower.join(mirror.engine)
    mirror.follower.heard()
    assert levels(mirror) == {Level.STALE}
    assert reasons(mirror) >= {JOINING}
    assert not await mirror.follower.take(News())


# --- silence


async def test_silence_makes_everything_stale() -> None:
    """Whatever the owner said last; and once it is heard again that counts as before."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    assert levels(mirror) == {Level.LIVE}
    mirror.follower.silent("nobody is heard")
    cuts = mirror.core.log.cuts
    mirror.follower.silent("nobody is heard")
    assert mirror.core.log.cuts == cuts, "once"
    assert (levels(mirror), reasons(mirror)) == ({Level.STALE}, {"nobody is heard"})
    assert (await mirror.core.counts.summary()).counts.by_freshness[Level.LIVE] == 0
    read(owner, Presence(ANN, BUSY))
    await owner.commit()
    await mirror.follow()
    assert levels(mirror) == {Level.STALE}, "entries alone confirm nothing"
    mirror.follower.heard()
    mirror.follower.heard()
    assert levels(mirror) == {Level.LIVE}
    await world.settle(owner)
    assert mirror.told() == owner.told()


# --- taking over


async def test_who_takes_over_goes_on_with_what_it_knows() -> None:
    """All in doubt until it is read, ids above all that were seen, and streams go on at every replica."""
    world = World()
    owner, heir, mirror = world.replicas
    await opened(world, owner)
    last = owner.core.log.last
    streamed = owner.streamed(owner.core.log.floor)
    await take_over(world, heir)
    assert (levels(heir), reasons(heir)) == ({Level.STALE}, {TAKEN_OVER})
    assert all(entry.id > world.server.last for entry in heir.commits.waiting)
    assert isinstance(heir.commits.waiting[0], FeedChange)
    read(heir, Presence(ANN, BUSY))
    await world.settle(heir)
    mirror.follower.heard()
    assert levels(mirror) == levels(heir) == {Level.LIVE}
    assert mirror.told() == heir.told()
    assert (mirror.streamed(last) or [])[0][0] > last
    assert mirror.streamed(last) == heir.streamed(last)
    assert streamed is not None
    assert (mirror.streamed(mirror.core.log.floor) or [])[: len(streamed)] == streamed


async def test_claims_survive() -> None:
    """With what is left of their time, anybody who was picked comes later, and nobody is claimed twice."""
    world = World()
    owner, heir, mirror = world.replicas
    await opened(world, owner)
    world.advance(6.0)
    lease = claimed(owner)
    await world.settle(owner)
    await take_over(world, heir)
    read(heir)
    await world.settle(heir)
    kept = heir.core.claim_service.get(lease.id)
    assert kept is not None
    end = owner.true_time(lease.expires.monotonic)
    assert end <= heir.true_time(kept.expires.monotonic) < end + 2.0
    assert claimed(heir).keys.isdisjoint(lease.keys)
    assert heir.core.claim_service.ask(ClaimRequest("sales", 1, 60.0, "", "x")).outcome.free == 0  # type: ignore[union-attr]
    await world.settle(heir)
    assert sorted(mirror.core.leases.taken()) == sorted(heir.core.leases.taken())
    world.advance(60.0)
    await world.settle(heir)
    assert not heir.core.leases.taken()
    assert not mirror.core.leases.taken()


async def test_a_replica_that_joined_after_the_owner_died_keeps_claims_too() -> None:
    """It cannot know how long the claim has run: nobody is held for less than was promised."""
    world = World()
    owner, heir, _ = world.replicas
    await owner.take_over()
    owner.store.watch((ANN, BOB, CID), FEED)
    read(owner, *(Presence(contact, AVAILABLE) for contact in (ANN, BOB, CID)))
    lease = claimed(owner)
    await owner.commit()
    await take_over(world, heir)
    kept = heir.core.claim_service.get(lease.id)
    assert kept is not None
    assert kept.expires.monotonic == pytest.approx(heir.clock.monotonic() + 60.0)
    stored = (await heir.engine.snapshot()).tables
    assert set(stored[Table.CLAIMS]) == {lease.id}
    assert set(stored[Table.HELD]) == lease.keys
    assert levels(heir) == {Level.STALE}


async def test_an_owner_that_steps_down_begins_anew() -> None:
    """What it had not told is nobody's; what waits for it is refused; it follows the next one as any other."""
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    waiting = owner.core.claim_service.ask(ClaimRequest("support", 2, 60.0, "", "joe"), 60.0)
    assert owner.core.claim_service.waiting == 1
    read(owner, Presence(ANN, BUSY))
    lost = owner.core.log.newest
    assert lost > owner.core.log.last
    owner.follower.step_down()
    assert waiting.outcome is RejectReason.NO_OWNER
    assert (levels(owner), reasons(owner)) == ({Level.STALE}, {STEPPED_DOWN})
    assert owner.core.claim_service.ask(ClaimRequest("sales", 1, 60.0, "", "x")).outcome is RejectReason.NO_OWNER
    with pytest.raises(RuntimeError, match="only the owner"):
        owner.core.log.tell("subscription.lost")
    await take_over(world, heir)
    read(heir, Presence(BOB, BUSY))
    await owner.follower.join(owner.engine)
    await world.settle(heir)
    owner.follower.heard()
    assert owner.told() == heir.told()
    assert owner.streamed(lost) is None
    assert owner.core.log.last == heir.core.log.last > lost
    assert owner.core.trends.counts() == heir.core.trends.counts()
    assert (await owner.core.counts.summary()).counts == (await owner.core.reader.summary()).counts


async def test_ids_that_the_engine_has_lost_are_never_resumed() -> None:
    """A client may know them from the owner before; nobody has what followed."""
    world = World()
    owner, heir, mirror = world.replicas
    await opened(world, owner)
    image = world.server.image()
    kept = owner.core.log.last
    read(owner, Presence(ANN, BUSY))
    await owner.commit()
    await mirror.follow()
    lost = owner.core.log.last
    assert mirror.streamed(lost) == []
    world.server.rewind(image)
    with pytest.raises(LogRewound):
        await owner.beat()
    owner.follower.step_down()
    await heir.echo()
    await take_over(world, heir)
    heir.core.log.touch()
    await heir.commit()
    for replica in (owner, mirror):
        await replica.follow()
        if replica is owner:
            await replica.follower.join(replica.engine)
        assert replica.streamed(lost) is None
        assert replica.streamed(kept) == heir.streamed(kept)
    assert heir.core.log.last > lost


async def test_what_a_new_owner_mends() -> None:
    """Tables that say something else than it knows: only what differs is written."""
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    world.advance(6.0)
    lease = claimed(owner)
    await world.settle(owner)
    snapshot = await heir.engine.snapshot()
    table = dict(snapshot.tables)
    assert tables.repairs(owner.core, snapshot, owner.epoch)[0].field == lease.id
    table[Table.HELD] = {"zoe@example.com": b"x"}
    table[Table.CLAIMS] = {"x": b"y"}
    table[Table.ORDER] = {}
    table[Table.RECORDS] = {"zoe@example.com": b"z"}
    puts = tables.repairs(owner.core, snapshot._replace(tables=table), owner.epoch)
    assert {(put.table, put.field) for put in puts if put.value is None} == {
        (Table.HELD, "zoe@example.com"),
        (Table.CLAIMS, "x"),
        (Table.RECORDS, "zoe@example.com"),
    }
    await owner.engine.commit(owner.epoch, owner.last, Batch([], puts))
    await heir.follower.join(heir.engine)
    assert heir.core.claim_service.order.picked_before == owner.core.claim_service.order.picked_before
    assert heir.core.leases.taken().keys() == lease.keys


async def test_an_engine_that_lost_everything_is_not_joined() -> None:
    """A mirror knows more than it; the next owner writes that back, and says when it has."""
    world = World()
    owner, heir, mirror = world.replicas
    await opened(world, owner)
    world.advance(6.0)
    lease = claimed(owner)
    await world.settle(owner)
    last = owner.last
    world.server.rewind()
    with pytest.raises(NotWhole):
        await mirror.follower.join(mirror.engine)
    assert mirror.follower.is_silent is False, "it goes on with what it has"
    owner.follower.step_down()
    await heir.take_over()
    read(heir)
    await mirror.follower.join(mirror.engine)
    await world.settle(heir)
    assert mirror.core.leases.taken().keys() == heir.core.leases.taken().keys() == lease.keys
    assert mirror.told() == heir.told()
    assert heir.last > last


async def test_what_is_under_way_ends_with_the_role() -> None:
    """An entry that comes after this replica became the owner is another owner's."""
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    for state in [BUSY, AVAILABLE] * 40:
        read(owner, Presence(ANN, state))
    await owner.commit()
    news = await heir.engine.follow(heir.follower.position, 0.0)
    taking = asyncio.create_task(heir.follower.take(news))
    await asyncio.sleep(0)
    reached = heir.follower.position.log
    assert reached < owner.last
    begins = owner.last + 1000
    heir.follower.lead(Taken(owner.epoch + 1, begins, owner.last, owner.epoch))
    await taking
    assert heir.follower.position.log == reached
    assert heir.core.log.newest_entry > begins


async def test_what_a_join_has_read_too_late_is_not_loaded() -> None:
    """The replica owns by then, and knows more."""
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    gate, follow = asyncio.Event(), heir.engine.follow

    async def late(after: LogPosition, wait: float, limit: int = 1000) -> News:
        await gate.wait()
        return await follow(after, wait, limit)

    heir.engine.follow = late  # type: ignore[method-assign]
    joining = asyncio.create_task(heir.follower.join(heir.engine))
    await asyncio.sleep(0)
    await expire(world)
    await heir.take_over()
    read(heir, Presence(ANN, BUSY))
    gate.set()
    assert await joining is None
    record = heir.store.get(ANN)
    assert record is not None
    assert record.presence == Presence(ANN, BUSY)
    assert not heir.core.log.is_silent


async def test_what_comes_twice_is_taken_once() -> None:
    """It was asked for before something else was taken in, as where a replica has had the lease for a moment."""
    world = World()
    owner, mirror, _ = world.replicas
    await opened(world, owner)
    start = mirror.core.log.last
    read(owner, Presence(ANN, BUSY))
    await owner.commit()
    news = await mirror.engine.follow(mirror.follower.position, 0.0)
    assert news.entries
    assert await mirror.follower.take(news)
    told, position = mirror.streamed(start), mirror.follower.position
    assert told
    assert await mirror.follower.take(news)
    assert mirror.streamed(start) == told
    assert mirror.follower.position == position


async def test_a_join_under_way_ends_where_the_replica_takes_the_lease() -> None:
    """It catches up, and what the join has read would throw it back."""
    world = World()
    owner, heir, _ = world.replicas
    await opened(world, owner)
    await heir.follow()
    following = Following(heir.engine, heir.follower, EngineTrouble(heir.clock), lambda: None)
    gate, follow = asyncio.Event(), heir.engine.follow
    waiting = asyncio.Event()

    async def late(after: LogPosition, wait: float, limit: int = 1000) -> News:
        waiting.set()
        await gate.wait()
        return await follow(after, wait, limit)

    heir.engine.follow = late  # type: ignore[method-assign]
    listening = asyncio.create_task(following.listen())
    try:
        await waiting.wait()
        read(owner, Presence(ANN, BUSY))
        await owner.commit()
        following.ends()
        await heir.follower.take(await follow(heir.follower.position, 0.0))
        position = heir.follower.position
        assert position.log == owner.last
        gate.set()
        await asyncio.sleep(0.01)
        assert heir.follower.position == position
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
