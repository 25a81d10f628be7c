"""What a stranger's connection may cost: a head without an end, a request that never comes whole, lines in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest

from service.runtime.http_protocol import MAX_HEAD, LimitedHttpConnection
from tests.support.listeners import apart, running

_START = b"GET /v1 HTTP/1.1\r\nHost: x\r\n"


async def flooded(port: int, start: bytes, piece: bytes) -> bytes:
    """Send `start`, then `piece` again and again until the other side has had enough; what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    sent = 0
    try:
        while sent < 64 * MAX_HEAD and not reader.at_eof():
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert sent < 64 * MAX_HEAD, "it took everything"
    except ConnectionError:
        pass
    try:
        return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        pytest.param(_START + b"X-Long: ", b"a" * 8192, id="a value without an end"),
        pytest.param(_START, b"X-One: more\r\n" * 500, id="headers without an end"),
        pytest.param(b"GET /", b"a" * 8192, id="a path without an end"),
        pytest.param(
            b"POST /v1/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
            b"a" * 8192,
            id="a trailer without an end",
        ),
    ],
)
async def test_a_head_without_an_end_is_cut_off_on_either_listener(start: bytes, piece: bytes) -> None:
    office, callback = apart()
    async with running(office, callback) as ports:
        for port in ports:
            said = await flooded(port, start, piece)
            assert said == b"reset" or said.startswith(b"HTTP/1.1 4")


async def test_a_long_head_within_the_bound_and_a_body_in_small_pieces_are_taken() -> None:
    office, _ = apart()
    async with running(office, None) as (port,):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"contacts": ["new@example.com"]}' + b" " * (2 * MAX_HEAD)
        writer.write(b"POST /v1/contacts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        writer.write(b"X-Long: " + b"a" * (MAX_HEAD // 2) + b"\r\n")
        writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
        for at in range(0, len(body), 4096):
            writer.write(body[at : at + 4096])
            await writer.drain()
            await asyncio.sleep(0)
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "begun", [b"", b"GET /v1", _START, b"POST /v1/refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_request_that_never_comes_whole_loses_its_connection(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedHttpConnection, "patience", 0.05)
    office, _ = apart()
    async with running(office, None) as (port,):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        async with asyncio.timeout(5):
            assert not (await reader.read()).startswith(b"HTTP/1.1 2")
        writer.close()


async def test_who_waits_for_an_answer_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is whole, so that its patience is over; the answer is not."""
    monkeypatch.setattr(LimitedHttpConnection, "patience", 0.02)
    office, _ = apart()
    async with running(office, None) as (port,):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/presence HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        writer.write(b"Prefer: wait=300\r\nConnection: close\r\n\r\n")
        # Somebody else's patience ends at the same port, one that came later: so this one's has ended long ago.
        late, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(b"GET /v1")
        await late.read()
        other.close()
        office.core.log.close()
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_what_a_stranger_sends_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    office, _ = apart()
    async with running(office, None) as (port,):
        for request in (
            b"no HTTP at all\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            assert (await reader.read(12)).startswith(b"HTTP/1.1 ")
            writer.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
