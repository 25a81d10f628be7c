"""The meter that counts for Prometheus. Each figure costs an addition under a lock, and no series is ever made by what
a client or the server sends: labels are words of our own, and codes that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from pws_soap.codes import CODES
from service.core.events.event import Event
from service.core.meter import CanaryOutcome, ClaimOutcome, NotificationOutcome, ReadKind, SlowClient
from service.metrics import table
from service.metrics.table import Metric

OK: Final = "ok"
"""The outcome of what did not fail."""
OTHER: Final = "other"
"""A code that the protocol does not know."""
_LOGINS: Final = ("application", "end-user")
_MAKE: Final = "make"
_REFUSED_LOGINS: Final = ("refused", "held")
"""Words of the lifecycle, of which somebody may wait for the first one: a login that only the operator can mend."""


class PrometheusMeter:
    """`service.core.meter.Meter`, counting into a registry; it follows the event log as well."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._notifications = _counter(registry, table.NOTIFICATIONS)
        self._notification_lag = _histogram(registry, table.NOTIFICATION_LAG)
        self._reads = _counter(registry, table.READS)
        self._faults = _counter(registry, table.FAULTS)
        self._commands = _counter(registry, table.COMMANDS)
        self._requests = _counter(registry, table.REQUESTS)
        self._request_waits = _counter(registry, table.REQUEST_WAITS)
        self._claims = _counter(registry, table.CLAIMS)
        self._claim_waits = _histogram(registry, table.CLAIM_WAITS)
        self._slow_clients = _counter(registry, table.SLOW_CLIENTS)
        self._events = _counter(registry, table.EVENTS)
        self._loop_lag = _histogram(registry, table.LOOP_LAG)
        self._canary_rounds = _counter(registry, table.CANARY_ROUNDS)
        self._canary_seconds = _histogram(registry, table.CANARY_SECONDS)
        # A rate needs its 0: what happens for the first time must be seen as having happened.
        for counter, outcomes in (
            (self._notifications, NotificationOutcome),
            (self._claims, ClaimOutcome),
            (self._slow_clients, SlowClient),
            (self._canary_rounds, CanaryOutcome),
        ):
            for outcome in outcomes:
                counter.labels(outcome.value)
        for kind in ReadKind:
            self._reads.labels(kind.value, OK)
        for code in (*map(str, CODES), OTHER):
            self._faults.labels(code)
        for resource in _LOGINS:
            for ended in (OK, *_REFUSED_LOGINS):
                self._commands.labels(resource, _MAKE, ended)

    def notification_came(self, outcome: NotificationOutcome) -> None:
        """See Meter."""
        self._notifications.labels(outcome.value).inc()

    def notification_served(self, seconds: float) -> None:
        """See Meter."""
        self._notification_lag.observe(seconds)

    def read_ended(self, kind: ReadKind, failure: str, code: int | None) -> None:
        """See Meter."""
        self._reads.labels(kind.value, failure or OK).inc()
        self._count_fault(code)

    def command_ended(self, resource: str, action: str, failure: str, code: int | None) -> None:
        """See Meter."""
        self._commands.labels(resource, action, failure or OK).inc()
        self._count_fault(code)

    def request_begins(self, lane: str, waited: float) -> None:
        """See Meter."""
        self._requests.labels(lane).inc()
        self._request_waits.labels(lane).inc(max(0.0, waited))

    def claim_settled(self, outcome: ClaimOutcome, waited: float) -> None:
        """See Meter."""
        self._claims.labels(outcome.value).inc()
        if outcome is ClaimOutcome.GRANTED:
            self._claim_waits.observe(waited)

    def client_was_slow(self, what: SlowClient) -> None:
        """See Meter."""
        self._slow_clients.labels(what.value).inc()

    def canary_ended(self, outcome: CanaryOutcome, seconds: float | None) -> None:
        """See Meter."""
        self._canary_rounds.labels(outcome.value).inc()
        if seconds is not None:
            self._canary_seconds.observe(seconds)

    def loop_lagged(self, seconds: float) -> None:
        """The event loop ran something that was due so many seconds too late."""
        self._loop_lag.observe(seconds)

    def follow(self, events: Sequence[Event]) -> None:
        """Count events: a follower of the event log."""
        for event in events:
            self._events.labels(event.name).inc()

    def _count_fault(self, code: int | None) -> None:
        if code is not None:
            self._faults.labels(str(code) if code in CODES else OTHER).inc()


def _counter(registry: CollectorRegistry, metric: Metric) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _histogram(registry: CollectorRegistry, metric: Metric) -> Histogram:
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
