"""The fields of a contact: one table, from which whole contacts, chosen fields, tables and the short form are written.

A new field is added to `ContactView` and its example (`service.api.models.contact`), which say what it means, and to
`TABLE` here, which says how it is read. Where it depends on the moment of reading, and not on the record alone,
`service.api.writers.contact.ContactJson.one` writes it as well. Tests hold all of them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final, NamedTuple

from pws_soap.models import Device, Presence
from service.api.models import BriefContactView, rfc3339
from service.core.clock import Moment
from service.core.presence.claim import Claim
from service.core.presence.snapshot import ContactSnapshot

Getter = Callable[[ContactSnapshot], object]
"""Reads a field, as JSON shows it."""


class ContactField(NamedTuple):
    """One field of a contact.

    `of_record`: it changes only with the record's revision or source, so that its JSON is kept until then. `cell` reads
    it for a table, where that differs from the JSON. `in_table`: whether tables have a column for it.
    """

    read: Getter
    of_record: bool
    cell: Getter | None = None
    in_table: bool = True


def _of_presence(get: Callable[[Presence], object], unread: object = None) -> Getter:
    """What a presence says; `unread` as long as it was never read."""

    def read(snapshot: ContactSnapshot) -> object:
        presence = snapshot.record.presence
        return get(presence) if presence is not None else unread

    return read


def _time_json(moment: Moment | None) -> str | None:
    """A moment as JSON shows it."""
    return rfc3339(moment.wall) if moment is not None else None


def claim_json(claim: Claim) -> dict[str, object]:
    """A claim in the JSON of the contact that it holds: a `HeldView`."""
    return {
        "id": claim.id,
        "group": claim.group,
        "for": claim.purpose,
        "holder": claim.holder,
        "expires_at": rfc3339(claim.expires.wall),
    }


def _device_json(device: Device) -> dict[str, object]:
    """A `DeviceView`."""
    return {
        "id": device.id,
        "open": device.open,
        "audio": device.audio,
        "video": device.video,
        "text": device.text,
    }


def _claim_cell(snapshot: ContactSnapshot) -> str | None:
    claim = snapshot.claim
    if claim is None:
        return None
    return f"{claim.holder}: {claim.purpose}" if claim.purpose else claim.holder


TABLE: Final[Mapping[str, ContactField]] = {
    "contact": ContactField(attrgetter("record.contact"), of_record=True),
    "state": ContactField(attrgetter("record.state"), of_record=True),
    "activities": ContactField(_of_presence(attrgetter("activities"), unread=()), of_record=True),
    "on_the_phone": ContactField(_of_presence(attrgetter("on_the_phone")), of_record=True),
    "display_name": ContactField(_of_presence(attrgetter("display_name")), of_record=True),
    "note": ContactField(_of_presence(attrgetter("note")), of_record=True),
    "idle": ContactField(_of_presence(attrgetter("idle")), of_record=True),
    "devices": ContactField(
        _of_presence(lambda presence: [_device_json(device) for device in presence.devices], unread=()),
        of_record=True,
        in_table=False,  # a list of objects, which no cell holds
    ),
    "freshness": ContactField(attrgetter("freshness.level"), of_record=False),
    "as_of": ContactField(lambda snapshot: _time_json(snapshot.freshness.as_of), of_record=False),
    "changed_at": ContactField(lambda snapshot: _time_json(snapshot.record.changed_at), of_record=True),
    "source": ContactField(attrgetter("record.source"), of_record=True),
    "revision": ContactField(attrgetter("record.revision"), of_record=True),
    "available": ContactField(attrgetter("verdict.available"), of_record=False),
    "reason": ContactField(attrgetter("verdict.reason"), of_record=False),
    "claim": ContactField(
        lambda snapshot: claim_json(snapshot.claim) if snapshot.claim is not None else None,
        of_record=False,
        cell=_claim_cell,
    ),
}
"""All of them, in the order of the JSON."""

FIELDS: Final[Mapping[str, Getter]] = {name: field.read for name, field in TABLE.items()}
BRIEF: Final = tuple(BriefContactView.model_fields)
"""Those of the short form, for keys that see no details, in its order."""
COLUMNS: Final = tuple(name for name, field in TABLE.items() if field.in_table)
"""Those that a table has, in its order."""


def chosen(names: frozenset[str], order: tuple[str, ...] = tuple(FIELDS)) -> tuple[str, ...]:
    """The fields asked for, in the contact's own order; the contact itself always comes first."""
    return tuple(name for name in order if name in names or name == "contact")
