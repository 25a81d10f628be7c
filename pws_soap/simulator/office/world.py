"""The truth about the contacts: their presence as it is, whatever any session has been told of it.

All nodes of a simulator share one world. It knows no clock: the caller gives the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, TypedDict

from pws_soap.server.presence import Device, ManualPresence, Presence, State

_REACHABLE: Final = (State.AVAILABLE, State.AWAY, State.BUSY, State.DND, State.VACATION)
"""From the most to the least available. Of a person's own state and one set by hand, the later in this list holds."""

PWS_DEVICE: Final = "cisco-pws"
"""The id of the device that basic presence makes; a rich document names its own."""
_OCCUPIED: Final = frozenset({"on-the-phone", "meeting"})
"""Activities that make an AVAILABLE contact BUSY, as on the real server."""


class Fields(TypedDict, total=False):
    """The fields that `World.change` can change."""

    state: State
    display_name: str | None
    activities: tuple[str, ...]
    idle: bool
    note: str | None
    devices: tuple[Device, ...]
    federated: bool


class World:
    """Contacts by URI. A contact that is not in it is UNKNOWN."""

    def __init__(self, contacts: Iterable[Presence] = (), *, case_sensitive: bool = False) -> None:
        self._case_sensitive = case_sensitive
        self._own: dict[str, Presence] = {}
        self._manual: dict[str, ManualPresence] = {}
        """What was set by hand without override: one device more."""
        self._overrides: dict[str, ManualPresence] = {}
        """What hides everything else, and deletes nothing of it."""
        self._shown: dict[str, Presence] = {}
        self.changes = 0
        """Changes since the start."""
        for presence in contacts:
            self.put(presence)

    def contact_key(self, contact: str) -> str:
        """The form under which contact URIs are compared."""
        return contact if self._case_sensitive else contact.casefold()

    def __len__(self) -> int:
        return len(self._shown)

    def __iter__(self) -> Iterator[Presence]:
        return iter(self._shown.values())

    def __contains__(self, contact: str) -> bool:
        return self.contact_key(contact) in self._shown

    def get(self, contact: str) -> Presence:
        """The contact's presence as the server tells it; UNKNOWN when there is no such contact."""
        return self._shown.get(self.contact_key(contact)) or Presence(contact, State.UNKNOWN)

    def put(self, presence: Presence) -> bool:
        """Add a contact, or replace it. Whether anything changed."""
        key = self.contact_key(presence.contact)
        self._own[key] = presence
        return self._show(key)

    def change(self, contact: str, now: float, fields: Fields) -> bool:
        """Change some of a contact's fields (a new contact is made). Whether anything changed."""
        key = self.contact_key(contact)
        return self.put(replace(self._own.get(key, Presence(contact)), since=now, **fields))

    def remove(self, contact: str) -> bool:
        """Take a contact out. Whether it was there."""
        key = self.contact_key(contact)
        self._manual.pop(key, None)
        self._overrides.pop(key, None)
        self._own.pop(key, None)
        gone = self._shown.pop(key, None)
        self.changes += gone is not None
        return gone is not None

    def set_manual(self, contact: str, manual: ManualPresence | None) -> bool:
        """Set a presence by hand, or with None take one back: the override, else the other. Whether anything changed.

        Each replaces only one of its own kind, so that what an override hides holds again after it.
        """
        key = self.contact_key(contact)
        self._own.setdefault(key, Presence(contact))
        if manual is not None:
            (self._overrides if manual.override else self._manual)[key] = manual
        elif self._overrides.pop(key, None) is None:
            self._manual.pop(key, None)
        return self._show(key)

    @property
    def next_due(self) -> float | None:
        """When the next presence that was set by hand expires."""
        every = (*self._manual.values(), *self._overrides.values())
        return min((manual.until for manual in every), default=None)

    def expire(self, now: float) -> list[str]:
        """Remove presence that was set by hand and has expired; the contacts that changed."""
        due: dict[str, None] = {}
        for layer in (self._manual, self._overrides):
            for key in [key for key, manual in layer.items() if manual.until <= now]:
                del layer[key]
                due[key] = None
        return [self._shown[key].contact for key in due if self._show(key)]

    def _show(self, key: str) -> bool:
        shown = _composed(self._own[key])
        if key in self._manual:
            shown = _with_device(shown, self._manual[key])
        if key in self._overrides:
            shown = _overridden(shown, self._overrides[key])
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


def _with_device(own: Presence, manual: ManualPresence) -> Presence:
    """A presence with what was set without override: the less available counts, unless one of them is not there."""
    device = Device(manual.device or PWS_DEVICE, manual.state is not State.UNAVAILABLE, source="Presence Web Service")
    state = own.state
    if state not in _REACHABLE:
        state = manual.state
    elif manual.state in _REACHABLE:
        state = max(state, manual.state, key=_REACHABLE.index)
    note = own.note if manual.note is None else manual.note
    return replace(
        own, state=state, activities=own.activities + manual.activities, note=note, devices=(*own.devices, device)
    )


def _overridden(presence: Presence, manual: ManualPresence) -> Presence:
    """A presence under an override."""
    note = presence.note if manual.note is None else manual.note
    return replace(presence, state=manual.state, activities=manual.activities, note=note, manual=True)
