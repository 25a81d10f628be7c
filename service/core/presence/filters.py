"""Which contacts a client wants: what must hold of each. Who is available is left to the rules of the groups."""

from __future__ import annotations

from dataclasses import dataclass

from pws_soap.models import PresenceState
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Record


class Unknown(ValueError):
    """A filter or cursor with an invalid value. `parameter` is its name, `expected` says which values are valid."""

    def __init__(self, parameter: str, expected: str) -> None:
        self.parameter = parameter
        self.expected = expected
        super().__init__(f"{parameter}: expected {expected}")


@dataclass(frozen=True, slots=True)
class Filter:
    """What must hold of a contact: all of the kinds given, and of each kind at least one. Empty means any.

    `activities` are without regard to case; `text` is a part of the contact's URI or of its display name. Where one
    group is named, its rule alone decides who is `available`; None means any. `within` are the groups that the client
    may see: others are as if they did not exist, and so are contacts of none of them; None means all.
    """

    states: frozenset[PresenceState] = frozenset()
    activities: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    levels: frozenset[Level] = frozenset()
    text: str = ""
    available: bool | None = None
    within: frozenset[str] | None = None


def passes(record: Record, freshness: Freshness, wanted: Filter, members: frozenset[str] | None) -> bool:
    """Whether all but the availability holds."""
    presence = record.presence
    if wanted.states and record.state not in wanted.states:
        return False
    if wanted.levels and freshness.level not in wanted.levels:
        return False
    if members is not None and record.key not in members:
        return False
    if wanted.activities and (
        presence is None or wanted.activities.isdisjoint(activity.casefold() for activity in presence.activities)
    ):
        return False
    if not wanted.text or wanted.text in record.key:
        return True
    return presence is not None and wanted.text in (presence.display_name or "").casefold()
