"""The seam between the replicas and the database that they share, which is called the engine here.

It keeps bytes and numbers and knows nothing of presence; `wire` knows what the bytes mean. The owner, which holds the
lease, has an epoch, and every write of the owner names it: the engine carries out a write only while that epoch is the
lease's, so that an owner which was stopped or cut off can write nothing more once another one has begun.

All ids are revisions. They ascend in one log, and each entry names the id before it, so that a reader notices whatever
is missing: entries that were trimmed, a tail that the engine lost, a log that began anew.

A verb whose reply was lost may have been carried out. None is repeated here. The caller may repeat it with the same
arguments: nothing happens a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

LEASE: Final = 3.0
"""Seconds that a lease lasts in the engine, by the engine's clock, unless it is renewed."""
BEATS_KEPT: Final = 100
"""A reader that is further behind than so many seconds has called everything stale long since."""
MARKS_KEPT: Final = 1000
"""Notifications that are not read yet; of more only lateness comes."""
MAX_ENTRIES: Final = 1000
"""Entries of one batch: some milliseconds, in which the engine serves nobody else."""
MAX_PUTS: Final = 5000
"""Values of one batch; as above."""
HIGHEST: Final = 2**53
"""Ids and epochs stay below it: Lua and JavaScript count exactly up to here."""


class Table(StrEnum):
    """What is kept beside the log, each a map from text to bytes."""

    RECORDS = "records"
    """By contact: its record, for a replica that joins."""
    FEEDS = "feeds"
    CLAIMS = "claims"
    """Leases of claims by id."""
    HELD = "held"
    """By contact: the id of the claim that holds it."""
    REPLAYS = "replays"
    """Answers by Idempotency-Key."""
    ORDER = "order"
    """Who was picked when."""
    WATCHED = "watched"
    """What was added while running."""
    NODES = "nodes"
    """Nodes on which a session of ours may exist; written before the first login there."""
    LEFT = "left"
    """What an owner that has ended has left to the next one, as messages of webhooks that were undelivered."""
    TENURE = "tenure"
    """Which owner has made the other tables whole since it owns."""


PROMISED: Final = frozenset({Table.CLAIMS, Table.HELD, Table.REPLAYS})
"""Tables of what clients were promised: claims with their ends, and the answers by which a repeat is known."""


EVEN_IF_FULL: Final = frozenset({Table.NODES})
"""Tables that are small, and without which nobody could own: a batch of their values alone is written even where the
engine has no memory left."""


class Put(NamedTuple):
    """A value to keep; None: to forget. An empty one is not kept by every engine, so there is none."""

    table: Table
    field: str
    value: bytes | None


class StoredEntry(NamedTuple):
    """One entry of the log. `previous` is the id of the one before it; 0: there was none.

    Without `data` it begins the tenure of `epoch`, and `previous` is the last id of the tenure before.
    """

    id: int
    epoch: int
    previous: int
    data: bytes

    @property
    def begins_tenure(self) -> bool:
        """Whether it is the first one of its epoch."""
        return not self.data


class Batch(NamedTuple):
    """What is written in one step: entries by id, ascending, and values."""

    entries: Sequence[tuple[int, bytes]] = ()
    puts: Sequence[Put] = ()

    @property
    def is_written_even_if_full(self) -> bool:
        """See EVEN_IF_FULL."""
        return not self.entries and all(put.table in EVEN_IF_FULL for put in self.puts)


class Beat(NamedTuple):
    """A sign of life of the owner, the `number`th of its epoch."""

    epoch: int
    number: int
    data: bytes


class BeatPlace(NamedTuple):
    """Which beat was read last."""

    epoch: int = 0
    number: int = 0


class LogPosition(NamedTuple):
    """How far a reader has come: the id of the last entry it took, and its last beat."""

    log: int = 0
    beat: BeatPlace = BeatPlace()


class News(NamedTuple):
    """What came after a position. `gap`: entries are missing between it and the first of these, so that a snapshot is
    needed."""

    entries: tuple[StoredEntry, ...] = ()
    beats: tuple[Beat, ...] = ()
    gap: bool = False


class StoredMark(NamedTuple):
    """A notification that another replica got. `id` is the engine's own, to read on from."""

    id: str
    data: bytes


NO_MARKS: Final = "0-0"
"""To read marks from the beginning."""


class Holder(NamedTuple):
    """Who owns."""

    epoch: int
    replica: str
    address: str


class Taken(NamedTuple):
    """The lease is the caller's.

    `begins` is the id of the entry that begins the tenure: the owner's own ids are above it. `last` is the last id of
    the log before that, `before` the epoch before; 0 where the engine remembers none: it is new, or has lost its data.
    `handover` is what the owner before has left for this very replica.
    """

    epoch: int
    begins: int
    last: int
    before: int
    handover: bytes | None = None


class EngineSnapshot(NamedTuple):
    """Everything at one moment. `last` is the id of the newest entry, `first` that of the oldest one that is kept."""

    last: int
    first: int
    holder: Holder | None
    tables: Mapping[Table, Mapping[str, bytes]]


class EngineFacts(NamedTuple):
    """What an operator has to know. None: the engine does not say.

    `name` is redis, valkey or memory. `replicas`: how many follow it. `persistent`: whether it writes to disk.
    `fewest_copies`: of how many copies it must hear, or it takes no writes (`min-replicas-to-write`).
    """

    name: str
    version: str
    eviction: str | None
    persistent: bool | None
    replicas: int | None
    is_primary: bool
    fewest_copies: int | None = None


class ClusterEngineError(Exception):
    """Base of what can be wrong with the engine; the text names the thing and the fix.

    ClusterEngineError
      EngineUnreachable     no answer: what was asked may have been done (`may_have_acted`) or not
      EngineRefused         wrong password, no permission, a certificate that is not trusted: the operator's to mend
      EngineFull            no memory left: nothing was written
      EngineReadOnly        this is a copy, not the primary: nothing was written
      EngineDamaged         a key holds something else than ours, or the engine is too old
      NotReplicated         written, but no copy has said that it has it
    """


class EngineUnreachable(ClusterEngineError):
    """No answer. `may_have_acted`: what was asked may have been carried out."""

    def __init__(self, message: str, *, may_have_acted: bool) -> None:
        self.may_have_acted = may_have_acted
        super().__init__(message)


class EngineRefused(ClusterEngineError):
    """The engine does not let us in, or we do not trust it. Trying again will not help."""


class EngineFull(ClusterEngineError):
    """The engine has no memory left. Nothing was written."""


class EngineReadOnly(ClusterEngineError):
    """The engine is a copy. Nothing was written; the next attempt looks for the primary."""


class EngineDamaged(ClusterEngineError):
    """The engine answered something that it should not."""


class NotReplicated(ClusterEngineError):
    """It is written, but no copy has confirmed it in time: a fail-over now would lose it."""


class TenureOver(Exception):
    """Base: nothing was written, and the caller may write nothing more under its epoch."""


class LeaseLost(TenureOver):
    """The lease has expired, or is another replica's."""


class LogRewound(TenureOver):
    """The log does not end where the owner left it: the engine has lost a part of its data. `last` is its end now."""

    def __init__(self, last: int) -> None:
        self.last = last
        super().__init__(f"the engine's log ends at {last}, not where this owner left it: the engine has lost data")


class ClusterEngine(Protocol):
    """The verbs. All raise ClusterEngineError, those of an owner TenureOver as well.

    Verbs of an owner are to be called one after another, never two at a time.
    """

    async def take(
        self, replica: str, address: str, token: str, *, epoch_above: int = 0, id_above: int = 0
    ) -> Taken | Holder:
        """Become the owner, where nobody is; else who is.

        `token` is a new random one for each attempt: with the same one the answer is the same. The new epoch is above
        `epoch_above`, the tenure begins above the id `id_above`: the highest that the caller has seen or heard of.
        """
        ...

    async def beat(self, epoch: int, number: int, last: int, data: bytes) -> None:
        """Renew the lease, and tell all. `last` is the id of the owner's last entry, `number` one more each time."""
        ...

    async def commit(self, epoch: int, previous: int, batch: Batch) -> None:
        """Write a batch in one step. `previous` is the id of the owner's last entry. One of the tables in EVEN_IF_FULL
        alone is written also where the engine has no memory left."""
        ...

    async def claim(self, epoch: int, previous: int, batch: Batch, contacts: Sequence[str]) -> frozenset[str]:
        """The same, if nobody holds any of `contacts`; else nothing is written, and those who are held are returned.

        The batch has at least one entry, and puts into `Table.HELD` all of them.
        """
        ...

    async def release(self, epoch: int, number: int, last: int, data: bytes, *, to: str, handover: bytes) -> None:
        """Give the lease up, with a last beat. `handover` is for the replica `to` alone, and for no one once any other
        has been the owner. Nothing happens where the lease is another's already."""
        ...

    async def echo(self, replica: str, data: bytes | None) -> None:
        """Say that a replica is there; None: that it has gone."""
        ...

    async def members(self) -> Mapping[str, bytes]:
        """What the replicas said last."""
        ...

    async def follow(self, after: LogPosition, wait: float, limit: int = MAX_ENTRIES) -> News:
        """What came after a position; where nothing has, it is waited for, `wait` seconds at most."""
        ...

    async def snapshot(self) -> EngineSnapshot:
        """Everything at one moment."""
        ...

    async def mark(self, data: bytes) -> None:
        """Pass a notification on to the owner."""
        ...

    async def marks(self, after: str, wait: float) -> Sequence[StoredMark]:
        """Notifications after the one with this id. Where the engine has lost it, it goes on from the beginning."""
        ...

    async def facts(self) -> EngineFacts:
        """What an operator has to know of it."""
        ...

    async def close(self) -> None:
        """Let the connections go."""
        ...


def check(previous: int, batch: Batch, contacts: Iterable[str] | None = None) -> None:
    """ValueError: no engine could keep the batch."""
    ids = [previous, *(entry for entry, _ in batch.entries)]
    if any(later <= earlier for earlier, later in pairwise(ids)) or ids[-1] >= HIGHEST:
        raise ValueError("the ids of a batch ascend, above the last one that was written")
    if not all(data for _, data in batch.entries) or any(put.value == b"" for put in batch.puts):
        raise ValueError("an entry or a value without any bytes")
    if len(batch.entries) > MAX_ENTRIES or len(batch.puts) > MAX_PUTS:
        raise ValueError(f"more than {MAX_ENTRIES} entries or {MAX_PUTS} values in one batch")
    if contacts is not None:
        held = {put.field for put in batch.puts if put.table is Table.HELD and put.value is not None}
        if not batch.entries or not held.issuperset(contacts):
            raise ValueError("a claim has an entry, and holds all that it asks for")
