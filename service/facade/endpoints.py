"""Where programs may have their endpoints: their hosts' addresses are looked up here, and nowhere else is ever called.

An endpoint is checked when it is registered, so that the program learns what is wrong, and each time when it is called:
what a name stands for may change, and so the address that is connected to is the one that was checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from service.access.networks import Address, address
from service.core.clock import Clock
from service.facade.settings import Network

LOOK_UP: Final = 5.0
"""Seconds that the look-up of a name may take."""
KEPT: Final = 30.0
"""Seconds for which the addresses of a name are remembered."""
_NAMES: Final = 4096
"""Names whose addresses are remembered."""
_THREADS: Final = 8
"""Names that are looked up at once. A thread of its own for each, since a name server may hang."""


class NotReachable(Exception):
    """An endpoint that is not called. The message says why, and repeats no more of its URL than the host."""


class EndpointAddress(NamedTuple):
    """Where a URL is to be sent to: one of the addresses of its host, which is allowed."""

    scheme: str
    host: str
    port: int
    address: Address


class EndpointRules:
    """The networks in which endpoints may lie, and the addresses of their hosts.

    `networks`: without any, an endpoint must have the address that it was registered from.
    """

    def __init__(self, networks: Sequence[Network], clock: Clock) -> None:
        self._networks = tuple(networks)
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[Address, ...]]] = {}
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="facade-names")

    def close(self) -> None:
        """Look up nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def target(self, url: str, registered_from: str | None) -> EndpointAddress:
        """Where to send what is for this URL. Raises NotReachable."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            host = parts.hostname or ""
        except ValueError:
            raise NotReachable("its URL cannot be read") from None
        if parts.scheme not in ("http", "https") or not host or "#" in url:
            raise NotReachable("its URL is not that of an HTTP server")
        if parts.username is not None or parts.password is not None:
            raise NotReachable("its URL has a user name in it")
        found = await self._addresses(host)
        for one in found:
            if self._allows(one, registered_from):
                return EndpointAddress(parts.scheme, host, port, one)
        if self._networks:
            raise NotReachable(f"{_shown(host, found)} is in none of the networks where endpoints may be")
        raise NotReachable(f"{_shown(host, found)} is not the address that it is registered from")

    def _allows(self, one: Address, registered_from: str | None) -> bool:
        if not self._networks:
            return one == address(registered_from)
        return any(one in network for network in self._networks)

    async def _addresses(self, host: str) -> tuple[Address, ...]:
        literal = address(host)
        if literal is not None:
            return (literal,)
        now = self._clock.monotonic()
        until, found = self._known.get(host, (now, ()))
        if now < until:
            return found
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOK_UP):
                infos = await loop.run_in_executor(self._threads, _look_up, host)
        except TimeoutError:
            raise NotReachable(f"its host {host[:100]} cannot be looked up: no answer within {LOOK_UP:.0f} s") from None
        except (OSError, UnicodeError):
            raise NotReachable(f"its host {host[:100]} has no address") from None
        found = tuple(dict.fromkeys(each for info in infos if (each := address(info)) is not None))
        if len(self._known) >= _NAMES:
            self._known.clear()
        self._known[host] = now + KEPT, found
        return found


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


def _shown(host: str, addresses: Sequence[Address]) -> str:
    listed = ", ".join(map(str, addresses[:3]))
    return host[:100] if host == listed or not listed else f"{host[:100]} ({listed})"


def bracketed(one: Address) -> str:
    """An address as a URL has it."""
    return f"[{one}]" if isinstance(one, ipaddress.IPv6Address) else str(one)
