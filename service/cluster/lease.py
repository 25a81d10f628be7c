"""Who may do what, and when: the lease as a replica sees it. Pure; every method takes the time and returns a new value.

Times are seconds of a clock that goes on while the machine sleeps (`service.core.clock.SystemClock.monotonic`, which
is CLOCK_BOOTTIME). A right is asked for at the moment of its use: a process that was stopped finds, when it wakes, that
its deadline is over, without anybody telling it.

| role | how it comes to be | what it does |
|---|---|---|
| follower | at the start where another owns; the owner is heard | mirrors |
| candidate | nobody was heard for `silence`, or the owner has released | tries to take the lease once a second |
| candidate | the engine has refused it as the owner | tries at once: it knows more than the others (`LEFT_TO_OWNER`) |
| owner | the lease was taken | renews it once a second, makes, reads, tells |
| lapsed | it could not renew before its own deadline | reads, until the server refuses its key; tries to renew |

| right | to | who has it |
|---|---|---|
| make | log in, register, subscribe, remove at the server | owner, before its deadline |
| read | fetch, poll, renew, with the key in hand | owner and lapsed, until the server refuses the key (101, 132, 133) |
| tell | answer claims, hand out events | owner, before its deadline, and only what the engine has accepted |

The owner's deadline is the moment before it asked + the lease's life - 10 %: the engine's clock may go differently, and
counts from later on. An owner that has lost its lease does not get it back with the sessions it had: each take-over
begins with a reset, but for the one replica that the owner before named when it released.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from service.cluster.engine import LEASE, Taken

LEFT_TO_OWNER: Final = 1.5
"""Seconds for which the others leave the lease to the last owner, once the engine answers that did not: it asks each
second, and knows more than they do."""
RENEW: Final = 1.0
"""Seconds between two renewals, and between two attempts to take the lease: two may fail before a lease is over."""
MARGIN: Final = 0.1
"""The share of a lease that an owner does not use."""
SILENCE: Final = 3.0
"""Seconds without a beat after which everything is stale, and a replica tries to become the owner."""
LAPSED_POLL: Final = 2.0
"""Seconds between polls of an owner without a lease: nobody may make anew what it loses now."""


class Role(StrEnum):
    """What a replica is at a moment."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    OWNER = "owner"
    LAPSED = "lapsed"


class LeaseStep(StrEnum):
    """What to ask the engine for."""

    TAKE = "take"
    BEAT = "beat"


class TakeOver(StrEnum):
    """How a new owner begins at the server."""

    RESET = "reset"
    """Log the application's session out on all nodes, and begin anew."""
    ADOPT = "adopt"
    """Go on with what the owner before handed over."""


class Due(NamedTuple):
    """What to do next, and the moment at which."""

    step: LeaseStep
    at: float


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The lease as one replica sees it.

    `epoch` is the one that it owns, 0 without. `deadline` is up to when it may make and tell, `next_step` when it asks
    the engine again. `heard` is when the owner was alive as far as known; None: nobody was ever heard. `highest` is the
    highest epoch that was seen: an owner below it is none.
    """

    role: Role = Role.FOLLOWER
    epoch: int = 0
    deadline: float = 0.0
    next_step: float = 0.0
    heard: float | None = None
    highest: int = 0
    has_key: bool = False
    number: int = 0

    # --- asked at the moment of use

    def role_at(self, now: float) -> Role:
        """The role, whatever happened while the process stood still."""
        if self.role is Role.OWNER and now >= self.deadline:
            return Role.LAPSED
        if self.role is Role.FOLLOWER and self.is_silent(now):
            return Role.CANDIDATE
        return self.role

    def is_over(self, now: float, *, since: float) -> bool:
        """Whether it has owned, and could not renew in time, for so many seconds by now."""
        return self.role_at(now) is Role.LAPSED and now >= self.deadline + since

    def may_make(self, now: float) -> bool:
        """Whether anything may be made or removed at the server."""
        return self.role_at(now) is Role.OWNER

    def may_read(self, now: float) -> bool:
        """Whether the key in hand may be used."""
        return self.has_key and self.role_at(now) in {Role.OWNER, Role.LAPSED}

    def may_tell(self, now: float) -> bool:
        """Whether anything may be committed, and then told. The engine has the last word."""
        return self.role_at(now) is Role.OWNER

    def is_silent(self, now: float) -> bool:
        """Whether the owner was not heard for so long that what it said last counts no more."""
        return self.heard is None or not 0 <= now - self.heard < SILENCE

    def due(self) -> Due:
        """What to ask the engine for, and when. A follower takes it up when its owner has been silent."""
        if self.role in {Role.OWNER, Role.LAPSED}:
            return Due(LeaseStep.BEAT, self.next_step)
        if self.role is Role.CANDIDATE or self.heard is None:
            return Due(LeaseStep.TAKE, self.next_step)
        return Due(LeaseStep.TAKE, max(self.next_step, self.heard + SILENCE))

    # --- what happens

    def asked(self, now: float, jitter: float = 0.0) -> LeaseView:
        """The engine is asked now; `jitter` (0 to 1) spreads the next attempts of several candidates."""
        later = now + RENEW * (1 + 0.2 * jitter)
        role = self.role_at(now)
        return replace(self, role=role, next_step=later, number=self.number + (role in {Role.OWNER, Role.LAPSED}))

    def taken(self, sent: float, epoch: int) -> LeaseView:
        """The lease is ours, since a request that was sent then. An epoch that is not above all others is none."""
        if epoch <= self.highest:
            return self
        return replace(
            self,
            role=Role.OWNER,
            epoch=epoch,
            highest=epoch,
            deadline=_deadline(sent),
            next_step=sent,
            has_key=True,
            number=0,
        )

    def renewed(self, sent: float, epoch: int) -> LeaseView:
        """A beat that was sent then was accepted."""
        if epoch != self.epoch or self.role not in {Role.OWNER, Role.LAPSED}:
            return self
        return replace(self, role=Role.OWNER, deadline=max(self.deadline, _deadline(sent)))

    def lost(self, epoch: int) -> LeaseView:
        """The engine says that the lease of this epoch is over. The key may be used until the server refuses it."""
        if epoch != self.epoch or self.role not in {Role.OWNER, Role.LAPSED}:
            return self
        return replace(self, role=Role.CANDIDATE, epoch=0, deadline=0.0, has_key=False, heard=None)

    def asks(self, at: float) -> LeaseView:
        """Where it does not own, it tries to take the lease at that moment, and not as it would have."""
        return self if self.role in {Role.OWNER, Role.LAPSED} else replace(self, next_step=at)

    def refused(self) -> LeaseView:
        """The server refused the key (101, 132, 133). With the lease in hand that is the lifecycle's to mend."""
        return replace(self, has_key=self.role is Role.OWNER)

    def released(self, epoch: int) -> LeaseView:
        """We have given the lease up."""
        if epoch != self.epoch:
            return self
        return replace(self, role=Role.FOLLOWER, epoch=0, deadline=0.0, has_key=False, heard=None)

    def heard_of(self, epoch: int, alive: float, *, may_take: bool = False) -> LeaseView:
        """A beat of another owner, alive at our moment `alive`; `may_take`: it has released the lease with it, and this
        replica is the next.

        What was heard of an owner counts for as long as ever, also once another one owns. So nothing becomes stale
        where one hands over to the next, whose clock is not known at first.
        """
        if epoch < self.highest or epoch == self.epoch:  # of a tenure that is over, or our own
            return self
        known = self.lost(self.epoch)
        heard = alive if known.heard is None else max(alive, known.heard)
        if may_take:
            return replace(known, role=Role.CANDIDATE, highest=epoch, heard=heard, next_step=alive)
        return replace(known, role=Role.FOLLOWER, highest=epoch, heard=heard)

    def held(self, epoch: int) -> LeaseView:
        """Another replica holds the lease. Only a beat makes it an owner whom one hears."""
        return replace(self, highest=max(self.highest, epoch)) if self.role is not Role.OWNER else self

    def is_outranked(self, epoch: int) -> bool:
        """Whether somebody has seen an epoch above the one that we own: the engine has lost it, and must count on."""
        return self.epoch != 0 and epoch > self.epoch


def _deadline(sent: float) -> float:
    return sent + LEASE * (1 - MARGIN)


def take_over(taken: Taken, adopted: int = 0) -> TakeOver:
    """How a new owner begins. `adopted` is the epoch of the last owner whose sessions this process has gone on with.

    Only whom the owner before named may go on with what that one had, and once. Were it the first that comes, or twice,
    two could fetch under one key and id, where the engine forgets the first time. For the same reason what is adopted
    counts only if the server gives the very key that was handed over (`wire.HandOver.keys`).
    """
    return TakeOver.ADOPT if taken.handover is not None and taken.before > adopted else TakeOver.RESET
