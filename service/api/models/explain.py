"""Why a contact's answer is as it is: what `explain=true` adds to it, for people rather than for programs.

An answer without it holds what an application decides with; this holds the rest of the document, which element of it
decided, and what the rule of each group says.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from pws_soap.models import PresenceType
from pws_soap.pidf import explanation
from service.api.models import BriefContactView, ChosenContactView, ContactView, DeviceView, View
from service.core.presence.availability import Opinion
from service.core.presence.freshness import Level
from service.core.presence.records import Record
from service.core.presence.snapshot import ContactSnapshot


class DeviceDetailView(DeviceView):
    """A device with everything that its tuple says."""

    kind: str = Field(description="jabber, desk-phone, pws, federation or other, told by the id")
    priority: float | None = Field(description="of its address, from 0 to 1")
    activities: list[str] = Field(description="its own")
    timestamp: datetime | None
    source: str | None


class OpinionView(View):
    """What the rule of one group says."""

    group: str | None = Field(description="null: the common rule, for a contact of no group")
    available: bool
    reason: str


class ExplainView(View):
    """Why it is so."""

    model_config = ConfigDict(title="Explanation")

    state: list[str] = Field(description="which element decided, and what became of each other that bears on it")
    freshness: str = Field(description="why it is live or not")
    available: list[OpinionView] = Field(description="what the rule of each of its groups says")
    problem: str | None = Field(description="why the last document could not be read; the state is then an older one")
    in_meeting: bool | None
    idle_since: datetime | None
    phone_status: str | None
    im_status: str | None
    manual: bool | None = Field(description="set by hand")
    note_language: str | None
    devices: list[DeviceDetailView]

    @classmethod
    def of(cls, contact: ContactSnapshot, opinions: Sequence[Opinion], bound: float) -> ExplainView:
        """`bound` is the freshness bound in seconds."""
        record, freshness = contact.record, contact.freshness
        presence = record.presence
        lasting = f"its subscription works, and it was confirmed within {bound:g} s"
        return cls(
            state=list(_state(record)),
            freshness=lasting if freshness.level is Level.LIVE else freshness.reason or str(freshness.level),
            available=[
                OpinionView(group=group, available=verdict.available, reason=verdict.reason)
                for group, verdict in opinions
            ],
            problem=record.problem,
            in_meeting=presence.in_meeting if presence else None,
            idle_since=presence.idle_since if presence else None,
            phone_status=presence.phone_status if presence else None,
            im_status=presence.im_status if presence else None,
            manual=presence.manual if presence else None,
            note_language=presence.note_language if presence else None,
            devices=[DeviceDetailView.model_validate(each) for each in (presence.devices if presence else ())],
        )


class ExplainedContactView(ContactView):
    """A contact, with its explanation where that was asked for."""

    model_config = ConfigDict(title="ContactAndExplanation")

    explain: ExplainView | None = Field(default=None, description="with `explain=true` only")


ContactAnswerView = TypeAliasType("ContactAnswerView", ExplainedContactView | ChosenContactView | BriefContactView)
"""One contact as it was asked for, and as the key may see it."""


def _state(record: Record) -> Sequence[str]:
    presence = record.presence
    if presence is None:
        return (f"UNKNOWN: {record.problem or 'it was never read'}",)
    if presence.type is PresenceType.BASIC:
        return (f"{presence.state}: the server's own word (basic presence says no more)",)
    lines = explanation(presence) or (f"{presence.state}: as it was read",)
    if presence.valid_until is not None:
        ends = presence.valid_until.isoformat().replace("+00:00", "Z")
        lines += (f"valid until {ends}: from then on the same document says something else, by its own times",)
    return lines
