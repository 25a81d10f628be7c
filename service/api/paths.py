"""A request's path, as its client wrote it and as routes know it: behind a proxy the service may be below a path.

`http.root_path` is that path. `service.api.middleware.root_path` makes every request's path one below it, whether the
proxy took it off or not; in a scope `root_path` and `path` are then as ASGI has them. Links are written with it.
"""

from __future__ import annotations

from typing import Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope


class _ContactConvertor(Convertor[str]):
    """See CONTACT."""

    regex = r"(?:[^/]+|.*@[^/@]+)"

    def convert(self, value: str) -> str:
        """The text as it is (starlette)."""
        return value

    def to_string(self, value: str) -> str:
        """The text as it is (starlette)."""
        return value


register_url_convertor("contact", _ContactConvertor())
METRICS: Final = "/metrics"
"""The path of the figures."""
CONTACT: Final = "{contact:contact}"
"""A contact in the path of a route: its user part may hold slashes (RFC 3261), its domain none.

A server decodes `%2F` before anybody can look for parts, so both spellings arrive as a slash.
"""


def root_of(scope: Scope) -> str:
    """The path that the service is below, such as `/presence`; empty where it is below none."""
    return str(scope.get("app_root_path", scope.get("root_path", "")))  # the first within a mounted program


def route_path(scope: Scope) -> str:
    """The path as routes know it, such as `/v1/presence`."""
    return str(scope.get("path", "")).removeprefix(root_of(scope))


def asked(scope: Scope) -> tuple[str, str]:
    """Both: the path as routes know it, and what is before it."""
    return route_path(scope), root_of(scope)
