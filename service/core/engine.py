"""What the routes need of the part that keeps in step: the port between answering and keeping up to date.

Behind it are sessions, subscriptions and fetches; in front of it they are only words and numbers.
Times in a status are wall time, seconds since the epoch; texts are for people and never hold a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec

from pws_soap.models import Notification, PresenceState, SessionKind


class EngineState(StrEnum):
    """How the whole is doing."""

    STARTING = "starting"
    LIVE = "live"
    DEGRADED = "degraded"
    """Some contacts are live, others are not."""
    DOWN = "down"
    STOPPING = "stopping"


class NodeState(StrEnum):
    """A node of the server: in use, failing, or not needed so far."""

    UP = "up"
    DOWN = "down"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class HealthProblem:
    """Something that is wrong, in words, and since when."""

    since: float
    what: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node; `failures` in a row, `since` when it has been in this state."""

    node: str
    state: NodeState
    failures: int = 0
    last_error: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A login on a node. Its key is not here. `state` is the lifecycle's own word, `usable` what it comes to."""

    node: str
    user: str
    kind: SessionKind
    state: str
    since: float | None = None
    last_error: str | None = None
    usable: bool = False


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """Where a node sends notifications. Its URL is not here: the path is a secret."""

    node: str
    id: int | None
    state: str
    expires_at: float | None = None
    last_error: str | None = None
    usable: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """A subscription; `contacts`, `notifications` and `fetches` are numbers. `feed` is what it is in the store."""

    node: str
    end_user: str
    id: int | None
    state: str
    contacts: int = 0
    expires_at: float | None = None
    last_notification_at: float | None = None
    last_fetch_at: float | None = None
    last_error: str | None = None
    notifications: int = 0
    fetches: int = 0
    feed: str = ""
    usable: bool = False


@dataclass(frozen=True, slots=True)
class NotificationCounters:
    """What came in on the callback: notifications, those of them for unknown ids, and requests that were none."""

    received: int = 0
    unknown_id: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class FetchCounters:
    """What reading from the server was like since the start.

    `unknown_outcomes`: replies that were lost, after which contacts were read again. `missed_notifications`: changes
    that came without one. `drift`: contacts that the reconciling sweep found different. `unattributed`: entries of
    replies that were about no watched contact, after which all of the subscription were read again.
    """

    fetches: int = 0
    polls: int = 0
    failures: int = 0
    unknown_outcomes: int = 0
    missed_notifications: int = 0
    drift: int = 0
    unattributed: int = 0


@dataclass(frozen=True, slots=True)
class CanaryStatus:
    """How the canary's rounds go, every `interval` seconds.

    `outcome` is that of the last round, which ended `at`: one of `core.meter.CanaryOutcome`, None before the first.
    `seconds` is how long change to answer took when it was last seen, at `last_seen_at`.
    """

    end_user: str
    contact: str
    interval: float
    outcome: str | None = None
    at: float | None = None
    seconds: float | None = None
    last_seen_at: float | None = None
    last_error: str | None = None


class MemberState(StrEnum):
    """What a replica does, as another one knows it."""

    OWNER = "owner"
    FOLLOWER = "follower"
    LAPSED = "lapsed"
    """It owned, and cannot renew that; only itself knows it."""
    SILENT = "silent"
    """It has said nothing for so long that its process has ended, stands still, or is cut off."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A replica. `configuration` is a hash: where it differs, the replicas do not agree. `heard` is how many seconds
    ago it said something."""

    replica: str
    address: str
    version: str
    configuration: str
    state: MemberState
    heard: float


@dataclass(frozen=True, slots=True)
class SharedEngineStatus:
    """The database that replicas share. None: it was not asked yet, or does not say.

    `eviction` is what it does where memory is short, `persistent` whether it writes to disk, `copies` how many follow
    it. `problem` says why it cannot be used, or takes nothing.
    """

    name: str | None = None
    version: str | None = None
    eviction: str | None = None
    persistent: bool | None = None
    copies: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One of several replicas.

    `role` is owner, follower, candidate or lapsed. `owner` is the address of the replica that owns the sessions, None
    where none does as far as known. `lag` is how many seconds ago this replica knew all that the owner knows, None
    where it never did. `silent`: whether the owner is not heard, so that nothing is live here.

    `waiting` is how much of what an owner says the engine has not accepted yet; `takes` and `losses` are how often it
    became the owner, and how often it lost that without having released it. `forwarded` counts requests that were
    passed on to the owner, by outcome.
    """

    replica: str
    address: str
    unit: str
    role: str
    owner: str | None
    epoch: int
    lag: float | None
    silent: bool
    waiting: int = 0
    takes: int = 0
    losses: int = 0
    forwarded: Mapping[str, int] = field(default_factory=dict)
    members: tuple[MemberStatus, ...] = ()
    engine: SharedEngineStatus = SharedEngineStatus()


@dataclass(frozen=True, slots=True)
class Status:
    """The engine at one moment. `oldest_notification` is how many seconds the oldest one has waited that no fetch has
    served; 0 where there is none. `ready`: whether any answer would be live. `canary`, `cluster`: None where there is
    none.
    """

    state: EngineState
    problems: tuple[HealthProblem, ...] = ()
    nodes: tuple[NodeStatus, ...] = ()
    sessions: tuple[SessionStatus, ...] = ()
    endpoints: tuple[EndpointStatus, ...] = ()
    subscriptions: tuple[SubscriptionStatus, ...] = ()
    notifications: NotificationCounters = NotificationCounters()
    reading: FetchCounters = FetchCounters()
    oldest_notification: float = 0.0
    ready: bool = True
    canary: CanaryStatus | None = None
    cluster: ClusterStatus | None = None


@dataclass(frozen=True, slots=True)
class PartialFailure:
    """A part of a refresh that failed: the subscription or contacts it was about, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did: how many contacts the server told of, how many of them had changed, and what failed.

    A change-only fetch tells of few contacts and confirms the rest, so `contacts` may be 0 and all is well.
    """

    contacts: int
    changed: int
    failures: tuple[PartialFailure, ...] = ()


class NotAvailable(Exception):
    """The server cannot be asked now. `retry_after` in seconds, where it is known."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(reason)


class NoSuchNode(ValueError):
    """A node that neither the configuration nor the server has named."""

    def __init__(self, node: str, known: Sequence[str]) -> None:
        self.node = node
        self.known = tuple(known)
        super().__init__(f"no node {node!r}; there are: {', '.join(self.known)}")


@dataclass(frozen=True, slots=True)
class PresenceToSet:
    """What an end user wants to be shown as, for `expires` seconds: a state, or a PIDF document.

    An override hides the end user's other presence.
    """

    state: PresenceState | None = None
    document: bytes | None = None
    override: bool = False
    expires: int = 3600


class PresenceNotSet(Exception):
    """The server has refused to set a presence; nothing was done. `code` is its code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class PresenceSetter(Protocol):
    """Sets the presence of end users at the server."""

    async def set_presence(self, end_user: str, wanted: PresenceToSet) -> None:
        """Set it, in a session of the end user's own.

        Raises PresenceNotSet where the server refuses, and NotAvailable where it cannot be asked, or where it is not
        known whether it was set: to set it once more does no harm.
        """
        ...


class Engine(Protocol):
    """Keeps the store up to date."""

    def notified(self, notification: Notification, node: str) -> None:
        """A notification came; `node` is the last part of the path it came on, or empty. Never waits, never raises."""
        ...

    def rejected(self) -> None:
        """Something else than a notification came on the callback's path. Never waits, never raises."""
        ...

    async def refresh(self, contacts: Sequence[str] | None) -> RefreshReport:
        """Read from the server now: these watched contacts, or with None what is new in all subscriptions.

        Raises NotAvailable when nothing could be asked at all; what failed in part is in the report.
        """
        ...

    async def read(self, contacts: Sequence[str]) -> RefreshReport:
        """Poll these watched contacts now, together with requests of the same moment. Raises as `refresh` does."""
        ...

    def watched(self) -> Sequence[Watched]:
        """The contacts that are wanted, whether the server knows of it yet or not."""
        ...

    def watch(self, contacts: Sequence[str], end_user: str | None) -> Sequence[str]:
        """Watch these as well; those that are new. Raises NoSuchEndUser."""
        ...

    def unwatch(self, contacts: Sequence[str]) -> Sequence[str]:
        """Watch these no longer; those that were watched."""
        ...

    async def followed(self) -> None:
        """Wait until the store has all that is watched, and nothing else: many contacts are taken in by steps."""
        ...

    def move(self, node: str, end_user: str | None) -> str:
        """Take an end user, or all, to a node, named as in the configuration or a status; its base URL.

        Raises NoSuchNode or NoSuchEndUser.
        """
        ...

    def status(self, *, problems: bool = True) -> Status:
        """How it is doing. Without `problems` nothing is put into words: figures are read often."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether any answer would be live, and in words why not."""
        ...


class NoSuchEndUser(ValueError):
    """An end user that no [[watch]] block names."""

    def __init__(self, end_user: str, known: Iterable[str]) -> None:
        self.end_user = end_user
        self.known = tuple(known)
        super().__init__(f"no end user {end_user!r}; there are: {', '.join(self.known)}")


class Watched(msgspec.Struct, frozen=True, gc=False):
    """A contact and the end user it is watched through. `configured`: whether the configuration names it."""

    contact: str
    end_user: str
    configured: bool
