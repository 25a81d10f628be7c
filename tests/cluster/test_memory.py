"""The twin's hazards, and leases held over it: replicas in one loop, whose time jumps."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.cluster import wire
from service.cluster.engine import (
    LEASE,
    Batch,
    BeatPlace,
    ClusterEngineError,
    EngineUnreachable,
    LogPosition,
    Taken,
    TenureOver,
)
from service.cluster.lease import LeaseStep, LeaseView, Role
from service.cluster.members import Member, Members
from service.cluster.memory import MemoryEngine, MemoryServer
from service.cluster.wire import BeatBody
from tests.support.virtual_time import LoopClock, run


async def owned(engine: MemoryEngine) -> Taken:
    """The lease, which is free."""
    taken = await engine.take("one", "http://one", "token")
    assert isinstance(taken, Taken)
    return taken


def test_what_is_lost_on_the_way() -> None:
    """A request that never arrives does nothing; one whose reply is lost has done it."""

    async def story() -> None:
        server = MemoryServer(LoopClock())
        engine = MemoryEngine(server, LoopClock())
        taken = await owned(engine)
        batch = Batch([(taken.begins + 1, b"x")])
        engine.loses_requests = True
        with pytest.raises(EngineUnreachable) as lost:
            await engine.commit(taken.epoch, taken.begins, batch)
        assert lost.value.may_have_acted
        assert server.last == taken.begins
        engine.loses_requests, engine.loses_replies = False, True
        with pytest.raises(EngineUnreachable):
            await engine.commit(taken.epoch, taken.begins, batch)
        assert server.last == taken.begins + 1
        with pytest.raises(EngineUnreachable):  # a refusal is an answer, which is lost as any
            await engine.commit(taken.epoch + 1, taken.begins, batch)
        assert repr(engine) == f"<MemoryEngine to <MemoryServer of epoch {taken.epoch}, 2 entries>>"

    run(story())


def test_what_takes_time() -> None:
    """Each direction; and anybody who waits hears at once that the server has gone."""

    async def story() -> None:
        server = MemoryServer(LoopClock())
        engine = MemoryEngine(server, LoopClock())
        engine.delay = 0.25
        began = LoopClock().monotonic()
        taken = await owned(engine)
        assert LoopClock().monotonic() - began == pytest.approx(0.5)
        waiting = asyncio.create_task(engine.follow(LogPosition(taken.begins), 60.0))
        await asyncio.sleep(1)
        server.up = False
        with pytest.raises(EngineUnreachable) as down:
            await waiting
        assert not down.value.may_have_acted
        assert LoopClock().monotonic() - began < 3

    run(story())


@dataclass
class Replica:
    """A replica that does nothing but hold the lease: what the service will do around all else."""

    name: str
    engine: MemoryEngine
    view: LeaseView = field(default_factory=LeaseView)
    last: int = 0
    position: LogPosition = field(default_factory=LogPosition)
    members: Members = field(default_factory=Members)
    going: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: itertools.count[int] = field(default_factory=itertools.count)

    async def hold(self) -> None:
        """Ask the engine for what is due, for ever."""
        clock = LoopClock()
        while True:
            await self.going.wait()  # stands still as long as it is not set
            step, at = self.view.due()
            if clock.monotonic() < at:
                await clock.sleep(min(0.1, at - clock.monotonic()))
                continue
            sent = clock.monotonic()
            self.view = self.view.asked(sent)
            epoch = self.view.epoch
            try:
                await (self._take(sent) if step is LeaseStep.TAKE else self._beat(sent, epoch))
            except TenureOver:
                self.view = self.view.lost(epoch)
            except ClusterEngineError:
                continue

    async def _take(self, sent: float) -> None:
        seen = self.members.highest
        taken = await self.engine.take(
            self.name,
            "http://" + self.name,
            f"{self.name} {next(self.tokens)}",
            epoch_above=max(self.view.highest, seen[0]),
            id_above=max(self.last, seen[1]),
        )
        await self.going.wait()
        if isinstance(taken, Taken):
            self.view, self.last = self.view.taken(sent, taken.epoch), taken.begins
        else:
            self.view = self.view.held(taken.epoch)

    async def _beat(self, sent: float, epoch: int) -> None:
        said = await self.engine.members()
        self.members.observe(map(wire.decode_member, said.values()), sent)
        if self.view.is_outranked(self.members.highest[0]):
            self.view = self.view.lost(epoch)
            return
        beat = wire.encode_beat(BeatBody(LoopClock().monotonic(), self.last, (), self.members.nonces()))
        await self.engine.beat(epoch, self.view.number, self.last, beat)
        await self.going.wait()
        self.view = self.view.renewed(sent, epoch)

    async def listen(self) -> None:
        """Hear the owner, and say that one is there, for ever."""
        clock = LoopClock()
        while True:
            await self.going.wait()
            try:
                member = Member(self.name, "", "1", "c", clock.monotonic(), self.view.highest, self.last)
                await self.engine.echo(self.name, wire.encode_member(member))
                news = await self.engine.follow(self.position, 0.5)
            except ClusterEngineError:
                await clock.sleep(0.2)
                continue
            await self.going.wait()
            for beat in news.beats:
                self.view = self.view.heard_of(beat.epoch, clock.monotonic())  # one clock: as good as mapped
            ids = [self.position.log, *(entry.id for entry in news.entries)]
            places = [self.position.beat, *(BeatPlace(beat.epoch, beat.number) for beat in news.beats)]
            self.position = LogPosition(ids[-1], places[-1])
            self.last = max([self.last, *(entry.id for entry in news.entries)])


trouble = st.lists(
    st.tuples(
        st.sampled_from(["pause", "requests", "replies", "delay", "down", "lose", "rewind", "full"]),
        st.integers(0, 2),
        st.floats(0.1, 6.0),
    ),
    max_size=6,
)


@settings(max_examples=15)
@given(trouble)
def test_there_is_one_owner_and_always_one_again(happenings: list[tuple[str, int, float]]) -> None:
    """Whatever stands still or gets lost: never two who may make, and one again soon after.

    Only an engine that has lost its data makes two for a while, which does no harm (`tests/model/test_takeover.py`).
    """

    async def story() -> None:
        server = MemoryServer(LoopClock())
        replicas = [Replica(name, MemoryEngine(server, LoopClock())) for name in ("a", "b", "c")]
        tasks = [asyncio.create_task(part) for each in replicas for part in (each.hold(), each.listen())]
        for each in replicas:
            each.going.set()
        image, epochs, forgotten = server.image(), [0], float("-inf")

        async def pass_time(seconds: float) -> None:
            end = LoopClock().monotonic() + seconds
            while (now := LoopClock().monotonic()) < end:
                makers = [each for each in replicas if each.going.is_set() and each.view.may_make(now)]
                if now > forgotten + LEASE:  # an engine that lost a lease gives it again while it runs
                    assert len(makers) <= 1, makers
                if len(makers) == 1 and makers[0].view.epoch != epochs[-1]:
                    epochs.append(makers[0].view.epoch)
                await asyncio.sleep(0.05)
            assert epochs == sorted(epochs), "an epoch went back"

        try:
            await pass_time(5.0)
            assert len(epochs) == 2, "one has become the owner"
            for what, who, seconds in happenings:
                replica = replicas[who]
                match what:
                    case "pause":
                        replica.going.clear()
                    case "requests" | "replies":
                        setattr(replica.engine, f"loses_{what}", True)
                    case "delay":
                        replica.engine.delay = seconds / 4
                    case "down":
                        server.up = False
                    case "full":
                        server.full = True
                    case "lose" | "rewind":
                        server.rewind(image if what == "rewind" else None)
                        forgotten = LoopClock().monotonic()
                if what != "rewind":
                    image = server.image()
                await pass_time(seconds)
                replica.going.set()
                replica.engine.loses_requests = replica.engine.loses_replies = False
                replica.engine.delay = 0.0
                server.up, server.full = True, False
                await pass_time(0.3)
            await pass_time(10.0)
            now = LoopClock().monotonic()
            roles = [each.view.role_at(now) for each in replicas]
            assert sorted(roles) == [Role.FOLLOWER, Role.FOLLOWER, Role.OWNER]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(story())
