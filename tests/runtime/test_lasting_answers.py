"""Streams over our own HTTP server: how they end, and that no task waits for the client to go."""

from __future__ import annotations

import asyncio

import pytest

from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing
from service.api.middleware.limits import MAX_BODY
from service.api.sse.response import StreamConnection
from tests.support.bare_service import AWAY, BareService, presence
from tests.support.listeners import running
from tests.support.people import ANN, bearer, filled, guarded
from tests.support.reception import until

_REQUEST = b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def office() -> tuple[BareService, Authenticator]:
    """An office, and who counts its slots."""
    authenticator = Authenticator()
    return filled(BareService(authenticator=authenticator)), authenticator


async def stream(port: int, request: bytes = _REQUEST + b"\r\n") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readuntil(b'"reason":"start"}\n\n\r\n')
    return reader, writer


def waiting() -> list[str]:
    """The tasks that wait for a client to go."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name == "wait_for_disconnect"]


async def test_a_stream_ends_with_its_client_and_no_task_waits_for_that() -> None:
    made, authenticator = office()
    async with running(made, None) as (port,):
        (_, first), (_, second) = await stream(port), await stream(port)
        assert (authenticator.slots.taken, waiting()) == (2, [])
        first.close()
        await until(lambda: authenticator.slots.taken == 1)
        second.transport.abort()
        await until(lambda: authenticator.slots.taken == 0)


@pytest.mark.parametrize("how", ["goes", "sends the rest and goes", "sends too much"])
async def test_while_more_of_the_request_may_come_somebody_receives_it(how: str) -> None:
    made, authenticator = office()
    async with running(made, None) as (port,):
        length = MAX_BODY if how != "sends too much" else MAX_BODY + 1
        reader, writer = await stream(port, _REQUEST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert len(waiting()) == 1
        if how != "goes":
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (length - 1, b"a" * (length - 1)))
        if how == "sends too much":
            assert await reader.read() == b"", "broken off"
            writer.close()
        else:
            made.read([presence(ANN, AWAY)])
            await reader.readuntil(b'"state":"AWAY"')
            writer.close()
        await until(lambda: authenticator.slots.taken == 0)


async def test_a_stream_whose_key_is_revoked_ends_whole_and_its_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = guarded()
    assert made.authenticator is not None
    key = b"Authorization: %b\r\n\r\n" % bearer("reader")["Authorization"].encode()
    async with running(made, None) as (port,):
        reader, writer = await stream(port, _REQUEST + key)
        made.authenticator.rules = AccessRules(KeyRing([]), None)
        made.read([presence(ANN, AWAY)])
        assert await reader.readuntil(b"0\r\n\r\n") == b"0\r\n\r\n", "nothing is told any more"
        writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert made.authenticator.slots.taken == 0
    assert not caplog.records


async def test_the_head_of_a_stream_over_http_ends_there() -> None:
    made, authenticator = office()
    async with running(made, None) as (port,):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_REQUEST.replace(b"GET", b"HEAD") + b"\r\n" + b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/event-stream" in head
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert authenticator.slots.taken == 0


async def test_a_bug_in_a_stream_breaks_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody takes it for whole."""
    made, authenticator = office()

    def fails(*_arguments: object) -> bool:
        raise ZeroDivisionError

    async with running(made, None) as (port,):
        reader, writer = await stream(port)
        monkeypatch.setattr(StreamConnection, "_is_written", fails)
        made.read([presence(ANN, AWAY)])
        assert not (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()
        await until(lambda: authenticator.slots.taken == 0)
