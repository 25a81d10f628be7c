"""Replicas that reach each other without sockets, and a client whose connection stays open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from service.runtime.peer_requests import PeerReply, PeerRequest, PeerUnreachable
from tests.support.asgi import Answer


class Client:
    """One request of a client that stays until it hangs up."""

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        client: str = "192.0.2.7",
    ) -> None:
        path, _, query = target.partition("?")
        given = {"host": "127.0.0.1:8080", **(headers or {})}
        self.scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given.items()],
            "client": (client, 50000),
            "server": ("127.0.0.1", 8080),
        }
        if body:
            self.scope["headers"].append((b"content-length", str(len(body)).encode()))
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._began = asyncio.Event()
        self.sent: list[Message] = []

    def hang_up(self) -> None:
        """Close the connection."""
        self._gone.set()

    async def receive(self) -> Message:
        """What the server reads."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What the server writes."""
        self.sent.append(message)
        self._began.set()

    async def ask(self, app: ASGIApp) -> Answer | None:
        """The answer; None: there was none."""
        await app(self.scope, self.receive, self.send)
        if not self.sent:
            return None
        start = self.sent[0]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in self.sent[1:]))


class MemoryPeers:
    """Programs by address. Those in `cut` cannot be reached; those in `stalled` take a request and never answer."""

    def __init__(self, programs: dict[str, ASGIApp], cut: set[str], stalled: set[str]) -> None:
        self._programs = programs
        self._cut = cut
        self._stalled = stalled

    @asynccontextmanager
    async def ask(self, address: str, request: PeerRequest) -> AsyncIterator[PeerReply]:
        """See Peers."""
        if address in self._cut or address not in self._programs:
            raise PeerUnreachable(f"{address} takes no connection", may_have_acted=False)
        if address in self._stalled:
            await asyncio.Event().wait()
        client = Client(request.method, request.target, body=request.body, client="192.0.2.1")
        length = [each for each in client.scope["headers"] if each[0] == b"content-length"]
        client.scope["headers"] = [*request.headers, *length]
        asking = asyncio.create_task(client.ask(self._programs[address]))
        try:
            answer = await asyncio.shield(asking)
            if address in self._cut or answer is None:
                raise PeerUnreachable("the connection broke", may_have_acted=True)
            yield PeerReply(answer.status, client.sent[0]["headers"], _in_parts(answer.body))
        finally:
            client.hang_up()
            await asyncio.gather(asking, return_exceptions=True)

    async def close(self) -> None:
        """Nothing is open."""


async def _in_parts(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]
