"""Carries out what the lifecycle decides: one task per command, every result reported back, and a clock.

It decides nothing itself. Sessions, with their keys, are held here and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.errors import Fault, PartlySubscribed, PwsError, Redirected
from pws_soap.lifecycle import (
    Act,
    Command,
    Failure,
    FailureKind,
    Happening,
    Key,
    Kind,
    Phase,
    Resource,
    State,
    failure_of,
)
from pws_soap.models import Secret, Session, Subscription
from service.core.callback_url import at_node
from service.core.clock import Clock
from service.core.wakeup import sleep_until_woken
from service.sync.state_file import StateFile
from service.sync.subscriptions import LiveSubscription

log = logging.getLogger("pws.lifecycle")

NOT_IN_SUBSCRIPTION = 144
_LOST: Final = {
    FailureKind.SESSION_LOST: ("session", "logging in again"),
    FailureKind.ENDPOINT_LOST: ("endpoint", "registering again"),
    FailureKind.SUBSCRIPTION_LOST: ("subscription", "subscribing again"),
}
"""What is gone and made anew, in words."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are, and where the server reaches us: `callback` is the base URL with the secret path."""

    username: str
    password: Secret = field(repr=False)
    callback: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefusedContact:
    """Why a contact is left out of a subscription, and since when on the monotonic clock."""

    key: Key
    why: str
    since: float


class LifecycleDriver:
    """Keeps sessions, the endpoint and subscriptions as the lifecycle wants them.

    `connect` makes the client of a node; `changed` is told after every step that changed something.
    """

    def __init__(
        self,
        settings: lifecycle.Settings,
        credentials: Credentials,
        connect: Callable[[str], PwsClient],
        clock: Clock,
        file: StateFile,
        changed: Callable[[State, State], None] = lambda _old, _new: None,
    ) -> None:
        self._credentials = credentials
        self._connect = connect
        self._clock = clock
        self._file = file
        self._changed = changed
        self._clients: dict[str, PwsClient] = {}
        self._sessions: dict[Key, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self.state = lifecycle.begin(settings, clock.monotonic(), file.read())
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

    def live(self) -> dict[Key, LiveSubscription]:
        """The subscriptions that can be fetched now."""
        found = {}
        for key, resource in self.state.resources.items():
            if key.kind is not Kind.SUBSCRIPTION or resource.phase not in lifecycle.USABLE or resource.id is None:
                continue
            owner = Key(Kind.END_USER, key.node, key.user)
            session = self._sessions.get(owner)
            if session is not None:
                # What is just being added or taken out may be in it or not: nothing keeps that true.
                carried, perhaps = resource.contacts - self.refused.keys() - resource.unsure, resource.unsure
                generation = self.state.resources[owner].generation
                found[key] = LiveSubscription(
                    key, resource.generation, resource.id, session, generation, carried, perhaps
                )
        return found

    def want(self, contacts: Mapping[str, frozenset[str]]) -> None:
        """Watch these contacts, by end user."""
        self.post(lifecycle.Want(contacts))

    async def run(self) -> None:
        """Let time pass, until cancelled or finished."""
        while not self.state.finished:
            self._woken.clear()
            due = lifecycle.next_due(self.state)
            pause = None if due is None else max(0.001, due - self._clock.monotonic())
            await sleep_until_woken(self._woken, self._clock, pause)
            self.post(lifecycle.Tick())

    async def stop(self, limit: float) -> bool:
        """Remove all that is ours, for `limit` seconds at most. True when nothing is left on the server."""
        self.post(lifecycle.Stop())
        while not self.state.finished:
            waits = [asyncio.ensure_future(self._clock.sleep(limit)), *self._tasks]
            began = self._clock.monotonic()
            if not self._tasks:
                waits.append(asyncio.ensure_future(self._clock.sleep(0.05)))
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            waits[0].cancel()
            limit -= self._clock.monotonic() - began
            if limit <= 0:
                break
            self.post(lifecycle.Tick())
        return self.state.finished

    async def close(self) -> None:
        """End all tasks and connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.close()

    def post(self, happening: Happening) -> None:
        """Something happened: step, remember, and send what is to be sent."""
        now = self._clock.monotonic()
        before = self.state
        self.state, commands = lifecycle.step(before, happening, now)
        if self.state is not before:
            self._tell(before, self.state)
            # What is about to be made is written down first: a crash in between must not orphan it.
            self._file.write(lifecycle.remember(self.state))
            self._changed(before, self.state)
        for command in commands:
            task = asyncio.create_task(self._carry_out(command), name=f"{command.act} {command.key.kind}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._woken.set()

    async def _carry_out(self, command: Command) -> None:
        happening: Happening
        log.debug("%s: %s", _name(command.key), command.act)
        try:
            happening = await self._send(command)
        except Redirected as error:
            happening = lifecycle.Redirected(command.key, command.seq, error.primary, error.backup)
        except PwsError as error:
            happening = lifecycle.Failed(command.key, command.seq, failure_of(error))
        except Exception:  # a bug must not leave a request without a result, which would be waited for for ever
            log.exception("%s %s: unexpected error", command.act, _name(command.key))
            happening = lifecycle.Failed(command.key, command.seq, Failure(FailureKind.SERVER, "internal error"))
        if command.leftover:
            failure = happening.failure if isinstance(happening, lifecycle.Failed) else None
            happening = lifecycle.Removed(command.seq, failure)
        try:
            self.post(happening)
        except Exception:  # the same: what is under way must end, if only as a failure
            log.exception("%s %s: unexpected error", command.act, _name(command.key))
            self.post(lifecycle.Failed(command.key, command.seq, Failure(FailureKind.SERVER, "internal error")))

    async def _send(self, command: Command) -> Happening:
        key = command.key
        asked_at = self._clock.monotonic()
        client = self.client(key.node)
        done = lifecycle.Succeeded(key, command.seq, asked_at)
        if command.act is Act.MAKE and key.kind is Kind.APPLICATION:
            mine = self._credentials
            session = await client.login(mine.username, mine.password, force=command.force)
            self._hold(command, session)
            self.ever_logged_in = True
            return lifecycle.Succeeded(key, command.seq, asked_at, backup=session.backup)
        kind = Kind.APPLICATION if key.kind in {Kind.ENDPOINT, Kind.APPLICATION} else Kind.END_USER
        making_user = command.act is Act.MAKE and key.kind is Kind.END_USER
        owner = Key(Kind.APPLICATION, key.node) if making_user else Key(kind, key.node, key.user)
        held = self._sessions.get(owner)
        if held is None:
            return lifecycle.Failed(key, command.seq, Failure(FailureKind.SESSION_LOST, "no session"))
        match key.kind:
            case Kind.APPLICATION:
                await client.logout(held)
                self._let_go(key, held)
                return done
            case Kind.END_USER:
                return await self._end_user(client, command, held, asked_at)
            case Kind.ENDPOINT:
                return await self._endpoint(client, command, held, asked_at)
            case Kind.SUBSCRIPTION:
                return await self._subscription(client, command, held, asked_at)

    async def _end_user(self, client: PwsClient, command: Command, held: Session, asked_at: float) -> Happening:
        if command.act is Act.MAKE:
            session = await client.login_end_user(held, command.key.user, force=command.force)
            self._hold(command, session)
            return lifecycle.Succeeded(command.key, command.seq, asked_at, backup=session.backup)
        await client.logout(held)
        self._let_go(command.key, held)
        return lifecycle.Succeeded(command.key, command.seq, asked_at)

    def _hold(self, command: Command, session: Session) -> None:
        """Keep a session, unless its login was overtaken: a late reply must not replace a newer session."""
        resource = self.state.resources.get(command.key)
        if resource is not None and resource.seq == command.seq:
            self._sessions[command.key] = session

    def _let_go(self, key: Key, session: Session) -> None:
        """Forget a session that was logged out, unless there is a newer one."""
        if self._sessions.get(key) is session:
            del self._sessions[key]

    async def _endpoint(self, client: PwsClient, command: Command, held: Session, asked_at: float) -> Happening:
        made = None
        if command.act is Act.MAKE:
            url = at_node(self._credentials.callback, command.key.node)
            made = (await client.register_endpoint(held, url, expires=command.expires or 0)).id
        elif command.act is Act.RENEW:
            await client.renew_endpoint(held, command.id or 0, expires=command.expires)
        else:
            await client.unregister_endpoint(held, command.id or 0)
        return lifecycle.Succeeded(command.key, command.seq, asked_at, id=made)

    async def _subscription(self, client: PwsClient, command: Command, held: Session, asked_at: float) -> Happening:
        key, which, where = command.key, command.id or 0, command.endpoint or 0
        match command.act:
            case Act.MAKE:
                self.refused = {contact: why for contact, why in self.refused.items() if why.key != key}
                made, failure = await self._make(client, held, where, command)
                some = frozenset(made.contacts) | self._refused_of(key, command.add)
                return lifecycle.Succeeded(key, command.seq, asked_at, made.id, contacts=some, failure=failure)
            case Act.RENEW:
                await client.renew_subscription(held, where, which, expires=command.expires)
                return lifecycle.Succeeded(key, command.seq, asked_at)
            case Act.ALTER:
                known = self.state.resources[key].contacts
                # First out, then in: what leaves may be another spelling of what joins, the same contact to the server.
                if command.drop:
                    await _drop(client, held, which, sorted(command.drop))
                    self.refused = {each: why for each, why in self.refused.items() if each not in command.drop}
                added, failure = await self._add(client, held, where, Subscription(which, (), 0), key, command.add)
                now = (known - command.drop) | frozenset(added.contacts) | self._refused_of(key, command.add)
                return lifecycle.Succeeded(key, command.seq, asked_at, contacts=now, failure=failure)
            case _:
                await client.unsubscribe(held, which)
                return lifecycle.Succeeded(key, command.seq, asked_at)

    async def _make(
        self, client: PwsClient, held: Session, where: int, command: Command
    ) -> tuple[Subscription, Failure | None]:
        """Subscribe. A contact that the server refuses is left out; the others are not held up by it."""
        key, life = command.key, command.expires or 0
        parts = [sorted(command.add)]
        while True:
            part = parts.pop(0)
            try:
                made = await client.subscribe(held, where, part, expires=life)
            except PartlySubscribed as error:
                made, parts = error.subscription, [list(error.missing), *parts]
                if not _refuses_contacts(error.cause):
                    return made, failure_of(error)
            except Fault as fault:
                if not _refuses_contacts(fault):
                    raise
                parts = [*self._divided(key, part, fault), *parts]
                if parts:
                    continue
                raise
            rest = frozenset(contact for each in parts for contact in each)
            return await self._add(client, held, where, made, key, rest)

    async def _add(
        self, client: PwsClient, held: Session, where: int, made: Subscription, key: Key, more: frozenset[str]
    ) -> tuple[Subscription, Failure | None]:
        """Add contacts to a subscription; what it has then, and why not all, if so."""
        done = [*made.contacts]
        parts = [sorted(more)] if more else []
        while parts:
            part = parts.pop(0)
            try:
                await client.add_contacts(held, where, made.id, part)
                done += part
            except PwsError as error:
                if _refuses_contacts(error):
                    parts = [*self._divided(key, part, error), *parts]
                elif not done:
                    raise
                else:
                    return Subscription(made.id, tuple(done), made.expires), failure_of(error)
        return Subscription(made.id, tuple(done), made.expires), None

    def _refused_of(self, key: Key, contacts: frozenset[str]) -> frozenset[str]:
        """Those that were set aside: as far as the lifecycle is concerned, they are done with."""
        return frozenset(each for each in contacts if each in self.refused and self.refused[each].key == key)

    def _divided(self, key: Key, part: list[str], error: PwsError) -> list[list[str]]:
        """A refused list in two halves; a single contact is set aside, with the reason."""
        if len(part) > 1:
            half = len(part) // 2
            return [part[:half], part[half:]]
        self.refused[part[0]] = RefusedContact(key, str(error), self._clock.monotonic())
        log.warning("%s: %s is left out: %s", _name(key), part[0], error)
        return []

    def _tell_error(self, key: Key, before: Resource | None, error: Failure) -> None:
        """What heals by itself, in words for who need not act; a call that failed because of it is not told again."""
        lost = lifecycle.LOST_OF.get(error.trouble)
        if lost is not None and key.kind in lost and before is not None and before.phase in lifecycle.USABLE:
            whose = f" of {key.user or self._credentials.username}" if key.kind is not Kind.ENDPOINT else ""
            code = f" (code {error.code})" if error.code is not None else ""
            what, cure = _LOST[error.trouble]
            log.warning("the %s%s at %s is gone%s: %s", what, whose, key.node, code, cure)
        elif lost is not None and (key.kind not in lost or key.kind is Kind.END_USER):
            log.debug("%s: %s", _name(key), error.text)  # what it needed is gone, and that is told
        else:
            log.warning("%s: %s", _name(key), error.text)

    def _tell(self, old: State, new: State) -> None:
        """Log what changed its phase, and every new error once."""
        for key, resource in new.resources.items():
            before = old.resources.get(key)
            if resource.error is not None and (before is None or before.error != resource.error):
                self._tell_error(key, before, resource.error)
            if resource.phase is Phase.LIVE and (before is None or before.generation != resource.generation):
                log.info("%s: live%s", _name(key), f", id {resource.id}" if resource.id else "")
        for name, user in new.users.items():
            was = old.users.get(name)
            if was is not None and was.node != user.node:
                log.warning("end user %s: moves from %s to %s", name, was.node, user.node)


async def _drop(client: PwsClient, session: Session, subscription: int, contacts: list[str]) -> None:
    """Take contacts out of a subscription; one that is not in it (144) is out of it already."""
    try:
        await client.unsubscribe(session, subscription, contacts)
    except Fault as fault:
        if fault.code != NOT_IN_SUBSCRIPTION or len(contacts) == 1:
            if fault.code != NOT_IN_SUBSCRIPTION:
                raise
            return
        for each in contacts:  # the server does not say which one it was
            await _drop(client, session, subscription, [each])


def _refuses_contacts(error: PwsError) -> bool:
    """Whether it is the contacts that the server does not like: one of them is not valid (124), or empty (143)."""
    return isinstance(error, Fault) and error.code in {124, 143}


def _name(key: Key) -> str:
    who = f" {key.user}" if key.user else ""
    slot = f" #{key.slot + 1}" if key.slot else ""
    return f"{key.kind}{who}{slot} at {key.node}"
