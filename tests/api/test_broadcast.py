"""Many streams at once: one bell, bytes that are written once, and a stream that waits alone where its client does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.authentication import AccessRules, Authenticator
from service.access.stream_slots import ConnectionSlots
from service.api.sse import at_once, broadcast, wire_format
from service.api.sse.send_now import Unfinished, begin
from service.api.writers.contact import ContactJson
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, BareService, presence
from tests.support.sse import Listener

ANN, BOB = "ann@example.com", "bob@example.com"
MANY = 30


def office() -> BareService:
    """Ann and Bob are available; anybody may open many streams."""
    made = BareService({"support": (ANN, BOB)}, authenticator=Authenticator(ConnectionSlots(1000, 1000)))
    made.watch(ANN, BOB)
    made.read([presence(ANN), presence(BOB)])
    return made


def access(made: BareService) -> Authenticator:
    assert made.authenticator is not None
    return made.authenticator


@asynccontextmanager
async def listening(app: ASGIApp, targets: list[str]) -> AsyncIterator[list[Listener]]:
    """A client for each of the targets, which has its snapshot."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Listener(app, target)) for target in targets]
        for client in clients:
            await client.take(1)
            await client.silence()
        yield clients


async def test_an_event_is_written_once_for_all_that_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """And handed over by one bell."""
    made = office()
    written: list[str] = []
    one = ContactJson.one

    def counted(self: ContactJson, contact: Any) -> bytes:  # of a snapshot
        written.append(contact.record.key)
        return one(self, contact)

    async with listening(made.app, ["/v1/events"] * MANY + ["/v1/events?state=BUSY"] * MANY) as clients:
        assert len(made.core.log._followers._bells) <= 2, "the claims' own, and one for all streams"
        monkeypatch.setattr(ContactJson, "one", counted)
        made.read([presence(ANN, BUSY)])
        for client in clients:
            (event,) = await client.take(1)
            assert (event.name, event.data["state"]) == ("change", "BUSY")
        assert written == [ANN, ANN], "for each of the two views"


async def test_one_bell_serves_any_number_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left out, and events come in order however many come meanwhile."""
    monkeypatch.setattr(broadcast, "_SLICE", 7)
    made = office()
    async with listening(made.app, ["/v1/events"] * MANY) as clients:
        for number in range(120):  # more than one piece holds
            made.read([presence(ANN, (BUSY, AWAY)[number % 2])])
            if number % 10 == 0:
                await asyncio.sleep(0)
        expected = [event.id for event in made.core.log.since(made.core.log.last - 120) or ()]
        for client in clients:
            assert [int(event.id) for event in await client.take(120)] == expected


async def test_who_does_not_read_waits_alone_and_misses_nothing() -> None:
    """What was begun for it is sent first, then the rest."""
    made = office()
    async with listening(made.app, ["/v1/events"] * 3) as (slow, *others):
        slow.reading.clear()
        for state in (BUSY, AWAY, AVAILABLE):
            made.read([presence(ANN, state)])
            for client in others:
                assert [event.data["state"] for event in await client.take(1)] == [state]
        await slow.silence()
        slow.reading.set()
        assert [event.data["state"] for event in await slow.take(3)] == [BUSY, AWAY, AVAILABLE]
        await slow.silence()


async def test_who_goes_while_it_does_not_read_is_let_go() -> None:
    """Its slot is free, and what was begun for it is closed."""
    made = office()
    async with listening(made.app, ["/v1/events"] * 2) as (slow, other):
        slow.reading.clear()
        made.read([presence(ANN, BUSY)])
        await other.take(1)
        assert access(made).slots.taken == 2
        await slow.leave()
        assert access(made).slots.taken == 1
        made.read([presence(ANN, AWAY)])
        await other.take(1)


async def test_with_the_last_stream_the_bell_goes() -> None:
    """And the task that looks after them."""
    made = office()
    bells = len(made.core.log._followers._bells)
    async with listening(made.app, ["/v1/events"] * 2):
        assert len(made.core.log._followers._bells) == bells + 1
    assert len(made.core.log._followers._bells) == bells
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "streams"]


def with_extension(app: ASGIApp, written: list[bytes], *, writes: bool = True) -> ASGIApp:
    """The program as behind a server that has the extension."""

    def write(body: bytes) -> bool:
        if writes:
            written.append(body)
        return writes

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": {at_once.EXTENSION: {at_once.WRITE: write}}}, receive, send)

    return answer


async def test_a_server_may_write_at_once() -> None:
    """The same bytes as `send` gets, past all that wraps it; the beginning and the snapshot are sent as ever."""
    made = office()
    written: list[bytes] = []
    async with listening(with_extension(made.app, written), ["/v1/events"]) as (client,):
        async with listening(made.app, ["/v1/events"]) as (plain,):
            made.read([presence(ANN, BUSY)])
            (event,) = await plain.take(1)
        await client.silence()
        (piece,) = written
        assert piece.startswith(wire_format.head("change", event.id))


async def test_where_it_cannot_write_at_once_it_is_sent() -> None:
    """The connection is full."""
    made = office()
    async with listening(with_extension(made.app, [], writes=False), ["/v1/events"]) as (client,):
        made.read([presence(ANN, BUSY)])
        assert [event.name for event in await client.take(1)] == ["change"]


async def test_nothing_is_written_at_once_when_the_rules_have_changed() -> None:
    """A key may have been revoked: what wraps `send` finds out, and ends the stream."""
    made = office()
    written: list[bytes] = []
    async with listening(with_extension(made.app, written), ["/v1/events"]) as (client,):
        access(made).rules = AccessRules(anonymous=None)
        made.read([presence(ANN, BUSY)])
        await client.finished()
        assert client.ended
        assert (client.events, written) == ([], [])


# --- begun outside of a task


async def test_what_does_not_wait_is_done_at_once() -> None:
    """And what it raises is raised."""
    done: list[int] = []

    async def quick() -> None:
        done.append(1)

    async def broken() -> None:
        raise ZeroDivisionError

    assert begin(quick()) is None
    assert done == [1]
    with pytest.raises(ZeroDivisionError):
        begin(broken())


async def test_what_waits_is_finished_in_a_task() -> None:
    """However often it waits, and with whatever it waits for."""
    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    done: list[int] = []

    async def slow() -> None:
        done.append(await gate)
        await asyncio.sleep(0)
        done.append(2)
        with pytest.raises(ZeroDivisionError):
            await broken

    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    broken.set_exception(ZeroDivisionError())
    rest = begin(slow())
    assert isinstance(rest, Unfinished)
    assert done == []
    asyncio.get_running_loop().call_soon(gate.set_result, 1)
    await rest
    assert done == [1, 2]


async def test_a_cancellation_reaches_what_waits() -> None:
    """And so does the end of a stream that never came to await it."""
    ended: list[str] = []

    async def waiting(name: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name)

    rest = begin(waiting("cancelled"))
    assert rest is not None

    async def finish() -> None:
        await rest

    task = asyncio.create_task(finish())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    other = begin(waiting("closed"))
    assert other is not None
    other.close()
    assert ended == ["cancelled", "closed"]
