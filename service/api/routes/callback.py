"""Where the server's notifications come in: parse, mark, answer (architecture, rule 4).

`GET /pws/{secret}` or `/pws/{secret}/{node}`, also behind the path of `callback.url` (`callback_url`). The secret in
the path is all the authentication there is, since the server can do no better (protocol section 2); the last part tells
which node it is, as we told it when we registered. Without the secret the path looks like any that does not exist, and
so it does for a source that is not allowed. With it, and a query that is no notification, the answer is an empty 400.
Nothing here waits for anything. Only one thing is logged, at a limited rate: that the right secret came from where it
must not come from.
"""

from __future__ import annotations

import hmac
import logging
import re
from datetime import UTC, datetime
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pws_soap import notification
from pws_soap.models import Notification, Secret
from service.access.log_limit import LogThrottle
from service.access.networks import Sources
from service.api.middleware.limits import RequestLimits
from service.api.paths import root_of, route_path
from service.core.callback_url import ROOT
from service.core.clock import Clock

_NODE: Final = re.compile(r"[A-Za-z0-9._-]{0,64}")

log = logging.getLogger("pws.service")


class Receiver(Protocol):
    """Takes what came in. Neither method waits or raises."""

    def notified(self, notification: Notification, node: str) -> None:
        """A notification. `node` is the token at the end of the path (`callback_url.token_of`), or empty."""
        ...

    def rejected(self) -> None:
        """A request with the right secret that is no notification."""
        ...


class Callback:
    """The ASGI program behind the path.

    `sources`: where notifications may come from, by default anywhere. `prefix`: the path of `callback.url`.
    """

    def __init__(
        self, engine: Receiver, secret: Secret, clock: Clock, sources: Sources | None = None, prefix: str = ""
    ) -> None:
        if not secret:
            raise ValueError("the callback's secret must not be empty")
        self._engine = engine
        self._secret = secret
        self._clock = clock
        self._sources = sources or Sources()
        self._seldom = LogThrottle(clock)
        self.prefix = prefix

    def routes(self) -> list[BaseRoute]:
        """Both forms of the path. They are not part of the API's description."""
        paths = (f"{ROOT}/{{secret}}", f"{ROOT}/{{secret}}/{{node}}")
        return [Route(path, self, include_in_schema=False) for path in paths]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given: str = scope["path_params"]["secret"]
        node: str = scope["path_params"].get("node", "")
        ours = self._secret.reveal().encode()
        is_ours = hmac.compare_digest(given.encode(errors="replace"), ours)
        if not self._may_send(scope, is_ours) or not is_ours or not _NODE.fullmatch(node):
            raise HTTPException(404)
        if scope["method"] != "GET":
            raise HTTPException(405, headers={"Allow": "GET"})
        try:
            received = datetime.fromtimestamp(self._clock.now(), UTC)
            note = notification.read(scope["query_string"], received)
        except notification.NotANotification:
            self._engine.rejected()
            await Response(status_code=400)(scope, receive, send)
            return
        self._engine.notified(note, node)
        await Response(status_code=200)(scope, receive, send)

    def _may_send(self, scope: Scope, is_ours: bool) -> bool:
        """Whether it comes from where it may. The operator hears of those who know the secret and may not."""
        peer = scope["client"][0] if scope.get("client") else None
        source = self._sources.of(peer, Headers(scope=scope).getlist("x-forwarded-for"))
        if self._sources.allow(source):
            return True
        shown = str(source) if source is not None else f"an unreadable X-Forwarded-For of {peer}"
        if is_ours and self._seldom.is_due(shown):
            log.warning(
                "refused a notification from %(source)s, which callback.allow_from does not name",
                {"source": shown},
                extra={"event": "notification.refused"},
            )
        return False


class WithoutPrefix:
    """Wraps an ASGI program: a notification that comes with the prefix is passed on without it.

    The prefix may be below the path that the service is below, or not: it is another address.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._prefix:
            for path in (str(scope["path"]), route_path(scope)):
                if path.startswith(f"{self._prefix}{ROOT}/"):
                    scope = {**scope, "path": root_of(scope) + path.removeprefix(self._prefix)}
                    break
        await self._app(scope, receive, send)


def alone(callback: Callback, max_body: int) -> ASGIApp:
    """The whole program of a listener for notifications alone: to all else it says 404 and no more."""
    app = Starlette(routes=callback.routes(), exception_handlers={HTTPException: _bare})
    app.router.redirect_slashes = False  # a redirect would repeat the secret
    return WithoutPrefix(RequestLimits(app, max_body), callback.prefix)


def _bare(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette registers handlers by their class
    return Response(status_code=error.status_code, headers=error.headers)
