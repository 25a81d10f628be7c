"""Text without what a terminal would obey: control characters, and what changes the direction of text."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

_KEPT: Final = frozenset("\n\u200c\u200d")
"""The line end, and what keeps letters apart or joins them: it is part of names in some scripts."""


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
