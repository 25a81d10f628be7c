"""A façade over a store that a test fills, on a clock that stands; and programs that log in there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from pws_soap import PwsClient
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Presence, PresenceState, PresenceType, Secret, Session, Subscription
from pws_soap.transport import Reply
from service.access.audit import AuditEntry
from service.core.clock import ManualClock
from service.core.engine import NotAvailable, PresenceToSet, RefreshReport
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from service.facade.caller import CALLER, Caller
from service.facade.facade import SoapFacade
from service.facade.settings import FacadeSettings, FacadeUser
from tests.support.fake_engine import FakeEngine

NODE = "http://facade.example.com:8083"
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
FEED = "dispatcher"
BOUND = 1000.0
UNSURE_AFTER = 60.0
HERE = "10.1.0.7"
ENDPOINT = f"http://{HERE}:8080/told"
AVAILABLE, BUSY, UNKNOWN = PresenceState.AVAILABLE, PresenceState.BUSY, PresenceState.UNKNOWN

USERS: Mapping[str, FacadeUser] = {
    "attendant": FacadeUser(Secret("seat"), frozenset({"dispatcher", "supervisor"})),
    "support": FacadeUser(Secret("desk"), frozenset({"*"}), frozenset({"support"})),
}


def _nothing(_contacts: Sequence[str]) -> None:
    """Read nothing."""


class ReadingEngine(FakeEngine):
    """An engine whose reads do as a test says."""

    on_read: Callable[[Sequence[str]], object] = staticmethod(_nothing)

    async def read(self, contacts: Sequence[str]) -> RefreshReport:
        self.refreshed.append(list(contacts))
        await asyncio.sleep(0)
        outcome = self.on_read(contacts)
        if isinstance(outcome, NotAvailable):
            raise outcome
        return outcome if isinstance(outcome, RefreshReport) else RefreshReport(len(contacts), 0)

    set_by: tuple[tuple[str, PresenceToSet], ...] = ()
    on_set: Exception | None = None

    async def set_presence(self, end_user: str, wanted: PresenceToSet) -> None:
        self.set_by += ((end_user, wanted),)
        if self.on_set is not None:
            raise self.on_set


@dataclass
class Desk:
    """The façade, its store, and what came to endpoints: the ids of subscriptions, in order."""

    clock: ManualClock
    core: Core
    engine: ReadingEngine
    facade: SoapFacade
    notified: list[int] = field(default_factory=list)
    audited: list[AuditEntry] = field(default_factory=list)
    refuse_notifications: str = ""

    # --- the presence server

    def watch(self, *contacts: str, feed: str = FEED) -> None:
        """Watch these; nothing of them is read yet."""
        self.core.store.watch(contacts, feed)
        self.core.store.trust(feed)

    def read(self, contact: str, state: PresenceState = AVAILABLE, **rest: object) -> None:
        """A fetch says this of a contact, and nothing new of the others."""
        store = self.core.store
        presence = Presence(contact, state, **rest)  # type: ignore[arg-type]  # whatever the test says
        reading = store.begin()
        store.put([presence], reading, source=Source.SUBSCRIBED)
        for feed in store.feeds():
            store.confirm(feed, reading)

    def read_rich(self, contact: str, document: str, state: PresenceState = AVAILABLE) -> None:
        """The same with a document."""
        self.read(contact, state, type=PresenceType.RICH, document=document.encode())

    def lose(self, *contacts: str) -> None:
        """A reply about these was lost, or with none: the whole subscription is."""
        if contacts:
            self.core.store.doubt_contacts(contacts, "a reply was lost")
        else:
            self.core.store.doubt(FEED, "the server is down")

    def regain(self) -> None:
        """The subscription is back, with nothing missed."""
        reading = self.core.store.begin()
        self.core.store.trust(FEED)
        self.core.store.confirm(FEED, reading)

    # --- time

    async def turns(self, count: int = 20) -> None:
        """Let all that is ready be done."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Let the log and the façade see what has happened."""
        await self.pass_time(2.5)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, while the feed is confirmed as long as it is not in doubt."""
        left = seconds
        while left > 0:
            await self.clock.run(min(left, 0.5), turns=30)
            left -= 0.5
            store = self.core.store
            for name, feed in list(store.feeds().items()):
                if feed.doubt is None:
                    store.confirm(name, store.begin())

    # --- programs

    def client(self, address: str = HERE) -> PwsClient:
        """A program's way to the façade."""

        async def post(sent: SentRequest) -> Reply:
            CALLER.set(Caller(address, "tests"))
            reply = await self.facade.service.answer(sent.body, sent.headers)
            return Reply(reply.status, reply.body)

        now = lambda: datetime.fromtimestamp(self.clock.now(), UTC)  # noqa: E731
        return PwsClient(NODE, transport=MemoryTransport(post), now=now)

    async def program(self, user: str = "attendant", end_user: str = "dispatcher") -> Program:
        """A program that has logged in and registered its endpoint."""
        pws = self.client()
        application = await pws.login(user, USERS[user].password)
        session = await pws.login_end_user(application, end_user)
        endpoint = await pws.register_endpoint(application, ENDPOINT)
        return Program(self, pws, application, session, endpoint.id)


@dataclass
class Program:
    """A program with its sessions and endpoint."""

    desk: Desk
    pws: PwsClient
    application: Session
    session: Session
    endpoint: int

    async def subscribe(self, *contacts: str) -> Subscription:
        """Subscribe; the notification of it may be due."""
        made = await self.pws.subscribe(self.session, self.endpoint, contacts, expires=86400)
        await self.desk.turns()
        return made

    async def fetch(self, subscription: Subscription | int, *, rich: bool = False) -> dict[str, str]:
        """What a fetch tells, by contact."""
        found = await self.pws.get_subscribed_presence(self.session, subscription, rich=rich)
        return {each.contact: str(each.state) for each in found}

    async def poll(self, *contacts: str, rich: bool = False) -> dict[str, str]:
        """What a poll tells."""
        found = await self.pws.get_polled_presence(self.session, contacts, rich=rich)
        return {each.contact: str(each.state) for each in found}


class _Audit:
    def __init__(self, entries: list[AuditEntry]) -> None:
        self._entries = entries

    def record(self, entry: AuditEntry) -> None:
        self._entries.append(entry)


@asynccontextmanager
async def facade_desk(
    *,
    groups: Mapping[str, Iterable[str]] | None = None,
    notify: Callable[[str, str | None], Awaitable[str]] | None = None,
    **settings: object,
) -> AsyncIterator[Desk]:
    """A façade that is started; `settings` are those of `FacadeSettings`."""
    clock = ManualClock()
    store = MemoryStore(clock)
    core = Core.of(store, clock, BOUND, groups or {"support": (ANN,)})
    engine = ReadingEngine()
    chosen = FacadeSettings(**{"address": NODE, "users": USERS, "unsure_after": UNSURE_AFTER} | settings)  # type: ignore[arg-type]  # as the test says
    audited: list[AuditEntry] = []

    async def remember(url: str, registered_from: str | None) -> str:
        assert url.startswith(ENDPOINT)
        desk.notified.append(int(parse_qs(urlsplit(url).query)["id"][0]))
        return desk.refuse_notifications

    facade = SoapFacade(chosen, core, engine, _Audit(audited), notify=notify or remember)
    desk = Desk(clock, core, engine, facade, audited=audited)
    ticking = asyncio.create_task(core.log.run())
    facade.start()
    try:
        yield desk
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await facade.stop()
