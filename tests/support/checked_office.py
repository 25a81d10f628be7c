"""A virtual office with a façade, and programs before it that hold whatever they are told against the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from benchmarks.programs import PATIENCE, Account, Pace, Programs
from benchmarks.told import Promise
from benchmarks.truth import Truth
from pws_soap.client import PwsClient
from pws_soap.errors import PwsError, TimedOut, Unreachable
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.simulator import State as Wire
from pws_soap.transport import Reply
from service.core.presence.freshness import Level, assess
from tests.support.asgi import call
from tests.support.facade_office import FacadeOffice
from tests.support.soap_by_hand import PATH

PACE: Final = Pace(polls=7.0, fetches=None, again=5.0)
CALLBACK: Final = "http://127.0.0.1:8080/"


@dataclass
class CheckedOffice(FacadeOffice):
    """Its programs live on while the service is killed and started: they do what programs do then."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._live: dict[str, float] = {}
        self.record = Truth(self.contacts, "AVAILABLE", self.clock.now(), self.bound)
        account = Account(self.facade_client, "pwsapp", "secret", "dispatcher", CALLBACK)
        promise = Promise(self.bound, self.unsure_after)
        self.programs = Programs(account, self.record, promise, live=self.live, now=self.clock.now, pace=PACE)
        self.notify = self._to_program

    def begin(self) -> None:
        """Let the programs begin."""
        self.programs.start(self.contacts, self.contacts if self.rich else ())

    async def kill(self) -> None:
        """End the service as SIGKILL does; anybody who runs the programs notices that."""
        await super().kill()
        self.programs.begin_anew()

    def change(self, contact: str, state: Wire) -> None:
        """Somebody's presence changes."""
        if self.record.now(contact) != str(state):
            change = self.record.begin(contact, str(state), self.clock.now())
            change.done = self.clock.now()
        super().change(contact, state)

    def check(self) -> int:
        """No live answer is wrong, nothing that a program was told, and nothing that it takes for true."""
        self.programs.check()
        assert self.programs.figures.wrong == [], "\n".join(self.programs.figures.wrong[:3])
        return super().check()

    def wrong(self) -> list[str]:
        """What is not live, or not the truth, or not what a program takes for true."""
        watched = {record.key for record in self.store.records()}
        return super().wrong() + self.programs.differences(set(self.contacts) - watched)

    def live(self) -> Mapping[str, float]:
        """As of when each contact was live when it last was, in wall time: nothing older is told any more."""
        now, feeds = self.clock.monotonic(), self.store.feeds()
        for record in self.store.records():
            fresh = assess(record, feeds[record.feed], now, self.bound)
            if fresh.level is Level.LIVE and fresh.as_of is not None:
                self._live[record.key] = fresh.as_of.wall
        return self._live

    def facade_client(self) -> PwsClient:
        """A program's client: requests reach whatever façade there is then."""
        return PwsClient(
            "http://facade:8083",
            transport=MemoryTransport(self._ask_facade),
            now=lambda: datetime.fromtimestamp(self.clock.now(), UTC),
        )

    async def _ask_facade(self, sent: SentRequest) -> Reply | PwsError:
        if self.engine is None:
            return Unreachable("nobody listens", node="facade", operation=sent.operation)
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await call(self.facade.app, "POST", PATH, headers=sent.headers, body=sent.body)
        except TimeoutError:
            return TimedOut("no reply", node="facade", operation=sent.operation)
        return Reply(reply.status, reply.body)

    async def _to_program(self, url: str) -> str:
        self.programs.notified(url.removeprefix(CALLBACK).partition("?")[0])
        return ""
