"""The values that the layers exchange: frozen, typed, and never showing a secret.

Names are the field's (contact, endpoint, subscription, session, presence state); the wire's spelling lives in
`pws_soap.codec` alone. What a contact is, and which spellings are one, `pws_soap.contact` decides.

What a reply holds by the thousand is a `msgspec.Struct`: it is made ten times as fast as a frozen dataclass. With
`gc=False` the garbage collector passes over it; frozen values cannot hold one another in a circle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Final

import msgspec

from pws_soap.contact import MAX_CONTACT_LENGTH as MAX_CONTACT_LENGTH
from pws_soap.contact import is_contact as is_contact
from pws_soap.contact import same_contact as same_contact

MIN_EXPIRES: Final = 3600
"""Shortest life of an endpoint, a subscription or a set presence, in seconds (protocol section 1)."""
MAX_EXPIRES: Final = 86400
"""Longest life of a subscription or a set presence, in seconds; an endpoint must stay one second below it."""
MAX_CONTACTS_PER_REQUEST: Final = 100
"""Contacts in one contact list of a request, the WSDL's own maximum."""
MAX_CONTACTS_PER_SUBSCRIPTION: Final = 5000
"""Contacts of one subscription (error 135)."""


class PresenceState(StrEnum):
    """The seven states of the Presence Web Service (GetPresenceStatusType)."""

    AVAILABLE = "AVAILABLE"
    BUSY = "BUSY"
    DND = "DND"
    AWAY = "AWAY"
    UNAVAILABLE = "UNAVAILABLE"
    UNKNOWN = "UNKNOWN"
    VACATION = "VACATION"


SETTABLE_STATES: Final = frozenset(PresenceState) - {PresenceState.UNKNOWN}
"""What `setPresence` takes: every state but UNKNOWN (SetPresenceStatusType)."""


class PresenceType(StrEnum):
    """How much a fetch returns: a state, or a whole PIDF document."""

    BASIC = "BASIC_PRESENCE"
    RICH = "RICH_PRESENCE"


class Secret:
    """A string that only `reveal` shows.

    Its `repr`, `str` and `format` are stars, it cannot be pickled, and comparing it reveals nothing about its content
    in an error message.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        self._value: str = value.reveal() if isinstance(value, Secret) else value

    def reveal(self) -> str:
        """The string itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


class SessionKind(StrEnum):
    """Who logged in. Endpoints belong to application users, subscriptions to end users (codes 140, 141)."""

    APPLICATION = "application"
    END_USER = "end-user"


@dataclass(frozen=True, slots=True)
class Session:
    """A login on one node.

    `backup` is the node that the server named for the case that this one fails (`success/@backupServer`), or None.
    """

    user: str
    kind: SessionKind
    node: str
    key: Secret = field(repr=False)
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server sends notifications. `expires` is its life in seconds, counted from its (re-)registration."""

    id: int
    url: Secret = field(repr=False)  # its path is a secret
    expires: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """Contacts watched for one end user. `expires` is its life in seconds, counted from its making or renewal."""

    id: int
    contacts: tuple[str, ...] = field(repr=False)
    expires: int


class Device(msgspec.Struct, frozen=True, gc=False):
    """One tuple of a PIDF document: a soft phone, a desk phone's line, a state set over PWS (RFC 3863 section 4.1.2).

    What the document does not say is None; `open` is False unless the tuple's basic status is `open`. `kind` is one of
    `pws_soap.pidf.DeviceKind`. `basic` is the basic status itself, which `pidf.explanation` needs. Two devices are
    equal whatever their `timestamp` and `basic`: servers write the first anew each time, the second is behind `open`.
    """

    id: str
    open: bool
    audio: bool | None = None
    video: bool | None = None
    text: bool | None = None
    kind: str = "other"
    priority: float | None = None
    activities: tuple[str, ...] = ()
    timestamp: datetime | None = None
    source: str | None = None
    basic: bool | None = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return _of_device(self) == _of_device(other) if isinstance(other, Device) else NotImplemented

    def __hash__(self) -> int:
        return hash(_of_device(self))


class Presence(msgspec.Struct, frozen=True, gc=False):
    """What one reply says of one contact.

    `state` is always one of the seven. With BASIC presence the rich fields are empty or None: None means that nobody
    said, never that the answer is no. `problem` says why a rich document could not be read; the state is then UNKNOWN
    and must not replace a known one. `idle_since` is in UTC, by the server's clock. `valid_until` is the first
    moment, in UTC, at which the same document means something else, since a `from` or `until` in it passes (RFC 4480);
    None when there is none.

    `said` (the person's own words), `basic` (the person's basic status) and `times` (what became of the document's
    times) are what `pidf.explanation` tells why the state is as it is from; `said` is None where no document was read.
    `document` is what was read, an element in UTF-8, where the client keeps documents. They, it and `valid_until` do
    not count when two values are compared.
    """

    contact: str
    state: PresenceState
    type: PresenceType = PresenceType.BASIC
    activities: tuple[str, ...] = ()
    on_the_phone: bool | None = None
    display_name: str | None = None
    note: str | None = None
    idle: bool | None = None
    devices: tuple[Device, ...] = ()
    document: bytes | None = None
    problem: str | None = None
    in_meeting: bool | None = None
    idle_since: datetime | None = None
    phone_status: str | None = None
    im_status: str | None = None
    manual: bool | None = None
    note_language: str | None = None
    valid_until: datetime | None = None
    said: tuple[str, ...] | None = None
    basic: bool | None = None
    times: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return _of_presence(self) == _of_presence(other) if isinstance(other, Presence) else NotImplemented

    def __hash__(self) -> int:
        return hash(_of_presence(self))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _NOT_SHOWN)
        return f"Presence({', '.join(shown)})"


def _all_but(struct: type[msgspec.Struct], *left_out: str) -> attrgetter[tuple[object, ...]]:
    """What two values of `struct` are compared by: all of their fields but some."""
    return attrgetter(*(name for name in struct.__struct_fields__ if name not in left_out))


_NOT_SHOWN: Final = frozenset({"document", "said", "basic", "times"})
_of_device: Final = _all_but(Device, "timestamp", "basic")
_of_presence: Final = _all_but(Presence, "document", "valid_until", "said", "basic", "times")


@dataclass(frozen=True, slots=True)
class Notification:
    """A GET of the server to the endpoint: that subscription changed, fetch it."""

    subscription_id: int
    event_type: str
    received: datetime | None = field(default=None, compare=False)
