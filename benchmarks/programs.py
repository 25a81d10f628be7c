"""Programs that speak SOAP all the time and check what they are told: some poll, some are notified and fetch.

They do what a program should: log in again when the session is gone, wait when told to, begin anew when a fetch may
have taken changes along. Against a façade they are what it is for; against a presence server they check the checkers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiohttp import web

from benchmarks.told import UNKNOWN, Listener, Promise, Reply, ToldFigures
from benchmarks.truth import Truth
from pws_soap import PwsClient
from pws_soap.errors import Fault, PwsError, Throttled
from pws_soap.models import MAX_EXPIRES, Presence, Session

PATIENCE: Final = 30.0
"""Seconds for one request: longer than a façade asks its server for."""


@dataclass(frozen=True)
class Pace:
    """Seconds between two polls; without a notification, until a fetch; and until a program that failed tries again.

    `fetches` None: a program only fetches when it is notified.
    """

    polls: float = 0.3
    fetches: float | None = 2.0
    again: float = 0.2


@dataclass(frozen=True)
class Account:
    """How programs log in at a server, and how they reach it. `callback` is the beginning of their endpoints' URLs."""

    connect: Callable[[], PwsClient]
    user: str
    password: str
    end_user: str
    callback: str


@dataclass
class ProgramFigures(ToldFigures):
    """And how it went: times that a program had to wait (210, 212), other faults, requests that nobody answered."""

    replies: int = 0
    waited: int = 0
    begun: int = 0
    faults: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    notifications: int = 0

    def found(self) -> dict[str, Any]:  # Any: JSON
        """As plain values."""
        return {
            "replies": self.replies,
            "states": self.states,
            "by_as_of": self.by_as_of,
            "oldest_s": round(self.oldest, 1),
            "unsaid": self.unsaid,
            "unknown": self.unknown,
            "waited": self.waited,
            "begun": self.begun,
            "notifications": self.notifications,
            "unanswered": self.unanswered,
            "faults": dict(sorted(self.faults.items())),
            "wrong": len(self.wrong),
            "examples": self.wrong[:10],
        }


class Programs:
    """All programs of a run, in front of one server.

    `live` gives the contacts that the service itself calls live, and as of when; it is asked before each request.
    """

    def __init__(
        self,
        account: Account,
        truth: Truth,
        promise: Promise,
        *,
        live: Callable[[], Mapping[str, float]] = dict,
        now: Callable[[], float] = time.time,
        pace: Pace = Pace(),
    ) -> None:
        self.figures = ProgramFigures()
        self._account = account
        self._truth = truth
        self._promise = promise
        self._live = live
        self._now = now
        self._pace = pace
        self._subscribers: list[_Subscriber] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._news: dict[str, asyncio.Event] = {}

    def start(self, contacts: Sequence[str], rich: Sequence[str]) -> None:
        """Two that poll and two that fetch: `contacts` as BASIC presence, and `rich` as RICH presence."""
        for kind, some, is_rich in (("basic", contacts, False), ("rich", rich, True)):
            if some:
                fetching = _Subscriber(f"{kind}-fetch", some, self._use(f"{kind} fetch"), rich=is_rich)
                self._subscribers.append(fetching)
                polling = _Poller(f"{kind}-poll", some, self._use(f"{kind} poll"), rich=is_rich)
                self._tasks += [asyncio.create_task(self._keep(program)) for program in (polling, fetching)]

    async def stop(self) -> None:
        """End them, and what they have at the server."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    def notified(self, name: str) -> None:
        """A notification came to the endpoint of the program of that name."""
        self.figures.notifications += 1
        if (news := self._news.get(name)) is not None:
            news.set()

    def begin_anew(self) -> None:
        """Have those that fetch begin anew, as when their operator was told that the server was restarted."""
        for program in self._subscribers:
            program.is_over = True
            self.notified(program.name)

    def check(self) -> None:
        """Hold what the programs that fetch take for true against the truth of this moment."""
        for program in self._subscribers:
            program.check()

    def differences(self, unknown: Container[str] = ()) -> list[str]:
        """What programs that fetch take for true, and is not what the contacts were given last.

        `unknown` are contacts that have to be UNKNOWN.
        """
        found = []
        for program in self._subscribers:
            for contact in program.contacts:
                is_told = program.picture.get(contact, "not told")
                right = UNKNOWN if contact in unknown else self._truth.now(contact)
                if is_told != right:
                    found.append(f"{program.name}: {contact} is {is_told} instead of {right}")
        return found

    def _use(self, name: str) -> _Use:
        listener = Listener(name, self._truth, self._promise, self.figures)
        return _Use(self.figures, self._live, self._now, listener, self._pace)

    async def _keep(self, program: _Poller | _Subscriber) -> None:
        """Have a program begin again whenever it fails."""
        news = self._news[program.name] = asyncio.Event()
        while True:
            try:
                async with self._session() as (pws, application, user):
                    self.figures.begun += 1
                    if isinstance(program, _Poller):
                        await program.run(pws, user)
                    else:
                        await program.run(pws, application, user, self._account.callback + program.name, news)
            except BeginAnew:
                pass
            except Throttled:
                self.figures.waited += 1
            except Fault as fault:
                self.figures.faults[fault.code or 0] += 1
            except PwsError:
                self.figures.unanswered += 1
            await asyncio.sleep(self._pace.again)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[PwsClient, Session, Session]]:
        """The session of the application user, and that of the end user."""
        account = self._account
        async with account.connect() as pws:
            application = await pws.login(account.user, account.password)
            yield pws, application, await pws.login_end_user(application, account.end_user)


@contextlib.asynccontextmanager
async def listening(notified: Callable[[str], None]) -> AsyncIterator[str]:
    """An HTTP server for the endpoints of programs: the beginning of their URLs. `notified` gets the rest of each."""

    async def answer(request: web.Request) -> web.Response:
        notified(request.match_info["name"])
        return web.Response()

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class _Use:
    """What a program needs of the run."""

    figures: ProgramFigures
    live: Callable[[], Mapping[str, float]]
    now: Callable[[], float]
    listener: Listener
    pace: Pace

    def asks(self) -> Reply:
        """A request is about to be sent: the reply to it, without what it will say."""
        return Reply((), self.now(), self.now(), dict(self.live()))

    def told(self, asked: Reply, presences: Sequence[Presence]) -> Reply:
        """The reply has come."""
        self.figures.replies += 1
        states = tuple((presence.contact, str(presence.state)) for presence in presences)
        return replace(asked, states=states, arrived=self.now())


class BeginAnew(Exception):
    """A program is to begin anew."""


class _Poller:
    """Polls its contacts again and again."""

    def __init__(self, name: str, contacts: Sequence[str], use: _Use, *, rich: bool) -> None:
        self.name = name
        self.contacts = contacts
        self._use = use
        self._rich = rich

    async def run(self, pws: PwsClient, user: Session) -> None:
        """Until something fails."""
        while True:
            asked = self._use.asks()
            try:
                presences = await pws.get_polled_presence(user, self.contacts, rich=self._rich)
            except Throttled:
                self._use.figures.waited += 1
            else:
                self._use.listener.polled(self.contacts, self._use.told(asked, presences))
            await asyncio.sleep(self._use.pace.polls)


class _Subscriber:
    """Fetches when it is notified, and now and then. `picture` is what it takes for true."""

    def __init__(self, name: str, contacts: Sequence[str], use: _Use, *, rich: bool) -> None:
        self.name = name
        self.contacts = contacts
        self.picture: dict[str, str] = {}
        self.is_over = False
        self._use = use
        self._rich = rich

    async def run(self, pws: PwsClient, application: Session, user: Session, url: str, news: asyncio.Event) -> None:
        """Until something fails: the next run has another subscription, and knows nothing at first."""
        self.picture, self.is_over = {}, False
        endpoint = await pws.register_endpoint(application, url, expires=MAX_EXPIRES - 1)
        try:
            subscription = await pws.subscribe(user, endpoint, self.contacts, expires=MAX_EXPIRES)
            try:
                while True:
                    asked = self._use.asks()
                    try:
                        presences = await pws.get_subscribed_presence(user, subscription, rich=self._rich)
                    except Throttled:
                        self._use.figures.waited += 1
                        await asyncio.sleep(self._use.pace.again)
                        continue
                    self._use.listener.fetched(self.picture, self._use.told(asked, presences))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._use.pace.fetches):
                            await news.wait()
                    news.clear()
                    if self.is_over:
                        raise BeginAnew
            finally:
                with contextlib.suppress(PwsError):
                    await pws.unsubscribe(user, subscription)
        finally:
            with contextlib.suppress(PwsError):
                await pws.unregister_endpoint(application, endpoint)

    def check(self) -> None:
        """Hold the picture against the truth, as one of which no notification has come."""
        self._use.listener.waits(self.picture, self._use.now())
