"""Sends a message: one POST, and what became of it. Nothing here retries, and nothing of an answer is kept.

A target is somebody else's server, and may be anybody's by tomorrow: redirects are not followed, no cookies are kept,
no proxy of the environment is used, and of an answer's body a little is read and thrown away. `addresses` are held
against the address that a connection really goes to, whatever a name means by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakSet

import aiohttp
import yarl

from service.webhooks.settings import Network, WebhookSettings

MOST_READ: Final = 16 * 1024
"""Bytes of an answer's body that are read, so that its connection can be used again; a longer one is closed."""
_READ_FOR: Final = 1.0
"""Seconds for which they are read."""
_KEPT_ALIVE: Final = 4.0
"""Seconds for which an idle connection is kept: less than servers do, so that none is used that they are closing."""
_TURNS: Final = 20
_TURN: Final = 0.01
"""Seconds of one of the turns of the event loop that closing takes at most."""
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "100.100.100.200/32", "169.254.0.0/16", "224.0.0.0/3"),
            *("::/128", "fd00:ec2::254/128", "fe80::/10", "ff00::/8"),
        ),
    )
)
"""Where no target is unless `addresses` says so: link-local, multicast, and where clouds give out their secrets."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PostProblem(StrEnum):
    """Why there is no answer."""

    UNKNOWN_HOST = "unknown-host"
    NOT_ALLOWED = "not-allowed"
    """Its address is none to which a connection may go."""
    NO_CONNECTION = "no-connection"
    NOT_TRUSTED = "not-trusted"
    """TLS failed: most often its certificate is not trusted."""
    CA_FILE = "ca-file"
    """`ca_file` cannot be read."""
    TIMED_OUT = "timed-out"
    BROKEN = "broken"
    """The connection ended before the answer did, or the answer is no HTTP."""


class PostResult(NamedTuple):
    """What became of a POST: the status of the answer, or why there is none, as a kind, in words, and as it was raised.

    `may_have_arrived`: whether the target may have the message all the same. `retry_after` is the header as it came.
    """

    status: int | None = None
    error: str | None = None
    may_have_arrived: bool = True
    retry_after: str | None = None
    problem: PostProblem | None = None
    cause: Exception | None = None


class Sender(Protocol):
    """The way to one target."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        """Send it. Raises nothing."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class AddressRefused(OSError):
    """A connection would have gone where none may go."""


class CaFileUnreadable(Exception):
    """`ca_file` cannot be read, or holds no certificate."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class HttpSender:
    """The way over the network. `agent` is what is said of the sender."""

    def __init__(self, settings: WebhookSettings, agent: str) -> None:
        self._settings = settings
        self._url = yarl.URL(settings.url.reveal(), encoded=True)
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None
        self._sockets: WeakSet[socket.socket] = WeakSet()
        """Those of all connections that are not closed yet."""

    def __repr__(self) -> str:
        return f"<HttpSender to {self._settings.address}>"

    async def post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        """See Sender."""
        timeout = self._settings.timeout
        try:
            async with asyncio.timeout(timeout):
                return await self._post(body, headers)
        except TimeoutError as error:
            return PostResult(error=f"no answer within {timeout:g} s", problem=PostProblem.TIMED_OUT, cause=error)
        except (aiohttp.ClientError, CaFileUnreadable, OSError, ValueError) as error:
            return _unanswered(error)

    async def close(self) -> None:
        """See Sender."""
        session, self._session = self._session, None
        if session is None:
            return
        await session.close()
        for opened in tuple(self._sockets):  # TLS waits for a farewell, and who hangs says none
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for _ in range(_TURNS):
            if not self._sockets:
                break
            await asyncio.sleep(_TURN)

    # --- inside

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        session = self._opened()
        async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            status = response.status
            if not await _read_out(response):
                response.close()
            if 300 <= status < 400:
                return PostResult(status, f"{status}, a redirect, which is not followed: set url to where it is")
            error = None if 200 <= status < 300 else _words(status, response.reason)
            return PostResult(status, error, retry_after=response.headers.get("Retry-After"))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            is_tls = self._url.scheme == "https"
            connector = aiohttp.TCPConnector(
                ssl=_context(self._settings) if is_tls else True,
                limit=self._settings.parallel,
                keepalive_timeout=_KEPT_ALIVE,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                trust_env=False,
                auto_decompress=False,
                headers={"user-agent": self._agent, "accept-encoding": "identity"},
            )
        return self._session

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:  # Any: as aiohttp declares it
        """The socket for an address, just before it is connected. Raises AddressRefused."""
        family, kind, protocol, _, place = info
        check_address(str(place[0]), self._settings.addresses)
        opened = socket.socket(family, kind, protocol)
        self._sockets.add(opened)
        return opened


def check_address(text: str, allowed: tuple[Network, ...]) -> None:
    """Raises AddressRefused where no connection may go there. `allowed`: none: everywhere but where no target is."""
    address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    if allowed:
        if not any(address in network for network in allowed):
            raise AddressRefused(f"its address {address} is not one of `addresses`")
    elif any(address in network for network in _NEVER):
        raise AddressRefused(f"its address {address} is no target's, unless `addresses` names it")


def _plain(address: Address) -> Address:
    """An IPv4 address in an IPv6 one is what it leads to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour is not None:
            return address.sixtofour
    return address


def _context(settings: WebhookSettings) -> ssl.SSLContext:
    """Raises CaFileUnreadable."""
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise CaFileUnreadable(_reason(error)) from None


async def _read_out(response: aiohttp.ClientResponse) -> bool:
    """Read what is left of a short answer; whether that was all. What it says is nothing to us."""
    read = 0
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_READ_FOR):
            while chunk := await response.content.read(MOST_READ):
                read += len(chunk)
                if read > MOST_READ:
                    return False
            return True
    return False


def _words(status: int, reason: str | None) -> str:
    words = "".join(letter for letter in (reason or "")[:60] if letter.isascii() and letter.isprintable())
    return f"{status} {words}".strip()


def _unanswered(error: Exception) -> PostResult:
    """Why there is no answer. No text of a library's error is passed on that may hold the URL."""
    certain = True
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause: Exception = error.certificate_error
            why = getattr(cause, "verify_message", "") or type(cause).__name__
            problem, words = PostProblem.NOT_TRUSTED, f"its certificate is not trusted: {why}"
        case aiohttp.ClientConnectorSSLError():
            cause = error.os_error
            problem, words = PostProblem.NOT_TRUSTED, f"no TLS with it: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorDNSError():
            cause = error.os_error
            problem, words = PostProblem.UNKNOWN_HOST, "its host name is unknown"
        case aiohttp.ClientConnectorError(os_error=AddressRefused() as cause):
            problem, words = PostProblem.NOT_ALLOWED, str(cause)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            problem, words = PostProblem.NO_CONNECTION, f"cannot connect: {_reason(error.os_error)}"
        case CaFileUnreadable(reason=reason):
            cause, problem, words = error, PostProblem.CA_FILE, f"ca_file cannot be used: {reason}"
        case aiohttp.ServerDisconnectedError():
            cause, certain = error, False
            problem, words = PostProblem.BROKEN, "it closed the connection without an answer"
        case OSError():
            cause, certain = error, False
            problem, words = PostProblem.BROKEN, f"the connection broke: {_reason(error)}"
        case _:
            cause, certain = error, False
            problem, words = PostProblem.BROKEN, f"its answer cannot be understood ({type(error).__name__})"
    return PostResult(error=words, may_have_arrived=not certain, problem=problem, cause=cause)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    # asyncio says in strerror where it wanted to connect
    return os.strerror(error.errno) if error.errno else type(error).__name__
