"""When what happened may be told: at once, or only when the engine that several replicas share has accepted it.

An answer to a query may say what is not accepted yet, since it is true. What has an id that can be resumed, or that
promises something to a client (a stream, a long poll, a history, a claim), waits: an owner that dies takes with it what
was not accepted, and the next one gives its id to nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from service.core.events.event import Event
from service.core.presence.records import Feed, Record


class FeedChange(Struct, frozen=True, gc=False):
    """A feed is another from here on. No client sees it; a mirror must know of it before what follows from it.

    `id` is a revision of its own.
    """

    id: int
    feed: Feed


class RecordChange(Struct, frozen=True, gc=False):
    """A record is another from here on, and no event says so: it is in doubt, or was read again and is the same.

    `id` is a revision of its own.
    """

    id: int
    record: Record


LogEntry = Event | FeedChange | RecordChange
"""What mirrors are sent, in the order of the ids."""


class NotCommitted(Exception):
    """It was not accepted, or nobody knows whether it was: nothing may be promised that rests on it."""


class Commits(Protocol):
    """Has entries accepted, in their order, and says up to where they are (`EventLog.told`)."""

    @property
    def is_immediate(self) -> bool:
        """Whether everything is accepted as it happens: nothing is offered then, and nobody waits."""
        ...

    def offer(self, entries: Sequence[LogEntry]) -> None:
        """Have these accepted. Never waits, never raises, and does not call the log back in the same turn."""
        ...

    async def reached(self, id: int) -> None:  # noqa: A002  # as in Event
        """Wait until the entry with this id, and all that was offered before this call, are accepted.

        Raises NotCommitted.
        """
        ...


class Immediate:
    """One process, which asks nobody (`Commits`)."""

    is_immediate: Final = True

    def offer(self, entries: Sequence[LogEntry]) -> None:
        """There is nobody to offer it to."""

    async def reached(self, id: int) -> None:  # noqa: A002  # as in Event
        """It is."""


IMMEDIATE: Final = Immediate()
