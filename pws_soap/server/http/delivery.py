"""Sends notifications to their endpoints in the background: one GET each.

Whether a notification arrives changes nothing at the node: its latch is closed when the notification is made.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable

from pws_soap.server.messages import Notification
from pws_soap.server.ports import NotificationRoute, Notify, send_once


class Delivery:
    """Sends notifications as tasks of the running event loop; `drain` waits for them, `aclose` drops them."""

    def __init__(
        self,
        notify: Notify | None,
        *,
        tries: int = 1,
        route: NotificationRoute = send_once,
        counts: Counter[str] | None = None,
    ) -> None:
        self.notify = notify
        """How a notification is sent; with None each one counts as failed."""
        self._tries = tries
        self._route = route
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts = counts if counts is not None else Counter()
        """Notifications `sent` and `failed`, and what the route counts."""
        self.on_outcome: Callable[[Notification, bool], None] | None = None
        """Called after the last try of a notification, with whether it was answered with success."""

    def post(self, notifications: Iterable[Notification]) -> None:
        """Send notifications in the background."""
        for notification in notifications:
            if self.notify is None:
                self._count(notification, sent=False)
            else:
                self._spawn(self.send(notification))

    async def send(self, notification: Notification) -> None:
        """Send one notification, by the route."""
        await self._route(notification, self._get)

    async def drain(self) -> None:
        """Wait until every notification has been sent or has failed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Drop the notifications that are on their way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _get(self, notification: Notification) -> None:
        if self.notify is None:
            return
        for _ in range(self._tries):
            try:
                if await self.notify(notification.url):
                    self._count(notification, sent=True)
                    return
            except OSError:  # a time-out is one as well
                pass
        self._count(notification, sent=False)

    def _count(self, notification: Notification, *, sent: bool) -> None:
        self.counts["sent" if sent else "failed"] += 1
        if self.on_outcome is not None:
            self.on_outcome(notification, sent)
