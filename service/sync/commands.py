"""Carries out one command of the lifecycle: sends its requests and says as an event how they ended.

The clients of the nodes, the sessions with their keys, and the contacts that the server refuses are held here and
nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.errors import ArgumentError, Fault, PartlySubscribed, PwsError, Redirected
from pws_soap.lifecycle import Act, Command, Event, Failure, FailureKind, Key, Kind, Resource, failure_of
from pws_soap.models import Secret, Session, Subscription
from service.core.callback_url import at_node
from service.core.clock import Clock
from service.core.meter import NO_METER, Meter
from service.sync.needed_right import renewing

log = logging.getLogger("pws.lifecycle")

_BAD_CONTACT: Final = frozenset({124, 143, 147, 148})
_NOT_IN_SUBSCRIPTION: Final = 144


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are, and where the server reaches us: `callback` is the base URL with the secret path."""

    username: str
    password: Secret = field(repr=False)
    callback: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefusedContact:
    """Why a contact is left out of the subscription `key`, and since when on the monotonic clock."""

    key: Key
    why: str
    since: float


class CommandRunner:
    """Carries out commands, each in a task of its own.

    `connect` makes the client of a node; `resources` gives what the lifecycle knows at the moment of the call; `hide`
    is called with each new session key. `is_handed_over` says whether a session is one that another process has handed
    over, by its key.
    """

    def __init__(
        self,
        credentials: Credentials,
        connect: Callable[[str], PwsClient],
        clock: Clock,
        resources: Callable[[], Mapping[Key, Resource]],
        meter: Meter = NO_METER,
        *,
        hide: Callable[[Secret], object] = lambda _secret: None,
        is_handed_over: Callable[[Key, Secret], bool] = lambda _key, _secret: False,
    ) -> None:
        self._credentials = credentials
        self._connect = connect
        self._clock = clock
        self._resources = resources
        self._meter = meter
        self._hide = hide
        self._is_handed_over = is_handed_over
        self._clients: dict[str, PwsClient] = {}
        self._sessions: dict[Key, Session] = {}
        self.ever_logged_in = False
        self.refused: dict[str, RefusedContact] = {}
        """Contacts that the server refuses. They are in no subscription."""

    def client(self, node: str) -> PwsClient:
        """The client of a node, made when it is first needed."""
        client = self._clients.get(node)
        if client is None:
            client = self._clients[node] = self._connect(node)
        return client

    def session(self, key: Key) -> Session | None:
        """The session under that key, if there is one."""
        return self._sessions.get(key)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()

    async def run(self, command: Command) -> Event:
        """Send the command's requests; how they ended. Raises nothing but cancellation."""
        event: Event
        log.debug(
            "%(resource)s: %(action)s",
            {"resource": name_of(command.key), "action": command.act},
            extra={"event": "resource.command"},
        )
        try:
            with renewing() if command.act is Act.RENEW else nullcontext():
                event = await self._send(command)
        except Redirected as error:
            event = lifecycle.LoginRedirected(command.key, command.seq, error.primary, error.backup)
        except PwsError as error:
            event = lifecycle.Failed(command.key, command.seq, failure_of(error))
        except Exception:  # a bug must not leave a request without a result: the lifecycle would wait for it for ever
            log.exception(
                "%(action)s %(resource)s: unexpected error",
                {"action": command.act, "resource": name_of(command.key)},
                extra={"event": "internal.error"},
            )
            event = internal_error(command)
        self._count(command, event)
        if command.leftover:
            failure = event.failure if isinstance(event, lifecycle.Failed) else None
            event = lifecycle.Removed(command.seq, failure)
        return event

    def _count(self, command: Command, event: Event) -> None:
        failure = event.failure if isinstance(event, lifecycle.Failed | lifecycle.Succeeded) else None
        kind = "redirected" if isinstance(event, lifecycle.LoginRedirected) else "" if failure is None else failure.kind
        self._meter.command_ended(command.key.kind, command.act, kind, None if failure is None else failure.code)

    async def _send(self, command: Command) -> Event:
        key = command.key
        asked_at = self._clock.monotonic()
        client = self.client(key.node)
        done = lifecycle.Succeeded(key, command.seq, asked_at)
        if command.act is Act.MAKE and key.kind is Kind.APPLICATION:
            credentials = self._credentials
            session = await client.login(credentials.username, credentials.password, force=command.force)
            self._keep_session(command, session)
            self.ever_logged_in = True
            return self._begun(command, session, asked_at)
        kind = Kind.APPLICATION if key.kind in {Kind.ENDPOINT, Kind.APPLICATION} else Kind.END_USER
        making_user = command.act is Act.MAKE and key.kind is Kind.END_USER
        owner = Key(Kind.APPLICATION, key.node) if making_user else Key(kind, key.node, key.user)
        held = self._sessions.get(owner)
        if held is None:
            return lifecycle.Failed(key, command.seq, Failure(FailureKind.SESSION_LOST, "no session"))
        match key.kind:
            case Kind.APPLICATION:
                await client.logout(held)
                self._drop_session(key, held)
                return done
            case Kind.END_USER:
                return await self._end_user(client, command, held, asked_at)
            case Kind.ENDPOINT:
                return await self._endpoint(client, command, held, asked_at)
            case Kind.SUBSCRIPTION:
                return await self._subscription(client, command, held, asked_at)

    async def _end_user(self, client: PwsClient, command: Command, held: Session, asked_at: float) -> Event:
        if command.act is Act.MAKE:
            session = await client.login_end_user(held, command.key.user, force=command.force)
            self._keep_session(command, session)
            return self._begun(command, session, asked_at)
        await client.logout(held)
        self._drop_session(command.key, held)
        return lifecycle.Succeeded(command.key, command.seq, asked_at)

    def _begun(self, command: Command, session: Session, asked_at: float) -> Event:
        is_handed_over = self._is_handed_over(command.key, session.key)
        return lifecycle.Succeeded(
            command.key, command.seq, asked_at, backup=session.backup, is_handed_over=is_handed_over
        )

    def _keep_session(self, command: Command, session: Session) -> None:
        """Keep a session, unless its login was overtaken: a late reply must not replace a newer session."""
        self._hide(session.key)
        resource = self._resources().get(command.key)
        if resource is not None and resource.seq == command.seq:
            self._sessions[command.key] = session

    def _drop_session(self, key: Key, session: Session) -> None:
        """Forget a session that was logged out, unless there is a newer one."""
        if self._sessions.get(key) is session:
            del self._sessions[key]

    async def _endpoint(self, client: PwsClient, command: Command, held: Session, asked_at: float) -> Event:
        made = None
        if command.act is Act.MAKE:
            url = at_node(self._credentials.callback, command.key.node)
            made = (await client.register_endpoint(held, url, expires=command.expires or 0)).id
        elif command.act is Act.RENEW:
            await client.renew_endpoint(held, command.id or 0, expires=command.expires)
        else:
            await client.unregister_endpoint(held, command.id or 0)
        return lifecycle.Succeeded(command.key, command.seq, asked_at, id=made)

    async def _subscription(self, client: PwsClient, command: Command, held: Session, asked_at: float) -> Event:
        key, subscription_id, endpoint = command.key, command.id or 0, command.endpoint or 0
        match command.act:
            case Act.MAKE:
                self.refused = {contact: refused for contact, refused in self.refused.items() if refused.key != key}
                made, failure = await self._subscribe(client, held, endpoint, command)
                contacts = frozenset(made.contacts) | self._refused_of(key, command.add)
                return lifecycle.Succeeded(key, command.seq, asked_at, made.id, contacts=contacts, failure=failure)
            case Act.RENEW:
                await client.renew_subscription(held, endpoint, subscription_id, expires=command.expires)
                return lifecycle.Succeeded(key, command.seq, asked_at)
            case Act.ALTER:
                before = self._resources()[key].contacts
                # First out, then in: what leaves may be another spelling of what joins, the same contact to the server.
                if command.drop:
                    await _remove_contacts(client, held, subscription_id, sorted(command.drop))
                    self.refused = {each: why for each, why in self.refused.items() if each not in command.drop}
                unchanged = Subscription(subscription_id, (), 0)
                added, failure = await self._add(client, held, endpoint, unchanged, key, command.add)
                joined = frozenset(added.contacts) | self._refused_of(key, command.add)
                contacts = (before - command.drop) | joined
                return lifecycle.Succeeded(key, command.seq, asked_at, contacts=contacts, failure=failure)
            case _:
                await client.unsubscribe(held, subscription_id)
                return lifecycle.Succeeded(key, command.seq, asked_at)

    async def _subscribe(
        self, client: PwsClient, held: Session, endpoint: int, command: Command
    ) -> tuple[Subscription, Failure | None]:
        """Subscribe. A contact that the server refuses is left out; the others are subscribed to all the same."""
        key, expires = command.key, command.expires or 0
        parts = [sorted(command.add)]
        while True:
            part = parts.pop(0)
            try:
                made = await client.subscribe(held, endpoint, part, expires=expires)
            except PartlySubscribed as error:
                made, parts = error.subscription, [list(error.missing), *parts]
                if not refuses_contacts(error.cause):
                    return made, failure_of(error)
            except (Fault, ArgumentError) as error:
                if not refuses_contacts(error):
                    raise
                parts = [*self._halves(key, part, error), *parts]
                if parts:
                    continue
                raise
            rest = frozenset(contact for each in parts for contact in each)
            return await self._add(client, held, endpoint, made, key, rest)

    async def _add(
        self, client: PwsClient, held: Session, endpoint: int, made: Subscription, key: Key, contacts: frozenset[str]
    ) -> tuple[Subscription, Failure | None]:
        """Add contacts to a subscription; the subscription with what it has then, and why some are missing, if so."""
        done = [*made.contacts]
        parts = [sorted(contacts)] if contacts else []
        while parts:
            part = parts.pop(0)
            try:
                await client.add_contacts(held, endpoint, made.id, part)
                done += part
            except PwsError as error:
                if refuses_contacts(error):
                    parts = [*self._halves(key, part, error), *parts]
                elif not done:
                    raise
                else:
                    return Subscription(made.id, tuple(done), made.expires), failure_of(error)
        return Subscription(made.id, tuple(done), made.expires), None

    def _refused_of(self, key: Key, contacts: frozenset[str]) -> frozenset[str]:
        """Those of `contacts` that are refused. To the lifecycle they count as done, so that it does not try again."""
        return frozenset(each for each in contacts if each in self.refused and self.refused[each].key == key)

    def _halves(self, key: Key, part: list[str], error: PwsError) -> list[list[str]]:
        """Splits a refused list into halves, to find the contact that is refused; a single one is left out."""
        if len(part) > 1:
            half = len(part) // 2
            return [part[:half], part[half:]]
        self.refused[part[0]] = RefusedContact(key, str(error), self._clock.monotonic())
        log.warning(
            "%(resource)s: %(contact)s is not subscribed to, the server refuses it: %(error)s",
            {"resource": name_of(key), "contact": part[0], "error": error},
            extra={"event": "contact.refused"},
        )
        return []


async def _remove_contacts(client: PwsClient, session: Session, subscription: int, contacts: list[str]) -> None:
    """Take contacts out of a subscription; one that is not in it (144) is out of it already."""
    try:
        await client.unsubscribe(session, subscription, contacts)
    except Fault as fault:
        if fault.code != _NOT_IN_SUBSCRIPTION:
            raise
        if len(contacts) > 1:
            for contact in contacts:  # the server does not say which one it was
                await _remove_contacts(client, session, subscription, [contact])


def refuses_contacts(error: PwsError) -> bool:
    """Whether the contacts themselves are refused: one of them is not valid (124), empty (143), or written as the
    server does not take it (147, 148), or it cannot be sent at all."""
    if isinstance(error, ArgumentError):
        return error.argument.startswith("contacts[")
    return isinstance(error, Fault) and error.code in _BAD_CONTACT


def internal_error(command: Command) -> lifecycle.Failed:
    """The result of a command that a bug of ours has ended."""
    return lifecycle.Failed(command.key, command.seq, Failure(FailureKind.SERVER, "internal error"))


def name_of(key: Key) -> str:
    """A resource in words, for the log: its kind, end user, slot and node."""
    who = f" {key.user}" if key.user else ""
    slot = f" #{key.slot + 1}" if key.slot else ""
    return f"{key.kind}{who}{slot} at {key.node}"
