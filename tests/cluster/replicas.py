"""An owner and its mirrors without a presence server: stores that a test fills, the twin of the engine, and clocks that
go differently. Nothing happens between two calls, so that a test decides what is known where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.access.principal import READER
from service.api.sse.view import FrameCache, SubscriberView
from service.api.writers.contact import ContactJson
from service.cluster import tables, wire
from service.cluster.engine import Batch, EngineSnapshot, Put, Taken
from service.cluster.members import Member, Members
from service.cluster.memory import MemoryEngine, MemoryServer
from service.cluster.mirroring import Follower
from service.cluster.wire import BeatBody
from service.core.claims.service import ClaimRules
from service.core.clock import ManualClock
from service.core.events.commits import LogEntry, NotCommitted
from service.core.events.journal import FeedsAt, Journal
from service.core.presence.availability import Availability, Rule
from service.core.presence.filters import Filter
from service.core.presence.memory_store import MemoryStore
from service.core.presence.snapshot import ContactSnapshot
from service.core.wakeup import in_turns
from service.core.wiring import Core
from tests.support.bare_service import AVAILABLE, AWAY

BOUND = 100.0
ANN, BOB, CID, DAN = (f"{name}@example.com" for name in ("ann", "bob", "cid", "dan"))
GROUPS = {"support": (ANN, BOB), "sales": (BOB, CID), "empty": ()}
RULES = {
    "support": Rule(dwell=5.5, wrap_up=20.5, max_idle=60.5),
    "sales": Rule(frozenset({AVAILABLE, AWAY}), max_idle=None),
}
"""No boundary comes at a whole second."""


class QueuedCommits:
    """What waits for the engine."""

    is_immediate = False

    def __init__(self) -> None:
        self.waiting: list[LogEntry] = []

    def offer(self, entries: Sequence[LogEntry]) -> None:
        before = self.waiting[-1].id if self.waiting else 0
        ids = [before, *(entry.id for entry in entries)]
        assert ids == sorted(set(ids)), "ids ascend"
        self.waiting += entries

    async def reached(self, id: int) -> None:  # noqa: A002  # as in Event
        raise NotCommitted


@dataclass
class Replica:
    """One of them. Its clock is `offset` seconds ahead at the beginning, and goes faster by `drift`."""

    name: str
    server: MemoryServer
    offset: float
    drift: float
    events: int = 1000

    def __post_init__(self) -> None:
        self.clock = ManualClock(self.server.clock.now(), 1000.0 + self.offset)
        self.commits = QueuedCommits()
        self.store = MemoryStore(self.clock)
        self.core = Core.of(
            self.store,
            self.clock,
            BOUND,
            GROUPS,
            Availability(GROUPS, RULES, Rule(max_idle=30.5)),
            events=self.events,
            rules=ClaimRules(floors={"support": 1}),
            commits=self.commits,
        )
        self.engine = MemoryEngine(self.server, self.clock)
        self.follower = Follower(self.core, self.store, self.name)
        self.members = Members()
        self.epoch = self.last = self.beats = 0
        self.states: list[FeedsAt] = []

    @property
    def journal(self) -> Journal:
        assert self.core.journal is not None
        return self.core.journal

    # --- as the owner

    async def take_over(self, *, knows_more: bool = False) -> EngineSnapshot:
        """Become the owner; `knows_more`: the engine has lost what is known here."""
        taken = await self.engine.take(self.name, "", f"{self.name} {self.beats}", id_above=self.follower.highest)
        assert isinstance(taken, Taken), taken
        snapshot = await self.engine.snapshot()
        self.epoch, self.last, self.beats = taken.epoch, taken.begins, 0
        self.states = []
        self.commits.waiting.clear()
        known = await in_turns(tables.read(snapshot)) if knows_more else None
        self.follower.lead(taken, (), known)
        mended = tables.repairs(self.core, snapshot, self.epoch)
        await self._write(Batch([], [*mended, *tables.whole(self.epoch)]))
        return snapshot

    async def commit(self, number: int | None = None) -> None:
        """Have the first of what waits accepted, by default all."""
        if number is None:
            self.note()
        entries = self.commits.waiting[:number]
        if entries:
            puts: dict[tuple[object, str], Put] = {}
            for entry in entries:
                puts |= {(put.table, put.field): put for put in tables.puts_of(entry, self.epoch, self.core)}
            await self._write(Batch([(each.id, wire.encode_entry(each)) for each in entries], [*puts.values()]))
            del self.commits.waiting[: len(entries)]
            self.last = entries[-1].id
            self.core.log.told(self.last)

    async def _write(self, batch: Batch) -> None:
        await self.engine.commit(self.epoch, self.last, batch)

    def note(self) -> None:
        """Take down how the feeds are, for a later beat."""
        self.states.append(self.journal.state())

    async def beat(self) -> None:
        """Tell all what is accepted."""
        said = await self.engine.members()
        self.members.observe(map(wire.decode_member, said.values()), self.clock.monotonic())
        come = [state for state in self.states if state.id <= self.last]
        state = come[-1] if come else FeedsAt(self.last, ())
        nonces = self.members.nonces()
        body = BeatBody(self.clock.monotonic(), state.id, tuple(state.feeds), nonces, False, self.name, "")
        self.beats += 1
        await self.engine.beat(self.epoch, self.beats, self.last, wire.encode_beat(body))

    # --- as a mirror

    async def echo(self) -> None:
        """Say a nonce."""
        member = Member(self.name, "", "1", "", self.clock.monotonic(), self.follower.epoch, self.follower.highest)
        await self.engine.echo(self.name, wire.encode_member(member))

    async def follow(self, limit: int = 1000) -> None:
        """Take in what there is, so many entries at most."""
        news = await self.engine.follow(self.follower.position, 0.0, limit)
        if not await self.follower.take(news):
            await self.follower.join(self.engine)

    # --- what it says

    def one(self, key: str) -> ContactSnapshot | None:
        return self.core.reader.one(key)

    def true_time(self, monotonic: float) -> float:
        """The moment of its clock on the one of the test."""
        return (monotonic - 1000.0 - self.offset) / (1 + self.drift)

    async def listed(self, wanted: Filter) -> list[Any]:
        """A page as JSON, without what moves on with each confirmation."""
        page = await self.core.reader.page(wanted, 100)
        return [_plain(contact) for contact in page.contacts]

    def streamed(self, after: int, wanted: Filter | None = None) -> list[tuple[int, str, bytes]] | None:
        """What a stream sends that resumes behind this id."""
        wanted = wanted or Filter()
        view = SubscriberView(self.core.reader, self.store, ContactJson(), FrameCache(), wanted, READER)
        events = self.core.log.since(after)
        if events is None:
            return None
        found = []
        for event in events:
            name, data = view.rendered(event, event.before) or ("", b"")
            found.append((event.id, name, data))
        return found

    def told(self) -> dict[str, Any]:
        """What a stream begins with."""
        return {each.contact.record.key: _plain(each.contact) for each in self.core.log.everybody()}


def _plain(contact: ContactSnapshot) -> dict[str, Any]:
    said = json.loads(ContactJson().one(contact))
    del said["as_of"], said["source"]
    return dict(said)


@dataclass
class World:
    """The replicas and the time of all of them."""

    offsets: Sequence[tuple[float, float]] = ((0.0, 0.0), (5000.0, 0.0004), (-300.0, -0.0004))
    kept: int = 1000
    """Entries in the engine's log."""
    now: float = 0.0
    replicas: list[Replica] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = MemoryServer(ManualClock(), self.kept)
        for number, (offset, drift) in enumerate(self.offsets):
            self.replicas.append(Replica(f"replica-{number}", self.server, offset, drift))

    def advance(self, seconds: float) -> None:
        """Let time pass, but for the engine: no lease ends of itself."""
        self.now += seconds
        for replica in self.replicas:
            replica.clock.advance(seconds * (1 + replica.drift))
            replica.clock.jump(-seconds * replica.drift)

    async def settle(self, owner: Replica, seconds: int = 3) -> None:
        """Some seconds in which nothing is lost: looks, beats, and everybody follows."""
        for _ in range(seconds):
            self.advance(0.8)
            for replica in self.replicas:
                if replica is not owner:
                    await replica.echo()
            self.advance(0.1)
            owner.core.log.touch()
            owner.core.claim_service._attend()
            await owner.commit()
            await owner.beat()
            self.advance(0.1)
            for replica in self.replicas:
                if replica is not owner:
                    await replica.follow()
                    await replica.core.log.settle()
