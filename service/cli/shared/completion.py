"""What shells are offered for a word: names that a running service knows, words that are known here.

A person waits at a prompt: whatever fails or takes longer than `PATIENCE` offers nothing, and says nothing.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import click

from service.cli.shared import quick_http
from service.cli.shared.config_option import DEFAULT_FILE
from service.cli.shared.service_url import DEFAULT_URL, configured_url, is_loopback

PATIENCE: Final = 0.3
"""Seconds for an answer of the service."""
MAX_CONTACTS: Final = 100
"""Contacts that are offered; more letters lead to the others."""

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def one_of(words: Iterable[str]) -> Completer:
    """Offers the words of a list, in any case."""
    known = list(words)

    def offer(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        return [word for word in known if word.casefold().startswith(begun.casefold())]

    return offer


def groups(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Offers the groups that the running service knows, and the key may see."""
    found = _ask(context, "/v1/summary").get("groups")
    return _harmless(found if isinstance(found, dict) else (), begun)


def contacts(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Offers contacts that the running service watches."""
    before = _before_at(context.params.get("contacts") or (), begun)
    whole = before + begun.removeprefix("@")
    found = _ask(context, f"/v1/presence?fields=contact&limit={MAX_CONTACTS}&q={quote(whole)}").get("contacts")
    entries = found if isinstance(found, list) else ()
    names = _harmless((entry.get("contact") for entry in entries if isinstance(entry, dict)), whole)
    return [name[max(0, len(before) - 1) :] for name in names]  # bash replaces what was typed from the @ on


def _before_at(typed: Sequence[str], begun: str) -> str:
    """What stands before the word that is completed, with the @: to bash an @ is a word by itself."""
    if begun == "@" and typed:
        return f"{typed[-1]}@"
    return f"{typed[-2]}@" if len(typed) > 1 and typed[-1] == "@" else ""


def end_users(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Offers the end users of the configuration."""
    try:
        blocks = tomllib.loads(_config(context.params).read_text("utf-8-sig")).get("watch")
    except (OSError, ValueError):
        return []
    entries = blocks if isinstance(blocks, list) else ()
    return _harmless((entry.get("end_user") for entry in entries if isinstance(entry, dict)), begun)


def webhooks(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Offers the targets of webhooks in the configuration."""
    try:
        blocks = tomllib.loads(_config(context.params).read_text("utf-8-sig")).get("webhooks")
    except (OSError, ValueError):
        return []
    entries = blocks if isinstance(blocks, list) else ()
    return _harmless((entry.get("name") for entry in entries if isinstance(entry, dict)), begun)


def _harmless(names: Iterable[object], begun: str) -> list[str]:
    """Names that begin so, and in which no shell sees more than a word."""
    return [
        name
        for name in names
        if isinstance(name, str)
        and name.casefold().startswith(begun.casefold())
        and re.fullmatch(r"\w[\w.@+/:-]*", name)
    ]


# Any: a JSON document, whose values are checked where they are used
def _ask(context: click.Context, path: str) -> dict[str, Any]:
    """A document of the service; empty where there is none in time."""
    try:
        given = context.params
        url = given.get("url") or os.environ.get("PWS_URL") or configured_url(_config(given)) or DEFAULT_URL
        parts = urlsplit(url)
        key = _key(given.get("key_file")) if parts.scheme == "https" or is_loopback(parts.hostname or "") else ""
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        status, body = quick_http.get(url.rstrip("/") + path, PATIENCE, headers, given.get("ca_file"))
        document = json.loads(body) if status == 200 else None
    except Exception:  # noqa: BLE001  nothing may disturb the prompt
        return {}
    return document if isinstance(document, dict) else {}


def _config(given: dict[str, Any]) -> Path:
    return Path(given.get("config_path") or os.environ.get("PWS_CONFIG") or DEFAULT_FILE)


def _key(file: Path | None) -> str:
    """The API key, from its file or the environment."""
    name = file or os.environ.get("PWS_KEY_FILE")
    return (Path(name).read_text("utf-8-sig") if name else os.environ.get("PWS_KEY", "")).strip()
