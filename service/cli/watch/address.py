"""The address of the service that `pws watch` follows, and its key: from options, environment and configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pws_soap.models import Secret
from service.cli.shared import output
from service.cli.shared.service_url import DEFAULT_URL, configured_url, is_loopback

if TYPE_CHECKING:
    from service.cli.shared.api import ServiceAddress

MAX_KEY: Final = 1000
"""Characters of the longest API key; a longer text is not a key."""


def address_of(url: str | None, key_file: Path | None, ca_file: Path | None, config_path: Path) -> ServiceAddress:
    """Address, key and certificate authority of the service. Raises Mistake."""
    from service.cli.shared.api import ServiceAddress  # aiohttp takes a moment

    url = url or configured_url(config_path) or DEFAULT_URL
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = None
    if not fits or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise output.Mistake(f"--url: expected an address such as {DEFAULT_URL}, got {_shown(url)!r}")
    if parts.username is not None or parts.password is not None:
        raise output.Mistake("--url: expected no user and password in it: a key goes into PWS_KEY or --key-file")
    if ca_file is not None and parts.scheme == "http":
        raise output.Mistake("--ca-file: expected an https address with it; http has no certificate to check")
    key = _key(key_file)
    if key is not None and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        output.warn(f"{url} is not https: the key travels in the clear")
    return ServiceAddress(url.rstrip("/"), key, ca_file)


def _shown(url: str) -> str:
    """A malformed address without the part that may be a password, for a message."""
    bare = url.partition("?")[0]
    return bare[:200] if "@" not in bare else "..." + bare.rpartition("@")[2][:200]


def _key(path: Path | None) -> Secret | None:
    """The API key, from its file or the environment. No message repeats it."""
    where, text = "PWS_KEY", os.environ.get("PWS_KEY", "")
    if path is not None:
        where = f"--key-file {path}"
        try:
            text = path.read_text("utf-8-sig")
            if os.name == "posix" and path.stat().st_mode & 0o004:
                output.warn(f"everybody on this machine may read {path}; chmod 600 it")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise output.Mistake(f"{where}: cannot be read: {reason}") from None
    text = text.strip()
    if path is None and not text:
        return None
    if not (0 < len(text) <= MAX_KEY and text.isascii() and text.isprintable() and " " not in text):
        raise output.Mistake(f"{where}: expected one API key, as `pws key new` prints it")
    return Secret(text)
