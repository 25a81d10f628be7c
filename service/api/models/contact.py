"""A contact in an answer, in its whole form, in a part of it, and in the brief one for keys that see no details.

Contacts come by the thousand, so that `service.api.writers.contact` writes them; these models say what it must write.
"""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict, Field

from pws_soap.models import Device, PresenceState
from service.api.models.base import EXAMPLE_TIME, Time, View, rfc3339
from service.core.presence.claim import Claim
from service.core.presence.freshness import Level
from service.core.presence.records import Record, Source
from service.core.presence.snapshot import ContactSnapshot

CONTACT_EXAMPLE: Final[dict[str, object]] = {
    "contact": "ann@example.com",
    "state": "BUSY",
    "activities": ["busy", "on-the-phone"],
    "on_the_phone": True,
    "display_name": "Ann Example",
    "note": None,
    "idle": False,
    "devices": [{"id": "cmp-8001-162", "open": True, "audio": True, "video": False, "text": False}],
    "freshness": "live",
    "as_of": EXAMPLE_TIME,
    "changed_at": "2026-11-21T09:58:40.001Z",
    "source": "subscribed",
    "revision": 4711,
    "available": False,
    "reason": "on the phone",
    "claim": None,
}
"""What a contact looks like; pydantic would sort its keys, FastAPI would drop its nulls."""


class DeviceView(View):
    """A soft phone, a line of a desk phone, or a state set by a program. What nobody said is null."""

    id: str
    open: bool
    audio: bool | None
    video: bool | None
    text: bool | None


class HeldView(View):
    """The claim that holds a contact."""

    model_config = ConfigDict(title="Held", serialize_by_alias=True)

    id: str
    group: str = Field(description="the group for which it was picked")
    purpose: str = Field(alias="for", description="what the asker said it is for")
    holder: str = Field(description="the name of the key that asked")
    expires_at: Time = Field(description="unless it is renewed")

    @classmethod
    def of(cls, claim: Claim) -> HeldView:
        return cls.model_validate(claim_shown(claim) | {"expires_at": claim.expires.wall})


class ContactView(View):
    """A contact and its presence, the same in every answer."""

    model_config = ConfigDict(title="Contact")

    contact: str = Field(description="the contact's URI, as it was first watched")
    state: PresenceState = Field(description="the last known state; see freshness for whether it still holds")
    activities: list[str] = Field(description="several at once are possible; empty with basic presence")
    on_the_phone: bool | None = Field(description="null when nobody said")
    display_name: str | None
    note: str | None
    idle: bool | None
    devices: list[DeviceView]
    freshness: Level = Field(description="live: true within its bound; stale: was true at as_of; unknown: never read")
    as_of: Time | None = Field(description="the last moment for which the state is known to have been true")
    changed_at: Time | None
    source: Source | None = Field(description="how it was last read")
    revision: int = Field(description="the number of its last change, in the order of all changes")
    available: bool = Field(description="whether it is free by the rules of its groups; never when it is not live")
    reason: str = Field(description="why it is available or not; against it, with the group whose rule says so")
    claim: HeldView | None = Field(description="who holds it; a contact that is held is not available to others")

    @classmethod
    def of(cls, known: ContactSnapshot) -> ContactView:
        """The plain way to make one."""
        record, (level, as_of, _), verdict, claim = known
        return cls.model_validate(
            lasting(record)
            | {
                "freshness": level,
                "as_of": as_of and as_of.wall,
                "changed_at": record.changed_at and record.changed_at.wall,
                "source": record.source,
                "revision": record.revision,
                "available": verdict.available,
                "reason": verdict.reason,
                "claim": HeldView.of(claim) if claim is not None else None,
            }
        )


class ContactListView(View):
    """A page of contacts, ordered by contact."""

    model_config = ConfigDict(title="ContactList")

    contacts: list[ContactView]
    next_cursor: str | None = Field(description="the `cursor` of the next page; null on the last one")
    revision: int = Field(description="the number of the newest change of all")


class ChosenContactView(View):
    """Some fields of a contact, as `fields` names them."""

    model_config = ConfigDict(title="ChosenContact")

    contact: str = Field(description="always there")
    state: PresenceState | None = None
    activities: list[str] | None = None
    on_the_phone: bool | None = None
    display_name: str | None = None
    note: str | None = None
    idle: bool | None = None
    devices: list[DeviceView] | None = None
    freshness: Level | None = None
    as_of: Time | None = None
    changed_at: Time | None = None
    source: Source | None = None
    revision: int | None = None
    available: bool | None = None
    reason: str | None = None
    claim: HeldView | None = None


class ChosenListView(View):
    """A page of contacts with some of their fields."""

    model_config = ConfigDict(title="ChosenContactList")

    contacts: list[ChosenContactView]
    next_cursor: str | None
    revision: int


class BriefContactView(View):
    """A contact for a key that may see who is available, and no more."""

    model_config = ConfigDict(title="BriefContact")

    contact: str
    display_name: str | None
    available: bool
    freshness: Level
    as_of: Time | None
    revision: int

    @classmethod
    def of(cls, known: ContactSnapshot) -> BriefContactView:
        record, (level, as_of, _), verdict, _ = known
        return cls(
            contact=record.contact,
            display_name=record.presence.display_name if record.presence is not None else None,
            available=verdict.available,
            freshness=level,
            as_of=as_of and as_of.wall,
            revision=record.revision,
        )


class BriefListView(View):
    """A page of contacts for a key that may see who is available, and no more."""

    model_config = ConfigDict(title="BriefContactList")

    contacts: list[BriefContactView]
    next_cursor: str | None
    revision: int


def claim_shown(claim: Claim) -> dict[str, object]:
    """A claim in the JSON of the contact it holds."""
    return {
        "id": claim.id,
        "group": claim.group,
        "for": claim.purpose,
        "holder": claim.holder,
        "expires_at": rfc3339(claim.expires.wall),
    }


def device_shown(device: Device) -> dict[str, object]:
    """A device in the JSON of its contact."""
    return {
        "id": device.id,
        "open": device.open,
        "audio": device.audio,
        "video": device.video,
        "text": device.text,
    }


def lasting(record: Record) -> dict[str, object]:
    """The part of a contact's JSON that changes only with its revision, up to `devices`."""
    presence = record.presence
    return {
        "contact": record.contact,
        "state": record.state,
        "activities": presence.activities if presence else (),
        "on_the_phone": presence.on_the_phone if presence else None,
        "display_name": presence.display_name if presence else None,
        "note": presence.note if presence else None,
        "idle": presence.idle if presence else None,
        "devices": [device_shown(each) for each in (presence.devices if presence else ())],
    }
