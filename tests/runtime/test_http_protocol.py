"""What a stranger's connection may cost: a head without an end, a request that never comes whole, lines in the log."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from pws_soap.http_protocol import MAX_HEAD
from service.runtime.http_protocol import LimitedHttpConnection
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
        async with asyncio.timeout(60):
            assert not (await reader.read()).startswith(b"HTTP/1.1 2")
        writer.close()


async def test_who_waits_for_an_answer_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is whole, so that its patience is over; the answer is not."""
    monkeypatch.setattr(LimitedHttpConnection, "patience", 0.02)
    office, _ = apart()
    async with running(office, None) as (port,):
        # The whole request is there before the server sees the connection: its patience cannot end in between.
        asking = socket.create_connection(("127.0.0.1", port))
        asking.sendall(b"GET /v1/presence HTTP/1.1\r\nHost: 127.0.0.1\r\nPrefer: wait=300\r\nConnection: close\r\n\r\n")
        reader, writer = await asyncio.open_connection(sock=asking)
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


async def said_to(port: int, *pieces: bytes) -> bytes:
    """All that is answered to what is sent in pieces."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    return answer


_UPGRADES = [
    pytest.param(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", id="h2c"),
    *(
        pytest.param(headers, id=name, marks=pytest.mark.long(ci=True))
        for name, headers in (
            ("two Connection headers", b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"),
            ("websocket", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
            ("upper case", b"CONNECTION: UPGRADE\r\nUPGRADE: TLS/1.0\r\n"),
            ("none", b""),
        )
    ),
]
_BODY = b'{"contacts": ["ann@example.com"]}'
_ADD = b"POST /v1/contacts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_LAST = b"GET /v1/contacts HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("upgrade", _UPGRADES)
@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_counts_whatever_upgrade_says(upgrade: bytes, size: int, chunked: bool) -> None:
    """However it comes in pieces, and so does the next request on the connection."""
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(_BODY)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY) if chunked else _BODY
    sent = _ADD + framing + upgrade + b"\r\n" + body + _ADD + framing + upgrade + b"\r\n" + body + _LAST
    office, _ = apart()
    async with running(office, None) as (port,):
        answer = await said_to(port, *(sent[at : at + size] for at in range(0, len(sent), size)))
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert b'"added":["ann@example.com"]' in answer
    assert b'"known":["ann@example.com"]' in answer


@pytest.mark.parametrize("upgrade", _UPGRADES)
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (b"Content-Type: application/json\r\n", b'{"contacts": ["nobody@example.com"]}', b"404"),
        (b"Content-Type: application/json\r\n", b'{"contact": 1}', b"422"),
        (b"Content-Type: application/json\r\n", b"{", b"422"),
        (b"Content-Type: application/x-www-form-urlencoded\r\n", b"contacts=ann", b"422"),
        (b"", b'{"contacts": ["nobody@example.com"]}', b"422"),
        (b"Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", b"\x1f\x8b", b"422"),
        (b"", b"", b"200"),
    ],
)
async def test_an_optional_body_that_was_sent_is_read_or_refused(
    upgrade: bytes, headers: bytes, body: bytes, status: bytes
) -> None:
    head = b"POST /v1/refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n" % len(body)
    close = upgrade or b"Connection: close\r\n"
    office, _ = apart()
    async with running(office, None) as (port,):
        answer = await said_to(port, head + headers + close + b"\r\n" + body + (_LAST if upgrade else b""))
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_a_request_without_a_body_keeps_its_connection_whatever_upgrade_says() -> None:
    asks = b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    office, _ = apart()
    async with running(office, None) as (port,):
        answer = await said_to(port, asks, asks + asks, _LAST)
    assert answer.count(b"HTTP/1.1 200 ") == 4


async def test_connect_is_refused_and_what_follows_it_is_no_request() -> None:
    office, _ = apart()
    async with running(office, None) as (port,):
        answer = await said_to(port, b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + _LAST)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b" 200 " not in answer


async def test_a_stream_to_http_1_0_ends_with_its_connection_and_is_not_chunked() -> None:
    office, _ = apart()
    async with running(office, None) as (port,):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/events HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert await reader.readuntil(b"\n\n") == b"retry: 1000\n\n"
        snapshot = await reader.readuntil(b"\n\n")
        office.core.log.close()
        assert await reader.read() == b""
        writer.close()
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close\r\n" in head.lower()
    assert snapshot.startswith(b"event: snapshot\nid: ")
    assert snapshot.endswith(b"}\n\n")


async def test_a_stream_to_http_1_1_is_chunked_as_before() -> None:
    office, _ = apart()
    async with running(office, None) as (port,):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readuntil(b"retry: 1000\n\n") == b"d\r\nretry: 1000\n\n"
        writer.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["/v1", "/v1/presence", "/", "/docs", "/nothing"])
async def test_an_answer_with_a_length_has_it_for_http_1_0_too(method: str, target: str) -> None:
    asked = f"{method} {target} HTTP/%s\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    office, _ = apart()
    async with running(office, None) as (port,):
        old = await said_to(port, (asked % "1.0").encode())
        new = await said_to(port, (asked % "1.1").encode())
    assert b"content-length: " in old
    assert [line for line in old.splitlines() if not line.startswith(b"date:")] == [
        line for line in new.splitlines() if not line.startswith(b"date:")
    ]


async def test_http_1_0_is_not_told_to_continue() -> None:
    head = b"POST /v1/contacts HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    office, _ = apart()
    async with running(office, None) as (port,):
        answer = await said_to(port, head + b"Expect: 100-continue\r\nContent-Length: 33\r\n\r\n", _BODY)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"100 Continue" not in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nOrigin: https://evil.example\r\n", b"403"),
        pytest.param(
            b"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\norigin: http://127.0.0.1\r\n",
            b"403",
            marks=pytest.mark.long(ci=True),
        ),
        pytest.param(b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", b"400", marks=pytest.mark.long(ci=True)),
        (b"Host: [::1].evil.com\r\n", b"421"),
        pytest.param(b"Host: localhost:evil\r\n", b"421", marks=pytest.mark.long(ci=True)),
        pytest.param(b"Host: [::1%25eth0]\r\n", b"421", marks=pytest.mark.long(ci=True)),
        (b"Host: LOCALHOST:80\r\nOrigin: http://localhost\r\n", b"200"),
    ],
)
async def test_headers_that_may_be_read_in_two_ways_are_refused(headers: bytes, status: bytes) -> None:
    """On the wire: nothing between the socket and the rules takes one of them away."""
    close = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    office, _ = apart()
    async with running(office, None) as (port,):
        answer = await said_to(port, b"POST /v1/refresh HTTP/1.1\r\n" + headers + close)
    assert answer.startswith(b"HTTP/1.1 " + status)


async def answer_to(port: int, head: bytes) -> bytes:
    """The status line of the answer to a request with this head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace(b"\n", b"\r\n") + b"Connection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET /v1/summary HTTP/1.1\nHost: 127.0.0.1\n", 200, id="one host"),
        pytest.param(b"GET /v1/summary HTTP/1.1\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\n", 400, id="no host, the page"),
        pytest.param(b"GET /v1/summary HTTP/1.1\nHost: 127.0.0.1\nHost: 127.0.0.1\n", 400, id="two hosts"),
        pytest.param(b"GET /v1/summary HTTP/1.0\n", 200, id="no host in HTTP/1.0"),
        pytest.param(b"GET /livez HTTP/1.1\n", 200, id="no host, a probe"),
        pytest.param(b"GET /v1/summary HTTP/1.1\nHost: evil.example\n", 421, id="another host"),
        pytest.param(
            b"GET http://evil.example/v1/summary HTTP/1.1\nHost: 127.0.0.1\n", 421, id="another host in the target"
        ),
        pytest.param(
            b"GET http://127.0.0.1:8080/v1/summary HTTP/1.1\nHost: evil.example\n", 200, id="ours in the target"
        ),
        pytest.param(b"GET http://me@127.0.0.1/v1/summary HTTP/1.1\nHost: 127.0.0.1\n", 421, id="a user in the target"),
        pytest.param(b"GET http://127.0.0.1/v1/summary HTTP/1.1\n", 400, id="no host beside the target"),
    ],
)
async def test_the_host_of_a_request(head: bytes, status: int) -> None:
    """RFC 9112, 3.2 and 3.2.2; without a key it must be ours."""
    office, _ = apart()
    async with running(office, None) as (port,):
        assert await answer_to(port, head) == b"HTTP/1.1 %d %b" % (status, _REASONS[status])


_REASONS = {200: b"OK", 400: b"Bad Request", 421: b"Misdirected Request"}
