"""The way past the framework for the few requests that come most: the same answers, from kept bytes.

FastAPI's handling of a request costs many times what sending the kept answer does. So a request that is plain in every
way is answered here: the same functions decide who it is and whether it may be made, and what is sent are the bytes
that the route makes (`service.api.kept_answers`). Whatever is not known exactly, and everything that would be refused,
goes on to the framework as if nobody had looked at it; so errors have one place, and a header or parameter that is
added there needs nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.types import Receive, Scope, Send

from service.access import principal
from service.access.access_headers import AccessHeaders
from service.access.authentication import client_of
from service.access.errors import RequestRefused
from service.access.principal import Principal
from service.api.answers import contact_answer
from service.api.context import Context
from service.api.etags import JSON, Tags
from service.api.kept_answers import KeptAnswer
from service.api.middleware.root_path import path_below
from service.api.parameters.checks import path_contact
from service.api.parameters.presence import ContactQuery

Handler = Callable[[Scope, Receive, Send], Awaitable[None] | None]
"""Gives the answer to a request as something to wait for; None leaves the request to the framework."""
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

    def take(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None] | None:
        """The answer to a request, to be waited for; None where the framework is to give it."""
        if scope["type"] != "http":
            return None
        method, path = scope["method"], scope["path"]
        handler = self._entries.get((method, path)) or self._entries.get((method, path[: path.rfind("/") + 1]))
        if handler is None or scope.get("root_path"):
            return None
        try:
            return handler(scope, receive, send)
        except Exception:  # noqa: BLE001  the framework still can answer, or will say that it cannot
            _log.exception("the hot lane failed")
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
            "/v1/presence": self._list,
            "/v1/presence/": self._contact,
            "/v1/summary": self._summary,
        }
        return {(method, path): handler for path, handler in handlers.items() for method in ("GET", "HEAD")}

    def _list(self, scope: Scope, _receive: Receive, send: Send) -> Awaitable[None] | None:
        headers = _read(scope)
        if headers is None or headers.get(b"accept") not in _ANY_FORM:
            return None
        return self._kept_answer(scope, send, headers)

    def _summary(self, scope: Scope, _receive: Receive, send: Send) -> Awaitable[None] | None:
        headers = _read(scope)
        return None if headers is None else self._kept_answer(scope, send, headers)

    def _contact(self, scope: Scope, _receive: Receive, send: Send) -> Awaitable[None] | None:
        headers = _read(scope)
        return None if headers is None else self._kept_answer(scope, send, headers, self._make_contact)

    def _kept_answer(
        self,
        scope: Scope,
        send: Send,
        headers: Mapping[bytes, bytes],
        make: Callable[[str, Principal], KeptAnswer | None] | None = None,
    ) -> Awaitable[None] | None:
        who = self._authenticator.admit_early(scope, "GET", _access(headers))
        if who is None or _READ not in who.scopes:
            return None
        path, query = path_below(scope["path"], self._root_path), scope["query_string"]
        kept = self._kept.find(path, query, who)
        if kept is None and make is not None and not query:
            kept = make(path, who)
        if kept is None or (kept.order is not None and not self._context.reader.use(kept.order, client_of(scope))):
            return None
        asked, last = headers.get(b"if-none-match"), self._log.last
        if asked is None:
            tag, is_known = f'"{last}-{kept.content}"', False
        else:
            tags = Tags(kept.question, (asked.decode("latin-1"),))
            tag = tags.of_content(kept.content, last)
            is_known = tags.any_will_do or tags.has(tag)
        if is_known:
            return _send(send, 304, [(b"etag", tag.encode("latin-1")), *kept.unchanged], b"")
        body = kept.body if scope["method"] == "GET" else b""
        return _send(send, 200, [(b"etag", tag.encode("latin-1")), *kept.whole], body)

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


def _read(scope: Scope) -> dict[bytes, bytes] | None:
    """The headers of a request; None where one comes twice, or means something that is not known here."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    found = dict(headers)
    return found if len(found) == len(headers) and _ONLY_THERE.isdisjoint(found) else None


def _access(headers: Mapping[bytes, bytes]) -> AccessHeaders:
    """Those that decide whether the request may be made; Origin and Sec-Fetch-Site do not where nothing is changed."""
    names = (b"host", b"x-api-key", b"authorization")
    return AccessHeaders(*((headers[name].decode("latin-1"),) if name in headers else () for name in names))


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
