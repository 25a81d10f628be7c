"""The number that keys without details see as a contact's revision: when what they see of it was last changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pws_soap.models import Presence, PresenceState
from service.core.clock import Moment
from service.core.presence import brief
from service.core.presence.availability import AvailabilityVerdict, Opinion
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Record
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot

GROUPS = ("sales", "support", "desk")
SEEN = st.tuples(st.sampled_from(["Ann", "Anna"]), st.sampled_from(list(Level)), st.tuples(*[st.booleans()] * 3))


def snapshot(name: str, level: Level, free: tuple[bool, ...]) -> GroupedSnapshot:
    """A contact in as many groups as there are verdicts."""
    record = Record("ann@x", "ann@x", "f", 1, Presence("ann@x", PresenceState.BUSY, display_name=name))
    opinions = tuple(Opinion(group, AvailabilityVerdict(each, "")) for group, each in zip(GROUPS, free, strict=False))
    return GroupedSnapshot(ContactSnapshot(record, Freshness(level, Moment(1.0, 1.0)), opinions[0].verdict), opinions)


@given(st.integers(1, 3), st.lists(SEEN, min_size=1, max_size=8), st.frozensets(st.sampled_from(GROUPS)))
def test_it_is_the_last_event_that_changed_what_such_a_key_sees(
    groups: int, history: list[tuple[str, Level, tuple[bool, ...]]], within: frozenset[str]
) -> None:
    """Counted plainly: each event is compared with the one before, by name, freshness and the groups that are seen."""
    for limits in (None, within):
        before: GroupedSnapshot | None = None
        last: tuple[object, ...] = ()
        expected = 0
        for event, (name, level, free) in enumerate(history, 10):
            free = free[:groups]
            before = brief.marked(before, snapshot(name, level, free), event)
            mine = [each for group, each in zip(GROUPS, free, strict=False) if limits is None or group in limits]
            seen = (name, level, *mine)
            if seen != last:
                expected, last = event, seen
            assert brief.revision(before, limits) == expected


def test_groups_that_changed_begin_anew() -> None:
    """A reload may put a contact into other groups."""
    first = brief.marked(None, snapshot("Ann", Level.LIVE, (True,)), 1)
    assert brief.revision(brief.marked(first, snapshot("Ann", Level.LIVE, (True, True)), 2), None) == 2


def test_what_has_changed_together_takes_one_number() -> None:
    """There may be a hundred thousand contacts."""
    first = brief.marked(None, snapshot("Ann", Level.LIVE, (True, False)), 1)
    second = brief.marked(first, snapshot("Ann", Level.LIVE, (False, False)), 2)
    third = brief.marked(second, snapshot("Ann", Level.STALE, (False, False)), 3)
    assert (first.marks, second.marks, third.marks) == (1, (1, 2, 1), 3)
