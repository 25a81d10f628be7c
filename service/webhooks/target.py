"""One target: sends what waits, so much at once, and leaves it alone when it fails.

While it takes messages, several are under way at once. After a failure one alone is, and another follows only after a
pause, which grows. A success ends that. Failures alone for `give_up_after` seconds park it, and so does the status 410:
nothing is sent any more until a replay or the next start, but what happens is still kept as the queue keeps it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from service.core.clock import Clock
from service.core.events.event import (
    CHANGE,
    REMOVED,
    WEBHOOK_PARKED,
    WEBHOOK_RECOVERED,
    Event,
    EventData,
    WebhookChange,
)
from service.core.meter import Meter, WebhookOutcome
from service.core.presence.snapshot import GroupedSnapshot
from service.core.wakeup import Alarm
from service.core.webhooks import Attempt, TargetState, TargetStatus
from service.webhooks import message
from service.webhooks.lanes import Entry
from service.webhooks.message import WebhookMessage
from service.webhooks.queue import TargetQueue
from service.webhooks.retries import MOST_A_SECOND, Dice, Pace, pause, retry_after
from service.webhooks.sender import PostResult, Sender
from service.webhooks.settings import WebhookSettings
from service.webhooks.subjects import subject_of
from service.webhooks.view import TargetView

MOST_ATTEMPTS: Final = 50
"""Attempts that are kept for the status."""
MOST_REFUSALS: Final = 5
"""Refusals of one message that holds up all others, after which it is given up; the reset only if others are taken."""
_GONE: Final = 410
_NOT_NOW: Final = frozenset({401, 403, 404, 405, 407, 408, 409, 421, 423, 425, 429})
"""Statuses from 400 on that say something of the target, or of the moment, rather than of the message."""
_SLICE: Final = 50
"""Messages that are looked at in one turn of the event loop."""

log = logging.getLogger("pws.webhooks")

Tell = Callable[[str, EventData, Iterable[str]], None]
"""Puts an event into the event log; last the keys of the contacts that it is about."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all targets share.

    `source` is the URI of the service, `dice` decides pauses, `a_second` how many messages each target gets at most.
    """

    clock: Clock
    source: str
    meter: Meter
    dice: Dice
    tell: Tell
    a_second: float = MOST_A_SECOND


class Target:
    """One target. `forget_earlier` is called once nothing is left of an earlier run, before anything new is sent."""

    def __init__(
        self,
        settings: WebhookSettings,
        view: TargetView,
        sender: Sender,
        around: Surroundings,
        forget_earlier: Callable[[], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.view = view
        self.queue = TargetQueue(settings.max_queued)
        self._sender = sender
        self._around = around
        self._clock = around.clock
        self._forget_earlier = forget_earlier
        self._woken = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None
        self._closing = False
        self._state = TargetState.DELIVERING
        self._state_since = self._clock.now()
        self._failures = 0
        self._failing_since: float | None = None
        self._failed_at = 0.0
        """When the last attempt failed that counts: those that began before it say nothing new."""
        self._not_before = 0.0
        self._pace = Pace(around.a_second)
        self._was_parked = False
        self._delivered = self._failed = 0
        self._last_success_at: float | None = None
        self._last_error: str | None = None
        self._attempts: deque[Attempt] = deque(maxlen=MOST_ATTEMPTS)

    def __repr__(self) -> str:
        return f"<Target {self.settings.name} {self._state}, {len(self.queue)} queued>"

    # --- what happens

    def offer(self, events: Sequence[Event]) -> None:
        """Queue those that the target is to get."""
        now = self._clock.monotonic()
        for event in self.view.concerning(events):
            if event.key is None:
                if self._wants(event):
                    self.queue.put_other(event, now)
            elif self._wants_contacts and (self.queue.is_waiting(event.key) or self._shown(event) is not None):
                self.queue.put_contact(event, now)
        self._woken.set()

    def replay(self, events: Sequence[Event]) -> int:
        """Queue these once more, of each contact the last; how many messages that makes. A parked target is tried."""
        now, wall = self._clock.monotonic(), self._clock.now()
        last: dict[str, Event] = {}
        witnesses: dict[str, GroupedSnapshot] = {}
        others: list[Event] = []
        for event in self.view.concerning(events):
            if event.key is None:
                others += [event] if self._wants(event) else []
            elif self._wants_contacts:
                last[event.key] = event
                if event.key not in witnesses and (shown := self._shown(event)) is not None:
                    witnesses[event.key] = shown
        for key, witness in witnesses.items():
            self.queue.put_contact_again(last[key], witness, wall, now)
        count = len(witnesses) + self.queue.put_others_again(others, wall, now)
        if self._state is TargetState.PARKED:
            self._failing_since, self._not_before, self._failures = now, now, 1
            self.queue.try_again(now)
            self._change(TargetState.RETRYING)
        self._woken.set()
        return count

    def status(self) -> TargetStatus:
        """How it is doing."""
        settings, waits = self.settings, self._state is TargetState.RETRYING
        behind = self._not_before - self._clock.monotonic()
        return TargetStatus(
            settings.name,
            settings.address,
            self._state,
            self._state_since,
            events=tuple(sorted(settings.events)),
            queued=len(self.queue),
            oldest_queued_at=self.queue.oldest_since,
            delivered=self._delivered,
            failed=self._failed,
            coalesced=self.queue.coalesced,
            dropped=self.queue.dropped,
            last_success_at=self._last_success_at,
            next_attempt_at=self._clock.now() + max(0.0, behind) if waits and len(self.queue) else None,
            last_error=self._last_error,
            attempts=tuple(reversed(self._attempts)),
        )

    # --- its life

    def start(self) -> None:
        """Begin to send."""
        self._running = asyncio.create_task(self._run(), name=f"webhook {self.settings.name}")

    def let_go(self) -> None:
        """Begin no further attempt."""
        self._closing = True
        self._woken.set()

    async def stop(self, seconds: float) -> None:
        """Wait so long for the answers that are to come; what has none by then is undelivered."""
        self.let_go()
        if self._sending:
            waiting = asyncio.ensure_future(asyncio.wait(set(self._sending)))
            sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            sleeping.cancel()
        tasks = [*self._sending, *([] if self._running is None else [self._running])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()

    def undelivered(self, entries: Iterable[Entry]) -> Iterable[WebhookMessage]:
        """What some of the queue's entries are as messages; those that say nothing new are left out."""
        return (found for entry in entries if (found := self._message(entry)) is not None)

    # --- inside

    @property
    def _wants_contacts(self) -> bool:
        return self.settings.wants(CHANGE) or self.settings.wants(REMOVED)

    def _wants(self, event: Event) -> bool:
        is_own = isinstance(event.data, WebhookChange) and event.data.target == self.settings.name
        return self.settings.wants(event.name) and not is_own

    def _shown(self, event: Event) -> GroupedSnapshot | None:
        """The contact as it is or was, where that passes the filter."""
        for snapshot in (event.after, event.before):
            if snapshot is not None and self.view.shows(snapshot):
                return snapshot
        return None

    async def _run(self) -> None:
        alarm = Alarm(self._woken, self._clock)
        try:
            while not self._closing:
                self._woken.clear()
                try:
                    due = await self._begin_some()
                except Exception:
                    log.exception("unexpected error, going on", extra={"event": "internal.error"})
                    due = self._clock.monotonic() + 1.0
                alarm.set(due)
                await self._woken.wait()
        finally:
            alarm.cancel()

    async def _begin_some(self) -> float | None:
        """Begin what may be begun; when to look again, if nothing happens until then."""
        looked = 0
        while not self._closing and self._state is not TargetState.PARKED:
            if self.queue.is_restoring and self.queue.is_done_with_earlier:
                await self._forget_earlier()
                self.queue.restored()
            now = self._clock.monotonic()
            if len(self._sending) >= (1 if self._failures else self.settings.parallel):
                return None
            begin = max(self._not_before, self._pace.due(now))
            if now < begin:
                return begin
            entry = self.queue.take(now)
            if entry is None:
                return self.queue.next_due(now)
            try:
                found = self._message(entry)
            except Exception:  # a bug must not cost this contact all that follows, nor others their turn
                entry.failures += 1
                self.queue.failed(entry, now + pause(entry.failures, self._around.dice), now)
                raise
            if found is None:
                self.queue.unchanged(entry, now)
                self._has_nothing_left()
            else:
                self._pace.begin(now)
                sending = asyncio.create_task(self._attempt(entry, found), name=f"webhook {self.settings.name}")
                self._sending.add(sending)
                sending.add_done_callback(self._ended)
            looked += 1
            if looked % _SLICE == 0:
                await asyncio.sleep(0)
        return None

    def _ended(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        self._woken.set()

    def _message(self, entry: Entry) -> WebhookMessage | None:
        """What is sent of an entry; None where there is nothing to say."""
        if entry.message is not None:
            return entry.message
        event = entry.event
        if event is None:
            return None
        rendered = self.view.render(event, None if entry.unsure else entry.known)
        if rendered is None and entry.unsure and entry.witness is not None:
            rendered = self.view.render(event, entry.witness)
        if rendered is None or not self.settings.wants(rendered.kind):
            return None
        contact = subject = None
        if event.key is None:
            subject = subject_of(event) if self.settings.details else None
        else:
            snapshot = event.after or event.before
            contact = event.key if snapshot is None else snapshot.contact.record.contact
        return WebhookMessage(event.id, rendered.kind, event.at.wall, message.raw(rendered.data), contact, subject)

    async def _attempt(self, entry: Entry, sent: WebhookMessage) -> None:
        settings, clock = self.settings, self._clock
        began, at = clock.monotonic(), clock.now()
        entry.attempts += 1
        entry.begun = began if entry.begun is None else entry.begun
        try:
            prepared = message.written(sent, settings.name, self._around.source)
            reply = await self._sender.post(prepared.body, message.signed(prepared, settings.secrets, at))
        except asyncio.CancelledError:
            self.queue.failed(entry, 0.0, clock.monotonic(), sent.kind)
            raise
        except Exception as error:
            log.exception("unexpected error, going on", extra={"event": "internal.error"})
            reply = PostResult(error=f"a bug of ours: {type(error).__name__}", may_have_arrived=False)
        now = clock.monotonic()
        attempt = Attempt(
            at,
            sent.webhook_id(settings.name),
            sent.kind,
            entry.attempts,
            max(0.0, now - began),
            sent.contact,
            reply.status,
            reply.error,
        )
        self._attempts.append(attempt)
        outcome = WebhookOutcome.DELIVERED if attempt.succeeded else WebhookOutcome.REFUSED
        outcome = WebhookOutcome.UNANSWERED if reply.status is None else outcome
        self._around.meter.webhook_attempted(settings.name, outcome, attempt.seconds)
        if attempt.succeeded:
            self.queue.delivered(entry, now)
            self._succeeded(began)
        else:
            is_in_doubt = self._note_failure(entry, sent, reply, entry.begun)
            self._fail(reply, began)
            may_follow = self._state is TargetState.RETRYING and reply.retry_after is None
            if is_in_doubt and may_follow and self.queue.pass_reset(now):
                self._not_before = now  # long after, it might take the one because it takes everything again

    def _note_failure(self, entry: Entry, sent: WebhookMessage, reply: PostResult, begun: float) -> bool:
        """Put the message back, or give it up where the target takes others and will never take this one.

        Returns whether another one has to show if it takes others.
        """
        now, wall = self._clock.monotonic(), self._clock.now()
        is_refused = reply.status is not None and 400 <= reply.status < 500 and reply.status not in _NOT_NOW
        is_for_good = is_refused and reply.status != _GONE
        is_up = not self._failures  # others are taken
        is_old = now - begun >= self.settings.give_up_after
        is_alone, is_in_doubt = self.queue.is_only(entry), False
        if self.queue.is_earlier(entry):
            is_lost = is_for_good and entry.attempts >= MOST_REFUSALS
        elif self.queue.is_reset(entry):
            is_lost, is_in_doubt = False, is_for_good and entry.attempts >= MOST_REFUSALS
        else:
            is_lost = is_old and (is_up or (is_for_good and is_alone))
        if is_lost:
            if is_alone:  # what says that it is lost is the next to be tried
                self._failing_since = None
            log.warning(
                "webhook %(target)s refuses message %(webhook_id)s for good (%(error)s): it is given up",
                {
                    "target": self.settings.name,
                    "webhook_id": sent.webhook_id(self.settings.name),
                    "error": reply.error,
                },
                extra={"event": "webhook.given-up"},
            )
            self.queue.give_up(entry, wall, now)
            return False
        if entry.others != self._delivered:  # else the target fails, which has a pause of its own
            entry.failures, entry.others = entry.failures + 1, self._delivered
        due = now + pause(entry.failures, self._around.dice)
        self.queue.failed(entry, due, now, sent.kind if reply.may_have_arrived else None)
        return is_in_doubt

    def _succeeded(self, began: float) -> None:
        self._delivered += 1
        self._last_success_at = self._clock.now()
        if not self._failures and self._state is TargetState.DELIVERING:
            return
        if began < self._failed_at:  # it says nothing of how the target is since; Retry-After may have come meanwhile
            return
        self._failures, self._failing_since, self._not_before = 0, None, 0.0
        self._change(TargetState.DELIVERING)
        log.info(
            "webhook %(target)s takes messages again; %(queued)d wait",
            {"target": self.settings.name, "queued": len(self.queue)},
            extra={"event": "webhook.recovered"},
        )
        if self._was_parked:
            self._was_parked = False
            self._around.tell(WEBHOOK_RECOVERED, WebhookChange(self.settings.name), ())

    def _has_nothing_left(self) -> None:
        """What failed was undone, so that there is nothing to try again: the next failure is the first of others.

        A target that was parked has to take a message first.
        """
        if not len(self.queue) and self._state is TargetState.RETRYING and not self._was_parked:
            self._failures, self._failing_since, self._not_before = 0, None, 0.0
            self._change(TargetState.DELIVERING)

    def _fail(self, reply: PostResult, began: float) -> None:
        settings, now = self.settings, self._clock.monotonic()
        self._failed += 1
        self._last_error = reply.error
        if self._failing_since is None:
            self._failing_since = began
        if self._state is TargetState.DELIVERING:
            self._change(TargetState.RETRYING)
            log.warning(
                "webhook %(target)s does not take messages: %(error)s",
                {"target": settings.name, "error": reply.error},
                extra={"event": "webhook.failing"},
            )
        if began >= self._failed_at:
            self._failures += 1
            self._failed_at = now
        asked = retry_after(reply.retry_after, self._clock.now()) or 0.0
        self._not_before = max(self._not_before, now + max(asked, pause(self._failures, self._around.dice)))
        if self._state is TargetState.PARKED:
            return
        if reply.status == _GONE:
            self._park(f"it answered {reply.error}")
        elif now - self._failing_since >= settings.give_up_after:
            self._park(f"it has failed for {settings.give_up_after:g} s; last: {reply.error}")

    def _park(self, reason: str) -> None:
        self._change(TargetState.PARKED)
        self._was_parked = True
        log.warning(
            "webhook %(target)s is parked: %(reason)s. %(queued)d messages wait for a replay or a restart",
            {"target": self.settings.name, "reason": reason, "queued": len(self.queue)},
            extra={"event": "webhook.parked"},
        )
        self._around.tell(WEBHOOK_PARKED, WebhookChange(self.settings.name, reason), ())

    def _change(self, state: TargetState) -> None:
        self._state, self._state_since = state, self._clock.now()
