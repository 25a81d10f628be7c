"""Has the engine accept what the owner says, in order and in batches, and then tells the log that it may be told.

What is offered in one turn of the event loop goes out in one batch, as far as there is room. What replicas that join
load (records, feeds, leases) follows from the entries, so that it is written in the same step as they are. A batch of
unknown outcome is sent again, unchanged, before anything else is: the engine does nothing a second time. When the
tenure is over, nothing that waits is accepted any more, and those who wait for it hear so.

What a new owner has to have written before it may log in goes its own way, ahead of all that waits: an engine without
memory takes that alone (`service.cluster.engine.EVEN_IF_FULL`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from service.cluster import wire
from service.cluster.engine import (
    EVEN_IF_FULL,
    MAX_ENTRIES,
    MAX_PUTS,
    Batch,
    ClusterEngine,
    ClusterEngineError,
    EngineDamaged,
    EngineUnreachable,
    NotReplicated,
    Put,
    Table,
    TenureOver,
)
from service.core.claims.model import ClaimEvent, ClaimEventKind
from service.core.clock import Clock
from service.core.events.commits import LogEntry, NotCommitted
from service.core.events.event import Event
from service.core.presence.records import Feed
from service.runtime.acceptance import Acceptance

PAUSE: Final = 0.2
"""Seconds before a batch is sent again that the engine did not take."""
MOST_WAITING: Final = 100_000
"""Entries that wait. Beyond it the tenure is given up: the next owner reads everything anew."""

log = logging.getLogger("pws.cluster")


class Confirmed(NamedTuple):
    """Feeds at a moment, and the id of the last entry before it: who has that one may believe what they confirm."""

    feeds: tuple[Feed, ...]
    last: int


class _Sent(NamedTuple):
    """A batch as it is sent, the contacts that it claims, and how many of what was offered it serves. `is_ahead`: of
    what goes ahead of the rest."""

    batch: Batch
    claimed: Sequence[str]
    items: int
    is_ahead: bool = False


class Committing:
    """What waits to be accepted, and its way into the engine (`service.core.events.commits.Commits`).

    `verbs` is held while a verb of the owner is carried out: they go one after another. `run` is the caller's to run.
    """

    is_immediate: Final = False

    def __init__(self, engine: ClusterEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._told: Callable[[int], None] = lambda _last: None
        self._puts_of: Callable[[LogEntry, int], Sequence[Put]] = lambda _entry, _epoch: ()
        self._over: Callable[[int], None] = lambda _epoch: None
        self.verbs = asyncio.Lock()
        self._epoch = 0
        self._last = 0
        self._waiting: deque[LogEntry | Put] = deque()
        self._ahead: deque[Put] = deque()
        self._acceptance, self._acceptance_ahead = Acceptance(clock), Acceptance(clock)
        self._arrived = asyncio.Event()
        self._taken: Confirmed | None = None
        self._confirmed = Confirmed((), 0)
        self.problem: str | None = None
        """Why the engine takes nothing, in words; None: it does."""

    def __repr__(self) -> str:
        return f"<Committing epoch {self._epoch}, {len(self._waiting)} wait behind {self._last}>"

    def bind(self, told: Callable[[int], None], puts_of: Callable[[LogEntry, int], Sequence[Put]]) -> None:
        """The log is there: `told` is called with the id up to which everything is accepted; `puts_of` gives what a
        replica that joins has to know of an entry of this epoch."""
        self._told, self._puts_of = told, puts_of

    # --- a tenure

    def begin(self, epoch: int, begins: int, over: Callable[[int], None]) -> None:
        """The tenure of this epoch begins behind the entry `begins`."""
        self.end()
        self._epoch, self._last, self._over = epoch, begins, over
        self._taken, self._confirmed = None, Confirmed((), begins)

    def end(self) -> None:
        """The tenure is over: nothing that waits is accepted."""
        self._epoch = 0
        for waiting in (self._waiting, self._ahead):
            waiting.clear()
        for acceptance in (self._acceptance, self._acceptance_ahead):
            acceptance.end()

    @property
    def epoch(self) -> int:
        """The tenure for which something may be accepted; 0: none."""
        return self._epoch

    @property
    def last(self) -> int:
        """The id of the last entry that the engine has of this tenure."""
        return self._last

    @property
    def waiting(self) -> int:
        """Entries and values that the engine has not accepted yet."""
        return len(self._waiting) + len(self._ahead)

    # --- what happens

    def offer(self, entries: Sequence[LogEntry]) -> None:
        """See Commits. Outside of a tenure nothing is kept."""
        if self._epoch and entries:
            self._add(entries)

    def keep(self, puts: Iterable[Put]) -> None:
        """Write values, behind all that was offered so far; those of EVEN_IF_FULL ahead of it."""
        if not self._epoch:
            return
        behind: list[Put] = []
        for put in puts:
            (self._ahead if put.table in EVEN_IF_FULL else behind).append(put)
            self._acceptance_ahead.offered(put.table in EVEN_IF_FULL)
        self._arrived.set()
        self._add(behind)

    async def reached(self, id: int) -> None:  # noqa: A002  # as in Commits; all is waited for
        """See Commits. Waits for all that was offered and is to be kept so far, for `PATIENCE` seconds at most."""
        await self._wait_for(self._acceptance)
        if not await self._acceptance_ahead.reached():
            raise self._not_in_time()

    async def reached_ahead(self) -> None:
        """The same for what goes ahead of the rest alone. Raises NotCommitted."""
        await self._wait_for(self._acceptance_ahead)

    async def _wait_for(self, acceptance: Acceptance) -> None:
        if not self._epoch:
            raise NotCommitted("this replica does not own the sessions at the server")
        if not await acceptance.reached():
            raise self._not_in_time()

    def _not_in_time(self) -> NotCommitted:
        return NotCommitted(self.problem or "the engine has not answered in time")

    def confirm(self, last: int, feeds: Iterable[Feed]) -> None:
        """What the feeds confirm, as of the entry `last`: it may be told once that one is accepted."""
        self._settle_confirmed()
        if self._taken is None:
            self._taken = Confirmed(tuple(feeds), last)
            self._settle_confirmed()

    @property
    def confirmed(self) -> Confirmed:
        """The latest that may be told."""
        return self._confirmed

    # --- the way into the engine

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self.waiting and self._epoch:
                try:
                    await self._send_next()
                except Exception:  # it would come again with the same batch, and nothing would be told any more
                    log.exception("commit: unexpected error, giving the tenure up", extra={"event": "internal.error"})
                    self._give_up(self._epoch)

    async def _send_next(self) -> None:
        async with self.verbs:
            epoch = self._epoch
            if not epoch:
                return
            sent = self._next_batch()
            try:
                is_replicated = await self._send(epoch, sent)
            except TenureOver as error:
                log.warning(
                    "the engine takes nothing more from this replica: %(error)s",
                    {"error": error},
                    extra={"event": "cluster.commit-refused"},
                )
                self._give_up(epoch)
                return
            if self._epoch != epoch:
                return
            if is_replicated is None:
                pause = True
            else:
                pause = False
                self._took(sent, is_replicated=is_replicated)
        if pause:
            await self._clock.sleep(PAUSE)

    async def _send(self, epoch: int, sent: _Sent) -> bool | None:
        """Send a batch until its outcome is known: whether a copy has it too; None: it was not written."""
        while True:
            try:
                if sent.claimed:
                    held = await self._engine.claim(epoch, self._last, sent.batch, sent.claimed)
                    if held:
                        raise HeldTwice(held)
                else:
                    await self._engine.commit(epoch, self._last, sent.batch)
            except NotReplicated as error:
                self._failed(error)
                return False
            except EngineUnreachable as error:
                self._failed(error)
                if not error.may_have_acted:
                    return None
                await self._clock.sleep(PAUSE)
                if self._epoch != epoch:
                    return None
            except EngineDamaged as error:  # only who takes the lease removes what is not ours
                raise TenureOver(str(error)) from None
            except ClusterEngineError as error:
                self._failed(error)
                return None
            else:
                if not (sent.is_ahead and self._waiting):  # else it says nothing of the rest
                    self._works()
                return True

    def _took(self, sent: _Sent, *, is_replicated: bool) -> None:
        waiting = self._ahead if sent.is_ahead else self._waiting
        acceptance = self._acceptance_ahead if sent.is_ahead else self._acceptance
        for _ in range(sent.items):
            waiting.popleft()
        if sent.batch.entries:
            self._last = sent.batch.entries[-1][0]
            self._settle_confirmed()
            self._told(self._last)
        acceptance.accepted(sent.items, None if is_replicated else "no copy of the engine has it")

    def _settle_confirmed(self) -> None:
        if self._taken is not None and self._taken.last <= self._last:
            self._confirmed, self._taken = self._taken, None

    def _next_batch(self) -> _Sent:
        if self._ahead:
            items = min(len(self._ahead), MAX_PUTS)
            last = {(put.table, put.field): put for put in islice(self._ahead, items)}
            return _Sent(Batch((), list(last.values())), (), items, is_ahead=True)
        entries: list[tuple[int, bytes]] = []
        puts: dict[tuple[Table, str], Put] = {}
        claimed: dict[str, None] = {}
        freed: set[str] = set()
        items = 0
        for item in self._waiting:
            found: Sequence[Put] = [item] if isinstance(item, Put) else self._puts_of(item, self._epoch)
            taken = [put.field for put in found if put.table is Table.HELD and put.value is not None]
            is_claim = not isinstance(item, Put) and _makes_claim(item)
            is_full = len(entries) == MAX_ENTRIES or len(puts) + len(found) > MAX_PUTS
            if items and (is_full or (is_claim and not freed.isdisjoint(taken))):
                break
            items += 1
            if not isinstance(item, Put):
                entries.append((item.id, wire.encode_entry(item)))
            for put in found:
                puts[put.table, put.field] = put
                if put.table is Table.HELD and put.value is None:
                    freed.add(put.field)
            if is_claim:
                claimed.update(dict.fromkeys(taken))
        still = [key for key in claimed if puts[Table.HELD, key].value is not None]
        return _Sent(Batch(entries, list(puts.values())), still if len(still) == len(claimed) else (), items)

    # --- inside

    def _add(self, items: Iterable[LogEntry | Put]) -> None:
        before = len(self._waiting)
        self._waiting.extend(items)
        self._acceptance.offered(len(self._waiting) - before)
        self._arrived.set()
        if len(self._waiting) > MOST_WAITING:
            log.warning(
                "%(entries)d entries wait for the engine: this replica gives up the ownership",
                {"entries": len(self._waiting)},
                extra={"event": "cluster.commits-given-up"},
            )
            self._give_up(self._epoch)

    def _give_up(self, epoch: int) -> None:
        if self._epoch == epoch:
            self._over(epoch)  # while what waits is still here: nobody will be told of it
            if self._epoch == epoch:
                self.end()

    def _failed(self, error: Exception) -> None:
        if self.problem is None:
            log.warning(
                "the engine does not take what happened: %(error)s",
                {"error": error},
                extra={"event": "cluster.commit-failed"},
            )
        self.problem = str(error)

    def _works(self) -> None:
        if self.problem is not None:
            log.info("the engine takes what happens again", extra={"event": "cluster.commit-works"})
        self.problem = None


class HeldTwice(TenureOver):
    """The engine knows a claim on somebody whom this owner took for free: the next owner reads all claims anew."""

    def __init__(self, contacts: Iterable[str]) -> None:
        super().__init__(f"the engine has other claims on {', '.join(sorted(contacts))}")


def _makes_claim(entry: LogEntry) -> bool:
    return isinstance(entry, Event) and isinstance(entry.data, ClaimEvent) and entry.data.kind is ClaimEventKind.MADE
