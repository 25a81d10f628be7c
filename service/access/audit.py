"""What is recorded of those who ask: who looked at whom, claimed whom, and changed what.

`AuditLog` is where it goes; without one nothing is recorded. `service.api.audit_trail` decides what an entry says.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol


class AuditAction(StrEnum):
    """What somebody did."""

    LOOK = "look"
    """Was shown contacts, once."""
    STREAM_BEGUN = "stream.begun"
    STREAM_ENDED = "stream.ended"
    CLAIM_MADE = "claim.made"
    CLAIM_REFUSED = "claim.refused"
    """Too few were free, and the answer said why each of the group could not be had."""
    CLAIM_RENEWED = "claim.renewed"
    CLAIM_RELEASED = "claim.released"
    CHANGE = "change"
    """Changed what the service does, as an admin."""
    RELOAD = "reload"
    """The configuration was read again, by a signal."""


class AuditEntry(NamedTuple):
    """One line. `at` is wall time. `key` is the name of the API key, `address` the client's; None: it was no request.

    `asked` is the request in one line; `shown` how many contacts the answer shows; `more` depends on the action.
    """

    at: float
    action: AuditAction
    key: str | None
    address: str | None
    asked: str
    shown: int
    more: Mapping[str, object]


class AuditLog(Protocol):
    """Takes entries. It neither waits nor raises."""

    def record(self, entry: AuditEntry) -> None:
        """Keep an entry."""
        ...
