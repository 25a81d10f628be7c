"""live, stale or unknown: every row of the table."""

from __future__ import annotations

import pytest

from service.core.clock import Moment
from service.core.presence.freshness import Freshness, Level, assess, default_bound, last_known
from service.core.presence.records import Doubt, Feed, ReadingStart, Record, SharedReading, Source
from tests.support.bare_service import BUSY, presence

BOUND = 100.0
NOW = 1000.0


def at(monotonic: float) -> Moment:
    """A moment; its wall time is far from its monotonic one, so that a mix-up shows."""
    return Moment(monotonic, 1_800_000_000 + monotonic)


def record(
    read: float | None = 990, doubt: Doubt | None = None, problem: str | None = None, *, readable: bool = True
) -> Record:
    """A contact that was last read then."""
    return Record(
        "ann@example.com",
        "Ann@example.com",
        "dispatcher",
        1,
        presence=presence("ann@example.com", BUSY) if readable and read is not None else None,
        rests_on=SharedReading(ReadingStart(1, at(read)), 2, Source.POLLED) if read is not None else None,
        doubt=doubt,
        problem=problem,
    )


def feed(confirmed: float | None = None, doubt: str | None = None) -> Feed:
    """A feed that was last confirmed then."""
    return Feed(
        "dispatcher",
        at(confirmed) if confirmed is not None else None,
        Doubt(doubt, at(995), 7) if doubt is not None else None,
    )


LOST = Doubt("its reply was lost", at(995), 7, as_of=at(950))

ROWS = {
    "never read": (record(None), feed(999), Level.UNKNOWN, None, "not read yet"),
    "never readable": (record(None, problem="broken"), feed(999), Level.UNKNOWN, None, "broken"),
    "never read, and the feed is broken": (record(None), feed(999, "lost"), Level.UNKNOWN, None, "not read yet"),
    "feed in doubt": (record(990), feed(980, "lost"), Level.STALE, 990, "lost"),
    "feed in doubt, confirmed before": (record(900), feed(980, "lost"), Level.STALE, 980, "lost"),
    "feed and contact in doubt": (record(900, LOST), feed(980, "lost"), Level.STALE, 950, "lost"),
    "contact in doubt": (record(900, LOST), feed(980), Level.STALE, 950, "its reply was lost"),
    "contact in doubt, read since": (record(960, LOST), feed(980), Level.STALE, 960, "its reply was lost"),
    "in doubt from the first": (record(960, Doubt("x", at(1), 1)), feed(980), Level.STALE, 960, "x"),
    "read in a moment to come": (
        record(1001),
        feed(),
        Level.STALE,
        1001,
        "last known for a moment that has not come yet",
    ),
    "older than the bound": (record(700), feed(899), Level.STALE, 899, "not confirmed for 101 seconds"),
    "read just within the bound": (record(900), feed(), Level.LIVE, 900, None),
    "confirmed within the bound": (record(5), feed(950), Level.LIVE, 950, None),
    "read after the confirmation": (record(980), feed(950), Level.LIVE, 980, None),
    "read now": (record(1000), feed(), Level.LIVE, 1000, None),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_row(row: tuple[Record, Feed, Level, float | None, str | None]) -> None:
    """Each row of the table gives its level, its moment and its reason."""
    contact, source, level, as_of, reason = row
    expected = Freshness(level, at(as_of) if as_of is not None else None, reason)
    assert assess(contact, source, NOW, BOUND) == expected


def test_wall_time_has_no_say() -> None:
    """A state that was read when the wall clock stood a year ahead is live all the same, and as old as it is."""
    ahead = Record(
        "a",
        "a",
        "dispatcher",
        1,
        presence("a@b"),
        SharedReading(ReadingStart(1, Moment(950.0, 1_830_000_000)), 2, Source.POLLED),
    )
    assert assess(ahead, feed(), NOW, BOUND).level is Level.LIVE
    assert assess(ahead, feed(), NOW + 51, BOUND).level is Level.STALE


def test_last_known_of_a_contact_that_was_never_read() -> None:
    """Nothing is known, whatever the feed says."""
    assert last_known(record(None), feed(999)) is None


def test_default_bound_survives_one_failed_safety_fetch() -> None:
    """Two intervals and a minute."""
    assert default_bound(600) == 1260
