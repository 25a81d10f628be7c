"""Following a service: resuming, backing off, noticing a connection that died; and against the real service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, TypeVar

import pytest

from pws_soap.simulator import State
from service.cli.demo.loopback import office
from service.cli.demo.simulated import DemoOptions
from service.cli.shared.api import ANSWER, Api, NoAnswer, ServiceAddress, ServiceRefused
from service.cli.terminal.follow import (
    LONGEST_PAUSE,
    Connected,
    ConnectionLost,
    Health,
    StreamEvent,
    StreamFollower,
    Update,
    health_of,
)
from service.cli.terminal.picture import Picture
from service.core.clock import ManualClock, SystemClock
from service.core.presence.freshness import Level
from tests.cli.running import PATIENCE
from tests.cli.streaming import END, Streaming, contact

H = TypeVar("H", Connected, Health, ConnectionLost, StreamEvent)


class Until(Protocol):
    """Waits for the next update of a kind."""

    def __call__(self, kind: type[H]) -> Coroutine[None, None, H]: ...


@pytest.fixture
async def service() -> AsyncIterator[Streaming]:
    streaming = Streaming()
    streaming.begin = [Streaming.snapshot(contact("ann"))]
    await streaming.start()
    yield streaming
    await streaming.stop()


class Following:
    """A picture that follows, up to the next update of a kind."""

    def __init__(self, clock: ManualClock | SystemClock, updates: AsyncIterator[Update]) -> None:
        self.picture = Picture(clock)
        self._happenings = updates

    async def until(self, kind: type[H]) -> H:
        async with asyncio.timeout(PATIENCE):
            async for update in self._happenings:
                self.picture.take(update)
                if isinstance(update, kind):
                    return update
        raise AssertionError("it ended")


@asynccontextmanager
async def following(
    url: str, clock: ManualClock | SystemClock, *, silence: float = 60.0
) -> AsyncIterator[tuple[Picture, Until]]:
    """A picture, and what waits for the next update of a kind."""
    api = Api(ServiceAddress(url), silence)
    try:
        async with aclosing(StreamFollower(api, [], clock, jitter=lambda: 1.0).updates()) as updates:
            follower = Following(clock, updates)
            yield follower.picture, follower.until
    finally:
        await api.close()


def put(service: Streaming, *pieces: bytes | None) -> None:
    """To the stream that is open, in this loop."""
    for queue in service._open:
        for piece in pieces:
            queue.put_nowait(piece)


async def test_pauses_grow_and_are_bounded(service: Streaming) -> None:
    """From what the service asked for, doubled each time; the next one after a success is short again."""
    clock = ManualClock()
    async with following(service.url, clock) as (picture, until):
        await until(StreamEvent)
        assert picture.sure
        port = service.port
        await service.stop()
        waits: list[float] = []
        for _ in range(17):
            lost = await until(ConnectionLost)
            assert picture.reason
            assert picture.level(picture.contacts["ann@example.com"]) is Level.STALE
            waits.append(lost.again_in)
            while not clock.sleeping:  # noqa: ASYNC110  nothing tells that it sleeps
                await asyncio.sleep(0)
            clock.advance(LONGEST_PAUSE)
        assert waits[:4] == [0.001, 0.002, 0.004, 0.008]
        assert max(waits) <= LONGEST_PAUSE
        service.begin = [b": nothing new\n\n"]
        await service.start(port)
        clock.advance(LONGEST_PAUSE)
        await until(Connected)
        assert picture.sure
        assert service.headers[-1]["Last-Event-ID"] == "10"


async def test_an_id_is_sent_back_as_it_came(service: Streaming) -> None:
    """Whatever the service makes of it; a number at its beginning is the event's."""
    clock = ManualClock()
    async with following(service.url, clock) as (_picture, until):
        await until(StreamEvent)
        put(service, b'id: 77-70-90\nevent: change\ndata: {"contact": "x@y"}\n\n', END)
        told = await until(StreamEvent)
        assert told.id == 77
        await until(ConnectionLost)
        clock.advance(1.0)
        await until(Connected)
        assert service.headers[-1]["Last-Event-ID"] == "77-70-90"


async def test_a_stream_that_is_silent_for_too_long_is_dead(
    service: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a sign of life."""
    loop = asyncio.get_running_loop()
    passing = loop.time
    async with following(service.url, ManualClock(), silence=3600) as (_picture, until):
        await until(StreamEvent)
        monkeypatch.setattr(loop, "time", lambda: passing() + 7200)
        lost = await until(ConnectionLost)
        assert lost.reason == "no answer in time"


async def test_a_service_that_does_not_answer_any_more_is_noticed(
    service: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream stays open and silent, as after a cable was pulled: the status tells."""
    clock = ManualClock()
    async with following(service.url, clock) as (_picture, until):
        await until(Health)

        async def gone(_self: Api, _path: str) -> None:
            raise NoAnswer("no answer in time")

        monkeypatch.setattr(Api, "get", gone)
        lost, begun = asyncio.ensure_future(until(ConnectionLost)), clock.monotonic()
        while not lost.done():
            clock.advance(1.0)
            for _ in range(20):  # turns, and no time: whatever a second brings is done by then, on any machine
                await asyncio.sleep(0)
        assert (await lost).reason == "no answer in time"
        # Until then it says that all is well: the time for the answers that did not come is to be added.
        assert clock.monotonic() - begun + 2 * ANSWER < 20


async def test_being_asked_to_slow_down_is_no_silence(service: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 429 is an answer."""
    clock = ManualClock()
    asked = 0
    async with following(service.url, clock) as (_picture, until):
        await until(Health)

        async def busy(_self: Api, _path: str) -> None:
            nonlocal asked
            asked += 1
            raise NoAnswer("HTTP 429", 429)

        monkeypatch.setattr(Api, "get", busy)
        while asked < 4:
            clock.advance(1.0)
            await asyncio.sleep(0.001)
        put(service, service.event("change", 11, contact("ann", "BUSY")))
        told = await until(StreamEvent)
        assert told.id == 11


async def test_a_key_that_is_taken_away_ends_it(service: Streaming) -> None:
    """Trying on would not help."""
    from aiohttp import web

    clock = ManualClock()
    async with following(service.url, clock) as (_picture, until):
        await until(StreamEvent)
        service.begin = [web.Response(status=401)]
        put(service, END)
        await until(ConnectionLost)
        clock.advance(60.0)
        with pytest.raises(ServiceRefused, match="wants a key"):
            await until(StreamEvent)


@pytest.mark.parametrize(
    "status",
    [{}, {"state": 5, "problems": {"x": 1}}, {"problems": [None, {"what": None}], "now": "soon"}, {"groups": [1]}],
)
def test_a_status_of_another_version_is_no_accident(status: dict[str, object]) -> None:
    health = health_of(status, status)
    assert health.state == "unknown"
    assert health.now is None


async def test_the_real_service_is_followed() -> None:
    """Over real sockets: all contacts, a change that the server notified, and the groups."""
    stop = asyncio.Event()
    async with office(DemoOptions(0, 12, 0.001), stop) as running, asyncio.timeout(PATIENCE):
        url = f"http://127.0.0.1:{running.port}"
        async with following(url, SystemClock()) as (picture, until):
            while len(picture.contacts) < 12 or any(seen.level is not Level.LIVE for seen in picture.contacts.values()):
                await until(StreamEvent)
            running.server.simulator.change("ann@example.com", state=State.VACATION, note="Gone fishing")
            while picture.contacts["ann@example.com"].state != "VACATION":
                await until(StreamEvent)
            assert picture.contacts["ann@example.com"].presence.note == "Gone fishing"  # type: ignore[union-attr]
            while picture.health is None or picture.health.state != "live":
                await until(Health)
            assert abs(picture.skew) < 2
            assert sum(total for _, _, total in picture.health.groups) >= 12
        api = Api(ServiceAddress(url))
        try:
            with pytest.raises(ServiceRefused, match="group: expected one of") as error:
                async with api.events([("group", "nobody")]):
                    pass
            assert error.value.is_mistake
        finally:
            await api.close()
