"""The characters of a request: whatever its encoding, the parsers below get UTF-8 without an XML declaration.

Two parsers read a request, one for the limits and one for the tree; both must see the same characters. The encoding is
UTF-8 with a byte order mark, else the charset of the HTTP header, else that of the declaration, else UTF-8 (RFC 7303).
UTF-16 and UTF-32 are refused, as gSOAP does.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Final

from pws_soap.server.codes import Refused

_WIDE_MARKS: Final = (codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\0", b"\0<", b"\0\0\0<")
"""How a body in UTF-16 or UTF-32 begins."""
_KNOWN: Final = re.compile(
    r"utf-?8|(us-)?ascii|iso[-_]?8859-\d{1,2}|latin-?\d|(windows|cp)-?12\d\d|koi8-[ru]"
    r"|shift[-_]jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
"""Encodings of text that are read; Python's codecs know others which are no encodings of text."""
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
    return text.encode()


def _decoded(body: bytes, charset: str | None) -> str:
    if body.startswith(codecs.BOM_UTF8):
        return _tried(body, ("utf-8-sig",))
    if body.startswith(_WIDE_MARKS):
        raise Refused(102, "The body is in UTF-16 or UTF-32, which gSOAP does not read; send it in UTF-8.")
    declared = _DECLARED.match(body[:1000])
    # A name of UTF-16 is passed over: .NET declares it of texts that it has sent in UTF-8.
    names = (charset, declared[1].decode() if declared else None, "utf-8")
    return _tried(body, [name for name in names if name and _KNOWN.fullmatch(name)])


def _tried(body: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings:
        try:
            return body.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise Refused(102, f"The body is not text in {' or '.join(dict.fromkeys(encodings))}.")
