"""A cheap HTTP client: sockets that block, connections that stay open, one request at a time on each."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.rows.processes import Child

CONNECTIONS: Final = 8
_PATIENCE: Final = 60.0
_CHANGING: Final = frozenset({"date"})
"""Headers that say when an answer was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case, those left out that differ every second."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header that there is."""
        return dict(self.headers)[name]

    def learnt(self) -> list[object]:
        """As `programs.plain_http` learns it. The server adds the date itself."""
        return [self.status, [list(pair) for pair in self.headers], self.body.decode("latin-1")]


def get(target: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A GET."""
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def with_body(method: str, target: str, body: bytes = b"") -> bytes:
    """A request with a body of JSON, or without one."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Connection:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._socket.sendall(request)

    def receive(self) -> tuple[bytes, bytes]:
        """Head and body of the next answer, whose length must be in its head."""
        data = self._socket.recv(2**18)
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        place = head.lower().find(b"\r\ncontent-length:")
        length = int(head[place + 17 :].partition(b"\r\n")[0]) if place >= 0 else 0
        if len(body) < length:
            pieces = [body]
            left = length - len(body)
            while left > 0:
                pieces.append(self._more())
                left -= len(pieces[-1])
            body = b"".join(pieces)
        return head, body

    def ask(self, request: bytes) -> Answer:
        """Send a request; its answer."""
        self.send(request)
        return read(*self.receive())

    def stream(self, request: bytes, end: bytes) -> bytes:
        """Send a request whose answer has no end; all that comes until `end`."""
        self.send(request)
        text = self._more()
        while end not in text[-2 * len(end) - 2**20 :]:
            text += self._more()
        return text

    def more_of(self, word: bytes, count: int) -> int:
        """Read on until `word` has come so often; how often it has."""
        found, text = 0, b""
        while found < count:
            text += self._more()
            found += text.count(word)
            text = text[text.rfind(word) + len(word) :] if word in text else text
        return found

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _more(self) -> bytes:
        data = self._socket.recv(2**20)
        if not data:
            raise ConnectionError("the connection was closed in the middle of an answer")
        return data


def read(head: bytes, body: bytes) -> Answer:
    """An answer of its parts."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":")[::2] for line in lines)
    headers = tuple((name.lower(), value.strip()) for name, value in pairs if name.lower() not in _CHANGING)
    return Answer(int(first.split()[1]), headers, body)


@contextlib.contextmanager
def connections(port: int, count: int = CONNECTIONS) -> Iterator[list[Connection]]:
    """So many connections to a server."""
    opened = [Connection(port) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


def load(opened: Sequence[Connection], requests: Sequence[bytes], status: bytes) -> int:
    """Send all requests, one on each connection at a time; how many bytes of bodies came. Each has to have `status`."""
    received = 0
    for start in range(0, len(requests), len(opened)):
        batch = requests[start : start + len(opened)]
        for connection, request in zip(opened, batch, strict=False):
            connection.send(request)
        for connection, _ in zip(opened, batch, strict=False):
            head, body = connection.receive()
            assert head[9:12] == status, head
            received += len(body)
    return received


def cost(child: Child, opened: Sequence[Connection], requests: Sequence[bytes], status: bytes = b"200") -> float:
    """The server's CPU time for one request."""
    began = child.cpu()
    load(opened, requests, status)
    return (child.cpu() - began) / len(requests)
