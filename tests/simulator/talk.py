"""Shared by the simulator's tests: a node asked without XML, replies read by hand, a clock that stands still."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from pws_soap.server import messages as m
from pws_soap.server.messages import Request
from pws_soap.simulator import Options, Presence, SimReply, Simulator, State, World
from pws_soap.simulator.office.source import WorldPresence
from tests.support.soap_by_hand import (
    ANN,
    JOE,
    PWS,
    RITA,
    URL,
    envelope,
    login,
    login_end_user,
    register,
    subscribe,
)


class DirectSimulator:
    """One node that is asked directly: `ask` gives the reply, `notifications` keeps those that it wants to send."""

    def __init__(self, options: Options | None = None, *, nodes: tuple[str, ...] = ("imp1",)) -> None:
        self.options = options or Options()
        world = World(
            [Presence(contact, State.AVAILABLE, contact.partition("@")[0].title()) for contact in (ANN, JOE, RITA)],
            case_sensitive=self.options.case_sensitive_contacts,
        )
        self.simulator = Simulator(self.options, nodes=nodes, world=world, seed=7)
        self._presence = WorldPresence(world, self.options.domain, on_set=lambda contact: None)
        self.now = 1_000_000.0
        self.notifications: list[m.Notification] = []

    @property
    def world(self) -> World:
        return self.simulator.world

    def ask(self, call: m.Call, key: str | None = None, node: str = "imp1") -> m.Reply:
        """The node's reply to a call."""
        operation = type(call).__name__
        request = Request(operation=operation[0].lower() + operation[1:], key=key, call=call)
        outcome = self.simulator.place(node).node.handle(request, self.now)
        self.notifications.extend(outcome.notifications)
        if outcome.presence_set is not None:
            asyncio.run(
                self._presence.set_presence(
                    outcome.presence_set.user, outcome.presence_set.manual, outcome.presence_set.sent
                )
            )
        return outcome.reply

    def code(self, call: m.Call, key: str | None = None, node: str = "imp1") -> int | None:
        """The code with which the node refuses a call, None if it doesn't."""
        reply = self.ask(call, key, node)
        return reply.code if isinstance(reply, m.Refusal) else None

    def application(self, *, name: str = "pwsapp", force: bool = False, node: str = "imp1") -> str:
        """Log an application user in; its key."""
        return key_of(self.ask(m.Login(name, password="secret", force=force), node=node))

    def end_user(self, application: str, name: str = "dispatcher", *, force: bool = False, node: str = "imp1") -> str:
        """Log an end user in; its key."""
        return key_of(self.ask(m.Login(name, app_session=application, force=force), node=node))

    def endpoint(self, application: str, url: str = URL, expiration: int = 3600) -> int:
        """Register an endpoint; its id."""
        reply = self.ask(m.RegisterEndPoint(url, 0, expiration), application)
        assert isinstance(reply, m.EndPoint), reply
        return reply.id

    def subscription(self, user: str, endpoint: int, *contacts: str, expiration: int = 3600) -> int:
        """Subscribe; its id."""
        reply = self.ask(m.Subscribe(contacts or (ANN, JOE), endpoint, 0, expiration), user)
        assert isinstance(reply, m.Subscribed), reply
        return reply.id

    def ready(self) -> tuple[str, str, int, int]:
        """Keys of an application and an end user, an endpoint, and a subscription to Ann and Joe."""
        application = self.application()
        user = self.end_user(application)
        endpoint = self.endpoint(application)
        return application, user, endpoint, self.subscription(user, endpoint)

    def change(self, contact: str, state: State) -> tuple[m.Notification, ...]:
        """Change a contact; what the node wants to send for it."""
        self.world.change(contact, self.now, {"state": state})
        return self.simulator.place("imp1").node.contacts_changed([contact], self.now)

    def fetch(self, user: str, subscription: int) -> dict[str, State]:
        """Fetch a subscription: contacts and their basic states."""
        reply = self.ask(m.GetSubscribedPresence(subscription), user)
        assert isinstance(reply, m.PresenceList), reply
        return {presence.contact: presence.basic for presence in reply.contacts}


def key_of(reply: m.Reply) -> str:
    """The session key in a reply."""
    assert isinstance(reply, m.LoggedIn), reply
    return reply.key


# Over the wire


@dataclass(frozen=True)
class Read:
    """A reply that was read without the client's code."""

    status: int
    root: etree._Element

    @property
    def code(self) -> int | None:
        """The code of a fault."""
        found = self.root.find(".//{*}description/{*}code")
        return None if found is None else int(found.text or 0)

    def text(self, name: str) -> str:
        """The text of the first element of that name."""
        found = self.root.find(f".//{{*}}{name}")
        assert found is not None, etree.tostring(self.root)
        return found.text or ""

    @property
    def states(self) -> dict[str, str]:
        """Contacts of a basic list."""
        return {c.get("contactURI", ""): c.get("presenceStatus", "") for c in self.root.iter(f"{{{PWS}}}contact")}


async def post(simulator: Simulator, body: str, key: str | None = None, *, node: str = "imp1") -> Read:
    """Send a body by hand, in process."""
    return read(await simulator.post(node, {}, envelope(body, key)))


def read(reply: SimReply) -> Read:
    """Read a reply."""
    return Read(reply.status, etree.fromstring(reply.body))


async def ready(simulator: Simulator) -> tuple[str, str]:
    """Keys of an application and an end user with endpoint 1 and subscription 1 to Ann and Joe, over the wire."""
    application = (await post(simulator, login())).text("session-key")
    user = (await post(simulator, login_end_user(application))).text("session-key")
    assert (await post(simulator, register(), application)).text("endPointID") == "1"
    assert (await post(simulator, subscribe(ANN, JOE), user)).text("subscriptionID") == "1"
    return application, user


class StillClock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._number = 0
        self.asleep = asyncio.Event()
        """Set once somebody sleeps."""

    def __call__(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Sleep until `advance` has come so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        event = asyncio.Event()
        self._number += 1
        heapq.heappush(self._sleepers, (self.time + seconds, self._number, event))
        self.asleep.set()
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking sleepers one after the other."""
        end = self.time + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.time, _, event = heapq.heappop(self._sleepers)
            event.set()
            await settle()
        self.time = end


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Callback:
    """An endpoint in process: keeps the urls that were called."""

    def __init__(self, *, answers: bool = True) -> None:
        self.urls: list[str] = []
        self.answers = answers

    async def __call__(self, url: str) -> bool:
        self.urls.append(url)
        return self.answers

    @property
    def ids(self) -> list[int]:
        """The subscription ids, in the order of arrival."""
        return [int(url.partition("id=")[2].partition("&")[0]) for url in self.urls]


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by its name, whatever its case."""
    return {key.lower(): value for key, value in headers.items()}.get(name.lower())
