"""A listener that is closed at any moment of a connection, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pws_soap.server.http.listener import HttpConnection, Listener

HOST = "127.0.0.1"
REQUEST = b"GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:  # as ASGI has it
    """Says yes to everybody."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


async def asked(port: int) -> bytes:
    """What a client hears until its connection ends."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(REQUEST)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_connection_that_was_accepted_as_the_listener_closed_is_broken() -> None:
    """It is not among the connections yet. One that comes after the listener was opened again is answered."""
    accepted: list[HttpConnection] = []

    class Accepted(HttpConnection):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            if not accepted:  # the next turn tells it that it is connected
                asyncio.get_running_loop().call_soon(listener.close)
            accepted.append(self)

    listener = Listener(answer, HOST, 0, connections=Accepted)
    await listener.open()
    assert await asked(listener.port) == b""
    await listener.open()
    assert b"yes" in await asked(listener.port)
    await listener.aclose()
    assert all(connection.gone.is_set() for connection in accepted)
