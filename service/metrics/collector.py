"""Reads figures from the state of the service when they are asked for. No contact is looked at: how many are in which
state is kept as they change (`service.core.events.kept_counts`), and by feed (`service.core.presence.levels`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from service.core.engine import CanaryStatus, ClusterStatus, Engine, EngineState, MemberState, NodeState, Status
from service.core.facade import Facade, FacadeStatus
from service.core.presence.counts import Summary
from service.core.webhooks import TargetState, TargetStatus, Webhooks
from service.core.wiring import Core
from service.metrics import table
from service.metrics.table import Metric

ROLES: Final = ("owner", "follower", "candidate", "lapsed")
"""The roles of a replica (`service.cluster.lease.Role`)."""
NO_EVICTION: Final = "noeviction"
"""What the engine's maxmemory-policy has to be."""
_Rows = list[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections are held open now, and how many there may be."""

    streams: int
    waiting: int
    limit: int


class StateCollector(Collector):
    """Collects what is in `table.READ`. `budget` is how many requests a second a node gets."""

    def __init__(
        self,
        engine: Engine,
        core: Core,
        webhooks: Webhooks,
        facade: Facade,
        connections: Callable[[], Connections],
        *,
        version: str,
        budget: float,
    ) -> None:
        self._engine = engine
        self._core = core
        self._webhooks = webhooks
        self._facade = facade
        self._connections = connections
        self._version = version
        self._budget = budget
        self._summary: Summary | None = None
        self._began = core.clock.now()

    async def refresh(self) -> None:
        """Ask for the counts of contacts, which may take several turns of the event loop."""
        self._summary = await self._core.counts.summary()

    def describe(self) -> list[Family]:
        """What it collects, without collecting it (prometheus_client)."""
        return [_family(metric, []) for metric in (*table.READ, *table.CLUSTER_READ)]

    def collect(self) -> Iterator[Family]:
        """All families (prometheus_client)."""
        status = self._engine.status(problems=False)
        rows = {
            **self._service(status),
            **self._server(status),
            **self._promise(status),
            **self._contacts(),
            **self._clients(),
            **self._canary(status.canary),
            **_of_targets(self._webhooks.status(), self._core.clock.now()),
            **_of_facade(self._facade.status(programs=0)),
        }
        for metric in table.READ:
            yield _family(metric, rows.get(metric, []))
        if status.cluster is not None:
            of_replica = _of_replica(status.cluster)
            for metric in table.CLUSTER_READ:
                yield _family(metric, of_replica.get(metric, []))

    def _service(self, status: Status) -> dict[Metric, _Rows]:
        return {
            table.BUILD: [((self._version,), 1)],
            table.STATE: [((state.value,), state is status.state) for state in EngineState],
            table.READY: [((), status.ready)],
        }

    def _server(self, status: Status) -> dict[Metric, _Rows]:
        now = self._core.clock.now()
        endpoints, subscriptions = status.endpoints, status.subscriptions
        named = [((each.node, each.feed), each) for each in subscriptions]
        return {
            table.NODE_STATE: [
                ((each.node, state.value), state is each.state) for each in status.nodes for state in NodeState
            ],
            table.NODE_FAILURES: [((each.node,), each.failures) for each in status.nodes],
            table.SESSION_USABLE: [((each.node, each.user), each.usable) for each in status.sessions],
            table.ENDPOINT_USABLE: [((each.node,), each.usable) for each in endpoints],
            table.ENDPOINT_EXPIRY: [
                ((each.node,), each.expires_at - now) for each in endpoints if each.expires_at is not None
            ],
            table.SUBSCRIPTION_USABLE: [(labels, each.usable) for labels, each in named],
            table.SUBSCRIPTION_EXPIRY: [
                (labels, each.expires_at - now) for labels, each in named if each.expires_at is not None
            ],
            table.SUBSCRIPTION_CONTACTS: [(labels, each.contacts) for labels, each in named],
            table.LAST_NOTIFICATION: [
                (labels, at) for labels, each in named if (at := each.last_notification_at) is not None
            ],
            table.LAST_FETCH: [(labels, at) for labels, each in named if (at := each.last_fetch_at) is not None],
            table.BUDGET: [((), self._budget)],
        }

    def _promise(self, status: Status) -> dict[Metric, _Rows]:
        reading, store = status.reading, self._core.store.summary()
        return {
            table.OLDEST_NOTIFICATION: [((), status.oldest_notification)],
            table.UNKNOWN_OUTCOMES: [((), reading.unknown_outcomes)],
            table.MISSED: [((), reading.missed_notifications)],
            table.DRIFT: [((), reading.drift)],
            table.UNATTRIBUTED: [((), reading.unattributed)],
            table.CONTESTED: [((), store.contested)],
            table.UNREADABLE: [((), store.unreadable)],
            table.STRANGERS: [((), store.strangers)],
        }

    def _contacts(self) -> dict[Metric, _Rows]:
        if self._summary is None:
            return {}
        counts, groups = self._summary.counts, self._summary.groups.items()
        return {
            table.CONTACTS: [((level.value,), number) for level, number in counts.by_freshness.items()],
            table.CONTACTS_BY_STATE: [((state.value,), number) for state, number in counts.by_state.items()],
            table.CONTACTS_FREE: [((), counts.available)],
            table.CONTACTS_ON_THE_PHONE: [((), counts.on_the_phone)],
            table.GROUP_CONTACTS: [
                ((name, level.value), number) for name, group in groups for level, number in group.by_freshness.items()
            ],
            table.GROUP_FREE: [((name,), group.available) for name, group in groups],
            table.GROUP_ON_THE_PHONE: [((name,), group.on_the_phone) for name, group in groups],
        }

    def _clients(self) -> dict[Metric, _Rows]:
        connections, claims = self._connections(), self._core.claim_service
        return {
            table.GROUP_MIN_FREE: [((name,), floor) for name, floor in claims.rules.floors.items() if floor > 0],
            table.CONNECTIONS: [(("stream",), connections.streams), (("waiting",), connections.waiting)],
            table.CONNECTIONS_LIMIT: [((), connections.limit)],
            table.CLAIMS_WAITING: [((), claims.waiting)],
            table.CLAIMS_HELD: [((), len(claims.leases()))],
        }

    def _canary(self, canary: CanaryStatus | None) -> dict[Metric, _Rows]:
        if canary is None:
            return {}
        last_seen = self._began if canary.last_seen_at is None else canary.last_seen_at
        return {table.CANARY_LAST_SEEN: [((), last_seen)], table.CANARY_INTERVAL: [((), canary.interval)]}


def _of_targets(targets: Sequence[TargetStatus], now: float) -> dict[Metric, _Rows]:
    return {
        table.WEBHOOK_STATE: [
            ((each.name, state.value), state is each.state) for each in targets for state in TargetState
        ],
        table.WEBHOOK_QUEUED: [((each.name,), each.queued) for each in targets],
        table.WEBHOOK_OLDEST: [
            ((each.name,), 0 if each.oldest_queued_at is None else max(0.0, now - each.oldest_queued_at))
            for each in targets
        ],
        table.WEBHOOK_LAST_SUCCESS: [
            ((each.name,), at) for each in targets if (at := each.last_success_at) is not None
        ],
        table.WEBHOOK_COALESCED: [((each.name,), each.coalesced) for each in targets],
        table.WEBHOOK_DROPPED: [((each.name,), each.dropped) for each in targets],
    }


def _of_facade(facade: FacadeStatus | None) -> dict[Metric, _Rows]:
    if facade is None:
        return {}
    users, limits = facade.users, facade.limits
    return {
        table.FACADE_SESSIONS: [((each.user,), each.sessions) for each in users],
        table.FACADE_ENDPOINTS: [((each.user,), each.endpoints) for each in users],
        table.FACADE_SUBSCRIPTIONS: [((each.user,), each.subscriptions) for each in users],
        table.FACADE_CONTACTS: [((each.user,), each.contacts) for each in users],
        table.FACADE_LIMIT: [
            (("sessions",), limits.sessions),
            (("endpoints",), limits.endpoints),
            (("subscriptions",), limits.subscriptions),
        ],
        table.FACADE_SILENT: [((each.user,), each.silent) for each in users],
        table.FACADE_LAST_FETCH: [((each.user,), at) for each in users if (at := each.last_fetch_at) is not None],
        table.FACADE_NOTIFICATIONS: [
            ((each.user, outcome), number) for each in users for outcome, number in each.notifications.items()
        ],
        table.FACADE_REQUESTS: [((operation,), number) for operation, number in facade.requests.items()],
        table.FACADE_FAULTS: [((str(code),), number) for code, number in facade.faults.items()],
        table.FACADE_READ_THROUGH: [((), facade.read_through)],
        table.FACADE_WITHHELD: [((), facade.withheld)],
    }


def _of_replica(cluster: ClusterStatus) -> dict[Metric, _Rows]:
    engine = cluster.engine
    there = [each for each in cluster.members if each.state is not MemberState.SILENT]
    states = Counter(each.state for each in cluster.members)
    return {
        table.CLUSTER_ROLE: [((role,), role == cluster.role) for role in ROLES],
        table.CLUSTER_OWNER_KNOWN: [((), cluster.owner is not None)],
        table.CLUSTER_SILENT: [((), cluster.silent)],
        table.CLUSTER_EPOCH: [((), cluster.epoch)],
        table.CLUSTER_LAG: [] if cluster.lag is None else [((), cluster.lag)],
        table.CLUSTER_MEMBERS: [((state.value,), states[state]) for state in MemberState],
        table.CLUSTER_CONFIGURATIONS: [((), len({each.configuration for each in there}))],
        table.CLUSTER_VERSIONS: [((), len({each.version for each in there}))],
        table.CLUSTER_TAKES: [((), cluster.takes)],
        table.CLUSTER_LOSSES: [((), cluster.losses)],
        table.CLUSTER_WAITING: [((), cluster.waiting)],
        table.CLUSTER_FORWARDED: [((outcome,), number) for outcome, number in cluster.forwarded.items()],
        table.CLUSTER_ENGINE_UP: [((), engine.problem is None)],
        table.CLUSTER_ENGINE_INFO: [] if engine.name is None else [((engine.name, engine.version or ""), 1)],
        table.CLUSTER_ENGINE_KEEPS: [] if engine.eviction is None else [((), engine.eviction == NO_EVICTION)],
        table.CLUSTER_ENGINE_PERSISTENT: [] if engine.persistent is None else [((), engine.persistent)],
    }


def _family(metric: Metric, rows: _Rows) -> Family:
    make = CounterMetricFamily if metric.kind is table.MetricKind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family
