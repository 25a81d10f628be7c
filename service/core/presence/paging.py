"""Pages of contacts: which come next, in which order, and the cursor that leads on.

A client that walks the pages meets every contact that passes all the time exactly once, whatever is added, removed or
changed meanwhile; `service.core.presence.cursors` says how.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from service.core.clock import Clock
from service.core.presence.cursors import (
    After,
    CursorExpired,
    KeptOrders,
    Position,
    WrongCursor,
    cursor_after,
    cursor_at,
    mark,
    read_cursor,
)
from service.core.presence.filters import Filter, Unknown
from service.core.presence.look import Look
from service.core.presence.records import Record
from service.core.presence.snapshot import ContactSnapshot
from service.core.presence.sorting import BY_CONTACT, Sort, SortBy, arranged, sort_value
from service.core.presence.steps import SLICE, Steps, slices
from service.core.presence.store import Store

Passing = Callable[[Look, Iterable[Sequence[Record]], Filter], Iterator[ContactSnapshot | None]]
"""Those of some records that pass a filter, in the order in which they come; None between two slices of them."""


class OrderUse(NamedTuple):
    """The kept order that a page leads into or through. `begins`: it is the first page, which keeps the order."""

    question: bytes
    name: bytes
    begins: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some contacts in order; `cursor` leads to the next ones, None when there are none.

    Time alone changes nothing of it up to `until`, a monotonic moment; `order` is to be used whenever it is shown.
    """

    contacts: tuple[ContactSnapshot, ...]
    cursor: str | None
    revision: int
    until: float = inf
    order: OrderUse | None = None


class Pager:
    """Cuts lists into pages. `passing` decides which contacts pass."""

    def __init__(self, store: Store, clock: Clock, passing: Passing) -> None:
        self._store = store
        self._passing = passing
        self._orders = KeptOrders(clock)
        self.replica = b""
        """Of several replicas the mark of this one, for its cursors (`cursors.replica_mark`)."""

    def page(
        self,
        look: Look,
        wanted: Filter,
        limit: int,
        cursor: str | None = None,
        *,
        sort: Sort = BY_CONTACT,
        key_name: str = "",
        client: str = "",
    ) -> Steps[Page]:
        """At most `limit` contacts that pass, for the key named `key_name`; a kept order counts for `client`.

        Raises Unknown for an unknown group and for a malformed cursor or one of another query, CursorExpired for a
        cursor whose order is no longer kept.
        """
        question = _question(wanted, sort, key_name)
        try:
            begin = None if cursor is None else read_cursor(cursor, question)
        except WrongCursor as error:
            raise Unknown("cursor", str(error)) from None
        order: OrderUse | None = None
        if sort.by is SortBy.CONTACT:
            found, following = yield from self._after(look, begin, wanted, limit, sort, question)
        elif isinstance(begin, Position):
            found, following = yield from self._in_kept_order(look, begin, wanted, limit, question)
            order = OrderUse(question, begin.order, begins=False)
        else:
            found, following, order = yield from self._first(look, wanted, limit, sort, question, client)
        return Page(tuple(found), following, look.revision, look.until, order)

    def use(self, order: OrderUse, client: str) -> bool:
        """Use an order as making its page anew would; False where it is kept no longer."""
        if order.begins:
            return self._orders.keep_on(order.question, order.name, client)
        try:
            self._orders.get(order.question, order.name)
        except CursorExpired:
            return False
        return True

    def _after(
        self, look: Look, begin: After | Position | None, wanted: Filter, limit: int, sort: Sort, question: bytes
    ) -> Steps[tuple[list[ContactSnapshot], str | None]]:
        """By contact: nothing has to be kept."""
        key = begin.key if isinstance(begin, After) else ""
        parts = slices(_descending(look.records(), key)) if sort.descending else look.parts(key)
        found = yield from _first_of(self._passing(look, parts, wanted), limit + 1)
        following = cursor_after(question, found[limit - 1].record.key) if len(found) > limit else None
        return found[:limit], following

    def _in_kept_order(
        self, look: Look, begin: Position, wanted: Filter, limit: int, question: bytes
    ) -> Steps[tuple[list[ContactSnapshot], str | None]]:
        """By anything else: the order of the first page goes on."""
        keys = self._orders.get(question, begin.order)
        records = self._records(look, keys, begin.place, limit + 1)
        found = yield from _first_of(self._passing(look, records, wanted), limit + 1)
        if len(found) <= limit:
            return found, None
        return found[:limit], self._cursor(question, begin.order, keys.index(found[limit].record.key, begin.place))

    def _records(self, look: Look, keys: Sequence[str], place: int, most: int) -> Iterator[Sequence[Record]]:
        """The contacts of an order from a place on: the first ones at once, and the others as they are now as well."""
        first = map(self._store.get, keys[place : place + most])
        yield [record for record in first if record is not None]
        if place + most < len(keys):
            records = {record.key: record for record in look.records()}
            for some in slices(keys[place + most :]):
                yield [records[key] for key in some if key in records]

    def _first(
        self, look: Look, wanted: Filter, limit: int, sort: Sort, question: bytes, client: str
    ) -> Steps[tuple[list[ContactSnapshot], str | None, OrderUse | None]]:
        """The first page, whose order is kept where others follow."""
        records: dict[str, Record] = {}
        values: list[tuple[str, str | float | None]] = []
        for contact in self._passing(look, look.parts(), wanted):
            if contact is None:
                yield
                continue
            record = contact.record
            records[record.key] = record
            values.append((record.key, sort_value(sort.by, record, contact.verdict)))
        keys = yield from arranged(values, descending=sort.descending)
        # Of very many contacts only those of the page are worth keeping while the others are looked at.
        page = [records[key] for key in keys[:limit]]
        found = yield from _first_of(self._passing(look, slices(page), wanted), limit)
        if len(keys) <= limit:
            return found, None, None
        order = OrderUse(question, self._orders.keep(question, client, keys), begins=True)
        if len(keys) > SLICE:
            yield
        return found, self._cursor(question, order.name, limit), order

    def _cursor(self, question: bytes, order: bytes, place: int) -> str:
        return cursor_at(question, order, place, self.replica)


def _descending(records: Sequence[Record], after: str) -> Sequence[Record]:
    end = bisect_left(records, after, key=lambda record: record.key) if after else len(records)
    return records[:end][::-1]


def _first_of(passing: Iterator[ContactSnapshot | None], most: int) -> Steps[list[ContactSnapshot]]:
    """So many of those that pass."""
    found: list[ContactSnapshot] = []
    for contact in passing:
        if contact is None:
            yield
            continue
        found.append(contact)
        if len(found) == most:
            break
    return found


def _question(wanted: Filter, sort: Sort, key_name: str) -> bytes:
    """What a cursor belongs to."""
    sets = (wanted.states, wanted.activities, wanted.groups, wanted.levels)
    within = sorted(wanted.within) if wanted.within is not None else None
    return mark(*map(sorted, sets), wanted.text, wanted.available, within, sort, key_name)
