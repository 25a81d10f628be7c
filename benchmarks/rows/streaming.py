"""Row 11: one change to all of 1000 streams, and the memory of a stream.

Servers as processes of their own: the service; a loop over `transport.write` of the very bytes that the service sends,
with no HTTP behind it; sse-starlette with a queue for each client, where it is installed. The client is this process;
it looks how many of its sockets have something to read, and reads only when all have. A change is measured from the
server's clock before it until the last socket has it (the clocks of two processes are one clock), and as the server's
CPU time until then. Of several changes in a round the quickest counts: other programs only lengthen it.

Memory is what the server's resident set grows by while the streams are opened and get their first events, garbage
collected, a stream.
"""

from __future__ import annotations

import contextlib
import importlib.util
import select
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.rows.http_load import get
from benchmarks.rows.measure import Costs, Figure, Scale, Spread, Target, Way, differences, ratio, spreads, take_turns
from benchmarks.rows.processes import Child

PRODUCT: Final = "service"
LIMIT: Final = "transport.write"
PEER: Final = "sse-starlette"
_CONTACTS: Final = 20
_PATIENCE: Final = 60.0


class Listeners:
    """Clients of one server. `latest` is the last thing that one of them read."""

    def __init__(self, port: int, count: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self.latest = b""
        for _ in range(count):
            opened = socket.create_connection(("127.0.0.1", port), _PATIENCE)
            opened.sendall(get("/v1/events"))
            opened.setblocking(False)
            self._sockets[opened.fileno()] = opened
            self._poll.register(opened.fileno(), select.EPOLLIN)

    def wait(self, begin: bytes) -> float:
        """Wait until all have something to read; when that was. Each must have a whole event that begins so."""
        until = time.monotonic() + _PATIENCE
        while len(self._poll.poll(0, len(self._sockets))) < len(self._sockets):
            time.sleep(0.0002)
            if time.monotonic() > until:
                raise TimeoutError("some clients got nothing")
        at = time.monotonic()
        for opened in self._sockets.values():
            text = b""
            while begin not in text or b"\n\n" not in text[text.find(begin) :]:
                with contextlib.suppress(BlockingIOError):
                    text += opened.recv(2**16)
                if time.monotonic() > until:
                    raise TimeoutError(f"a client got {text[:200]!r}")
            self.latest = text
        return at

    def close(self) -> None:
        """Close all."""
        for opened in self._sockets.values():
            opened.close()
        self._poll.close()


class Streams:
    """A server and the clients of its streams."""

    def __init__(self, child: Child, count: int) -> None:
        self.child = child
        before = child.ask("memory")
        self.listeners = Listeners(child.port, count)
        self.listeners.wait(b"event: snapshot")
        self.memory = (child.ask("memory") - before) / count
        self.begin = self.listeners.latest
        self.cpu: list[float] = []

    def change(self) -> tuple[float, float]:
        """Let something change; the seconds until the last client has it, and the server's CPU time."""
        cpu = self.child.cpu()
        told: dict[str, Any] = self.child.ask("change", times=1)
        at = self.listeners.wait(b"event: change")
        return at - float(told["at"]), self.child.cpu() - cpu

    def round(self, times: int) -> float:
        """Several changes; the shortest time, and as much of the CPU is kept."""
        measures = [self.change() for _ in range(times)]
        self.cpu.append(min(cpu for _, cpu in measures))
        return min(wall for wall, _ in measures)


@contextlib.contextmanager
def streams(name: str, count: int, **settings: object) -> Iterator[Streams]:
    """Start a server, and open streams."""
    with Child(name, **settings) as child:
        opened = Streams(child, count)
        try:
            yield opened
        finally:
            opened.listeners.close()


def _unchunked(text: bytes) -> str:
    """The events in what came: only the lines of an event are left."""
    starts = (b"retry:", b"event:", b"id:", b"data:", b":")
    kept = [line for line in text.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(starts)]
    return b"\n".join(kept).decode() + "\n\n"


def _learn(service: Streams) -> tuple[str, str]:
    """What a client gets first, and a change, as the service writes them."""
    service.change()
    frame = _unchunked(service.listeners.latest)
    begin = _unchunked(service.begin.partition(b"\r\n\r\n")[2])
    return begin, frame


def fan_out(scale: Scale) -> list[Figure]:
    """Row 11."""
    count = scale.streams
    times = scale.times(10)
    with contextlib.ExitStack() as opened:
        with streams("service", 1, contacts=_CONTACTS) as one:
            begin, frame = _learn(one)
        ways: dict[str, Streams] = {}
        ways[PRODUCT] = opened.enter_context(streams("service", count, contacts=_CONTACTS))
        peers = {LIMIT: "write", PEER: "sse-starlette"}
        if importlib.util.find_spec("sse_starlette") is None:
            del peers[PEER]
        for name, app in peers.items():
            child = opened.enter_context(Child("plain_streams", app=app))
            child.ask("learn", begin=begin, frame=frame)
            ways[name] = Streams(child, count)
            opened.callback(ways[name].listeners.close)
        wrong = differences("bytes", _unchunked(_got(ways[LIMIT])), frame)

        def measured(name: str) -> Way:
            return lambda _number: ways[name].round(times)

        costs: Costs = take_turns(scale.rounds, {name: measured(name) for name in ways})
    of_cpu: Costs = {name: each.cpu[1:] for name, each in ways.items()}
    memory = {name: Spread.of([each.memory / 1000]) for name, each in ways.items()}
    part = f"one change to {count} streams"
    served, cpu = ratio(costs, PRODUCT, LIMIT), ratio(of_cpu, PRODUCT, LIMIT)
    return [
        Figure(11, f"{part}, last one served", served, "x", Target(2.0), spreads(costs), wrong=wrong),
        Figure(11, f"{part}, CPU time", cpu, "x", None, spreads(of_cpu), wrong=wrong),
        Figure(11, f"memory of a stream, of {count}", memory[PRODUCT], "KB", Target(15.0), memory, "KB", wrong=wrong),
    ]


def _got(way: Streams) -> bytes:
    way.change()
    return way.listeners.latest
