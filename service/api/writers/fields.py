"""The fields of a contact one by one, for whoever wants some of them: `fields=`, tables, and who waits for a change.

The whole contact is written by `service.api.writers.contact`, faster; a test holds both equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pws_soap.models import Device, Presence
from service.api.models import claim_shown, device_shown, rfc3339
from service.core.presence.snapshot import ContactSnapshot

Getter = Callable[[ContactSnapshot], object]


def _of_presence(get: Callable[[Presence], object]) -> Getter:
    """What a presence says, None where it was never read."""

    def read(known: ContactSnapshot) -> object:
        presence = known.record.presence
        return get(presence) if presence is not None else None

    return read


def _devices(known: ContactSnapshot) -> list[dict[str, object]]:
    devices: tuple[Device, ...] = known.record.presence.devices if known.record.presence is not None else ()
    return [device_shown(device) for device in devices]


def _as_of(known: ContactSnapshot) -> str | None:
    as_of = known.freshness.as_of
    return rfc3339(as_of.wall) if as_of is not None else None


def _changed_at(known: ContactSnapshot) -> str | None:
    changed_at = known.record.changed_at
    return rfc3339(changed_at.wall) if changed_at is not None else None


FIELDS: Final[Mapping[str, Getter]] = {
    "contact": lambda known: known.record.contact,
    "state": lambda known: known.record.state,
    "activities": lambda known: known.record.presence.activities if known.record.presence is not None else (),
    "on_the_phone": _of_presence(lambda presence: presence.on_the_phone),
    "display_name": _of_presence(lambda presence: presence.display_name),
    "note": _of_presence(lambda presence: presence.note),
    "idle": _of_presence(lambda presence: presence.idle),
    "devices": _devices,
    "freshness": lambda known: known.freshness.level,
    "as_of": _as_of,
    "changed_at": _changed_at,
    "source": lambda known: known.record.source,
    "revision": lambda known: known.record.revision,
    "available": lambda known: known.verdict.available,
    "reason": lambda known: known.verdict.reason,
    "claim": lambda known: claim_shown(known.claim) if known.claim is not None else None,
}
"""All of them in their order, each as JSON shows it."""

BRIEF: Final = ("contact", "display_name", "available", "freshness", "as_of", "revision")
"""Those of the short form, for whoever may see no more, in its order."""


def chosen(names: frozenset[str], order: tuple[str, ...] = tuple(FIELDS)) -> tuple[str, ...]:
    """The fields asked for, in the contact's own order; who it is always stands first."""
    return tuple(name for name in order if name in names or name == "contact")
