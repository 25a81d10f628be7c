"""Bytes to one node and back, over aiohttp; every foreign exception ends here and becomes one of ours.

Requests carry Content-Length (a chunked one is refused by the server), connections are kept alive, there is one TLS
context per node, redirects are not followed, and no environment variable names a proxy or an authority. The reply is
read up to a cap.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult

from pws_soap.errors import (
    ArgumentError,
    Disconnected,
    ReplyTooLarge,
    TimedOut,
    Unreachable,
    UnreadableReply,
    UntrustedServer,
)

DEFAULT_CONNECT_TIMEOUT: Final = 5.0
DEFAULT_READ_TIMEOUT: Final = 30.0
DEFAULT_MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
"""A reply of 5000 rich documents is about 15 MB; four times that is no reply of an honest server."""
_TOTAL_PER_READ: Final = 4
"""A whole call may take this many read time-outs: a server that sends a byte now and then holds nobody for ever."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it came: the status and the whole body."""

    status: int
    body: bytes = field(repr=False)


class Transport(Protocol):
    """What the client needs of the network. `pws_soap.memory` is the twin without sockets."""

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        """Send a request and read its reply. Raises TransportError only."""
        ...

    async def get(self, url: str, *, operation: str) -> Reply:
        """Fetch a document, for the live WSDL. Raises TransportError only."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe over TLS: a private authority, one certificate by its SHA-256, or the system's authorities.

    There is no way to trust everybody. With a fingerprint the certificate itself is checked, before anything is sent,
    and its name and date are not.
    """

    ca_file: str | Path | None = None
    fingerprint: str | None = None

    def aiohttp_ssl(self) -> ssl.SSLContext | aiohttp.Fingerprint:
        """What aiohttp checks with. Raises ArgumentError for a file or a fingerprint that is not one."""
        if self.fingerprint is not None:
            if self.ca_file is not None:
                raise ArgumentError("fingerprint", "ca_file or fingerprint, not both", self.fingerprint)
            return aiohttp.Fingerprint(read_fingerprint(self.fingerprint))
        if self.ca_file is None:
            return ssl.create_default_context()
        try:
            return ssl.create_default_context(cafile=str(self.ca_file))
        except OSError as error:  # ssl.SSLError is one
            what = "a file with certificates in PEM"
            raise ArgumentError("ca_file", f"{what} ({error.strerror or error})", str(self.ca_file)) from None


def read_fingerprint(text: str) -> bytes:
    """The 32 bytes of a SHA-256 fingerprint written in hexadecimal, with or without colons."""
    digits = text.strip().removeprefix("sha256:").removeprefix("SHA256:").replace(":", "").replace(" ", "")
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ArgumentError("fingerprint", "the SHA-256 of a certificate, 64 hexadecimal digits", text)
    return digest


class AiohttpTransport:
    """The transport over real sockets. Time-outs are in seconds; it belongs to the event loop it is first used in."""

    def __init__(
        self,
        trust: Trust = Trust(),  # frozen, so shared without harm
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
        self._trust = trust
        self._ssl = trust.aiohttp_ssl() if trust != Trust() else None
        self._timeout = aiohttp.ClientTimeout(
            total=connect_timeout + _TOTAL_PER_READ * read_timeout,
            sock_connect=connect_timeout,
            sock_read=read_timeout,
        )
        self._read_timeout = read_timeout
        self._connect_timeout = connect_timeout
        self._max_reply_bytes = max_reply_bytes
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"AiohttpTransport(ca_file={self._trust.ca_file!s}, pinned={self._trust.fingerprint is not None})"

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        return await self._request("POST", url, body, headers, operation)

    async def get(self, url: str, *, operation: str) -> Reply:
        return await self._request("GET", url, None, {}, operation)

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            if self._ssl is None:
                self._ssl = self._trust.aiohttp_ssl()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._ssl,
                    limit=self._max_connections,
                    keepalive_timeout=75,
                    resolver=_Resolver(self._connect_timeout),
                ),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                headers={"User-Agent": "pws-presence", "Accept": "text/xml, application/soap+xml"},
                skip_auto_headers={"Accept-Encoding"},
            )
        return self._session

    async def _request(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], operation: str
    ) -> Reply:
        node = urlsplit(url).netloc
        try:
            async with self._open().request(method, url, data=body, headers=headers, allow_redirects=False) as reply:
                return Reply(reply.status, await self._read(reply, node, operation))
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch) as error:
            raise await self._untrusted(error, url, operation) from None
        except aiohttp.ConnectionTimeoutError:
            raise Unreachable(
                f"no connection within {self._connect_timeout:g} s", node=node, operation=operation
            ) from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(_reason(error), node=node, operation=operation) from None
        except TimeoutError:  # aiohttp's own time-outs are subclasses
            message = f"no complete reply (read time-out {self._read_timeout:g} s)"
            raise TimedOut(message, node=node, operation=operation) from None
        except (aiohttp.InvalidURL, UnicodeError):  # the latter for a name that is none, such as a..b
            raise Unreachable("the address is not a URL", node=node, operation=operation) from None
        except aiohttp.ClientResponseError as error:
            what = re.split(r"[:'\"\n]", error.message.strip())[0]  # what follows quotes the reply
            raise UnreadableReply(f"the reply is not HTTP ({what})", node=node, operation=operation) from None
        except (aiohttp.ClientError, OSError) as error:
            message = f"the connection broke: {error or type(error).__name__}"[:200]
            raise Disconnected(message, node=node, operation=operation) from None

    async def _read(self, reply: aiohttp.ClientResponse, node: str, operation: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in reply.content.iter_any():
            size += len(part)
            if size > self._max_reply_bytes:
                reply.close()
                message = f"the reply is larger than {self._max_reply_bytes} bytes (max_reply_bytes)"
                raise ReplyTooLarge(message, node=node, operation=operation)
            parts.append(part)
        return b"".join(parts)

    async def _untrusted(
        self,
        error: aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch,
        url: str,
        operation: str,
    ) -> UntrustedServer:
        parts = urlsplit(url)
        if isinstance(error, aiohttp.ServerFingerprintMismatch):
            why = "it is not the pinned one"
            shown = error.got.hex(":").upper()
        else:
            cause = error.certificate_error
            why = str(getattr(cause, "verify_message", "") or cause)
            shown = await _shown_certificate(parts.hostname or "", parts.port or 443, self._connect_timeout)
        print_of = f" (its SHA-256 is {shown})" if shown else ""
        cure = "Set ca_file to the authority that signed it"
        if "mismatch" in why:
            cure = "Name the node as its certificate does (ca_file is as it should be)"
        message = (
            f"the server's certificate{print_of} is not trusted: {why.rstrip('.')}. "
            f"{cure}, or fingerprint to its SHA-256 after checking it on the server"
        )
        return UntrustedServer(message, node=parts.netloc, operation=operation)


class _Resolver(aiohttp.ThreadedResolver):
    """Looks names up within the connect time-out, which aiohttp applies to what comes after it only."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self._limit = limit

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        async with asyncio.timeout(self._limit):
            return await super().resolve(host, port, family)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host!r} cannot be resolved"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}; does the port speak TLS?"
    return cause.strerror or str(cause)


async def _shown_certificate(host: str, port: int, limit: float) -> str:
    """The fingerprint of the certificate that a server shows, so that a person can compare it. Sends nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return ""
    tls = writer.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls else None
    writer.transport.abort()
    return hashlib.sha256(certificate).hexdigest().upper() if certificate else ""
