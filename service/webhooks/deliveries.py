"""All targets: each gets the events of the log, has a status, and can have events sent once more.

The log hands over events in its own turn, where nobody may be held up. So they are only put into a list there, and
handed to the targets some at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from service.core.events.commits import NotCommitted
from service.core.events.event import Event
from service.core.events.log import EventLog
from service.core.webhooks import EventsNotKept, NoSuchTarget, TargetStatus
from service.webhooks import message
from service.webhooks.leftovers import Leftovers
from service.webhooks.message import WebhookMessage
from service.webhooks.sender import Sender
from service.webhooks.settings import WebhookSettings
from service.webhooks.target import Surroundings, Target
from service.webhooks.view import TargetView

_SLICE: Final = 100
"""Events handed to the targets in one turn of the event loop."""
MOST_WAITING: Final = 100_000
"""Events that wait to be handed over; more of them are handed over at once, all of them."""
LAST_ANSWERS: Final = 1.0
"""Seconds after `let_go` for which answers to what is under way are waited for."""
LAST_WRITING: Final = 1.5
"""Seconds for which the end looks through what is undelivered. What it does not come to is lost with the process."""

Everybody = Callable[[], Awaitable[Sequence[Event]]]
"""Gives all contacts as they are, as changes in the order of their ids. Raises NotCommitted."""

log = logging.getLogger("pws.webhooks")


class Deliveries:
    """The targets of the configuration (`core.webhooks.Webhooks`). `connect` makes the way to one."""

    def __init__(
        self,
        targets: Iterable[tuple[WebhookSettings, TargetView]],
        events: EventLog,
        around: Surroundings,
        connect: Callable[[WebhookSettings], Sender],
        leftovers: Leftovers,
    ) -> None:
        self._events = events
        self._clock = around.clock
        self._leftovers = leftovers
        self._targets = {
            settings.name: Target(
                settings, view, connect(settings), around, partial(self._forget_earlier, settings.name)
            )
            for settings, view in targets
        }
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._handing: asyncio.Task[None] | None = None
        self._unfollow: Callable[[], None] = _nothing
        self._let_go_at: float | None = None
        self._is_preparing = False

    def __repr__(self) -> str:
        return f"<Deliveries to {', '.join(self._targets)}>"

    def status(self) -> Sequence[TargetStatus]:
        """See Webhooks."""
        return [target.status() for target in self._targets.values()]

    def replay(self, name: str, after: int) -> int:
        """See Webhooks."""
        target = self._targets.get(name)
        if target is None:
            raise NoSuchTarget(name, self._targets)
        self._hand_over(len(self._waiting))
        events = self._events.since(after)
        if events is None:
            raise EventsNotKept(after, self._events.floor, self._events.last)
        return target.replay(events)

    # --- its life

    def start(self, everybody: Everybody | None = None, begins: int | None = None) -> None:
        """Begin to send: first what an earlier run left, then all that happens from now on.

        `everybody`: what is known of all contacts already, which comes before that. `begins`: the id of the reset,
        where the newest event is one of an earlier run.
        """
        begins = self._events.last if begins is None else begins
        self._leftovers.clear(self._targets)
        at = self._clock.now()
        for name, target in self._targets.items():
            target.queue.restore(self._leftovers.of(name, target.view.digest), at)
            target.queue.begin(message.reset(begins, at))
        self._unfollow = self._events.follow(self._take)
        self._is_preparing = everybody is not None
        self._handing = asyncio.create_task(self._hand_over_for_ever(everybody), name="webhooks")
        for target in self._targets.values():
            target.start()

    def let_go(self) -> None:
        """The service is about to stop: begin nothing more."""
        if self._let_go_at is None:
            self._let_go_at = self._clock.monotonic()
        for target in self._targets.values():
            target.let_go()

    async def rest(self) -> None:
        """Begin nothing more, and wait for the answers that are to come. What happens is still to be kept."""
        self.let_go()
        gone = 0.0 if self._let_go_at is None else self._clock.monotonic() - self._let_go_at
        await asyncio.gather(*(each.stop(max(0.0, LAST_ANSWERS - gone)) for each in self._targets.values()))

    async def stop(self) -> None:
        """Send nothing more; keep what is undelivered, or log that it is lost."""
        self.let_go()
        self._unfollow()
        if self._handing is not None:
            self._handing.cancel()
            await asyncio.gather(self._handing, return_exceptions=True)
        self._hand_over(len(self._waiting))
        await self.rest()
        deadline = self._clock.monotonic() + LAST_WRITING
        for target in self._targets.values():
            await self._keep(target, deadline)

    async def abandon(self) -> None:
        """End at once, and keep nothing: somebody else begins anew, and tells everybody."""
        self.let_go()
        self._unfollow()
        if self._handing is not None:
            self._handing.cancel()
            await asyncio.gather(self._handing, return_exceptions=True)
        await asyncio.gather(*(each.stop(0.0) for each in self._targets.values()))

    # --- inside

    def _take(self, events: Sequence[Event]) -> None:
        self._waiting.extend(events)
        if len(self._waiting) > MOST_WAITING and not self._is_preparing:
            self._hand_over(len(self._waiting))
        self._arrived.set()

    async def _hand_over_for_ever(self, everybody: Everybody | None) -> None:
        while everybody is not None:
            try:
                known = await everybody()
            except NotCommitted:  # nobody may be told yet
                await self._clock.sleep(1.0)
                continue
            # What has happened meanwhile is newer, or says the same.
            self._waiting = deque(sorted([*known, *self._waiting], key=_id))
            self._is_preparing, everybody = False, None
            self._arrived.set()
        while True:
            await self._arrived.wait()
            self._hand_over(_SLICE)
            if not self._waiting:
                self._arrived.clear()
            await asyncio.sleep(0)

    def _hand_over(self, most: int) -> None:
        events = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        for target in self._targets.values() if events else ():
            try:
                target.offer(events)
            except Exception:  # a bug must not cost the other targets an event
                log.exception("unexpected error, going on", extra={"event": "internal.error"})

    async def _forget_earlier(self, name: str) -> None:
        self._leftovers.forget(name)
        await self._leftovers.settle()

    async def _keep(self, target: Target, deadline: float) -> None:
        messages: list[WebhookMessage] = []
        left = 0
        for entry in tuple(target.queue.entries()):
            if self._clock.monotonic() > deadline:
                left += 1
                continue
            messages += target.undelivered([entry])
            if len(messages) % _SLICE == 0:
                await asyncio.sleep(0)
        name = target.settings.name
        kept = await self._leftovers.keep(name, target.view.digest, messages)
        if messages or left:
            log.warning(
                "webhook %(target)s: %(messages)d messages are undelivered; the next run sends %(kept)d of them",
                {"target": name, "messages": len(messages) + left, "kept": kept},
                extra={"event": "webhook.undelivered"},
            )


def _id(event: Event) -> int:
    return event.id


def _nothing() -> None:
    """Nothing is followed."""
