"""A receiver of webhooks over real sockets: it verifies and reads messages with the libraries of others."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="


@dataclass(frozen=True)
class HookAnswer:
    """What the receiver answers. `hangs`: nothing, until it ends; `breaks`: it closes the connection."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    hangs: bool = False
    breaks: bool = False

    @property
    def takes(self) -> bool:
        """Whether the message is taken, as the sender sees it."""
        return 200 <= self.status < 300 and not self.hangs and not self.breaks


@dataclass(frozen=True)
class TakenMessage:
    """A message that came, verified. `event` is a CloudEvent, `path` with its query."""

    path: str
    headers: dict[str, str]
    event: Any
    answered: HookAnswer

    @property
    def kind(self) -> str:
        return str(self.event.get_type())

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def subject(self) -> str | None:
        found: str | None = self.event.get_subject()
        return found

    @property
    def data(self) -> Any:  # JSON
        return self.event.get_data()


@dataclass
class HookServer:
    """Where it is, what came, and what it answers."""

    port: int
    scheme: str = "http"
    answer: Callable[[TakenMessage], HookAnswer] = lambda _: HookAnswer()
    messages: list[TakenMessage] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What is wrong with messages that came."""
    connections: int = 0
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?code=in-the-query"

    def taken(self) -> list[TakenMessage]:
        """Those that it answered with success."""
        return [message for message in self.messages if message.answered.takes]

    def states(self, contact: str) -> list[str]:
        """The states of a contact that it took."""
        return [message.data["state"] for message in self.taken() if message.subject == contact]


@contextmanager
def hook_server(
    tls: ssl.SSLContext | None = None, secret: str = SECRET, *, port: int = 0, refuses: bool = False
) -> Iterator[HookServer]:
    """Serve until the end of the block; then nothing was wrong with any message.

    `refuses`: a message that is not signed with `secret` is answered with 401, and nothing is wrong about that.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            web.connections += 1

        def do_POST(self) -> None:  # the name is that of the standard library
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                Webhook(secret).verify(body, headers)
                event = from_structured_event(HTTPMessage(headers, body))
            except Exception as error:  # noqa: BLE001  whatever a verifier says
                if refuses:
                    self.send_error(401)
                    return
                web.wrong.append(f"{type(error).__name__}: {error}")
                self.close_connection = True
                return
            message = TakenMessage(self.path, headers, event, HookAnswer(0))
            answer = web.answer(message)
            web.messages.append(TakenMessage(self.path, headers, event, answer))
            if answer.hangs:
                web.ending.wait()
            if answer.hangs or answer.breaks:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            try:
                self.wfile.write(answer.body)
            except OSError:  # the client has left
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as above
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not trust the certificate, or leaves, is no news."""

    with Server(("127.0.0.1", port), Handler) as server:
        web = HookServer(int(server.server_address[1]), "http" if tls is None else "https")
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            web.ending.set()
            server.shutdown()
            thread.join()
    assert not web.wrong
