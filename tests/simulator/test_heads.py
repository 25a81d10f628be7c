"""The heads of HTTP requests: another protocol is asked for, a head is too long, a body is not the one announced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pws_soap.http_protocol import MAX_HEAD
from pws_soap.server.http.app import SoapApp
from pws_soap.simulator import Simulator, SimulatorServer
from tests.support.soap_by_hand import ANN, PATH, envelope, login, request

UPGRADES = [
    pytest.param(
        (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), id="h2c"
    ),
    pytest.param((b"Connection: Upgrade", b"Upgrade: websocket"), id="websocket"),
    pytest.param((b"Upgrade: TLS/1.0", b"Connection: keep-alive, upgrade"), id="tls"),
]


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    """A node with Ann, and its control interface."""
    async with SimulatorServer(seed=1) as server:
        server.simulator.populate(1)
        yield server


def port_of(server: SimulatorServer, which: str) -> int:
    """The port of the node, or that of the control interface."""
    return server.nodes[0].port if which == "soap" else int(server.control_url.rpartition(":")[2])


async def said_to(port: int, *pieces: bytes) -> bytes:
    """What is answered to one request that is sent in pieces."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return head + await reader.readexactly(length)
    finally:
        writer.close()


@pytest.mark.parametrize("headers", UPGRADES)
async def test_a_request_that_asks_for_another_protocol_is_read_whole(
    server: SimulatorServer, headers: tuple[bytes, ...]
) -> None:
    """Java's client and `curl --http2` send it with every request; it may be ignored (RFC 9110, 7.8)."""
    soap, control = port_of(server, "soap"), port_of(server, "control")
    message = request(envelope(login()), *headers)
    assert b"session-key>" in await said_to(soap, message)
    assert b"session-key>" in await said_to(soap, message[:60], message[60:-20], message[-20:])
    await said_to(control, request(b'{"state": "AWAY"}', *headers, method=b"PUT", path=f"/control/contacts/{ANN}"))
    assert server.simulator.world.get(ANN).state == "AWAY"
    body = b'{"user": "nobody"}'
    killed = await said_to(control, request(body, *headers, path="/control/sessions/kill"))
    assert killed.endswith(b'{"killed":0}'), "every session was ended"


async def test_an_upgrade_counts_as_one_request_of_its_connection(server: SimulatorServer) -> None:
    """The connection is closed after the hundredth request, not after the fiftieth."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server, "soap"))
    try:
        for number in range(1, 101):
            writer.write(request(envelope(login()), b"Connection: Upgrade", b"Upgrade: h2c"))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert (b"connection: close" in head.lower()) is (number == 100)
    finally:
        writer.close()


@pytest.mark.parametrize("which", ["soap", "control"])
@pytest.mark.parametrize("start", [b"", b"X: "], ids=["many", "one"])
async def test_a_head_without_an_end_is_refused(server: SimulatorServer, which: str, start: bytes) -> None:
    """It would fill the memory, and the parser copies an unfinished header with each piece that arrives."""
    piece = b"a" * 4096 if start else b"".join(b"X-%d: 1\r\n" % number for number in range(400))
    pieces = [b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: imp\r\n" + start, *[piece] * (MAX_HEAD // len(piece) + 1)]
    assert (await said_to(port_of(server, which), *pieces)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("which", ["soap", "control"])
async def test_the_bound_of_a_head_does_not_depend_on_its_pieces(server: SimulatorServer, which: str) -> None:
    """Neither does a body behind such a head become a request."""
    port = port_of(server, which)
    long = request(envelope(login()), b"X: " + b"a" * MAX_HEAD, path=PATH if which == "soap" else "/control/faults")
    assert (await said_to(port, long)).startswith(b"HTTP/1.1 431 ")
    near = request(envelope(login()), b"X: " + b"a" * (MAX_HEAD - 1000))
    if which == "soap":
        assert (await said_to(port, near)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_of_another_length_than_announced_is_refused() -> None:
    """Whatever server hands the request over: it is not carried out as one without a body."""
    simulator = Simulator(seed=1)
    sent: list[dict[str, Any]] = []
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": [(b"content-length", b"500")]
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await SoapApp(simulator.place("imp1").service)(scope, receive, send)
    assert b"<code>150</code>" in sent[1]["body"]
    assert b"Its Content-Length is 500, and 0 bytes were read." in sent[1]["body"]
    await simulator.aclose()
