"""Reading presence for certain: polls of what is in doubt, the sweep, the heartbeat, and taking replies in.

Only what a subscription carries can stay true. Whatever else a reply tells of stays in doubt.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping

from pws_soap import lifecycle
from pws_soap.errors import PwsError, UnexpectedReply
from pws_soap.lifecycle import Failure, FailureKind, Key, failure_of
from pws_soap.models import MAX_CONTACTS_PER_REQUEST, Presence, same_contact
from service.core.clock import Clock
from service.core.presence.records import PutReport, ReadingStart, Source
from service.core.presence.store import Store
from service.sync.driver import LifecycleDriver
from service.sync.inbox import Inbox
from service.sync.silence import Silence
from service.sync.subscriptions import FetcherCounters, FetchSettings, TrackedSubscription

log = logging.getLogger("pws.fetch")

_RETRY_FIRST = 0.5
_RETRY_MOST = 30.0


class Poller:
    """Reads contacts through the lines of the pump, whose `lines` and `counters` it shares."""

    def __init__(
        self,
        settings: FetchSettings,
        keeper: LifecycleDriver,
        store: Store,
        inbox: Inbox,
        clock: Clock,
        lines: Mapping[Key, TrackedSubscription],
        counters: FetcherCounters,
        silence: Silence,
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._lines = lines
        self._counters = counters
        self._silence = silence
        self._wake = wake
        self._random = random.Random()  # noqa: S311  # spreads retries, guards nothing

    async def poll(self, line: TrackedSubscription, contacts: Iterable[str]) -> PutReport:
        """Read these contacts with getPolledPresence, through the session of a subscription. Raises PwsError."""
        contacts = list(contacts)
        reading = self._store.begin()
        self._counters.polls += 1
        try:
            client = self._keeper.client(line.live.key.node)
            rich = line.live.key.user in self._settings.rich
            presences = await client.get_polled_presence(line.live.session, contacts, rich=rich)
        except PwsError as error:
            self.report(line, failure_of(error), session=True)
            raise
        self.report(line, None)
        asked = set(map(same_contact, contacts))
        answers = [each for each in presences if same_contact(each.contact) in asked]
        self._counters.unattributed += len(presences) - len(answers)
        if contacts and not answers:
            raise UnexpectedReply("the reply tells of nobody who was asked for", operation="getPolledPresence")
        return self.take(line, answers, reading, Source.POLLED)

    def take(
        self, line: TrackedSubscription, presences: list[Presence], reading: ReadingStart, source: Source
    ) -> PutReport:
        """Take a reply in. What this subscription does not carry was true just now, and nobody tells when that ends."""
        report = self._store.put(presences, reading, source=source)
        mine = self._mine(line)
        others = [each.contact for each in presences if same_contact(each.contact) not in mine]
        if others:
            self._store.doubt_contacts(others, "no subscription carries it yet")
        return report

    def _mine(self, line: TrackedSubscription) -> set[str]:
        """The contacts that a subscription carries and that are read through it."""
        found = set()
        for contact in line.live.contacts:
            record = self._store.get(contact)
            if record is not None and record.feed == line.feed:
                found.add(record.key)
        return found

    def unsettled(self, line: TrackedSubscription) -> list[str]:
        """What must be read again: in doubt, and in the subscription, so that what is read stays true."""
        unsettled = self._store.unsettled(line.feed)
        if not unsettled:
            return []
        mine = {same_contact(contact) for contact in line.live.contacts}
        return [contact for contact in unsettled if same_contact(contact) in mine]

    async def read_again(self, line: TrackedSubscription) -> None:
        """Poll what is in doubt, then what the sweep has left, in lists as long as a request may be."""
        try:
            doubtful = self.unsettled(line)
            for start in range(0, len(doubtful), MAX_CONTACTS_PER_REQUEST):
                await self.poll(line, doubtful[start : start + MAX_CONTACTS_PER_REQUEST])
            while line.sweep_left:
                report = await self.poll(line, line.sweep_left[:MAX_CONTACTS_PER_REQUEST])
                del line.sweep_left[:MAX_CONTACTS_PER_REQUEST]
                if report.changes and line.sweep_counts and not line.announced:
                    self._counters.drift += len(report.changes)
                    log.warning("%s: %d contacts differed from polled presence", line.feed, len(report.changes))
                if not line.sweep_left:
                    line.sweep_due = self._clock.monotonic() + self._settings.reconcile_interval
            # A document that stays unreadable is polled ever more slowly.
            line.poll_failures = line.poll_failures + 1 if self.unsettled(line) else 0
            line.poll_error = None
        except PwsError as error:
            if line.poll_error is None:
                line.polls_failing_since = self._clock.monotonic()
            line.poll_failures += 1
            line.poll_error = str(error)
        finally:
            pause = self.pause(line.poll_failures) if line.poll_failures else 0.0
            line.poll_due = self._clock.monotonic() + pause
            line.polling = False

    async def beat(self, line: TrackedSubscription) -> None:
        """Ask the server for one contact, each in its turn: is it there at all? Any other answer does as well."""
        contacts = sorted(line.live.contacts)
        line.beats += 1
        try:
            if contacts:
                report = await self.poll(line, [contacts[line.beats % len(contacts)]])
                self._silence.suspect(line, report)
        except PwsError as error:
            line.last_error = str(error)
        finally:
            line.beat_due = self._clock.monotonic() + self._settings.heartbeat_interval
            line.polling = False

    def pause(self, failures: int) -> float:
        full = min(_RETRY_MOST, _RETRY_FIRST * 2.0 ** min(failures - 1, 10))
        return full * (0.5 + 0.5 * self._random.random())

    def report(
        self, line: TrackedSubscription, failure: Failure | None, *, session: bool = False, consumes: bool = False
    ) -> None:
        """Tell the lifecycle how a call through this subscription, or through its session alone, ended.

        `consumes`: it was one that takes changes along.
        """
        key = line.live.key
        now = self._clock.monotonic()
        for other in self._lines.values():
            if other.live.key.node != key.node:
                continue
            if failure is None:
                other.beat_due = now + self._settings.heartbeat_interval
            elif failure.trouble in {FailureKind.UNREACHABLE, FailureKind.UNKNOWN_OUTCOME} and not other.fetch_failures:
                # A fetch finds out at once, and what cannot be confirmed is no longer called live.
                self._inbox.mark(other.ref.id, other.ref.node)
                self._wake()
        if session and failure is not None and failure.trouble is FailureKind.SUBSCRIPTION_LOST:
            failure = Failure(FailureKind.SERVER, failure.text, failure.code)
        live = line.live
        used = lifecycle.CallReported(
            live.key, live.generation, failure, consumes=consumes, session=live.session_generation
        )
        self._keeper.post(used)
