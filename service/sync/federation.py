"""Contacts of other systems that are read with basic presence: always UNKNOWN, since they need rich presence.

The server does not say which of its UNKNOWN contacts are federated and which do not exist, so the problem names both
causes. It is reported only where other contacts of the end user are known: where none is, something else is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pws_soap.models import Presence, PresenceState, PresenceType
from service.core.engine import HealthProblem
from service.core.presence.records import Record

SHOWN: Final = 3
"""Names that a problem lists; further ones are counted."""


def hint(end_user: str, unknown: Sequence[str]) -> str:
    """The text of the problem."""
    names = ", ".join(unknown[:SHOWN])
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    what = "contact is" if len(unknown) == 1 else "contacts are"
    return (
        f"{len(unknown)} {what} UNKNOWN to {end_user} with basic presence ({names}{more}): the server does not know "
        "them, or they belong to another system, and then RICH_PRESENCE is needed for them (presence_type)"
    )


def unknown_in(presences: Iterable[Presence]) -> list[str]:
    """The contacts of a reply that are UNKNOWN with basic presence, in order."""
    return sorted(
        each.contact
        for each in presences
        if each.type is PresenceType.BASIC and each.state is PresenceState.UNKNOWN and each.problem is None
    )


def problems(records: Iterable[Record], users: Mapping[str, str]) -> list[HealthProblem]:
    """One for each end user with contacts that are UNKNOWN with basic presence while others are known.

    `users` gives the end user of each feed.
    """
    unknown: dict[str, list[Record]] = {}
    known: set[str] = set()
    for record in records:
        presence = record.presence
        user = users.get(record.feed)
        if presence is None or user is None:
            continue
        if presence.state is not PresenceState.UNKNOWN:
            known.add(user)
        elif presence.type is PresenceType.BASIC:
            unknown.setdefault(user, []).append(record)
    found = []
    for user, each in unknown.items():
        if user in known:
            since = min(record.changed_at.wall for record in each if record.changed_at is not None)
            found.append(HealthProblem(since, hint(user, [record.contact for record in each])))
    return found
