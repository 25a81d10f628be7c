"""The callback's address: what is registered at the server, and which requests belong to it.

`callback.url`, then `/pws/SECRET`, then a token of the node: `http://10.0.0.5:8080/pws/SECRET/TOKEN`. A path in
`callback.url` is a prefix of that. A reverse proxy may take the prefix off or pass it on, so the listener answers both
forms. Everybody who builds, checks or answers the address does it with this module. Pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from pws_soap.models import Secret

ROOT: Final = "/pws"
"""The service's own part of the path. Paths below it are never shown: one part of them is a secret."""
MAX_SECRET: Final = 128
_TOKEN: Final = 8
MAX_URL: Final = 1024 - len(f"{ROOT}/") - MAX_SECRET - len("/") - _TOKEN
"""Characters of `callback.url`: the server takes 1024 for the whole address, with the longest secret."""


def address(base: str, secret: Secret | None, node: str | None = None) -> Secret:
    """What is registered at the server's `node` (its URL). Without a secret it is the bare `base`."""
    if not secret:
        return Secret(base)
    made = Secret(f"{base.rstrip('/')}{ROOT}/{secret.reveal()}")
    return made if node is None else at_node(made, node)


def at_node(callback: Secret, node: str) -> Secret:
    """The address with the secret, for one node of the server."""
    return Secret(f"{callback.reveal()}/{token_of(node)}")


def token_of(node: str) -> str:
    """The last part of the callback's path, which tells the nodes apart: ids are small and every node counts from 1."""
    return hashlib.sha256(node.encode()).hexdigest()[:_TOKEN]


def prefix_of(base: str) -> str:
    """The path of `base` as a request's path is read: without escapes, and without a slash at its end."""
    return unquote(urlsplit(base).path.rstrip("/"))


def path_fault(base: str) -> str:
    """What is wrong with the path of `base`, in words; empty when the server, proxies and we all read it alike."""
    path = urlsplit(base).path.rstrip("/")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        return "in its path % begins an escape of two hex digits: write %25"
    try:
        parts = [unquote(part, errors="strict") for part in path.split("/")[1:]]
    except UnicodeDecodeError:
        return "escapes in its path are UTF-8"
    if any(part in {"", ".", ".."} for part in parts):
        return "its path has no empty part, '.' or '..': proxies change these"
    if any("/" in part or "\\" in part for part in parts):
        return "its path has no escaped slash or backslash: proxies read these differently"
    if not all(part.isprintable() for part in parts):
        return "its path has no control characters, also not escaped"
    if len(base.rstrip("/")) > MAX_URL:
        return f"at most {MAX_URL} characters, since the server takes 1024 with the secret"
    return ""
