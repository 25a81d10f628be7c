"""A second server, built from `pws_soap.server` alone: a board with presence in a dict, and logins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from pws_soap.server import (
    Delivery,
    HttpNotifier,
    Interceptor,
    Listener,
    ManualPresence,
    Presence,
    PresenceWebService,
    Refused,
    ServerOptions,
    SetPresence,
    SoapApp,
    State,
    Watcher,
)

HOST = "127.0.0.1"
ANN, JOE = "ann@board.example", "joe@board.example"


class Tokens:
    """Logins by token (`Accounts`): an application user's `tokens`, and the end users that each may log in."""

    def __init__(self, tokens: dict[str, str], end_users: dict[str, set[str]]) -> None:
        self._tokens = tokens
        self._end_users = end_users

    def may_log_in(self, user: str, password: str) -> bool:
        return self._tokens.get(user) == password

    def is_end_user(self, user: str, application_user: str) -> bool:
        return user in self._end_users.get(application_user, set())


class Board:
    """Presence in a dict (`PresenceSource`). A watcher sees only the notes of contacts that are not in `private`."""

    def __init__(self) -> None:
        self.people = {ANN: Presence(ANN, State.AVAILABLE, "Ann", note="at her desk"), JOE: Presence(JOE, State.AWAY)}
        self.private: dict[str, set[str]] = {}
        self.asked: list[Watcher] = []
        self.set_by: list[tuple[str, State | None]] = []

    def contact_key(self, contact: str) -> str:
        return contact.lower()

    def presence_of(self, contact: str, watcher: Watcher) -> Presence:
        self.asked.append(watcher)
        known = self.people.get(contact.lower())
        if known is None or contact.lower() in self.private.get(watcher.user, set()):
            return Presence(contact, State.UNKNOWN)
        return known

    async def set_presence(self, user: str, manual: ManualPresence | None, sent: SetPresence) -> None:
        """Only the dispatcher may; another end user gets code 120."""
        await asyncio.sleep(0)
        if user != "dispatcher":
            raise Refused(120)
        self.set_by.append((user, manual.state if manual is not None else None))


@dataclass
class ServedBoard:
    """The server while it listens."""

    board: Board
    service: PresenceWebService
    url: str

    def change(self, contact: str, state: State) -> None:
        """Change a contact's state, and notify."""
        self.board.people[contact] = Presence(contact, state)
        self.service.contacts_changed([contact])


@asynccontextmanager
async def served_board(
    options: ServerOptions | None = None, interceptor: Interceptor | None = None
) -> AsyncIterator[ServedBoard]:
    """Serve a board on loopback; the application users are `wall` (token `brick`) and `spare` (token `stone`)."""
    board = Board()
    notifier = HttpNotifier(timeout=30)
    notifier.open()
    service = PresenceWebService(
        "board",
        options,
        accounts=Tokens({"wall": "brick", "spare": "stone"}, {"wall": {"dispatcher", "guest"}}),
        presence=board,
        delivery=Delivery(notifier.get),
        interceptor=interceptor,
    )
    listener = Listener(SoapApp(service), HOST, 0, server="board")
    await listener.open()
    try:
        yield ServedBoard(board, service, f"http://{HOST}:{listener.port}")
    finally:
        await listener.aclose()
        await service.aclose()
        await notifier.aclose()


@dataclass
class Endpoint:
    """A client's endpoint on loopback: `url` is where it listens, `notified` holds the queries that came."""

    url: str = ""
    notified: asyncio.Queue[dict[str, str]] = field(default_factory=asyncio.Queue)

    async def next(self) -> dict[str, str]:
        """The next notification."""
        async with asyncio.timeout(30):
            return await self.notified.get()


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    """Listen for notifications."""
    found = Endpoint()

    async def notified(request: web.Request) -> web.Response:
        found.notified.put_nowait(dict(request.query))
        return web.Response()

    app = web.Application()
    app.router.add_get("/presence", notified)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        found.url = f"http://{host}:{port}/presence"
        yield found
    finally:
        await runner.cleanup()
