"""Who sent the request that is being answered: its address and what the program calls itself.

The server's half of the protocol knows neither, so they go beside it, with the task that answers the request.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, NamedTuple

MAX_AGENT: Final = 80
"""Characters of a User-Agent that are kept."""


class Caller(NamedTuple):
    """The peer's address, and its User-Agent, shortened and without what cannot be printed."""

    address: str | None = None
    agent: str | None = None

    @classmethod
    def of(cls, address: str | None, agent: bytes | None) -> Caller:
        """As they come with a request."""
        if agent is None:
            return cls(address)
        text = agent[: 4 * MAX_AGENT].decode("latin-1")
        return cls(address, "".join(letter for letter in text if letter.isprintable())[:MAX_AGENT] or None)


NOBODY: Final = Caller()
CALLER: Final[ContextVar[Caller]] = ContextVar("facade.caller", default=NOBODY)
