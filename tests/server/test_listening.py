"""A server that stops to listen in each of the turns that a connection takes to be made."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from pws_soap.listening import TURNS, stopped_listening
from tests.support import accepting
from tests.support.ports import free_port


@dataclass
class Counted(asyncio.Protocol):
    """A connection that says hello."""

    made: list[asyncio.Transport] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.made.append(transport)
        transport.write(b"hello")
        transport.close()


async def closed(server: asyncio.Server) -> None:
    """As asyncio does it."""
    server.close()
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def heard(turns: int, stop: Callable[[asyncio.Server], Awaitable[None]]) -> tuple[bytes | None, int, int]:
    """What a client hears that has connected so many turns before the stop, None where nobody has accepted it; how many
    connections were accepted, and how many made."""
    connections: list[Counted] = []

    def came() -> Counted:
        connections.append(Counted())
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(came, "127.0.0.1", 0)
    with socket.socket() as client:
        client.connect(server.sockets[0].getsockname())
        for _ in range(turns):
            await asyncio.sleep(0)
        await stop(server)
        client.settimeout(30)
        said: bytes | None = None
        with contextlib.suppress(ConnectionResetError):
            said = client.recv(10)
    return said, len(connections), sum(len(each.made) for each in connections)


@pytest.mark.parametrize("turns", range(6))
async def test_each_connection_that_was_accepted_is_made(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    """With asyncio as it is, without the precaution of the other tests."""
    monkeypatch.setattr(BaseSelectorEventLoop, "_accept_connection2", accepting._accept)
    said, accepted, made = await heard(turns, stopped_listening)
    assert said in {None, b"hello"}
    assert accepted == made == (said is not None)


@pytest.mark.parametrize("turns", range(6))
async def test_what_the_precaution_of_tests_does(turns: int) -> None:
    """A client hears of the end where asyncio would leave its socket open."""
    said, accepted, made = await heard(turns, closed)
    assert said in {None, b"", b"hello"}
    assert accepted == made == (said == b"hello")


async def test_nobody_can_connect_as_soon_as_it_is_called() -> None:
    port = free_port()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    stopping = asyncio.ensure_future(stopped_listening(server))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    await stopping
    again = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    await stopped_listening(again)
    assert not again.sockets
