"""What the status page and the figures need of the façade: the port between it and answering.

The façade speaks the Presence Web Service itself, to programs that were written for the presence server. Times are wall
time, seconds since the epoch; texts are for people and hold no secret: no session key, and of an endpoint's URL neither
path nor query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

NOTIFICATION_OUTCOMES: Final = ("sent", "failed", "refused")
"""What becomes of a notification; see `FacadeStatus`."""
SHOWN: Final = 200
"""Programs that a status names; of more, how many there are."""


@dataclass(frozen=True, slots=True)
class ProgramSubscription:
    """A program's subscription; `contacts` and `pending`, those not told since they changed, are numbers.

    `notified_at` is when its last notification was made: as long as `fetched_at` is earlier, no other one follows.
    `endpoint` is scheme, host and port of where it goes; None where that endpoint has ended. `silent`: it was notified
    long ago and has not been fetched since, so that the program knows nothing of what has happened. `failing_since` is
    when the first of the notifications failed that have failed without one between that was answered, and `last_error`
    why the last of them did; None where the last one was answered.
    """

    id: int
    contacts: int
    pending: int
    expires_at: float
    endpoint: str | None = None
    notified_at: float | None = None
    fetched_at: float | None = None
    notifications: int = 0
    failed: int = 0
    failing_since: float | None = None
    last_error: str | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """A program: who is logged in under one name of the façade, in the name of one end user.

    `user` is the NAME of `[facade.users.NAME]`. `end_user` is None for a program that has only logged in as `user`.
    `address` and `agent` are those of its last request. `notifications` made for it, and `failed` ones of them, count
    from its login.
    """

    user: str
    end_user: str | None
    address: str | None
    agent: str | None
    since: float
    last_request_at: float
    last_fetch_at: float | None = None
    endpoints: int = 0
    subscriptions: tuple[ProgramSubscription, ...] = ()
    notifications: int = 0
    failed: int = 0
    silent: bool = False


@dataclass(frozen=True, slots=True)
class FacadeUserStatus:
    """All programs of one user of the façade together.

    `notifications` by what became of them (see `FacadeStatus`) count since the start, but for those whose subscription
    had ended by then. `silent` are subscriptions.
    """

    user: str
    sessions: int = 0
    endpoints: int = 0
    subscriptions: int = 0
    contacts: int = 0
    silent: int = 0
    last_fetch_at: float | None = None
    notifications: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FacadeLimits:
    """How many there may be of each."""

    sessions: int
    endpoints: int
    subscriptions: int


@dataclass(frozen=True, slots=True)
class FacadeStatus:
    """The façade at one moment.

    `users` are those of the configuration. `programs` are some of `programs_in_all`, those that are silent or whose
    notifications fail before the others. `requests` by operation ("unreadable" for what is none), `faults` by code and
    `notifications` by what became of them ("sent", "failed", "refused": nowhere they may be sent) count since the
    start, as does `read_through`: polls for which the presence server had to be asked. `withheld` contacts are not live
    just now, and some subscription waits to be told of them.
    """

    address: str = ""
    sessions: int = 0
    endpoints: int = 0
    subscriptions: int = 0
    silent: int = 0
    withheld: int = 0
    limits: FacadeLimits = FacadeLimits(0, 0, 0)
    users: Sequence[FacadeUserStatus] = ()
    programs: Sequence[ProgramStatus] = ()
    programs_in_all: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[int, int] = field(default_factory=dict)
    notifications: Mapping[str, int] = field(default_factory=dict)
    read_through: int = 0


class Facade(Protocol):
    """The façade, as others see it."""

    def status(self, *, programs: int = SHOWN) -> FacadeStatus | None:
        """How it is doing, with so many programs by name; None where the configuration has no façade."""
        ...


class NoFacade:
    """A service without a façade (`Facade`)."""

    def status(self, *, programs: int = SHOWN) -> FacadeStatus | None:
        """There is none."""
        return None
