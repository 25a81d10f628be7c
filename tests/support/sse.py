"""Reads server-sent events, and follows a stream of an ASGI program without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from tests.support import described


@dataclass(frozen=True)
class Sse:
    """An event; `data` is its JSON. A comment has the name ":"."""

    name: str
    id: str
    data: Any  # tests look into it as they like

    @property
    def revision(self) -> int:
        """The number that the id begins with."""
        return int(self.id.partition(".")[0])


class Reader:
    """Takes bytes in any pieces, and gives whole events. Each is held to its schema in `/openapi.json`."""

    def __init__(self) -> None:
        self._left = b""
        self.retry: int | None = None
        self.last_id = ""

    def feed(self, piece: bytes) -> list[Sse]:
        """The events that are whole now."""
        *whole, self._left = (self._left + piece).split(b"\n\n")
        return [event for block in whole if (event := self._read(block.decode("ascii"))) is not None]

    def _read(self, block: str) -> Sse | None:
        name, data = "message", ""
        for line in block.split("\n"):
            if line.startswith(":"):
                return Sse(":", self.last_id, line[1:].strip())
            field, _, value = line.partition(": ")
            if field == "retry":
                self.retry = int(value)
                return None
            assert field in {"event", "id", "data"}, line
            if field == "event":
                name = value
            elif field == "id":
                self.last_id = value
            else:
                data += value
        event = Sse(name, self.last_id, json.loads(data))
        described.hold(event.name, event.id, event.data)
        return event


class Listener:
    """A client of one stream. `reading` is a gate: closed, it takes nothing, as a client that does not read."""

    def __init__(self, app: ASGIApp, target: str = "/v1/events", **headers: str) -> None:
        self._app = app
        self._target = target
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._gone = asyncio.Event()
        self._running: asyncio.Future[None]
        self._asked = False
        self._reader = Reader()
        self._arrived = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.events: list[Sse] = []
        self.ended = False
        self.pieces: list[int] = []
        """The length of each piece that came."""

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    def forget(self) -> None:
        """It ended with an error, which the test has seen."""
        self._running = asyncio.get_running_loop().create_future()
        self._running.set_result(None)

    async def leave(self) -> None:
        """The connection breaks."""
        self._gone.set()
        await self._running

    async def finished(self) -> Self:
        """Wait until the program has nothing more to say."""
        await self._running
        return self

    async def until(self, enough: Callable[[list[Sse]], bool]) -> list[Sse]:
        """Wait for events; all that came so far."""
        async with asyncio.timeout(30):  # only where a test fails
            while not enough(self.events):
                assert not self._running.done(), f"it ended with {self.status} after {self.events}"
                self._arrived.clear()
                await self._arrived.wait()
        return self.events

    async def take(self, count: int) -> list[Sse]:
        """Wait for so many events; those, which are forgotten then."""
        await self.until(lambda events: len(events) >= count)
        taken, self.events = self.events[:count], self.events[count:]
        return taken

    async def silence(self, turns: int = 20) -> None:
        """Nothing comes, whatever the event loop has to do."""
        before = len(self.events)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert len(self.events) == before, self.events[before:]

    async def _run(self) -> None:
        path, _, query = self._target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8080")]
            + [(name.lower().encode(), value.encode()) for name, value in self._headers.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8080),
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = _decoded(message["headers"])
            return
        body = message.get("body", b"")
        self.pieces.append(len(body))
        if self.headers["content-type"].startswith("text/event-stream"):
            self.events += self._reader.feed(body)
        else:
            self.body += body
        self.ended = not message.get("more_body", False)
        self._arrived.set()

    @property
    def retry(self) -> int | None:
        """What the stream said about coming again, in milliseconds."""
        return self._reader.retry


def _decoded(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in headers}


class Board:
    """What a client that follows a stream knows: each contact as it was last told of."""

    def __init__(self) -> None:
        self.contacts: dict[str, Any] = {}
        self.ids: list[str] = []
        self._revision = 0

    def take(self, event: Sse) -> None:
        """Learn from an event. Ids ascend, and a contact never goes back; nobody is removed whom it does not know."""
        if event.name == ":":
            return
        assert self._revision < event.revision or event.name == "snapshot", (self.ids, event)
        self.ids.append(event.id)
        self._revision = event.revision
        if event.name == "snapshot":
            self.contacts = {each["contact"]: each for each in event.data["contacts"]}
        elif event.name == "change":
            known = self.contacts.get(event.data["contact"])
            assert known is None or known["revision"] <= event.data["revision"], (known, event)
            assert known != event.data, "told twice"
            self.contacts[event.data["contact"]] = event.data
        elif event.name == "removed":
            del self.contacts[event.data["contact"]]

    @property
    def last_id(self) -> str:
        """To resume from."""
        return self.ids[-1]
