"""The way past the framework for the few requests that come most: the same answers, from kept bytes.

FastAPI's handling of a request costs many times what sending the kept answer does. So a request that is plain in every
way is answered here: the same functions decide who it is and whether it may be made, and what is sent are the bytes
that the route makes (`service.api.kept_answers`). Whatever is not known exactly, and everything that would be refused,
goes on to the framework as if nobody had looked at it; so errors have one place, and a header or parameter that is
added there needs nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache, partial
from typing import Final

from starlette.types import Receive, Scope, Send

from service.access import principal
from service.access.access_headers import AccessHeaders
from service.access.authentication import client_of
from service.access.errors import RequestRefused
from service.access.principal import Principal
from service.api.answers import contact_answer, summary_answer
from service.api.context import Context
from service.api.etags import JSON
from service.api.kept_answers import KeptAnswer, RawHeaders
from service.api.middleware.root_path import path_below
from service.api.parameters.checks import path_contact
from service.api.parameters.presence import ContactQuery

Handler = Callable[[Scope, Receive, Send], Awaitable[Receive | None] | None]
"""Gives the answer to a request as something to wait for; None leaves the request to the framework.

So does one that gives a `Receive` in the end: the framework then gets from it what was read already, and the rest.
"""
Entries = Mapping[tuple[str, str], Handler]
"""Handlers by method and path. A path that ends with a slash stands for all that have one more part."""

_ONLY_THERE: Final = frozenset({b"prefer", b"origin", b"content-length", b"transfer-encoding"})
"""Headers that mean something to the framework, or to what is around it, and that nobody reads here."""
_ANY_FORM: Final = frozenset({None, b"", b"*/*", JSON.encode()})
"""Values of Accept that mean JSON."""
_NO_QUERY: Final = ContactQuery()
_READ: Final = principal.Scope.READ

_log = logging.getLogger("pws.http")


class HotLane:
    """Looks at each request first. `root_path` is the path that the service is below, or empty."""

    def __init__(self, entries: Entries, root_path: str = "") -> None:
        self._entries = dict(entries)
        if root_path:
            self._entries |= {(method, root_path + path): handler for (method, path), handler in entries.items()}

    def take(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[Receive | None] | None:
        """The answer to a request, to be waited for; None where the framework is to give it. See `Handler`."""
        if scope["type"] != "http":
            return None
        method, path = scope["method"], scope["path"]
        handler = self._entries.get((method, path)) or self._entries.get((method, path[: path.rfind("/") + 1]))
        if handler is None or scope.get("root_path"):
            return None
        try:
            return handler(scope, receive, send)
        except Exception:  # noqa: BLE001  the framework still can answer, or will say that it cannot
            _log.exception("the hot lane failed", extra={"event": "internal.error"})
            return None


class PresenceLane:
    """The entries for contacts, their lists and their summary."""

    def __init__(self, context: Context, root_path: str = "") -> None:
        self._context = context
        self._root_path = root_path
        self._kept = context.kept
        self._log = context.log
        self._authenticator = context.authenticator

    def entries(self) -> Entries:
        """By method and path."""
        handlers: dict[str, Handler] = {
            "/v1/presence": partial(self._answer, forms=_ANY_FORM),
            "/v1/presence/": partial(self._answer, make=self._make_contact),
            "/v1/summary": partial(self._answer, make=self._make_summary),
        }
        return {(method, path): handler for path, handler in handlers.items() for method in ("GET", "HEAD")}

    def _answer(
        self,
        scope: Scope,
        _receive: Receive,
        send: Send,
        make: Callable[[str, Principal], KeptAnswer | None] | None = None,
        forms: Collection[bytes | None] | None = None,
    ) -> Awaitable[Receive | None] | None:
        """The kept answer, or else what `make` gives. `forms`: the values of Accept that mean JSON; None: all do."""
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        headers = dict(raw)
        if len(headers) != len(raw) or b"host" not in headers or not _ONLY_THERE.isdisjoint(headers):
            return None
        if forms is not None and headers.get(b"accept") not in forms:
            return None
        who = self._authenticator.admit_early(scope, "GET", access_of(headers))
        if who is None or _READ not in who.scopes:
            return None
        path, query = scope["path"], scope["query_string"]
        if self._root_path:
            path = path_below(path, self._root_path)
        kept = self._kept.find(path, query, who)
        if kept is None and make is not None and not query:
            kept = make(path, who)
        if kept is None or (kept.order is not None and not self._context.reader.use(kept.order, client_of(scope))):
            return None
        status, headers_sent, body = self._written(kept, headers.get(b"if-none-match"))
        self._context.audit.look(scope, who, kept.shown, unchanged=status == 304)
        return _send(send, status, headers_sent, body if scope["method"] == "GET" else b"")

    def _written(self, kept: KeptAnswer, asked: bytes | None) -> tuple[int, RawHeaders, bytes]:
        """Status, headers and body of the answer to a client that names these tags."""
        known = None if asked is None else kept.known(asked, self._log.last)
        return (200, kept.tagged(self._log.last), kept.body) if known is None else (304, known, b"")

    def _make_contact(self, path: str, who: Principal) -> KeptAnswer | None:
        """Make the answer about a contact, without any parameters, as its route does."""
        try:
            uri = path_contact(path.rpartition("/")[2])
        except RequestRefused:
            return None
        stamp = self._kept.stamp
        made = contact_answer(self._context, who, uri, _NO_QUERY.shown(who))
        if made is None:
            return None
        return self._kept.keep(path, b"", who, made.representation, made.until, stamp, contact=uri)

    def _make_summary(self, path: str, who: Principal) -> KeptAnswer | None:
        """Make the summary, as its route does."""
        stamp = self._kept.stamp
        summary = self._context.core.counts.summary_at_once(who.groups)
        if summary is None:
            return None
        return self._kept.keep(path, b"", who, summary_answer(self._context, who, summary), summary.until, stamp)


def access_of(headers: Mapping[bytes, bytes]) -> AccessHeaders:
    """Those that decide whether the request may be made; Origin and Sec-Fetch-Site do not where nothing is changed."""
    host, key, authorization = headers.get(b"host"), headers.get(b"x-api-key"), headers.get(b"authorization")
    if key is None and authorization is None:
        return _without_key(host)
    return AccessHeaders(
        () if host is None else (host.decode("latin-1"),),
        () if key is None else (key.decode("latin-1"),),
        () if authorization is None else (authorization.decode("latin-1"),),
    )


@lru_cache(maxsize=64)
def _without_key(host: bytes | None) -> AccessHeaders:
    return AccessHeaders(() if host is None else (host.decode("latin-1"),))


async def _send(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
