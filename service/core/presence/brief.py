"""A contact as a key without details sees it: whether it is available, and nothing that moves with anything else.

Such a key must not learn whose presence changed where nothing that it sees changed. So the number that it sees as a
contact's `revision` is not the store's, which counts every change of the presence, but the id of the last event that
changed the display name, the freshness, or what the rule of a group that the key may see says. The log keeps these ids
(`Marks`) with what it tells, so that a past event shows what it showed then.
"""

from __future__ import annotations

from pws_soap.models import Presence, PresenceState
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.records import Record
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot, Marks


def marked(before: GroupedSnapshot | None, snapshot: GroupedSnapshot, id: int) -> GroupedSnapshot:  # noqa: A002  # as in Event
    """The snapshot of the event `id`, with the marks that follow from the snapshot before."""
    return GroupedSnapshot(snapshot.contact, snapshot.opinions, _marks(before, snapshot, id))


def revision(snapshot: GroupedSnapshot, within: frozenset[str] | None) -> int:
    """The id of the last event that changed what a key without details sees that may see the groups `within`."""
    shown, *free = _each(snapshot)
    seen = (
        mark for opinion, mark in zip(snapshot.opinions, free, strict=True) if within is None or opinion.group in within
    )
    return max((shown, *seen))


def _marks(before: GroupedSnapshot | None, snapshot: GroupedSnapshot, id: int) -> Marks:  # noqa: A002
    free = snapshot.available_by_group()
    if before is None or len(before.opinions) != len(free) or _shown(before) != _shown(snapshot):
        return id
    shown, *marks = _each(before)
    were_free = before.available_by_group()
    marks = [mark if was == now else id for mark, was, now in zip(marks, were_free, free, strict=True)]
    return shown if marks.count(shown) == len(marks) else (shown, *marks)


def _each(snapshot: GroupedSnapshot) -> tuple[int, ...]:
    marks = snapshot.marks
    return (marks,) * (1 + len(snapshot.opinions)) if isinstance(marks, int) else marks


def of(contact: ContactSnapshot, snapshot: GroupedSnapshot | None, within: frozenset[str] | None) -> ContactSnapshot:
    """The contact without all that such a key must not see. `snapshot`: as the log has it, None where it has none."""
    record = contact.record
    presence = None
    if record.presence is not None:
        presence = Presence(record.contact, PresenceState.UNKNOWN, display_name=record.presence.display_name)
    number = 0 if snapshot is None else revision(snapshot, within)
    bare = Record(record.key, record.contact, "", number, presence)
    return ContactSnapshot(
        bare, contact.freshness._replace(reason=None), AvailabilityVerdict(contact.verdict.available, "")
    )


def _shown(snapshot: GroupedSnapshot) -> tuple[object, ...]:
    record = snapshot.contact.record
    return (
        snapshot.contact.freshness.level,
        record.contact,
        None if record.presence is None else record.presence.display_name,
    )
