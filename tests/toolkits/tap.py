"""A relay that hands on every byte as it is, and keeps those of the client: what a toolkit really sends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Tap:
    """Listens on a free port and connects each client to `port`, both on the loopback interface."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[bytearray] = []
        self.port: int = self._listener.getsockname()[1]

    @property
    def sent(self) -> bytes:
        """All that clients have sent so far, one connection after the other."""
        return b"".join(bytes(connection) for connection in self._connections)

    def serve(self) -> None:
        """Relay connections until the listener is shut down."""
        relays: list[threading.Thread] = []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            relays.append(threading.Thread(target=self._relay, args=(client,)))
            relays[-1].start()
        for relay in relays:
            relay.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _relay(self, client: socket.socket) -> None:
        """Both directions of one connection, until each side has ended it."""
        kept = bytearray()
        self._connections.append(kept)
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            back = threading.Thread(target=_pump, args=(server, client, bytearray()))
            back.start()
            _pump(client, server, kept)
            back.join()


def _pump(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """Hand on what comes from `source`; its end as well, unless the other side is gone already."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            kept += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap before the server on that port. At the end all its connections have ended."""
    tap = Tap(port)
    thread = threading.Thread(target=tap.serve)
    thread.start()
    try:
        yield tap
    finally:
        tap.close()
        thread.join()
