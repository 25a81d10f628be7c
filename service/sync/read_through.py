"""Polls for requests that ask for something younger than what is known: one poll for many requests.

A request that comes while a poll is under way joins the next one: no answer is older than its request, and a thousand
requests at a time are two polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from service.core.engine import NotAvailable, RefreshReport


class ReadThrough:
    """Gathers contacts, and polls them together."""

    def __init__(self, poll: Callable[[Sequence[str]], Awaitable[RefreshReport]], patience: float = 30.0) -> None:
        self._poll = poll
        self._patience = patience
        self._gathered: set[str] = set()
        self._next: asyncio.Task[RefreshReport] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def read(self, contacts: Iterable[str]) -> RefreshReport:
        """Read these; the report is of all that were read together.

        Raises what the poll raises, and NotAvailable when it takes longer than `patience` seconds; the poll goes on.
        """
        self._gathered.update(contacts)
        if self._next is None:
            self._next = asyncio.create_task(self._run(), name="read through")
            self._next.add_done_callback(_heard)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(self._next)
        except TimeoutError:
            raise NotAvailable(f"the server did not answer within {self._patience:g} s") from None

    async def _run(self) -> RefreshReport:
        async with self._one_at_a_time:
            gathered, self._gathered = sorted(self._gathered), set()
            self._next = None
            patience = (
                2 * self._patience
            )  # longer than any request's: a poll that is broken off does not report a silent server
            try:
                async with asyncio.timeout(patience):
                    return await self._poll(gathered)
            except TimeoutError:
                raise NotAvailable(f"the server did not answer within {patience:g} s") from None


def _heard(poll: asyncio.Task[RefreshReport]) -> None:
    """The request may have given up before the poll failed; asyncio must not log that as an error of ours."""
    if not poll.cancelled():
        poll.exception()
