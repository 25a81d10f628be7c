"""One message to a target by hand, to see whether it arrives."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.clock import Clock
from service.core.webhooks import Attempt
from service.webhooks import message
from service.webhooks.sender import PostProblem, Sender
from service.webhooks.settings import WebhookSettings


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What became of it. Where there was no answer: why, as a kind and as it was raised."""

    attempt: Attempt
    problem: PostProblem | None = None
    cause: Exception | None = None


async def probe(settings: WebhookSettings, sender: Sender, clock: Clock, source: str) -> ProbeResult:
    """Send a signed message of the kind `webhook.test`, once."""
    began, at = clock.monotonic(), clock.now()
    sent = message.test(int(at * 1e6), at)
    written = message.written(sent, settings.name, source)
    try:
        reply = await sender.post(written.body, message.signed(written, settings.secrets, at))
    finally:
        await sender.close()
    seconds = max(0.0, clock.monotonic() - began)
    attempt = Attempt(at, written.id, sent.kind, 1, seconds, status=reply.status, error=reply.error)
    return ProbeResult(attempt, reply.problem, reply.cause)
