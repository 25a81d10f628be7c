"""One reply on its way into the store: what it says of each contact, beside what is known of it.

Most of a reply is what the reply before it has said. What is the same in every field needs no new record: the records
share a reading (`SharedReading`), and that one moves on. A reply of the very objects of the one before it is not even
looked through: the client does not read equal bytes again. One that names the same contacts in the same order is held
against it place by place, without a look at the records.

Moving it on says the same as reading each contact again would: `tests/core/presence/test_intake.py` holds them equal.
It is right only where all records that rest on the reading and are in no doubt were named again, so they are counted;
those of which something else is said leave it before it moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_

from msgspec import Struct
from msgspec.structs import replace

from pws_soap.models import Presence, same_contact
from service.core.presence.record_table import RecordTable
from service.core.presence.records import (
    Doubt,
    ReadingStart,
    Record,
    SharedReading,
    Source,
    Spans,
    spans_after,
)


class Intake:
    """A reply that is being taken in. `rest` is what has to be taken contact by contact."""

    def __init__(
        self, table: RecordTable, presences: Sequence[Presence], reading: ReadingStart, source: Source, now: float
    ) -> None:
        self._table = table
        self._presences = presences
        self.reading = reading
        self._source = source
        self._now = now
        self._shared: SharedReading | None = None
        self._spans: dict[Spans, Spans] = {}
        self._named = 0
        self.rest: list[tuple[str, Presence]] = []

    # --- what is the same

    def moves_on(self, order: int) -> bool:
        """Whether a reading that records rest on was moved on; sets `rest`. `order`: that of being taken in."""
        whole = named_before(self._table, self._presences)
        if whole is not None and self._may_follow(whole) and (rest := _differing(whole, self._presences)) is not None:
            self._named = whole.named
            self.rest = [(same_contact(each.contact), each) for each in rest]
            self._leave_behind(whole)
            self._move(whole, order)
            return True
        named = {same_contact(each.contact): each for each in self._presences}
        self._named = len(named)
        same, other = self._compare(named)
        moved = max(same, key=same.__getitem__, default=None)
        if moved is None or not self._may_follow(moved) or not _pays(same[moved], other.get(moved, 0), moved.sure):
            self.rest = list(named.items())
            return False
        if len(same) > 1:
            self.rest = [each for each in named.items() if not self._is_the_same_on(moved, *each)]
        self._leave_behind(moved)
        self._move(moved, order)
        return True

    def _compare(self, named: Mapping[str, Presence]) -> tuple[dict[SharedReading, int], dict[SharedReading, int]]:
        """By the readings that those named rest on without doubt: how many are as they were, and how many are not.

        Sets `rest` to all but the former.
        """
        same: dict[SharedReading, int] = {}
        other: dict[SharedReading, int] = {}
        rest, get = self.rest, self._table.get
        for key, presence in named.items():
            record = get(key)
            shared = None if record is None or record.doubt is not None else record.rests_on
            if shared is None or record is None or record.presence is None:
                rest.append((key, presence))
            elif _is_just_the_same(record.presence, presence):
                same[shared] = same.get(shared, 0) + 1
            else:
                rest.append((key, presence))
                other[shared] = other.get(shared, 0) + 1
        return same, other

    def _may_follow(self, shared: SharedReading) -> bool:
        """Whether a reading may move on to this one: it is as old or older, and this one has begun by our clock."""
        begun = self.reading.at.monotonic <= self._now
        return begun and shared.source is self._source and shared.start.order <= self.reading.order

    def _is_the_same_on(self, shared: SharedReading, key: str, presence: Presence) -> bool:
        record = self._table.get(key)
        if record is None or record.rests_on is not shared or record.doubt is not None or record.presence is None:
            return False
        return _is_just_the_same(record.presence, presence)

    def _leave_behind(self, shared: SharedReading) -> None:
        """Have those that are to be taken rest on what was read before, until they are: only what is the same moves."""
        behind = SharedReading(shared.start, shared.settled, shared.source)
        for key, _ in self.rest:
            record = self._table.get(key)
            if record is not None and record.rests_on is shared:
                self._table.keep(replace(record, rests_on=behind))

    def _move(self, shared: SharedReading, order: int) -> None:
        shared.move(self.reading, order)
        self._shared = shared
        self._table.moved()

    def end(self) -> None:
        """All is taken in: where all of the reply rests on one reading, the next one may be the same."""
        shared = self._shared
        if shared is not None and shared.start is self.reading and shared.sure == self._named:
            shared.reply, shared.named = tuple(self._presences), self._named

    # --- what is not

    def agrees(self, record: Record, presence: Presence) -> bool:
        """Whether it does not contradict what was read at the same time."""
        known, last = record.presence, record.rests_on
        return known is None or last is None or self.reading.order >= last.settled or _says_the_same(known, presence)

    def after(self, record: Record, presence: Presence, order: int, doubt: Doubt | None, revision: int) -> Record:
        """The contact once this has been read of it; `revision` where that is a change."""
        known, last = record.presence, record.rests_on
        same = known is not None and _says_the_same(known, presence)
        newer = last is None or self.reading.order >= last.start.order
        if newer or last is None:
            rests_on = self._reading(order) if doubt is None else SharedReading(self.reading, order, self._source)
        else:
            rests_on = SharedReading(last.start, order, last.source)
        if not newer and not same and known is not None:
            # It was read at the same time, and the one that began later stays.
            return Record(
                record.key,
                record.contact,
                record.feed,
                record.revision,
                known,
                rests_on,
                record.changed_at,
                doubt,
                record.problem,
                record.spans,
            )
        return Record(
            record.key,
            record.contact,
            record.feed,
            record.revision if same else revision,
            presence if newer else known,  # of the same, the newer: it tells more than is compared
            rests_on,
            record.changed_at if same else self.reading.at,
            doubt,
            None if doubt is None else record.problem,
            self._spans_after(record, presence) if newer else record.spans,
        )

    def _reading(self, order: int) -> SharedReading:
        """The one that all records of this reply rest on; another reply may have moved it on between two steps."""
        shared = self._shared
        if shared is None or shared.start is not self.reading:
            shared = self._shared = SharedReading(self.reading, order, self._source)
        shared.settled = order
        return shared

    def _spans_after(self, record: Record, presence: Presence) -> Spans:
        spans = spans_after(record, presence, self.reading.at)
        return spans if spans is record.spans else self._spans.setdefault(spans, spans)


def repeated_by(table: RecordTable, presences: Sequence[Presence]) -> tuple[Presence, ...] | None:
    """The reply that consisted of these very presences, where all of whom it told still rest on it, without doubt."""
    shared = named_before(table, presences)
    return shared.reply if shared is not None and _are_the_same(shared.reply, presences) else None


def named_before(table: RecordTable, presences: Sequence[Presence]) -> SharedReading | None:
    """A reading of as many presences that these may repeat: all of whom it told still rest on it, without doubt."""
    record = table.get(same_contact(presences[0].contact)) if presences else None
    shared = None if record is None else record.rests_on
    if shared is None or shared.reply is None or shared.sure != shared.named or len(shared.reply) != len(presences):
        return None
    return shared


def _are_the_same(reply: Sequence[Presence] | None, presences: Sequence[Presence]) -> bool:
    """Whether both consist of the very same objects."""
    return reply is presences or (reply is not None and all(map(is_, reply, presences)))


def _differing(shared: SharedReading, presences: Sequence[Presence]) -> Sequence[Presence] | None:
    """Those that are not just the same as in the reply of a reading; None where they are not few, or their contacts
    are not the same in the same order, each of them once."""
    reply = shared.reply
    if reply is None or _are_the_same(reply, presences):
        return ()
    # Decides alone where there are no devices: who is sure has no problem, and so nobody who is equal to them has one.
    equal = Struct.__eq__
    differing = [
        (before, now)
        for before, now in zip(reply, presences, strict=True)
        if before is not now and (now.devices or not equal(before, now)) and not _is_just_the_same(before, now)
    ]
    few = _pays(len(presences) - len(differing), len(differing), shared.named)
    if not few or any(before.contact != now.contact for before, now in differing):
        return None
    return [now for _, now in differing]


def _pays(same: int, other: int, sure: int) -> bool:
    """Whether all that rest on a reading were named again, so that it may move on, and most of them as they were."""
    return same + other == sure and same > other


def _is_just_the_same(known: Presence, presence: Presence) -> bool:
    """Whether all fields are the same, also those of it and its devices that do not count in a comparison with `==`."""
    return known is presence or (
        presence.problem is None
        and Struct.__eq__(known, presence)
        and all(map(Struct.__eq__, known.devices, presence.devices))
    )


def _says_the_same(one: Presence, other: Presence) -> bool:
    """Whether a contact's answer is the same: spelling, type, document and what only `explain` tells are not in it."""
    return one is other or (
        one.state is other.state
        and one.activities == other.activities
        and one.on_the_phone == other.on_the_phone
        and one.devices == other.devices
        and one.display_name == other.display_name
        and one.note == other.note
        and one.idle == other.idle
    )
