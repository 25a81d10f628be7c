"""From the body of an HTTP request to the XML in it: compression, a message of several parts, the charset.

gSOAP takes some of these forms (protocol section 2, Transport), and what it refuses is refused here, so that a program
that works here works there: more than one member of gzip, deflate without zlib's wrapping, parts in base64. The limit
of the body holds for the unpacked one too.
"""

from __future__ import annotations

import email.message
import email.parser
import zlib
from collections.abc import Mapping
from typing import Final

from pws_soap.server.codes import Refused

_GZIP: Final = b"\x1f\x8b"
"""How content packed with gzip begins. No XML does."""
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
"""Has zlib look itself which of the two it is, as gSOAP does with content that is called gzip."""
_MAX_PARTS: Final = 64
"""Parts of one message that are looked through for the one with the envelope."""
_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})
"""Content-Transfer-Encodings under which a part is sent as it is."""


def xml_of(body: bytes, headers: Mapping[str, str], limit: int) -> tuple[bytes, str | None]:
    """The XML of a request and its charset, if a header names one. `headers` have names in lower case.

    Raises `Refused` with code 150 for what cannot be unpacked, or is longer than the limit when it is.
    """
    body = _unpacked(body, headers.get("content-encoding", ""), limit)
    kind = _header(headers.get("content-type", ""))
    if kind.get_content_type() in ("multipart/related", "multipart/form-data"):
        body, kind = _root_part(body, kind)
    elif kind.get_content_maintype() == "multipart" or body.lstrip()[:2] == b"--":
        raise Refused(150, "A message of several parts has to be multipart/related, in its Content-Type too.")
    charset = kind.get_param("charset")
    return body, charset.strip("\"' ") if isinstance(charset, str) else None


def _header(content_type: str) -> email.message.Message:
    message = email.message.Message()
    message["content-type"] = content_type or "text/xml"
    return message


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body unpacked. An encoding that gSOAP does not know is nothing to it, as long as the body is not packed."""
    match encoding.strip().lower():
        case "gzip":
            return _inflated(body, _ZLIB_OR_GZIP, limit)
        case "deflate":
            return _inflated(body, zlib.MAX_WBITS, limit)
        case _ if body.startswith(_GZIP):
            raise Refused(150, "The body is packed with gzip, and its Content-Encoding is not gzip.")
        case name if name not in ("", "identity") and not body.lstrip().startswith((b"<", b"--", b"\xef\xbb\xbf")):
            raise Refused(150, "The Content-Encoding is none of gzip, deflate and identity.")
        case _:
            return body


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise Refused(150, "The compressed body cannot be unpacked.") from None
    if len(content) > limit:
        raise Refused(150, f"The body has more than {limit} bytes when it is unpacked.")
    if not unpacker.eof:
        raise Refused(150, "The compressed body ends too early.")
    if unpacker.unused_data.startswith(_GZIP):
        raise Refused(150, "The compressed body has more than one member.")
    return content


def _root_part(body: bytes, kind: email.message.Message) -> tuple[bytes, email.message.Message]:
    """The part with the envelope, and its headers: the one that `start` names, else the first that begins as XML."""
    boundary = kind.get_boundary()
    if boundary == "":
        raise Refused(150, "The boundary of the message is empty.")
    mark = b"--" + boundary.encode("latin-1", "replace") if boundary else body.lstrip().split(b"\r\n", 1)[0].rstrip()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, _MAX_PARTS)[1:] if mark[2:] else []
    if not pieces:
        raise Refused(150, "The message has no part: its boundary stands in no line of it that ends with CR LF.")
    if not any(piece.startswith(b"--") for piece in pieces):
        raise Refused(150, "The message ends without its boundary in a line of its own; lines end with CR LF.")
    found = [_part(piece) for piece in pieces if not piece.startswith(b"--")]
    start = kind.get_param("start")
    if isinstance(start, str) and start:
        root = next((part for part in found if _identity(part[1].get("content-id", "")) == _identity(start)), None)
        if root is None and found and "content-id" not in found[0][1]:
            root = found[0]  # a part without an id is any
        if root is None:
            raise Refused(150, "No part of the message has the Content-ID that start names.")
    else:
        root = next((part for part in found if part[0].lstrip().startswith((b"<", b"\xef\xbb\xbf"))), None)
        if root is None:
            raise Refused(150, "The message has no part that begins as XML does.")
    if root[1].get("content-transfer-encoding", "").strip().lower() not in _PLAIN:
        raise Refused(150, "The part of the message is encoded; send it as 8bit.")
    return root


def _identity(content_id: str) -> str:
    return content_id.strip(" <>").removeprefix("cid:")


def _part(piece: bytes) -> tuple[bytes, email.message.Message]:
    piece = piece.partition(b"\r\n")[2]  # the rest of the boundary's own line
    head, content = b"", piece.removeprefix(b"\r\n")
    if not piece.startswith(b"\r\n"):
        head, _, content = piece.partition(b"\r\n\r\n")
    return content, email.parser.BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
