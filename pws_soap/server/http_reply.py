"""A reply as HTTP carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status, content type and body. With `close` the connection is closed after it."""

    status: int
    content_type: str
    body: bytes = field(repr=False)  # it may hold a session key
    close: bool = False

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that belong to the reply, whatever the connection adds."""
        return {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
