"""What the lifecycle hears and says: the events that it is given, and the commands that it gives.

All frozen. Times are seconds of one monotonic clock, the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pws_soap.lifecycle.table import Act
from pws_soap.lifecycle.values import Failure, Key


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Want:
    """The contacts to watch, by end user. A user that is not named is no longer wanted."""

    contacts: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Adjust:
    """What is wanted of a user that is watched: these contacts as well, and those no longer."""

    user: str
    add: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Move:
    """The operator's wish: take this user, or all, to a node."""

    node: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Remove all that is ours."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The request `seq` succeeded; a life counts from `asked_at`, before it was sent.

    `id` is that of what was made, None for all other requests. `contacts` are those that a subscription now has; where
    some could not be added, `failure` says why. `is_handed_over`: a login gave the very session that another process
    has handed over.
    """

    key: Key
    seq: int
    asked_at: float
    id: int | None = None
    contacts: frozenset[str] | None = None
    backup: str | None = None
    failure: Failure | None = None
    is_handed_over: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The request `seq` failed."""

    key: Key
    seq: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class LoginRedirected:
    """The login `seq` was answered with a redirect (names as the server gave them)."""

    key: Key
    seq: int
    primary: str | None
    backup: str | None


@dataclass(frozen=True, slots=True)
class CallReported:
    """A fetch or poll through a subscription or session: it succeeded (`failure` None), or did not.

    `key` and `generation` are of what was used, `session` is the generation of the end user's session. `unheard`: it
    brought a change that no notification had announced, so the endpoint may be gone, which its renewal finds out.
    `consumes`: it was a request that takes changes along; where its outcome is not known it may yet do so, and only the
    end of its session prevents that.
    """

    key: Key
    generation: int
    failure: Failure | None = None
    unheard: bool = False
    consumes: bool = False
    session: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """The request that removes a leftover ended; `failure` is None where it succeeded."""

    seq: int
    failure: Failure | None = None


Event = Tick | Want | Adjust | Move | Stop | Succeeded | Failed | LoginRedirected | CallReported | Removed


@dataclass(frozen=True, slots=True)
class Command:
    """A request to send. `id` and `endpoint` are the server's ids; `add` and `drop` are contacts."""

    act: Act
    key: Key
    seq: int
    id: int | None = None
    endpoint: int | None = None
    expires: int | None = None
    force: bool = False
    add: frozenset[str] = field(default=frozenset(), repr=False)
    drop: frozenset[str] = field(default=frozenset(), repr=False)
    leftover: bool = False
