"""The limit of streams, and a peer: one change written to all connections that are open.

Settings: `app` is "write", a loop over `transport.write` and nothing else, or "sse-starlette", a queue for each client.

    {"do": "learn", "begin": TEXT, "frame": TEXT}   what a connection gets first, and what a change is
    {"do": "change", "times": 1}                    write it to all; `at`: the clock before
    {"do": "memory"}                                the resident set in bytes
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol, cast

from benchmarks.rows.programs import control
from service.runtime.server import listen, serve

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


class Streams(Protocol):
    """What both have in common."""

    def learn(self, begin: str, frame: str) -> None:
        """What is sent."""
        ...

    def change(self) -> None:
        """Send the frame to all."""
        ...


class Written(asyncio.Protocol):
    """A connection that is written to."""

    def __init__(self, server: WrittenStreams) -> None:
        self._server = server
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(self._server.begin)
            self._server.transports.append(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._transport in self._server.transports:
            self._server.transports.remove(self._transport)


class WrittenStreams:
    """All of them."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []
        self.begin = self._frame = b""

    def learn(self, begin: str, frame: str) -> None:
        """What is sent, in chunks as HTTP has them."""
        self.begin, self._frame = _HEAD.encode() + _chunk(begin), _chunk(frame)

    def change(self) -> None:
        """Write it to all."""
        for transport in self.transports:
            transport.write(self._frame)


def _chunk(text: str) -> bytes:
    data = text.encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


class Queued:
    """sse-starlette, as its page shows it: each client's events come from a queue of its own."""

    def __init__(self) -> None:
        from sse_starlette.sse import EventSourceResponse
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.routing import Route

        self._queues: set[asyncio.Queue[str]] = set()
        self._begin = self._frame = ""

        async def events(_request: Request) -> EventSourceResponse:
            async def told() -> AsyncIterator[dict[str, str]]:
                queue: asyncio.Queue[str] = asyncio.Queue()
                self._queues.add(queue)
                try:
                    yield {"event": "snapshot", "data": self._begin}
                    while True:
                        yield {"event": "change", "data": await queue.get()}
                finally:
                    self._queues.discard(queue)

            return EventSourceResponse(told(), sep="\n")

        self.app = Starlette(routes=[Route("/v1/events", events)])

    def learn(self, begin: str, frame: str) -> None:
        """Only the data: sse-starlette writes the rest."""
        self._begin, self._frame = _data(begin), _data(frame)

    def change(self) -> None:
        """Put it into every queue."""
        for queue in self._queues:
            queue.put_nowait(self._frame)


def _data(text: str) -> str:
    return next(line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: "))


async def main() -> None:
    """Serve, and obey."""
    is_written = json.loads(sys.argv[1])["app"] == "write"
    streams: WrittenStreams | Queued = WrittenStreams() if is_written else Queued()

    async def learn(words: dict[str, Any]) -> object:
        streams.learn(words["begin"], words["frame"])
        gc.collect()
        gc.freeze()
        return "learnt"

    async def change(_words: dict[str, Any]) -> object:
        at = time.monotonic()
        streams.change()
        return {"at": at}

    async def memory(_words: dict[str, Any]) -> object:
        return control.resident()

    listening, stop = listen("127.0.0.1", 0), asyncio.Event()
    port = listening.getsockname()[1]
    commands = {"learn": learn, "change": change, "memory": memory}
    if isinstance(streams, WrittenStreams):
        written = streams
        server = await asyncio.get_running_loop().create_server(lambda: Written(written), sock=listening)
        await control.obey(commands, {"port": port})
        server.close()
        for transport in list(streams.transports):
            transport.abort()
        return
    serving = asyncio.create_task(serve(streams.app, listening, stop))
    try:
        await control.obey(commands, {"port": port})
    finally:
        stop.set()
        await serving


if __name__ == "__main__":
    control.run(main())
