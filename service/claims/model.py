"""A claim as a value, and the little that others need to know of claims."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.clock import Moment


class Pick(StrEnum):
    """Who of several that are free is claimed."""

    LONGEST_AVAILABLE = "longest-available"
    ROUND_ROBIN = "round-robin"
    LEAST_RECENTLY_CLAIMED = "least-recently-claimed"


@dataclass(frozen=True, slots=True)
class Claim:
    """One person held for one purpose.

    `key` is the contact's key in the store, `contact` its spelling; `group` is the one whose rule picked it; `purpose`
    what the asker said it is for; `holder` the name of the key that asked. It ends at `expires` unless it is renewed.
    """

    id: str
    key: str
    contact: str
    group: str
    purpose: str
    holder: str
    made: Moment
    expires: Moment


class Claims(Protocol):
    """Who is held now."""

    def held(self, key: str) -> Claim | None:
        """The claim on a contact, None when nobody holds it. Claims that have expired are not told."""
        ...


class NoClaims:
    """The twin where nobody claims anything."""

    def held(self, key: str) -> Claim | None:
        """See Claims."""
        return None
