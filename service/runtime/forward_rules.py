"""Which requests another replica has to answer, told from method, path and query alone.

| request | who answers, and why |
|---|---|
| `POST`, `DELETE` of claims | the owner: one replica decides who is free |
| `POST`, `DELETE` of contacts | the owner: one replica says what is watched |
| `POST /v1/refresh`, `POST /v1/failover` | the owner: one replica has the sessions at the server |
| `GET` of presence with `max_age` | the owner: it may have to be read from the server |
| `GET`, `POST` of webhooks | the owner: it alone sends to targets |
| `GET` of presence with a cursor of a kept order | the replica that keeps the order, while it is there |
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.types import Scope

from service.core.presence.cursors import replica_of

READS: Final = frozenset({"GET", "HEAD"})
_CHANGES: Final = ("/v1/claims", "/v1/contacts")
_ORDERS: Final = frozenset({"/v1/refresh", "/v1/failover"})
_PRESENCE: Final = "/v1/presence"
_WEBHOOKS: Final = "/v1/webhooks"
_ALIVE: Final = "/livez"


class ForwardRules:
    """Says of a request's scope who has to answer it. `root_path` is the path that the program is below."""

    def __init__(self, root_path: str = "") -> None:
        self._root_path = root_path

    def is_for_owner(self, scope: Scope) -> bool:
        """Whether the owner alone can answer it, or answers it best."""
        method, path = scope["method"], self._below(scope["path"])
        if path == _WEBHOOKS or path.startswith(f"{_WEBHOOKS}/"):
            return method in READS or method == "POST"
        if method in READS:
            return path.startswith(_PRESENCE) and "max_age" in _query(scope, b"max_age")
        if method not in {"POST", "DELETE"}:
            return False
        return path in _ORDERS or any(path == each or path.startswith(f"{each}/") for each in _CHANGES)

    def is_read(self, scope: Scope) -> bool:
        """Whether the program here has an answer as well, if not as new a one."""
        return scope["method"] in READS and self._below(scope["path"]).startswith(_PRESENCE)

    def is_alive(self, scope: Scope) -> bool:
        """Whether it says nothing of presence and counts for nobody, so that it may be asked with an old header."""
        return self._below(scope["path"]) == _ALIVE

    def replica_of_order(self, scope: Scope) -> bytes | None:
        """The mark of the replica that keeps the order of this page; None: no page, or one of no kept order."""
        if scope["method"] not in READS or self._below(scope["path"]) != _PRESENCE:
            return None
        cursor = _query(scope, b"cursor").get("cursor", "")
        return replica_of(cursor) if cursor else None

    def target(self, scope: Scope) -> str:
        """Path and query. The path is escaped anew: a proxy between replicas may write it in another way."""
        path = quote(self._below(scope["path"]), safe="/@:!$&'()*+,=~", errors="replace")
        query = scope["query_string"].decode("latin-1")
        return f"{path}?{query}" if query else path

    def _below(self, path: str) -> str:
        return path.removeprefix(self._root_path) if path.startswith(f"{self._root_path}/") else path


def _query(scope: Scope, wanted: bytes) -> dict[str, str]:
    """The parameters of a request, where `wanted` may be one of them; of several of one name the last, as routes do."""
    query: bytes = scope["query_string"]
    if wanted not in query and b"%" not in query:
        return {}
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
