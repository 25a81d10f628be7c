"""Three replicas in one loop: who owns, what each knows, and what happens when one of them goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest import mock

import pytest

from pws_soap.simulator import State
from service.cluster import wire
from service.cluster.engine import Table
from service.cluster.upstream import upstream_of
from service.cluster.wire import FORMAT
from service.core.events.commits import LogEntry
from tests.support.cluster_clients import Stream
from tests.support.peers import Client
from tests.support.virtual_cluster import VirtualCluster
from tests.support.virtual_office import names
from tests.support.virtual_time import run

CONTACTS = names(6)
HEALS = 30.0
"""Seconds within which all are live again."""
SERVER_HEALS = 420.0
"""The same after the presence server was away: it is tried again after pauses that grow."""


@asynccontextmanager
async def cluster(count: int = 3) -> AsyncIterator[VirtualCluster]:
    """So many replicas, all of them live."""
    made = VirtualCluster(CONTACTS)
    try:
        for name in ("a", "b", "c")[:count]:
            made.start(name)
        await made.heal(HEALS)
        yield made
    finally:
        await made.close()


def test_one_owns_and_all_are_live() -> None:
    """A change is everywhere a moment later, with one id."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            assert len([each for each in three.processes.values() if each.replica.ownership.sync is not None]) == 1
            three.change(CONTACTS[0], State.BUSY)
            await three.pass_time(1.0)
            assert not three.wrong()
            last = {each.core.log.last for each in three.processes.values()}
            assert len(last) == 1

    run(story())


def test_the_owner_is_killed() -> None:
    """Another one resets its session and goes on; the one that comes back follows."""

    async def story() -> None:
        async with cluster() as three:
            await killed(three)
            three.change(CONTACTS[1], State.AWAY)
            await three.pass_time(2.0)
            assert not three.wrong()

    run(story())


async def killed(three: VirtualCluster) -> float:
    """Kill the owner; how long it takes until all is live at the others."""
    owner = three.owner
    assert owner is not None
    began = three.loop.time()
    await three.kill(owner.name)
    while three.owner is None:
        await three.pass_time(0.1)
    await three.heal(HEALS)
    took = three.loop.time() - began
    three.start(owner.name)
    await three.heal(HEALS)
    assert three.owner is not three.processes[owner.name]
    return took


def test_claims_survive_their_owner() -> None:
    """With their time; anybody who is held is held at the new owner, and nobody twice."""

    async def story() -> None:
        async with cluster() as three:
            first = await three.claim(60.0)
            assert first is not None
            await killed(three)
            owner = three.owner
            assert owner is not None
            lease = owner.core.claim_service.get(first.id)
            assert lease is not None
            assert owner.clock.true(lease.expires.monotonic) >= first.until
            seen = {first.keys[0]}
            for _ in CONTACTS[1:]:
                another = await three.claim(60.0)
                assert another is not None
                seen |= {*another.keys}
            assert len(seen) == len(CONTACTS)
            assert await three.claim() is None
            assert await three.release(first)
            again = await three.claim()
            assert again is not None
            assert again.keys[0] == first.keys[0]
            await three.pass_time(70.0, 1.0)
            for process in three.processes.values():
                assert not process.core.claim_service.leases()

    run(story())


def test_an_owner_that_stands_still_notices_by_itself() -> None:
    """Another one owns meanwhile; when it wakes it says nothing that is wrong, and follows."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            owner.clock.going.clear()
            await three.pass_time(1.0)
            three.change(CONTACTS[2], State.DND)
            while three.owner is None or three.owner is owner:
                await three.pass_time(0.1)
            await three.pass_time(10.0)
            owner.clock.going.set()
            await three.heal(HEALS)
            assert three.owner is not owner
            await three.pass_time(10.0)
            assert owner.replica.ownership.sync is None

    run(story())


def test_a_notification_that_reached_an_owner_which_stood_still() -> None:
    """When it goes on it tells who owns by now, before it knows that it does no longer: the change is found at once."""

    async def story() -> None:
        async with cluster() as three:
            before = three.owner
            assert before is not None
            before.clock.going.clear()
            await three.pass_time(6.0)
            await three.heal(HEALS)
            assert three.owner is not before
            with mock.patch.object(three, "any_process", return_value=before):
                three.change(CONTACTS[0], State.BUSY)
                await three.pass_time(0.2)
            before.clock.going.set()
            await three.pass_time(5.0)
            assert not three.wrong()

    run(story())


def test_the_engine_is_down() -> None:
    """The owner's answers stay live; the others' do not, and are again soon after it is back."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            three.server.up = False
            await three.pass_time(15.0)
            three.change(CONTACTS[3], State.AWAY)
            await three.pass_time(3.0)
            live = three.check()
            assert live.pop(owner.name) == len(CONTACTS)
            assert set(live.values()) == {0}
            assert owner.routes.ready()[0]
            assert not any(each.routes.ready()[0] for each in three.processes.values() if each is not owner)
            assert await three.claim() is None
            three.server.up = True
            await three.heal(HEALS)
            await three.pass_time(5.0)
            assert not three.wrong()

    run(story())


def test_the_engine_is_down_for_long() -> None:
    """The owner goes on reading, and keeps nothing of it for an engine that has another owner by then."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            three.server.up = False
            for number in range(40):
                three.change(CONTACTS[number % 6], (State.BUSY, State.AWAY)[number // 6 % 2])
                await three.pass_time(1.0)
            assert three.check()[owner.name] == len(CONTACTS)
            assert not owner.committing.waiting
            assert owner.core.log.newest == owner.core.log.last
            three.server.up = True
            await three.heal(HEALS)
            await three.pass_time(5.0)
            assert not three.wrong()

    run(story())


def test_the_owner_does_not_hear_the_engine_which_hears_it() -> None:
    """The lease is renewed all along, and nobody else owns. What was not kept meanwhile is read anew."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            owner.engine.loses_replies = True
            for number in range(20):
                three.change(CONTACTS[number % 6], (State.BUSY, State.AWAY)[number // 6 % 2])
                await three.pass_time(1.0)
            assert not owner.committing.waiting
            owner.engine.loses_replies = False
            await three.heal(HEALS)
            three.change(CONTACTS[0], State.DND)
            await three.pass_time(5.0)
            assert not three.wrong()

    run(story())


def test_the_engine_loses_everything() -> None:
    """Claims that run go on, and nobody is claimed twice."""

    async def story() -> None:
        async with cluster() as three:
            first = await three.claim(100.0)
            assert first is not None
            await three.pass_time(2.0)
            three.server.rewind()
            await three.pass_time(15.0)
            await three.heal(HEALS)
            owner = three.owner
            assert owner is not None
            assert owner.core.claim_service.get(first.id) is not None
            for _ in CONTACTS[1:]:
                assert await three.claim(60.0) is not None
            assert await three.claim() is None

    run(story())


def test_a_hand_over() -> None:
    """The owner ends as it should: another one owns at once, without waiting for the lease."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            began = three.loop.time()
            await three.until(three.processes.pop(owner.name).stop())
            while three.owner is None:
                await three.pass_time(0.1)
            assert three.loop.time() - began < 2.0
            await three.heal(HEALS)

    run(story())


def test_the_last_one_leaves_nothing_behind() -> None:
    """Nobody is there to go on."""

    async def story() -> None:
        async with cluster(1) as one:
            await one.until(one.processes.pop("a").stop())
            for place in one.simulator.places.values():
                assert not place.node.registry.sessions
            one.start("b")
            await one.heal(HEALS)

    run(story())


def test_what_was_watched_is_watched_by_the_next_owner() -> None:
    """And what was removed is not."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            three.simulator.change("new@example.com", state=State.AVAILABLE)
            three.truth["new@example.com"] = [(0.0, "AVAILABLE")]
            owner.routes.watch(["new@example.com"], None)
            owner.routes.unwatch([CONTACTS[0]])
            await owner.routes.followed()
            three.contacts = (*CONTACTS[1:], "new@example.com")
            await three.heal(HEALS)
            await killed(three)
            for process in three.processes.values():
                watched = {each.contact: each.configured for each in process.routes.watched()}
                assert watched == {**dict.fromkeys(CONTACTS[1:], True), "new@example.com": False}

    run(story())


def test_who_is_configured_is_watched_again_in_another_spelling() -> None:
    """It is the same contact, now and at the next owner."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            owner.routes.unwatch([CONTACTS[0].upper()])
            owner.routes.watch([CONTACTS[0].upper()], None)
            await owner.routes.followed()
            await three.heal(HEALS)
            await killed(three)
            for process in three.processes.values():
                assert {each.contact for each in process.routes.watched()} == set(CONTACTS)

    run(story())


def test_who_cannot_read_what_is_there_leaves_the_lease_to_others() -> None:
    """An older version that finds the data of a newer one, and nobody who owns."""

    async def story() -> None:
        async with cluster(1) as three:
            await three.kill("a")
            await asyncio.sleep(5.0)
            image = three.server.image()
            newer = three.server.image()
            records = newer.tables[Table.RECORDS]
            records |= {key: bytes([FORMAT + 1]) + data[1:] for key, data in records.items()}
            three.server.rewind(newer)
            three.start("b")
            await asyncio.sleep(10.0)
            assert three.server.holder is None
            assert three.owner is None
            three.server.rewind(image)
            await three.heal(HEALS)

    run(story())


def test_a_tenure_that_ends_early_does_not_break_off_the_end_of_the_one_before() -> None:
    """Else what keeps in step with the server would live on, and begin again with the next tenure."""

    async def story() -> None:
        async with cluster(1) as three:
            replica = three.processes["a"].replica
            sync = replica.ownership.sync
            assert sync is not None
            ended: list[bool] = []
            abandon = sync.abandon

            async def slowly() -> None:
                await asyncio.sleep(6.0)
                await abandon()
                ended.append(True)

            sync.abandon = slowly  # type: ignore[method-assign]  # a slow machine
            first = replica.epoch
            replica.lost(first, "told so")
            await three.pass_time(5.0)
            assert replica.epoch > first
            assert not ended
            replica.lost(replica.epoch, "told so")
            await three.heal(HEALS)
            assert ended

    run(story())


@pytest.mark.parametrize("with_claim", [False, True])
def test_the_owner_dies_while_the_engine_is_full(*, with_claim: bool) -> None:
    """Who owns next logs in and answers live, though nothing of it is told. When there is room all are live."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            if with_claim:
                assert await three.claim() is not None
            three.server.full = True
            three.change(CONTACTS[0], State.BUSY)
            await three.pass_time(1.0)
            await three.kill(owner.name)
            await three.pass_time(10.0)
            heir = three.owner
            assert heir is not None
            three.change(CONTACTS[1], State.DND)
            await three.pass_time(30.0)
            assert three.check()[heir.name] == len(CONTACTS)
            assert await three.claim() is None
            three.server.full = False
            await three.heal(HEALS)
            assert three.owner is heir
            registry = three.simulator.places["imp1"].node.registry
            assert (len(registry.sessions), len(registry.subscriptions)) == (2, 1)

    run(story())


def test_an_engine_without_memory_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Although what only reads goes on being answered."""
    caplog.set_level(logging.INFO, "pws.cluster")

    def logged(event: str) -> int:
        return sum(getattr(record, "event", "") == event for record in caplog.records)

    async def story() -> None:
        async with cluster(2) as three:
            caplog.clear()
            three.server.full = True
            await asyncio.sleep(30.0)
            assert logged("cluster.engine-failed") == 2
            assert not logged("cluster.engine-works")
            assert all(process.replica.problem for process in three.processes.values())
            three.server.full = False
            await three.heal(HEALS)
            await asyncio.sleep(3.0)
            assert logged("cluster.engine-failed") == logged("cluster.engine-works") == 2
            assert not any(process.replica.problem for process in three.processes.values())

    run(story())


def test_an_error_of_a_hand_over_is_logged_and_the_end_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """The owner logs out as if it were alone, and another one begins anew."""

    async def story() -> None:
        async with cluster(2) as three:
            owner = three.owner
            assert owner is not None

            async def fails() -> None:
                raise RuntimeError("a bug")

            owner.replica.ownership.release = fails  # type: ignore[method-assign]  # a bug
            del three.processes[owner.name]
            await owner.stop()
            assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]
            three.errors.found.clear()
            await three.heal(HEALS)

    run(story())


def test_what_cannot_be_written_does_not_stop_everything_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug costs a tenure: the next owner reads everything anew."""

    async def story() -> None:
        async with cluster(2) as three:
            owner = three.owner
            assert owner is not None
            epoch, write, failed = owner.replica.epoch, wire.encode_entry, False

            def fails_once(entry: LogEntry) -> bytes:
                nonlocal failed
                if not failed:
                    failed = True
                    raise TypeError("a bug")
                return write(entry)

            monkeypatch.setattr(wire, "encode_entry", fails_once)
            three.change(CONTACTS[0], State.DND)
            await asyncio.sleep(2.0)
            assert len(three.errors.found) == 1
            three.errors.found.clear()
            await three.heal(HEALS)
            assert three.owner is not None
            assert three.owner.replica.epoch > epoch
            assert await three.claim() is not None

    run(story())


def test_a_service_of_another_server_with_the_same_unit(caplog: pytest.LogCaptureFixture) -> None:
    """Neither mirrors what the other has read, nor takes over while one is there that reads what the last owner did."""

    async def story() -> None:
        three = VirtualCluster(CONTACTS)
        three.upstreams = {"a": upstream_of("pws", ["imp1"]), "b": upstream_of("pws", ["imp1", "imp2"])}
        three.upstreams["c"] = upstream_of("pws", ["test1"])
        try:
            three.start("a")
            await three.heal(HEALS)
            other = three.start("c")
            three.start("b")
            await three.pass_time(10.0)
            assert set(three.check().values()) == {0, len(CONTACTS)}
            assert three.check()["c"] == 0
            assert other.replica.owner() is None
            await three.kill("a")
            await three.pass_time(15.0)
            assert three.owner is three.processes["b"]
            assert three.check() == {"b": len(CONTACTS), "c": 0}
            events = [vars(record).get("event") for record in caplog.records]
            assert events.count("cluster.other-upstream") == 1

            await three.kill("b")
            await three.pass_time(25.0)
            assert three.owner is other, "nobody is left that reads what b did"
            three.start("a")
            await three.pass_time(15.0)
            assert three.check() == {"a": 0, "c": len(CONTACTS)}
            await three.kill("c")
            await three.pass_time(25.0)
            assert three.check() == {"a": len(CONTACTS)}
        finally:
            await three.close()

    run(story())


def test_the_engine_goes_back_and_all_go_on() -> None:
    """A copy without the last second goes on in its place: every replica knows what it lacks, and claims go on."""

    async def story() -> None:
        async with cluster() as three:
            await three.pass_time(3.0)
            image = three.server.image()
            claim = await three.claim(100.0)
            assert claim is not None
            three.change(CONTACTS[2], State.AWAY)
            await three.pass_time(0.5)
            three.server.rewind(image)
            await three.pass_time(10.0)
            await three.heal(HEALS)
            owner = three.owner
            assert owner is not None
            assert owner.core.claim_service.get(claim.id) is not None

    run(story())


def test_streams_that_begin_after_a_loss_begin_once() -> None:
    """Whatever the newest event is that the owner knows, its id is one to go on from."""

    async def story() -> None:
        async with cluster() as three:
            for process in three.processes.values():
                process.is_cut_off = True
            await three.pass_time(100.0, 1.0)  # all is stale: the next owner has nothing new to tell of anybody
            three.server.rewind()
            await three.pass_time(10.0)
            streams = [Stream(three, number) for number in range(3)]
            for stream in streams:
                three.do(stream.run())
            await three.pass_time(5.0)
            for process in three.processes.values():
                process.is_cut_off = False
            await three.heal(SERVER_HEALS)
            await three.pass_time(2.0)
            assert not [problem for stream in streams for problem in stream.wrong()]
            assert three.done["snapshots: start"] == len(streams)
            assert not three.done["snapshots: behind"]

    run(story())


def test_an_owner_without_the_engine_begins_no_stream() -> None:
    """What it has read since nobody will be told: a client that got it with an id would never learn what followed."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            owner.engine.loses_replies = True
            while three.owner is None or three.owner is owner:
                await three.pass_time(0.1)
            await three.pass_time(20.0)
            answer = await asyncio.wait_for(owner.answer(Client("GET", "/v1/events")), 5.0)
            assert answer is not None
            assert answer.status == 503
            owner.engine.loses_replies = False
            await three.heal(HEALS)

    run(story())
