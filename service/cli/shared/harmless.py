"""Text that a terminal may be given: what comes from the server, a contact, a file or a request is data.

Nothing in it may be obeyed: no control character, and none that changes the direction of text, so that a name cannot
look like another.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Final

_KEPT: Final = frozenset("\n\u200c\u200d")
"""The line end, and what keeps letters apart or joins them: it is part of names in some scripts."""


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in which no character is raw that a terminal would obey: of these JSON itself escapes only the first 32.

    What the encoding of standard output does not have is escaped too: a replacement would change the value.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, ensure_ascii=False, separators=separators)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, separators=separators)
    return harmless_json(text)


def harmless_json(text: str) -> str:
    """JSON text with what does not print escaped: controls, and what changes the direction of text. Line ends stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def printable(text: str) -> str:
    """The text with each character that does not print replaced: controls, and what changes the direction of text.

    Line ends stay, other white space becomes a space, and letters and emoji may be joined or kept apart.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _KEPT else _replaced(char) for char in text)


def _replaced(char: str) -> str:
    return " " if char == "\t" or unicodedata.category(char) == "Zs" else "�"
