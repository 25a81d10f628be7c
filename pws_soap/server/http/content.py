"""From the body of an HTTP request to the XML in it: compression, a message of several parts, the charset.

gSOAP takes these forms as well (protocol section 2, Transport). Their limit is that of the body, also unpacked.
"""

from __future__ import annotations

import binascii
import email.message
import email.parser
import quopri
import zlib
from collections.abc import Mapping
from typing import Final

from pws_soap.server.codes import Refused

_GZIP: Final = b"\x1f\x8b"
"""How compressed content begins. No XML does, so it is recognised without a header too."""
_MAX_ENCODINGS: Final = 4
"""Of one body, one around the other; further ones are refused, since each is unpacked on its own."""
_MAX_MEMBERS: Final = 16
"""Members of gzip that one body may have one after the other; the rest of the body is copied for each."""
_MAX_PARTS: Final = 64
"""Parts of one message that are looked through for the one with the envelope."""


def xml_of(body: bytes, headers: Mapping[str, str], limit: int) -> tuple[bytes, str | None]:
    """The XML of a request and its charset, if a header names one. `headers` have names in lower case.

    Raises `Refused` with code 150 for what cannot be unpacked, or is longer than the limit when it is.
    """
    body = _unpacked(body, headers.get("content-encoding", ""), limit)
    kind = _header(headers.get("content-type", ""))
    if kind.get_content_maintype() == "multipart" or body.lstrip()[:2] == b"--":
        body, kind = _root_part(body, kind)
        body = _unpacked(body, "", limit)
    charset = kind.get_param("charset")
    return body, charset.strip("\"' ") if isinstance(charset, str) else None


def _header(content_type: str) -> email.message.Message:
    message = email.message.Message()
    message["content-type"] = content_type or "text/xml"
    return message


def _unpacked(body: bytes, encodings: str, limit: int) -> bytes:
    names = [name.strip().lower() for name in encodings.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _MAX_ENCODINGS:
        raise Refused(150, f"The Content-Encoding names more than {_MAX_ENCODINGS} encodings.")
    for name in reversed(names):
        if name in ("gzip", "x-gzip"):
            body = _inflated(body, 16 + zlib.MAX_WBITS, limit) if body.startswith(_GZIP) else body
        elif name == "deflate":
            is_wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] * 256 + body[1]) % 31 == 0
            body = _inflated(body, zlib.MAX_WBITS if is_wrapped else -zlib.MAX_WBITS, limit)
        else:
            raise Refused(150, "The Content-Encoding is none of gzip, deflate and identity.")
    return _inflated(body, 16 + zlib.MAX_WBITS, limit) if body.startswith(_GZIP) else body


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit + 1
    while body and room > 0:
        if len(parts) == _MAX_MEMBERS:
            raise Refused(150, f"The compressed body has more than {_MAX_MEMBERS} members.")
        unpacker = zlib.decompressobj(window)
        try:
            parts.append(unpacker.decompress(body, room))
        except zlib.error:
            raise Refused(150, "The compressed body cannot be unpacked.") from None
        room -= len(parts[-1])
        if room > 0 and not unpacker.eof:
            raise Refused(150, "The compressed body ends too early.")
        body = unpacker.unused_data if unpacker.unused_data.startswith(_GZIP) else b""
    if room <= 0:
        raise Refused(150, f"The body has more than {limit} bytes when it is unpacked.")
    return b"".join(parts)


def _root_part(body: bytes, kind: email.message.Message) -> tuple[bytes, email.message.Message]:
    """The part with the envelope, and its headers: the one that `start` names, else the first."""
    boundary = kind.get_boundary()
    mark = b"--" + boundary.encode("latin-1", "replace") if boundary else body.lstrip().split(b"\n", 1)[0].rstrip()
    pieces = (b"\n" + body).split(b"\n" + mark, _MAX_PARTS)[1:]
    start = kind.get_param("start")
    found = [_part(piece) for piece in pieces if not piece.startswith(b"--")]
    if not found:
        raise Refused(150, "The message has no part.")
    for content, headers in found:
        if isinstance(start, str) and headers.get("content-id", "").strip(" <>") == start.strip(" <>"):
            return content, headers
    return found[0]


def _part(piece: bytes) -> tuple[bytes, email.message.Message]:
    piece = piece.split(b"\n", 1)[1] if b"\n" in piece else b""  # the rest of the boundary's own line
    head, end, content = b"", b"", piece.lstrip(b"\r\n")
    if not piece.startswith((b"\r\n", b"\n")):
        for end in (b"\r\n\r\n", b"\n\n"):
            if end in piece:
                head, _, content = piece.partition(end)
                break
    headers = email.parser.BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
    return _decoded(content.rstrip(b"\r\n"), headers.get("content-transfer-encoding", "")), headers


def _decoded(content: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "base64":
            try:
                return binascii.a2b_base64(content)
            except binascii.Error:
                raise Refused(150, "The part of the message is not base64.") from None
        case "quoted-printable":
            return quopri.decodestring(content)
        case _:
            return content
