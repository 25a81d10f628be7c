"""What one replica asks another over HTTP, and the way there as the one that asks sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

RawHeaders = Sequence[tuple[bytes, bytes]]


class PeerRequest(NamedTuple):
    """A request as it is passed on. `target`: path and query, escaped."""

    method: str
    target: str
    headers: RawHeaders
    body: bytes


class PeerReply(NamedTuple):
    """The other replica's answer."""

    status: int
    headers: RawHeaders
    body: AsyncIterator[bytes]


class PeerUnreachable(Exception):
    """No answer came. `may_have_acted`: the request may have been carried out."""

    def __init__(self, message: str, *, may_have_acted: bool) -> None:
        self.may_have_acted = may_have_acted
        super().__init__(message)


class Peers(Protocol):
    """The way to other replicas."""

    def ask(self, address: str, request: PeerRequest) -> AbstractAsyncContextManager[PeerReply]:
        """Send a request to the API at `address`. Raises PeerUnreachable. Leaving it hangs up."""
        ...

    async def close(self) -> None:
        """Let the connections go."""
        ...
