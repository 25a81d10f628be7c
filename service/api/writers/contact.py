"""Contacts as JSON, fast: the same as `ContactView` and `ContactListView`, and a test holds both equal.

A page has up to a thousand contacts, and a wall board asks every second. All of a contact but its freshness and
availability changes only with its revision; that is kept as bytes, and the parts that depend on the moment are set
between and behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final

from service.api.models import claim_shown, lasting, rfc3339
from service.api.writers.compact import compact
from service.api.writers.fields import BRIEF, FIELDS
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.query import Page
from service.core.presence.records import Change, ChangeKind, Record, Source
from service.core.presence.snapshot import ContactSnapshot

_FREE_OF_CLAIMS: Final = b',"claim":null}'


class ContactJson:
    """Writes contacts, and keeps what it wrote of each."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, Source | None, bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def one(self, known: ContactSnapshot) -> bytes:
        """A `ContactView`."""
        record, (level, as_of, _), verdict, claim = known
        kept = self._kept.get(record.key)
        if kept is None or kept[0] != record.revision or kept[1] is not record.source:
            kept = self._kept[record.key] = (record.revision, record.source, *_pieces(record))
        time = f'"{rfc3339(as_of.wall)}"' if as_of is not None else "null"
        return b'%b,"freshness":"%b","as_of":%b,%b,%b%b' % (
            kept[2],
            level.encode(),
            time.encode(),
            kept[3],
            _verdict(verdict),
            _FREE_OF_CLAIMS if claim is None else b',"claim":%b}' % compact(claim_shown(claim)),
        )

    def brief(self, known: ContactSnapshot) -> bytes:
        """A `BriefContactView`: whether it is available, for whoever may not see why."""
        return self.some(known, BRIEF)

    def some(self, known: ContactSnapshot, fields: Sequence[str]) -> bytes:
        """Some fields of a contact."""
        return compact({name: FIELDS[name](known) for name in fields})

    def page(self, page: Page, fields: Sequence[str] | None = None) -> bytes:
        """A `ContactListView`; with `fields`, only these of each contact."""
        each = self.one if fields is None else partial(self.some, fields=fields)
        contacts = b",".join(map(each, page.contacts))
        return b'{"contacts":[%b],"next_cursor":%b,"revision":%d}' % (contacts, compact(page.cursor), page.revision)

    def forget(self, changes: Sequence[Change]) -> None:
        """Drop what is kept of contacts that are no longer watched. A listener of changes."""
        for change in changes:
            if change.kind is ChangeKind.REMOVED:
                self._kept.pop(change.record.key, None)


def _pieces(record: Record) -> tuple[bytes, bytes]:
    """What stands before the freshness, and what stands after it."""
    changed = rfc3339(record.changed_at.wall) if record.changed_at is not None else None
    rest = {"changed_at": changed, "source": record.source, "revision": record.revision}
    return compact(lasting(record))[:-1], compact(rest)[1:-1]


@lru_cache(maxsize=4096)
def _verdict(verdict: AvailabilityVerdict) -> bytes:
    """The end of a contact: few different ones, since no reason holds a number that runs."""
    return compact({"available": verdict.available, "reason": verdict.reason})[1:-1]
