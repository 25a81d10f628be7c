"""The orders in which contacts can be listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar

from pws_soap.models import PresenceState
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.records import Record
from service.core.presence.steps import Steps, slices

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


_Valued = tuple[str | float, str]
_value: Final = itemgetter(0)
_RUN: Final = 5000
"""Items that are sorted in one step."""
V = TypeVar("V")


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


def arranged(contacts: Iterable[tuple[str, str | float | None]], *, descending: bool) -> Steps[tuple[str, ...]]:
    """The keys in order of their values. They come in the order of the keys themselves, which equals keep."""
    valued: list[_Valued] = []
    others: list[str] = []
    for key, value in contacts:
        if value is None:
            others.append(key)
        else:
            valued.append((value, key))
    ordered = yield from in_order(valued, _value, descending=descending)
    if len(ordered) > _RUN:
        yield
    return (*(key for _, key in ordered), *others)


def in_order(items: Sequence[V], by: Callable[[V], Any], *, descending: bool = False) -> Steps[list[V]]:
    """The items sorted, equals in the order in which they come, whichever the direction.

    Sorted in runs, which are then merged two by two: Python's sort finds the two runs, and merges them in linear time.
    """
    runs: list[list[V]] = []
    for items_of_run in slices(items, _RUN):
        runs.append(sorted(items_of_run, key=by, reverse=descending))
        if len(items) > _RUN:
            yield
    while len(runs) > 1:
        merged: list[list[V]] = []
        for place in range(0, len(runs), 2):
            merged.append(sorted(chain(*runs[place : place + 2]), key=by, reverse=descending))
            yield
        runs = merged
    return runs[0] if runs else []
