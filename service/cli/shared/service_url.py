"""The address of a running service by its configuration. Read quickly: the rest of the file is not checked."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Final

DEFAULT_URL: Final = "http://127.0.0.1:8080"


def configured_url(path: Path) -> str | None:
    """The address in [http] of the configuration; None where it says none that can be used."""
    http: dict[str, Any] = {}  # Any: a TOML value, checked below
    try:
        found = tomllib.loads(path.read_text("utf-8-sig")).get("http")
        http = found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        pass
    host = os.environ.get("PWS_HTTP__HOST") or http.get("host") or "127.0.0.1"
    port = os.environ.get("PWS_HTTP__PORT") or http.get("port") or 8080
    if not isinstance(host, str) or not str(port).isdecimal():
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  a listener on all addresses is on loopback too
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host of an address is this machine itself."""
    return host == "localhost" or host == "::1" or host.startswith("127.")
