"""A service that streams what a test tells it to, over real sockets: what `pws watch` follows."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from aiohttp import web

from tests.cli.running import PATIENCE

LIVE = {"state": "live", "problems": [], "now": "2026-11-21T10:00:00.000Z"}
END = None


def contact(name: str = "ann", state: str = "AVAILABLE", **fields: object) -> dict[str, object]:
    """A contact as the service shows it."""
    return {
        "contact": f"{name}@example.com",
        "state": state,
        "activities": [state.lower()],
        "on_the_phone": False,
        "display_name": f"{name.title()} Example",
        "note": None,
        "idle": False,
        "devices": [{"id": "cmp-8001-162", "open": True, "audio": True, "video": False, "text": False}],
        "freshness": "live",
        "as_of": "2026-11-21T10:00:00.000Z",
        "changed_at": "2026-11-21T09:58:40.001Z",
        "source": "subscribed",
        "revision": 1,
        "available": state == "AVAILABLE",
        "reason": f"is {state}",
        "claim": None,
    } | fields


class Streaming:
    """`stream` is what each new stream begins with, in turn; `send` tells all that are open."""

    def __init__(self) -> None:
        self.status: Mapping[str, object] = LIVE
        self.summary: Mapping[str, object] = {"total": 1, "groups": {}}
        self.begin: list[bytes | web.Response] = []
        self.asked: list[web.Request] = []
        self.port = 0
        self._open: list[asyncio.Queue[bytes | None]] = []
        self._loop: asyncio.AbstractEventLoop
        self._runner: web.AppRunner

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def event(name: str, number: int, data: object) -> bytes:
        """An event as it travels."""
        return f"event: {name}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()

    @classmethod
    def snapshot(cls, *contacts: object, number: int = 10, reason: str = "start") -> bytes:
        data = {"contacts": contacts, "revision": number, "reason": reason}
        return b"retry: 1\n\n" + cls.event("snapshot", number, data)

    def send(self, *pieces: bytes | None) -> None:
        """To all streams; None ends them."""

        async def there() -> None:
            for queue in self._open:
                for piece in pieces:
                    queue.put_nowait(piece)

        asyncio.run_coroutine_threadsafe(there(), self._loop).result(PATIENCE)

    @property
    def headers(self) -> list[Mapping[str, str]]:
        """Of the requests for a stream."""
        return [request.headers for request in self.asked]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        begin = self.begin.pop(0) if self.begin else b"retry: 1\n\n"
        if isinstance(begin, web.Response):
            return begin
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await answer.prepare(request)
        await answer.write(begin)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._open.append(queue)
        try:
            with suppress(ConnectionError):
                while (piece := await queue.get()) is not None:
                    await answer.write(piece)
        finally:
            self._open.remove(queue)
        return answer

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen, in the running loop."""
        app = web.Application()
        app.router.add_get("/v1/events", self._events)
        app.router.add_get("/v1/status", self._told("status"))
        app.router.add_get("/v1/summary", self._told("summary"))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close everything."""
        for queue in self._open:
            queue.put_nowait(None)
        await self._runner.cleanup()
        for _ in range(10):  # connections that are being closed take some turns to be gone
            await asyncio.sleep(0)

    def _told(self, name: str) -> Any:  # aiohttp's handlers
        async def answer(_request: web.Request) -> web.Response:
            return web.json_response(getattr(self, name))

        return answer

    @contextmanager
    def threaded(self, tls: ssl.SSLContext | None = None) -> Iterator[Streaming]:
        """In a thread of its own."""
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        stop = asyncio.Event()

        async def serve() -> None:
            await self.start(tls=tls)
            started.set()
            await stop.wait()
            await self.stop()

        thread = threading.Thread(target=self._loop.run_until_complete, args=[serve()], daemon=True)
        thread.start()
        assert started.wait(PATIENCE)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            thread.join(PATIENCE)
            assert not thread.is_alive()
            self._loop.close()
