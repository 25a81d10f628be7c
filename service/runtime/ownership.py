"""What the owner has that followers have not: the sessions at the server, and what is kept for the owner after it.

`service.sync` keeps in step with the server for one tenure. What the owner before has handed over is gone on with;
else everything at the server is begun anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from pws_soap.models import Notification, same_contact
from pws_soap.notification import EVENT_TYPE
from service.api.idempotency import Kept, Name, Replays
from service.cluster import tables, wire
from service.cluster.engine import NO_MARKS, ClusterEngine, EngineSnapshot, Put, Table, Taken
from service.cluster.lease import TakeOver, take_over
from service.cluster.upstream import Upstream, is_same
from service.cluster.wire import HandOver, StoredReplay, WireError
from service.core.clock import Clock
from service.core.events.commits import NotCommitted
from service.core.wakeup import in_turns
from service.core.wiring import Core
from service.runtime.committing import Committing
from service.runtime.engine_memory import EngineMemory
from service.runtime.engine_trouble import EngineTrouble
from service.runtime.following import READ, Following
from service.runtime.hand_over import SessionDigests, handover_of, inheritance_of
from service.runtime.owners_shelf import OwnersShelf
from service.sync.engine import SyncEngine
from service.sync.session_memory import Inheritance, Released, SessionMemory

RELEASES: Final = 10.0
"""Seconds that the end of an owner waits for what it has under way at the server."""
FLUSH: Final = 3.0
"""Seconds that the end of an owner waits until the engine has all that was said."""
LEAVES: Final = 0.5
"""Seconds for which it waits in the end until the engine has what else is not done: it says nothing meanwhile."""
UNTOLD: Final = 10.0
"""Seconds after the end of its lease for which an owner keeps what it has to tell, for the case that the engine has the
lease all the same: its answers alone may have been lost."""
MENDS: Final = 10.0
"""Seconds between two times that an owner looks through all that it has written, where others cannot load it."""
_REMOVED: Final = "\x00"

log = logging.getLogger("pws.cluster")


class EngineFactory(Protocol):
    """Makes the engine that keeps in step with the server, for one tenure."""

    def __call__(self, memory: SessionMemory) -> SyncEngine:
        """Nothing is sent before it is started."""
        ...


class OfOwner(Protocol):
    """Something else that the owner alone does."""

    def begin(self, shelf: OwnersShelf) -> None:
        """This replica owns, and knows everybody. On the shelf is what the owner before has left."""
        ...

    def let_go(self) -> None:
        """It owns no longer, or is about to: begin nothing more."""
        ...

    async def rest(self) -> None:
        """This replica is about to hand over: finish what is under way."""
        ...

    async def leave(self) -> None:
        """End it, where it was begun, and leave to the next owner what is not done."""
        ...

    async def end(self) -> None:
        """End it at once, where it was begun."""
        ...


class Ownership:
    """The owner's part of a replica. `contacts` are the configured ones by end user."""

    def __init__(
        self,
        engine: ClusterEngine,
        clock: Clock,
        core: Core,
        committing: Committing,
        following: Following,
        make: EngineFactory,
        contacts: Mapping[str, Sequence[str]],
        digests: SessionDigests,
        trouble: EngineTrouble,
    ) -> None:
        self.contacts = dict(contacts)
        self.digests = digests
        self.replays = Replays(changed=self._keep_replay)
        """Answers by Idempotency-Key."""
        self.sync: SyncEngine | None = None
        """That of this tenure; None while another replica owns."""
        self.beside: OfOwner | None = None
        """What else the owner does."""
        self.leads = False
        """Whether core tells what is read here."""
        self.refused = asyncio.Event()
        """Set where the server refuses the login of a first tenure: only the operator can mend it."""
        self.refusal = ""
        self._engine = engine
        self._clock = clock
        self._core = core
        self._committing = committing
        self._following = following
        self._make = make
        self._trouble = trouble
        self._is_new = True
        self._refusing: asyncio.Task[None] | None = None
        self._adopted = 0
        """The epoch of the last owner whose sessions this replica has gone on with."""
        self._has_untold = False
        """Whether something of this tenure was read that nobody will be told."""
        self._released = Released()
        self._marked = NO_MARKS
        self._shelf = OwnersShelf({}, committing, clock)
        self._is_to_mend = False
        self._mended = -math.inf

    def __repr__(self) -> str:
        return f"<Ownership {'leads' if self.leads else 'of another'}>"

    # --- a tenure

    @property
    def has_begun(self) -> bool:
        """Whether it leads, and all that the owner before has handed over is its own by now, or is not used."""
        return self.leads and (self.sync is None or not self.sync.driver.state.adoptable)

    async def begin(self, taken: Taken, highest: int) -> str | None:
        """Begin a tenure; others have seen ids up to `highest`. Why it cannot be begun, if so: with another turn of the
        event loop it may be over."""
        follows_closely = await self._following.catch_up(taken)
        has_lost_some = self._following.has_lost_some(taken, highest)
        snapshot, known = await self._following.all(taken)
        marks = await self._trouble.insist(lambda: self._engine.marks(NO_MARKS, 0.01))
        if snapshot is None or snapshot.last != taken.begins or self._committing.epoch != taken.epoch:
            return "the engine has another owner by now"
        snapshot = self._without_others(snapshot)
        is_whole = tables.was_ever_whole(snapshot) and not has_lost_some
        memory = EngineMemory(
            snapshot.tables[Table.NODES],
            self._committing,
            inherited=self._inherited(taken, is_whole=is_whole, follows_closely=follows_closely),
        )
        self._has_untold = False
        sync = self.sync = self._make(memory)
        has_skipped = known is not None and self._following.has_skipped(taken)
        self._following.follower.lead(taken, sync.feeds_to_adopt(), known, has_skipped=has_skipped)
        self.leads = True
        self._restore_replays(snapshot)
        self._shelf = OwnersShelf(snapshot.tables[Table.LEFT], self._committing, self._clock)
        added, removed = self._changed_by_hand(snapshot)
        self._committing.keep(tables.repairs(self._core, snapshot, taken.epoch))
        self._committing.keep(self._lost_replays(snapshot))
        self._committing.keep(tables.whole(taken.epoch, self._upstream))
        self._watch_refusal(sync)
        sync.start(self.contacts, added=added, removed=removed)
        self._marked = marks[-1].id if marks else NO_MARKS
        return None

    async def go_on(self) -> None:
        """Watch what is wanted and nobody else, hear of notifications that came to others, and mend what they cannot
        load, for ever."""
        sync = self.sync
        if sync is None:
            return
        await sync.followed()
        wanted = {watched.contact for watched in sync.watched()}
        gone = [record.contact for record in self._core.store.records() if record.contact not in wanted]
        self._core.store.unwatch(gone)
        self._following.is_settled.set()
        if self.beside is not None:
            self.beside.begin(self._shelf)
        else:
            self._shelf.clear()
        await self._read_marks(sync)

    def step_down(self) -> None:
        """The tenure is over: from this turn of the event loop on nothing is told."""
        last, has_untold = self._committing.last, self._has_untold or self._committing.waiting > 0
        self._committing.end()
        if self.leads:
            self.leads = False
            self._following.step_down(last, has_untold=has_untold)
        if self.beside is not None:
            self.beside.let_go()

    def tell_no_more(self) -> None:
        """The engine has been away for so long that nothing of this tenure will be told any more. What is read goes on
        being answered, and nothing is kept of it for others: the next owner reads everything anew."""
        if self._committing.epoch:
            log.warning(
                "the engine has not answered for %(seconds).0f s: nothing more is kept for it, everything is read anew "
                "once it answers",
                {"seconds": UNTOLD},
                extra={"event": "cluster.untold"},
            )
            self._committing.end()
        self._has_untold = True
        self._core.log.forget_untold()
        if not self._core.log.is_silent:  # what is known is ahead of every id that a stream could begin with
            self._core.log.silence()

    async def end(self) -> None:
        """Send nothing more to the server, and let the connections go."""
        if self.beside is not None:
            await self.beside.end()
        sync, self.sync = self.sync, None
        if sync is not None:
            await sync.abandon()

    async def close(self) -> None:
        """End all."""
        await self.end()
        if self._refusing is not None:
            self._refusing.cancel()
            await asyncio.gather(self._refusing, return_exceptions=True)

    # --- handing over

    async def release(self) -> None:
        """Ask the server for nothing more from now on, and have committed all that was read."""
        if self.beside is not None:
            await self.beside.rest()
        if self.leads and self.sync is not None:
            self._released = await self.sync.release(RELEASES)
        if not await self._has_committed_all():
            self._released = Released()

    def left(self) -> HandOver:
        """What the next owner may go on with, after `release`."""
        return handover_of(self._released, self.digests, self._clock.monotonic())

    async def _has_committed_all(self) -> bool:
        """Whether the engine has all that was read: what it lacks, nobody would ever be told again."""
        if not self.leads or self._core.journal is None:
            return False
        self._committing.confirm(*self._core.journal.state())
        return await self.flushed()

    async def leave(self) -> None:
        """Leave to the next owner, in the engine, what else is not done."""
        if self.beside is not None and self.leads:
            await self.beside.leave()
            await self.flushed(LEAVES)

    async def flushed(self, limit: float = FLUSH) -> bool:
        """Wait for a while until the engine has all that was said; whether it has."""
        try:
            async with asyncio.timeout(limit):
                await self._committing.reached(0)
        except (NotCommitted, TimeoutError):
            return False
        return True

    @property
    def _upstream(self) -> Upstream:
        return self._following.follower.upstream

    def _without_others(self, snapshot: EngineSnapshot) -> EngineSnapshot:
        """The same without what was read from another presence server, which is removed."""
        if is_same(tables.upstream(snapshot) or self._upstream, self._upstream):
            return snapshot
        self._committing.keep(Put(table, name, None) for table, values in snapshot.tables.items() for name in values)
        return snapshot._replace(tables={table: {} for table in snapshot.tables})

    def _inherited(self, taken: Taken, *, is_whole: bool, follows_closely: bool) -> Inheritance | None:
        """What the owner before has left for this very replica, once."""
        if take_over(taken, self._adopted) is TakeOver.RESET or taken.handover is None:
            return None
        self._adopted = taken.before
        released = self._following.follower.released
        if not is_whole:
            return _not_adopted("the engine has lost data")
        if not follows_closely or released.epoch != taken.before:
            return _not_adopted("this replica has not followed up to the end")
        try:
            handover = wire.decode_handover(taken.handover)
        except WireError as error:
            return _not_adopted(str(error))
        if handover.resources and handover.callback != self.digests.callback:
            return _not_adopted("the server notifies it at another address (callback.url, cluster.secret)")
        inherited = inheritance_of(handover, self.digests, released.at)
        return _not_adopted("requests to the server were under way") if inherited is None else inherited

    # --- what is watched

    def _changed_by_hand(self, snapshot: EngineSnapshot) -> tuple[dict[str, list[str]], list[str]]:
        """What the API has added, by end user, and removed in tenures before."""
        added: dict[str, list[str]] = {}
        removed: list[str] = []
        for contact, data in snapshot.tables[Table.WATCHED].items():
            user = data.decode(errors="replace")
            if user == _REMOVED:
                removed.append(contact)
            elif user in self.contacts:
                added.setdefault(user, []).append(contact)
        if not tables.was_ever_whole(snapshot):
            self._restore_watched(added)
        return added, removed

    def _restore_watched(self, added: dict[str, list[str]]) -> None:
        """The engine has lost everything: those whom this replica knows and nobody has configured were added."""
        configured = {same_contact(contact) for each in self.contacts.values() for contact in each}
        for record in self._core.store.records():
            user = record.feed.partition("/")[0]
            if record.key not in configured and user in self.contacts:
                added.setdefault(user, []).append(record.contact)
                self._committing.keep([Put(Table.WATCHED, record.contact, user.encode())])

    def remember_watched(self, contacts: Sequence[str], *, are_removed: bool) -> None:
        """The API has added or removed these: the next owner has to know."""
        configured = {same_contact(contact): contact for each in self.contacts.values() for contact in each}
        users = {} if self.sync is None else {same_contact(each.contact): each.end_user for each in self.sync.watched()}
        puts = []
        for contact in contacts:
            key = same_contact(contact)
            name, is_configured = configured.get(key, contact), key in configured
            if are_removed:
                puts.append(Put(Table.WATCHED, name, _REMOVED.encode() if is_configured else None))
            else:
                puts.append(Put(Table.WATCHED, name, None if is_configured else users[key].encode()))
        self._committing.keep(puts)

    # --- what else is kept

    def _keep_replay(self, name: Name, kept: Kept | None) -> None:
        """An answer is kept, or no longer."""
        self._committing.keep([_put_of(name, kept)])

    def _restore_replays(self, snapshot: EngineSnapshot) -> None:
        """Those whose claims are over are kept for a while from now on: that of the owner before is not known."""
        now = self._clock.monotonic()
        for data in snapshot.tables[Table.REPLAYS].values():
            with contextlib.suppress(WireError):
                stored = wire.decode_replay(data)
                is_over = self._core.leases.get(stored.lease) is None
                kept = Kept(stored.lease, stored.asked, stored.body, stored.headers, now if is_over else None)
                self.replays.restore(Name(stored.holder, stored.key), kept)

    def _lost_replays(self, snapshot: EngineSnapshot) -> list[Put]:
        """What this replica has answered in a tenure before, or an owner before it, and the engine has lost. Of claims
        that are over, or that are known: what was not accepted is forgotten."""
        there = snapshot.tables[Table.REPLAYS]
        return [
            _put_of(name, kept)
            for name, kept in self.replays.kept(self._clock.monotonic())
            if _field_of(name) not in there and (kept.over is not None or self._core.leases.get(kept.lease) is not None)
        ]

    # --- what comes

    def _watch_refusal(self, sync: SyncEngine) -> None:
        if not self._is_new:
            return
        self._is_new = False

        async def wait() -> None:
            await sync.refused.wait()
            self.refusal = sync.refusal
            self.refused.set()

        self._refusing = asyncio.create_task(wait(), name="refusal")

    async def _read_marks(self, sync: SyncEngine) -> None:
        """Notifications that came to others since before this tenure read anything."""
        while True:
            marks = await self._trouble.insist(lambda: self._engine.marks(self._marked, READ))
            for mark in marks:
                with contextlib.suppress(WireError):
                    said = wire.decode_mark(mark.data)
                    at = datetime.fromtimestamp(self._clock.now(), UTC)
                    sync.notified(Notification(said.subscription, EVENT_TYPE, at), said.node)
            self._marked = marks[-1].id if marks else self._marked
            if self._is_to_mend and self._clock.monotonic() >= self._mended + MENDS:
                await self._mend()

    # --- what others cannot load

    def mend(self) -> None:
        """Another replica cannot load what this owner has written: look for what is wrong with it."""
        self._is_to_mend = self.leads

    async def _mend(self) -> None:
        self._is_to_mend, self._mended = False, self._clock.monotonic()
        epoch = self._committing.epoch
        snapshot = await self._trouble.insist(self._engine.snapshot)
        places = await in_turns(tables.unsound(snapshot))
        lacking = tables.lacks_whole(snapshot, epoch, self._upstream)
        if not (places or lacking) or self._committing.epoch != epoch:
            return
        log.warning(
            "%(values)d values in the engine were not what this owner has written: they are written again",
            {"values": len(places) + len(lacking)},
            extra={"event": "cluster.mended"},
        )
        for puts in tables.mends(self._core, places, epoch):
            self._committing.keep(puts)
            await asyncio.sleep(0)
            if self._committing.epoch != epoch:
                return
        self._committing.keep(lacking)


def _not_adopted(reason: str) -> Inheritance | None:
    log.warning(
        "the sessions of the owner before are begun anew: %(reason)s",
        {"reason": reason},
        extra={"event": "cluster.not-adopted"},
    )
    return None


def _put_of(name: Name, kept: Kept | None) -> Put:
    """An answer as the engine has it; None: it is kept no longer."""
    data = None
    if kept is not None:
        data = wire.encode_replay(StoredReplay(name.holder, name.key, kept.lease, kept.asked, kept.body, kept.headers))
    return Put(Table.REPLAYS, _field_of(name), data)


def _field_of(name: Name) -> str:
    """One text for both parts; a holder has no line end in it."""
    return f"{name.holder}\n{name.key}"
