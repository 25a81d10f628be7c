"""How a replica holds the lease, or tries to: it asks the engine for what is due, and says that it is there.

Who may do what is decided by `service.cluster.lease`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from service.cluster import wire
from service.cluster.engine import (
    BeatPlace,
    ClusterEngine,
    ClusterEngineError,
    Holder,
    LogPosition,
    Taken,
    TenureOver,
)
from service.cluster.lease import LEFT_TO_OWNER, RENEW, SILENCE, LeaseStep, LeaseView, Role
from service.cluster.members import SAYS, Member, Members
from service.cluster.upstream import Upstream
from service.cluster.wire import BeatBody, HandOver, OtherUpstream, WireError
from service.core.clock import Clock
from service.core.wakeup import sleep_until_woken
from service.core.wiring import Core
from service.runtime.committing import Committing
from service.runtime.engine_trouble import PAUSE, EngineTrouble
from service.runtime.following import Following

LOOK: Final = 0.25
"""Seconds between two looks at what time alone changes: an owner that falls silent, a lease that is over."""
GOES_ON: Final = 2.0
"""Seconds for which an owner that has released looks whether the one that it has named goes on, or says anything."""

log = logging.getLogger("pws.cluster")


@dataclass(frozen=True, slots=True)
class ReplicaIdentity:
    """What a replica says of itself. `name` is that of this process; `configuration` is a hash, and `upstream` what it
    reads as the owner."""

    name: str
    address: str
    version: str
    configuration: str
    upstream: Upstream = frozenset()


class LeaseUser(Protocol):
    """Hears what becomes of the lease."""

    @property
    def leads(self) -> bool:
        """Whether it tells what it reads from the server."""
        ...

    def taken(self, taken: Taken) -> None:
        """The lease is ours."""
        ...

    def lost(self, epoch: int, reason: str) -> None:
        """That of this epoch is over."""
        ...

    def look(self) -> None:
        """Time has passed."""
        ...

    def mend(self) -> None:
        """Another replica cannot load what this owner has written."""
        ...


class Holding:
    """See the module. `hold` and `say` are the caller's to run."""

    def __init__(
        self,
        identity: ReplicaIdentity,
        engine: ClusterEngine,
        clock: Clock,
        core: Core,
        committing: Committing,
        following: Following,
        trouble: EngineTrouble,
        chance: Callable[[], float],
        user: LeaseUser,
    ) -> None:
        self.view = LeaseView()
        self.members = Members()
        self.takes = self.losses = 0
        """How often this replica became the owner, and how often it lost that without having released it."""
        self.identity = identity
        self._engine = engine
        self._clock = clock
        self._core = core
        self._committing = committing
        self._following = following
        self._trouble = trouble
        self._chance = chance
        self._user = user
        self.seen_before = 0
        """The highest id that any of the others had seen before the lease was asked for: none of the new tenure."""
        self._token = ""
        self._woken = asyncio.Event()
        self._is_leaving = False
        self._taken_at = -math.inf
        self._was_away = False
        """Whether the engine did not answer when it was asked for the lease last."""
        self._asking = asyncio.Lock()
        """Held while the lease is asked for."""

    def __repr__(self) -> str:
        return f"<Holding {self.view}>"

    @property
    def epoch(self) -> int:
        """The highest that it has seen; as the owner its own."""
        return self.view.epoch or max(self.view.highest, self._following.follower.epoch)

    @property
    def _seen(self) -> int:
        """The highest id that was ever seen or given out here."""
        return max(self._following.follower.highest, self._core.log.newest_entry)

    # --- the lease

    async def hold(self) -> None:
        """Ask the engine for what is due, for ever."""
        while True:
            step, at = self.view.due()
            now = self._clock.monotonic()
            self._user.look()
            if self.view.role_at(now) is Role.FOLLOWER:
                self._trouble.works("lease")  # it is not asked for
                self._was_away = False
            if now < at:
                self._woken.clear()
                await sleep_until_woken(self._woken, self._clock, min(LOOK, at - now))
                continue
            self.view = self.view.asked(now, self._chance())
            epoch = self.view.epoch
            try:
                await (self._take(now) if step is LeaseStep.TAKE else self._beat(now, epoch))
            except TenureOver as error:
                self._trouble.works("lease")
                self._user.lost(epoch, str(error))
                self.ask_first()
            except ClusterEngineError as error:
                self._trouble.fails("lease", error)
                self._was_away = True
            else:
                self._trouble.works("lease")

    async def _take(self, sent: float) -> None:
        if self._following.is_outdated:
            return
        if await self._is_for_others() or await self._is_left_to_owner():
            return
        async with self._asking:
            if self._is_leaving:
                return
            taken = await self._ask_for_it()
            if not isinstance(taken, Taken):
                self.view = self.view.held(taken.epoch)
                return
            if self._has_taken(taken, sent):
                self._user.taken(taken)

    async def _is_for_others(self) -> bool:
        """Whether the last owner read another upstream, and a replica is there that reads that one."""
        upstream = await self._following.strange_upstream()
        if upstream is None:
            return False
        await self.look_around()
        others = self.members.reading(upstream, self._clock.monotonic())
        if others:
            self._following.is_of_others(OtherUpstream(others[0].address))
        return bool(others)

    async def _is_left_to_owner(self) -> bool:
        """Whether the engine answers again only now. The last owner may live, and its lease is over all the same."""
        if not self._was_away or not self.epoch:
            return False
        await self.look_around()  # raises where it does not
        self._was_away = False
        self.view = self.view.asks(self._clock.monotonic() + LEFT_TO_OWNER)
        return True

    def ask_first(self) -> None:
        """The engine has refused this owner: where nobody owns, it tries before the others do. Not where it has owned
        for a moment only: what is wrong may last, and another one do better."""
        now = self._clock.monotonic()
        if now >= self._taken_at + SILENCE:
            self._was_away = False
            self.view = self.view.asks(now)
            self._woken.set()

    async def leave(self) -> None:
        """Take the lease no more. It may just be asked for: then it is known whether it is ours."""
        self._is_leaving = True
        async with self._asking:
            return

    async def _ask_for_it(self) -> Taken | Holder:
        seen = self.members.highest
        self.seen_before = seen[1]
        self._token = self._token or secrets.token_hex(16)
        taken = await self._engine.take(
            self.identity.name,
            self.identity.address,
            self._token,
            epoch_above=max(self.epoch, seen[0]),
            id_above=max(self._seen, seen[1]),
        )
        self._token = ""
        return taken

    def _has_taken(self, taken: Taken, sent: float) -> bool:
        self.view = self.view.taken(sent, taken.epoch)
        is_ours = self.view.epoch == taken.epoch
        self.takes += is_ours
        if is_ours:
            self._taken_at = sent
            log.info(
                "this replica owns the sessions at the server from now on, epoch %(epoch)d",
                {"epoch": taken.epoch},
                extra={"event": "cluster.taken"},
            )
        return is_ours

    async def _beat(self, sent: float, epoch: int) -> None:
        await self.look_around()
        if self.view.is_outranked(self.members.highest[0]):
            self._user.lost(epoch, "another replica has seen a later owner")
            return
        if self.members.are_stuck(self.identity.upstream, wire.FORMAT, self._clock.monotonic()):
            self._user.mend()
        if self._user.leads and self._core.journal is not None:
            self._committing.confirm(*self._core.journal.state())
        async with self._committing.verbs:
            if self.view.epoch != epoch:
                return
            data = wire.encode_beat(self._beat_body())
            await self._engine.beat(epoch, self.view.number, self._committing.last, data)
        if self._committing.epoch != epoch:
            self._user.lost(epoch, "too much has happened of which the engine was not told")
            return
        self.view = self.view.renewed(sent, epoch)
        for name in self.members.forgotten(self._clock.monotonic()):
            await self._engine.echo(name, None)

    def _beat_body(self, successor: str = "", *, is_last: bool = False) -> BeatBody:
        feeds, last = self._committing.confirmed
        nonces = self.members.nonces()
        at = self._clock.monotonic()
        identity = self.identity
        who = identity.name, identity.address, successor, identity.upstream
        return BeatBody(at, last, feeds, nonces, is_last, *who)

    def lost(self, epoch: int) -> None:
        """The lease of this epoch is over."""
        self.view = self.view.lost(epoch)
        self.losses += 1

    def hear(self) -> None:
        """Something has come of another owner, perhaps that it has released the lease."""
        follower = self._following.follower
        if not follower.owner or follower.owner == self.identity.name:  # its log alone: that of our own tenure perhaps
            return
        may_take = follower.is_last and follower.successor in {"", self.identity.name}
        self.view = self.view.heard_of(follower.epoch, follower.alive, may_take=may_take)
        if may_take:
            self._woken.set()

    # --- the others

    async def say(self) -> None:
        """Tell the others that this replica is there, for ever. Not in step with the beats: the clocks go by both."""
        while True:
            nonce, identity = self._clock.monotonic(), self.identity  # a reload changes what it says of itself
            said = identity.name, identity.address, identity.version, identity.configuration
            known = self.epoch, self._seen, wire.FORMAT
            member = Member(*said, nonce, *known, identity.upstream, self._following.is_stuck)
            try:
                await self._engine.echo(identity.name, wire.encode_member(member))
                if not self._user.leads:
                    await self.look_around()
            except ClusterEngineError as error:
                self._trouble.fails("members", error)
            else:
                self._trouble.works("members")
            await self._clock.sleep(RENEW * (1 + 0.3 * self._chance()))

    async def say_farewell(self) -> None:
        """Tell the others that this replica goes: nobody names it as a successor any more."""
        with contextlib.suppress(ClusterEngineError):
            await self._engine.echo(self.identity.name, None)

    async def look_around(self) -> None:
        """See who is there."""
        self.members.observe(_read_members(await self._engine.members()), self._clock.monotonic())

    # --- handing over

    async def successor(self) -> Member | None:
        """To whom to hand over; None: nobody is there. Each is given a moment to say something more: what a process has
        left that was killed does not."""
        until = self._clock.monotonic() + SAYS
        while True:
            with contextlib.suppress(ClusterEngineError):  # who has ended a moment ago has said so
                await self.look_around()
            now = self._clock.monotonic()
            found = self.members.successor(self.identity.name, now)
            others = [each for each in self.members.present(now) if each.replica != self.identity.name]
            if found is not None or not others or now >= until:
                return found
            await self._trouble.pause()

    async def release(self, successor: Member | None, handover: HandOver) -> None:
        """Give the lease up."""
        epoch = self.view.epoch
        to = "" if successor is None else successor.replica
        async with self._committing.verbs:
            number, last = self.view.number + 1, self._committing.last
            body = wire.encode_beat(self._beat_body(to, is_last=True))
            left = wire.encode_handover(handover)
            try:
                await self._engine.release(epoch, number, last, body, to=to, handover=left)
            except (ClusterEngineError, TenureOver) as error:
                log.warning(
                    "the ownership could not be handed over, and ends by itself in a few seconds: %(error)s",
                    {"error": error},
                    extra={"event": "cluster.not-released"},
                )
            else:
                if successor is not None:
                    log.info(
                        "another replica goes on: %(successor)s",
                        {"successor": successor.address},
                        extra={"event": "cluster.released"},
                    )
            finally:  # it may have been carried out, whatever has broken it off: then another one owns
                self.view = self.view.released(epoch)

    async def goes_on(self, successor: Member, after: LogPosition) -> bool:
        """Whether somebody owns by now. False: the successor has ended, as where all are told to end at once, or has
        said nothing more, as where it was killed a moment before. `after` is what was written last before the release.
        """
        until = self._clock.monotonic() + GOES_ON
        words: set[bytes] = set()
        while self._clock.monotonic() < until:
            try:
                news = await self._engine.follow(after, PAUSE)
                epochs = [*(entry.epoch for entry in news.entries), *(beat.epoch for beat in news.beats)]
                if max(epochs, default=0) > after.beat.epoch:
                    return True
                word = (await self._engine.members()).get(successor.replica)
                if word is None:
                    return False
                words.add(word)
                if not epochs:
                    continue  # it has waited for something new
            except ClusterEngineError:
                pass
            await self._trouble.pause()  # what it has is of before, as where it went back: it does not wait then
        return len(words) != 1

    async def take_back(self) -> Taken | None:
        """Take the lease that was released, if nobody has taken it."""
        before, sent = self.view.highest, self._clock.monotonic()
        try:
            taken = await self._ask_for_it()
        except ClusterEngineError:
            return None
        is_ours = isinstance(taken, Taken) and taken.before == before and self._has_taken(taken, sent)
        return taken if isinstance(taken, Taken) and is_ours else None

    def place(self, last: int) -> LogPosition:
        """What this owner has written last: up to the entry `last`, and the beat that releases."""
        return LogPosition(last, BeatPlace(self.view.epoch, self.view.number + 1))


def _read_members(said: Mapping[str, bytes]) -> list[Member]:
    """What can be read of it: a newer version may say more than we know."""
    found = []
    for data in said.values():
        with contextlib.suppress(WireError):
            found.append(wire.decode_member(data))
    return found
