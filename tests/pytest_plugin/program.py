"""A small program that watches ann and joe, for the recipes of docs/pytest.md: it heals what they break.

It fetches when it is notified and every 0.2 seconds, polls where it may not subscribe, and begins anew at the next node
when a call fails.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Self

from pws_soap import Fault, PwsClient, PwsError

CONTACTS: Final = ["ann@example.com", "joe@example.com"]
PAUSE: Final = 0.2
"""Seconds between two fetches that nobody asked for."""


class Program:
    """Runs in a thread for as long as the `with` lasts."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = nodes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        notified = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\r\n\r\n")
                notified.set()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
            callback = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/pws"
            turn = 0
            while not self._stop.is_set():
                async with PwsClient(self._nodes[turn % len(self._nodes)]) as pws:
                    try:
                        await self._watch(pws, callback, notified)
                    except PwsError:
                        turn += 1
                        await asyncio.sleep(PAUSE / 10)

    async def _watch(self, pws: PwsClient, callback: str, notified: asyncio.Event) -> None:
        app = await pws.login("pwsapp", "secret")
        user = await pws.login_end_user(app, "dispatcher")
        endpoint = await pws.register_endpoint(app, callback, expires=3600)
        subscription = None
        try:
            subscription = await pws.subscribe(user, endpoint, CONTACTS, expires=3600)
        except Fault as fault:
            if fault.code != 211:
                raise
        while not self._stop.is_set():
            notified.clear()
            if subscription is None:
                await pws.get_polled_presence(user, CONTACTS)
            else:
                await pws.get_subscribed_presence(user, subscription)
            with suppress(TimeoutError):
                await asyncio.wait_for(notified.wait(), PAUSE)
