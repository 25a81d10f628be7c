"""The targets of webhooks: how each is doing, the last attempts, and what a replay has queued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field, PlainSerializer

from service.api.models.base import Time, View
from service.core.webhooks import TargetState, TargetStatus


def _to_milliseconds(seconds: float) -> float:
    return round(seconds, 3)


class AttemptView(View):
    """One POST to a target."""

    at: Time
    message: str = Field(description="the header webhook-id, the same in all attempts at one message")
    event: str = Field(description="as on the stream")
    contact: str | None = Field(description="whom it is about; null where it is about nobody, or about several")
    number: int = Field(description="of the attempts at this message, from 1")
    seconds: Annotated[float, PlainSerializer(_to_milliseconds, return_type=float)] = Field(
        description="until its answer"
    )
    succeeded: bool = Field(description="answered with a status from 200 to 299")
    status: int | None = Field(description="null where there was no answer")
    error: str | None


class WebhookView(View):
    """A target."""

    model_config = ConfigDict(title="Webhook")

    name: str
    address: str = Field(description="scheme, host, port and path")
    state: TargetState
    since: Time = Field(description="when it came into this state")
    events: list[str] = Field(description="which are sent, as on the stream")
    queued: int = Field(description="messages that wait or are under way")
    oldest_queued_at: Time | None
    delivered: int = Field(description="messages since the start, as the next three")
    failed: int = Field(description="attempts")
    coalesced: int = Field(description="messages that a later one about the same contact replaced")
    dropped: int = Field(description="messages lost to a full queue")
    last_success_at: Time | None
    next_attempt_at: Time | None
    last_error: str | None
    attempts: list[AttemptView] = Field(description="the last ones, the newest first")


class WebhookListView(View):
    """All targets, in the order of the configuration."""

    model_config = ConfigDict(title="Webhooks")

    webhooks: list[WebhookView]
    revision: int = Field(description="the id of the newest event")

    @classmethod
    def of(cls, targets: Sequence[TargetStatus], revision: int) -> WebhookListView:
        return cls(webhooks=[WebhookView.model_validate(target) for target in targets], revision=revision)


class WebhookStateView(View):
    """How a target is doing, in short."""

    name: str
    state: TargetState
    since: Time
    queued: int = Field(description="messages that wait or are under way")
    last_attempt_at: Time | None
    last_status: int | None = Field(description="of the last attempt; null where there was no answer")
    last_error: str | None = Field(description="null where the last attempt succeeded")

    @classmethod
    def of(cls, target: TargetStatus) -> WebhookStateView:
        last = target.attempts[0] if target.attempts else None
        return cls(
            name=target.name,
            state=target.state,
            since=target.since,
            queued=target.queued,
            last_attempt_at=last.at if last is not None else None,
            last_status=last.status if last is not None else None,
            last_error=None if target.state is TargetState.DELIVERING else target.last_error,
        )


class ReplayView(View):
    """What a replay has queued."""

    model_config = ConfigDict(title="Replay")

    webhook: str
    after: int
    queued: int = Field(description="messages: of several events about one contact the last one is sent")
