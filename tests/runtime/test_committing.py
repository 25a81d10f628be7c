"""What waits for the engine: in which batches it goes, what a lost reply or a refusal does, and who hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.cluster.engine import Batch, EngineDamaged, LogPosition, NotReplicated, Put, Table, Taken
from service.cluster.memory import MemoryEngine, MemoryServer
from service.core.claims.model import ClaimEvent, ClaimEventKind, Lease, Person
from service.core.clock import Moment
from service.core.events.commits import LogEntry, NotCommitted
from service.core.events.event import Event
from service.core.presence.records import Feed
from service.runtime import committing as module
from service.runtime.acceptance import PATIENCE
from service.runtime.committing import Committing, Confirmed
from tests.support.virtual_time import LoopClock, run

AT = Moment(1.0, 2.0)


def lease(name: str, *contacts: str) -> Lease:
    people = tuple(Person(contact, contact) for contact in contacts)
    return Lease(name, "support", "", "anybody", AT, AT, people)


def puts_of(entry: LogEntry, epoch: int) -> Sequence[Put]:
    """Of claims alone."""
    if not isinstance(entry, Event) or not isinstance(entry.data, ClaimEvent):
        return ()
    event = entry.data
    if event.ends:
        return [Put(Table.CLAIMS, event.lease.id, None), *(Put(Table.HELD, key, None) for key in event.keys)]
    return [Put(Table.CLAIMS, event.lease.id, b"x"), *(Put(Table.HELD, key, b"x") for key in event.keys)]


class Lab:
    """An owner's commits over the twin."""

    def __init__(self) -> None:
        self.server = MemoryServer(LoopClock())
        self.engine = MemoryEngine(self.server, LoopClock())
        self.committing = Committing(self.engine, LoopClock())
        self.told: list[int] = []
        self.over: list[int] = []
        self.batches: list[Batch] = []
        self.taken: Taken
        self.next = 0

    def event(self, name: str = "other", data: ClaimEvent | None = None) -> Event:
        self.next += 1
        return Event(self.taken.begins + self.next, name, AT, data=data)

    def claim(self, kind: ClaimEventKind, name: str, *contacts: str) -> Event:
        return self.event(kind, ClaimEvent(kind, lease(name, *contacts)))

    def offer(self, *events: Event) -> None:
        self.committing.offer(events)

    def has_problem(self) -> bool:
        return self.committing.problem is not None

    def ids(self) -> list[int]:
        """What the engine has of this tenure."""
        return [
            entry.id - self.taken.begins for entry in self.server.news(LogPosition(self.taken.begins), 9999).entries
        ]


@asynccontextmanager
async def owner() -> AsyncIterator[Lab]:
    lab = Lab()
    taken = await lab.engine.take("one", "http://one", "token")
    assert isinstance(taken, Taken)
    lab.taken = taken
    lab.committing.bind(lab.told.append, puts_of)
    lab.committing.begin(taken.epoch, taken.begins, lab.over.append)
    commit = lab.engine.commit

    async def counted(epoch: int, previous: int, batch: Batch) -> None:
        lab.batches.append(batch)
        await commit(epoch, previous, batch)

    lab.engine.commit = counted  # type: ignore[method-assign]
    running = asyncio.create_task(lab.committing.run())
    try:
        yield lab
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_one_turn_is_one_batch() -> None:
    """And what is offered while it is under way is the next; each is told when the engine has it."""

    async def story() -> None:
        async with owner() as lab:
            lab.engine.delay = 0.1
            lab.offer(lab.event(), lab.event())
            lab.committing.keep([Put(Table.WATCHED, "ann", b"\x01")])
            waiting = asyncio.create_task(lab.committing.reached(0))
            await asyncio.sleep(0.05)
            lab.offer(lab.event())
            assert not lab.told
            await waiting
            assert lab.told == [lab.taken.begins + 2]
            assert lab.server.snapshot().tables[Table.WATCHED] == {"ann": b"\x01"}
            await lab.committing.reached(lab.taken.begins + 3)
            assert [len(batch.entries) for batch in lab.batches] == [2, 1]
            assert lab.ids() == [1, 2, 3]
            assert lab.committing.last == lab.told[-1]
            await lab.committing.reached(0)

    run(story())


def test_a_batch_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    monkeypatch.setattr(module, "MAX_PUTS", 4)

    async def story() -> None:
        async with owner() as lab:
            lab.offer(*(lab.event() for _ in range(5)))
            lab.committing.keep([Put(Table.WATCHED, str(number), b"\x01") for number in range(6)])
            await lab.committing.reached(0)
            assert [(len(batch.entries), len(batch.puts)) for batch in lab.batches] == [(3, 0), (2, 4), (0, 2)]

    run(story())


def test_who_ends_a_tenure_sees_what_was_not_accepted() -> None:
    """Else it would go on with what nobody was ever told, as if everybody knew."""

    async def story() -> None:
        async with owner() as lab:
            waited: list[int] = []
            lab.committing.begin(lab.taken.epoch, lab.taken.begins, lambda _: waited.append(lab.committing.waiting))
            lab.server.rewind()
            lab.offer(lab.event(), lab.event())
            with pytest.raises(NotCommitted):
                await lab.committing.reached(0)
            assert waited == [2]
            assert lab.committing.waiting == 0

    run(story())


def test_what_is_not_ours_in_the_engine_ends_the_tenure() -> None:
    """Who takes the lease next removes it; until then nothing could be written."""

    async def story() -> None:
        async with owner() as lab:

            async def refused(*_: object) -> None:
                raise EngineDamaged("a key holds something else")

            lab.engine.commit = refused  # type: ignore[method-assign,assignment]
            lab.offer(lab.event())
            with pytest.raises(NotCommitted):
                await lab.committing.reached(0)
            assert lab.over == [lab.taken.epoch]

    run(story())


@pytest.mark.parametrize("what", ["loses_replies", "loses_requests"])
def test_a_batch_whose_outcome_is_unknown_is_sent_again_as_it_was(what: str) -> None:
    """It is there once, and nothing was put into it meanwhile."""

    async def story() -> None:
        async with owner() as lab:
            setattr(lab.engine, what, True)
            lab.offer(lab.event())
            await asyncio.sleep(1.1)
            lab.offer(lab.event())
            await asyncio.sleep(0.5)
            assert lab.committing.problem
            setattr(lab.engine, what, False)
            await lab.committing.reached(0)
            assert lab.ids() == [1, 2]
            sizes = [len(batch.entries) for batch in lab.batches]
            assert set(sizes) == {1}
            assert len(sizes) > 2
            assert lab.committing.problem is None

    run(story())


def test_a_full_engine_costs_clients_their_claims_and_nothing_else() -> None:
    """Anybody who waits is refused after a while; what waits goes out when there is room."""

    async def story() -> None:
        async with owner() as lab:
            lab.server.full = True
            lab.offer(lab.event())
            began = LoopClock().monotonic()
            waiting = asyncio.create_task(lab.committing.reached(0))
            await asyncio.sleep(1)
            await lab.engine.beat(lab.taken.epoch, 1, lab.committing.last, b"beat")
            with pytest.raises(NotCommitted, match="no memory"):
                await waiting
            assert LoopClock().monotonic() - began == pytest.approx(PATIENCE)
            lab.server.full = False
            await asyncio.sleep(1)
            assert lab.ids() == [1]

    run(story())


def test_what_a_login_waits_for_goes_ahead_of_the_rest() -> None:
    """It is there though the engine takes nothing else, and the last word on each node is the one that counts."""

    async def story() -> None:
        async with owner() as lab:
            lab.server.full = True
            lab.offer(lab.event())
            lab.committing.keep([Put(Table.NODES, "a", b"1"), Put(Table.WATCHED, "ann", b"1")])
            await asyncio.sleep(0.5)
            lab.committing.keep([Put(Table.NODES, name, value) for name in "ab" for value in (None, b"2")])
            lab.committing.keep([Put(Table.NODES, "a", None)])
            await lab.committing.reached_ahead()
            assert lab.server.snapshot().tables[Table.NODES] == {"b": b"2"}
            assert lab.has_problem()
            assert not lab.told
            lab.server.full = False
            lab.committing.keep([Put(Table.NODES, "c", b"3")])
            await lab.committing.reached(0)
            assert lab.ids() == [1]
            assert lab.server.snapshot().tables[Table.NODES] == {"b": b"2", "c": b"3"}
            assert not lab.has_problem()
            assert not lab.committing.waiting
            lab.server.up = False
            lab.committing.keep([Put(Table.NODES, "d", b"4")])
            await asyncio.sleep(0.5)
            assert lab.has_problem()
            lab.server.up = True
            await lab.committing.reached(0)
            assert not lab.has_problem()

    run(story())


def test_the_end_of_a_tenure() -> None:
    """Nothing is written, everybody who waits hears of it, and what is said later is not kept."""

    async def story() -> None:
        async with owner() as lab:
            await asyncio.sleep(4)  # the lease is over
            lab.offer(lab.event())
            waiting = [asyncio.create_task(lab.committing.reached(0)) for _ in range(2)]
            await asyncio.sleep(0.1)
            assert lab.over == [lab.taken.epoch]
            for each in waiting:
                with pytest.raises(NotCommitted):
                    await each
            lab.offer(lab.event())
            lab.committing.keep([Put(Table.WATCHED, "ann", b"\x01")])
            with pytest.raises(NotCommitted):
                await lab.committing.reached(0)
            await asyncio.sleep(1)
            assert not lab.ids()
            assert not lab.told

    run(story())


def test_who_is_let_go_is_claimed_anew_in_the_next_batch() -> None:
    """The engine looks who is held before a batch; and a claim on somebody whom it knows as held ends the tenure."""

    async def story() -> None:
        async with owner() as lab:
            made, released = ClaimEventKind.MADE, ClaimEventKind.RELEASED
            lab.offer(lab.claim(made, "a", "ann"), lab.claim(released, "a", "ann"))
            lab.offer(lab.claim(made, "b", "ann"), lab.claim(made, "c", "joe"))
            await lab.committing.reached(0)
            assert lab.server.snapshot().tables[Table.HELD] == {"ann": b"x", "joe": b"x"}
            assert lab.server.snapshot().tables[Table.CLAIMS].keys() == {"b", "c"}
            assert not lab.over
            lab.offer(lab.claim(made, "d", "joe", "rita"))
            await asyncio.sleep(0.1)
            assert lab.over == [lab.taken.epoch]
            assert "rita" not in lab.server.snapshot().tables[Table.HELD]

    run(story())


def test_a_claim_that_no_copy_has_is_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written, and the client is refused all the same."""

    async def story() -> None:
        async with owner() as lab:
            claim = lab.engine.claim

            async def alone(*words: Any) -> None:
                await claim(*words)
                raise NotReplicated("nobody has it")

            lab.engine.claim = alone  # type: ignore[method-assign, assignment]
            lab.offer(lab.claim(ClaimEventKind.MADE, "a", "ann"))
            with pytest.raises(NotCommitted):
                await lab.committing.reached(0)
            assert lab.told == [lab.taken.begins + 1]

    run(story())


def test_what_feeds_confirm_counts_once_all_before_it_is_there() -> None:
    """Until then it is what they confirmed before."""

    async def story() -> None:
        async with owner() as lab:
            early, late = Feed("a", Moment(1.0, 1.0), None), Feed("a", Moment(2.0, 2.0), None)
            lab.committing.confirm(lab.taken.begins, [early])
            assert lab.committing.confirmed == Confirmed((early,), lab.taken.begins)
            lab.engine.delay = 0.1
            lab.offer(lab.event())
            lab.committing.confirm(lab.taken.begins + 1, [late])
            assert lab.committing.confirmed.feeds == (early,)
            await lab.committing.reached(0)
            assert lab.committing.confirmed == Confirmed((late,), lab.taken.begins + 1)

    run(story())


def test_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the tenure is given up: the next owner reads everything anew."""
    monkeypatch.setattr(module, "MOST_WAITING", 3)

    async def story() -> None:
        async with owner() as lab:
            lab.server.up = False
            lab.offer(*(lab.event() for _ in range(4)))
            assert lab.over == [lab.taken.epoch]

    run(story())
