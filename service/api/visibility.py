"""Whether an event changes what somebody sees: so much of a contact as a question shows, and no more.

Somebody who asks for the names of those who are free does not want to be woken because a note changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from service.api.writers.fields import FIELDS
from service.core.events.event import Event
from service.core.presence import brief
from service.core.presence.query import Filter, Reader
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot

Seen = Callable[[GroupedSnapshot], object]
"""What is seen of a contact; None: nothing at all. Events after which it is the same are of no interest."""


def visible_state(reader: Reader, wanted: Filter, fields: Iterable[str], *, details: bool = True) -> Seen:
    """What a list with this filter shows of a contact: these fields, `as_of` aside."""
    getters = [FIELDS[name] for name in fields if name != "as_of"]

    def seen(snapshot: GroupedSnapshot) -> object:
        contact = reader.visible_to(snapshot, wanted)
        if contact is not None and not details:
            contact = brief.of(contact, snapshot, wanted.within)
        return _shown(contact, getters)

    return seen


def of_summary(reader: Reader, within: frozenset[str] | None, *, details: bool) -> Seen:
    """What the counts of all and of each group have of a contact."""
    names = ("freshness", "available", "state", "on_the_phone") if details else ("freshness", "available")
    getters = [FIELDS[name] for name in names]
    wanted = Filter(within=within)

    def seen(snapshot: GroupedSnapshot) -> object:
        contact = reader.visible_to(snapshot, wanted)
        if contact is None:
            return None
        free = [
            group for group, verdict in snapshot.opinions if verdict.available and (within is None or group in within)
        ]
        return _shown(contact, getters), free, contact.claim is not None

    return seen


def is_visible_change(event: Event, seen: Seen, key: str | None = None) -> bool:
    """Whether an event changes what is seen; with `key` of that contact only."""
    if event.key is None or (key is not None and event.key != key):
        return False
    before = seen(event.before) if event.before is not None else None
    after = seen(event.after) if event.after is not None else None
    return before != after


def _shown(contact: ContactSnapshot | None, getters: Iterable[Callable[[ContactSnapshot], object]]) -> object:
    return None if contact is None else tuple(get(contact) for get in getters)
