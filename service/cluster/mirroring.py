"""A replica that follows the owner: what the engine has of the owner's log, tables and beats becomes what core knows.

The store, the event log and the claims are those that the replica would use as the owner, so that it answers with the
same code, and goes on with the same objects when it becomes the owner.

- Entries are taken in their order, each as a whole. Between two of them anything else may be done.
- A beat says up to when the feeds are confirmed. That counts once the entry has come that it names: everything that had
  happened by then is known here.
- Moments are made ours when they come (`localized`), with the mapping of the tenure in which they were written.
- Where entries are missing, everything is read anew (`join`). Until then nothing is called live, and no stream begins.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Sequence
from typing import Final, NamedTuple

from service.cluster import tables, wire
from service.cluster.clock_mapping import ClockMapping
from service.cluster.engine import BeatPlace, ClusterEngine, EngineSnapshot, LogPosition, News, StoredEntry, Taken
from service.cluster.localized import Localizer
from service.cluster.tables import Known
from service.cluster.tenures import Tenures
from service.cluster.upstream import Upstream, is_same
from service.cluster.wire import BeatBody, DamagedBytes, OtherUpstream
from service.core.events.commits import FeedChange, RecordChange
from service.core.events.event import CHANGE, REMOVED, Event
from service.core.presence.memory_store import MemoryStore
from service.core.presence.mirror import Mirror
from service.core.presence.snapshot import GroupedSnapshot
from service.core.wakeup import in_turns
from service.core.wiring import Core

NOBODY_HEARD: Final = "this replica has not heard the owner yet"
JOINING: Final = "this replica reads anew what the owner knows"
STEPPED_DOWN: Final = "this replica owns the sessions no longer"
TAKEN_OVER: Final = "another replica owned the sessions until now"
_STEP: Final = 50
"""Entries that are taken in one turn of the event loop."""
_CONTACTS: Final = 200
"""Contacts that are loaded in one turn."""
_MOST_WAITING: Final = 10
"""Beats that wait for the entry that they name; of more the oldest are of no use."""


class NotWhole(Exception):
    """What the engine has is not all that there is: the owner is about to write it. Ask again in a moment."""


class LastBeat(NamedTuple):
    """An owner has released the lease of its epoch, at our moment `at` or later."""

    epoch: int
    at: float


class Follower:
    """Keeps a replica's core as the owner's. `replica` is its name, under which it writes its nonces.

    `store` is that of `core`, `upstream` what this replica reads as the owner: an owner that reads another is not
    followed. It follows from the beginning on.
    """

    def __init__(self, core: Core, store: MemoryStore, replica: str, upstream: Upstream = frozenset()) -> None:
        self._core = core
        self._clock = core.clock
        self._mirror = Mirror(store, core.clock)
        self._store = store
        self._replica = replica
        self.upstream = upstream
        self._tenures = Tenures()
        self._mappings: dict[int, ClockMapping] = {}
        self._waiting: list[tuple[int, BeatBody]] = []
        self._silence: str | None = NOBODY_HEARD
        self._is_joining = False
        self._is_torn = False
        """Whether what is known is of no one moment of the owner's, so that only `join` helps."""
        self.is_mixed = False
        """Whether what is known is in part of one moment and in part of another."""
        self._turn = 0
        """Grows whenever what is under way is to be given up."""
        self.position = LogPosition()
        """What is to be followed next."""
        self.highest = 0
        """The highest id that was ever seen."""
        self.epoch = 0
        """That of the newest beat or entry."""
        self.alive = -math.inf
        """When the owner was alive, as far as known, on our clock."""
        self.is_last = False
        """Whether the owner has released the lease with its last beat."""
        self.owner = ""
        self.owner_address = ""
        self.successor = ""
        """Whom the owner has named with its last beat."""
        self.released = LastBeat(0, -math.inf)
        self.owners_upstream: Upstream | None = None
        """What the last owner reads that is known here; None: none is."""
        self._stranger: str | None = None
        """Where the others reach the owner, if it is one that is not to be followed."""
        core.log.follow_owner(self._is_lost)
        core.claim_service.follow_owner()
        core.log.silence()

    def __repr__(self) -> str:
        return f"<Follower of epoch {self.epoch} at {self.position.log}>"

    # --- silence

    @property
    def is_silent(self) -> bool:
        """Whether nothing may be called live here."""
        return self._is_joining or self._is_torn or self._silence is not None

    def silent(self, reason: str) -> None:
        """The owner is not heard: everything is in doubt, streams end, and none begins until `heard`."""
        if self._silence != reason:
            self._silence = reason
            self._show_silence()

    def heard(self) -> None:
        """The owner is heard."""
        if self._silence is not None:
            self._silence = None
            self._show_silence()

    def _show_silence(self) -> None:
        reason = JOINING if self._is_joining else self._silence or (JOINING if self._is_torn else None)
        log = self._core.log
        if reason is None:
            self._mirror.heard()
            log.heard()
        else:
            self._mirror.silent(reason)
            if not log.is_silent:
                log.silence()

    # --- roles

    def lead(
        self, taken: Taken, kept: Collection[str] = (), known: Known | None = None, *, has_skipped: bool = False
    ) -> None:
        """This replica owns from now on: go on with what is known, in doubt but for the feeds that are `kept`.

        `known` is what the engine's tables mean, where they say less than this replica knows, since the engine has lost
        data: the difference is told, so that those who followed up to there, and follow on, know the same.
        `has_skipped`: there were owners since the loss, of whose events nothing is known here: nobody resumes them.
        """
        self._turn += 1
        self._is_joining, self._is_torn, self._silence = False, False, None
        self._mirror.end()
        self._tenures.began(taken.begins, 0 if has_skipped else taken.last)
        core = self._core
        core.log.lead(taken.begins)
        if core.journal is not None:
            feeds = {name: feed for name, feed in self._store.feeds().items() if name in kept}
            core.journal.begin(feeds, () if known is None else self._store.ordered_keys())
        self._store.restart(taken.begins, TAKEN_OVER, kept)
        if known is not None:
            ours = {key: self._localizer(each.epoch).snapshot(each.value) for key, each in known.contacts.items()}
            core.log.tell_difference(taken.last, ours)
            leases = [self._localizer(each.epoch).lease(each.value) for each in known.leases.values()]
            core.claim_service.tell_difference(leases)
        if core.journal is not None:
            core.journal.flush()
        core.claim_service.lead()

    def give_up(self) -> None:
        """This replica has the lease: what is under way is given up, and it takes in by itself what is left."""
        self._turn += 1

    def step_down(self) -> None:
        """This replica owns no longer; what it knows is to be read anew (`join`)."""
        self._turn += 1
        self._core.log.follow_owner(self._is_lost)
        self._core.claim_service.follow_owner()
        self.highest = max(self.highest, self._core.log.newest_entry)
        self._mirror.begin_anew((0, feed) for feed in self._store.feeds().values())
        self._silence, self._is_torn = STEPPED_DOWN, True
        self._show_silence()

    # --- what comes

    async def take(self, news: News) -> bool:
        """Take in what came after `position`, or after an earlier one: what is known is passed over. False: something
        is missing, so that `join` is needed.

        Raises WireError.
        """
        for beat in news.beats:
            try:
                body = wire.decode_beat(beat.data)
            except DamagedBytes:  # once: the next one says it all again
                self.position = LogPosition(self.position.log, BeatPlace(beat.epoch, beat.number))
                raise
            self._hear(beat.epoch, body)
            self.position = LogPosition(self.position.log, BeatPlace(beat.epoch, beat.number))
        if self._stranger is not None:
            raise OtherUpstream(self._stranger)
        if news.gap or self._is_torn:
            return False
        turn, known = self._turn, self.position.log
        entries = [entry for entry in news.entries if entry.id > known]
        await in_turns(self._entries(entries), lambda: self._turn == turn)
        if self._turn == turn:
            self._confirm()
        return True

    async def join(self, engine: ClusterEngine, *, as_owner: bool = False) -> EngineSnapshot | None:
        """Begin anew with all that the engine has; `as_owner` even if that is not everything, or nothing of ours. None:
        this replica has begun something else meanwhile, as to lead, and what was read is of no use.

        Raises NotWhole, WireError, and what the engine raises.
        """
        self._turn += 1
        turn = self._turn
        self._is_joining = True
        self._show_silence()
        try:
            snapshot = await engine.snapshot()
            if not as_owner:
                if not tables.is_whole(snapshot, self.highest):
                    raise NotWhole
                self._learn_upstream(snapshot)
            elif not is_same(tables.upstream(snapshot) or self.upstream, self.upstream):
                return snapshot  # of no use
            entries = await self._kept_entries(engine, snapshot.last)
            if not as_owner and entries and tables.made_whole_by(snapshot) < entries[-1].epoch:
                raise NotWhole  # the last owner has ended before it had written what it knew
            if self._turn == turn:
                await in_turns(self._load(snapshot, entries, as_owner=as_owner), lambda: self._turn == turn)
        finally:
            if self._turn == turn:
                self._is_joining = False
                self._show_silence()
        return snapshot if self._turn == turn else None

    # --- beats

    def _hear(self, epoch: int, beat: BeatBody) -> None:
        if epoch < self.epoch:
            return
        if epoch > self.epoch:
            self._begin(epoch)
        self.owners_upstream = beat.upstream
        if not is_same(beat.upstream, self.upstream):
            self._stranger = beat.address
            return
        mapping = self._mappings[epoch]
        mapping.heard(beat.at, self._clock.monotonic(), beat.nonces.get(self._replica))
        self.alive, self.is_last, self.successor = mapping.not_later(beat.at), beat.is_last, beat.successor
        self.owner, self.owner_address = beat.replica, beat.address
        if beat.is_last:
            self.released = LastBeat(epoch, self.alive)
        self._waiting.append((epoch, beat))
        del self._waiting[:-_MOST_WAITING]

    def _begin(self, epoch: int) -> None:
        """A tenure: another owner has another clock. Of the one before some entries may still come."""
        before = self._mappings.get(self.epoch)
        self._mappings = {epoch: ClockMapping()} if before is None else {self.epoch: before, epoch: ClockMapping()}
        self.epoch, self.is_last, self.alive = epoch, False, -math.inf
        self.owner = self.owner_address = self.successor = ""
        self._stranger = None

    def _learn_upstream(self, snapshot: EngineSnapshot) -> None:
        """What the tables were read from. Raises OtherUpstream where that is not what this replica reads."""
        upstream = tables.upstream(snapshot)
        if upstream is None:
            return
        self.owners_upstream = upstream
        if not is_same(upstream, self.upstream):
            raise OtherUpstream("another service" if snapshot.holder is None else snapshot.holder.address)

    def _confirm(self) -> None:
        """Believe the newest beat whose entry has come."""
        come = [beat for epoch, beat in self._waiting if epoch == self.epoch and beat.last <= self.position.log]
        if not come:
            return
        newest = come[-1]
        self._waiting = [(epoch, beat) for epoch, beat in self._waiting if beat.last > self.position.log]
        feeds = map(self._localizer(self.epoch).feed, newest.feeds)
        self._mirror.confirmed(feeds, newest.last)

    # --- entries

    def _localizer(self, epoch: int) -> Localizer:
        return Localizer(self._mappings.get(epoch), self._clock.monotonic(), self._core.leases.end_of)

    def _entries(self, entries: Sequence[StoredEntry]) -> Generator[None, None, bool]:
        for number, entry in enumerate(entries, 1):
            self._entry(entry)
            self.position = LogPosition(entry.id, self.position.beat)
            self.highest = max(self.highest, entry.id)
            if not number % _STEP:
                yield
        return True

    def _entry(self, entry: StoredEntry) -> None:
        mirror, log = self._mirror, self._core.log
        if entry.begins_tenure:
            self._tenures.began(entry.id, entry.previous)
            if entry.epoch > self.epoch:
                self._begin(entry.epoch)
            log.mirror((), entry.id)
            return
        localizer, change = self._localizer(entry.epoch), wire.decode_entry(entry.id, entry.data)
        match change:
            case FeedChange():
                mirror.feed(localizer.feed(change.feed), entry.id)
                log.mirror((), entry.id)
            case RecordChange():
                mirror.records([localizer.record(change.record)], entry.id)
                log.mirror((), entry.id)
            case Event():
                event = localizer.event(change)
                if event.name == REMOVED and event.key is not None:
                    mirror.removed([event.key], entry.id)
                elif event.name == CHANGE and event.after is not None:
                    mirror.records([event.after.contact.record], entry.id)
                else:
                    mirror.records((), entry.id)
                log.mirror([event], entry.id)

    # --- all of it

    async def _kept_entries(self, engine: ClusterEngine, last: int) -> list[StoredEntry]:
        """The entries up to `last` that the log still has, without a gap between them."""
        found: list[StoredEntry] = []
        after = 0
        while after < last:
            news = await engine.follow(LogPosition(after, self.position.beat), 0.0)
            entries = [entry for entry in news.entries if entry.id <= last]
            if not entries:
                break
            if news.gap:
                found.clear()
            found += entries
            after = entries[-1].id
        return found if found and found[-1].id == last else []

    def _load(
        self, snapshot: EngineSnapshot, entries: Sequence[StoredEntry], *, as_owner: bool
    ) -> Generator[None, None, bool]:
        known = yield from tables.read(snapshot, as_owner=as_owner)
        self._is_torn = self.is_mixed = True
        core, last = self._core, snapshot.last
        leases = [self._localizer(lease.epoch).lease(lease.value) for lease in known.leases.values()]
        core.claim_service.restore(leases, known.order)
        self._mirror.begin_anew((last, self._localizer(feed.epoch).feed(feed.value)) for feed in known.feeds.values())
        gone = [key for key in self._store.ordered_keys() if key not in known.contacts]
        self._mirror.removed(gone, last)
        contacts: dict[str, GroupedSnapshot] = {}
        keys = sorted(known.contacts)
        for start in range(0, len(keys), _CONTACTS):
            step = {
                key: self._localizer(contact.epoch).snapshot(contact.value)
                for key in keys[start : start + _CONTACTS]
                for contact in [known.contacts[key]]
            }
            contacts |= step
            self._mirror.records([each.contact.record for each in step.values()], last)
            yield
        events: list[Event] = []
        floor = last if not entries else entries[0].previous or entries[0].id
        for number, entry in enumerate(entries, 1):
            if entry.begins_tenure:
                self._tenures.began(entry.id, entry.previous)
                if entry.epoch > self.epoch:
                    self._begin(entry.epoch)
            else:
                try:
                    change = wire.decode_entry(entry.id, entry.data)
                except DamagedBytes:  # what it said of anybody is in the tables; nobody goes on across it
                    events.clear()
                    floor = entry.id
                else:
                    if isinstance(change, Event):
                        events.append(self._localizer(entry.epoch).event(change))
            if not number % _STEP:
                yield
        yield from core.log.load(contacts, events, floor, last)
        self.position = LogPosition(last, self.position.beat)
        self.highest = max(self.highest, last)
        self._is_torn = self.is_mixed = False
        return True

    def _is_lost(self, id: int) -> bool:  # noqa: A002  # as in Event
        """Whether nobody has the events that followed this one."""
        return not self._tenures.may_resume(id, id, id)
