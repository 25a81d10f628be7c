"""Where the server's notifications come in: parse, mark, answer (architecture, rule 4).

`GET /pws/{secret}` or `/pws/{secret}/{node}`. The secret in the path is all the authentication there is, since the
server can do no better (protocol section 2); the last part tells which node it is, as we told it when we registered.
Without the secret the path looks like any that does not exist. With it, and a query that is no notification, the
answer is an empty 400. Nothing here waits for anything, and nothing is written to a log.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from pws_soap import notification
from pws_soap.models import Secret
from service.clock import Clock
from service.engine import Engine
from service.problems import CALLBACK_ROOT

_NODE: Final = re.compile(r"[A-Za-z0-9._-]{0,64}")


class Callback:
    """The ASGI program behind the path."""

    def __init__(self, engine: Engine, secret: Secret, clock: Clock) -> None:
        if not secret:
            raise ValueError("the callback's secret must not be empty")
        self._engine = engine
        self._secret = secret
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """Both forms of the path. They are not part of the API's description."""
        paths = (f"{CALLBACK_ROOT}/{{secret}}", f"{CALLBACK_ROOT}/{{secret}}/{{node}}")
        return [Route(path, self, include_in_schema=False) for path in paths]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given: str = scope["path_params"]["secret"]
        node: str = scope["path_params"].get("node", "")
        ours = self._secret.reveal().encode()
        if not hmac.compare_digest(given.encode(errors="replace"), ours) or not _NODE.fullmatch(node):
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
