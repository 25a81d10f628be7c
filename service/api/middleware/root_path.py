"""Makes the service work below a proxy's path, `http.root_path`, whether the proxy passes that path on or takes it off.

Around everything that looks at paths. Plain ASGI.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send


def path_below(path: str, root_path: str) -> str:
    """The path of a request below `root_path`, whether a proxy took that off or not."""
    if not root_path or path.startswith(f"{root_path}/"):
        return path
    return f"{path}/" if path == root_path else root_path + path


def scope_below(scope: Scope, root_path: str) -> Scope:
    """The scope of a request as ASGI has it below `root_path`."""
    if scope["type"] != "http" or not root_path:
        return scope
    path = path_below(str(scope["path"]), root_path)
    return {**scope, "path": path, "raw_path": quote(path).encode(), "root_path": root_path}


class RootPathMiddleware:
    """Wraps an ASGI program. `root_path` begins with a slash and does not end with one, or is empty."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope_below(scope, self._root_path), receive, send)
