"""What a PIDF document says of one contact, as frozen values: one `Reading` per document, one `Device` per tuple.

This model is richer than `pws_soap.models.Presence`, which is what travels through the rest of the library: it also
keeps who said what, so that a decision can be explained afterwards from the values alone (`reasons.explain`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from pws_soap.models import PresenceState

MAX_DOCUMENT: Final = 2 * 1024 * 1024
"""Longest document that is read, in bytes. Real ones have one to ten thousand; this only bounds time and memory."""
MAX_KEPT_DOCUMENT: Final = 64 * 1024
"""Longest document that is kept to be passed on, in bytes."""
MAX_NODES: Final = 10_000
"""Most elements and attributes of a document that is read: the largest real ones have some two hundred."""
MAX_TEXT: Final = 4096
"""Longest note, name or address that is kept, in characters; what is longer is cut."""
MAX_WORD: Final = 64
"""Longest word (a status, a language) that can mean something; what is longer is taken as not said."""
MAX_UNKNOWN: Final = 32
"""How many names of unknown elements are kept for one document."""


class DeviceKind(StrEnum):
    """What a tuple stands for, according to its id (protocol section 4)."""

    JABBER = "jabber"
    DESK_PHONE = "desk-phone"
    PWS = "pws"
    FEDERATION = "federation"
    OTHER = "other"


_KINDS: Final[tuple[tuple[str, DeviceKind], ...]] = (
    ("jabber", DeviceKind.JABBER),
    ("cisco-jabber", DeviceKind.JABBER),
    ("cisco-upc", DeviceKind.JABBER),  # Unified Personal Communicator, whose name Jabber clients still carry
    ("cupc", DeviceKind.JABBER),
    ("csf", DeviceKind.JABBER),  # Client Services Framework: the soft phone inside Jabber
    ("cmp-", DeviceKind.DESK_PHONE),  # a line of a phone: cmp-<number>-<a number of the server's>
    ("sep", DeviceKind.DESK_PHONE),  # a phone by its hardware address
    ("cisco-pws", DeviceKind.PWS),
    ("pws", DeviceKind.PWS),  # pws-override, pws-persistent
    ("federat", DeviceKind.FEDERATION),
    ("cisco-federat", DeviceKind.FEDERATION),
    ("sip-federat", DeviceKind.FEDERATION),
    ("xmpp", DeviceKind.FEDERATION),
    ("interdomain", DeviceKind.FEDERATION),
    ("lync", DeviceKind.FEDERATION),
    ("ocs", DeviceKind.FEDERATION),
)


def kind_of(tuple_id: str) -> DeviceKind:
    """The kind of device that a tuple's id names: the first prefix that fits, without regard to case."""
    return _kind_of(tuple_id[:MAX_WORD])


@lru_cache(maxsize=1024)
def _kind_of(tuple_id: str) -> DeviceKind:
    lowered = tuple_id.strip().lower()
    for prefix, kind in _KINDS:
        if lowered.startswith(prefix):
            return kind
    return DeviceKind.OTHER


class Device(msgspec.Struct, frozen=True, gc=False):
    """One tuple (RFC 3863 section 4.1.2). What the document does not say is None.

    `basic` is its basic status: True for open, False for closed, None when it says neither; `open` asks only for the
    first. `activities` are the device's own, lower-case, in document order. `priority` is that of its `address` (the
    tuple's `contact`), from 0.0 to 1.0. `idle` is its `user-input`. Times are in UTC.
    """

    id: str
    kind: DeviceKind = DeviceKind.OTHER
    basic: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    text: bool | None = None
    priority: float | None = None
    activities: tuple[str, ...] = ()
    timestamp: datetime | None = None
    source: str | None = None
    contact: str | None = None
    model: str | None = None
    note: str | None = None
    note_language: str | None = None
    idle: bool | None = None
    idle_since: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the device says that it can be reached."""
        return self.basic is True


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One document, read.

    `contact` is `user@domain`, or None when the entity is missing or no such thing. `state` and `decided_by` (the
    element that decided, as a path; empty when none did) come from `rule`. `said` are the words of the person alone,
    `basic` its basic status, which only phones give; `activities` those and what counts of the devices' words, in
    document order, each once. None means that nobody said, never that the answer is no. `unknown` names the elements
    that were set aside, as paths.

    `times` says for the explanation what became of the document's times (`from` and `until`), and `valid_until` when
    the next of them changes what the document says; both only where the moment of reading was given (`times.Times`).

    `document` is what was read, as an element in UTF-8, where that is asked for (`source.DocumentParser`).

    With `problem` the document could not be read: only `contact` may be set beside it, `state` is UNKNOWN and must not
    replace a known one.
    """

    contact: str | None
    state: PresenceState = PresenceState.UNKNOWN
    activities: tuple[str, ...] = ()
    on_the_phone: bool = False
    in_meeting: bool = False
    idle: bool | None = None
    idle_since: datetime | None = None
    phone_status: str | None = None
    im_status: str | None = None
    manual: bool = False
    note: str | None = None
    note_language: str | None = None
    display_name: str | None = None
    devices: tuple[Device, ...] = ()
    decided_by: str = ""
    said: tuple[str, ...] = ()
    basic: bool | None = None
    unknown: tuple[str, ...] = ()
    problem: str | None = None
    times: tuple[str, ...] = ()
    valid_until: datetime | None = None
    document: bytes | None = None
