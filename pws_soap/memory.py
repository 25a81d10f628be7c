"""A transport without sockets: scripted replies, and a record of the requests.

For tests, ours and those of programs that use this library. It is scripted with data, or with a function that replies,
such as a simulator in the same process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from pws_soap.errors import PwsError
from pws_soap.transport import Reply


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request as it would have gone out."""

    method: str
    url: str
    body: bytes = field(repr=False)
    headers: dict[str, str]
    operation: str


Answer = Reply | PwsError | bytes
"""A reply, the bytes of one with status 200, or an error to raise."""


class MemoryTransport:
    """A transport that replies with `answers`, one after the other, or by a function of the request.

    A request beyond the last answer raises AssertionError, so that a test cannot miss it.
    """

    def __init__(self, answers: Iterable[Answer] | Callable[[SentRequest], Awaitable[Answer]] = ()) -> None:
        self._function = answers if callable(answers) else None
        self._answers = iter(()) if callable(answers) else iter(answers)
        self.sent: list[SentRequest] = []
        self.closed = False

    def __repr__(self) -> str:
        return f"MemoryTransport({len(self.sent)} sent)"

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        return await self._answer(SentRequest("POST", url, body, headers, operation))

    async def get(self, url: str, *, operation: str) -> Reply:
        return await self._answer(SentRequest("GET", url, b"", {}, operation))

    async def close(self) -> None:
        self.closed = True

    async def _answer(self, sent: SentRequest) -> Reply:
        self.sent.append(sent)
        if self._function is not None:
            answer = await self._function(sent)
        else:
            try:
                answer = next(self._answers)
            except StopIteration:
                raise AssertionError(f"{sent.operation}: no answer is left for it") from None
        if isinstance(answer, PwsError):
            raise answer
        return Reply(200, answer) if isinstance(answer, bytes) else answer
