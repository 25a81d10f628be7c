"""Answers that the routes and the hot lane give: made in one place for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.access.principal import Principal
from service.api.context import Context
from service.api.etags import Representation
from service.api.models import BriefSummaryView, SummaryView
from service.core.presence.counts import Summary
from service.core.presence.snapshot import ContactSnapshot


class ContactAnswer(NamedTuple):
    """A contact, and what is said of it. Time alone changes nothing of it up to `until`, a monotonic moment."""

    snapshot: ContactSnapshot
    representation: Representation
    until: float


def contact_answer(
    context: Context, who: Principal, uri: str, fields: Sequence[str] | None, bound: float | None = None
) -> ContactAnswer | None:
    """What is said to `who` of a contact now, these fields or all; None where it sees no such contact."""
    found = context.reader.one_until(uri, bound, who.groups)
    if found is None:
        return None
    snapshot, until = found
    if not who.details:
        snapshot = context.brief(snapshot, who.groups)
    body = context.json.one(snapshot) if fields is None else context.json.some(snapshot, fields)
    return ContactAnswer(snapshot, Representation(body, shown=1), until)


def summary_answer(context: Context, who: Principal, summary: Summary) -> Representation:
    """What is said to `who` of the counts that it may see."""
    view = SummaryView if who.details else BriefSummaryView
    return Representation(view.of(summary, context.core.claim_service.rules.floors).model_dump_json().encode())
