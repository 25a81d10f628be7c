"""The façade put together: the protocol half of `pws_soap.server` over the world of this service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from pws_soap.server import Delivery, PresenceWebService, ServerOptions, SoapApp
from pws_soap.server.http.app import send_in_pieces
from pws_soap.server.messages import OPERATIONS, Notification
from service.access.audit import AuditLog
from service.core.engine import Engine, PresenceSetter
from service.core.facade import SHOWN, FacadeLimits, FacadeStatus
from service.core.wiring import Core
from service.facade.accounts import UserAccounts
from service.facade.announcer import Announcer
from service.facade.bodies import BodyBudget
from service.facade.caller import CALLER, Caller
from service.facade.endpoints import EndpointRules, NotReachable
from service.facade.guard import Guard
from service.facade.notifier import Notifier
from service.facade.preparation import FacadePreparation
from service.facade.programs import Programs
from service.facade.settings import FacadeSettings, FacadeUser
from service.facade.world import FacadeWorld

IDLE: Final = 90_000.0
"""Seconds without a request after which a session ends: longer than any subscription lives without one."""
LOOK: Final = 15.0
"""Seconds between two looks at who has gone silent."""
NAME: Final = "facade"
_UNREADABLE: Final = "unreadable"
"""By which the server counts requests that are none."""
_DIGITS: Final = 18
"""Digits of a Content-Length that are read."""
_UNPACKED: Final = 1032
"""Bytes that one byte of gzip or deflate becomes at most."""

log = logging.getLogger("pws.facade")

# ASGI's own shapes: mappings of whatever the event holds.
Notify = Callable[[str, str | None], Awaitable[str]]
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def server_options(settings: FacadeSettings) -> ServerOptions:
    """How our server behaves where the real one is not known for sure.

    Ids increase and never come again, although the real server gives the lowest free one: a program that missed the end
    of its subscription would fetch another's with it. End users are apart for each façade user, since a program that
    has a name of its own need not know of the others.
    """
    return ServerOptions(
        session_idle_timeout=IDLE,
        held_elsewhere="share",
        ids="increasing",
        max_endpoints=settings.max_endpoints,
        max_subscriptions=settings.max_subscriptions,
        contacts_per_list=5000,
        notification_timeout=settings.notification_timeout,
        requests_per_connection=None,
        max_request_bytes=settings.max_body_bytes,
    )


class FacadeEngine(Engine, PresenceSetter, Protocol):
    """What the façade needs of the engine."""


class SoapFacade:
    """Serves the Presence Web Service (`app`) between `start` and `stop`; `status` says how it is doing.

    `notify` sends a notification to a URL that was registered from an address, and gives the reason where that failed.
    """

    def __init__(
        self,
        settings: FacadeSettings,
        core: Core,
        engine: FacadeEngine,
        audit: AuditLog | None = None,
        *,
        notify: Notify | None = None,
    ) -> None:
        self._settings = settings
        clock = core.clock
        self._clock = clock
        groups = {name: user.groups for name, user in settings.users.items()}
        self.accounts = UserAccounts(settings.users)
        setter = engine if settings.set_presence else None
        self.world = FacadeWorld(core.store, core.reader, clock, groups, settings.unsure_after, setter)
        rules = EndpointRules(settings.endpoints, clock)
        self._guard = Guard(settings, clock, audit)
        self._preparation = FacadePreparation(settings, self.world, engine, rules, clock)
        self._notifier = Notifier(rules, settings.notification_timeout)
        self._notify: Notify = notify or self._notifier.send
        self._counts: Counter[str] = Counter()
        options = server_options(settings)
        self.service = PresenceWebService(
            NAME,
            options,
            accounts=self.accounts,
            presence=self.world,
            delivery=Delivery(_never, route=self._send, counts=self._counts),
            interceptor=self._guard,
            preparation=self._preparation,
            doubts=self.world,
            clock=clock.monotonic,
            on_refusal=self._guard.refused,
        )
        self._guard.node = self._preparation.node = self.service.node
        self.programs = Programs(self.service.node, self._guard, clock, settings.silent_after)
        self.announcer = Announcer(self.world, self.service, core.store, core.log, clock)
        self._preparation.catch_up = self.announcer.catch_up
        self._soap = SoapApp(self.service, send_reply=send_in_pieces, address=settings.address)
        self._bodies = BodyBudget()
        self._tasks: list[asyncio.Task[None]] = []

    async def app(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] == "http":
            client = scope.get("client")
            agent = next((value for name, value in scope["headers"] if name == b"user-agent"), None)
            caller = Caller.of(None if client is None else str(client[0]), agent)
            CALLER.set(caller)
            address, length = caller.address or "", self._length(scope)
            if not self._bodies.has_room(address, length):
                await self._soap.refuse(212, "Too many long requests are being read.", receive, send)
                return
            with self._bodies.held(address, length):
                await self._soap(scope, receive, send)
            return
        await self._soap(scope, receive, send)

    def _length(self, scope: _Scope) -> int:
        """Bytes that the body may have when it is read; 0 where it is announced to be longer than is read at all."""
        most, length, is_packed = self._settings.max_body_bytes, 0, False
        for name, value in scope["headers"]:
            if name == b"content-encoding":
                is_packed = value.strip().lower() not in (b"", b"identity")
            elif name == b"content-length" and value.isdigit() and len(value) < _DIGITS:
                length = int(value)
        if length > most:
            return 0
        return min(most, _UNPACKED * length) if is_packed else length

    def start(self) -> None:
        """Begin to tell programs what happens, in the running event loop."""
        self._notifier.open()
        self._tasks = [
            asyncio.create_task(self.announcer.run(), name="facade news"),
            asyncio.create_task(self._look(), name="facade programs"),
        ]

    async def stop(self) -> None:
        """Tell nothing more, and close all connections."""
        self.announcer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._notifier.aclose()
        await self.service.aclose()

    def reload(self, users: Mapping[str, FacadeUser]) -> None:
        """These are the users from now on. Who is none any more, or has another password, is logged out.

        Who sees other groups than before is told of all contacts anew.
        """
        before, registry = self.accounts.users, self.service.node.registry
        self.accounts.users = users
        for user in self.world.limit({name: each.groups for name, each in users.items()}):
            for application in registry.applications_of(user):
                for session in registry.sessions_of(application.key):
                    for subscription in registry.subscriptions_of(session.key):
                        subscription.pending.update(dict.fromkeys(subscription.contacts))
                        self.service.keys_settled(list(subscription.contacts)[:1])
        for session in list(registry.sessions.values()):
            now, then = users.get(session.application_user), before.get(session.application_user)
            is_same = now is not None and then is not None and now.password == then.password
            if not is_same or not (session.is_application or now is None or now.may_be(session.user)):
                registry.end_session(session.key)

    def status(self, *, programs: int = SHOWN) -> FacadeStatus:
        """See `core.facade.Facade`."""
        registry = self.service.node.registry
        registry.expire(self._clock.monotonic())
        counters = self.service.counters
        settings = self._settings
        found = self.programs.status(self.accounts.users, programs)
        return FacadeStatus(
            settings.address,
            len(registry.sessions),
            len(registry.endpoints),
            len(registry.subscriptions),
            found.silent,
            len(self.world.unsure),
            FacadeLimits(settings.max_sessions, settings.max_endpoints, settings.max_subscriptions),
            found.users,
            found.some,
            found.in_all,
            {operation: counters.requests[operation] for operation in (*OPERATIONS, _UNREADABLE)},
            dict(counters.faults),
            dict(self._counts),
            self._preparation.read_through,
        )

    async def _send(self, notification: Notification, send: Callable[[Notification], Awaitable[None]]) -> None:
        """Send a notification, once (`NotificationRoute`)."""
        try:
            problem = await self._notify(notification.url, self._guard.registered_from.get(notification.endpoint))
        except NotReachable as why:
            problem, outcome = str(why), "refused"
        else:
            outcome = "failed" if problem else "sent"
        self._counts[outcome] += 1
        self.programs.notified(notification.subscription, problem, outcome)

    async def _look(self) -> None:
        """Look now and then who has gone silent."""
        while True:
            await self._clock.sleep(LOOK)
            with contextlib.suppress(Exception):
                self.programs.look()


async def _never(_url: str) -> bool:
    """Notifications go by `SoapFacade._send`."""
    return False
