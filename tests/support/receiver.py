"""A receiver of webhooks on loopback, in a thread of its own. It verifies and reads with the libraries of receivers."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

PATIENCE: Final = 20.0
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Received:
    """A message whose signature is right."""

    headers: Mapping[str, str]
    event: BaseCloudEvent

    @property
    def kind(self) -> str:
        return self.event.get_type()

    @property
    def subject(self) -> str | None:
        return self.event.get_subject()

    @property
    def data(self) -> Any:  # JSON is of any type
        return self.event.get_data()


@dataclass
class Receiver:
    """Takes messages at `url` as long as the `with` lasts. `status` is what it answers, after `delay` seconds.

    `header` goes with each answer. A message that is not signed with `secret` is answered with 401.
    """

    status: int = 204
    header: tuple[str, str] | None = None
    delay: float = 0.0
    secret: str = SECRET
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, header = receiver.take(dict(self.headers), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                if header is not None:
                    self.send_header(*header)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/presence"

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, tuple[str, str] | None]:
        """Verify, read and remember a message; what to answer."""
        time.sleep(self.delay)
        known = dict(headers)
        try:
            Webhook(self.secret).verify(body, known)
        except Exception:  # noqa: BLE001  whatever is wrong with it
            return 401, None
        with self._arrived:
            self.received.append(Received(headers, from_http_event(HTTPMessage(known, body))))
            self._arrived.notify_all()
        return self.status, self.header

    def until(self, enough: Callable[[list[Received]], object]) -> list[Received]:
        """Wait until what has come is enough."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: enough(self.received), PATIENCE), self.received
            return list(self.received)
