"""Reads a reply whose head is plain in every way, from its bytes: a status line, one length, and the body behind it.

Nearly every reply is so, and h11 needs longer for it than the system needs for a new connection. What is not exactly of
this form (chunks, a compression, an odd header, a head that comes in two pieces) is h11's business from its first byte
on, and so is every error but one: an end before the length is reached. Tests hold both ways equal.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 4096
"""Bytes of a plain head at most; h11 would take four times as many."""
_END: Final = b"\r\n\r\n"
_NAME: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE: Final = rb"[!-~]+(?: [!-~]+)*"
_HEAD: Final = re.compile(rb"HTTP/1\.1 (200|500) [ -~]*\r\n((?:" + _NAME + rb": " + _VALUE + rb"\r\n)*)\r\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,20}")
_CODINGS: Final = frozenset({b"transfer-encoding", b"content-encoding"})


class PlainReply:
    """A reply of which the body is still coming. `closes`: the server closes the connection behind it."""

    __slots__ = ("_left", "_pieces", "behind", "closes", "headers", "status")

    def __init__(
        self, status: int, headers: tuple[tuple[bytes, bytes], ...], length: int, body: bytes, *, closes: bool
    ) -> None:
        self.status = status
        self.headers = headers
        self.closes = closes
        self.behind = False
        """Whether bytes came behind the end."""
        self._left = length
        self._pieces: list[bytes] = []
        self.take(body)

    @property
    def is_whole(self) -> bool:
        """Whether all of the body has come."""
        return not self._left

    @property
    def body(self) -> bytes:
        """The body as far as it has come."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def take(self, data: bytes) -> None:
        """The next bytes of the connection."""
        if len(data) > self._left:
            self.behind = True
            data = data[: self._left]
        self._left -= len(data)
        self._pieces.append(data)


def begun(data: bytes, cap: int) -> PlainReply | None:
    """The reply that begins with these bytes; None where it is not plain, or its body longer than `cap` bytes."""
    end = data.find(_END, 0, _LONGEST)
    head = _HEAD.fullmatch(data, 0, end + len(_END)) if end >= 0 else None
    if head is None:
        return None
    length, closes = -1, False
    headers = []
    for line in head[2].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        name = name.lower()
        headers.append((name, value))
        if name == b"content-length":
            if length >= 0 or not _LENGTH.fullmatch(value) or int(value) > cap:
                return None
            length = int(value)
        elif name == b"connection":
            closes = closes or value.lower() == b"close"
            if value.lower() not in {b"close", b"keep-alive"}:
                return None
        elif name in _CODINGS:
            return None
    if length < 0:
        return None
    return PlainReply(int(head[1]), tuple(headers), length, data[head.end() :], closes=closes)
