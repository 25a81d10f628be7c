"""What a target gets: a CloudEvent as JSON, with a signature of Standard Webhooks.

A message is the same in all attempts at it, and after a restart: its id is that of its event. Only time stamp and
signature are the attempt's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import msgspec
from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks.webhooks import Webhook

from pws_soap.models import Secret
from service.core.events.event import CHANGE, REMOVED

RESET: Final = "reset"
"""Kind of the message with which every run begins: what the target knows may be out of date."""
LOST: Final = "webhook.lost"
"""Kind of the message that says that messages were lost to a full queue."""
TEST: Final = "webhook.test"
"""Kind of the message that says nothing but that it comes."""
_OF_PRESENCE: Final = frozenset({CHANGE, REMOVED, RESET})
_DIGITS: Final = 16
"""Digits of the highest revision, 2**53."""


class WebhookMessage(msgspec.Struct, frozen=True, gc=False):
    """One message. `data` is JSON. `contact` is whom it is about, where it is about one; else `subject` may be set."""

    id: int
    kind: str
    at: float
    data: msgspec.Raw
    contact: str | None = None
    subject: str | None = None

    @property
    def type(self) -> str:
        """The type of the CloudEvent."""
        return f"pws.presence.{self.kind}" if self.kind in _OF_PRESENCE else f"pws.{self.kind}"

    def webhook_id(self, target: str) -> str:
        """The id of this message to a target, for its receiver and for people.

        Of the messages that are lost the last one may have arrived: what says that they are lost is another message.
        """
        return f"{target}-{self.id}-lost" if self.kind == LOST else f"{target}-{self.id}"


class Written(msgspec.Struct, frozen=True):
    """A message as it is sent, but for what is the attempt's own."""

    id: str
    content_type: str
    body: bytes


def written(message: WebhookMessage, target: str, source: str) -> Written:
    """The message to a target of the service `source`, a URI."""
    attributes: dict[str, object] = {
        "id": str(message.id),
        "source": f"{source}/v1/webhooks/{quote(target)}",
        "type": message.type,
        "specversion": "1.0",
        "time": datetime.fromtimestamp(message.at, UTC),
        "datacontenttype": "application/json",
        "sequence": f"{message.id:0{_DIGITS}d}",
    }
    subject = message.contact or message.subject
    if subject:
        attributes["subject"] = subject
    sent = to_structured_event(CloudEvent(attributes, json.loads(bytes(message.data))))
    return Written(message.webhook_id(target), sent.headers["content-type"], sent.body)


def signed(message: Written, secrets: Iterable[Secret], now: float) -> Mapping[str, str]:
    """The headers of an attempt at the wall time `now`: a signature of each secret, in their order."""
    at = datetime.fromtimestamp(int(now), UTC)
    text = message.body.decode()
    signatures = [Webhook(secret.reveal()).sign(message.id, at, text) for secret in secrets]
    return {
        "content-type": message.content_type,
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }


def reset(id: int, at: float) -> WebhookMessage:  # noqa: A002  # the event's own word
    """All that the target knows may be out of date; what is known now follows. `id` is below all that follows."""
    return WebhookMessage(id, RESET, at, _data(at, id, reason="start"))


def lost(id: int, at: float, count: int) -> WebhookMessage:  # noqa: A002
    """Messages up to `id` were lost, `count` of them."""
    return WebhookMessage(id, LOST, at, _data(at, id, lost=count))


def test(id: int, at: float) -> WebhookMessage:  # noqa: A002
    """Somebody wants to know whether messages arrive."""
    return WebhookMessage(id, TEST, at, _data(at, id))


def raw(data: bytes) -> msgspec.Raw:
    """JSON as it is."""
    return msgspec.Raw(data)


def _data(at: float, revision: int, **more: object) -> msgspec.Raw:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return raw(msgspec.json.encode({"at": moment, "revision": revision, **more}))
