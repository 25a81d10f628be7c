"""The programs at the façade: what each has, when it last fetched, and who has gone silent.

A subscription that was notified long ago and has not been fetched since is silent: its latch is closed, and the program
hears of nothing any more until it fetches. At the real server nobody would notice.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from pws_soap.server.node.operations import Node
from pws_soap.server.node.registry import Session, Subscription
from service.access.log_limit import LogThrottle
from service.core.clock import Clock
from service.core.facade import FacadeUserStatus, ProgramStatus, ProgramSubscription
from service.facade.caller import Caller
from service.facade.census import Census
from service.facade.guard import Guard

log = logging.getLogger("pws.facade")

_KEPT: Final = 50_000
"""Subscriptions whose failed notifications are remembered."""


@dataclass(slots=True)
class Failures:
    """The notifications of a subscription that failed: how many, since when without one that was answered, and why."""

    count: int = 0
    last: str = ""
    in_a_row: int = 0
    since: float = 0.0


class ProgramsStatus(NamedTuple):
    """`silent` subscriptions, the programs of each user together, some programs, and how many there are in all."""

    silent: int
    users: list[FacadeUserStatus]
    some: list[ProgramStatus]
    in_all: int


class Programs:
    """Looks at sessions and subscriptions. `silent_after` in seconds."""

    def __init__(self, node: Node, guard: Guard, clock: Clock, silent_after: float) -> None:
        self._node = node
        self._guard = guard
        self._clock = clock
        self._silent_after = silent_after
        self._failures: OrderedDict[int, Failures] = OrderedDict()
        self._silent: set[int] = set()
        self._notifications: Counter[tuple[str, str]] = Counter()
        self._logged_failures, self._logged_silence = LogThrottle(clock), LogThrottle(clock)

    # --- notifications

    def notified(self, number: int, problem: str, outcome: str) -> None:
        """A notification was sent; `problem` says why that failed, empty where it did not."""
        subscription = self._node.registry.subscriptions.get(number)
        if subscription is not None:
            self._notifications[self._names(subscription)[0], outcome] += 1
        failures = self._failures.get(number)
        if not problem:
            if failures is not None:
                failures.in_a_row = 0
            return
        if failures is None:
            failures = self._failures[number] = Failures()
            if len(self._failures) > _KEPT:
                self._failures.popitem(last=False)
        if not failures.in_a_row:
            failures.since = self._clock.now()
        failures.count += 1
        failures.in_a_row += 1
        failures.last = problem
        if subscription is None or failures.in_a_row > 1:
            return
        endpoint = self._node.registry.endpoints.get(subscription.endpoint)
        if self._logged_failures.is_due("" if endpoint is None else _origin(endpoint.url)):
            user, end_user = self._names(subscription)
            log.warning(
                "facade: notifying subscription %(subscription)d of %(user)s as %(end_user)s failed: %(error)s",
                {"subscription": number, "user": user, "end_user": end_user, "error": problem},
                extra={"event": "facade.notification-failed"},
            )

    def look(self) -> None:
        """Log who has gone silent and who is heard of again, and forget what is gone."""
        registry = self._node.registry
        for number in [each for each in self._failures if each not in registry.subscriptions]:
            del self._failures[number]
        silent = {each.id for each in registry.subscriptions.values() if self.is_silent(each)}
        for number in silent - self._silent:
            user, end_user = self._names(registry.subscriptions[number])
            if not self._logged_silence.is_due(f"{user} {end_user}"):
                continue
            log.warning(
                "facade: %(user)s as %(end_user)s has gone silent: subscription %(subscription)d was notified "
                "%(seconds).0f s ago and has not been fetched since",
                {
                    "user": user,
                    "end_user": end_user,
                    "subscription": number,
                    "seconds": self._clock.monotonic() - (registry.subscriptions[number].notified or 0.0),
                },
                extra={"event": "facade.program-silent"},
            )
        for number in self._silent - silent:
            if number in registry.subscriptions:
                user, end_user = self._names(registry.subscriptions[number])
                log.info(
                    "facade: %(user)s as %(end_user)s fetches subscription %(subscription)d again",
                    {"user": user, "end_user": end_user, "subscription": number},
                    extra={"event": "facade.program-back"},
                )
        self._silent = silent
        self._guard.forget_gone()

    def is_silent(self, subscription: Subscription) -> bool:
        """Whether it was notified long ago and has not been fetched since."""
        at = subscription.notified
        return subscription.silent and at is not None and self._clock.monotonic() - at > self._silent_after

    # --- for the status

    def status(self, users: Iterable[str], most: int) -> ProgramsStatus:
        """All of them together, and the first `most`: those in trouble before the others."""
        failing = {number for number, failures in self._failures.items() if failures.in_a_row}
        silent_before = self._clock.monotonic() - self._silent_after
        census = Census.of(self._node.registry, users, failing, silent_before)
        return ProgramsStatus(
            census.silent,
            census.by_user(self._wall(0.0), self._notifications),
            [self._status(session) for session in census.first(most)],
            len(census.programs),
        )

    def _names(self, subscription: Subscription) -> tuple[str, str]:
        session = self._node.registry.sessions[subscription.session]
        return session.application_user, session.user

    def _status(self, session: Session) -> ProgramStatus:
        registry = self._node.registry
        subscriptions = tuple(self._subscription(each) for each in registry.subscriptions_of(session.key))
        application = session.key if session.application is None else session.application
        caller = self._guard.callers.get(session.key, Caller())
        fetches = [each.fetched_at for each in subscriptions if each.fetched_at is not None]
        return ProgramStatus(
            session.application_user,
            None if session.is_application else session.user,
            caller.address,
            caller.agent,
            self._wall(session.since),
            self._wall(session.used),
            max(fetches, default=None),
            len(registry.endpoints_of(application)),
            subscriptions,
            sum(each.notifications for each in subscriptions),
            sum(each.failed for each in subscriptions),
            any(each.silent for each in subscriptions),
        )

    def _subscription(self, subscription: Subscription) -> ProgramSubscription:
        endpoint = self._node.registry.endpoints.get(subscription.endpoint)
        failures = self._failures.get(subscription.id, Failures())
        return ProgramSubscription(
            subscription.id,
            len(subscription.contacts),
            len(subscription.pending),
            self._wall(subscription.expires),
            None if endpoint is None else _origin(endpoint.url),
            None if subscription.notified is None else self._wall(subscription.notified),
            None if subscription.fetched is None else self._wall(subscription.fetched),
            subscription.notifications,
            failures.count,
            failures.since if failures.in_a_row else None,
            failures.last if failures.in_a_row else None,
            self.is_silent(subscription),
        )

    def _wall(self, monotonic: float) -> float:
        return self._clock.now() + monotonic - self._clock.monotonic()


def _origin(url: str) -> str:
    """Scheme, host and port of a URL: its path may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
