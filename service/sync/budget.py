"""The request budget: at most so many requests a second to one node, and renewals before fetches before polls.

It sits in the transport, so that it counts real requests: a subscription to 5000 contacts is fifty of them. It is also
where a request that has waited for its turn is asked for its right to be sent.
"""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum
from typing import Final

from pws_soap.transport import Reply, Transport
from service.core.clock import Clock
from service.core.meter import NO_METER, Meter
from service.core.rights import ALL_RIGHTS, Rights
from service.sync.needed_right import require


class Priority(IntEnum):
    """Who goes first."""

    @property
    def lane(self) -> str:
        """Its name in figures."""
        return self.name.lower()

    LIFECYCLE = 0
    """Logins, renewals, subscriptions: without them nothing else is worth asking."""
    FETCH = 1
    POLL = 2


_PRIORITIES: Final = {
    "getSubscribedPresence": Priority.FETCH,
    "getPolledPresence": Priority.POLL,
    "setPresence": Priority.POLL,  # the canary's
}


class RequestBudget:
    """A token bucket: `rate` requests a second, and at most `burst` at once after a pause."""

    def __init__(self, rate: float, clock: Clock, burst: int | None = None) -> None:
        self._rate = rate
        self._burst = float(burst if burst is not None else max(1, round(rate)))
        self._tokens = self._burst
        self._clock = clock
        self._filled = clock.monotonic()
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._order = 0
        self._opener: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"RequestBudget({self._rate:g}/s, {len(self._waiting)} waiting)"

    async def acquire(self, priority: Priority) -> float:
        """Wait for a turn; for how many seconds that was. A caller that is cancelled meanwhile takes none."""
        self._fill()
        if not self._waiting and self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        began = self._clock.monotonic()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiting, (priority, self._order, turn))
        if self._opener is None or self._opener.done():
            self._opener = asyncio.create_task(self._open(), name="request budget")
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the turn had come, and nothing will be sent on it
                self._tokens = min(self._burst, self._tokens + 1)
            raise
        return self._clock.monotonic() - began

    def _fill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now

    async def _open(self) -> None:
        while self._waiting:
            self._fill()
            if self._tokens < 1:
                await self._clock.sleep((1 - self._tokens) / self._rate + 1e-4)
                continue
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():  # its caller may have been cancelled
                self._tokens -= 1
                turn.set_result(None)


class BudgetedTransport:
    """A transport that waits for the budget before each request. Raises RightLost where it may not be sent by then."""

    def __init__(
        self, transport: Transport, budget: RequestBudget, meter: Meter = NO_METER, rights: Rights = ALL_RIGHTS
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._meter = meter
        self._rights = rights

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        await self._take(_PRIORITIES.get(operation, Priority.LIFECYCLE))
        require(self._rights, operation)
        return await self._transport.post(url, body, headers, operation=operation)

    async def get(self, url: str, *, operation: str) -> Reply:
        await self._take(Priority.LIFECYCLE)
        return await self._transport.get(url, operation=operation)

    async def close(self) -> None:
        await self._transport.close()

    async def _take(self, priority: Priority) -> None:
        waited = await self._budget.acquire(priority)
        self._meter.request_begins(priority.lane, waited)
