"""Sends notifications to the endpoints of thousands of programs, so that none of them holds up another.

One GET for each, one try, and nobody follows a redirect. An endpoint that has not answered the last time, or was never
called, is served by a few connections set aside for such ones, however many of them there are: those that answer never
wait for one that does not. And one address has a share alone of either, so that a computer that is gone with all its
programs holds up no other one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from service.facade.endpoints import EndpointAddress, EndpointRules, bracketed

MOST: Final = 256
"""Notifications under way at once to endpoints that answer; further ones wait."""
MOST_UNPROVEN: Final = 64
"""The same to endpoints whose last notification failed, or that were never sent one."""
MOST_AT_ADDRESS: Final = 64
"""Both together to one address."""
MOST_UNPROVEN_AT_ADDRESS: Final = 16
"""Those of one address that are unproven."""
MOST_AT_ONE: Final = 8
"""The same to one address and port."""
_REMEMBERED: Final = 20_000
"""Addresses and ports of which it is known whether they answer."""


@dataclass(slots=True)
class _Host:
    """An address with all its ports."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ADDRESS))
    room_for_unproven: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_UNPROVEN_AT_ADDRESS))
    users: int = 0


@dataclass(slots=True)
class _Place:
    """An address and port."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONE))
    users: int = 0
    is_proven: bool = False


class Notifier:
    """Sends between `open` and `aclose`. `timeout` is in seconds, for a whole GET."""

    def __init__(self, rules: EndpointRules, timeout: float) -> None:
        self._rules = rules
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._places: dict[tuple[str, int], _Place] = {}
        self._hosts: dict[str, _Host] = {}
        self._room = asyncio.Semaphore(MOST)
        self._room_for_unproven = asyncio.Semaphore(MOST_UNPROVEN)

    def open(self) -> None:
        """Get ready, in the running event loop."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            # A notification holds nothing but an id, and endpoints have certificates of their own.
            connector=aiohttp.TCPConnector(limit=0, ssl=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"User-Agent": "pws"},
        )

    async def aclose(self) -> None:
        """Close the connections; nothing is sent any more."""
        if self._session is not None:
            await self._session.close()
        self._rules.close()

    async def send(self, url: str, registered_from: str | None) -> str:
        """Send a notification; why it failed, empty where it was answered with a status below 300.

        Raises NotReachable where the endpoint must not be called.
        """
        target = await self._rules.target(url, registered_from)
        address = str(target.address)
        place = self._places.setdefault((address, target.port), _Place())
        host = self._hosts.setdefault(address, _Host())
        place.users += 1
        host.users += 1
        try:
            async with place.room, self._given_room(host, place):
                problem = await self._get(url, target)
            place.is_proven = not problem
            return problem
        finally:
            place.users -= 1
            host.users -= 1
            if not host.users:
                del self._hosts[address]
            self._forget_some()

    @asynccontextmanager
    async def _given_room(self, host: _Host, place: _Place) -> AsyncIterator[None]:
        """Wait at the address first, so that a notification that waits there takes no room that others could use."""
        if place.is_proven:
            async with host.room, self._room:
                yield
        else:
            async with host.room_for_unproven, host.room, self._room_for_unproven:
                yield

    async def _get(self, url: str, target: EndpointAddress) -> str:
        if self._session is None or self._session.closed:
            return "the service is stopping"
        parts = urlsplit(url)
        at = parts._replace(netloc=f"{bracketed(target.address)}:{target.port}").geturl()
        name = target.host if target.scheme == "https" and target.host != str(target.address) else None
        try:
            # To the very address that was checked, with the very text that was registered, whatever is escaped in it.
            async with self._session.get(
                URL(at, encoded=True), allow_redirects=False, headers={"Host": parts.netloc}, server_hostname=name
            ) as answer:
                return "" if answer.status < 300 else f"HTTP {answer.status}"
        except TimeoutError:
            return f"no answer within {self._timeout:g} s"
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno
            return f"no connection: {os.strerror(number) if number else type(error.os_error).__name__}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"no answer: {type(error).__name__}"

    def _forget_some(self) -> None:
        if len(self._places) > _REMEMBERED:
            for key in [each for each, place in self._places.items() if not place.users][: _REMEMBERED // 2]:
                del self._places[key]
