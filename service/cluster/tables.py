"""What the engine keeps beside the log, for a replica that joins.

Which values an entry of the log changes, what all of them mean together, and what a new owner has to mend.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Final, NamedTuple

from service.cluster import wire
from service.cluster.engine import HIGHEST, EngineSnapshot, Put, Table
from service.cluster.upstream import Upstream
from service.cluster.wire import DamagedBytes, OfEpoch, WireError
from service.core.claims.model import ClaimEvent, ClaimEventKind, Lease
from service.core.claims.pick_order import PickedBefore, PickOrder
from service.core.events.commits import FeedChange, LogEntry, RecordChange
from service.core.events.event import CHANGE, REMOVED, Event
from service.core.presence.records import Feed
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot
from service.core.wiring import Core

_GROUP: Final = "group "
_CONTACT: Final = "contact "
_STEP: Final = 200
"""Contacts that are read in one turn of the event loop."""


def puts_of(entry: LogEntry, epoch: int, core: Core) -> list[Put]:
    """The values that are others from this entry on. `core` is the owner's, in the turn of the entry or later: what has
    happened since may be in the values already."""
    match entry:
        case FeedChange():
            return [Put(Table.FEEDS, entry.feed.name, wire.encode_feed(epoch, entry.feed))]
        case RecordChange():
            told = core.log.snapshot(entry.record.key)
            if told is None:
                return []
            contact = told.contact
            contact = ContactSnapshot(entry.record, contact.freshness, contact.verdict, contact.claim)
            snapshot = GroupedSnapshot(contact, told.opinions, told.marks)
            return [Put(Table.RECORDS, entry.record.key, wire.encode_contact(epoch, snapshot))]
        case _:
            return _puts_of_event(entry, epoch, core.claim_service.order)


def _puts_of_event(event: Event, epoch: int, order: PickOrder) -> list[Put]:
    if isinstance(event.data, ClaimEvent):
        return _puts_of_claim(event.data, epoch, order)
    if event.key is not None and event.name == REMOVED:
        return [Put(Table.RECORDS, event.key, None), Put(Table.ORDER, _CONTACT + event.key, None)]
    if event.key is not None and event.name == CHANGE and event.after is not None:
        return [Put(Table.RECORDS, event.key, wire.encode_contact(epoch, event.after))]
    return []


def _puts_of_claim(event: ClaimEvent, epoch: int, order: PickOrder) -> list[Put]:
    lease = event.lease
    before = order.picked_before
    puts = [Put(Table.CLAIMS, lease.id, None if event.ends else wire.encode_claim(epoch, lease))]
    for person in lease.people:
        puts.append(Put(Table.HELD, person.key, None if event.ends else lease.id.encode()))
        if event.kind is ClaimEventKind.MADE or event.ends:
            number = before.claimed.get(person.key)
            puts.append(Put(Table.ORDER, _CONTACT + person.key, None if number is None else wire.encode_place(number)))
    if event.person is not None and event.person.key not in lease.keys:
        puts.append(Put(Table.HELD, event.person.key, None))
    if event.kind is ClaimEventKind.MADE or event.ends:
        last = before.last.get(lease.group)
        puts.append(Put(Table.ORDER, _GROUP + lease.group, None if last is None else wire.encode_place(last)))
    return puts


_WHOLE: Final = "whole"
_DIGITS: Final = len(str(HIGHEST))
_UPSTREAM: Final = "upstream"


def whole(epoch: int, upstream: Upstream = frozenset()) -> list[Put]:
    """To be written behind the repairs: from here on a replica that joins finds everything in the tables, read from
    this upstream."""
    said = "\n".join(sorted(upstream)).encode()
    return [Put(Table.TENURE, _UPSTREAM, said or None), Put(Table.TENURE, _WHOLE, str(epoch).encode())]


def upstream(snapshot: EngineSnapshot) -> Upstream | None:
    """What the last owner read that has made the tables whole; None: there was none."""
    if not was_ever_whole(snapshot):
        return None
    return frozenset(snapshot.tables[Table.TENURE].get(_UPSTREAM, b"").decode(errors="replace").split())


def was_ever_whole(snapshot: EngineSnapshot) -> bool:
    """Whether an owner has made the tables whole since the engine began, or lost everything."""
    return _WHOLE in snapshot.tables[Table.TENURE]


def is_whole(snapshot: EngineSnapshot, seen: int) -> bool:
    """Whether everything is in the tables; a replica that knows entries up to the id `seen` asks.

    It is not while a new owner still mends them, nor while the engine has lost data: then this replica may know more
    than the engine, and the next owner writes that back. The lease may have come back with the rest of an older state.
    """
    if not was_ever_whole(snapshot) or snapshot.last < seen:
        return False
    return snapshot.holder is None or made_whole_by(snapshot) == snapshot.holder.epoch


def made_whole_by(snapshot: EngineSnapshot) -> int:
    """The epoch of the owner that has made the tables whole last; 0: nobody knows."""
    said = snapshot.tables[Table.TENURE].get(_WHOLE, b"")
    return int(said) if said.isdigit() and len(said) <= _DIGITS else 0


def repairs(core: Core, snapshot: EngineSnapshot, epoch: int) -> list[Put]:
    """What a new owner has to write, where the tables say something else than it knows.

    Claims are written with their ends by its own clock. Contacts and feeds follow as they are read.
    """
    tables, held = snapshot.tables, dict[str, bytes]()
    puts: list[Put] = []
    for lease in core.claim_service.leases():
        puts.append(Put(Table.CLAIMS, lease.id, wire.encode_claim(epoch, lease)))
        held |= {person.key: lease.id.encode() for person in lease.people}
    order = _order(core)
    for table, wanted in ((Table.HELD, held), (Table.ORDER, order)):
        puts += [Put(table, name, data) for name, data in wanted.items() if tables[table].get(name) != data]
        puts += [Put(table, name, None) for name in tables[table] if name not in wanted]
    puts += [Put(Table.CLAIMS, name, None) for name in tables[Table.CLAIMS] if core.claim_service.get(name) is None]
    puts += [Put(Table.RECORDS, key, None) for key in tables[Table.RECORDS] if core.store.get(key) is None]
    puts += [Put(Table.FEEDS, name, None) for name in tables[Table.FEEDS] if name not in core.store.feeds()]
    for key in core.store.ordered_keys():
        told = core.log.snapshot(key)
        if key not in tables[Table.RECORDS] and told is not None:
            puts.append(Put(Table.RECORDS, key, wire.encode_contact(epoch, told)))
    return puts


def unsound(snapshot: EngineSnapshot) -> Generator[None, None, list[tuple[Table, str]]]:
    """Where there is something that cannot be read, in steps."""
    found: list[tuple[Table, str]] = []
    for table, is_sound in _SOUND.items():
        for number, (name, data) in enumerate(snapshot.tables[table].items(), 1):
            if not is_sound(name, data):
                found.append((table, name))
            if not number % _STEP:
                yield
    return found


def lacks_whole(snapshot: EngineSnapshot, epoch: int, upstream: Upstream) -> list[Put]:
    """What of `whole` is no longer there, although it was written."""
    tenure = snapshot.tables[Table.TENURE]
    return [put for put in whole(epoch, upstream) if tenure.get(put.field) != put.value]


def mends(core: Core, places: Sequence[tuple[Table, str]], epoch: int) -> Generator[list[Put], None, None]:
    """What an owner writes again at these places, in parts. Each is as of the turn of the event loop in which it is
    made, and is to be kept in that turn: what happens later may write there as well."""
    for start in range(0, len(places), _STEP):
        part = places[start : start + _STEP]
        order = _order(core) if any(table is Table.ORDER for table, _ in part) else {}
        yield [
            Put(table, name, order.get(name) if table is Table.ORDER else _value(core, table, name, epoch))
            for table, name in part
        ]


def _value(core: Core, table: Table, name: str, epoch: int) -> bytes | None:
    """What belongs there."""
    match table:
        case Table.RECORDS:
            told = core.log.snapshot(name)
            return None if told is None else wire.encode_contact(epoch, told)
        case Table.FEEDS:
            feed = core.store.feeds().get(name)
            return None if feed is None else wire.encode_feed(epoch, feed)
        case _:
            lease = core.claim_service.get(name)
            return None if lease is None else wire.encode_claim(epoch, lease)


def _order(core: Core) -> dict[str, bytes]:
    before = core.claim_service.order.picked_before
    order = {_CONTACT + key: wire.encode_place(number) for key, number in before.claimed.items()}
    return order | {_GROUP + group: wire.encode_place(key) for group, key in before.last.items()}


class Known(NamedTuple):
    """All that is in the tables, each value with the epoch in which it was written."""

    contacts: Mapping[str, OfEpoch[GroupedSnapshot]]
    feeds: Mapping[str, OfEpoch[Feed]]
    leases: Mapping[str, OfEpoch[Lease]]
    order: PickedBefore


def read(snapshot: EngineSnapshot, *, as_owner: bool = False) -> Generator[None, None, Known]:
    """What the tables mean, in steps. Raises WireError; a new owner passes over what is damaged, reads everybody anew
    and mends it (`repairs`)."""
    passed_over = (DamagedBytes,) if as_owner else ()
    tables = snapshot.tables
    last: dict[str, str] = {}
    claimed: dict[str, int] = {}
    for name, data in tables[Table.ORDER].items():
        with contextlib.suppress(*passed_over):
            _read_place(name, wire.decode_place(data), last, claimed)
    contacts: dict[str, OfEpoch[GroupedSnapshot]] = {}
    for key, data in tables[Table.RECORDS].items():
        with contextlib.suppress(*passed_over):
            contacts[key] = wire.decode_contact(data)
        if not len(contacts) % _STEP:
            yield
    feeds: dict[str, OfEpoch[Feed]] = {}
    for name, data in tables[Table.FEEDS].items():
        with contextlib.suppress(*passed_over):
            feeds[name] = wire.decode_feed(data)
    leases: dict[str, OfEpoch[Lease]] = {}
    for name, data in tables[Table.CLAIMS].items():
        with contextlib.suppress(*passed_over):
            leases[name] = wire.decode_claim(data)
    return Known(contacts, feeds, leases, PickedBefore(last, claimed))


def _is_sound(read: Callable[[str, bytes], object]) -> Callable[[str, bytes], bool]:
    def is_sound(name: str, data: bytes) -> bool:
        try:
            read(name, data)
        except WireError:  # a newer format as well: we have written it
            return False
        return True

    return is_sound


_SOUND: Final[Mapping[Table, Callable[[str, bytes], bool]]] = {
    Table.RECORDS: _is_sound(lambda _key, data: wire.decode_contact(data)),
    Table.FEEDS: _is_sound(lambda _name, data: wire.decode_feed(data)),
    Table.CLAIMS: _is_sound(lambda _id, data: wire.decode_claim(data)),
    Table.ORDER: _is_sound(lambda name, data: _read_place(name, wire.decode_place(data), {}, {})),
}


def _read_place(name: str, place: str | int, last: dict[str, str], claimed: dict[str, int]) -> None:
    if isinstance(place, str) and name.startswith(_GROUP):
        last[name.removeprefix(_GROUP)] = place
    elif isinstance(place, int) and name.startswith(_CONTACT):
        claimed[name.removeprefix(_CONTACT)] = place
    else:
        raise DamagedBytes(f"{name!r} is no place in the order of picking")
