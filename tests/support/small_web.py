"""A web server in a thread that says one thing, slowly if wanted: for clients that must be quick."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SmallWeb(ThreadingHTTPServer):
    """Answers every GET with `status` and `body`. `trickles`: byte by byte, without an end."""

    daemon_threads = True

    def __init__(self, status: int, body: bytes, *, trickles: bool = False) -> None:
        self.status = status
        self.body = body
        self.trickles = trickles
        self.ending = threading.Event()
        self.asked: list[tuple[str, str | None]] = []
        """The path and the Authorization of each request."""
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: SmallWeb

    def do_GET(self) -> None:  # the name is that of the standard library
        web = self.server
        web.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(web.status)
        self.send_header("Content-Length", str(10**6 if web.trickles else len(web.body)))
        self.end_headers()
        try:
            while web.trickles and not web.ending.wait(0.01):
                self.wfile.write(b" ")
            self.wfile.write(web.body)
        except OSError:  # the client has left
            pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as above
        """Says nothing."""


@contextmanager
def small_web(
    status: int, body: bytes, *, trickles: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[SmallWeb]:
    """Serve it until the end of the block."""
    with SmallWeb(status, body, trickles=trickles) as web:
        if tls is not None:
            web.socket = tls.wrap_socket(web.socket, server_side=True)
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            web.ending.set()
            web.shutdown()
            thread.join()
