"""Sends the GET of a notification over a socket."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

_CONNECTIONS = 64
"""At most 64 notifications are under way at once; further ones wait."""


class HttpNotifier:
    """Sends notifications between `open` and `aclose`. Redirects are not followed.

    `timeout` is in seconds, for a whole GET. `tls` is the context for https, or False to accept any certificate.
    """

    def __init__(self, timeout: float, *, tls: ssl.SSLContext | bool = True) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Get ready to send, in the running event loop."""
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections; nothing is sent any more."""
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str) -> bool:
        """Send a notification; whether it was answered with a status below 300 (`ports.Notify`)."""
        if self._session is None or self._session.closed:
            return False
        try:
            # The very text that was registered is called, whatever is escaped in it and whatever is not.
            async with self._session.get(URL(url, encoded=True), allow_redirects=False) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
