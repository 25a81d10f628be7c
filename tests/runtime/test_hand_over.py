"""The owner ends as it should, and another replica goes on with its sessions: no answer anywhere is any worse for it.

Every replica is looked at after every turn of the event loop: who was live stays live, a stream that began is not
ended, and each id follows the one before it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

from pws_soap.models import Secret
from pws_soap.simulator import Fault, NodeCondition, State
from service.core.presence.freshness import Level, assess
from service.runtime.hand_over import SessionDigests
from tests.support.examples import seeds
from tests.support.virtual_api import VirtualApis, replica_apis
from tests.support.virtual_cluster import BOUND, READ_TIMEOUT, Process, VirtualCluster
from tests.support.virtual_office import STATES, names
from tests.support.virtual_time import run

CONTACTS = names(6)
HEALS = 30.0


@asynccontextmanager
async def cluster(seed: int = 0) -> AsyncIterator[VirtualCluster]:
    """Three replicas with clocks of their own, all of them live."""
    dice = random.Random(seed)  # noqa: S311  # chooses a history
    clocks = [(dice.uniform(-1000, 1000), dice.uniform(-0.0005, 0.0005)) for _ in range(3)]
    made = VirtualCluster(CONTACTS, ("imp1",), clocks)
    made.latency = 0.02
    try:
        for name in ("a", "b", "c"):
            made.start(name)
        await made.heal(HEALS)
        await made.pass_time(dice.uniform(2.0, 5.0))
        yield made
    finally:
        await made.close()


class Watch:
    """Looks at the replicas at every moment."""

    def __init__(self, three: VirtualCluster, contacts: Sequence[str] = CONTACTS) -> None:
        self.three = three
        self.contacts = frozenset(contacts)
        self.worse: list[str] = []
        """What was live and is not, and which streams have ended."""
        self._cuts = {process: process.core.log.cuts for process in three.processes.values()}
        self._seen: dict[Process, int] = {process: process.core.log.last for process in self._cuts}
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(0.005)

    def look(self) -> None:
        """At everything."""
        at = self.three.loop.time()
        self.three.check()
        for process, cuts in self._cuts.items():
            now, feeds, log = process.clock.monotonic(), process.store.feeds(), process.core.log
            for record in process.store.records():
                fresh = assess(record, feeds[record.feed], now, BOUND)
                if fresh.level is not Level.LIVE and record.contact in self.contacts:
                    self.worse.append(f"{at:.3f} {process.name}: {record.contact} {fresh.level} ({fresh.reason})")
            if log.cuts != cuts or log.is_silent:
                self.worse.append(f"{at:.3f} {process.name}: its streams have ended")
            if log.since(self._seen[process]) is None:
                self.worse.append(f"{at:.3f} {process.name}: {self._seen[process]} cannot be resumed")
            self._seen[process] = log.last

    def end(self, *, of: Process | None = None) -> None:
        """Stop looking, at one of them or at all."""
        if of is not None:
            self._cuts.pop(of, None)
        elif self._task.done():
            self._task.result()
        else:
            self._task.cancel()


async def stops(three: VirtualCluster) -> tuple[Process, asyncio.Task[None]]:
    """The owner is told to end."""
    owner = three.owner
    assert owner is not None
    return owner, asyncio.create_task(three.processes.pop(owner.name).stop())


async def hands_over(three: VirtualCluster, watch: Watch) -> Process:
    """The owner ends; who owns then."""
    owner, stopping = await stops(three)
    while three.owner is None or not stopping.done():
        await three.pass_time(0.05)
    watch.end(of=owner)
    await stopping
    heir = three.owner
    assert heir is not None
    assert heir is not owner
    return heir


@dataclass
class Released:
    """An owner has released the lease to `heir`; what the engine knew then."""

    heir: Process
    image: Any


async def released(three: VirtualCluster) -> Released:
    """The owner ends."""
    owner = three.owner
    assert owner is not None
    successor = owner.replica.members.successor(owner.name, owner.clock.monotonic())
    assert successor is not None
    images: list[Any] = []
    release = three.server.release

    def noted(*args: Any, **named: Any) -> None:
        release(*args, **named)
        images.append(three.server.image())

    with mock.patch.object(three.server, "release", noted):
        _, stopping = await stops(three)
        await stopping
    return Released(three.processes[successor.replica], images[0])


def sessions(three: VirtualCluster) -> set[str]:
    """The keys of the sessions at the server."""
    return {key for place in three.simulator.places.values() for key in place.node.registry.sessions}


@pytest.mark.parametrize("seed", seeds(1, 2))
def test_nothing_becomes_stale(seed: int) -> None:
    """And nothing is made anew at the server. Each replica is replaced in its turn, as in a rolling update."""

    async def story() -> None:
        async with cluster(seed) as three:
            begun = sessions(three)
            for _ in range(3):
                watch = Watch(three)
                heir = await hands_over(three, watch)
                three.change(CONTACTS[0], State.BUSY)
                await three.pass_time(2.0)
                three.change(CONTACTS[0], State.AWAY)
                await three.pass_time(3.0)
                watch.end()
                assert not watch.worse, watch.worse[:5]
                assert sessions(three) == begun
                assert not three.wrong()
                (missing,) = {"a", "b", "c"} - set(three.processes)
                three.start(missing)
                await three.heal(HEALS)
                assert three.owner is heir

    run(story())


@pytest.mark.parametrize("seed", seeds(2, 5))
def test_nothing_becomes_stale_whatever_changes_meanwhile(seed: int) -> None:
    """Changes, notifications and fetches at any moment of it, and a server that takes its time."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with cluster(seed) as three:
            begun = sessions(three)
            three.latency = dice.choice([0.01, 0.1, 0.4])
            for process in three.processes.values():
                process.engine.delay = dice.choice([0.0, 0.02, 0.05])
            await three.heal(HEALS)
            watch = Watch(three)
            changing = asyncio.create_task(changes(three, dice, 40))
            await three.pass_time(dice.uniform(0.0, 1.0))
            await hands_over(three, watch)
            await changing
            await three.pass_time(3.0)
            watch.end()
            assert not watch.worse, watch.worse[:5]
            assert sessions(three) == begun
            assert not three.wrong()

    run(story())


def test_a_successor_that_watches_others() -> None:
    """A rolling update that changes contacts: whom both watch stays live, who is new comes, who is not wanted goes."""

    async def story() -> None:
        async with cluster() as three:
            begun = sessions(three)
            new = "new@example.com"
            three.simulator.change(new, state=State.AWAY)
            three.truth[new] = [(0.0, "AWAY")]
            wanted = (*CONTACTS[1:], new)
            for process in three.processes.values():
                if process is not three.owner:
                    process.replica.ownership.contacts = {"dispatcher": wanted}
            watch = Watch(three, CONTACTS[1:])
            await hands_over(three, watch)
            three.contacts = wanted
            await three.pass_time(3.0)
            watch.end()
            assert not watch.worse, watch.worse[:5]
            assert sessions(three) == begun
            assert not three.wrong()
            (subscription,) = three.simulator.places["imp1"].node.registry.subscriptions.values()
            assert {each.lower() for each in subscription.contacts} == set(wanted)
            for process in three.processes.values():
                assert {each.contact for each in process.routes.watched()} == set(wanted)

    run(story())


async def changes(three: VirtualCluster, dice: random.Random, count: int) -> None:
    """People change, some seconds long."""
    for _ in range(count):
        three.change(dice.choice(CONTACTS), dice.choice(STATES))
        await asyncio.sleep(dice.uniform(0.0, 0.1))


async def ends_sessions(three: VirtualCluster, _left: Released) -> None:
    """Somebody ends them at the server."""
    three.simulator.kill_sessions()


async def restarts_server(three: VirtualCluster, _left: Released) -> None:
    """It has forgotten everything."""
    three.simulator.restart("imp1")


async def server_does_not_answer(three: VirtualCluster, _left: Released) -> None:
    """For some seconds."""
    three.simulator.set_state("imp1", NodeCondition.DOWN)
    await three.pass_time(5.0)
    three.simulator.set_state("imp1", NodeCondition.UP)


async def successor_dies(three: VirtualCluster, left: Released) -> None:
    """Before it owns."""
    await three.kill(left.heir.name)


async def successor_dies_as_owner(three: VirtualCluster, left: Released) -> None:
    """It has taken the lease, and logs in."""
    three.latency = 1.0
    while three.server.holder is None or left.heir.replica.ownership.sync is None:
        await three.pass_time(0.01)
    await three.pass_time(0.1)
    await three.kill(left.heir.name)


async def successor_stands_still(three: VirtualCluster, left: Released) -> None:
    """Until another one owns."""
    left.heir.clock.going.clear()
    await three.pass_time(12.0)
    left.heir.clock.going.set()


async def engine_loses_everything(three: VirtualCluster, _left: Released) -> None:
    """The hand-over as well."""
    three.server.rewind()


async def engine_goes_back(three: VirtualCluster, left: Released) -> None:
    """To the hand-over, once the successor owns, and again."""
    for seconds in (1.0, 0.5):
        await three.pass_time(seconds)
        three.server.rewind(left.image)


async def engine_goes_back_under_a_third_one(three: VirtualCluster, left: Released) -> None:
    """The successor has died; who was not named owns, and stands still as the engine goes back to the hand-over."""
    await three.kill(left.heir.name)
    while three.owner is None:
        await three.pass_time(0.1)
    three.owner.clock.going.clear()
    three.server.rewind(left.image)
    three.start(left.heir.name)
    await three.pass_time(10.0)
    for process in three.processes.values():
        process.clock.going.set()


@pytest.mark.parametrize(
    "trouble",
    [
        ends_sessions,
        restarts_server,
        server_does_not_answer,
        successor_dies,
        successor_dies_as_owner,
        successor_stands_still,
        engine_loses_everything,
        engine_goes_back,
        engine_goes_back_under_a_third_one,
    ],
)
def test_what_goes_wrong_in_the_middle_is_as_after_a_crash(
    trouble: Callable[[VirtualCluster, Released], Awaitable[None]],
) -> None:
    """Nothing wrong is said, and soon all is live again, with no more at the server than one session of each kind."""

    async def story() -> None:
        async with cluster() as three:
            left = await released(three)
            changing = asyncio.create_task(changes(three, random.Random(1), 100))  # noqa: S311  # chooses a history
            await trouble(three, left)
            await changing
            three.latency = 0.02
            await three.heal(60.0)
            three.change(CONTACTS[1], State.DND)
            await three.pass_time(2.0)
            assert not three.wrong()
            registry = three.simulator.places["imp1"].node.registry
            assert len(registry.sessions) == 2
            assert len(registry.subscriptions) == 1

    run(story())


@pytest.mark.parametrize("seed", seeds(1, 8, first=4))
def test_a_successor_that_ends_as_well_hands_on_what_it_goes_on_with(seed: int) -> None:
    """It may be told to end before it has logged in, or while it does: the third one goes on with the same sessions."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with cluster(seed) as three:
            begun = sessions(three)
            three.latency = dice.choice([0.1, 0.4])
            await three.heal(HEALS)
            watch = Watch(three)
            owner, stopping = await stops(three)
            while three.server.holder is None or three.server.holder.replica == owner.identity:
                await three.pass_time(0.01)
            await three.pass_time(dice.uniform(0.0, 3 * three.latency))
            watch.end(of=owner)
            heir = next(each for each in three.processes.values() if each.identity == three.server.holder.replica)
            also = asyncio.create_task(three.processes.pop(heir.name).stop())
            while three.owner is None or not (stopping.done() and also.done()):
                await three.pass_time(0.05)
            watch.end(of=heir)
            await three.pass_time(3.0)
            watch.end()
            worse = [each for each in watch.worse if three.owner.name in each]
            assert not worse, worse[:5]
            assert sessions(three) == begun
            assert not three.wrong()

    run(story())


def test_an_owner_that_does_not_know_how_a_fetch_has_ended_hands_nothing_over() -> None:
    """It may have taken a change along: the next owner begins anew, and knows the change."""

    async def story() -> None:
        async with cluster() as three:
            begun = sessions(three)
            three.simulator.faults.add(
                Fault("delay-reply", operation="getSubscribedPresence", count=1, seconds=3 * READ_TIMEOUT)
            )
            three.change(CONTACTS[2], State.DND)
            await three.pass_time(0.1)
            await released(three)
            await three.heal(HEALS)
            assert sessions(three).isdisjoint(begun)

    run(story())


def test_a_replica_that_is_notified_elsewhere_begins_anew() -> None:
    """What is registered at the server would send notifications to a process that is gone."""

    async def story() -> None:
        async with cluster() as three:
            begun = sessions(three)
            for process in three.processes.values():
                if process is not three.owner:
                    process.replica.ownership.digests = SessionDigests(b"secret", Secret("http://there:8080"))
            await released(three)
            await three.pass_time(1.0)
            await three.heal(HEALS)
            assert sessions(three).isdisjoint(begun)

    run(story())


@pytest.mark.parametrize("seed", seeds(3, 6))
def test_all_end_at_once(seed: int) -> None:
    """Anybody who is named may be ending too: the last one logs out, and nothing is left at the server."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with cluster(seed) as three:
            three.latency = dice.choice([0.001, 0.02, 0.1])
            for process in three.processes.values():
                process.engine.delay = dice.choice([0.0, 0.001, 0.01])
            within = dice.choice([0.0, 0.01, 0.1, 0.5])
            ending = []
            for name in dice.sample(list(three.processes), 3):
                ending.append(asyncio.create_task(three.processes.pop(name).stop()))
                await asyncio.sleep(dice.uniform(0.0, within))
            await asyncio.gather(*ending)
            assert not sessions(three)

    run(story())


@pytest.mark.parametrize("seed", seeds(1, 2))
def test_claims_wait_for_the_next_owner(seed: int) -> None:
    """Anybody who asks a replica that stays gets an answer, with one claim for each key."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with replica_apis(CONTACTS) as apis:
            three = apis.cluster
            three.latency = dice.choice([0.01, 0.1])
            for process in three.processes.values():
                process.engine.delay = 0.05
            await three.pass_time(2.0)
            staying = apis.followers
            asked = [asyncio.create_task(ask_and_release(apis, dice.choice(staying), dice)) for _ in range(3)]
            await three.pass_time(dice.uniform(0.0, 0.3))
            leaving = apis.owner
            stopping = asyncio.create_task(three.processes.pop(leaving).stop())
            await three.pass_time(3.0, 0.2)
            await stopping
            assert three.owner is not None
            answers = [status for each in await asyncio.gather(*asked) for status in each]
            assert set(answers) == {201}, answers

    run(story())


async def ask_and_release(apis: VirtualApis, name: str, dice: random.Random) -> list[int]:
    """Somebody is claimed and let go, for two seconds."""
    answers = []
    until = apis.cluster.loop.time() + 2.0
    while apis.cluster.loop.time() < until:
        answer = await apis.claim(name)
        answers.append(answer.status)
        if answer.status == 201:
            lease = json.loads(answer.body)["id"]
            await apis.ask(name, "DELETE", f"/v1/claims/{lease}")
        await asyncio.sleep(dice.uniform(0.0, 0.2))
    return answers


@pytest.mark.parametrize("seed", seeds(4, 12))
def test_nobody_hands_over_to_a_process_that_was_killed(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """What it has said of itself last is there still: the last one that lives logs out, and leaves nothing. Where it
    has named one of them, the log says that it owns again."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with cluster(seed) as three:
            three.latency = dice.choice([0.001, 0.02])
            owner = three.owner
            assert owner is not None
            for name in sorted({"a", "b", "c"} - {owner.name}):
                await three.kill(name)
                await three.pass_time(dice.uniform(0.0, 1.5))
            await three.pass_time(dice.uniform(0.0, 6.0))
            caplog.clear()
            await three.processes.pop(owner.name).stop()
            assert not sessions(three)
            events = [getattr(record, "event", "") for record in caplog.records]
            named = events.count("cluster.released")
            assert events == ["cluster.released", "cluster.taken"] * named

    with caplog.at_level(logging.INFO, "pws.cluster"):
        run(story())


@pytest.mark.parametrize("seed", seeds(4, 12))
def test_who_lives_goes_on_where_another_was_killed(seed: int) -> None:
    """Whatever the one that was killed has said a moment before: it is passed over, or its time runs out."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with cluster(seed) as three:
            begun = sessions(three)
            owner = three.owner
            assert owner is not None
            killed, lives = dice.sample(sorted({"a", "b", "c"} - {owner.name}), 2)
            await three.kill(killed)
            await three.pass_time(dice.uniform(0.0, 6.0))
            watch = Watch(three)
            watch.end(of=owner)
            await three.processes.pop(owner.name).stop()
            while three.owner is None:
                await three.pass_time(0.05)
            watch.end()
            assert not watch.worse, watch.worse[:5]
            assert three.owner is three.processes[lives]
            assert sessions(three) == begun
            await three.heal(HEALS)
            assert not three.wrong()

    run(story())


@pytest.mark.parametrize("owns", [False, True])
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_a_notification_that_reaches_a_replica_which_ends_is_passed_on(seed: int, *, owns: bool) -> None:
    """It has connections for a moment more, over which the server may notify it: nothing more would come."""

    async def story() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        async with cluster(seed) as three:
            three.latency = dice.choice([0.001, 0.02])
            leaves = next(each for each in three.processes.values() if (each is three.owner) == owns)
            leaves.engine.delay = dice.choice([0.0, 0.01, 0.05])
            del three.processes[leaves.name]
            leaves.routes.let_go()
            await three.pass_time(dice.uniform(0.0, 2.0))
            with mock.patch.object(three, "any_process", return_value=leaves):
                three.change(CONTACTS[0], State.DND)
                await three.pass_time(dice.uniform(0.03, 0.5))
                await leaves.stop()
            await three.pass_time(2.0)
            assert not three.wrong()

    run(story())


def test_an_engine_that_goes_back_as_it_is_released_is_not_asked_without_a_pause() -> None:
    """It has something to say at once, again and again, which says nothing of the successor."""

    async def story() -> None:
        async with cluster() as three:
            owner = three.owner
            assert owner is not None
            image = three.server.image()
            for name in sorted({"a", "b", "c"} - {owner.name}):
                await three.kill(name)  # a moment ago: one of them is named
            before = owner.replica._holding.place(0)
            asked, follow = [], owner.engine.follow

            async def follows(*arguments: Any) -> Any:
                asked.append(arguments)
                assert len(asked) < 50
                return await follow(*arguments)

            three.server.rewind(image)
            successor = owner.replica.members.present(owner.clock.monotonic())[0]
            with mock.patch.object(owner.engine, "follow", follows):
                await owner.replica._holding.goes_on(successor, before)
            assert len(asked) > 5

    run(story())
