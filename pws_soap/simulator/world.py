"""The truth about the contacts: who they are and how they are, whatever any session has been told of it.

All nodes of a simulator share one world. It knows no clock: whoever changes it says when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypedDict


class State(StrEnum):
    """The states of the Presence Web Service (GetPresenceStatusType)."""

    AVAILABLE = "AVAILABLE"
    BUSY = "BUSY"
    DND = "DND"
    AWAY = "AWAY"
    UNAVAILABLE = "UNAVAILABLE"
    UNKNOWN = "UNKNOWN"
    VACATION = "VACATION"


_REACHABLE: Final = (State.AVAILABLE, State.AWAY, State.BUSY, State.DND, State.VACATION)
"""From the most to the least available; a state set by hand beside a person's own gives way to the later one."""

_OCCUPIED: Final = frozenset({"on-the-phone", "meeting"})


@dataclass(frozen=True, slots=True)
class Device:
    """One tuple of a contact's document. `open` None follows the person: closed while he or she is out."""

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
    """How a contact is. `activities` stand beside the state's own, such as `on-the-phone`; `since` is in seconds.

    As on the real server, who is on the phone or in a meeting is not AVAILABLE but BUSY.
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
        """What BASIC presence says: nothing about a federated contact (protocol section 4)."""
        return State.UNKNOWN if self.federated else self.state


class Fields(TypedDict, total=False):
    """What `World.change` may change."""

    state: State
    display_name: str | None
    activities: tuple[str, ...]
    idle: bool
    note: str | None
    devices: tuple[Device, ...]
    federated: bool


@dataclass(frozen=True, slots=True)
class Manual:
    """A presence set over `setPresence` until `until`; an override hides everything else."""

    state: State
    override: bool
    until: float
    activities: tuple[str, ...] = ()
    note: str | None = None


class World:
    """Contacts by URI. A contact that is not in it is UNKNOWN."""

    def __init__(self, contacts: Iterable[Presence] = (), *, case_sensitive: bool = False) -> None:
        self._case_sensitive = case_sensitive
        self._own: dict[str, Presence] = {}
        self._manual: dict[str, Manual] = {}
        self._shown: dict[str, Presence] = {}
        self.changes = 0
        """How many changes there have been."""
        for presence in contacts:
            self.put(presence)

    def same(self, contact: str) -> str:
        """The form under which contact URIs are compared."""
        return contact if self._case_sensitive else contact.casefold()

    def __len__(self) -> int:
        return len(self._shown)

    def __iter__(self) -> Iterator[Presence]:
        return iter(self._shown.values())

    def __contains__(self, contact: str) -> bool:
        return self.same(contact) in self._shown

    def get(self, contact: str) -> Presence:
        """The contact as everybody should see it; UNKNOWN when there is no such contact."""
        return self._shown.get(self.same(contact)) or Presence(contact, State.UNKNOWN)

    def put(self, presence: Presence) -> bool:
        """Add a contact, or replace it. Whether anything changed."""
        key = self.same(presence.contact)
        self._own[key] = presence
        return self._show(key)

    def change(self, contact: str, now: float, fields: Fields) -> bool:
        """Change some of a contact's fields (a new contact is made). Whether anything changed."""
        key = self.same(contact)
        return self.put(replace(self._own.get(key, Presence(contact)), since=now, **fields))

    def remove(self, contact: str) -> bool:
        """Take a contact out. Whether it was there."""
        key = self.same(contact)
        self._manual.pop(key, None)
        self._own.pop(key, None)
        gone = self._shown.pop(key, None)
        self.changes += gone is not None
        return gone is not None

    def set_manual(self, contact: str, manual: Manual | None) -> bool:
        """Set a presence by hand, or with None take it back. Whether anything changed."""
        key = self.same(contact)
        self._own.setdefault(key, Presence(contact))
        if manual is None:
            self._manual.pop(key, None)
        else:
            self._manual[key] = manual
        return self._show(key)

    @property
    def next_due(self) -> float | None:
        """When the next presence that was set by hand ends."""
        return min((manual.until for manual in self._manual.values()), default=None)

    def expire(self, now: float) -> list[str]:
        """End what was set by hand until now; the contacts that changed."""
        due = [key for key, manual in self._manual.items() if manual.until <= now]
        for key in due:
            del self._manual[key]
        return [self._shown[key].contact for key in due if self._show(key)]

    def _show(self, key: str) -> bool:
        shown = _combined(self._own[key], self._manual.get(key))
        before = self._shown.get(key)
        if before is not None and replace(before, since=shown.since) == shown:
            return False
        self._shown[key] = shown
        self.changes += 1
        return True


def _composed(own: Presence) -> Presence:
    if own.state is State.AVAILABLE and not _OCCUPIED.isdisjoint(own.activities):
        return replace(own, state=State.BUSY)
    return own


def _combined(own: Presence, manual: Manual | None) -> Presence:
    own = _composed(own)
    if manual is None:
        return own
    note = own.note if manual.note is None else manual.note
    if manual.override:
        return replace(own, state=manual.state, activities=manual.activities, note=note, manual=True)
    device = Device("cisco-pws", manual.state is not State.UNAVAILABLE, source="Presence Web Service")
    state = own.state
    if state not in _REACHABLE:
        state = manual.state
    elif manual.state in _REACHABLE:
        state = max(state, manual.state, key=_REACHABLE.index)
    return replace(
        own, state=state, activities=own.activities + manual.activities, note=note, devices=(*own.devices, device)
    )
