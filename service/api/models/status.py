"""How the service is doing, and what came of an order to it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict, Field

from pws_soap.models import SessionKind
from service.api.models.base import Time, View
from service.api.models.facade import FacadeView, problems_of
from service.api.models.webhooks import WebhookStateView
from service.core.engine import EngineState, MemberState, NodeState, RefreshReport, Status
from service.core.facade import FacadeStatus
from service.core.meter import CanaryOutcome
from service.core.presence.records import StoreSummary
from service.core.webhooks import TargetState, TargetStatus


class TroubleView(View):
    """Something that is wrong, and since when."""

    since: Time
    what: str


class NodeView(View):
    """A node of the server."""

    node: str
    state: NodeState
    failures: int = Field(description="in a row")
    last_error: str | None
    since: Time | None


class SessionView(View):
    """A login on a node."""

    node: str
    user: str
    kind: SessionKind
    state: str
    since: Time | None
    last_error: str | None


class EndpointView(View):
    """Where a node sends its notifications."""

    node: str
    id: int | None
    state: str
    expires_at: Time | None
    last_error: str | None


class SubscriptionView(View):
    """A subscription of an end user."""

    node: str
    end_user: str
    id: int | None
    state: str
    contacts: int
    expires_at: Time | None
    last_notification_at: Time | None
    last_fetch_at: Time | None
    last_error: str | None
    notifications: int
    fetches: int


class NotificationsView(View):
    """What came in on the callback."""

    received: int
    unknown_id: int
    rejected: int


class ReadingView(View):
    """What reading from the server was like since the start."""

    fetches: int = Field(description="getSubscribedPresence")
    polls: int = Field(description="getPolledPresence")
    failures: int
    unknown_outcomes: int = Field(description="replies that were lost; what they may have told was read again")
    missed_notifications: int = Field(description="changes that came without one")
    drift: int = Field(description="contacts that the reconciling sweep found different")
    unattributed: int = Field(description="entries of replies that were about no contact of their subscription")


class StoreView(View):
    """Contacts watched and read, and what was odd since the start."""

    contacts: int
    read: int
    revision: int
    strangers: int = Field(description="presences of contacts that are not watched")
    contested: int = Field(description="readings that overlapped and disagreed, and were read again")
    unreadable: int = Field(description="rich documents that could not be read")


class CanaryView(View):
    """An end user of its own whose presence is set anew now and then: how long a change takes to the answer."""

    end_user: str
    contact: str
    interval: float = Field(description="seconds between two rounds")
    outcome: CanaryOutcome | None = Field(description="of the last round; null before the first")
    at: Time | None = Field(description="when that one ended")
    seconds: float | None = Field(description="from change to answer, when it was last seen")
    last_seen_at: Time | None
    last_error: str | None = Field(description="of the last round")


class MemberView(View):
    """A replica, as this one knows it. It is forgotten a minute after its last word."""

    replica: str = Field(description="its process")
    address: str
    version: str
    configuration: str = Field(description="a hash: where it differs, the replicas do not agree")
    state: MemberState = Field(
        description="silent: it says nothing, so it has ended, stands still or is cut off; lapsed: see role"
    )
    heard: float = Field(description="seconds since it said something, as it does once a second")


class SharedEngineView(View):
    """The database that the replicas share. null: it was not asked yet, or does not say."""

    name: str | None = Field(description="redis or valkey")
    version: str | None
    eviction: str | None = Field(description="what it drops where memory is short: noeviction, which is nothing")
    persistent: bool | None = Field(description="whether it writes to disk")
    copies: int | None = Field(description="how many copies follow it")
    problem: str | None = Field(description="why it cannot be used, or takes nothing; null: all is well")


class ClusterView(View):
    """One of several replicas, as it is and as it knows the others."""

    replica: str = Field(description="its process: another one after each start")
    address: str = Field(description="where the others reach it: cluster.advertise")
    unit: str = Field(description="the name that the replicas of a service share: cluster.unit")
    role: str = Field(description="owner, follower, candidate (nobody is heard) or lapsed (an owner without the lease)")
    owner: str | None = Field(description="the address of the replica that owns the sessions; null: none is known to")
    epoch: int = Field(description="grows with each owner")
    lag: float | None = Field(description="seconds since it knew all that the owner knows; null: it never did")
    silent: bool = Field(description="the owner is not heard, so that nothing is live at this replica")
    waiting: int = Field(description="how much of what this owner says the engine has not accepted yet")
    takes: int = Field(description="how often this process became the owner")
    losses: int = Field(description="how often it lost that without having handed it over")
    forwarded: dict[str, int] = Field(description="requests that were passed on to the owner, by outcome")
    members: list[MemberView] = Field(description="this one as well, by address")
    engine: SharedEngineView


class StatusView(View):
    """How the service is doing, in words and numbers."""

    model_config = ConfigDict(title="Status")

    state: EngineState
    problems: list[TroubleView]
    nodes: list[NodeView]
    sessions: list[SessionView]
    endpoints: list[EndpointView]
    subscriptions: list[SubscriptionView]
    notifications: NotificationsView | None = Field(description="this and the next two: null for a limited key")
    reading: ReadingView | None
    store: StoreView | None
    canary: CanaryView | None = Field(description="null where there is none, and for a limited key")
    webhooks: list[WebhookStateView] = Field(description="the targets; none for a limited key")
    facade: FacadeView | None = Field(
        default=None,
        exclude_if=lambda facade: facade is None,
        description="missing where the configuration has none, and for a limited key",
    )
    version: str
    now: Time
    cluster: ClusterView | None = Field(
        default=None, description="only of several replicas; it is left out for a limited key"
    )

    def as_json(self) -> bytes:
        """Without what a single process has not."""
        return self.model_dump_json(exclude={"cluster"} if self.cluster is None else None).encode()

    @classmethod
    def of(
        cls,
        status: Status,
        store: StoreSummary,
        targets: Sequence[TargetStatus],
        facade: FacadeStatus | None,
        version: str,
        now: float,
    ) -> StatusView:
        problems = [TroubleView.model_validate(each) for each in status.problems]
        problems += [_parked(target) for target in targets if target.state is TargetState.PARKED]
        if facade is not None:
            problems += [TroubleView(since=since, what=what) for since, what in problems_of(facade)]
        return cls(
            state=status.state,
            problems=problems,
            nodes=[NodeView.model_validate(each) for each in status.nodes],
            sessions=[SessionView.model_validate(each) for each in status.sessions],
            endpoints=[EndpointView.model_validate(each) for each in status.endpoints],
            subscriptions=[SubscriptionView.model_validate(each) for each in status.subscriptions],
            notifications=NotificationsView.model_validate(status.notifications),
            reading=ReadingView.model_validate(status.reading),
            store=StoreView.model_validate(store),
            canary=CanaryView.model_validate(status.canary) if status.canary is not None else None,
            webhooks=[WebhookStateView.of(target) for target in targets],
            facade=None if facade is None else FacadeView.of(facade),
            version=version,
            now=now,
            cluster=ClusterView.model_validate(status.cluster) if status.cluster is not None else None,
        )

    @classmethod
    def limited(cls, status: Status, version: str, now: float) -> StatusView:
        """For keys with limits: that something is wrong, and since when."""
        since = [each.since for each in status.problems]
        what = "Presence may be missing or stale; a key without limits sees why"
        return cls(
            state=status.state,
            problems=[TroubleView(since=min(since), what=what)] if since else [],
            nodes=[],
            sessions=[],
            endpoints=[],
            subscriptions=[],
            notifications=None,
            reading=None,
            store=None,
            canary=None,
            webhooks=[],
            version=version,
            now=now,
        )


def _parked(target: TargetStatus) -> TroubleView:
    why = f" ({target.last_error})" if target.last_error else ""
    what = f"webhook {target.name} is parked: nothing is sent to it any more{why}; a replay or a restart tries again"
    return TroubleView(since=target.since, what=what)


class FailureView(View):
    """A part of a refresh that failed."""

    what: str
    reason: str


class RefreshView(View):
    """What a refresh did. What the server did not name has not changed."""

    model_config = ConfigDict(title="Refresh")

    contacts: int = Field(description="how many contacts the server told of")
    changed: int = Field(description="how many of them had changed")
    failures: list[FailureView]
    revision: int

    @classmethod
    def of(cls, report: RefreshReport, revision: int) -> RefreshView:
        failures = [FailureView.model_validate(failure) for failure in report.failures]
        return cls(contacts=report.contacts, changed=report.changed, failures=failures, revision=revision)


class FailoverView(View):
    """Where end users were taken."""

    model_config = ConfigDict(title="Failover")

    node: str
    end_user: str | None = Field(description="null: all of them")


class ReadyView(View):
    """Whether answers would be live, and why not."""

    model_config = ConfigDict(title="Ready")

    ready: bool
    reason: str


class AliveView(View):
    """The process answers."""

    model_config = ConfigDict(title="Alive")

    alive: bool = True


class IndexView(View):
    """Where things are."""

    model_config = ConfigDict(title="ServiceIndex")

    service: str = "pws-presence"
    version: str
    dashboard: str = "/"
    docs: str = "/docs"
    presence: str = "/v1/presence"
    summary: str = "/v1/summary"
    events: str = "/v1/events"
    claims: str = "/v1/claims"
    status: str = "/v1/status"
    demo: bool = Field(default=False, description="a simulator is behind it, which `/demo` changes")
    needs_key: bool = Field(default=False, description="nobody may ask for presence without a key")

    def below(self, root: str) -> IndexView:
        """The same, where the service is below a path."""
        paths = ("dashboard", "docs", "presence", "summary", "events", "claims", "status")
        return self.model_copy(update={name: root + getattr(self, name) for name in paths})
