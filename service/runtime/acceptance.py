"""How much of what was offered to the engine it has accepted, and who waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from service.core.clock import Clock
from service.core.events.commits import NotCommitted

PATIENCE: Final = 3.0
"""Seconds that anybody waits for something to be accepted, as a client for its claim: as long as a lease lasts."""


class Acceptance:
    """Counts what is offered in order, and accepted in the same."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offered = self._accepted = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    def __repr__(self) -> str:
        return f"<Acceptance: {self._accepted} of {self._offered}>"

    def offered(self, count: int) -> None:
        """So many more wait."""
        self._offered += count

    def accepted(self, count: int, problem: str | None = None) -> None:
        """So many more are accepted. With a `problem` who waits for them is told that they do not count."""
        self._accepted += count
        while self._waiters and self._waiters[0][0] <= self._accepted:
            _, answer = self._waiters.popleft()
            if answer.done():
                continue
            if problem is None:
                answer.set_result(None)
            else:
                answer.set_exception(NotCommitted(problem))

    def end(self) -> None:
        """Nothing that waits is accepted any more."""
        self._accepted = self._offered
        waiters, self._waiters = self._waiters, deque()
        for _, answer in waiters:
            if not answer.done():
                answer.set_exception(NotCommitted("the tenure is over"))

    async def reached(self) -> bool:
        """Wait until all that was offered so far is accepted, for `PATIENCE` seconds at most; whether it is. Raises
        NotCommitted where it never will be."""
        if self._accepted == self._offered:
            return True
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._offered, answer))
        limit = asyncio.ensure_future(self._clock.sleep(PATIENCE))
        try:
            await asyncio.wait({answer, limit}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
            return answer.done()
        finally:
            limit.cancel()
            answer.cancel()
