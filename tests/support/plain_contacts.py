"""Contacts in answers the plain way: by the models that describe them, to compare with what is written."""

from __future__ import annotations

from typing import Any

from service.api.models import BriefContactView, ContactView, HeldView
from service.core.presence.snapshot import ContactSnapshot


def contact_view(snapshot: ContactSnapshot) -> ContactView:
    """The whole contact."""
    record, verdict, claim = snapshot.record, snapshot.verdict, snapshot.claim
    level, as_of, _ = snapshot.freshness
    presence = record.presence
    fields: dict[str, Any] = {  # of the model, which checks them
        "contact": record.contact,
        "state": record.state,
        "activities": presence.activities if presence else (),
        "on_the_phone": presence.on_the_phone if presence else None,
        "display_name": presence.display_name if presence else None,
        "note": presence.note if presence else None,
        "idle": presence.idle if presence else None,
        "devices": presence.devices if presence else (),
        "freshness": level,
        "as_of": as_of and as_of.wall,
        "changed_at": record.changed_at and record.changed_at.wall,
        "source": record.source,
        "revision": record.revision,
        "available": verdict.available,
        "reason": verdict.reason,
        "claim": None,
    }
    if claim is not None:
        held = {"id": claim.id, "group": claim.group, "for": claim.purpose, "holder": claim.holder}
        fields["claim"] = HeldView.model_validate(held | {"expires_at": claim.expires.wall})
    return ContactView.model_validate(fields)


def brief_view(snapshot: ContactSnapshot) -> BriefContactView:
    """The short form."""
    whole = contact_view(snapshot)
    return BriefContactView.model_validate({name: getattr(whole, name) for name in BriefContactView.model_fields})
