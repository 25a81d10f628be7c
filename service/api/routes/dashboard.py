"""The page at `/`: files of the package, sent as they are, to a browser that is told to load nothing else.

They are read once, when the program is put together, and only they can be asked for: no path is ever looked up. Each
has a strong entity tag and must be asked for again each time, so that a new version of the service is a new page at
once, and an unchanged file costs an empty answer. They need no key: the page asks for one when the API wants it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

FILES: Final = Path(__file__).parents[2] / "dashboard"

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may load and be: our own scripts, styles, icon and answers, and in nobody's frame."""

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    tag: str

    @classmethod
    def read(cls, path: Path, root_path: str) -> _File:
        body = path.read_bytes()
        if path.suffix == ".html" and root_path:  # the page may be asked for without the slash behind that path
            body = re.sub(rb'((?:href|src)=")(?=\w)', rb"\1" + f"{root_path}/".encode(), body)
        return cls(body, _TYPES[path.suffix], f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"')

    def answer(self, request: Request) -> Response:
        headers = {**_HEADERS, "ETag": self.tag}
        asked = ",".join(request.headers.getlist("if-none-match"))
        if any(each.strip() in {"*", self.tag, f"W/{self.tag}"} for each in asked.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.kind)


def router(root_path: str = "") -> APIRouter:
    """`/` and `/dashboard/{name}`. They overlook query parameters: what the page shows is in them.

    Links of the page are relative, so that they lead to the service also where a proxy has it below a path of which it
    does not know; with `root_path` they are below that.
    """
    routes = APIRouter(include_in_schema=False)
    files = {path.name: _File.read(path, root_path) for path in sorted(FILES.iterdir()) if path.suffix in _TYPES}

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return files["index.html"].answer(request)

    @routes.api_route("/dashboard/{name}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        found = files.get(name)
        if found is None:
            raise HTTPException(404)
        return found.answer(request)

    return routes
