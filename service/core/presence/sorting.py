"""The orders in which contacts can be listed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from pws_soap.models import PresenceState
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.records import Record

_STATES: Final = {
    state: place
    for place, state in enumerate(
        (
            PresenceState.AVAILABLE,
            PresenceState.BUSY,
            PresenceState.DND,
            PresenceState.AWAY,
            PresenceState.VACATION,
            PresenceState.UNAVAILABLE,
            PresenceState.UNKNOWN,
        )
    )
}
"""As a dispatcher wants them: who can be talked to, who is there at least, who will be back, who is not to be had."""


class SortBy(StrEnum):
    """What contacts are ordered by."""

    CONTACT = "contact"
    DISPLAY_NAME = "display_name"
    STATE = "state"
    CHANGED_AT = "changed_at"
    AVAILABLE = "available"


class Sort(NamedTuple):
    """An order. Of equals, the contact decides, and who has no such value comes last: both in either direction."""

    by: SortBy = SortBy.CONTACT
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Sort:
        """`state`, or `-state` for the other way round. ValueError: nothing is ordered by that."""
        return cls(SortBy(text.removeprefix("-")), text.startswith("-"))


BY_CONTACT: Final = Sort()


def sort_value(by: SortBy, record: Record, verdict: AvailabilityVerdict) -> str | float | None:
    """What decides a contact's place; None where it has no such value."""
    if by is SortBy.STATE:
        return _STATES[record.state]
    if by is SortBy.AVAILABLE:
        return 0 if verdict.available else 1  # the free ones first
    if by is SortBy.CHANGED_AT:
        return record.changed_at.wall if record.changed_at is not None else None  # the time that is shown
    if by is SortBy.DISPLAY_NAME:
        name = record.presence.display_name if record.presence is not None else None
        return name.casefold() if name else None
    return record.key


def arranged(contacts: Iterable[tuple[str, str | float | None]], *, descending: bool) -> tuple[str, ...]:
    """The keys in order of their values. They come in the order of the keys themselves, which equals keep."""
    valued: list[tuple[str | float, str]] = []
    others: list[str] = []
    for key, value in contacts:
        if value is None:
            others.append(key)
        else:
            valued.append((value, key))
    valued.sort(key=lambda pair: pair[0], reverse=descending)  # stable in both directions
    return (*(key for _, key in valued), *others)
