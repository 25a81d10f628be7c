"""A running service over HTTP: its documents and its stream of events, with each failure as a message for the user.

`NoAnswer` may be retried, `ServiceRefused` needs a person. No proxy is taken from the environment and
no redirect is followed, since the key would go along.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from pws_soap.errors import ArgumentError
from pws_soap.models import Secret
from pws_soap.tls_problem import tls_problem
from pws_soap.trust import Trust
from service.cli.shared.output import printable
from service.cli.shared.sockets import Sockets

CONNECT: Final = 5.0
ANSWER: Final = 5.0
"""Seconds for a document: a service that takes longer cannot be called live."""
SILENCE: Final = 60.0
"""Seconds without a byte after which a stream is dead; the service sends a keep-alive every 15."""
LATE: Final = "no answer in time"
"""The reason of a NoAnswer where a connection was accepted and no reply came."""
MAX_DOCUMENT: Final = 8 * 1024 * 1024
Query = Sequence[tuple[str, str]]
Json = Mapping[str, Any]
"""A JSON document from outside: each value is checked before it is used."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Address, key and certificate authority of a service. `url` has no slash at the end."""

    url: str
    key: Secret | None = None
    ca_file: Path | None = None

    @property
    def is_secure(self) -> bool:
        """Whether the address is https."""
        return self.url.startswith("https:")


class NoAnswer(Exception):
    """The service did not answer; a retry may help.

    `status` is the HTTP status, None without a reply; `retry_after` in seconds, where the reply says it.
    """

    def __init__(self, reason: str, status: int | None = None, retry_after: float | None = None) -> None:
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        super().__init__(reason)


class ServiceRefused(Exception):
    """The service refused; a retry will not help. `is_mistake`: an option is wrong, else access is denied."""

    def __init__(self, reason: str, *, is_mistake: bool = False) -> None:
        self.reason = reason
        self.is_mistake = is_mistake
        super().__init__(reason)


class Api:
    """One service. `silence`: seconds without a byte after which a stream is dead; `answer`: seconds for a document.

    Raises ServiceRefused for a CA file without certificates."""

    def __init__(self, place: ServiceAddress, silence: float = SILENCE, answer: float = ANSWER) -> None:
        self.place = place
        self._silence = silence
        self._answer = answer
        self._tls: ssl.SSLContext | bool = True
        if place.is_secure:
            try:
                self._tls = Trust(place.ca_file).context()
            except ArgumentError as error:
                reason = error.expected.partition("(")[2].rstrip(")")
                raise ServiceRefused(f"--ca-file {place.ca_file}: not a file with certificates in PEM: {reason}",
                              is_mistake=True) from None  # fmt: skip
        self._http: aiohttp.ClientSession | None = None
        self._sockets = Sockets()
        self._stream: aiohttp.ClientResponse | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()
            await self._sockets.close()

    async def get(self, path: str) -> Json:
        """A document. Raises NoAnswer or ServiceRefused."""
        async with self._asked(path, (), {"Accept": "application/json"}, self._answer, self._answer) as answer:
            body = await _body(answer)
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ServiceRefused(
                f"{self.place.url}{path} is not a document of the presence service: is the address right?"
            )
        return document

    @asynccontextmanager
    async def events(self, query: Query, last_id: str = "") -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of the event stream, as they come. Raises NoAnswer, also while it is read, or ServiceRefused."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        async with self._asked("/v1/events", query, headers, None, self._silence) as answer:
            if answer.content_type != "text/event-stream":
                raise ServiceRefused(f"{self.place.url}/v1/events is not a stream of events: is the address right?")
            self._stream = answer
            try:
                yield answer.content.iter_any()
            finally:
                if self._stream is answer:  # another one may have begun
                    self._stream = None

    def interrupt(self) -> None:
        """Break the stream that is being read: its reader gets a NoAnswer."""
        if self._stream is not None:
            self._stream.close()

    @asynccontextmanager
    async def _asked(
        self, path: str, query: Query, headers: dict[str, str], total: float | None, silence: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self.place.key is not None:
            headers["Authorization"] = f"Bearer {self.place.key.reveal()}"
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT, sock_read=silence)
        url = self.place.url + path
        try:
            async with self._session().get(
                url, params=list(query), headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise await self._no(answer, path)
                yield answer
        except aiohttp.ClientConnectorCertificateError as error:
            problem = tls_problem(error.certificate_error, error.host, Trust(self.place.ca_file))
            cure = "; --ca-file names a private authority" if problem.unknown_authority else ""
            raise ServiceRefused(
                f"the certificate of {self.place.url} is not trusted: {problem.reason}{cure}"
            ) from None
        except aiohttp.ClientConnectorDNSError as error:
            raise NoAnswer(f"the name {error.host} cannot be resolved") from None
        except aiohttp.ClientConnectorError as error:
            raise NoAnswer(_why(error.os_error)) from None
        except TimeoutError:  # aiohttp's own are subclasses
            raise NoAnswer(LATE) from None
        except (aiohttp.InvalidURL, UnicodeError):
            raise ServiceRefused(f"{self.place.url} is not an address", is_mistake=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(_broken(error, secure=self.place.is_secure)) from None

    async def _no(self, answer: aiohttp.ClientResponse, path: str) -> NoAnswer | ServiceRefused:
        status, url = answer.status, self.place.url
        detail = await _detail(answer)
        because = f": {detail}" if detail else ""
        match status:
            case 401 if self.place.key is None:
                return ServiceRefused(f"{url} wants a key: set PWS_KEY (`pws watch` also reads it from --key-file)")
            case 401:
                return ServiceRefused(f"{url} does not know the key that was sent{because}")
            case 403:
                return ServiceRefused(f"{url} does not allow this with the key{because}")
            case 404 | 405:
                return ServiceRefused(
                    f"there is no {path} at {url}: is the address right, or is that the listener for notifications? "
                    "--url or PWS_URL name the API's address"
                )
            case 422:
                return ServiceRefused(detail or "the service refuses these options", is_mistake=True)
            case 429 | 500 | 502 | 503 | 504:
                return NoAnswer(f"HTTP {status}{because}", status, _seconds(answer.headers.get("Retry-After")))
            case _ if 300 <= status < 400:
                where = one_line(answer.headers.get("Location"))[:200]
                return ServiceRefused(f"{url} redirects to {where or 'nowhere'}: give that address with --url")
            case _:
                return ServiceRefused(f"{url} refuses: HTTP {status}{because}")

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=4, socket_factory=self._sockets.make),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                headers={"User-Agent": "pws-watch"},
                skip_auto_headers={"Accept-Encoding"},
            )
        return self._http


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > MAX_DOCUMENT:
            raise NoAnswer(f"an answer of more than {MAX_DOCUMENT} bytes")
        parts.append(part)
    return b"".join(parts)


async def _detail(answer: aiohttp.ClientResponse) -> str:
    """What a problem document says, in one line."""
    try:
        async with asyncio.timeout(ANSWER):
            # Any: it is looked at before it is used
            document: Any = json.loads(await _body(answer))
    except (ValueError, NoAnswer, aiohttp.ClientError, TimeoutError):
        return ""
    return one_line(document.get("detail"))[:1000] if isinstance(document, dict) else ""


def _seconds(text: str | None) -> float | None:
    return min(float(text), 3600.0) if text is not None and text.isdecimal() else None


def _why(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(error, ssl.SSLError):
        problem = tls_problem(error, "", Trust())
        return f"TLS failed: {problem.reason}" + (
            "" if problem.speaks_tls else "; without TLS, the address begins with http://"
        )
    return error.strerror or str(error) or type(error).__name__


def _broken(error: Exception, *, secure: bool) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        hint = "" if secure else "; if the port speaks TLS, the address begins with https://"
        return f"the answer is not HTTP{hint}"
    return f"the connection broke ({type(error).__name__})"


def one_line(value: object) -> str:
    """A text without control characters, on one line; empty for anything but a text."""
    return printable(value).replace("\n", " ") if isinstance(value, str) else ""
