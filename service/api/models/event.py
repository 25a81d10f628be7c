"""What the events of a stream have in `data`: of contacts, and of what happens beside them.

The kinds of events, each with one of these, stand in `service.api.writers.event`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field

from service.api.models.base import Time, View
from service.api.models.claim import ClaimView
from service.api.models.contact import AnyContactView


class SnapshotReason(StrEnum):
    """Why a snapshot comes."""

    START = "start"
    NOT_KEPT = "not-kept"
    BEHIND = "behind"


class SnapshotView(View):
    """Everybody who passes the filters."""

    model_config = ConfigDict(title="Snapshot")

    contacts: list[AnyContactView]
    revision: int = Field(description="as of which they are so")
    reason: SnapshotReason = Field(
        description="start: of the stream; not-kept: what came after the id that was sent is kept no longer; "
        "behind: this client was too slow"
    )


class RemovedView(View):
    """A contact that is no longer among those asked for."""

    model_config = ConfigDict(title="RemovedContact")

    contact: str
    revision: int
    watched: bool = Field(description="true: it no longer passes the filters; false: it is no longer watched")


class HappenedView(View):
    """What all events beside the contacts say. A limited key may get no more than this."""

    model_config = ConfigDict(title="Happened", serialize_by_alias=True)

    at: Time = Field(description="when it happened")
    revision: int = Field(description="the number that its id begins with")


class SubscriptionChangeView(HappenedView):
    """What became of the subscriptions of an end user on a node. A limited key gets `at` and `revision` alone."""

    model_config = ConfigDict(title="SubscriptionChange", serialize_by_alias=True)

    end_user: str | None = Field(default=None, description="in whose name its contacts are watched")
    node: str | None = None
    reason: str | None = Field(default=None, description="null where there is none to tell")


class SubscriptionMoveView(SubscriptionChangeView):
    """The subscriptions of an end user move to another node."""

    model_config = ConfigDict(title="SubscriptionMove", serialize_by_alias=True)

    origin: str | None = Field(default=None, alias="from", description="the node that they leave")
    to: str | None = None


class ClaimChangeView(HappenedView):
    """What became of a claim. A key without details gets `at` and `revision` alone."""

    model_config = ConfigDict(title="ClaimChange", serialize_by_alias=True)

    claim: ClaimView | None = Field(default=None, description="as it was then")
    contact: str | None = Field(default=None, description="the one that the event is about, where it is about one")
    reason: str | None = Field(default=None, description="why, where there is something to tell")


class CoverageChangeView(HappenedView):
    """A group has fewer free people than its configuration asks for, or enough again."""

    model_config = ConfigDict(title="CoverageChange", serialize_by_alias=True)

    group: str
    free: int
    min_free: int


class WebhookChangeView(HappenedView):
    """What became of a target of webhooks."""

    model_config = ConfigDict(title="WebhookChange", serialize_by_alias=True)

    target: str = Field(description="its name in the configuration")
    reason: str | None = Field(default=None, description="why it is parked")
