"""The engine that replicas share, with a count of what it is asked and how it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from service.cluster.engine import (
    MAX_ENTRIES,
    Batch,
    ClusterEngine,
    ClusterEngineError,
    EngineDamaged,
    EngineFacts,
    EngineFull,
    EngineReadOnly,
    EngineRefused,
    EngineSnapshot,
    EngineUnreachable,
    Holder,
    LogPosition,
    News,
    NotReplicated,
    StoredMark,
    Taken,
    TenureOver,
)
from service.core.clock import Clock
from service.core.meter import NO_REPLICA_METER, EngineCommand, EngineOutcome, ReplicaMeter

_OUTCOMES: Final[Mapping[type[Exception], EngineOutcome]] = {
    EngineUnreachable: EngineOutcome.UNREACHABLE,
    EngineRefused: EngineOutcome.REFUSED,
    EngineFull: EngineOutcome.FULL,
    EngineReadOnly: EngineOutcome.READ_ONLY,
    EngineDamaged: EngineOutcome.DAMAGED,
    NotReplicated: EngineOutcome.NOT_REPLICATED,
}

T = TypeVar("T")


class MeteredEngine(ClusterEngine):
    """An engine whose answers are counted. `meter` is told; until it is set nobody is."""

    def __init__(self, engine: ClusterEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self.meter: ReplicaMeter = NO_REPLICA_METER

    def __repr__(self) -> str:
        return f"<MeteredEngine of {self._engine!r}>"

    async def take(
        self, replica: str, address: str, token: str, *, epoch_above: int = 0, id_above: int = 0
    ) -> Taken | Holder:
        return await self._counted(
            EngineCommand.TAKE,
            lambda: self._engine.take(replica, address, token, epoch_above=epoch_above, id_above=id_above),
        )

    async def beat(self, epoch: int, number: int, last: int, data: bytes) -> None:
        await self._counted(EngineCommand.BEAT, lambda: self._engine.beat(epoch, number, last, data))

    async def commit(self, epoch: int, previous: int, batch: Batch) -> None:
        await self._counted(EngineCommand.COMMIT, lambda: self._engine.commit(epoch, previous, batch))
        self.meter.entries_accepted(len(batch.entries))

    async def claim(self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str]) -> frozenset[str]:
        held = await self._counted(EngineCommand.CLAIM, lambda: self._engine.claim(epoch, previous, batch, contacts))
        if not held:
            self.meter.entries_accepted(len(batch.entries))
        return held

    async def release(self, epoch: int, number: int, last: int, data: bytes, *, to: str, handover: bytes) -> None:
        await self._counted(
            EngineCommand.RELEASE,
            lambda: self._engine.release(epoch, number, last, data, to=to, handover=handover),
        )

    async def echo(self, replica: str, data: bytes | None) -> None:
        await self._counted(EngineCommand.ECHO, lambda: self._engine.echo(replica, data))

    async def members(self) -> Mapping[str, bytes]:
        return await self._counted(EngineCommand.MEMBERS, self._engine.members)

    async def follow(self, after: LogPosition, wait: float, limit: int = MAX_ENTRIES) -> News:
        return await self._counted(EngineCommand.FOLLOW, lambda: self._engine.follow(after, wait, limit), waits=True)

    async def snapshot(self) -> EngineSnapshot:
        return await self._counted(EngineCommand.SNAPSHOT, self._engine.snapshot)

    async def mark(self, data: bytes) -> None:
        await self._counted(EngineCommand.MARK, lambda: self._engine.mark(data))

    async def marks(self, after: str, wait: float) -> Sequence[StoredMark]:
        return await self._counted(EngineCommand.MARKS, lambda: self._engine.marks(after, wait), waits=True)

    async def facts(self) -> EngineFacts:
        return await self._counted(EngineCommand.FACTS, self._engine.facts)

    async def close(self) -> None:
        await self._engine.close()

    async def _counted(self, command: EngineCommand, ask: Callable[[], Awaitable[T]], *, waits: bool = False) -> T:
        """The answer. Where a command `waits` for something to happen, its time says nothing of the engine."""
        began = self._clock.monotonic()
        try:
            answer = await ask()
        except TenureOver:
            self._tell(command, EngineOutcome.TENURE_OVER, began, waits=waits)
            raise
        except ClusterEngineError as error:
            self._tell(command, _OUTCOMES.get(type(error), EngineOutcome.DAMAGED), began, waits=waits)
            raise
        self._tell(command, EngineOutcome.OK, began, waits=waits)
        return answer

    def _tell(self, command: EngineCommand, outcome: EngineOutcome, began: float, *, waits: bool) -> None:
        self.meter.engine_answered(command, outcome, None if waits else self._clock.monotonic() - began)
