"""What the bytes in the engine mean: one format for all of them, with a number.

The first byte is the number of the format, the rest MessagePack. A replica reads all formats up to its own and refuses
later ones by name: during a rolling update the owner is the last to be replaced or says in `Member.wire` what it reads,
so that nobody has to guess. What cannot be read is never skipped, since a mirror without it would say something untrue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from service.cluster import forms
from service.cluster.forms import EventForm, FeedForm, LeaseForm, RecordForm, SnapshotForm
from service.cluster.members import Member
from service.cluster.upstream import Upstream
from service.core.claims.model import Lease
from service.core.events.commits import FeedChange, LogEntry, RecordChange
from service.core.presence.records import Feed
from service.core.presence.snapshot import GroupedSnapshot

FORMAT: Final = 1
"""The format that is written, and the newest that is read."""
MOST_FORMATS: Final = 31
"""No version will write a higher number: text, JSON and plain MessagePack begin with higher bytes, and are not ours."""
_EVENT, _FEED, _RECORD = 0, 1, 2

T = TypeVar("T")


class WireError(ValueError):
    """Bytes in the engine that this replica cannot use."""


class NewerFormat(WireError):
    """They were written by a newer version."""

    def __init__(self, found: int) -> None:
        self.found = found
        super().__init__(
            f"written in format {found} by a newer version, and this one reads formats up to {FORMAT}: "
            "update this replica"
        )


class DamagedBytes(WireError):
    """They are not what this version writes in that format."""


class OtherUpstream(WireError):
    """They are of an owner that reads another server, or as another application user."""

    def __init__(self, owner: str) -> None:
        super().__init__(
            f"{owner} owns this unit in the engine, and reads another presence server or application user than this "
            "replica: give one of the two services another cluster.unit"
        )


class BeatBody(msgspec.Struct, frozen=True):
    """What the owner says once a second.

    `at` is its own time, read after the nonces were. `last` is the id of its last entry: what `feeds` confirm counts
    once a mirror has it. `nonces` are what each replica said last. `is_last`: the lease is released with it. `replica`
    is the owner, `address` where the others reach it. `successor` is the replica that a last one names. `upstream` is
    what the owner reads.
    """

    at: float
    last: int
    feeds: tuple[Feed, ...] = ()
    nonces: Mapping[str, float] = msgspec.field(default_factory=dict)
    is_last: bool = False
    replica: str = ""
    address: str = ""
    successor: str = ""
    upstream: Upstream = frozenset()


class NotificationMark(msgspec.Struct, frozen=True, array_like=True):
    """A notification that came to another replica: the last part of its path, and the subscription's id."""

    node: str
    subscription: int
    trace: str | None = None


class AdoptableResource(msgspec.Struct, frozen=True, array_like=True):
    """Something at the server that the next owner may go on with: an endpoint or a subscription.

    `kind` is the lifecycle's word, `remaining` the seconds of its life that are left, counted from the release on.
    """

    kind: str
    node: str
    user: str
    slot: int
    id: int
    contacts: tuple[str, ...] = ()
    remaining: float = 0.0


class HandOver(msgspec.Struct, frozen=True, array_like=True):
    """All that the next owner may go on with, and where each end user is at home.

    `keys` has digests of the sessions' keys, made with the secret of the replicas: the application's by node, an end
    user's by node and name. Where the server gives another key, somebody has reset the session meanwhile, and so must
    the next owner. `callback` is a digest of where the server sends notifications, as what is registered there counts
    for that address alone.
    """

    resources: tuple[AdoptableResource, ...] = ()
    homes: Mapping[str, str] = msgspec.field(default_factory=dict)
    keys: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    callback: bytes = b""


class StoredReplay(msgspec.Struct, frozen=True, array_like=True):
    """An answer by Idempotency-Key; `asked` tells one request from another."""

    holder: str
    key: str
    lease: str
    asked: str
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class _BeatForm(msgspec.Struct, frozen=True, array_like=True):
    at: float
    last: int
    feeds: tuple[FeedForm, ...]
    nonces: dict[str, float]
    is_last: bool
    replica: str = ""
    address: str = ""
    successor: str = ""
    upstream: frozenset[str] = frozenset()


_encoder = msgspec.msgpack.Encoder()
_HEAD: Final = bytes([FORMAT])


def encode_entry(change: LogEntry) -> bytes:
    """An entry of the log but for its id."""
    match change:
        case FeedChange():
            return _written((_FEED, forms.feed_form(change.feed)))
        case RecordChange():
            return _written((_RECORD, forms.record_form(change.record)))
        case _:
            return _written((_EVENT, forms.event_form(change)))


def decode_entry(id: int, data: bytes) -> LogEntry:  # noqa: A002  # as in Event
    """What the entry `id` says. Raises WireError."""
    kind, rest = _read(data, tuple[int, msgspec.Raw])
    if kind == _FEED:
        return FeedChange(id, forms.feed_of(_form(rest, FeedForm)))
    if kind == _RECORD:
        return RecordChange(id, forms.record_of(_form(rest, RecordForm)))
    if kind != _EVENT:
        raise DamagedBytes(f"entry {id} is of no known kind ({kind})")
    form = _form(rest, EventForm)
    try:
        return forms.event_of(id, form)
    except (ValueError, TypeError, LookupError) as error:  # of the difference
        raise DamagedBytes(f"entry {id}: {error}") from None


class OfEpoch(NamedTuple, Generic[T]):
    """A value that was written in an epoch: its moments are of that owner's clock."""

    epoch: int
    value: T


def encode_contact(epoch: int, snapshot: GroupedSnapshot) -> bytes:
    """A contact: its record, and what the last event said of it."""
    return _written((epoch, forms.snapshot_form(snapshot)))


def decode_contact(data: bytes) -> OfEpoch[GroupedSnapshot]:
    """Raises WireError."""
    epoch, form = _read(data, tuple[int, SnapshotForm])
    return OfEpoch(epoch, forms.snapshot_of(form))


def encode_feed(epoch: int, feed: Feed) -> bytes:
    """A feed."""
    return _written((epoch, forms.feed_form(feed)))


def decode_feed(data: bytes) -> OfEpoch[Feed]:
    """Raises WireError."""
    epoch, form = _read(data, tuple[int, FeedForm])
    return OfEpoch(epoch, forms.feed_of(form))


def encode_claim(epoch: int, lease: Lease) -> bytes:
    """A lease of people."""
    return _written((epoch, forms.lease_form(lease)))


def decode_claim(data: bytes) -> OfEpoch[Lease]:
    """Raises WireError."""
    epoch, form = _read(data, tuple[int, LeaseForm])
    return OfEpoch(epoch, forms.lease_of(form))


def encode_place(place: str | int) -> bytes:
    """A place in the order of picking: whom a group picked last, or the number of a contact's last claim."""
    return _written(place)


def decode_place(data: bytes) -> str | int:
    """Raises WireError."""
    place = _read(data, object)
    if not isinstance(place, str | int):
        raise DamagedBytes("no place in the order of picking")
    return place


def encode_beat(beat: BeatBody) -> bytes:
    """A beat."""
    feeds = tuple(map(forms.feed_form, beat.feeds))
    nonces = dict(beat.nonces)
    said_of_itself = beat.is_last, beat.replica, beat.address, beat.successor, beat.upstream
    return _written(_BeatForm(beat.at, beat.last, feeds, nonces, *said_of_itself))


def decode_beat(data: bytes) -> BeatBody:
    """Raises WireError."""
    form = _read(data, _BeatForm)
    feeds = tuple(map(forms.feed_of, form.feeds))
    said_of_itself = form.is_last, form.replica, form.address, form.successor, form.upstream
    return BeatBody(form.at, form.last, feeds, form.nonces, *said_of_itself)


def encode_member(member: Member) -> bytes:
    """What a replica says of itself."""
    return _written(member)


def decode_member(data: bytes) -> Member:
    """Raises WireError."""
    return _read(data, Member)


def encode_mark(mark: NotificationMark) -> bytes:
    """A notification."""
    return _written(mark)


def decode_mark(data: bytes) -> NotificationMark:
    """Raises WireError."""
    return _read(data, NotificationMark)


def encode_handover(handover: HandOver) -> bytes:
    """What may be adopted."""
    return _written(handover)


def decode_handover(data: bytes) -> HandOver:
    """Raises WireError."""
    return _read(data, HandOver)


def encode_replay(replay: StoredReplay) -> bytes:
    """An answer."""
    return _written(replay)


def decode_replay(data: bytes) -> StoredReplay:
    """Raises WireError."""
    return _read(data, StoredReplay)


def _written(value: object) -> bytes:
    return _HEAD + _encoder.encode(value)


def _read(data: bytes, kind: type[T]) -> T:
    if not data:
        raise DamagedBytes("nothing was written")
    if FORMAT < data[0] <= MOST_FORMATS:
        raise NewerFormat(data[0])
    if data[0] != FORMAT:
        raise DamagedBytes(f"there is no format {data[0]}")
    return _form(memoryview(data)[1:], kind)


def _form(data: bytes | memoryview | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DamagedBytes(str(error)) from None
