"""No socket outlives the commands' HTTP client, whatever the other side does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import trustme
from aiohttp import AddrInfoType

from service.cli.shared.api import Api, ServiceAddress
from service.cli.shared.sockets import Sockets

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def silent(directory: Path, answer: bytes) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server over TLS that answers one request, and neither reads nor writes any more.

    Its port, and what is set once the request is there.
    """
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    authority.issue_cert("127.0.0.1").configure_cert(context)
    accepted: list[asyncio.StreamWriter] = []
    asked = asyncio.Event()

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        writer.write(answer)
        await writer.drain()
        cast("asyncio.Transport", writer.transport).pause_reading()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
        for writer in accepted:
            writer.transport.abort()
        await asyncio.sleep(0)


class Kept(Sockets):
    """Remembers every socket that was made."""

    def __init__(self) -> None:
        super().__init__()
        self.every: list[socket.socket] = []

    def make(self, address: AddrInfoType) -> socket.socket:
        self.every.append(super().make(address))
        return self.every[-1]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    sockets = Kept()
    monkeypatch.setattr("service.cli.shared.api.Sockets", lambda: sockets)
    return sockets


async def test_a_stream_over_tls_that_is_left_is_closed_without_the_servers_goodbye(kept: Kept, tmp_path: Path) -> None:
    async with silent(tmp_path, HEAD + b"5\r\n: a\n\n\r\n") as (port, _):
        api = Api(ServiceAddress(f"https://127.0.0.1:{port}", None, tmp_path / "ca.pem"))
        async with api.events([]) as pieces:
            assert await anext(pieces) == b": a\n\n"
        assert [each.fileno() >= 0 for each in kept.every] == [True], "it waits for the server's goodbye"
        await api.close()
        assert [each.fileno() for each in kept.every] == [-1]


async def test_a_request_over_tls_that_is_cancelled_is_closed_too(kept: Kept, tmp_path: Path) -> None:
    async with silent(tmp_path, b"") as (port, asked):
        api = Api(ServiceAddress(f"https://127.0.0.1:{port}", None, tmp_path / "ca.pem"))
        asking = asyncio.create_task(api.get("/v1/status"))
        await asked.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert [each.fileno() >= 0 for each in kept.every] == [True]
        await api.close()
        assert [each.fileno() for each in kept.every] == [-1]
