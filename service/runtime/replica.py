"""One of several replicas: owner or follower, and how it becomes the one or the other.

```
hold    asks the engine for the lease: takes it where nobody owns, renews it as the owner   -> LeaseView
listen  reads what the owner has committed, and its beats                                   -> mirror
say     tells the others that this replica is there, and what it has seen
commit  has the engine accept what the owner says                                           -> Committing
marks   passes notifications on to the owner; the owner reads them
checks  looks whether engine and replicas are set up as they should be
```

Who may do what is decided by `service.cluster.lease` and asked at the moment of use. The parts of core are the same
for both roles: as a follower they are filled from what the owner has committed, as the owner from the server. The
owner's engine (`service.sync`) lives for one tenure and is abandoned with it: the next owner logs its session out,
unless the owner has ended as it should and named it. Then it goes on with the sessions as they are.

A replica that loses the lease tells nothing more from that turn of the event loop on. What it had said and the engine
had not accepted is forgotten: it loads everything anew, and follows.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pws_soap.models import Notification
from service.cluster.engine import ClusterEngine, Taken
from service.cluster.lease import Role
from service.cluster.members import Member
from service.cluster.mirroring import Follower
from service.cluster.wire import HandOver, WireError
from service.core.clock import Clock
from service.core.presence.cursors import replica_mark
from service.core.wiring import Core
from service.runtime.committing import Committing
from service.runtime.engine_trouble import LEAST, EndBudget, EngineTrouble, cancelled
from service.runtime.following import Following
from service.runtime.forward_seal import BeatMoment
from service.runtime.hand_over import SessionDigests
from service.runtime.holding import Holding, ReplicaIdentity
from service.runtime.owners import Owner
from service.runtime.ownership import UNTOLD, EngineFactory, Ownership
from service.runtime.replica_checks import ReplicaChecks

SETTLES: Final = 5.0
"""Seconds that a start waits until the replica owns or has loaded everything; then it answers with what it has."""
BEGINS: Final = 5.0
"""Seconds that the end of an owner waits for its tenure to have begun, and for what it goes on with to be its own."""
BESIDE: Final = 12.0
"""Seconds that the end may take in all, from the signal on, beside those that are given for logging out."""
_GIVES_UP: Final = 6.0
"""Of these, seconds for all that comes after logging out: the lease is given up, tasks and connections are ended."""
_ENDS: Final = 2.0
"""Of these, seconds for what comes after the lease is given up."""
_PASSES_ON: Final = 1.0
"""Of these, seconds for passing on what the server has notified."""
_LOGS_OUT: Final = 2.0
"""Seconds for logging out that handing over leaves, where it takes as long as it may."""

NOT_HEARD: Final = "this replica does not hear the owner of the sessions"

log = logging.getLogger("pws.cluster")


class Replica:
    """See the module. `stop` is to be called at the end.

    `contacts` are the configured ones by end user. It says who may use the sessions (`service.core.rights.Rights`) and
    who owns them (`service.runtime.owners.Owners`).
    """

    def __init__(
        self,
        identity: ReplicaIdentity,
        engine: ClusterEngine,
        clock: Clock,
        core: Core,
        committing: Committing,
        follower: Follower,
        make: EngineFactory,
        contacts: Mapping[str, Sequence[str]],
        *,
        digests: SessionDigests,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.engine = engine
        self._clock = clock
        self._core = core
        self._committing = committing
        self._follower = follower
        trouble = self._trouble = EngineTrouble(clock)
        following = self._following = Following(engine, follower, trouble, self._hear)
        parts = engine, clock, core, committing, following
        self.ownership = Ownership(*parts, make, contacts, digests, trouble)
        self._holding = Holding(identity, *parts, trouble, chance, self)
        self.members = self._holding.members
        self.checks = ReplicaChecks(engine, clock, self.members)
        self.is_settled = following.is_settled
        """Set once this replica owns, or has loaded what the owner knows."""
        self._owner_seen: Owner | None = None
        self._owner_changed = asyncio.Event()
        self._followed = ""
        """The owner that it follows, as the log has it."""
        self._loops: list[asyncio.Task[None]] = []
        self._commit: asyncio.Task[None] | None = None
        self._passing_on: asyncio.Task[None] | None = None
        """Goes on until the end: notifications come as long as there are connections."""
        self._tenure: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._leaving: asyncio.Task[None] | None = None
        self._leaves_since = 0.0
        self._stopping = False
        self._has_released = False
        """Whether the server is asked for nothing more, since another one is to go on."""
        self._heir = ""
        """The address of the replica that goes on."""

    def __repr__(self) -> str:
        return f"<Replica {self.identity.name} {self.role}, epoch {self.epoch}>"

    @property
    def identity(self) -> ReplicaIdentity:
        """What it says of itself."""
        return self._holding.identity

    @identity.setter
    def identity(self, identity: ReplicaIdentity) -> None:
        self._holding.identity = identity

    # --- asked at the moment of use

    @property
    def role(self) -> Role:
        """What it is now."""
        return self._holding.view.role_at(self._clock.monotonic())

    @property
    def epoch(self) -> int:
        """The highest that it has seen; as the owner its own."""
        return self._holding.epoch

    @property
    def leads(self) -> bool:
        """Whether it tells what it reads from the server."""
        return self.ownership.leads

    @property
    def problem(self) -> str | None:
        """Why the engine cannot be used, in words; None: it can."""
        return self._trouble.problem

    @property
    def takes(self) -> int:
        """How often it became the owner."""
        return self._holding.takes

    @property
    def losses(self) -> int:
        """How often it lost that without having released it."""
        return self._holding.losses

    @property
    def is_silent(self) -> bool:
        """Whether it follows an owner that it does not hear."""
        return not self.leads and self._holding.view.is_silent(self._clock.monotonic())

    @property
    def lag(self) -> float | None:
        """Seconds since the moment for which it knows what the owner knows; None: it has never heard one."""
        if self.leads:
            return 0.0
        heard = self._holding.view.heard
        return None if heard is None else max(0.0, self._clock.monotonic() - heard)

    @property
    def owner_name(self) -> str | None:
        """The process that owns, as far as known."""
        owner = self.owner()
        return None if owner is None else self.identity.name if owner.is_self else self._follower.owner

    @property
    def waiting(self) -> int:
        """How much of what this owner says the engine has not accepted yet."""
        return self._committing.waiting

    @property
    def trouble(self) -> str | None:
        """Why the engine cannot be used, or takes nothing of what this owner says; None: all is well."""
        return self._trouble.problem or (self._committing.problem if self._holding.view.epoch else None)

    def may_make(self) -> bool:
        """See Rights."""
        return self.leads and not self._has_released and self._holding.view.may_make(self._clock.monotonic())

    def may_read(self) -> bool:
        """See Rights."""
        return self.leads and not self._has_released and self._holding.view.may_read(self._clock.monotonic())

    def owner(self) -> Owner | None:
        """See Owners."""
        if self.leads:
            if not self._holding.view.may_tell(self._clock.monotonic()):
                return None
            return Owner(self._holding.view.epoch, self.identity.address, is_self=True)
        if self._heir:
            return Owner(self._holding.view.highest, self._heir, is_self=False)
        address = self._follower.owner_address
        if self._follower.is_last or self.is_silent or not address or self._follower.owner == self.identity.name:
            return None
        return Owner(self._holding.view.highest, address, is_self=False)

    def is_coming(self) -> bool:
        """See Owners. One was heard a moment ago, as where it hands over; or this replica is about to own."""
        return self.owner() is None and not self.leads and (bool(self._holding.view.epoch) or not self.is_silent)

    def is_leaving(self) -> bool:
        """See Owners."""
        return self._leaving is not None

    def moment(self) -> BeatMoment:
        """See Owners."""
        view = self._holding.view
        return BeatMoment(view.epoch, view.number) if view.epoch else BeatMoment(*self._follower.position.beat)

    def address_of(self, mark: bytes) -> str | None:
        """See Owners."""
        for member in self.members.present(self._clock.monotonic()):
            if member.replica != self.identity.name and replica_mark(member.replica) == mark:
                return member.address
        return None

    async def gone(self, owner: Owner) -> None:
        """See Owners."""
        while self.owner() == owner:
            await self._owner_changed.wait()

    # --- running

    def start(self) -> None:
        """Begin to hold, listen, say, commit, pass on and check."""
        holding, following = self._holding, self._following
        loops = {
            "hold": holding.hold,
            "listen": following.listen,
            "say": holding.say,
            "checks": self.checks.run,
        }
        self._loops = [self._trouble.task(name, work) for name, work in loops.items()]
        self._commit = self._trouble.task("commit", self._committing.run)
        self._passing_on = self._trouble.task("marks", following.pass_on)

    async def settled(self) -> None:
        """Wait until it owns or has loaded everything, for `SETTLES` seconds at most."""
        waiting = asyncio.ensure_future(self.is_settled.wait())
        limit = asyncio.ensure_future(self._clock.sleep(SETTLES))
        try:
            await asyncio.wait({waiting, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            limit.cancel()

    async def accepted(self) -> None:
        """Wait until the engine has all that was said up to now. Raises NotCommitted."""
        await self._committing.reached(0)

    def notified(self, notification: Notification, node: str) -> None:
        """A notification came here: the owner fetches. Where the lease may be over it is passed on as well: another one
        may own by now, as after this process stood still."""
        if self.ownership.sync is not None:
            self.ownership.sync.notified(notification, node)
        if self.role is not Role.OWNER:
            self._following.notified(notification, node)

    # --- what becomes of the lease

    def taken(self, taken: Taken) -> None:
        """See LeaseUser."""
        self._following.ends()
        self._committing.begin(taken.epoch, taken.begins, self._refused_by_engine)
        self._tenure = self._trouble.task("tenure", lambda: self._own(taken))

    async def _own(self, taken: Taken) -> None:
        """A tenure. One that cannot be begun, or gone on with, is given up: another replica may do better."""
        try:
            while self._ending:
                await asyncio.wait(set(self._ending))  # which goes on even if this tenure ends as well
            why_not = await self.ownership.begin(taken, self._holding.seen_before)
            if why_not is None:
                self.look()
                await self.ownership.go_on()
                return
        except WireError as error:
            self._following.cannot_read(error)
            why_not = str(error)
        except Exception:
            log.exception("tenure: unexpected error, giving it up", extra={"event": "internal.error"})
            why_not = "an unexpected error"
        self.lost(taken.epoch, why_not)

    def _refused_by_engine(self, epoch: int) -> None:
        if epoch and epoch == self._holding.view.epoch:
            self.lost(epoch, "the engine takes nothing more of this tenure")
            self._holding.ask_first()

    def lost(self, epoch: int, reason: str) -> None:
        """See LeaseUser. Nothing more is told from this moment on."""
        if not epoch or epoch != self._holding.view.epoch:
            return
        log.warning(
            "this replica owns the sessions at the server no more (epoch %(epoch)d): %(reason)s",
            {"epoch": epoch, "reason": reason},
            extra={"event": "cluster.lost"},
        )
        self._holding.lost(epoch)
        tenure, self._tenure = self._tenure, None
        if tenure is not None:
            tenure.cancel()
        self._trouble.tenure_ends()
        self.ownership.step_down()
        self.look()
        ending = asyncio.create_task(self._end_tenure(tenure), name="end of tenure")
        for task in (ending, tenure):
            if task is not None:
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    async def _end_tenure(self, tenure: asyncio.Task[None] | None) -> None:
        await cancelled([tenure])
        await self.ownership.end()
        if not self._stopping and not self._holding.view.epoch:
            self._following.begins()

    def _hear(self) -> None:
        self._holding.hear()
        self.look()

    def look(self) -> None:
        """See LeaseUser: what time alone has changed."""
        owner = self._see_owner()
        self._tell_whom(owner)
        if self.leads and self._holding.view.is_over(self._clock.monotonic(), since=UNTOLD):
            self.ownership.tell_no_more()
        if self.leads or self._holding.view.epoch:
            return
        if self._holding.view.is_silent(self._clock.monotonic()):
            self._follower.silent(NOT_HEARD)
        elif self._following.can_follow:
            self._follower.heard()

    def mend(self) -> None:
        """See LeaseUser."""
        self.ownership.mend()

    def _see_owner(self) -> Owner | None:
        owner = self.owner()
        if owner != self._owner_seen:
            self._owner_seen = owner
            changed, self._owner_changed = self._owner_changed, asyncio.Event()
            changed.set()
            if owner is None and self.leads:
                self._core.log.cut()
        return owner

    def _tell_whom(self, owner: Owner | None) -> None:
        """Log whom it follows, when that changes."""
        if self.leads:
            self._followed = ""
        elif owner is not None and owner.address != self._followed:
            self._followed = owner.address
            log.info(
                "this replica follows %(owner)s, which owns the sessions at the server (epoch %(epoch)d)",
                {"owner": owner.address, "epoch": owner.epoch},
                extra={"event": "cluster.follows"},
            )
        elif self._followed and self.is_silent:
            log.warning(
                "this replica does not hear %(owner)s any more: its answers are stale until it hears an owner",
                {"owner": self._followed},
                extra={"event": "cluster.silent"},
            )
            self._followed = ""

    # --- the end

    def let_go(self) -> None:
        """The service is about to stop: hand over where somebody is there, while everything else still answers."""
        if self._leaving is None:
            self._leaves_since = self._clock.monotonic()
            self._leaving = asyncio.create_task(self._leave(), name="replica: leave")

    async def stop(self, limit: float) -> None:
        """End: hand the ownership over, or as the last one log out, for `limit` seconds at most, and give it up.

        Whatever the server and the engine do, it has ended `limit` + `BESIDE` seconds after `let_go`. The parts share
        that time, and the first ones matter most.
        """
        self.let_go()
        budget = EndBudget(self._clock, self._leaves_since, limit + BESIDE)
        within = self._trouble.within
        if self._leaving is not None:
            await within(budget.left(kept=_GIVES_UP + min(limit, _LOGS_OUT)), "handing over", self._leaving)
        if self._holding.view.epoch:
            log_out = min(limit, budget.left(kept=_GIVES_UP))
            await within(log_out + _ENDS, "logging out", self._log_out(log_out))
            await within(budget.left(kept=_ENDS), "giving the ownership up", self._give_up(None))
        await within(min(_PASSES_ON, budget.left(kept=3 * LEAST)), "passing notifications on", self._pass_on())
        await within(budget.left(kept=2 * LEAST), "its tasks", self._end())
        await within(budget.left(kept=LEAST), "its farewell", self._holding.say_farewell())
        await within(budget.left(), "its connections to the engine", self.engine.close())

    async def _log_out(self, limit: float) -> None:
        """Leave nothing at the server."""
        if self.ownership.sync is not None:
            self._has_released = False
            await self.ownership.sync.stop(limit)

    async def _pass_on(self) -> None:
        """What has come here the owner has to hear: the server says nothing more until it has fetched."""
        if self.role is not Role.OWNER:
            await self._following.passed_on()

    async def _end(self) -> None:
        await self._end_loops()
        await cancelled([self._commit, self._passing_on])
        if self._ending:
            await asyncio.wait(set(self._ending), timeout=LEAST)
        await cancelled(self._ending)
        await self.ownership.close()

    async def kill(self) -> None:
        """End at once, as a process that is killed: for tests."""
        self._stopping = True
        await cancelled([*self._loops, self._commit, self._passing_on, self._tenure, self._leaving, *self._ending])
        await self.ownership.close()

    async def _leave(self) -> None:
        """Hand the ownership over, if there is anybody to go on. A follower says that it goes."""
        await self._holding.leave()
        await self._begun()
        if not self._holding.view.epoch:
            await self._end_loops()
            await self._holding.say_farewell()
            return
        if await self._holding.successor() is None:
            return
        await self.ownership.release()
        self._has_released = True
        while self._holding.view.epoch and (successor := await self._holding.successor()) is not None:
            place = self._holding.place(self._committing.last)
            await self._give_up(successor)
            if await self._holding.goes_on(successor, place) or not await self._goes_on_itself():
                await self.ownership.end()
                return

    async def _begun(self) -> None:
        """Wait until a tenure that has just begun knows what it has at the server: what it has not gone on with yet, it
        could not hand over."""
        until = self._clock.monotonic() + BEGINS
        while self._holding.view.epoch and not self.ownership.has_begun and self._clock.monotonic() < until:
            await self._trouble.pause()

    async def _give_up(self, successor: Member | None) -> None:
        """Give the lease up, once the engine has what was said, or will not take it."""
        await self._end_loops()
        await self.ownership.flushed()
        await self.ownership.leave()
        await cancelled([self._commit])  # it may try to send a batch for ever, and holds the verbs as long
        handover = self.ownership.left() if successor is not None else HandOver()
        await self._holding.release(successor, handover)
        self._heir = "" if successor is None else successor.address
        self.ownership.leads = False
        self._committing.end()
        self._see_owner()

    async def _goes_on_itself(self) -> bool:
        """The successor has ended: this replica owns again, to hand over to another one or to log out."""
        taken = await self._holding.take_back()
        if taken is None:
            return False
        self._heir = ""
        self._committing.begin(taken.epoch, taken.begins, self._refused_by_engine)
        self._follower.lead(taken, self._core.store.feeds())
        self.ownership.leads = True
        self._loops = [self._trouble.task("hold", self._holding.hold)]
        self._commit = self._trouble.task("commit", self._committing.run)
        return True

    async def _end_loops(self) -> None:
        """End all loops but the one that commits and the one that passes notifications on."""
        self._stopping = True
        await cancelled([*self._loops, self._tenure])
