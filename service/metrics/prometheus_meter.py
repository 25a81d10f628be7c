"""The meter that counts for Prometheus. Each figure costs an addition under a lock, and no series is ever made by what
a client or the server sends: labels are words of our own, and codes that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from pws_soap.codes import CODES
from service.core.events.event import Event
from service.core.meter import (
    CanaryOutcome,
    ClaimOutcome,
    NotificationOutcome,
    ReadKind,
    SlowClient,
    WebhookOutcome,
)
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


class LabelledCounter:
    """A counter by labels. It keeps its series at hand: to look one up takes longer than to count."""

    def __init__(self, registry: CollectorRegistry, metric: Metric) -> None:
        self._counter = Counter(metric.name, metric.help, metric.labels, registry=registry)
        self._series: dict[tuple[str, ...], Counter] = {}

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count one, or `amount`; with 0 the series is there from now on."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._counter.labels(*labels) if labels else self._counter
        series.inc(amount)


class PrometheusMeter:
    """`service.core.meter.Meter`, counting into a registry; it follows the event log as well.

    `lagged` is told how many seconds each notification took to reach the store.
    """

    def __init__(self, registry: CollectorRegistry, lagged: Callable[[float], None] = lambda _: None) -> None:
        self._lagged = lagged
        self._notifications = LabelledCounter(registry, table.NOTIFICATIONS)
        self._notification_lag = histogram(registry, table.NOTIFICATION_LAG)
        self._reads = LabelledCounter(registry, table.READS)
        self._faults = LabelledCounter(registry, table.FAULTS)
        self._commands = LabelledCounter(registry, table.COMMANDS)
        self._requests = LabelledCounter(registry, table.REQUESTS)
        self._request_waits = LabelledCounter(registry, table.REQUEST_WAITS)
        self._claims = LabelledCounter(registry, table.CLAIMS)
        self._claim_waits = histogram(registry, table.CLAIM_WAITS)
        self._slow_clients = LabelledCounter(registry, table.SLOW_CLIENTS)
        self._events = LabelledCounter(registry, table.EVENTS)
        self._loop_lag = histogram(registry, table.LOOP_LAG)
        self._canary_rounds = LabelledCounter(registry, table.CANARY_ROUNDS)
        self._canary_seconds = histogram(registry, table.CANARY_SECONDS)
        self._webhook_attempts = LabelledCounter(registry, table.WEBHOOK_ATTEMPTS)
        self._webhook_seconds = histogram(registry, table.WEBHOOK_SECONDS)
        # A rate needs its 0: what happens for the first time must be seen as having happened.
        for counter, outcomes in (
            (self._notifications, NotificationOutcome),
            (self._claims, ClaimOutcome),
            (self._slow_clients, SlowClient),
            (self._canary_rounds, CanaryOutcome),
        ):
            for outcome in outcomes:
                counter.add(outcome.value, amount=0)
        for kind in ReadKind:
            self._reads.add(kind.value, OK, amount=0)
        for code in (*map(str, CODES), OTHER):
            self._faults.add(code, amount=0)
        for resource in _LOGINS:
            for ended in (OK, *_REFUSED_LOGINS):
                self._commands.add(resource, _MAKE, ended, amount=0)

    def notification_came(self, outcome: NotificationOutcome) -> None:
        """See Meter."""
        self._notifications.add(outcome.value)

    def notification_served(self, seconds: float) -> None:
        """See Meter."""
        self._notification_lag.observe(seconds)
        self._lagged(seconds)

    def read_ended(self, kind: ReadKind, failure: str, code: int | None) -> None:
        """See Meter."""
        self._reads.add(kind.value, failure or OK)
        self._count_fault(code)

    def command_ended(self, resource: str, action: str, failure: str, code: int | None) -> None:
        """See Meter."""
        self._commands.add(resource, action, failure or OK)
        self._count_fault(code)

    def request_begins(self, lane: str, waited: float) -> None:
        """See Meter."""
        self._requests.add(lane)
        self._request_waits.add(lane, amount=max(0.0, waited))

    def claim_settled(self, outcome: ClaimOutcome, waited: float) -> None:
        """See Meter."""
        self._claims.add(outcome.value)
        if outcome is ClaimOutcome.GRANTED:
            self._claim_waits.observe(waited)

    def client_was_slow(self, what: SlowClient) -> None:
        """See Meter."""
        self._slow_clients.add(what.value)

    def canary_ended(self, outcome: CanaryOutcome, seconds: float | None) -> None:
        """See Meter."""
        self._canary_rounds.add(outcome.value)
        if seconds is not None:
            self._canary_seconds.observe(seconds)

    def webhook_attempted(self, target: str, outcome: WebhookOutcome, seconds: float) -> None:
        """See Meter."""
        self._webhook_attempts.add(target, outcome.value)
        self._webhook_seconds.labels(target).observe(seconds)

    def has_targets(self, names: Iterable[str]) -> None:
        """Webhooks are sent to these targets, whose figures begin with their 0."""
        for name in names:
            for outcome in WebhookOutcome:
                self._webhook_attempts.add(name, outcome.value, amount=0)
            self._webhook_seconds.labels(name)

    def loop_lagged(self, seconds: float) -> None:
        """The event loop ran something that was due so many seconds too late."""
        self._loop_lag.observe(seconds)

    def follow(self, events: Sequence[Event]) -> None:
        """Count events: a follower of the event log."""
        for event in events:
            self._events.add(event.name)

    def _count_fault(self, code: int | None) -> None:
        if code is not None:
            self._faults.add(str(code) if code in CODES else OTHER)


def histogram(registry: CollectorRegistry, metric: Metric) -> Histogram:
    """The histogram of a row of the table."""
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
