"""The engine on Redis 7 or Valkey: its keys, and each verb as a command or a script.

`redis_connections` sends them, `redis_replies` reads what comes back. XREAD passes over what was trimmed without a
word: so each entry names the one before it (`redis_replies.entry_of`).
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from service.cluster import scripts
from service.cluster.engine import (
    LEASE,
    MARKS_KEPT,
    MAX_ENTRIES,
    NO_MARKS,
    PROMISED,
    Batch,
    ClusterEngine,
    ClusterEngineError,
    EngineFacts,
    EngineSnapshot,
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
from service.cluster.redis_connections import TIMEOUT, WAIT_MS, RedisConnections
from service.cluster.redis_replies import Reply, beat_of, entry_of, fields_of, number, ours, place_of, text, value_of
from service.core.engine_address import EngineAddress

_LIFETIME: Final = str(int(LEASE * 1000))
_HELD, _DONE, _TAKEN, _REWOUND, _LOST = b"held", b"done", b"taken", b"rewound", b"lost"

P = ParamSpec("P")
T = TypeVar("T")


def _understood(
    verb: Callable[Concatenate[RedisEngine, P], Awaitable[T]],
) -> Callable[Concatenate[RedisEngine, P], Coroutine[Any, Any, T]]:
    """A verb that reads its answer. Raises EngineUnreachable where it is not one."""

    @functools.wraps(verb)
    async def asked(engine: RedisEngine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with engine._connections.understanding():  # noqa: SLF001  # of this module's own class
            return await verb(engine, *args, **kwargs)

    return asked


class RedisEngine(ClusterEngine):
    """The engine at `address`, with the data of `unit`. Nothing is opened before the first verb.

    `kept` entries at least stay in the log. `replicated`: what clients are promised, as a claim and its new end, counts
    when a copy has it (`NotReplicated` else).
    `trial`: a name for keys of its own beside those of the replicas, which `erase` removes.
    """

    def __init__(
        self,
        address: EngineAddress,
        unit: str,
        *,
        kept: int = 10_000,
        password_file: Path | None = None,
        ca_file: Path | None = None,
        replicated: bool = False,
        trial: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self._address = address
        self._kept = str(kept)
        self._replicated = replicated
        self._is_trial = bool(trial)
        begin = f"{{pws:{unit}}}:{trial}:" if trial else f"{{pws:{unit}}}:"
        keys = [begin + name for name in ("lease", "epoch", "log", "handover", "beat", "echo", "marks")]
        self._lease, self._epoch, self._log, self._handover, self._beat, self._echo, self._marks = keys
        self._tables = {table: begin + table.value for table in Table}
        self._places = {table: str(place) for place, table in enumerate(Table, 4)}
        self._connections = RedisConnections(address, timeout, password_file, ca_file)

    def __repr__(self) -> str:
        return f"<RedisEngine at {self._address}>"

    # --- the verbs of an owner

    @_understood
    async def take(
        self, replica: str, address: str, token: str, *, epoch_above: int = 0, id_above: int = 0
    ) -> Taken | Holder:
        keys = [self._lease, self._epoch, self._log, self._handover, self._beat, self._echo, *self._tables.values()]
        answer, *rest = await self._run(
            scripts.TAKE, keys, [replica, address, token, _LIFETIME, str(epoch_above), str(id_above)]
        )
        if answer == _TAKEN:
            *numbers, handover = rest
            epoch, begins, last, before = map(number, numbers)
            return Taken(epoch, begins, last, before, handover or None)
        if answer != _HELD:
            raise ValueError(answer)
        epoch, name, where = rest
        return Holder(number(epoch), text(name), text(where))

    @_understood
    async def beat(self, epoch: int, number: int, last: int, data: bytes) -> None:
        keys = [self._lease, self._log, self._beat]
        self._judged(await self._run(scripts.BEAT, keys, [str(epoch), str(number), str(last), _LIFETIME, data]), epoch)

    async def commit(self, epoch: int, previous: int, batch: Batch) -> None:
        check(previous, batch)
        is_promised = any(put.table in PROMISED for put in batch.puts)
        await self._commit(epoch, previous, batch, replicated=self._replicated and is_promised)

    async def claim(self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str]) -> frozenset[str]:
        check(previous, batch, contacts)
        return await self._commit(epoch, previous, batch, contacts, replicated=self._replicated)

    async def release(self, epoch: int, number: int, last: int, data: bytes, *, to: str, handover: bytes) -> None:
        keys = [self._lease, self._log, self._beat, self._handover]
        await self._run(scripts.RELEASE, keys, [str(epoch), str(number), str(last), data, to, handover])

    @_understood
    async def _commit(
        self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str] = (), *, replicated: bool = False
    ) -> frozenset[str]:
        arguments: list[str | bytes] = [str(epoch), str(previous), self._kept, str(len(batch.entries))]
        before = previous
        for id_, data in batch.entries:
            arguments += (str(id_), str(id_ - before), data)
            before = id_
        arguments += (str(len(contacts)), *contacts, str(len(batch.puts)))
        for table, name, value in batch.puts:
            arguments += (self._places[table], name, b"" if value is None else value)
        keys = [self._lease, self._log, self._tables[Table.HELD], *self._tables.values()]
        script = scripts.COMMIT_EVEN_IF_FULL if batch.is_written_even_if_full else scripts.COMMIT
        return self._judged(await self._run(script, keys, arguments, replicated=replicated), epoch)

    def _judged(self, answer: Reply, epoch: int) -> frozenset[str]:
        """Who is held already: nobody, unless it says so. Raises TenureOver; ValueError for a word that is none."""
        word, *rest = answer
        if word == _HELD:
            return frozenset(map(text, rest))
        if word == _REWOUND:
            raise LogRewound(int(rest[0]))
        if word == _LOST:
            raise LeaseLost(f"the lease of epoch {epoch} is over")
        if word != _DONE:
            raise ValueError(word)
        return frozenset()

    # --- the verbs of all

    async def echo(self, replica: str, data: bytes | None) -> None:
        if data is None:
            await self._connections.do("HDEL", self._echo, replica)
        else:
            await self._connections.do("HSET", self._echo, replica, data)

    @_understood
    async def members(self) -> Mapping[str, bytes]:
        return fields_of(await self._connections.do("HGETALL", self._echo))

    @_understood
    async def follow(self, after: LogPosition, wait: float, limit: int = MAX_ENTRIES) -> News:
        log, beat = f"{after.log}-0", f"{after.beat.epoch}-{after.beat.number}"
        streams = dict(await self._read(limit, wait, (self._log, self._beat), (log, beat)))
        entries: list[StoredEntry] = []
        for place, fields in streams.get(self._log, ()):
            entries.append(entry_of(place, fields))
        beats = [beat_of(place, fields) for place, fields in streams.get(self._beat, ())]
        return News(tuple(entries), tuple(beats), bool(entries) and entries[0].previous != after.log)

    @_understood
    async def snapshot(self) -> EngineSnapshot:
        commands = (
            ("XREVRANGE", self._log, "+", "-", "COUNT", 1),
            ("XRANGE", self._log, "-", "+", "COUNT", 1),
            ("HMGET", self._lease, "epoch", "replica", "address"),
            *(("HGETALL", key) for key in self._tables.values()),
        )
        keys = (self._log, self._lease, *self._tables.values())
        found = await self._connections.read_together(commands, scripts.SNAPSHOT, keys)
        newest, oldest, (epoch, name, where), *tables = found
        last, first = (ours(found[0][0])[0] if found else 0 for found in (newest, oldest))
        holder = None if epoch is None else Holder(ours(epoch)[0], text(name), text(where))
        return EngineSnapshot(last, first, holder, dict(zip(Table, map(fields_of, tables), strict=True)))

    async def mark(self, data: bytes) -> None:
        await self._connections.do("XADD", self._marks, "MAXLEN", "~", MARKS_KEPT, "*", "v", data)

    @_understood
    async def marks(self, after: str, wait: float) -> Sequence[StoredMark]:
        streams = dict(await self._read(MARKS_KEPT, wait, (self._marks,), (after,)))
        if not streams and after != NO_MARKS:
            newest = await self._connections.do("XREVRANGE", self._marks, "+", "-", "COUNT", 1)
            if not newest or place_of(newest[0][0]) < place_of(after.encode()):  # lost, and ids may have begun anew
                streams = dict(await self._read(MARKS_KEPT, 0.0, (self._marks,), (NO_MARKS,)))
        return [StoredMark(text(place), value_of(fields)) for place, fields in streams.get(self._marks, ())]

    @_understood
    async def facts(self) -> EngineFacts:
        found: bytes = await self._connections.do("INFO", "everything")
        lines = (line.partition(":") for line in found.decode(errors="replace").splitlines())
        said = {name: value for name, separator, value in lines if separator}
        persistent: bool | None = said.get("aof_enabled") == "1"
        if not persistent:
            persistent = await self._saves()
        version = said.get("valkey_version") or said.get("redis_version", "unknown")
        copies = said.get("connected_slaves", "")
        return EngineFacts(
            said.get("server_name") or "redis",
            version,
            said.get("maxmemory_policy"),
            persistent,
            int(copies) if copies.isdecimal() else None,
            said.get("role") == "master",
            await self._fewest_copies(),
        )

    async def erase(self) -> None:
        """Remove all that a trial has written. Raises ValueError for the keys of replicas."""
        if not self._is_trial:
            raise ValueError("only the keys of a trial are removed")
        keys = (self._lease, self._epoch, self._log, self._handover, self._beat, self._echo, self._marks)
        await self._connections.do("DEL", *keys, *self._tables.values())

    async def close(self) -> None:
        await self._connections.close()

    async def _saves(self) -> bool | None:
        """Whether it writes its data to disk now and then; None: it does not say, as many hosted ones."""
        value = await self._setting("save")
        return None if value is None else bool(value)

    async def _fewest_copies(self) -> int | None:
        value = await self._setting("min-replicas-to-write")
        return int(value) if value is not None and value.isdigit() else None

    async def _setting(self, name: str) -> bytes | None:
        """A line of its configuration; None: it does not say."""
        try:
            answer = await self._connections.do("CONFIG", "GET", name)
        except ClusterEngineError:
            return None
        return answer[1] if len(answer) > 1 else None

    async def _run(
        self, script: str, keys: Sequence[str], arguments: Iterable[str | bytes], *, replicated: bool = False
    ) -> Reply:
        """Run a script. With `replicated` a copy has to have what was done. Raises NotReplicated."""
        answer, copies = await self._connections.run(script, keys, arguments, replicated=replicated)
        if replicated and answer[0] == _DONE and not copies:
            raise NotReplicated(f"the engine at {self._address} has no copy that has confirmed within {WAIT_MS} ms")
        return answer

    async def _read(
        self, limit: int, wait: float, keys: Sequence[str], after: Sequence[str]
    ) -> list[tuple[str, Sequence[tuple[bytes, Sequence[bytes]]]]]:
        """What is in some streams after some ids, by key."""
        block = max(1, int(min(wait, self._connections.block) * 1000))  # 0 would be for ever
        found = await self._connections.read("XREAD", "COUNT", limit, "BLOCK", block, "STREAMS", *keys, *after)
        return [(text(key), entries) for key, entries in found or ()]
