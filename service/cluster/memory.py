"""The engine's twin in memory: the same verbs, and the same hazards at the word of a test.

`MemoryServer` is what all replicas share, `MemoryEngine` one replica's way to it. The server has a clock of its own, by
which leases expire. It can be down, full, lose all its data or a part of it; a way can lose requests and replies, or
delay them. A test of replicas in one event loop needs nothing else.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeVar

from service.cluster.engine import (
    BEATS_KEPT,
    LEASE,
    MARKS_KEPT,
    MAX_ENTRIES,
    NO_MARKS,
    Batch,
    Beat,
    BeatPlace,
    ClusterEngine,
    EngineFacts,
    EngineFull,
    EngineSnapshot,
    EngineUnreachable,
    Holder,
    LeaseLost,
    LogPosition,
    LogRewound,
    News,
    NotReplicated,
    StoredEntry,
    StoredMark,
    Table,
    Taken,
    check,
)
from service.core.clock import Clock
from service.core.wakeup import sleep_until_woken

TIMEOUT: Final = 1.0
"""Seconds after which a way that loses something gives up, as the engine on Redis does."""


T = TypeVar("T")


@dataclass(slots=True)
class _Lease:
    taken: Taken
    replica: str
    address: str
    token: str
    expires: float


@dataclass(slots=True)
class _HandedOver:
    epoch: int
    to: str
    data: bytes


@dataclass(slots=True)
class EngineImage:
    """All data at one moment; what a restart or a fail-over goes back to."""

    lease: _Lease | None = None
    epoch: int = 0
    log: list[StoredEntry] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    marks: list[StoredMark] = field(default_factory=list)
    handed_over: _HandedOver | None = None
    members: dict[str, bytes] = field(default_factory=dict)
    tables: dict[Table, dict[str, bytes]] = field(default_factory=lambda: {table: {} for table in Table})


class MemoryServer:
    """What the replicas share. `kept` entries at least stay in the log.

    It has a copy, which gets everything when it is told to (`catch_up`) and where a claim waits for it, and may go on
    alone (`fail_over`).
    """

    def __init__(self, clock: Clock, kept: int = 10_000) -> None:
        self.clock = clock
        self.kept = kept
        self.full = False
        """Whether there is memory for more than beats."""
        self.has_copy = True
        """Whether the copy is reached."""
        self._up = True
        self._data = EngineImage()
        self._copy = EngineImage()
        self._waiting: set[asyncio.Event] = set()

    def __repr__(self) -> str:
        return f"<MemoryServer of epoch {self._data.epoch}, {len(self._data.log)} entries>"

    # --- what befalls it

    @property
    def up(self) -> bool:
        """Whether anybody gets an answer."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        self._up = up
        self._ring()

    def image(self) -> EngineImage:
        """The data as they are now, to go back to."""
        return _copied(self._data)

    def rewind(self, image: EngineImage | None = None) -> None:
        """Go back to an image: what was written since is lost. None: everything is."""
        self._data = EngineImage() if image is None else _copied(image)

    def spoil(self, table: Table, field: str, value: bytes | None) -> None:
        """Another program writes a value, or removes it."""
        if value is None:
            self._data.tables[table].pop(field, None)
        else:
            self._data.tables[table][field] = value

    def catch_up(self) -> bool:
        """The copy gets all that was written; False: it is not reached."""
        if self.has_copy:
            self._copy = self.image()
        return self.has_copy

    def fail_over(self) -> None:
        """The copy goes on alone: what it has not got is lost."""
        self.rewind(self._copy)

    # --- what it knows

    @property
    def holder(self) -> Holder | None:
        """Who owns now."""
        lease = self._data.lease
        if lease is None or lease.expires <= self.clock.now():
            return None
        return Holder(lease.taken.epoch, lease.replica, lease.address)

    @property
    def last(self) -> int:
        """The id of the newest entry."""
        return self._data.log[-1].id if self._data.log else 0

    # --- the verbs, each in one step

    def take(self, replica: str, address: str, token: str, epoch_above: int, id_above: int) -> Taken | Holder:
        """See ClusterEngine."""
        data, now = self._data, self.clock.now()
        holder, lease = self.holder, data.lease
        if holder is not None and lease is not None:
            if lease.token != token:
                return holder
            lease.expires = now + LEASE
            return lease.taken
        micros = int(now * 1e6)
        beaten = data.beats[-1].epoch if data.beats else 0
        before, last = data.epoch, self.last
        epoch = max(before, micros - 1, epoch_above, beaten) + 1
        begins = max(last, micros, id_above) + 1
        left = data.handed_over
        handover = left.data if left is not None and (left.epoch, left.to) == (before, replica) else None
        taken = Taken(epoch, begins, last, before, handover)
        data.lease = _Lease(taken, replica, address, token, now + LEASE)
        data.epoch = epoch
        self._append([StoredEntry(begins, epoch, last, b"")])
        return taken

    def beat(self, epoch: int, number: int, last: int, data: bytes) -> None:
        """See ClusterEngine."""
        lease = self._owned(epoch)
        if self.last != last:
            raise LogRewound(self.last)
        lease.expires = self.clock.now() + LEASE
        self._beat(Beat(epoch, number, data))

    def commit(self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str] = ()) -> frozenset[str]:
        """See ClusterEngine; `claim` with contacts."""
        self._owned(epoch)
        if batch.entries and self.last == batch.entries[-1][0]:
            return frozenset()
        if self.last != previous:
            raise LogRewound(self.last)
        held = frozenset(contact for contact in contacts if contact in self._data.tables[Table.HELD])
        if held:
            return held
        if not batch.is_written_even_if_full and (batch.entries or any(put.value is not None for put in batch.puts)):
            self._has_room()
        for table, name, value in batch.puts:
            if value is None:
                self._data.tables[table].pop(name, None)
            else:
                self._data.tables[table][name] = value
        entries = []
        for id_, data in batch.entries:
            entries.append(StoredEntry(id_, epoch, previous, data))
            previous = id_
        self._append(entries)
        return frozenset()

    def release(self, epoch: int, number: int, last: int, data: bytes, to: str, handover: bytes) -> None:
        """See ClusterEngine."""
        try:
            self._owned(epoch)
        except LeaseLost:
            return
        self._data.lease = None
        if self.last == last and to:
            self._data.handed_over = _HandedOver(epoch, to, handover)
        self._beat(Beat(epoch, number, data))

    def echo(self, replica: str, data: bytes | None) -> None:
        """See ClusterEngine."""
        if data is None:
            self._data.members.pop(replica, None)
        else:
            self._has_room()
            self._data.members[replica] = data

    def members(self) -> Mapping[str, bytes]:
        """See ClusterEngine."""
        return dict(self._data.members)

    def news(self, after: LogPosition, limit: int) -> News:
        """See ClusterEngine; without waiting."""
        entries = [entry for entry in self._data.log if entry.id > after.log][:limit]
        beats = [beat for beat in self._data.beats if BeatPlace(beat.epoch, beat.number) > after.beat]
        return News(tuple(entries), tuple(beats[:limit]), bool(entries) and entries[0].previous != after.log)

    def snapshot(self) -> EngineSnapshot:
        """See ClusterEngine."""
        tables = {table: dict(values) for table, values in self._data.tables.items()}
        first = self._data.log[0].id if self._data.log else 0
        return EngineSnapshot(self.last, first, self.holder, tables)

    def mark(self, data: bytes) -> None:
        """See ClusterEngine."""
        self._has_room()
        last = int(self._data.marks[-1].id.partition("-")[0]) if self._data.marks else 0
        self._data.marks.append(StoredMark(f"{max(last + 1, int(self.clock.now() * 1e3))}-0", data))
        del self._data.marks[:-MARKS_KEPT]
        self._ring()

    def marks(self, after: str) -> Sequence[StoredMark]:
        """See ClusterEngine; without waiting."""
        marks = self._data.marks
        if not marks or _place(marks[-1].id) < _place(after):
            after = NO_MARKS
        return [mark for mark in marks if _place(mark.id) > _place(after)]

    def facts(self) -> EngineFacts:
        """See ClusterEngine."""
        return EngineFacts("memory", "1", "noeviction", persistent=False, replicas=0, is_primary=True)

    async def arrival(self, seconds: float, clock: Clock) -> None:
        """Wait until something is written, for so many seconds of a clock at most."""
        arrived = asyncio.Event()
        self._waiting.add(arrived)
        try:
            await sleep_until_woken(arrived, clock, seconds)
        finally:
            self._waiting.discard(arrived)

    # --- inside

    def _owned(self, epoch: int) -> _Lease:
        holder, lease = self.holder, self._data.lease
        if holder is None or lease is None or holder.epoch != epoch:
            raise LeaseLost(f"the lease of epoch {epoch} is over")
        return lease

    def _has_room(self) -> None:
        if self.full:
            raise EngineFull("the engine has no memory left")

    def _append(self, entries: Sequence[StoredEntry]) -> None:
        self._data.log.extend(entries)
        del self._data.log[: -self.kept]
        if entries:
            self._ring()

    def _beat(self, beat: Beat) -> None:
        beats = self._data.beats
        if not beats or (beats[-1].epoch, beats[-1].number) < (beat.epoch, beat.number):
            beats.append(beat)
            del beats[:-BEATS_KEPT]
            self._ring()

    def _ring(self) -> None:
        for arrived in self._waiting:
            arrived.set()


def _copied(image: EngineImage) -> EngineImage:
    """Another image of the same; its entries do not change."""
    return EngineImage(
        copy.copy(image.lease),
        image.epoch,
        list(image.log),
        list(image.beats),
        list(image.marks),
        copy.copy(image.handed_over),
        dict(image.members),
        {table: dict(values) for table, values in image.tables.items()},
    )


def _place(id: str) -> tuple[int, int]:  # noqa: A002  # as in StoredMark
    first, _, second = id.partition("-")
    return int(first), int(second or 0)


class MemoryEngine(ClusterEngine):
    """A replica's way to the server. `clock` is the replica's own. `replicated`: claims wait for the copy."""

    def __init__(self, server: MemoryServer, clock: Clock, *, replicated: bool = False) -> None:
        self._server = server
        self._clock = clock
        self._replicated = replicated
        self.loses_requests = False
        """Whether nothing that is asked gets there."""
        self.loses_replies = False
        """Whether what is asked is carried out, and nobody hears of it."""
        self.delay = 0.0
        """Seconds that each direction takes."""

    def __repr__(self) -> str:
        return f"<MemoryEngine to {self._server!r}>"

    async def take(
        self, replica: str, address: str, token: str, *, epoch_above: int = 0, id_above: int = 0
    ) -> Taken | Holder:
        return await self._ask(lambda: self._server.take(replica, address, token, epoch_above, id_above))

    async def beat(self, epoch: int, number: int, last: int, data: bytes) -> None:
        await self._ask(lambda: self._server.beat(epoch, number, last, data))

    async def commit(self, epoch: int, previous: int, batch: Batch) -> None:
        check(previous, batch)
        await self._ask(lambda: self._server.commit(epoch, previous, batch))

    async def claim(self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str]) -> frozenset[str]:
        check(previous, batch, contacts)
        return await self._ask(lambda: self._claim(epoch, previous, batch, contacts))

    async def release(self, epoch: int, number: int, last: int, data: bytes, *, to: str, handover: bytes) -> None:
        await self._ask(lambda: self._server.release(epoch, number, last, data, to, handover))

    async def echo(self, replica: str, data: bytes | None) -> None:
        await self._ask(lambda: self._server.echo(replica, data))

    async def members(self) -> Mapping[str, bytes]:
        return await self._ask(self._server.members)

    async def follow(self, after: LogPosition, wait: float, limit: int = MAX_ENTRIES) -> News:
        def news() -> News:
            return self._server.news(after, limit)

        await self._wait(lambda: any(news()[:2]), wait)
        return await self._ask(news)

    async def snapshot(self) -> EngineSnapshot:
        return await self._ask(self._server.snapshot)

    async def mark(self, data: bytes) -> None:
        await self._ask(lambda: self._server.mark(data))

    async def marks(self, after: str, wait: float) -> Sequence[StoredMark]:
        def marks() -> Sequence[StoredMark]:
            return self._server.marks(after)

        await self._wait(lambda: bool(marks()), wait)
        return await self._ask(marks)

    async def facts(self) -> EngineFacts:
        return await self._ask(self._server.facts)

    async def close(self) -> None:
        pass

    def _claim(self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str]) -> frozenset[str]:
        held = self._server.commit(epoch, previous, batch, contacts)
        if self._replicated and not held and not self._server.catch_up():
            raise NotReplicated("the copy has not confirmed")
        return held

    async def _ask(self, verb: Callable[[], T]) -> T:
        """One request and its answer, which may be that it was refused."""
        await self._clock.sleep(self.delay)
        self._reach(may_have_acted=False)
        if self.loses_requests:
            await self._lost()
        try:
            return verb()
        finally:
            await self._clock.sleep(self.delay)
            self._reach(may_have_acted=True)
            if self.loses_replies:
                await self._lost()

    async def _wait(self, is_there: Callable[[], bool], wait: float) -> None:
        until = self._clock.monotonic() + wait
        self._reach(may_have_acted=False)
        while not is_there() and (left := until - self._clock.monotonic()) > 0:
            await self._server.arrival(left, self._clock)
            self._reach(may_have_acted=False)

    async def _lost(self) -> NoReturn:
        await self._clock.sleep(TIMEOUT)
        raise EngineUnreachable("the engine does not answer", may_have_acted=True)

    def _reach(self, *, may_have_acted: bool) -> None:
        if not self._server.up:
            raise EngineUnreachable("the engine is down", may_have_acted=may_have_acted)
