"""The form of server-sent events (HTML Living Standard, 9.2): fields in lines, an empty line ends each event.

Data is JSON on one line, see `service.api.writers.compact`.
"""

from __future__ import annotations

from typing import Final

MEDIA_TYPE: Final = "text/event-stream; charset=utf-8"
HEADERS: Final = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store",
    # Proxies of the nginx kind would hold events back until their buffer is full.
    "X-Accel-Buffering": "no",
}
BEGINNING: Final = b"retry: 1000\n\n"
"""The first words of a stream: a client whose connection broke reconnects after 1000 milliseconds."""
KEEP_ALIVE: Final = b": keep-alive\n\n"


def head(name: str, id: str) -> bytes:  # noqa: A002  # the format's own word
    """An event up to its data."""
    return b"event: %b\nid: %b\ndata: " % (name.encode("ascii"), id.encode("ascii"))


def event(name: str, id: str, data: bytes) -> bytes:  # noqa: A002
    """A whole event."""
    return b"%b%b\n\n" % (head(name, id), data)
