"""A replica that follows: it reads what the owner has committed, and passes notifications on to it.

When it becomes the owner itself, it takes in what the one before has said last, or reads everything anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from pws_soap.models import Notification
from service.cluster import tables, wire
from service.cluster.engine import ClusterEngine, ClusterEngineError, EngineDamaged, EngineSnapshot, StoredEntry, Taken
from service.cluster.lease import RENEW
from service.cluster.mirroring import Follower, NotWhole
from service.cluster.upstream import Upstream, is_same
from service.cluster.wire import DamagedBytes, NewerFormat, NotificationMark, OtherUpstream, WireError
from service.core.wakeup import in_turns
from service.runtime.engine_trouble import EngineTrouble

READ: Final = 1.0
"""Seconds for which a read waits for something new."""
VAIN: Final = 20
"""Attempts, after which an owner that is about to write all that there is has had its time: four seconds and more."""
MARKS: Final = 1000
"""Notifications that wait to be passed on; of more the oldest are dropped, and only lateness comes of it."""

log = logging.getLogger("pws.cluster")


class Following:
    """Fills a mirror, `follower`. `heard` is called whenever something has come."""

    def __init__(
        self, engine: ClusterEngine, follower: Follower, trouble: EngineTrouble, heard: Callable[[], None]
    ) -> None:
        self.follower = follower
        self.is_settled = asyncio.Event()
        """Set once it has loaded what the owner knows, or this replica owns."""
        self.is_outdated = False
        """Whether the engine holds what only a newer version can read."""
        self._unread = ""
        """What in the engine could not be read, in words."""
        self.has_other_owner = False
        """Whether the unit in the engine is used by a service that reads another presence server."""
        self._in_vain = 0
        """Attempts in a row at which the engine did not have everything."""
        self._engine = engine
        self._trouble = trouble
        self._heard = heard
        self._known = 0
        """Up to which id core knows everything that the engine has."""
        self._has_untold = False
        """Whether it knows more than that, which it has read as an owner and nobody else has heard."""
        self._may_follow = asyncio.Event()
        self._may_follow.set()
        self._reading = asyncio.Lock()
        """Held while something is taken in."""
        self._marks: deque[NotificationMark] = deque(maxlen=MARKS)
        self._marked = asyncio.Event()
        self._has_passed_all = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Following up to {self._known}>"

    # --- as a follower

    async def listen(self) -> None:
        """Hear the owner, for ever."""
        is_joined = False
        while True:
            if not self._may_follow.is_set():
                is_joined = False
                await self._may_follow.wait()
            try:
                if is_joined:
                    news = await self._engine.follow(self.follower.position, READ)
                    async with self._reading:
                        if not self._may_follow.is_set():
                            continue
                        is_joined = await self.follower.take(news)
                        self._known = self.follower.position.log
                elif await self.follower.join(self._engine) is None:
                    continue
                else:
                    self._known, self._has_untold, is_joined = self.follower.position.log, False, True
                    self.is_settled.set()
            except ClusterEngineError as error:
                self._trouble.fails("log", error)
                await self._trouble.pause()
                continue
            except (NotWhole, WireError) as error:
                self._trouble.works("log")
                is_joined = False
                if self._may_follow.is_set():  # else it owns by now
                    await self._cannot_load(error)
                continue
            self.is_outdated = self.has_other_owner = False
            self._unread, self._in_vain = "", 0
            self._trouble.works("log")
            self._heard()

    async def _cannot_load(self, error: NotWhole | WireError) -> None:
        match error:
            case NotWhole():
                self._in_vain += 1
                await self._trouble.pause()
                return
            case OtherUpstream():
                self.is_of_others(error)
            case WireError():
                self.cannot_read(error)
        await self._trouble.pause(RENEW)

    def cannot_read(self, error: WireError) -> None:
        """What the engine holds cannot be read here: nothing of it is believed, and the lease is left to others."""
        self.follower.silent(str(error))
        if self._unread != str(error):
            log.error("the engine: %(error)s", {"error": error}, extra={"event": "cluster.unreadable"})
        self._unread = str(error)
        self.is_outdated = isinstance(error, NewerFormat)

    @property
    def can_follow(self) -> bool:
        """Whether what the owner says is for this replica, and can be read."""
        return not self._unread and not self.has_other_owner

    @property
    def is_stuck(self) -> bool:
        """Whether it cannot load what the owner has written, unless that is written again."""
        return self._may_follow.is_set() and (not self.can_follow or self._in_vain > VAIN)

    def is_of_others(self, error: OtherUpstream) -> None:
        """The unit in the engine is used by another service: nothing of it is believed."""
        self.follower.silent(str(error))
        if not self.has_other_owner:
            log.error("%(error)s", {"error": error}, extra={"event": "cluster.other-upstream"})
        self.has_other_owner = True

    async def strange_upstream(self) -> Upstream | None:
        """What the last owner read, if that is not what this replica reads. Raises what the engine raises."""
        upstream = self.follower.owners_upstream
        if upstream is None:
            try:
                upstream = tables.upstream(await self._engine.snapshot())
            except EngineDamaged:  # of nobody: who takes the lease removes that
                return None
        return None if upstream is None or is_same(upstream, self.follower.upstream) else upstream

    # --- when this replica becomes the owner, and when it is one no longer

    def ends(self) -> None:
        """This replica owns from now on."""
        self._may_follow.clear()
        self.follower.give_up()

    def begins(self) -> None:
        """Another replica owns, or nobody."""
        self._may_follow.set()

    async def catch_up(self, taken: Taken) -> bool:
        """Take in what the owner before has said last. Whether all of it is known here, without a gap or a doubt."""
        follower = self.follower
        async with self._reading:
            # As an owner it knew what it had written, and read nothing: then it has to join, and is no follower yet.
            follows = self.is_settled.is_set() and self._known == follower.position.log
            if self._known == taken.begins:  # the entry of this tenure has come before the answer that it is ours
                self._known = taken.last
            while follows and self._known < taken.last:
                news = await self._trouble.insist(lambda: self._engine.follow(follower.position, 0.0))
                try:
                    if not news.entries or not await follower.take(news):
                        return False
                except DamagedBytes:  # an owner passes over them (`all`)
                    return False
                self._known = min(follower.position.log, taken.last)  # behind that is the entry of this tenure alone
        return follows and self._known == taken.last and not follower.is_silent

    def has_lost_some(self, taken: Taken, highest: int) -> bool:
        """Whether the engine has less than was seen here, or by others: up to the id `highest`."""
        return taken.last < max(self._known, highest)

    async def all(self, taken: Taken) -> tuple[EngineSnapshot | None, tables.Known | None]:
        """All that the engine has, for an owner that knows the same by then, or more where the engine has lost it: then
        also what it means, from which a follower goes on. None: the tenure is over meanwhile."""
        knows_more = self._known > taken.last
        knows_the_same = self._known == taken.last and not self._has_untold
        if self.is_settled.is_set() and not self.follower.is_mixed:
            if knows_more or knows_the_same:
                snapshot = await self._trouble.insist(self._engine.snapshot)
                return snapshot, await in_turns(tables.read(snapshot, as_owner=True)) if knows_more else None
            skipping = await self._skipping()
            if skipping is not None:
                snapshot = await self._trouble.insist(self._engine.snapshot)
                if tables.made_whole_by(snapshot) < skipping.epoch:
                    return snapshot, await in_turns(tables.read(snapshot, as_owner=True))
        return await self._trouble.insist(lambda: self.follower.join(self._engine, as_owner=True)), None

    async def _skipping(self) -> StoredEntry | None:
        """The entry with which the log goes on without what is known here: the engine has lost that, and another
        replica has owned since. It may have ended before it had written back what it knew."""
        place = self.follower.position._replace(log=self._known)
        news = await self._trouble.insist(lambda: self._engine.follow(place, 0.0))
        return next((entry for entry in news.entries[:1] if entry.previous < self._known), None)

    def has_skipped(self, taken: Taken) -> bool:
        """Whether there may have been owners since what is known here."""
        return self._known < taken.last

    def step_down(self, last: int, *, has_untold: bool) -> None:
        """This replica has owned up to now. `last` is its last entry in the engine; `has_untold`: it knew more."""
        self._known, self._has_untold = last, has_untold
        self.follower.step_down()

    # --- notifications

    def notified(self, notification: Notification, node: str) -> None:
        """A notification came here: the owner fetches."""
        self._marks.append(NotificationMark(node, notification.subscription_id))
        self._marked.set()

    async def pass_on(self) -> None:
        """Pass notifications on, for ever."""
        while True:
            await self._marked.wait()
            self._marked.clear()
            while self._marks:
                mark = self._marks[0]
                try:
                    await self._engine.mark(wire.encode_mark(mark))
                except ClusterEngineError as error:
                    self._trouble.fails("marks", error)
                    await self._trouble.pause()
                    continue
                self._trouble.works("marks")
                if self._marks and self._marks[0] is mark:
                    self._marks.popleft()
            self._has_passed_all.set()

    async def passed_on(self) -> None:
        """Wait until all notifications that came are passed on."""
        if self._marks:
            self._has_passed_all.clear()
            await self._has_passed_all.wait()
