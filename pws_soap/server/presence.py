"""Presence as the Presence Web Service speaks of it: a contact's state, activities, devices and note. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The states of the Presence Web Service (GetPresenceStatusType)."""

    AVAILABLE = "AVAILABLE"
    BUSY = "BUSY"
    DND = "DND"
    AWAY = "AWAY"
    UNAVAILABLE = "UNAVAILABLE"
    UNKNOWN = "UNKNOWN"
    VACATION = "VACATION"


@dataclass(frozen=True, slots=True)
class Device:
    """One tuple of a contact's document. `open` None follows the person: closed while the person is out."""

    id: str
    open: bool | None = None
    audio: bool = False
    video: bool = False
    text: bool = False
    activities: tuple[str, ...] = ()
    address: str | None = None
    priority: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence of a contact. `activities` stand beside the state's own, such as `on-the-phone`.

    `since` is in seconds since 1970; 0 leaves out the timestamps of a rich document. `manual`: the contact has set it
    with setPresence as an override. `federated`: the contact belongs to another domain, so BASIC presence says UNKNOWN.
    """

    contact: str
    state: State = State.UNAVAILABLE
    display_name: str | None = None
    activities: tuple[str, ...] = ()
    idle: bool = False
    note: str | None = None
    devices: tuple[Device, ...] = ()
    manual: bool = False
    federated: bool = False
    since: float = 0.0

    @property
    def basic(self) -> State:
        """The state in BASIC presence: UNKNOWN for a federated contact (protocol section 4)."""
        return State.UNKNOWN if self.federated else self.state

    @property
    def document(self) -> bytes | None:
        """The rich document, where there is one already: an element in UTF-8 that needs nothing around it.

        None: it is written from what stands here. A server that has documents of its own gives them by a subclass.
        """
        return None


@dataclass(frozen=True, slots=True)
class ManualPresence:
    """Presence that an end user set with setPresence; it holds until `until`. An override hides everything else."""

    state: State
    override: bool
    until: float
    activities: tuple[str, ...] = ()
    note: str | None = None
    device: str | None = None
    """The id of the device that sets it; None for basic presence and for an override."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who asks for presence: the user of a session, and the application user that logged it in.

    For an application user's own session both are the same name.
    """

    user: str
    application_user: str
