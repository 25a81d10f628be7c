"""What has to be done before a program's call can be carried out: the only places where a call waits for somebody else.

A poll of contacts that are not live asks the presence server, together with other polls of the same moment. A contact
that is subscribed to or polled and is watched by nobody is watched from then on, where the configuration says so. An
endpoint's host is looked up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pws_soap.models import MAX_CONTACT_LENGTH, is_contact
from pws_soap.server import Refused, Watcher
from pws_soap.server import messages as m
from pws_soap.server.node.operations import Node
from pws_soap.server.node.registry import Registry, Subscription
from service.core.clock import Clock
from service.core.engine import Engine, NoSuchEndUser, NotAvailable
from service.core.presence.records import Record
from service.facade.caller import CALLER
from service.facade.endpoints import EndpointRules, NotReachable
from service.facade.settings import FacadeSettings
from service.facade.world import FacadeWorld

MOST_READ: Final = 1000
"""Contacts of one poll that are read from the presence server; a poll of more that are not live is told to wait."""
MOST_WAITING: Final = 20_000
"""Contacts that all polls together wait for; further polls are told to wait. Each is looked at again and again."""
IN_VAIN: Final = 10.0
"""Seconds for which who is told as UNKNOWN is not read again for the sake of a poll; the service goes on trying."""
SETTLING: Final = 5.0
"""Seconds that a poll waits for contacts that were read and are not live yet."""
STEP: Final = 500
"""Contacts of a poll that are looked at in one turn of the event loop, before anything is decided."""
DOCUMENTS: Final = 100
"""Documents that are looked at in one turn of the event loop."""
PAUSE: Final = 0.25
"""Seconds between two looks at contacts that are read already, and not live yet."""
MAX_URL: Final = 2048
"""Characters of an endpoint's URL, which is kept as long as the endpoint."""
_NAMED: Final = 3

log = logging.getLogger("pws.facade")


class FacadePreparation:
    """Gets ready for calls (`pws_soap.server.Preparation`). `read` counts the polls that had to ask the server."""

    def __init__(
        self, settings: FacadeSettings, world: FacadeWorld, engine: Engine, rules: EndpointRules, clock: Clock
    ) -> None:
        self._settings = settings
        self._world = world
        self._engine = engine
        self._rules = rules
        self._clock = clock
        self._watched_more = 0
        self._waiting = 0
        """Contacts that polls wait for now."""
        self._in_vain: dict[str, float] = {}
        """Contacts that are told as UNKNOWN, by key, and when the server was asked for them."""
        self.node: Node | None = None
        """The node whose calls are prepared; set once it is there."""
        self.catch_up: Callable[[Subscription, Watcher], object] = lambda _subscription, _watcher: None
        """Has all pending that a subscription was not told of yet; set once there is who knows."""
        self.read_through = 0
        """Polls for which the presence server had to be asked."""

    async def prepare(self, call: m.SessionCall, watcher: Watcher) -> None:
        """See `Preparation`."""
        _check_lengths(call)
        match call:
            case m.GetPolledPresence():
                has_added = await self._watch_more(call.contacts, watcher)
                await self._read_through(call.contacts, watcher, has_added=has_added)
                await self._prepare_documents(call.type, call.contacts, watcher)
            case m.GetSubscribedPresence():
                await self._prepare_fetch(call, watcher)
            case m.Subscribe(contacts=contacts) if contacts:
                self._check_room(contacts, watcher)
                await self._watch_more(contacts, watcher)
            case m.RegisterEndPoint(url=url, endpoint=0) if url and not any(map(str.isspace, url)):
                await self._check_endpoint(url, watcher)
            case _:
                pass

    # --- polls

    async def _read_through(self, contacts: Sequence[str], watcher: Watcher, *, has_added: bool) -> None:
        """Have those read that are not live. Refuses with 210 where the server cannot be asked.

        What was read and is not live all the same (its document cannot be read) is waited for, and told as UNKNOWN
        where it has been so for long.
        """
        waiting: list[Record] = []
        for start in range(0, len(contacts), STEP):  # the last look at all of them is in one turn, this one need not be
            waiting += self._not_live(contacts[start : start + STEP], watcher)
            if start:
                await asyncio.sleep(0)
        if not waiting:
            return
        if len(waiting) > MOST_READ:
            raise Refused(210, f"{len(waiting)} of the contacts are not live, and {MOST_READ} are read at once.")
        if not has_added and all(map(self._was_read_in_vain, waiting)):
            return
        if self._waiting + len(waiting) > MOST_WAITING:
            raise Refused(210, f"Other polls wait for {self._waiting} contacts already.")
        self.read_through += 1
        self._waiting += len(waiting)
        try:
            await self._wait_for(waiting, watcher, has_added=has_added)
        finally:
            self._waiting -= len(waiting)

    async def _wait_for(self, waiting: Sequence[Record], watcher: Watcher, *, has_added: bool) -> None:
        """Until they are live, or told as UNKNOWN. Refuses with 210 where that takes too long."""
        patience = self._settings.read_patience if has_added else min(SETTLING, self._settings.read_patience)
        deadline = self._clock.monotonic() + patience
        contacts = [record.contact for record in waiting]
        if not has_added:
            await self._read(waiting, contacts, watcher)
        while waiting := self._not_live(contacts, watcher):
            if not has_added:
                self._check_feeds(waiting)
            if all(map(self._world.is_given_up, waiting)):
                self._remember_in_vain(waiting)
                return
            if self._clock.monotonic() >= deadline:
                raise Refused(210, f"{_named(waiting)} cannot be told yet.")
            await self._clock.sleep(PAUSE)

    def _was_read_in_vain(self, record: Record) -> bool:
        """Whether it is told as UNKNOWN, and the presence server was asked a moment ago: programs that poll somebody
        who cannot be read must not have the server asked each time."""
        at = self._in_vain.get(record.key)
        return at is not None and self._clock.monotonic() < at + IN_VAIN and self._world.is_given_up(record)

    def _remember_in_vain(self, waiting: Sequence[Record]) -> None:
        now = self._clock.monotonic()
        if len(self._in_vain) > MOST_READ:
            self._in_vain = {key: at for key, at in self._in_vain.items() if now < at + IN_VAIN}
        self._in_vain.update((record.key, now) for record in waiting)

    async def _read(self, waiting: Sequence[Record], contacts: Sequence[str], watcher: Watcher) -> None:
        """Ask the presence server for them, once."""
        self._check_feeds(waiting)
        doubts = {record.key: record.doubt for record in waiting}
        cannot = f"The presence server cannot be asked for {_named(waiting)} now."
        try:
            async with asyncio.timeout(self._settings.read_patience):
                report = await self._engine.read([record.contact for record in waiting])
        except (NotAvailable, TimeoutError):
            raise Refused(210, cannot) from None
        if report.failures and any(
            record.doubt is doubts.get(record.key, record) for record in self._not_live(contacts, watcher)
        ):
            raise Refused(210, cannot)

    def _check_feeds(self, waiting: Sequence[Record]) -> None:
        """Refuse where nothing can become live by being read."""
        if any(map(self._world.has_feed_doubt, waiting)):
            raise Refused(210, f"The presence server does not keep {_named(waiting)} up to date now.")

    def _not_live(self, contacts: Iterable[str], watcher: Watcher) -> list[Record]:
        """The records of those that could not be told now."""
        found: dict[str, Record] = {}
        for contact in contacts:
            record = self._world.visible(contact, watcher.application_user)
            if record is not None and not self._world.is_live(record):
                found[record.key] = record
        return list(found.values())

    # --- whom nobody watches

    async def _watch_more(self, contacts: Sequence[str], watcher: Watcher) -> bool:
        """Have those watched that nobody watches, for a program that sees all contacts; whether there were any."""
        if not self._settings.watch_more or not self._world.sees_all(watcher.application_user):
            return False
        room = self._settings.max_watch_more - self._watched_more
        more = [each for each in dict.fromkeys(contacts) if self._world.is_unwatched(each) and is_contact(each)]
        if len(more) > room:
            log.warning(
                "facade: %(contacts)d contacts are watched by nobody and stay UNKNOWN: %(limit)d were added already",
                {
                    "contacts": len(more) - room,
                    "limit": self._settings.max_watch_more,
                    "user": watcher.application_user,
                },
                extra={"event": "facade.contacts-left-out"},
            )
            more = more[:room]
        if not more:
            return False
        try:
            added = self._engine.watch(more, watcher.user)
        except NoSuchEndUser:
            added = self._engine.watch(more, None)
        self._watched_more += len(added)
        log.info(
            "facade: %(contacts)d contacts are watched from now on, since %(user)s asks for them: %(names)s",
            {"contacts": len(added), "user": watcher.application_user, "names": ", ".join(added[:_NAMED])},
            extra={"event": "facade.contacts-added"},
        )
        await self._engine.followed()
        return True

    # --- rich documents

    async def _prepare_documents(self, kind: m.PresenceType, contacts: Sequence[str], watcher: Watcher) -> None:
        """Refuse RICH of somebody of whom there is no document, with code 110; have those written that are new."""
        if kind != "RICH_PRESENCE":
            return
        for number, contact in enumerate(contacts, 1):
            record = self._world.visible(contact, watcher.application_user)
            if record is not None and self._world.is_basic(record):
                raise Refused(
                    110,
                    f"{record.contact} is watched with BASIC_PRESENCE, so that there is no document of it: ask for "
                    "BASIC_PRESENCE, or have presence_type of its [[watch]] block set to RICH_PRESENCE.",
                )
            if record is not None:
                self._world.write(record)
            if number % DOCUMENTS == 0:
                await asyncio.sleep(0)

    # --- fetches

    async def _prepare_fetch(self, call: m.GetSubscribedPresence, watcher: Watcher) -> None:
        """Have pending what has changed until this very moment, and its documents written."""
        subscription = self._registry.subscriptions.get(call.subscription)
        if subscription is None or self._registry.sessions[subscription.session].watcher != watcher:
            return
        self.catch_up(subscription, watcher)
        if call.type == "RICH_PRESENCE":
            pending = [subscription.contacts[key] for key in subscription.pending]
            await self._prepare_documents(call.type, pending, watcher)
            self.catch_up(subscription, watcher)

    # --- room, and where endpoints are

    def _check_room(self, contacts: Sequence[str], watcher: Watcher) -> None:
        """Refuse with 211 where a façade user would have too many contacts in its subscriptions."""
        registry = self._registry
        taken = sum(
            len(subscription.contacts)
            for application in registry.applications_of(watcher.application_user)
            for session in registry.sessions_of(application.key)
            for subscription in registry.subscriptions_of(session.key)
        )
        most = self._settings.max_contacts
        if taken + len(contacts) > most:
            raise Refused(211, f"{watcher.application_user} has {taken} contacts in its subscriptions; {most} may be.")

    async def _check_endpoint(self, url: str, watcher: Watcher) -> None:
        caller = CALLER.get()
        try:
            await self._rules.target(url, caller.address)
        except NotReachable as why:
            log.warning(
                "facade: an endpoint of %(user)s is refused: %(why)s",
                {"user": watcher.application_user, "address": caller.address, "why": str(why)},
                extra={"event": "facade.endpoint-refused"},
            )
            raise Refused(209, f"Nothing can be sent to it: {why} (facade.endpoints).") from None

    @property
    def _registry(self) -> Registry:
        if self.node is None:
            raise RuntimeError("the node whose calls are prepared is not set")
        return self.node.registry


def _check_lengths(call: m.SessionCall) -> None:
    """Refuse what would be kept and is too long, with the code for what is not valid about it."""
    match call:
        case m.GetPolledPresence(contacts=contacts) | m.Subscribe(contacts=contacts):
            if contacts and max(map(len, contacts)) > MAX_CONTACT_LENGTH:
                raise Refused(124, f"It has more than {MAX_CONTACT_LENGTH} characters.")
        case m.RegisterEndPoint(url=url, endpoint=0):
            if url and len(url) > MAX_URL:
                raise Refused(209, f"Its URL has more than {MAX_URL} characters.")
        case _:
            pass


def _named(records: Sequence[Record]) -> str:
    names = ", ".join(record.contact for record in records[:_NAMED])
    return names if len(records) <= _NAMED else f"{names} and {len(records) - _NAMED} more"
