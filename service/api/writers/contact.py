"""Contacts as JSON, fast: what `ContactView` and `ContactListView` describe.

A page has up to a thousand contacts, and a wall board asks every second. All of a contact but its freshness, its
availability and its claim changes only with its revision; that is kept as bytes, and the parts that depend on the
moment are set between and behind. `service.api.writers.fields` says which are which.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final

from service.api.models import rfc3339
from service.api.writers.compact import compact
from service.api.writers.fields import BRIEF, FIELDS, TABLE, claim_json
from service.core.clock import Moment
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.freshness import Level
from service.core.presence.query import Page
from service.core.presence.records import Change, ChangeKind, Source
from service.core.presence.snapshot import ContactSnapshot

_OF_RECORD: Final = tuple((name, field.read) for name, field in TABLE.items() if field.of_record)
_NAMES: Final = tuple(TABLE)
_BEHIND_AS_OF: Final = b',"%b":' % _NAMES[_NAMES.index("as_of") + 1].encode()
"""Where the JSON of `_OF_RECORD` is parted to set the freshness between. No string holds it: its quotes are escaped."""
_NO_CLAIM: Final = b',"claim":null}'


MOST_KEPT: Final = 20_000
"""Contacts whose bytes are kept, some 800 bytes each; of more, those that were written last."""


class ContactJson:
    """Writes contacts, and keeps what it wrote of `most` of them."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[int, Source | None, bytes, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def one(self, snapshot: ContactSnapshot) -> bytes:
        """A `ContactView`."""
        record, verdict, claim = snapshot.record, snapshot.verdict, snapshot.claim
        kept = self._kept.get(record.key)
        if kept is None or kept[0] != record.revision or kept[1] is not record.source:
            kept = self._kept[record.key] = (record.revision, record.source, *_kept_parts(snapshot))
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        level, as_of, _ = snapshot.freshness
        return b"{%b%b%b%b%b" % (
            kept[2],
            _moment(level, as_of),
            kept[3],
            _verdict(verdict),
            _NO_CLAIM if claim is None else b',"claim":%b}' % compact(claim_json(claim)),
        )

    def brief(self, snapshot: ContactSnapshot) -> bytes:
        """A `BriefContactView`: whether it is available, for keys that may not see why."""
        return self.some(snapshot, BRIEF)

    def some(self, snapshot: ContactSnapshot, fields: Sequence[str]) -> bytes:
        """Some fields of a contact."""
        return compact({name: FIELDS[name](snapshot) for name in fields})

    def page(self, page: Page, fields: Sequence[str] | None = None) -> bytes:
        """A `ContactListView`; with `fields`, only these of each contact."""
        write = self.one if fields is None else partial(self.some, fields=fields)
        contacts = b",".join(map(write, page.contacts))
        return b'{"contacts":[%b],"next_cursor":%b,"revision":%d}' % (contacts, compact(page.cursor), page.revision)

    def forget(self, changes: Sequence[Change]) -> None:
        """Drop what is kept of contacts that are no longer watched. A listener of changes."""
        for change in changes:
            if change.kind is ChangeKind.REMOVED:
                self._kept.pop(change.record.key, None)


def _kept_parts(snapshot: ContactSnapshot) -> tuple[bytes, bytes]:
    """What stands before the freshness, and what stands behind `as_of`."""
    members = compact({name: read(snapshot) for name, read in _OF_RECORD})
    place = members.rindex(_BEHIND_AS_OF)
    return members[1:place], members[place + 1 : -1]


@lru_cache(maxsize=4096)
def _moment(level: Level, as_of: Moment | None) -> bytes:
    """How sure it is: the same for all whom one fetch confirmed."""
    time = rfc3339(as_of.wall) if as_of is not None else None
    return b"," + compact({"freshness": level, "as_of": time})[1:-1] + b","


@lru_cache(maxsize=4096)
def _verdict(verdict: AvailabilityVerdict) -> bytes:
    """The end of a contact: few different ones, since no reason holds a number that runs."""
    return b"," + compact({"available": verdict.available, "reason": verdict.reason})[1:-1]
