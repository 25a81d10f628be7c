"""What the lifecycle knows: its policy and its state. What it hears and says is in `events`.

All frozen. Times are seconds of one monotonic clock, the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from pws_soap.lifecycle.table import Kind, Phase


class Key(NamedTuple):
    """The name of one thing on the server. `user` is empty for the application user's, `slot` counts subscriptions."""

    kind: Kind
    node: str
    user: str = ""
    slot: int = 0


class FailureKind(StrEnum):
    """Why a request failed, as far as it matters for what to do next."""

    UNREACHABLE = "unreachable"
    UNKNOWN_OUTCOME = "unknown-outcome"
    SESSION_LOST = "session-lost"
    ENDPOINT_LOST = "endpoint-lost"
    SUBSCRIPTION_LOST = "subscription-lost"
    THROTTLED = "throttled"
    EXHAUSTED = "exhausted"
    HELD = "held"
    """Another application holds the user (160)."""
    REFUSED = "refused"
    """Only the operator can mend it: credentials, certificate, a request that the server will never take."""
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request: `text` is for people and holds no secret.

    `may_have_acted`: the server may have carried it out, or may still do so (`pws_soap.errors.PwsError`). `answered`: a
    reply came, and cannot be used.
    """

    kind: FailureKind
    text: str
    code: int | None = None
    may_have_acted: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """The policy. Times are in seconds."""

    nodes: tuple[str, ...]
    """Base URLs; the first is preferred."""
    redirect_to: frozenset[str] | None = frozenset()
    """The hosts, in lower case, that the server may send us to beside those of `nodes`; None: any. Each of them
    gets the application user's password."""
    endpoint_expires: int = 3600
    subscription_expires: int = 3600
    renew_at: float = 0.8
    """The part of a life after which it is renewed, less up to a tenth of it by chance."""
    retry_first: float = 1.0
    retry_most: float = 30.0
    throttle_most: float = 120.0
    refused_first: float = 60.0
    refused_most: float = 300.0
    node_failures: int = 3
    """A node has failed when this many calls in a row did, ..."""
    node_patience: float = 15.0
    """... over at least this time."""
    node_pause: float = 60.0
    """A failed node is not chosen again for this long."""
    max_hops: int = 4
    """Redirects that one login may follow."""
    take_over: bool = False
    """On 160: whether to end the other application's session."""
    linger: float = 3600.0
    """How long the removal of a session is tried at least; at most until all that it may hold has expired."""
    leftover_life: float = 86400.0
    """How long an earlier run's sessions are looked for: nothing that it made lives longer (protocol section 2)."""
    reclaim_after: float = 3600.0
    """Where the server has no room for more: a session is reset for that at most once in this time."""
    contacts_per_subscription: int = 5000
    seed: int = 0
    """Of the jitter, so that the same history gives the same times."""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """The health of one node. `backup` is the node it named at login, as a base URL."""

    failures: int = 0
    failing_since: float | None = None
    down_until: float = 0.0
    error: str | None = None
    backup: str | None = None
    answered: bool = False
    """Whether a reply came to the last of the calls that failed, and could not be used."""

    @property
    def words(self) -> str:
        """What is wrong with it, as in "imp1 does not answer"."""
        return "answers nothing that can be used" if self.answered else "does not answer"


@dataclass(frozen=True, slots=True)
class EndUser:
    """An end user: the contacts wanted, a set for each subscription, and the node it is homed on as far as we know.

    `path` holds the nodes that one login was redirected over, `tours` counts those in a row that led nowhere. `backup`
    is the node named for when this one fails.
    """

    slots: tuple[frozenset[str], ...]
    node: str
    path: tuple[str, ...] = ()
    tours: int = 0
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing on the server. `generation` changes each time it is made; `seq` is that of its last request."""

    key: Key
    phase: Phase = Phase.ABSENT
    since: float = 0.0
    id: int | None = None
    seq: int = 0
    generation: int = 0
    made_at: float = 0.0
    losses: int = 0
    """How often in a row it was lost soon after it was made."""
    expires_at: float | None = None
    """Until when it is surely there; for the removal of a session, until when that is tried."""
    outlasts: float = 0.0
    """Until when it may be there: later than `expires_at` where the reply to a renewal is not known."""
    due: float = 0.0
    """LIVE: when to renew; PAUSED: when to try again."""
    alter_due: float = 0.0
    reclaimed_at: float | None = None
    """When it was last reset because the server had no room for more."""
    failures: int = 0
    error: Failure | None = None
    contacts: frozenset[str] = field(default=frozenset(), repr=False)
    """The contacts that a subscription has on the server."""
    unsure: frozenset[str] = field(default=frozenset(), repr=False)
    """Those that a request under way, or one that failed, may have added to it or taken out of it."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """An endpoint or subscription of ours that is no longer used and must be removed."""

    kind: Kind
    node: str
    user: str
    id: int
    expires_at: float
    due: float = 0.0
    seq: int = 0
    """Of the request under way, 0 for none."""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """All that the lifecycle knows. `seq` counts requests: one with a smaller number was sent earlier."""

    settings: Settings
    nodes: Mapping[str, NodeHealth] = field(default_factory=dict)
    users: Mapping[str, EndUser] = field(default_factory=dict)
    resources: Mapping[Key, Resource] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()
    suspected: frozenset[str] = frozenset()
    """The nodes on which an earlier process may have a session, and requests in it that the server has still to carry
    out. The application's session there is reset, and before anything is made."""
    unknown: bool = False
    """Whether the same may be so on any other node: then it is reset when it is used for the first time."""
    clean: frozenset[str] = frozenset()
    """The nodes on which that has been done."""
    adoptable: tuple[Resource, ...] = ()
    """Endpoints and subscriptions that another process has handed over in working order, each until the session that it
    lives in has turned out to be the one that was handed over."""
    left: frozenset[str] = frozenset()
    """The nodes that we have left without having been able to log out: reset before they are used again."""
    suspects_until: float = 0.0
    """Until when a suspected node is visited only to clean up there."""
    seq: int = 0
    stopping: bool = False

    def needs_reset(self, node: str) -> bool:
        """Whether the application's session on a node may be one that another process still uses."""
        return node in self.left or (node not in self.clean and (self.unknown or node in self.suspected))

    @property
    def finished(self) -> bool:
        """Whether it is stopping and nothing of ours is left that could be removed."""
        return self.stopping and not self.resources


LOST_OF: Final = {
    FailureKind.SESSION_LOST: frozenset({Kind.APPLICATION, Kind.END_USER}),
    FailureKind.ENDPOINT_LOST: frozenset({Kind.ENDPOINT}),
    FailureKind.SUBSCRIPTION_LOST: frozenset({Kind.SUBSCRIPTION}),
}
"""What is gone when the server says that it does not know something."""
