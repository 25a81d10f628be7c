"""Contacts whose changes are sent to targets, and receivers, good and bad ones; on a clock that stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

from pws_soap.models import Secret
from service.core.clock import Clock
from service.core.events.event import CHANGE, REMOVED
from service.core.meter import NO_METER
from service.core.presence.filters import Filter
from service.runtime.webhooks import StreamView
from service.webhooks.deliveries import Deliveries
from service.webhooks.leftovers import Leftovers
from service.webhooks.message import LOST, RESET
from service.webhooks.retries import Dice
from service.webhooks.sender import PostProblem, PostResult
from service.webhooks.settings import WebhookSettings
from service.webhooks.target import Surroundings
from tests.support.followed_log import FollowedLog

SOURCE = "http://10.0.0.5:8080"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
CRM = WebhookSettings("crm", Secret("https://crm.example.com/presence?key=in-the-query"), (Secret(SECRET),))

TAKEN = PostResult(204)
BROKEN = PostResult(500, "500 Internal Server Error")
GONE = PostResult(410, "410 Gone")
UNREACHABLE = PostResult(error="cannot connect: refused", may_have_arrived=False, problem=PostProblem.NO_CONNECTION)
TIMED_OUT = PostResult(error="no answer within 15 s", problem=PostProblem.TIMED_OUT)


@dataclass
class Received:
    """One message, as its receiver reads it."""

    id: str
    event: Any  # a CloudEvent
    headers: Mapping[str, str]

    @property
    def number(self) -> int:
        return int(self.event.get_id())

    @property
    def kind(self) -> str:
        return str(self.event.get_type())

    @property
    def data(self) -> Any:  # JSON
        return self.event.get_data()


@dataclass
class Receiver:
    """A target. `answer` says what it answers to the message that is there; `takes`: what it does with it before.

    It knows the contacts as the messages tell, and holds them to what they promise: of one contact no older one comes
    after a newer one, and never two at once. What is `wrong` is found at the end of the deliveries.
    """

    clock: Clock
    answer: Callable[[Received], PostResult] = lambda _: TAKEN
    seconds: float = 0.0
    hears: Callable[[PostResult], bool] = lambda reply: reply.may_have_arrived
    received: list[Received] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)
    resets: int = 0
    under_way: set[str] = field(default_factory=set)
    most_under_way: int = 0
    closed: bool = False
    wrong: list[str] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        message = Received(headers["webhook-id"], from_structured_event(HTTPMessage(dict(headers), body)), headers)
        subject = message.event.get_subject() or message.kind
        if subject in self.under_way:
            self.wrong.append(f"two messages about {subject} at once")
        self.under_way.add(subject)
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        try:
            reply = self.answer(message)
            if self.seconds:
                await self.clock.sleep(self.seconds)
            else:
                await asyncio.sleep(0)
            if self.hears(reply):
                self._take(message, subject)
            return reply
        finally:
            self.under_way.discard(subject)

    async def close(self) -> None:
        self.closed = True

    def _take(self, message: Received, subject: str) -> None:
        self.received.append(message)
        if message.number < self._last.get(subject, 0):
            self.wrong.append(f"an older message about {subject} after a newer one")
        self._last[subject] = message.number
        match message.kind.removeprefix("pws.presence."):
            case kind if kind == CHANGE:
                self.known[message.data["contact"]] = message.data
            case kind if kind == REMOVED:
                self.known.pop(message.data["contact"], None)
            case kind if kind == RESET:
                self.known.clear()
                self.resets += 1

    def kinds(self) -> list[str]:
        """The kinds of all messages, without what stands before them."""
        return [message.kind.removeprefix("pws.").removeprefix("presence.") for message in self.received]

    def of(self, contact: str) -> list[str]:
        """The states of a contact that it was told."""
        found = [message for message in self.received if message.event.get_subject() == contact]
        return [message.data.get("state", "removed") for message in found]


class Documents:
    """A shelf in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.aside: dict[str, bytes] = {}
        self.broken = False

    def names(self) -> Sequence[str]:
        return list(self.kept)

    def read(self, name: str) -> bytes | None:
        return self.kept.get(name)

    async def write(self, name: str, document: bytes) -> None:
        if self.broken:
            raise OSError(28, "no space left")
        self.kept[name] = document

    def remove(self, name: str) -> None:
        self.kept.pop(name, None)

    async def settle(self) -> None:
        """Nothing takes time."""

    def put_aside(self, name: str) -> str:
        self.aside[name] = self.kept.pop(name)
        return f"{name}.broken"

    def messages(self, name: str) -> list[Any]:
        """What is kept of a target."""
        return list(json.loads(self.kept[name])["messages"])


class Office(FollowedLog):
    """Contacts, targets with their receivers, and deliveries between them."""

    def deliver(
        self, *targets: WebhookSettings, shelf: Documents | None = None, dice: Dice = lambda: 1.0, **answers: Any
    ) -> Deliveries:
        """Deliveries to targets, not begun yet; by default to one. `answers` are fields of the receivers."""
        receivers = getattr(self, "receivers", {})
        self.receivers = {
            each.name: receivers.get(each.name) or Receiver(self.clock, **answers) for each in targets or (CRM,)
        }
        around = Surroundings(self.clock, SOURCE, NO_METER, dice, self.log.tell)
        self.deliveries = Deliveries(
            [(each, StreamView(self.reader, self.store, each)) for each in targets or (CRM,)],
            self.log,
            around,
            lambda each: self.receivers[each.name],
            Leftovers(shelf),
        )
        return self.deliveries

    @property
    def crm(self) -> Receiver:
        return self.receivers["crm"]

    @property
    def status(self) -> Any:  # a TargetStatus
        return self.deliveries.status()[0]

    def state(self) -> str:
        """That of the first target."""
        return str(self.status.state.value)

    @asynccontextmanager
    async def delivering(self, *targets: WebhookSettings, **more: Any) -> AsyncIterator[Receiver]:
        """Deliveries that run; the first receiver."""
        deliveries = self.deliver(*targets, **more)
        deliveries.start()
        await self.turns()
        try:
            yield next(iter(self.receivers.values()))
        finally:
            await self.end()

    async def end(self) -> None:
        """Stop the deliveries, as long as that takes."""
        stopping = asyncio.ensure_future(self.deliveries.stop())
        while not stopping.done():
            await self.clock.run(0.1)
        await stopping
        assert not [wrong for receiver in self.receivers.values() for wrong in receiver.wrong]

    async def turns(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def later(self, seconds: float) -> None:
        """Let time pass; anybody who wakes has the turns that it needs."""
        await self.clock.run(seconds, turns=40)
        await self.turns()

    async def settled(self) -> None:
        """Have everything happen that is due by now."""
        self.log.touch()
        await self.turns()

    def expected(self, target: WebhookSettings = CRM) -> dict[str, tuple[object, ...]]:
        """What a target should know by now: what a query says of whom its filter lets through and who was read."""
        found: dict[str, tuple[object, ...]] = {}
        for snapshot in self.log.everybody():
            contact = self.reader.visible_to(snapshot, target.wanted)
            if contact is not None:
                found[contact.record.contact] = (
                    contact.record.revision,
                    contact.freshness.level.value,
                    contact.verdict.available,
                    None if contact.claim is None else contact.claim.id,
                )
        return found


def told(receiver: Receiver) -> dict[str, tuple[object, ...]]:
    """What a receiver knows, as `Office.expected` has it."""
    return {
        contact: (
            data["revision"],
            data["freshness"],
            data["available"],
            None if data["claim"] is None else data["claim"]["id"],
        )
        for contact, data in receiver.known.items()
    }


def target(name: str = "crm", **fields: Any) -> WebhookSettings:
    """A target like the usual one, but for some fields."""
    return replace(CRM, name=name, **fields)


__all__ = ["LOST", "Filter"]
