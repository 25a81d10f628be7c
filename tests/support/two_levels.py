"""A service behind another service's façade, in one process and virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.told import UNKNOWN
from pws_soap import notification
from pws_soap.errors import PwsError, TimedOut, Unreachable
from pws_soap.memory import SentRequest
from pws_soap.transport import Reply
from service.core.presence.freshness import Level, assess
from tests.support.asgi import call
from tests.support.facade_office import FacadeOffice
from tests.support.soap_by_hand import PATH
from tests.support.virtual_office import READ_TIMEOUT, VirtualOffice


@dataclass
class UpperOffice(VirtualOffice):
    """A service whose presence server is the façade of `lower`. Its own simulator has nobody who asks it."""

    lower: LowerOffice | None = None

    async def _post(self, sent: SentRequest) -> Reply | PwsError:
        self.requests += 1
        assert self.lower is not None
        if self.lower.engine is None:
            return Unreachable("nobody listens", node="facade", operation=sent.operation)
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                reply = await call(self.lower.facade.app, "POST", PATH, headers=sent.headers, body=sent.body)
        except TimeoutError:
            return TimedOut("no reply", node="facade", operation=sent.operation)
        return Reply(reply.status, reply.body)

    def check(self) -> int:
        """Each live answer was true since its `as_of`, less the bound of the service below.

        UNKNOWN claims nothing. How many claim something.
        """
        assert self.lower is not None
        now, feeds = self.clock.monotonic(), self.store.feeds()
        live = 0
        for record in self.store.records():
            fresh = assess(record, feeds[record.feed], now, self.bound)
            if fresh.level is not Level.LIVE or str(record.state) == UNKNOWN:
                continue
            live += 1
            assert fresh.as_of is not None
            held = self.lower._held(record.contact, fresh.as_of.monotonic - self.lower.bound)
            assert str(record.state) in held, f"{record.contact} is {record.state} at the top, and was {held}"
        return live

    def wrong(self) -> list[str]:
        """What is not live, or not the truth; UNKNOWN for whom nobody watches below."""
        assert self.lower is not None
        below = {record.key for record in self.lower.store.records()}
        now, feeds = self.clock.monotonic(), self.store.feeds()
        found = []
        for record in self.store.records():
            fresh = assess(record, feeds[record.feed], now, self.bound)
            right = self.lower.truth[record.key][-1][1] if record.key in below else UNKNOWN
            if fresh.level is not Level.LIVE:
                found.append(f"top: {record.contact}: {fresh.level} ({fresh.reason})")
            elif str(record.state) != right:
                found.append(f"top: {record.contact}: {record.state} instead of {right}")
        return found


@dataclass
class LowerOffice(FacadeOffice):
    """The office below: whatever is checked of it is checked of the service at the top as well, once that is there."""

    upper: UpperOffice | None = None

    def begin(self) -> None:
        """Start the service at the top."""
        self.notify = self._to_upper
        self.upper = UpperOffice(
            self.contacts, ("facade",), rich=self.rich, safety=self.safety, bound=self.bound, lower=self
        )
        self.upper.start()

    def check(self) -> int:
        """Nothing that is called live is wrong, neither here nor at the top."""
        if self.upper is not None and self.upper.engine is not None:
            self.upper.check()
        return super().check()

    def wrong(self) -> list[str]:
        """What is not live, or not the truth, here or at the top."""
        return super().wrong() + ([] if self.upper is None else self.upper.wrong())

    async def end(self) -> None:
        """Stop the service at the top: nothing of it is left at the façade."""
        assert self.upper is not None
        upper, self.upper = self.upper, None
        await upper.stop(600)
        await upper.simulator.aclose()
        status = self.facade.status()
        left = (status.sessions, status.endpoints, status.subscriptions)
        assert left == (0, 0, 0), f"sessions, endpoints and subscriptions that are left at the façade: {left}"

    async def _to_upper(self, url: str) -> str:
        parts = urlsplit(url)
        if self.upper is None or self.upper.engine is None:
            return "nobody listens"
        self.upper.engine.notified(notification.read(parts.query), parts.path.rsplit("/", 1)[-1])
        return ""
