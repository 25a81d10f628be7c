"""One reply on its way into the store: what it says of each contact, beside what is known of it.

Most of a reply is what the reply before it has said. What is the same in every field needs no new record: the records
share a reading (`SharedReading`), and that one moves on. A reply that is the very one before it, which a client that
keeps the last one can prove, is not even looked through.

Moving it on says the same as reading each contact again would: `tests/core/presence/test_intake.py` holds them equal.
It is right only where all records that rest on the reading and are in no doubt were named again, so they are counted;
those of which something else is said leave it before it moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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
        self, table: RecordTable, presences: Sequence[Presence], reading: ReadingStart, source: Source
    ) -> None:
        self._table = table
        self._presences = presences
        self.reading = reading
        self._source = source
        self._shared: SharedReading | None = None
        self._spans: dict[Spans, Spans] = {}
        self._named = 0
        self.rest: list[tuple[str, Presence]] = []

    # --- what is the same

    def moves_on(self, order: int) -> bool:
        """Whether a reading that records rest on was moved on; sets `rest`. `order`: that of being taken in."""
        if (whole := self._is_the_last_one()) is not None:
            self._named = whole.named
            self._move(whole, order)
            return True
        named = {same_contact(each.contact): each for each in self._presences}
        self._named = len(named)
        same: Counter[SharedReading] = Counter()
        other: Counter[SharedReading] = Counter()
        for key, presence in named.items():
            record = self._table.get(key)
            if record is None or record.rests_on is None or record.doubt is not None or record.presence is None:
                continue
            (same if _is_just_the_same(record.presence, presence) else other)[record.rests_on] += 1
        moved = max(same, key=same.__getitem__, default=None)
        if moved is None or not self._may_follow(moved) or same[moved] + other[moved] != moved.sure > 2 * other[moved]:
            self.rest = list(named.items())
            return False
        if len(named) > same[moved]:
            self.rest = [each for each in named.items() if not self._is_the_same_on(moved, *each)]
            self._leave_behind(moved)
        self._move(moved, order)
        return True

    def _is_the_last_one(self) -> SharedReading | None:
        """The reading that this very reply was already, where all of it still rests on that."""
        record = self._table.get(same_contact(self._presences[0].contact)) if self._presences else None
        shared = None if record is None else record.rests_on
        if shared is None or shared.reply is not self._presences or shared.sure != shared.named:
            return None
        return shared if self._may_follow(shared) else None

    def _may_follow(self, shared: SharedReading) -> bool:
        return shared.source is self._source and shared.start.order <= self.reading.order

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
        shared.start, shared.settled = self.reading, order
        shared.reply = None
        self._shared = shared
        self._table.moved()

    def end(self) -> None:
        """All is taken in: where all of the reply rests on one reading, the next one may be the same."""
        shared = self._shared
        if shared is not None and shared.start is self.reading and shared.sure == self._named:
            shared.reply, shared.named = self._presences, self._named

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
        rests_on = self._reading(order) if newer or last is None else SharedReading(last.start, order, last.source)
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


def _is_just_the_same(known: Presence, presence: Presence) -> bool:
    """Whether all fields are the same, also those that do not count when two presences are compared."""
    return known is presence or (presence.problem is None and Struct.__eq__(known, presence))


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
