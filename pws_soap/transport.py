"""Sends requests to one node over HTTP/1.1 and reads the replies; foreign exceptions are translated into ours here.

Requests carry Content-Length (a chunked one is refused by the server), connections are kept alive, there is one TLS
context per node, redirects are not followed, and no environment variable names a proxy or an authority. The reply is
read up to a cap.

A reply that came twice, or late, could be taken for the answer to the next request. So a connection carries each
operation once: whatever else comes on it is either no reply to the request under way, by its name, or was not asked
for and closes it (`pws_soap.connection`). A new connection for a fetch costs a few milliseconds, and proves whose reply
it is.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohappyeyeballs

from pws_soap import certificate
from pws_soap.connection import BrokenOff, Connection, NotHttp, Patience, RequestHead, TooLarge
from pws_soap.errors import (
    NO_DESCRIPTORS_LEFT,
    ArgumentError,
    Disconnected,
    ReplyTooLarge,
    TimedOut,
    TlsFailed,
    UnexpectedReply,
    Unreachable,
    UnreadableReply,
)
from pws_soap.tls_problem import tls_problem
from pws_soap.trust import SYSTEM_AUTHORITIES, Trust, WrongCertificate

DEFAULT_CONNECT_TIMEOUT: Final = 5.0
DEFAULT_READ_TIMEOUT: Final = 30.0
DEFAULT_MAX_REPLY_BYTES: Final = 32 * 1024 * 1024
"""A reply of 5000 rich documents is about 15 MB; twice that is no reply of an honest server. Reading one takes up to
ten times its size in memory, however hostile it is."""
NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says when nothing more can be opened."""
_HEADERS: Final = (("User-Agent", "pws-presence"), ("Accept", "text/xml, application/soap+xml"))
_KEPT: Final = 75.0
"""Seconds for which an idle connection is kept."""
_MOST_IDLE: Final = 2
"""At most this many idle connections are kept for another operation; more would occupy the server's threads."""
_MAX_HEADS: Final = 256
"""Heads of requests that are kept, of some hundred bytes each: most requests are made again and again."""
_TOTAL_PER_READ: Final = 4
"""A whole call may take this many read time-outs, so that a server that sends single bytes cannot hold it for ever."""


def _no_descriptors_left() -> bool:
    """Whether this process, or the system, can open nothing more; a resolver then says that there is no such name."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in NO_DESCRIPTORS
    return False


@lru_cache(maxsize=_MAX_HEADS)
def _head(method: str, url: str, headers: tuple[tuple[str, str], ...], length: int) -> RequestHead:
    """The head of a request with a body of that length. There is no secret in it."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [("Host", parts.netloc), *_HEADERS, *headers]
    if method == "POST":
        lines.append(("Content-Length", str(length)))
    return RequestHead.of(method, target, lines)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it came: the status and the whole body."""

    status: int
    body: bytes = field(repr=False)


class _HandshakeFailed(Exception):
    """TLS did not come about. `error` is what was raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(str(error))


class Transport(Protocol):
    """What the client needs of the network. `pws_soap.memory` is the twin without sockets."""

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        """Send a request and read its reply. Raises TransportError only."""
        ...

    async def get(self, url: str, *, operation: str) -> Reply:
        """Fetch a document, for the live WSDL. Raises TransportError only."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """The transport over real sockets. Time-outs are in seconds; it belongs to the event loop it is first used in.

    At most `max_connections` are in use at a time.
    """

    def __init__(
        self,
        trust: Trust = SYSTEM_AUTHORITIES,
        *,
        connect_timeout: float = DEFAULT_CONNECT_TIMEOUT,
        read_timeout: float = DEFAULT_READ_TIMEOUT,
        max_reply_bytes: int = DEFAULT_MAX_REPLY_BYTES,
        max_connections: int = 16,
    ) -> None:
        for name, value in (("connect_timeout", connect_timeout), ("read_timeout", read_timeout)):
            if not 0 < value < float("inf"):
                raise ArgumentError(name, "a number of seconds above 0", value)
        if max_reply_bytes < 1:
            raise ArgumentError("max_reply_bytes", "at least 1", max_reply_bytes)
        if max_connections < 1:
            raise ArgumentError("max_connections", "at least 1", max_connections)
        self._trust = trust
        self._tls = trust.context() if trust.ca_file is not None or trust.fingerprint is not None else None
        self._read_timeout = read_timeout
        self._patience = Patience(read_timeout, _TOTAL_PER_READ * read_timeout)
        self._connect_timeout = connect_timeout
        self._max_reply_bytes = max_reply_bytes
        self._free = asyncio.Semaphore(max_connections)
        self._idle: dict[Connection, float] = {}  # since when, the longest idle first
        self._busy: set[Connection] = set()

    def __repr__(self) -> str:
        return f"HttpTransport(ca_file={self._trust.ca_file!s}, pinned={self._trust.fingerprint is not None})"

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        return await self._request("POST", url, body, headers, operation)

    async def get(self, url: str, *, operation: str) -> Reply:
        return await self._request("GET", url, b"", {}, operation)

    async def close(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # lets the connections report that they are closed

    # One request

    async def _request(self, method: str, url: str, body: bytes, headers: dict[str, str], operation: str) -> Reply:
        parts = urlsplit(url)
        node = parts.netloc
        request = _head(method, url, tuple(headers.items()), len(body))
        async with self._free:
            connection = self._kept(operation) or await self._open(url, operation)
            self._busy.add(connection)
            try:
                raw = await connection.ask(request, body, self._max_reply_bytes, self._patience)
            except BrokenOff as error:
                first = parts.scheme == "https" and not connection.replies and not connection.pieces
                if first and (failed := await self._refused_late(url, operation)):
                    raise failed from None
                raise Disconnected(f"the connection broke: {error}"[:200], node=node, operation=operation) from None
            except NotHttp as error:
                raise UnreadableReply(f"the reply is not HTTP ({error})", node=node, operation=operation) from None
            except TooLarge:
                message = f"the reply is larger than {self._max_reply_bytes} bytes (max_reply_bytes)"
                raise ReplyTooLarge(message, node=node, operation=operation) from None
            except TimeoutError:
                message = f"no complete reply (read time-out {self._read_timeout:g} s)"
                raise TimedOut(message, node=node, operation=operation) from None
            finally:
                self._busy.discard(connection)
                self._put_back(connection, operation)
        if any(name == b"age" for name, _ in raw.headers):  # whatever it says: RFC 9111 section 5.1
            message = "the reply comes from a cache on the way, not from the server"
            raise UnexpectedReply(message, node=node, operation=operation)
        return Reply(raw.status, raw.body)

    # Connections

    def _kept(self, operation: str) -> Connection | None:
        """The connection that was used last of those that have not carried the operation yet."""
        now = asyncio.get_running_loop().time()
        for connection in reversed([*self._idle]):
            if now - self._idle[connection] > _KEPT or not connection.is_open:
                self._drop(connection)
            elif operation not in connection.carried:
                if connection.is_silent:
                    del self._idle[connection]
                    return connection
                self._drop(connection)
        return None

    def _put_back(self, connection: Connection, operation: str) -> None:
        if not connection.is_open:
            return
        connection.carried.add(operation)
        self._idle[connection] = asyncio.get_running_loop().time()
        while len(self._idle) > _MOST_IDLE:
            self._drop(next(iter(self._idle)))

    def _drop(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        connection.abort()

    def _ended(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    async def _open(self, url: str, operation: str) -> Connection:
        """A new connection. Raises Unreachable; nothing was sent."""
        parts = urlsplit(url)
        node = parts.netloc
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await self._connected(host, port, secure=secure)
        except _HandshakeFailed as failed:
            raise await self._tls_failed(failed.error, url, operation) from None
        except TimeoutError:
            message = f"no connection within {self._connect_timeout:g} s"
        except UnicodeError:  # for a malformed name, such as a..b
            message = "the address is not a URL"
        except socket.gaierror:
            message = NO_DESCRIPTORS_LEFT if _no_descriptors_left() else f"the name {host!r} cannot be resolved"
        except ConnectionRefusedError:
            message = "connection refused: nothing listens there"
        except OSError as error:
            message = NO_DESCRIPTORS_LEFT if error.errno in NO_DESCRIPTORS else error.strerror or str(error)
        raise Unreachable(message, node=node, operation=operation)

    async def _tls_failed(self, error: BaseException, url: str, operation: str) -> TlsFailed:
        """The error for a handshake that failed, after another look at what the server shows."""
        parts = urlsplit(url)
        host, shown = parts.hostname or "", await self._look(url)
        return tls_problem(error, host, self._trust, shown).as_error(parts.netloc, operation)

    async def _refused_late(self, url: str, operation: str) -> TlsFailed | None:
        """The error for a server that refuses us only after our side of the handshake, and reads no request then.

        In TLS 1.3 that is how a client's certificate is missed. The alert may be lost where the connection is reset, so
        the server is looked at once more. Nothing but the alert will do: a server that asks for a certificate and
        does without may have carried the request out.
        """
        shown = await self._look(url)
        if shown is None or shown.error is None or not shown.says_ours_is_missed:
            return None
        parts, error = urlsplit(url), shown.error
        return tls_problem(error, parts.hostname or "", self._trust, shown).as_error(parts.netloc, operation)

    async def _look(self, url: str) -> certificate.Shown | None:
        parts = urlsplit(url)
        try:
            return await certificate.look(parts.hostname or "", parts.port or 443, self._connect_timeout)
        except (OSError, TimeoutError):
            return None

    async def _connected(self, host: str, port: int, *, secure: bool) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if (
            not secure and len(addresses) == 1 and addresses[0][0] is socket.AF_INET
        ):  # nothing to race, in half the time
            family, _, protocol, _, (address, *_) = addresses[0]
            _, connection = await loop.create_connection(
                self._made, str(address), port, family=family, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            return connection
        found = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=0.25, interleave=1)
        try:
            if not secure:
                _, connection = await loop.create_connection(self._made, sock=found)
                return connection
            if self._tls is None:
                self._tls = self._trust.context()
            try:
                transport, connection = await loop.create_connection(
                    self._made, sock=found, ssl=self._tls, server_hostname=host
                )
            except (ssl.SSLError, ConnectionError) as error:
                raise _HandshakeFailed(error) from None
        except BaseException:
            found.close()
            raise
        try:
            self._trust.check(transport)
        except WrongCertificate as error:
            connection.abort()
            raise _HandshakeFailed(error) from None
        return connection

    def _made(self) -> Connection:
        return Connection(self._ended)
