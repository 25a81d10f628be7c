"""Programs that speak SOAP all the time and check what they are told: some poll, some are notified and fetch.

They do what a program should: log in again when the session is gone, wait when told to, begin anew when a fetch may
have taken changes along. Against a façade they are what it is for; against a presence server they check the checkers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from benchmarks.told import Listener, Promise, Reply, ToldFigures
from benchmarks.truth import Truth, seconds
from pws_soap import PwsClient
from pws_soap.errors import Fault, PwsError, Throttled
from pws_soap.models import Presence, Session

BETWEEN_POLLS: Final = 0.3
BETWEEN_FETCHES: Final = 2.0
"""Seconds without a notification after which a program fetches all the same: it may have been lost."""
PAUSE: Final = 0.2
"""Seconds after which a program that failed begins again."""
PATIENCE: Final = 30.0
"""Seconds for one request: longer than a façade asks its server for."""


@dataclass(frozen=True)
class Account:
    """How programs log in at a server."""

    url: str
    user: str
    password: str
    end_user: str


@dataclass
class ProgramFigures(ToldFigures):
    """And how it went: times that a program had to wait (210, 212), other faults, requests that nobody answered."""

    replies: int = 0
    waited: int = 0
    begun: int = 0
    faults: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    notifications: int = 0


class Programs:
    """All programs of a run, in front of one server."""

    def __init__(self, account: Account, truth: Truth, promise: Promise) -> None:
        self.figures = ProgramFigures()
        self._as_of: dict[str, float] = {}
        self._account = account
        self._truth = truth
        self._promise = promise
        self._subscribers: list[_Subscriber] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._news: dict[str, asyncio.Event] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self, all_of_them: Sequence[str], rich: Sequence[str]) -> None:
        """Two that poll and two that fetch: all contacts as BASIC presence, and `rich` as RICH presence."""
        app = web.Application()
        app.router.add_get("/{name}", self._notified)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        for name, contacts, is_rich in (("basic", all_of_them, False), ("rich", rich, True)):
            polling = _Poller(f"{name} poll", contacts, self._use(f"{name} poll"), rich=is_rich)
            fetching = _Subscriber(f"{name}-fetch", contacts, self._use(f"{name} fetch"), rich=is_rich)
            self._subscribers.append(fetching)
            self._tasks += [asyncio.create_task(self._keep(program)) for program in (polling, fetching)]

    async def stop(self) -> None:
        """End them, and log out what they have."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    def saw(self, contacts: Iterable[Mapping[str, Any]]) -> None:  # Any: JSON
        """The service itself was asked: as of when each contact is live. What is told from now on is not older."""
        for contact in contacts:
            if contact["freshness"] == "live":
                self._as_of[contact["contact"]] = seconds(contact["as_of"])

    def found(self) -> dict[str, Any]:  # Any: JSON
        """The figures as plain values."""
        figures = self.figures
        return {
            "replies": figures.replies,
            "states": figures.states,
            "by_as_of": figures.by_as_of,
            "oldest_s": round(figures.oldest, 1),
            "pictures": figures.pictures,
            "unknown": figures.unknown,
            "waited": figures.waited,
            "begun": figures.begun,
            "notifications": figures.notifications,
            "unanswered": figures.unanswered,
            "faults": dict(sorted(figures.faults.items())),
            "wrong": len(figures.wrong),
            "examples": figures.wrong[:10],
        }

    def differences(self) -> list[str]:
        """What programs that fetch take for true, and is not what the contacts were given last."""
        return [
            f"{program.name}: {contact} is {program.picture.get(contact, 'not told')} "
            f"instead of {self._truth.now(contact)}"
            for program in self._subscribers
            for contact in program.contacts
            if program.picture.get(contact) != self._truth.now(contact)
        ]

    def _use(self, name: str) -> _Use:
        return _Use(self.figures, self._as_of, Listener(name, self._truth, self._promise, self.figures))

    async def _keep(self, program: _Poller | _Subscriber) -> None:
        """Have a program begin again whenever it fails."""
        news = self._news[program.name] = asyncio.Event()
        while True:
            try:
                async with _session(self._account) as (pws, application, user):
                    self.figures.begun += 1
                    if isinstance(program, _Poller):
                        await program.run(pws, user)
                    else:
                        url = f"http://127.0.0.1:{self._port}/{program.name}"
                        await program.run(pws, application, user, url, news)
            except Throttled:
                self.figures.waited += 1
            except Fault as fault:
                self.figures.faults[fault.code or 0] += 1
            except PwsError:
                self.figures.unanswered += 1
            await asyncio.sleep(PAUSE)

    async def _notified(self, request: web.Request) -> web.Response:
        self.figures.notifications += 1
        if (news := self._news.get(request.match_info["name"])) is not None:
            news.set()
        return web.Response()


@contextlib.asynccontextmanager
async def _session(account: Account) -> AsyncIterator[tuple[PwsClient, Session, Session]]:
    """A session of its own for each beginning, as `force` gives it."""
    async with PwsClient(account.url, read_timeout=PATIENCE) as pws:
        application = await pws.login(account.user, account.password)
        yield pws, application, await pws.login_end_user(application, account.end_user)


@dataclass(frozen=True)
class _Use:
    """What a program needs of the run."""

    figures: ProgramFigures
    as_of: Mapping[str, float]
    listener: Listener

    def reply(self, asked: float, as_of: Mapping[str, float], presences: Sequence[Presence]) -> Reply:
        """A reply that has just come."""
        self.figures.replies += 1
        states = [(presence.contact, str(presence.state)) for presence in presences]
        return Reply(states, asked, time.time(), as_of)


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
            as_of, asked = dict(self._use.as_of), time.time()
            try:
                presences = await pws.get_polled_presence(user, self.contacts, rich=self._rich)
            except Throttled:
                self._use.figures.waited += 1
            else:
                self._use.listener.polled(self.contacts, self._use.reply(asked, as_of, presences))
            await asyncio.sleep(BETWEEN_POLLS)


class _Subscriber:
    """Fetches when it is notified, and every two seconds. `picture` is what it takes for true."""

    def __init__(self, name: str, contacts: Sequence[str], use: _Use, *, rich: bool) -> None:
        self.name = name
        self.contacts = contacts
        self.picture: dict[str, str] = {}
        self._use = use
        self._rich = rich

    async def run(self, pws: PwsClient, application: Session, user: Session, url: str, news: asyncio.Event) -> None:
        """Until something fails: the next run has another subscription, and knows nothing at first."""
        self.picture = {}
        endpoint = await pws.register_endpoint(application, url)
        try:
            subscription = await pws.subscribe(user, endpoint, self.contacts)
            try:
                while True:
                    as_of, asked = dict(self._use.as_of), time.time()
                    try:
                        presences = await pws.get_subscribed_presence(user, subscription, rich=self._rich)
                    except Throttled:
                        self._use.figures.waited += 1
                    else:
                        self._use.listener.fetched(self.picture, self._use.reply(asked, as_of, presences))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(BETWEEN_FETCHES):
                            await news.wait()
                    news.clear()
            finally:
                with contextlib.suppress(PwsError):
                    await pws.unsubscribe(user, subscription)
        finally:
            with contextlib.suppress(PwsError):
                await pws.unregister_endpoint(application, endpoint)
