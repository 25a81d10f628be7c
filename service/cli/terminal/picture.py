"""The contacts as received over the stream, and how fresh they are. Pure: updates are passed in.

Without a connection no contact is live: each is then stale, as of the last moment for which the service confirmed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pws_soap.models import PresenceState
from service.cli.shared.api import Json
from service.cli.terminal import contact
from service.cli.terminal.contact import ShownContact
from service.cli.terminal.follow import Connected, ConnectionLost, Health, StreamEvent, Update
from service.core.clock import Clock
from service.core.presence.freshness import Level


@dataclass(frozen=True, slots=True)
class PictureChange:
    """What an update changed of one contact. `after` is None when the contact is gone: no longer watched, or, where
    `watched`, outside the filter. `data` is the service's JSON."""

    before: ShownContact | None
    after: ShownContact | None
    data: Json
    watched: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class PictureCounts:
    """Numbers of the contacts in the picture."""

    total: int
    states: Mapping[PresenceState, int]
    levels: Mapping[Level, int]
    available: int
    held: int


class Picture:
    """The contacts by name, the connection, and the service's health."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.contacts: dict[str, ShownContact] = {}
        self.connected = False
        self.begun = False
        """Whether a snapshot has come."""
        self.reason = ""
        """Why there is no connection."""
        self.lost_at: float | None = None
        """Since when there is no connection, on this machine's wall clock."""
        self.again_at = 0.0
        """When the next attempt comes, on the monotonic clock."""
        self.health: Health | None = None
        self.skew = 0.0
        """Seconds that the service's clock is ahead of ours."""
        self.last_event: StreamEvent | None = None
        """The last event about the service or a claim."""
        self.change_count = 0

    def clear(self) -> None:
        """Forget the contacts: another query begins."""
        self.contacts.clear()
        self.begun = False

    def now(self) -> float:
        """The service's wall time, by the last known difference."""
        return self.clock.now() + self.skew

    @property
    def sure(self) -> bool:
        """Whether the last state that the service sent still holds."""
        return self.connected and self.begun

    def level(self, shown: ShownContact) -> Level:
        """The freshness of the contact at this end."""
        return shown.level if self.sure or shown.level is Level.UNKNOWN else Level.STALE

    def take(self, update: Update) -> list[PictureChange]:
        """Apply an update; return the changes of contacts, in order."""
        match update:
            case Connected():
                self.connected = True
                self.lost_at = None
                self.reason = ""
            case ConnectionLost():
                if self.connected or self.lost_at is None:
                    self.lost_at = self.clock.now()
                self.connected = False
                self.reason = update.reason
                self.again_at = self.clock.monotonic() + update.again_in
            case Health():
                self.health = update
                if update.now is not None:
                    self.skew = update.now - self.clock.now()
            case StreamEvent():
                return self._take_event(update)
        return []

    def _take_event(self, event: StreamEvent) -> list[PictureChange]:
        match event.name:
            case "snapshot":
                changes = list(self._snapshot(event.data))
                self.begun = True
                return changes
            case "change":
                change = self._change(event.data)
                if change is not None:
                    self.change_count += 1
                return [change] if change is not None else []
            case "removed":
                before = self.contacts.pop(_key(event.data.get("contact")), None)
                watched = event.data.get("watched") is True
                return [PictureChange(before, None, event.data, watched)] if before is not None else []
            case _:
                self.last_event = event
                return []

    def _snapshot(self, data: Json) -> Iterable[PictureChange]:
        old, self.contacts = self.contacts, {}
        listed = data.get("contacts")
        for item in listed if isinstance(listed, list) else ():
            if not isinstance(item, dict):
                continue
            change = self._change(item, old, first=True)
            if change is not None:
                yield change
        for key, gone in old.items():
            if key not in self.contacts:
                yield PictureChange(gone, None, {"contact": gone.contact, "watched": None})

    # Any: JSON from outside
    def _change(
        self, data: Mapping[str, Any], old: Mapping[str, ShownContact] | None = None, *, first: bool = False
    ) -> PictureChange | None:
        try:
            shown = contact.read(data)
        except contact.NotAContact:
            return None
        key = _key(shown.contact)
        before = (self.contacts if old is None else old).get(key)
        self.contacts[key] = shown
        return PictureChange(before, shown, data, first=first)

    def counts(self) -> PictureCounts:
        """Numbers by state and freshness; without a connection nobody counts as available."""
        states: Counter[PresenceState] = Counter()
        levels: Counter[Level] = Counter()
        available = held = 0
        for shown in self.contacts.values():
            if shown.state is not None:
                states[shown.state] += 1
            levels[self.level(shown)] += 1
            available += shown.available
            held += shown.held is not None
        return PictureCounts(len(self.contacts), states, levels, available if self.sure else 0, held)


def _key(contact: object) -> str:
    return contact.casefold() if isinstance(contact, str) else ""
