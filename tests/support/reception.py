"""The claims' routes without sockets: keys for several clients, requests that wait, and clients that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Message

from pws_soap.models import Secret
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of, new_key
from service.access.principal import Principal, Scope
from service.access.stream_slots import ConnectionSlots
from service.api.app import create_app
from tests.support.asgi import Answer
from tests.support.branch import Branch
from tests.support.fake_engine import FakeEngine

_EVERYTHING: Final = frozenset(Scope)
_USUAL: Final = frozenset({Scope.READ, Scope.CLAIM})
PRINCIPALS: Final = {
    each.name: each
    for each in (
        Principal("boss", _EVERYTHING),
        Principal("joe", _USUAL),
        Principal("rita", _USUAL),
        Principal("board", frozenset({Scope.READ})),
        Principal("sales", _USUAL, frozenset({"sales"})),
        Principal("shy", _USUAL, None, details=False),
    )
}
KEYS: Final = {name: new_key().reveal() for name in PRINCIPALS}


@dataclass
class Call:
    """A request under way. `leave` breaks its connection off."""

    answering: asyncio.Task[Answer]
    left: asyncio.Event

    def leave(self) -> None:
        self.left.set()

    async def answer(self) -> Answer:
        return await asyncio.wait_for(self.answering, 30)

    @property
    def waits(self) -> bool:
        return not self.answering.done()


@dataclass
class Reception(Branch):
    """A branch with its HTTP program. Requests are those of `joe` where nobody else is named."""

    slots: ConnectionSlots = field(default_factory=ConnectionSlots)

    def __post_init__(self) -> None:
        super().__post_init__()
        ring = KeyRing((hash_of(KEYS[name]), principal) for name, principal in PRINCIPALS.items())
        authenticator = self.authenticator = Authenticator(self.slots, AccessRules(keys=ring, anonymous=None))
        secret = Secret("a-secret-path-of-the-tests")
        self.app = create_app(FakeEngine(), self.core, callback_secret=secret, version="1", authenticator=authenticator)

    def call(
        self, method: str, target: str, body: object = None, who: str = "joe", headers: Mapping[str, str] | None = None
    ) -> Call:
        """Send a request, whose connection stays."""
        left = asyncio.Event()
        return Call(asyncio.create_task(self._call(method, target, body, who, headers or {}, left)), left)

    async def send(
        self, method: str, target: str, body: object = None, who: str = "joe", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, and take the answer."""
        return await self.call(method, target, body, who, headers).answer()

    async def post(self, body: object, who: str = "joe", **headers: str) -> Answer:
        """Claim; `idempotency_key="..."` sets that header."""
        return await self.send("POST", "/v1/claims", body, who, {k.replace("_", "-"): v for k, v in headers.items()})

    async def _call(
        self, method: str, target: str, body: object, who: str, headers: Mapping[str, str], left: asyncio.Event
    ) -> Answer:
        content = json.dumps(body).encode() if body is not None else b""
        sent = {"authorization": f"Bearer {KEYS[who]}", "host": "127.0.0.1", **headers}
        if body is not None:
            sent |= {"content-type": "application/json", "content-length": str(len(content))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": target,
            "raw_path": target.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8080),
        }
        incoming: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
        outgoing: list[Message] = []

        async def receive() -> Message:
            if incoming:
                return incoming.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            outgoing.append(message)

        await self.app(scope, receive, send)
        got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in outgoing[0]["headers"]}
        return Answer(outgoing[0]["status"], got, b"".join(each.get("body", b"") for each in outgoing[1:]))


async def until(check: Callable[[], object]) -> None:
    """Let others go on until it is so. A part of each request runs in a thread, so that turns cannot be counted."""
    async with asyncio.timeout(30):
        while not check():  # noqa: ASYNC110  # there is no event for most of what is waited for
            await asyncio.sleep(0.001)
