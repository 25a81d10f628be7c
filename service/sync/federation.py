"""Contacts of other systems that are read with basic presence: always UNKNOWN, since they need rich presence.

The server does not say which of its UNKNOWN contacts are federated and which do not exist, so the problem names both
causes. It is reported only where other contacts of the end user are known: where none is, something else is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from pws_soap.models import Presence, PresenceState, PresenceType
from service.core.engine import HealthProblem
from service.core.presence.records import Record
from service.core.presence.store import Store

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


def problems(store: Store, users: Mapping[str, str]) -> list[HealthProblem]:
    """One for each end user with contacts that are UNKNOWN with basic presence while others are known.

    `users` gives the end user of each feed.
    """
    found: dict[str, list[Record]] = {}
    for feed in filter(users.__contains__, store.feeds()):
        records = map(store.get, store.unknown(feed))
        basic = [each for each in records if each and each.presence and each.presence.type is PresenceType.BASIC]
        if basic:
            found.setdefault(users[feed], []).extend(basic)
    known = {user for feed, user in users.items() if store.known(feed)}
    problems = []
    for user, unknown in sorted(found.items(), key=lambda each: min(record.key for record in each[1])):
        if user in known:
            since = min(record.changed_at.wall for record in unknown if record.changed_at is not None)
            names = [record.contact for record in sorted(unknown, key=attrgetter("key"))]
            problems.append(HealthProblem(since, hint(user, names)))
    return problems
