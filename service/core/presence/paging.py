"""Pages of contacts: which come next, in which order, and the cursor that leads on.

A client that walks the pages meets every contact that passes all the time exactly once, whatever is added, removed or
changed meanwhile; `service.core.presence.cursors` says how.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from service.core.clock import Clock
from service.core.presence.cursors import (
    After,
    KeptOrders,
    Position,
    WrongCursor,
    cursor_after,
    cursor_at,
    mark,
    read_cursor,
)
from service.core.presence.filters import Filter, Unknown
from service.core.presence.records import Record
from service.core.presence.snapshot import ContactSnapshot
from service.core.presence.sorting import BY_CONTACT, Sort, SortBy, arranged, sort_value
from service.core.presence.store import Store

Passing = Callable[[Iterable[Record], Filter, float | None], Iterator[ContactSnapshot]]
"""Those of some records that pass a filter, in the order in which they come; the last argument is a client's bound."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some contacts in order; `cursor` leads to the next ones, None when there are none."""

    contacts: tuple[ContactSnapshot, ...]
    cursor: str | None
    revision: int


class Pager:
    """Cuts lists into pages. `passing` decides which contacts pass."""

    def __init__(self, store: Store, clock: Clock, passing: Passing) -> None:
        self._store = store
        self._passing = passing
        self._orders = KeptOrders(clock)

    def page(
        self,
        wanted: Filter,
        limit: int,
        cursor: str | None = None,
        bound: float | None = None,
        *,
        sort: Sort = BY_CONTACT,
        key_name: str = "",
        client: str = "",
    ) -> Page:
        """At most `limit` contacts that pass, for the key named `key_name`; a kept order counts for `client`.

        Raises Unknown for an unknown group and for a malformed cursor or one of another query, CursorExpired for a
        cursor whose order is no longer kept.
        """
        question = _question(wanted, sort, key_name)
        try:
            begin = None if cursor is None else read_cursor(cursor, question)
        except WrongCursor as error:
            raise Unknown("cursor", str(error)) from None
        if sort.by is SortBy.CONTACT:
            found, following = self._after(begin, wanted, limit, bound, sort, question)
        elif isinstance(begin, Position):
            found, following = self._in_kept_order(begin, wanted, limit, bound, question)
        else:
            found, following = self._first(wanted, limit, bound, sort, question, client)
        return Page(tuple(found), following, self._store.revision)

    def _after(
        self,
        begin: After | Position | None,
        wanted: Filter,
        limit: int,
        bound: float | None,
        sort: Sort,
        question: bytes,
    ) -> tuple[list[ContactSnapshot], str | None]:
        """By contact: nothing has to be kept."""
        key = begin.key if isinstance(begin, After) else ""
        passing = self._passing(self._by_contact(key, sort.descending), wanted, bound)
        found = list(islice(passing, limit + 1))
        following = cursor_after(question, found[limit - 1].record.key) if len(found) > limit else None
        return found[:limit], following

    def _in_kept_order(
        self, begin: Position, wanted: Filter, limit: int, bound: float | None, question: bytes
    ) -> tuple[list[ContactSnapshot], str | None]:
        """By anything else: the order of the first page goes on."""
        keys = self._orders.get(question, begin.order)
        places = {key: place for place, key in enumerate(keys[begin.place :], begin.place)}
        records = (record for record in map(self._store.get, places) if record is not None)
        found = list(islice(self._passing(records, wanted, bound), limit + 1))
        more = len(found) > limit
        following = cursor_at(question, begin.order, places[found[limit].record.key]) if more else None
        return found[:limit], following

    def _first(
        self, wanted: Filter, limit: int, bound: float | None, sort: Sort, question: bytes, client: str
    ) -> tuple[list[ContactSnapshot], str | None]:
        """The first page, whose order is kept where others follow."""
        passing = self._passing(self._store.records(), wanted, bound)
        by_key = {contact.record.key: contact for contact in passing}
        values = ((key, sort_value(sort.by, contact.record, contact.verdict)) for key, contact in by_key.items())
        keys = arranged(values, descending=sort.descending)
        more = len(keys) > limit
        following = cursor_at(question, self._orders.keep(question, client, keys), limit) if more else None
        return [by_key[key] for key in keys[:limit]], following

    def _by_contact(self, after: str, descending: bool) -> Iterable[Record]:
        if not descending:
            return self._store.records(after)
        records = self._store.records()
        end = bisect_left(records, after, key=lambda record: record.key) if after else len(records)
        return reversed(records[:end])


def _question(wanted: Filter, sort: Sort, key_name: str) -> bytes:
    """What a cursor belongs to."""
    sets = (wanted.states, wanted.activities, wanted.groups, wanted.levels)
    within = sorted(wanted.within) if wanted.within is not None else None
    return mark(*map(sorted, sets), wanted.text, wanted.available, within, sort, key_name)
