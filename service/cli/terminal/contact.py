"""Reads a contact from the service's JSON, to show it.

Values that this version does not know are shown as unknown, never refused. A key without details sees few fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pws_soap.models import Presence, PresenceState
from service.cli.shared.api import Json, one_line
from service.core.presence.freshness import Level

_STATES: Final = {state.value: state for state in PresenceState}
_LEVELS: Final = {level.value: level for level in Level}


class NotAContact(ValueError):
    """JSON that is not a contact."""


@dataclass(frozen=True, slots=True)
class Held:
    """The claim that holds a contact. Times are wall time of the service."""

    purpose: str
    holder: str
    group: str
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class ShownContact:
    """A contact. `presence` is None where this key may not see it; `as_of` and `changed_at` are the service's time."""

    contact: str
    name: str
    presence: Presence | None
    level: Level
    as_of: float | None
    changed_at: float | None
    available: bool
    reason: str
    held: Held | None
    devices: tuple[str, ...] = field(default=(), compare=False)
    words: str = field(default="", compare=False)
    """The text that a search looks at, case-folded."""

    @property
    def state(self) -> PresenceState | None:
        """The last known state; None where it is hidden."""
        return self.presence.state if self.presence is not None else None


def read(data: Json) -> ShownContact:
    """Read a contact. Raises NotAContact."""
    contact = data.get("contact")
    if not isinstance(contact, str) or not contact:
        raise NotAContact("a contact without a name")
    name = one_line(data.get("display_name")) or one_line(contact)
    presence = _presence(contact, data)
    held = _held(data.get("claim"))
    reason = one_line(data.get("reason"))
    words = [contact, name, reason]
    if presence is not None:
        words += [presence.state.value, *presence.activities, presence.note or ""]
    if held is not None:
        words += ["held", held.purpose, held.holder]
    return ShownContact(
        contact=contact,
        name=name,
        presence=presence,
        level=_LEVELS.get(str(data.get("freshness")), Level.UNKNOWN),
        as_of=time_of(data.get("as_of")),
        changed_at=time_of(data.get("changed_at")),
        available=data.get("available") is True,
        reason=reason,
        held=held,
        devices=tuple(_devices(data.get("devices"))),
        words=" ".join(words).casefold(),
    )


def _presence(contact: str, data: Json) -> Presence | None:
    if "state" not in data:
        return None
    activities = data.get("activities")
    return Presence(
        contact,
        _STATES.get(str(data["state"]), PresenceState.UNKNOWN),
        activities=tuple(one_line(each) for each in activities) if isinstance(activities, list) else (),
        on_the_phone=_flag(data.get("on_the_phone")),
        display_name=one_line(data.get("display_name")) or None,
        note=one_line(data.get("note")) or None,
        idle=_flag(data.get("idle")),
    )


def _held(data: object) -> Held | None:
    if not isinstance(data, dict):
        return None
    purpose, holder, group = (one_line(data.get(key)) for key in ("for", "holder", "group"))
    return Held(purpose, holder, group, time_of(data.get("expires_at")))


def _devices(data: object) -> list[str]:
    if not isinstance(data, list):
        return []
    return [
        one_line(each.get("id")) if each.get("open") else f"({one_line(each.get('id'))})"
        for each in data
        if isinstance(each, dict)
    ]


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def time_of(value: object) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return None
