"""What systemd is told, read from real sockets of its kind: a path in the file system, and an abstract name."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.clock import ManualClock
from service.core.engine import EngineState, HealthProblem, Status
from service.runtime.service_manager import STATUS_INTERVAL, ServiceManager, in_a_line

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd, and abstract sockets, are Linux's")


class Socket:
    """The socket of a service manager. `address` is what NOTIFY_SOCKET says."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def told(self) -> list[list[str]]:
        """The lines of each datagram that has come since the last time."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def manager_socket(request: pytest.FixtureRequest) -> Iterator[Socket]:
    with (
        tempfile.TemporaryDirectory() as directory
    ):  # a path of a socket has room for 107 bytes, tmp_path may be longer
        abstract = f"@pws-test-{os.getpid()}-{secrets.token_hex(8)}"
        found = Socket(str(Path(directory) / "notify") if request.param == "path" else abstract)
        try:
            yield found
        finally:
            found.close()


def manager_at(found: Socket, clock: ManualClock | None = None, **environment: str) -> ServiceManager:
    return ServiceManager.of({"NOTIFY_SOCKET": found.address, **environment}, clock or ManualClock())


def test_a_life_from_start_to_stop(manager_socket: Socket) -> None:
    """Ready, a reload that ends by being ready again, a stop; the reload says when it began, by the kernel's clock."""
    manager = ServiceManager(manager_socket.address, 0, ManualClock(), lambda: 1_234_567)
    manager.ready()
    with manager.reloading():
        assert manager_socket.told() == [["READY=1", "STATUS=listening"], ["RELOADING=1", "MONOTONIC_USEC=1234567"]]
    assert manager_socket.told() == [["READY=1"]]
    manager.stopping()
    assert manager_socket.told() == [["STOPPING=1", "STATUS=stopping"]]


def test_the_moment_of_a_reload_is_one_of_the_kernels_clock(manager_socket: Socket) -> None:
    manager = manager_at(manager_socket)
    manager.ready()
    before = _kernel()
    with manager.reloading():
        after = _kernel()
    (_, name_and_value) = manager_socket.told()[1]
    assert before <= int(name_and_value.removeprefix("MONOTONIC_USEC=")) <= after


def _kernel() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_reload_before_it_is_ready_or_while_it_stops_makes_nothing_ready(manager_socket: Socket) -> None:
    manager = manager_at(manager_socket)
    with manager.reloading():
        pass
    assert manager_socket.told() == []
    manager.ready()
    with manager.reloading():
        manager.stopping()
    assert [lines[0] for lines in manager_socket.told()] == ["READY=1", "RELOADING=1", "STOPPING=1"]


def test_a_reload_that_fails_ends_as_well(manager_socket: Socket) -> None:
    manager = manager_at(manager_socket)
    manager.ready()
    with pytest.raises(ZeroDivisionError), manager.reloading():
        _ = 1 / 0
    assert manager_socket.told()[-1] == ["READY=1"]


async def test_signs_of_life_come_twice_in_the_watchdogs_time_while_the_loop_turns(manager_socket: Socket) -> None:
    """From the start on; when the loop does not turn there are none, however much time passes."""
    clock = ManualClock()
    manager = manager_at(manager_socket, clock, WATCHDOG_USEC="8000000", WATCHDOG_PID=str(os.getpid()))
    informing = asyncio.create_task(manager.keep_informed(lambda: "live"))
    try:
        await clock.run(20.0)
        assert manager_socket.told() == [["WATCHDOG=1"]] * 6
        for _ in range(10):
            clock.advance(8.0)  # the event loop gets no turn in between
        assert manager_socket.told() == []
    finally:
        informing.cancel()


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}])
async def test_a_watchdog_that_is_not_ours_is_not_fed(manager_socket: Socket, environment: dict[str, str]) -> None:
    clock = ManualClock()
    manager = manager_at(manager_socket, clock, **environment)
    informing = asyncio.create_task(manager.keep_informed(lambda: "live"))
    try:
        await clock.run(100.0)
        assert manager_socket.told() == []
    finally:
        informing.cancel()


async def test_the_status_is_told_when_it_changes(manager_socket: Socket, caplog: pytest.LogCaptureFixture) -> None:
    """Not before the service is ready; and one that cannot be had ends nothing."""
    clock, states = ManualClock(), ["starting"]
    manager = manager_at(manager_socket, clock)
    informing = asyncio.create_task(manager.keep_informed(lambda: states[0]))
    try:
        await clock.run(STATUS_INTERVAL)
        assert manager_socket.told() == []
        manager.ready()
        await clock.run(2 * STATUS_INTERVAL)
        assert manager_socket.told()[1:] == [["STATUS=starting"]]
        states[0] = "live"
        await clock.run(2 * STATUS_INTERVAL)
        assert manager_socket.told() == [["STATUS=live"]]
        states.clear()
        await clock.run(STATUS_INTERVAL)
        assert "unexpected error" in caplog.text
        states.append("degraded")
        await clock.run(STATUS_INTERVAL)
        assert manager_socket.told() == [["STATUS=degraded"]]
    finally:
        informing.cancel()


def test_the_status_names_nobody() -> None:
    """Anybody who has a shell on the machine may read it: the problems are counted, and may be read with a key."""
    problem = HealthProblem(0.0, "ann@example.com is wrong")
    assert in_a_line(Status(EngineState.LIVE)) == "live"
    one, two = (in_a_line(Status(EngineState.DOWN, (problem,) * count)) for count in (1, 2))
    assert one == "down; 1 problem, see /v1/status or pws doctor"
    assert two == "down; 2 problems, see /v1/status or pws doctor"


async def test_without_a_manager_nothing_is_sent_and_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: object) -> None:
        raise AssertionError("a socket without a manager")

    manager = ServiceManager.of({"WATCHDOG_USEC": "8000000"}, ManualClock())
    await asyncio.wait_for(manager.keep_informed(lambda: "live"), 10)  # it ends at once
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", no_socket)
        manager.ready()
        with manager.reloading():
            pass
        manager.stopping()
    assert not manager


def test_an_address_of_another_kind_is_named(caplog: pytest.LogCaptureFixture) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": "vsock:2:1234"}, ManualClock())
    assert (bool(manager), repr(manager)) == (False, "<ServiceManager at no socket, watchdog 0 s>")
    assert "NOTIFY_SOCKET: expected a path or a name behind @, got 'vsock:2:1234'" in caplog.text


def test_a_manager_that_is_gone_is_logged_once_and_stops_nothing(
    manager_socket: Socket, caplog: pytest.LogCaptureFixture
) -> None:
    manager = manager_at(manager_socket)
    manager_socket.close()
    caplog.set_level(logging.INFO)
    manager.ready()
    manager.stopping()
    assert len(caplog.records) == 1
    assert "systemd cannot be told" in caplog.text


def test_a_manager_that_does_not_read_holds_up_nobody(manager_socket: Socket, caplog: pytest.LogCaptureFixture) -> None:
    """Its queue is full after a while: what comes then is lost, and once it reads again it is told again."""
    manager = manager_at(manager_socket)
    while not caplog.records:
        manager.ready()
    assert manager_socket.told()
    manager.stopping()
    assert manager_socket.told() == [["STOPPING=1", "STATUS=stopping"]]
