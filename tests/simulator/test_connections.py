"""Faults of the connection itself, over real sockets: replies that come twice, clients that have gone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from pws_soap.server.http.listener import HttpConnection
from pws_soap.simulator import Fault, NodeCondition, Presence, Simulator, SimulatorServer, State
from tests.support.soap_by_hand import ANN, JOE, envelope, fetch, login, poll, request

from .talk import StillClock, post, ready, settle

FETCH = "getSubscribedPresence"
CLIENT = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.sendall(sys.stdin.buffer.read())
    print("sent", flush=True)
    time.sleep(600)
"""


class Room:
    """A served simulator with Ann and Joe whose sleeps last until `clock` is advanced."""

    def __init__(self, server: SimulatorServer, clock: StillClock) -> None:
        self.server = server
        self.clock = clock

    @property
    def simulator(self) -> Simulator:
        return self.server.simulator

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the node."""
        return await asyncio.open_connection(self.server.nodes[0].host, self.server.nodes[0].port)

    async def waiting(self) -> None:
        """Wait until a request waits in the node."""
        async with asyncio.timeout(30):
            await self.clock.asleep.wait()

    async def forgotten(self) -> None:
        """Wait until the node has noticed that its client has gone."""
        async with asyncio.timeout(30):
            for connection in list(self.server._listeners["imp1"]._state.connections):
                assert isinstance(connection, HttpConnection)
                await connection.gone.wait()

    def pending(self) -> list[str]:
        """The contacts that a fetch of subscription 1 would return."""
        return list(self.simulator.place("imp1").node.registry.subscriptions[1].pending)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """One node."""
    clock = StillClock()
    simulator = Simulator(clock=clock, sleep=clock.sleep, seed=3)
    simulator.put([Presence(ANN, State.AVAILABLE), Presence(JOE, State.AVAILABLE)])
    async with SimulatorServer(simulator=simulator, control_port=None) as server:
        yield Room(server, clock)


async def message(reader: asyncio.StreamReader) -> bytes:
    """A whole reply as bytes."""
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await reader.readexactly(length)


async def test_a_reply_comes_twice_on_its_connection(room: Room) -> None:
    """The second time after a while; a request in between gets it as its reply."""
    _, user = await ready(room.simulator)
    room.simulator.faults.add(Fault("double-reply", operation=FETCH, count=1, seconds=5))
    reader, writer = await room.connect()
    writer.write(request(envelope(fetch(), user)))
    first = await message(reader)
    assert ANN.encode() in first
    assert b"connection: close" not in first.lower()
    await room.clock.advance(5)
    assert await message(reader) == first
    writer.write(request(envelope(poll(JOE), user)))
    assert b"getPolledPresenceResponse" in await message(reader)
    writer.close()


async def test_two_replies_come_together(room: Room) -> None:
    """With 0 seconds, and on a connection that would have been closed otherwise."""
    room.simulator.faults.add(Fault("double-reply", count=1, seconds=0))
    reader, writer = await room.connect()
    writer.write(request(envelope(poll(ANN))))  # a fault: no session key
    first = await message(reader)
    assert b"<code>100</code>" in first
    assert await message(reader) == first
    writer.write(request(envelope(login())))
    assert b"loginResponse" in await message(reader)
    writer.close()


@pytest.mark.parametrize(("seconds", "times"), [(0, 2), (5, 1)])
async def test_a_connection_that_its_client_wants_closed(room: Room, seconds: float, times: int) -> None:
    """What is sent together comes twice; what should come later finds no connection, and nothing breaks."""
    room.simulator.faults.add(Fault("double-reply", count=1, seconds=seconds))
    reader, writer = await room.connect()
    writer.write(request(envelope(login()), b"Connection: close"))
    async with asyncio.timeout(30):
        everything = await reader.read()
    assert everything.count(b"loginResponse>") == 2 * times
    await room.clock.advance(5)
    writer.close()


async def test_a_cut_reply_comes_once(room: Room) -> None:
    """Its connection is closed in the middle."""
    room.simulator.faults.add(Fault("double-reply"))
    room.simulator.faults.add(Fault("truncate-reply"))
    reader, writer = await room.connect()
    writer.write(request(envelope(login())))
    async with asyncio.timeout(30):
        everything = await reader.read()
    assert everything.count(b"HTTP/1.1") == 1
    writer.close()


async def test_a_late_request_is_carried_out_after_its_client_was_killed(room: Room) -> None:
    """delay-request: the client's process is gone by SIGKILL, and the changes are consumed all the same."""
    _, user = await ready(room.simulator)
    room.simulator.faults.add(Fault("delay-request", operation=FETCH, count=1, seconds=30))
    node = room.server.nodes[0]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, node.host, str(node.port),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(request(envelope(fetch(), user)))
    client.stdin.close()
    assert await client.stdout.readline() == b"sent\n"
    await room.waiting()
    client.send_signal(signal.SIGKILL)
    await client.wait()
    await room.forgotten()
    assert room.pending() == [ANN, JOE]
    await room.clock.advance(30)
    assert room.pending() == []
    assert (await post(room.simulator, poll(ANN), user)).states == {ANN: "AVAILABLE"}


@pytest.mark.parametrize("reset", [False, True])
async def test_a_late_request_is_carried_out_after_its_client_gave_up(room: Room, reset: bool) -> None:
    """As after a time-out: the connection is closed, or reset."""
    _, user = await ready(room.simulator)
    room.simulator.faults.add(Fault("delay-request", operation=FETCH, count=1, seconds=30))
    _, writer = await room.connect()
    writer.write(request(envelope(fetch(), user)))
    await room.waiting()
    if reset:
        writer.transport.abort()
    else:
        writer.close()
    await room.forgotten()
    assert room.pending() == [ANN, JOE]
    await room.clock.advance(30)
    assert room.pending() == []


@pytest.mark.parametrize("kind", ["lose-reply", "truncate-reply", "double-reply", "slow-reply", "delay-reply"])
async def test_a_reply_that_nobody_waits_for_breaks_nothing(
    room: Room, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Other faults hit the same late request."""
    _, user = await ready(room.simulator)
    room.simulator.faults.add(Fault("delay-request", operation=FETCH, count=1, seconds=30))
    room.simulator.faults.add(Fault(kind, operation=FETCH, count=1, seconds=5))
    _, writer = await room.connect()
    writer.write(request(envelope(fetch(), user)))
    await room.waiting()
    writer.transport.abort()
    await room.forgotten()
    await room.clock.advance(30)
    assert room.pending() == []
    await room.clock.advance(10)
    await settle()
    assert caplog.records == []
    reader, writer = await room.connect()
    writer.write(request(envelope(poll(JOE), user)))
    assert b"getPolledPresenceResponse" in await message(reader)
    writer.close()


async def test_a_late_request_is_not_carried_out_by_a_node_that_went_down(room: Room) -> None:
    """Its process has gone meanwhile."""
    _, user = await ready(room.simulator)
    room.simulator.faults.add(Fault("delay-request", operation=FETCH, count=1, seconds=30))
    reader, writer = await room.connect()
    writer.write(request(envelope(fetch(), user)))
    await room.waiting()
    room.simulator.set_state("imp1", NodeCondition.DOWN)
    room.simulator.set_state("imp1", NodeCondition.UP)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    await room.clock.advance(30)
    assert room.pending() == [ANN, JOE]
    writer.close()
