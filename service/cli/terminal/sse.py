"""Parses server-sent events (the WHATWG's event stream) from bytes: pure and incremental, however they are sliced.

Lines end with CR, LF or CRLF; a BOM at the beginning, comments and unknown fields are ignored; several data lines are
one text; an event without data, or cut off by the end of the stream, is dropped. The size of one event is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_EVENT: Final = 64 * 1024 * 1024
"""Bytes of one event: a snapshot of 5000 contacts has about 4 MB."""
MAX_RETRY: Final = 3600.0
_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """An event over the limit. The parser cannot be used afterwards."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event: its name, its data, and the last id that was sent up to it (empty where none was)."""

    name: str
    data: str
    id: str


class Parser:
    """Takes bytes, returns messages. `retry`: seconds to wait before reconnecting, None where the server sent none."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.retry: float | None = None
        self._limit = limit
        self._line: list[bytes] = []
        self._size = 0
        self._begins = True
        self._after_cr = False
        self._name = ""
        self._data: list[bytes] = []
        self._id = ""

    def feed(self, piece: bytes) -> list[Message]:
        """The messages that `piece` completes. Raises TooLong."""
        found: list[Message] = []
        if not piece:
            return found
        start = 1 if self._after_cr and piece[:1] == b"\n" else 0
        self._after_cr = piece.endswith(b"\r")
        for end in _END.finditer(piece, start):
            self._keep(piece[start : end.start()])
            self._end_line(found)
            start = end.end()
        self._keep(piece[start:])
        return found

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise TooLong(f"an event of more than {self._limit} bytes")
        if part:
            self._line.append(part)

    def _end_line(self, found: list[Message]) -> None:
        line = b"".join(self._line)
        self._line.clear()
        if self._begins:
            self._begins = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                text = b"\n".join(self._data).decode("utf-8", "replace")
                found.append(Message(self._name or "message", text, self._id))
            self._name, self._size = "", 0
            self._data.clear()
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"data":
                self._data.append(value)
                return
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit() and len(value) < 10:
                self.retry = min(int(value) / 1000, MAX_RETRY)
        self._size -= len(line)  # only data is kept until the event ends
