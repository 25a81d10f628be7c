"""Refuses XML that would hold the event loop or the memory, before a parser sees it.

A parser fed in slices takes a tag, a comment or an instruction only when it is whole, and then in one piece; and each
element and attribute takes far more memory than its bytes. So both are counted here, slice by slice, by the few signs
that tell one from the other. That a text is XML at all is the parser's to say.

To tell tags from text takes twice as long as to parse. So a text is first looked through as a whole (`is_plain`) for
what makes that needless: it has nothing but tags and text, all tags are short, and even if everything that looks like
an element or an attribute were one, they would be few. Nearly every reply is so.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from pws_soap.errors import NotXml

MAX_MARKUP: Final = 64 * 1024
"""Bytes of one tag, comment or instruction. A contact has at most 320 characters; more is no reply of an honest
server."""
MAX_NODES: Final = 800_000
"""Elements and attributes of one text: 160 for each of 5000 contacts. They take up to 250 MB."""

_CDATA: Final = b"<![CDATA["
_WINDOW: Final = 8 * 1024
"""Bytes of a whole text that are matched at once: `re` keeps some hundred bytes for each token of a match."""
# No possessive groups: the first Pythons that have them mismatch them. Nothing follows a token, so that none is tried
# twice.
_TOKENS: Final = re.compile(
    rb"(?:[^<]++"
    rb"|<[^<>\"'!?](?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*>"
    rb"|<!--(?:[^-]++|-(?!->))*-->"
    rb"|<\?(?:[^?]++|\?(?!>))*\?>)*"
)
_DECLARATION: Final = re.compile(rb"\s*<\?xml[^<>]{0,200}\?>")
_NOT_TEXT: Final = re.compile(
    rb"<(?:[^<>\"'!?](?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*>"
    rb"|!--(?:[^-]++|-(?!->))*-->"
    rb"|\?(?:[^?]++|\?(?!>))*\?>)"
)
"""A token that is no text, within what `_TOKENS` matched. A `=` in text is no attribute."""


def is_plain(text: bytes, allowed: int) -> Generator[None, None, bool]:
    """Whether `text` has at most so many elements and attributes, no long tag, and no section to be fed with care:
    then a parser may have it slice by slice as it is. With a yield after each part.

    A `<` cannot stand in a tag. So no tag is longer than MAX_MARKUP where each half of that has one, unless a section
    (a comment, an instruction, CDATA) hides it.
    """
    declaration = _DECLARATION.match(text)
    counted = start = declaration.end() if declaration is not None else 0
    left = min(allowed, MAX_NODES)
    for at in range(start, len(text), MAX_MARKUP // 2):
        end = at + MAX_MARKUP // 2
        signs = text.count(b"<", at, end)
        if not signs or _has_sections(text, at, end + 1):  # one byte more: `<!` may lie across the end
            return False
        left -= signs + text.count(b"=", at, end)
        if left < 0:
            left += text.count(b"</", counted, end)
            counted = end
        if left < 0:
            return False
        if end < len(text):
            yield
    return True


def _has_sections(text: bytes, start: int, end: int) -> bool:
    # One byte is found much faster than two, and these are rare.
    return any(text.find(sign[1:], start, end) >= 0 and text.find(sign, start, end) >= 0 for sign in (b"<!", b"<?"))


class Markup:
    """Looks through one text as it is fed. `allowed`: elements and attributes that it may have, up to MAX_NODES;
    `left` are those that may still come."""

    def __init__(self, allowed: int) -> None:
        self.left = min(allowed, MAX_NODES)
        self._open = b""  # a token whose end has not come
        self._in_cdata = False
        self._kept = b""  # the end of a piece that must stay with the next

    def take(self, piece: bytes) -> bytes:
        """The next piece of the text, as a parser may have it. Raises NotXml for a piece that must not be parsed.

        A parser takes a CDATA section when its end has come, in one piece too: so a section is ended and begun anew
        where a piece ends in one, which leaves its text as it is.
        """
        self._look(piece)
        piece, self._kept = self._kept + piece, b""
        if not self._in_cdata:
            return piece
        cut = len(piece) - _not_to_be_cut(piece)
        piece, self._kept = piece[:cut], piece[cut:]
        return piece + b"]]>" + _CDATA

    def _look(self, piece: bytes) -> None:
        text = self._open + piece
        at = 0
        while True:
            if self._in_cdata:
                end = text.find(b"]]>", at)
                if end < 0:
                    self._open = text[max(at, len(text) - 2) :]
                    return
                self._in_cdata, at = False, end + 3
            found = _TOKENS.match(text, at)
            end = found.end() if found is not None else at
            self._count(text, at, end)
            at = end
            if not text.startswith(_CDATA, at):
                break
            self._spend(1)
            self._in_cdata, at = True, at + len(_CDATA)
        self._open = text[at:]
        if len(self._open) > MAX_MARKUP:
            raise NotXml(f"a tag, comment or instruction is longer than {MAX_MARKUP} bytes")

    def _count(self, text: bytes, start: int, end: int) -> None:
        self._spend(_signs(text, start, end))

    def _spend(self, signs: int) -> None:
        if signs > self.left:
            raise NotXml(f"more elements and attributes than {MAX_NODES}, or than its length gives reason for")
        self.left -= signs


def most_nodes(text: bytes) -> int:
    """How many elements and attributes a whole text has at most, even for a parser that reads on behind an error.

    So all of a CDATA section counts, and all from the first byte on that is no token, or a token longer than
    `_WINDOW`.
    """
    count = at = 0
    while True:
        found = _TOKENS.match(text, at, at + _WINDOW)
        start, at = at, found.end() if found is not None else at
        count += _signs(text, start, at)
        if start < at < len(text) and not text.startswith(_CDATA, at):
            continue
        end = text.find(b"]]>", at) if text.startswith(_CDATA, at) else -1
        start, at = at, end + 3 if end >= 0 else len(text)
        count += _elements(text, start, at) + text.count(b"=", start, at)
        if end < 0:
            return count


def _signs(text: bytes, start: int, end: int) -> int:
    """The signs of elements and attributes in a part of a text that is tokens only."""
    attributes = b"".join(_NOT_TEXT.findall(text, start, end)).count(b"=") if text.find(b"=", start, end) >= 0 else 0
    return _elements(text, start, end) + attributes


def _elements(text: bytes, start: int, end: int) -> int:
    return text.count(b"<", start, end) - text.count(b"</", start, end)


def _not_to_be_cut(piece: bytes) -> int:
    """How many bytes at the end of a piece of CDATA belong to the next: half of a `]]>`, a character in UTF-8 or a
    line end."""
    if piece.endswith(b"\r"):
        return 1
    for count in range(1, min(4, len(piece)) + 1):
        byte = piece[-count]
        if byte >= 0xC0:  # the first byte of a character
            return count
        if byte < 0x80:
            break
    return len(piece[-2:]) - len(piece[-2:].rstrip(b"]"))
