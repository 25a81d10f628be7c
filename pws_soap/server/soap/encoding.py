"""The characters of a request: whatever its encoding, the parsers below get UTF-8 without an XML declaration.

Two parsers read a request, one for the limits and one for the tree; both must see the same characters. The encoding is
that of a byte order mark, else the charset of the HTTP header, else that of the declaration, else UTF-8 (RFC 7303).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Final

from pws_soap.server.codes import Refused

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
"""How a body begins, and the encoding that follows from it."""
_KNOWN: Final = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|(us-)?ascii|iso[-_]?8859-\d{1,2}|latin-?\d|(windows|cp)-?12\d\d|koi8-[ru]"
    r"|shift[-_]jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
"""Encodings of text that are read; Python's codecs know others which are no encodings of text."""
_WIDE: Final = re.compile("utf-?16", re.IGNORECASE)
_DECLARATION: Final = re.compile(r"\A[ \t\r\n]*<\?xml[ \t\r\n][^<>]*\?>")
_DECLARED: Final = re.compile(rb"\A\s*<\?xml[^<>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")


def as_utf8(body: bytes, charset: str | None = None, *, strict: bool = False) -> bytes:
    """The XML in UTF-8. The declaration is left out, and lines keep their numbers.

    Lenient reading takes white space before the declaration and what C programs leave behind the end: zero bytes.
    Raises `Refused` with code 102.
    """
    text = _decoded(body, charset)
    declaration = _DECLARATION.match(text)
    if declaration is not None:
        if strict and not text.startswith("<"):
            raise Refused(102, "Line 1: white space stands before the XML declaration.")
        text = "\n" * declaration[0].count("\n") + text[declaration.end() :]
    if not strict:
        text = text.rstrip("\0 \t\r\n")
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-16 can hold
        raise Refused(102, "The body has characters that XML does not allow.") from None


def _decoded(body: bytes, charset: str | None) -> str:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return _tried(body, (encoding,))
    declared = _DECLARED.match(body[:1000])
    names = (charset, declared[1].decode() if declared else None, "utf-8")
    known = [name for name in names if name and _KNOWN.fullmatch(name)]
    if b"\0" not in body[:4]:  # then it is no UTF-16, as .NET declares of texts that it has sent in UTF-8
        known = [name for name in known if not _WIDE.match(name)]
    return _tried(body, known)


def _tried(body: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings:
        try:
            return body.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise Refused(102, f"The body is not text in {' or '.join(dict.fromkeys(encodings))}.")
