"""Webhooks of several replicas: the owner sends, and a target knows the truth no matter which one that is."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from pws_soap.simulator import State
from service.cluster.engine import Table
from service.runtime.webhooks import OwnersDeliveries
from service.webhooks.deliveries import Deliveries
from tests.support.virtual_api import Receiver, VirtualApis, replica_apis
from tests.support.virtual_cluster import VirtualCluster
from tests.support.virtual_office import names
from tests.support.virtual_time import run

CONTACTS = names(6)


async def knows_all(apis: VirtualApis, receiver: Receiver) -> None:
    """The target knows how everybody is, soon."""
    for _ in range(300):
        true = {contact: states[-1][1] for contact, states in apis.cluster.truth.items()}
        if {contact: state for contact, (_, state) in receiver.known.items()} == true:
            return
        await apis.cluster.pass_time(0.1)
    raise AssertionError(f"known {receiver.known}, true {true}")


async def begun_anew(apis: VirtualApis, receiver: Receiver) -> None:
    """A second reset has come, and then everybody."""
    for _ in range(300):
        if receiver.resets == 2:
            break
        await apis.cluster.pass_time(0.1)
    await knows_all(apis, receiver)


def test_the_owner_alone_sends() -> None:
    """One reset, everybody, and each change once."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            assert receiver.resets == 1
            before = len(receiver.got)
            apis.cluster.change(CONTACTS[0], State.DND)
            await apis.cluster.pass_time(5.0)
            assert [kind for _, kind in receiver.got[before:]] == ["change"]
            await knows_all(apis, receiver)

    run(story())


def test_the_owner_is_killed() -> None:
    """The next one begins with a reset, and everybody follows; no id comes twice with something else."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            for number in range(3):
                await knows_all(apis, receiver)
                killed = apis.owner
                apis.cluster.change(CONTACTS[number], State.AWAY)
                await apis.kill(killed)
                apis.cluster.change(CONTACTS[number + 1], State.BUSY)
                await apis.wait_for_an_owner()
                await knows_all(apis, receiver)
                apis.start(killed)
                await apis.wait_for_an_owner()
            assert receiver.resets == 4
            assert len({name for name, _ in receiver.got}) == len(receiver.got)

    run(story())


def test_an_owner_that_stands_still_sends_nothing_that_counts() -> None:
    """When it wakes, somebody else has told more."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            owner = apis.cluster.processes[apis.owner]
            apis.cluster.change(CONTACTS[0], State.BUSY)
            await apis.cluster.pass_time(0.01, 0.001)
            owner.clock.going.clear()
            apis.cluster.change(CONTACTS[0], State.DND)
            while apis.cluster.owner is None or apis.cluster.owner is owner:
                await apis.cluster.pass_time(0.1)
            await apis.cluster.pass_time(10.0)
            owner.clock.going.set()
            await apis.cluster.pass_time(5.0)
            await knows_all(apis, receiver)

    run(story())


def test_a_hand_over() -> None:
    """It costs a reset and everybody, and leaves nobody stale: the next one goes on with the sessions."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            await apis.cluster.pass_time(5.0)
            process = apis.cluster.processes.pop(apis.owner)
            await apis.cluster.until(process.stop())
            await apis.wait_for_an_owner()
            await knows_all(apis, receiver)
            assert receiver.resets == 2
            for place in apis.cluster.simulator.places.values():
                assert len(place.node.registry.sessions) <= 2

    run(story())


def test_the_status_and_a_replay_at_a_follower() -> None:
    """Are the owner's."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            after = apis.cluster.processes[apis.owner].core.log.last
            apis.cluster.change(CONTACTS[0], State.DND)
            await apis.cluster.pass_time(5.0)
            asked = apis.followers[0]
            listed = (await apis.ask(asked, "GET", "/v1/webhooks")).json()
            assert [each["name"] for each in listed["webhooks"]] == ["crm"]
            before = len(receiver.got)
            headers = {"content-type": "application/json"}
            body = b'{"after":%d}' % after
            answer = await apis.ask(asked, "POST", "/v1/webhooks/crm/replay", headers=headers, body=body)
            assert (answer.status, answer.json()["queued"]) == (202, 1)
            await apis.cluster.pass_time(2.0)
            assert len(receiver.got) == before + 1
            assert receiver.got[-1] in receiver.got[:-1]
            apis.cluster.server.up = False
            await apis.cluster.pass_time(10.0)
            assert (await apis.ask(asked, "GET", "/v1/webhooks")).status == 503

    run(story())


@pytest.mark.parametrize("is_last", [False, True])
def test_what_is_undelivered_goes_to_the_next_owner(is_last: bool) -> None:
    """Also where all have ended, and start again. It comes once, before the reset, and nothing stays."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            receiver.is_down = True
            assert (await apis.claim(apis.owner)).status == 201
            await apis.cluster.pass_time(3.0)
            owner = apis.owner
            for name in [*apis.followers, owner] if is_last else [owner]:
                await apis.cluster.until(apis.cluster.processes.pop(name).stop())
            assert list(apis.cluster.server.snapshot().tables[Table.LEFT]) == ["crm"]
            receiver.is_down = False
            if is_last:
                apis.start(owner)
            await apis.wait_for_an_owner()
            await begun_anew(apis, receiver)
            kinds = [kind for _, kind in receiver.got]
            assert receiver.claims == ["claim.made"]
            assert kinds[kinds.index("pws.claim.made") + 1] == "reset"
            await apis.cluster.pass_time(2.0)
            assert not apis.cluster.server.snapshot().tables[Table.LEFT]

    run(story())


def test_what_is_left_for_targets_that_are_no_more() -> None:
    """Nobody sends it, nor when there are targets again one day."""

    async def story() -> None:
        cluster = VirtualCluster(CONTACTS)
        try:
            cluster.server.spoil(Table.LEFT, "crm", b"what waited")
            cluster.start("a")
            await cluster.heal(30.0)
            await cluster.pass_time(1.0)
            assert not cluster.server.snapshot().tables[Table.LEFT]
        finally:
            await cluster.close()

    run(story())


def test_what_was_undelivered_when_the_owner_was_killed() -> None:
    """Is lost, but for the contacts; the reset says so."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            receiver.is_down = True
            assert (await apis.claim(apis.owner)).status == 201
            await apis.cluster.pass_time(3.0)
            await apis.kill(apis.owner)
            receiver.is_down = False
            await apis.wait_for_an_owner()
            await begun_anew(apis, receiver)
            assert "claim.made" not in receiver.claims

    run(story())


def test_an_engine_that_takes_nothing_when_the_owner_ends() -> None:
    """It hands over all the same, and its log says what is lost."""

    async def story() -> None:
        receiver = Receiver()
        async with replica_apis(CONTACTS, receiver=receiver) as apis:
            await knows_all(apis, receiver)
            receiver.is_down = True
            assert (await apis.claim(apis.owner)).status == 201
            await apis.cluster.pass_time(3.0)
            apis.cluster.server.full = True
            apis.cluster.change(CONTACTS[0], State.DND)
            await apis.cluster.pass_time(1.0)
            await apis.cluster.until(apis.cluster.processes.pop(apis.owner).stop())
            apis.cluster.server.full = receiver.is_down = False
            await apis.wait_for_an_owner()
            await begun_anew(apis, receiver)
            assert "claim.made" not in receiver.claims

    run(story())


async def test_an_end_that_is_broken_off_leaves_no_delivery_behind() -> None:
    """The time for handing over is up while a target is waited for: it is ended at once then."""
    begun = asyncio.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    deliveries = mock.Mock(spec=Deliveries, stop=waits)
    beside = OwnersDeliveries(lambda _shelf: deliveries, mock.Mock())
    beside.begin(mock.Mock())
    leaving = asyncio.create_task(beside.leave())
    await begun.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await beside.end()
    deliveries.abandon.assert_awaited_once()
