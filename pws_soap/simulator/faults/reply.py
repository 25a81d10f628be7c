"""What reaches a client: a reply, perhaps damaged, or a connection that breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pws_soap.server.http_reply import HttpReply


class NodeDown(ConnectionRefusedError):
    """Nobody listens at the node."""


class ConnectionAborted(ConnectionAbortedError):
    """The connection broke before the reply was complete. `partial` is the reply of which a part was sent."""

    def __init__(self, message: str, partial: SimReply | None = None) -> None:
        super().__init__(message)
        self.partial = partial


@dataclass(frozen=True, slots=True)
class SimReply(HttpReply):
    """A reply and how it is sent.

    `seconds` is how long its body takes to be sent, `cut` after how many bytes the connection breaks (None: it does
    not). `age` is how many seconds ago a cache says it was made. `again` is after how many seconds the same bytes are
    sent once more on the same connection (None: they are not); without sockets it has no effect.
    """

    seconds: float = 0.0
    cut: int | None = None
    age: int | None = None
    again: float | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that belong to the reply, whatever the connection adds."""
        headers = {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        return headers if self.age is None else headers | {"Age": str(self.age)}

    @staticmethod
    def of(reply: HttpReply) -> SimReply:
        """An undamaged reply as a `SimReply`; a `SimReply` as it is."""
        if isinstance(reply, SimReply):
            return reply
        return SimReply(reply.status, reply.content_type, reply.body, reply.close)
