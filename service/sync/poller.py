"""Polls what is in doubt, the sweep and the heartbeat, and takes replies in.

Only what a subscription carries can stay true. Whatever else a reply names stays in doubt.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from pws_soap import lifecycle
from pws_soap.errors import PwsError, UnexpectedReply
from pws_soap.lifecycle import Failure, FailureKind, failure_of
from pws_soap.models import MAX_CONTACTS_PER_REQUEST, Presence, same_contact
from service.core.meter import ReadKind
from service.core.presence.records import PutReport, ReadingStart, Source
from service.core.tracing import current_trace
from service.core.wakeup import in_turns
from service.sync.fetch_context import FetchContext
from service.sync.schedule import retry_pause
from service.sync.silence import Silence
from service.sync.subscriptions import TrackedSubscription

log = logging.getLogger("pws.fetch")


@dataclass(slots=True)
class _Checks:
    """The fetches of a node's subscriptions that its failing calls have led to, since all of them last succeeded."""

    rounds: int = 0
    due: float = 0.0
    """Before then none is begun."""


class Poller:
    """Reads contacts with getPolledPresence through the sessions of the subscriptions."""

    def __init__(self, context: FetchContext, silence: Silence) -> None:
        self._settings, self._subscriptions, self._driver = context.settings, context.subscriptions, context.driver
        self._store, self._inbox, self._clock = context.store, context.inbox, context.clock
        self._silence = silence
        self._meter = context.meter
        self._random = random.Random()  # noqa: S311  # spreads retries, guards nothing
        self._checks: defaultdict[str, _Checks] = defaultdict(_Checks)  # by node

    async def poll(self, tracked: TrackedSubscription, contacts: Iterable[str]) -> PutReport:
        """Read these contacts with getPolledPresence, through the session of a subscription. Raises PwsError."""
        contacts = list(contacts)
        reading = self._store.begin()
        self._subscriptions.counters.polls += 1
        try:
            client = self._driver.client(tracked.key.node)
            rich = tracked.key.user in self._settings.rich
            presences = await client.get_polled_presence(tracked.subscription.session, contacts, rich=rich)
        except PwsError as error:
            self.report(tracked, failure_of(error), session=True)
            raise
        self.report(tracked, None)
        asked = set(map(same_contact, contacts))
        answers = [each for each in presences if same_contact(each.contact) in asked]
        self._subscriptions.counters.unattributed += len(presences) - len(answers)
        if contacts and not answers:
            raise UnexpectedReply("the reply names nobody who was asked for", operation="getPolledPresence")
        report = await in_turns(self.take_in_steps(tracked, answers, reading, Source.POLLED))
        log.debug(
            "%(feed)s: %(contacts)d polled, %(changed)d changed",
            {"feed": tracked.feed, "contacts": len(contacts), "changed": len(report.changes)},
            extra={"event": "poll.done"},
        )
        return report

    def take_in_steps(
        self, tracked: TrackedSubscription, presences: Sequence[Presence], reading: ReadingStart, source: Source
    ) -> Generator[None, None, PutReport]:
        """Take a reply in; see `Store.put_in_steps`.

        What this subscription does not carry was true just now, and no notification ends that: it is in doubt from the
        first step on, and for that reason after the last one, whatever the reply says of it.
        """
        others = self._others(tracked, presences)
        self._doubt(others)
        report = yield from self._store.put_in_steps(presences, reading, source=source)
        self._doubt(others)
        return report

    def _others(self, tracked: TrackedSubscription, presences: Sequence[Presence]) -> list[str]:
        """The contacts of a reply that the subscription does not carry, or that are not read through it."""
        if presences is tracked.attributed:
            return []
        feed = self._store.keys(tracked.feed)
        names = [each.contact for each in presences]
        if tracked.subscription.contacts.issuperset(names) and all(map(feed.__contains__, names)):  # nearly always
            return []
        return [
            each.contact
            for each in presences
            if not (same_contact(each.contact) in feed and tracked.carries(each.contact))
        ]

    def _doubt(self, others: Sequence[str]) -> None:
        if others:
            self._store.doubt_contacts(others, "no subscription carries it yet")

    def unsettled(self, tracked: TrackedSubscription) -> list[str]:
        """What must be read again: in doubt, and in the subscription, so that what is read stays true."""
        return list(filter(tracked.carries, self._store.unsettled(tracked.feed)))

    def has_unsettled(self, tracked: TrackedSubscription) -> bool:
        """Whether there is any of those. It is asked at every turn, of every subscription."""
        return tracked.carries_any(self._store.unsettled_keys(tracked.feed))

    async def read_again(self, tracked: TrackedSubscription) -> None:
        """Poll what is in doubt, then what the sweep has left, in lists as long as a request may be."""
        try:
            doubtful = self.unsettled(tracked)
            for start in range(0, len(doubtful), MAX_CONTACTS_PER_REQUEST):
                await self.poll(tracked, doubtful[start : start + MAX_CONTACTS_PER_REQUEST])
            while tracked.sweep_left:
                report = await self.poll(tracked, tracked.sweep_left[:MAX_CONTACTS_PER_REQUEST])
                del tracked.sweep_left[:MAX_CONTACTS_PER_REQUEST]
                if report.changes and not tracked.announced:
                    self._subscriptions.counters.drift += len(report.changes)
                    log.warning(
                        "%(feed)s: a sweep found %(contacts)d contacts that differ from what was known",
                        {"feed": tracked.feed, "contacts": len(report.changes)},
                        extra={"event": "sweep.drift"},
                    )
                if not tracked.sweep_left:
                    tracked.sweep_due = self._clock.monotonic() + self._settings.reconcile_interval
            # A document that stays unreadable is polled ever more slowly.
            tracked.poll_failures = tracked.poll_failures + 1 if self.has_unsettled(tracked) else 0
            tracked.poll_error = None
        except PwsError as error:
            if tracked.poll_error is None:
                tracked.polls_failing_since = self._clock.monotonic()
            tracked.poll_failures += 1
            tracked.poll_error = str(error)
        finally:
            pause = self.pause(tracked.poll_failures) if tracked.poll_failures else 0.0
            tracked.poll_due = self._clock.monotonic() + pause
            tracked.polling = False

    async def heartbeat(self, tracked: TrackedSubscription) -> None:
        """Ask the server for one contact, each in its turn: is it there at all? Any other answer does as well."""
        contacts = sorted(tracked.subscription.contacts)
        tracked.heartbeats += 1
        try:
            if contacts:
                report = await self.poll(tracked, [contacts[tracked.heartbeats % len(contacts)]])
                self._silence.suspect(tracked, report)
        except PwsError as error:
            tracked.last_error = str(error)
        finally:
            tracked.heartbeat_due = self._clock.monotonic() + self._settings.heartbeat_interval
            tracked.polling = False

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return retry_pause(failures, self._random.random())

    def report(
        self, tracked: TrackedSubscription, failure: Failure | None, *, session: bool = False, consumes: bool = False
    ) -> None:
        """Tell the lifecycle how a call through this subscription, or through its session alone, ended.

        `consumes`: it was one that takes changes along.
        """
        ended = ("", None) if failure is None else (failure.kind, failure.code)
        self._meter.read_ended(ReadKind.FETCH if consumes else ReadKind.POLL, *ended)
        if failure is None:
            self._answered(tracked.key.node)
        elif failure.kind in {FailureKind.UNREACHABLE, FailureKind.UNKNOWN_OUTCOME}:
            self._check(tracked.key.node)
        if session and failure is not None and failure.kind is FailureKind.SUBSCRIPTION_LOST:
            failure = Failure(FailureKind.SERVER, failure.text, failure.code)
        live = tracked.subscription
        reported = lifecycle.CallReported(
            live.key, live.generation, failure, consumes=consumes, session=live.session_generation
        )
        self._driver.post(reported)

    def _answered(self, node: str) -> None:
        """A call to this node has succeeded."""
        there = [tracked for tracked in self._subscriptions if tracked.key.node == node]
        for tracked in there:
            tracked.heartbeat_due = self._clock.monotonic() + self._settings.heartbeat_interval
        if not any(tracked.fails for tracked in there):
            self._checks.pop(node, None)

    def _check(self, node: str) -> None:
        """A call to this node has failed. A fetch finds out at once whether it answers, and what cannot be confirmed is
        no longer called live. The fetch may succeed and lead to the next call that fails: so these fetches have pauses
        of their own, which grow until nothing fails any more."""
        now = self._clock.monotonic()
        checks = self._checks[node]
        at_once = checks.due <= now
        if at_once:
            checks.rounds += 1
            checks.due = now + self.pause(checks.rounds)
        for tracked in self._subscriptions:
            if tracked.key.node != node or tracked.fetch_failures:
                continue
            if at_once:
                self._inbox.mark(tracked.ref.id, tracked.ref.node, current_trace())
            else:
                tracked.fetch_due = min(tracked.fetch_due, checks.due)
        self._subscriptions.wake()
