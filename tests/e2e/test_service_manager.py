"""`pws serve` under a service manager: what systemd would be told over a life, and a stop while everybody is busy."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.e2e.processes import PATIENCE, Site, eventually
from tests.e2e.simulated import NOTHING, Server, Service, configure
from tests.support.sse import Board, Reader

STREAMS: Final = 200
IN_PROGRESS: Final = 409
LONGEST_STOP: Final = 60.0
"""Seconds after SIGTERM within which the service has ended. Nothing that it could wait for comes within so many."""


class Told:
    """What a process says to the socket that it finds in NOTIFY_SOCKET."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self.lines: list[str] = []

    def until(self, line: str) -> list[str]:
        """Wait for a line; what was said before it, and not asked for so far."""
        while line not in self.lines:
            self.lines += self._socket.recv(4096).decode().split("\n")
        place = self.lines.index(line)
        before, self.lines = self.lines[:place], self.lines[place + 1 :]
        return before


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """For the next process that is started. It is to give a sign of life several times a second."""
    name = f"@pws-test-{os.getpid()}-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name[1:]}")
        listening.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        yield Told(listening)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
@pytest.mark.timeout(120)  # signs of life come all the time, so that no wait for a line ends by itself
def test_systemd_is_told_of_start_reload_stop_and_that_it_lives(server: Server, tmp_path: Path, told: Told) -> None:
    with Service(tmp_path, configure(tmp_path, server.port)) as service:
        told.until("READY=1")
        assert service.site.get("/livez").status == 200
        told.until("STATUS=live")
        for _ in range(3):
            told.until("WATCHDOG=1")
        service.signal(signal.SIGHUP)
        told.until("RELOADING=1")
        (moment,) = [line for line in told.until("READY=1") if not line.startswith(("WATCHDOG=", "STATUS="))]
        assert moment.startswith("MONOTONIC_USEC=")
        assert service.stop() == 0
        told.until("STOPPING=1")
        told.until("STATUS=stopping")


class Follower:
    """A client of the stream of events that reads it to its end."""

    def __init__(self) -> None:
        self.board = Board()
        self.begun = asyncio.Event()

    async def follow(self, session: aiohttp.ClientSession, url: str) -> None:
        """Until the service ends the answer. An answer that breaks off raises aiohttp's error."""
        reader = Reader()
        async with session.get(url) as response:
            assert response.status == 200
            async for piece in response.content.iter_any():
                for event in reader.feed(piece):
                    self.board.take(event)
                    self.begun.set()

    async def comes_back(self, session: aiohttp.ClientSession, url: str) -> dict[str, Any]:  # as the API describes it
        """What the first event says to a client that names its last id."""
        reader = Reader()
        async with session.get(url, headers={"Last-Event-ID": self.board.last_id}) as response:
            async for piece in response.content.iter_any():
                for event in reader.feed(piece):
                    return {"name": event.name, **event.data}
        raise AssertionError("the stream ended without an event")


class Waiting:
    """A request that waits for its answer, sent when it is made. All have one key: a second claim is refused while the
    first one waits."""

    def __init__(self, site: Site, target: str, body: object) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
        headers = {"Prefer": "wait=300", "Idempotency-Key": "the-one-that-waits", "Content-Type": "application/json"}
        self._connection.request("POST", target, json.dumps(body), headers)

    def status(self) -> int:
        """That of the whole answer."""
        with closing(self._connection):
            response = self._connection.getresponse()
            response.read()
            return response.status


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
async def test_a_stop_under_load_is_quick_and_clean_and_loses_nothing(server: Server, tmp_path: Path) -> None:
    """200 streams, a fetch whose reply is still to come and has taken a change along, a claim and a refresh that wait.

    Everybody gets the end of the answer, nothing is left at the server, and the change, of which the notification was
    acknowledged, is what the next start shows, to those who come back with their last id as well.
    """
    limits = f"streams = {STREAMS + 50}\nstreams_per_client = {STREAMS + 50}"
    slow = f'nodes = ["127.0.0.1:{server.port}"]\ntls = false\nread_timeout = 300'  # as long as the reply is awaited
    lifecycle = f"stop_timeout = {2 * LONGEST_STOP}"
    site = configure(tmp_path, server.port, limits=limits, server=slow, lifecycle=lifecycle)
    followers = [Follower() for _ in range(STREAMS)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        with Service(tmp_path, site) as service:
            await asyncio.to_thread(service.ready)
            for name in ("ann", "joe"):
                server.put(f"{name}@example.com", state="AWAY")
                await asyncio.to_thread(service.sees, f"{name}@example.com", state="AWAY")
            following = [asyncio.create_task(each.follow(session, f"{site.url}/v1/events")) for each in followers]
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(each.begun.wait() for each in followers))

            fault = {"fault": "delay-reply", "operation": "getSubscribedPresence", "seconds": 600, "count": 1}
            assert server.control.ask("POST", "/control/faults", fault).status == 200
            server.put("ann@example.com", state="DND")

            def is_in_flight() -> None:
                assert server.control.get("/control/faults").json["faults"] == []

            await asyncio.to_thread(eventually, is_in_flight)
            refresh, claim = Waiting(site, "/v1/refresh", {}), Waiting(site, "/v1/claims", {"group": "support"})
            assert Waiting(site, "/v1/claims", {"group": "support"}).status() == IN_PROGRESS, "it is read by now"
            service.signal(signal.SIGTERM)
            assert await asyncio.to_thread(service.ended, LONGEST_STOP) == 0
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*following)
            assert (claim.status(), refresh.status()) == (503, 503)
            assert "Cancel" not in service.output, "uvicorn had to end nothing by force"
        assert server.holds() == NOTHING

        with Service(tmp_path, site) as service:
            ann = await asyncio.to_thread(service.sees, "ann@example.com", state="DND", freshness="live")
            async with asyncio.timeout(PATIENCE):
                again = [await each.comes_back(session, f"{site.url}/v1/events") for each in followers[:3]]
            assert [each["name"] for each in again] == ["snapshot"] * 3
            for snapshot in again:
                assert [each["state"] for each in snapshot["contacts"] if each["contact"] == ann["contact"]] == ["DND"]
            assert service.stop() == 0
    assert server.holds() == NOTHING
