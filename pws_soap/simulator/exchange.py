"""What comes back to a client: a reply as it leaves the node, or a connection that breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pws_soap.simulator.damage import Damaged


class NodeDown(ConnectionRefusedError):
    """Nobody listens at the node."""


class ConnectionAborted(ConnectionAbortedError):
    """The connection broke before the reply was complete. `partial` is what came of it."""

    def __init__(self, message: str, partial: SimReply | None = None) -> None:
        super().__init__(message)
        self.partial = partial


@dataclass(frozen=True, slots=True)
class SimReply:
    """A reply. `close`: the connection is closed after it; `seconds`: how long its body takes to come.

    `cut` is the number of bytes that come before the connection breaks, None if it doesn't. `again` is the number of
    seconds after which the same bytes are sent once more on the same connection, None if they aren't; without
    sockets nothing comes of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    close: bool = False
    seconds: float = 0.0
    cut: int | None = None
    again: float | None = None


def reply_of(damaged: Damaged) -> SimReply:
    """The reply with its headers."""
    written = damaged.written
    headers = {"Content-Type": written.content_type, "Content-Length": str(len(written.body))}
    if damaged.age is not None:
        headers["Age"] = str(damaged.age)
    return SimReply(written.status, headers, written.body, damaged.close, damaged.seconds, damaged.cut, damaged.again)
