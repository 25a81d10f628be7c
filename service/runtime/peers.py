"""The way from one replica to another over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import yarl

from pws_soap.trust import Trust
from service.runtime.peer_requests import PeerReply, PeerRequest, PeerUnreachable

CONNECT: Final = 1.0
"""Seconds after which a replica that takes no connection counts as unreachable: they are near each other."""
LONGEST: Final = 400.0
"""Seconds for one answer; a claim may wait for 300. An owner that falls silent is noticed long before."""
_KEPT_ALIVE: Final = 4.0
"""Seconds for which an idle connection is kept: less than the server does, so that none is used that it is closing."""
_PART: Final = 64 * 1024
_READS: Final = frozenset({"GET", "HEAD"})
"""Methods of requests that may be sent twice, as the package does where a connection breaks off."""


class HttpPeers:
    """Connections to other replicas; they are opened with the first request. `close` is the caller's to call.

    `ca_file`: who signed their certificates, where they are reached over TLS; None: one of the system's authorities.
    A certificate is always checked, and its name too. Raises ArgumentError for a file without certificates.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._trust = Trust(ca_file, section="cluster.peers_")
        self._tls = None if ca_file is None else self._trust.context()
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(self, address: str, request: PeerRequest) -> AsyncIterator[PeerReply]:
        """See Peers."""
        url = yarl.URL(address + request.target, encoded=True)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        middlewares = () if request.method in _READS else (_Once(),)
        try:
            async with self._opened().request(
                request.method,
                url,
                headers=headers,
                data=request.body or None,
                allow_redirects=False,
                middlewares=middlewares,
            ) as reply:
                yield PeerReply(reply.status, reply.raw_headers, _parts(reply))
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError) as error:
            raise PeerUnreachable(str(error), may_have_acted=False) from None
        except aiohttp.ConnectionTimeoutError:
            raise PeerUnreachable(f"{address} takes no connection", may_have_acted=False) from None
        except aiohttp.ClientResponseError:  # its text has the query, which may name contacts
            raise PeerUnreachable(f"{address} answers something that is not HTTP", may_have_acted=True) from None
        except (TimeoutError, aiohttp.ClientError) as error:
            raise PeerUnreachable(str(error) or "no answer in time", may_have_acted=True) from None

    async def close(self) -> None:
        """Let the connections go."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._tls = self._tls or self._trust.context()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_ALIVE, ssl=self._tls),
                timeout=aiohttp.ClientTimeout(total=LONGEST, connect=CONNECT, sock_connect=CONNECT),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


class _Once:
    """Lets a request be sent once. The package sends a DELETE again where a connection breaks off, and the second one
    would be answered as if the first had done nothing."""

    def __init__(self) -> None:
        self._is_sent = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._is_sent:
            raise PeerUnreachable("the connection broke off before the answer", may_have_acted=True)
        self._is_sent = True
        return await handler(request)


async def _parts(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for part in reply.content.iter_chunked(_PART):
        yield part
