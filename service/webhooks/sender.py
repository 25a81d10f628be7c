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
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

import aiohappyeyeballs
import yarl

from pws_soap.errors import ArgumentError
from pws_soap.trust import Trust
from service.webhooks.connection import AnswerUnreadable, ClosedUnanswered, TargetConnection
from service.webhooks.settings import Network, WebhookSettings

_KEPT_ALIVE: Final = 4.0
"""Seconds for which an idle connection is kept: less than servers do, so that none is used that they are closing."""
_NEXT_PLACE: Final = 0.25
"""Seconds after which the next address of a host is tried beside one that does not answer."""
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
Place = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""An address, as getaddrinfo has it."""


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


class HttpSender:
    """The way over the network. `agent` is what is said of the sender."""

    def __init__(self, settings: WebhookSettings, agent: str) -> None:
        self._settings = settings
        self._url = yarl.URL(settings.url.reveal(), encoded=True)
        self._path = self._url.raw_path_qs.encode()
        self._headers = {
            "host": self._url.host_port_subcomponent or "",
            "user-agent": agent,
            "accept": "*/*",
            "accept-encoding": "identity",
        }
        self._context: ssl.SSLContext | None = None
        self._idle: list[TargetConnection] = []
        self._open: set[TargetConnection] = set()

    def __repr__(self) -> str:
        return f"<HttpSender to {self._settings.address}>"

    async def post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        """See Sender."""
        timeout, sent, is_sent = self._settings.timeout, {**self._headers, **headers}, False
        try:
            async with asyncio.timeout(timeout):
                connection, head = self._kept(), None
                if connection is not None:
                    is_sent = True
                    with contextlib.suppress(ClosedUnanswered, OSError):  # the target was closing it
                        head = await connection.post(self._path, sent, body)
                if connection is None or head is None:
                    connection = await self._connected()
                    is_sent = True
                    head = await connection.post(self._path, sent, body)
        except _NotConnected as refused:
            return PostResult(
                error=refused.words, may_have_arrived=is_sent, problem=refused.problem, cause=refused.cause or refused
            )
        except (ClosedUnanswered, AnswerUnreadable) as broken:
            return PostResult(error=str(broken), problem=PostProblem.BROKEN, cause=broken)
        except TimeoutError as late:
            return PostResult(
                error=f"no answer within {timeout:g} s",
                may_have_arrived=is_sent,
                problem=PostProblem.TIMED_OUT,
                cause=late,
            )
        except OSError as broken:
            words = f"the connection broke: {_reason(broken)}"
            return PostResult(error=words, problem=PostProblem.BROKEN, cause=broken)
        await connection.read_out()
        if connection.is_open:
            self._idle.append(connection)
        if 300 <= head.status < 400:
            return PostResult(head.status, f"{head.status}, a redirect, which is not followed: set url to where it is")
        error = None if 200 <= head.status < 300 else _words(head.status, head.reason)
        return PostResult(head.status, error, retry_after=head.retry_after)

    async def close(self) -> None:
        """See Sender."""
        self._idle.clear()
        for connection in tuple(self._open):
            connection.abort()
            await connection.closed.wait()
        self._open.clear()

    # --- inside

    def _kept(self) -> TargetConnection | None:
        """A connection of an earlier message that can be used again."""
        since = asyncio.get_running_loop().time() - _KEPT_ALIVE
        while self._idle:
            found = self._idle.pop()
            if found.is_open and found.idle_since >= since:
                return found
            found.abort()
        return None

    async def _connected(self) -> TargetConnection:
        """A new connection. Raises _NotConnected."""
        loop, host = asyncio.get_running_loop(), self._url.raw_host or ""
        name = host.rstrip(".")  # as certificates have it
        context = self._trusting() if self._url.scheme == "https" else None
        try:
            found = await loop.getaddrinfo(host, self._url.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise _NotConnected(PostProblem.UNKNOWN_HOST, "its host name is unknown", error) from None
        places = _allowed(found, self._settings.addresses)
        try:
            opened = await aiohappyeyeballs.start_connection(places, happy_eyeballs_delay=_NEXT_PLACE, interleave=1)
            try:
                _, connection = await loop.create_connection(
                    TargetConnection, sock=opened, ssl=context, server_hostname=name if context is not None else None
                )
            except BaseException:
                opened.close()
                raise
        except ssl.SSLError as error:
            self._context = None  # the next attempt reads `ca_file` again, which may be what is mended
            raise _untrusted(error) from None
        except OSError as error:
            raise _NotConnected(PostProblem.NO_CONNECTION, f"cannot connect: {_reason(error)}", error) from None
        self._open = {connection, *(each for each in self._open if not each.closed.is_set())}
        return connection

    def _trusting(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = Trust(self._settings.ca_file).context()
            except ArgumentError as error:
                raise _NotConnected(PostProblem.CA_FILE, f"ca_file is not {error.expected}", error) from None
        return self._context


class _NotConnected(Exception):
    """There is no connection, so that nothing was sent."""

    def __init__(self, problem: PostProblem, words: str, cause: Exception | None = None) -> None:
        self.problem = problem
        self.words = words
        self.cause = cause
        super().__init__(words)


def _allowed(found: Sequence[Place], allowed: tuple[Network, ...]) -> list[Place]:
    """The addresses to which a connection may go. Raises _NotConnected where that is none of them."""
    places: list[Place] = []
    refused: AddressRefused | None = None
    for place in found:
        try:
            check_address(str(place[4][0]), allowed)
        except AddressRefused as error:
            refused = error
        else:
            places.append(place)
    if not places:
        raise _NotConnected(PostProblem.NOT_ALLOWED, str(refused), refused)
    return places


def _untrusted(error: ssl.SSLError) -> _NotConnected:
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"its certificate is not trusted: {error.verify_message or type(error).__name__}"
    else:
        words = f"no TLS with it: {_reason(error)}"
    return _NotConnected(PostProblem.NOT_TRUSTED, words, error)


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


def _words(status: int, reason: str | None) -> str:
    words = "".join(letter for letter in (reason or "")[:60] if letter.isascii() and letter.isprintable())
    return f"{status} {words}".strip()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    # asyncio says in strerror where it wanted to connect
    return os.strerror(error.errno) if error.errno else type(error).__name__
