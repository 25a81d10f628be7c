"""Makes the service work below a proxy's path, `http.root_path`, whether the proxy passes that path on or takes it off.

Around everything that looks at paths. Plain ASGI.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPathMiddleware:
    """Wraps an ASGI program. `root_path` begins with a slash and does not end with one, or is empty."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._root_path:
            path = str(scope["path"])
            if path == self._root_path:
                path += "/"
            elif not path.startswith(f"{self._root_path}/"):
                path = self._root_path + path
            scope = {**scope, "path": path, "raw_path": quote(path).encode(), "root_path": self._root_path}
        await self._app(scope, receive, send)
