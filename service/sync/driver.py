"""Drives the lifecycle: gives it events and the time, and has every command carried out in a task of its own.

What is to be done is decided by `pws_soap.lifecycle`; how a command is carried out, by `service.sync.commands`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.lifecycle import Act, Command, Event, Failure, FailureKind, Key, Kind, Phase, Resource, State
from pws_soap.models import Secret, Session
from service.core.clock import Clock
from service.core.meter import NO_METER, Meter
from service.core.wakeup import sleep_until_woken
from service.sync.commands import CommandRunner, Credentials, RefusedContact, internal_error, name_of
from service.sync.session_memory import NotStored, Released, SessionMemory
from service.sync.subscriptions import LiveSubscription

log = logging.getLogger("pws.lifecycle")

_LOST: Final = {
    FailureKind.SESSION_LOST: ("session", "logging in again"),
    FailureKind.ENDPOINT_LOST: ("endpoint", "registering again"),
    FailureKind.SUBSCRIPTION_LOST: ("subscription", "subscribing again"),
}
"""What is gone, and what is done about it, in words."""


class LifecycleDriver:
    """Keeps sessions, the endpoint and subscriptions as the lifecycle wants them.

    `connect` makes the client of a node; `changed` is called after every step that changed the state, `hide` with
    each new session key.
    """

    def __init__(
        self,
        settings: lifecycle.Settings,
        credentials: Credentials,
        connect: Callable[[str], PwsClient],
        clock: Clock,
        memory: SessionMemory,
        changed: Callable[[State, State], None] = lambda _old, _new: None,
        meter: Meter = NO_METER,
        *,
        hide: Callable[[Secret], object] = lambda _secret: None,
    ) -> None:
        self._username = credentials.username
        self._clock = clock
        self._memory = memory
        self._changed = changed
        inherited = memory.inherited()
        self._commands = CommandRunner(
            credentials,
            connect,
            clock,
            lambda: self.state.resources,
            meter,
            hide=hide,
            is_handed_over=(lambda _key, _secret: False) if inherited is None else inherited.is_session,
        )
        self._held_back_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._live: dict[Key, LiveSubscription] = {}
        left = memory.read()
        self.state = lifecycle.begin(
            settings, clock.monotonic(), left, lifecycle.NOTHING_HANDED_OVER if inherited is None else inherited.left
        )
        if ignored := len(left.nodes - self.state.suspected):
            log.warning(
                "%(nodes)d of the nodes in the state file %(file)s are on hosts that server.nodes and "
                "server.redirect_to do not name: they are ignored, and sessions of ours on them stay until they expire",
                {"nodes": ignored, "file": memory.place},
                extra={"event": "state.hosts-ignored"},
            )

    @property
    def ever_logged_in(self) -> bool:
        """Whether the application user's login has succeeded at least once."""
        return self._commands.ever_logged_in

    @property
    def refused(self) -> Mapping[str, RefusedContact]:
        """Contacts that the server refuses. They are in no subscription."""
        return self._commands.refused

    def client(self, node: str) -> PwsClient:
        """The client of a node, made when it is first needed."""
        return self._commands.client(node)

    def application_sessions(self) -> dict[str, Session]:
        """The application user's sessions that can be used now, by node."""
        return {
            key.node: session
            for key, resource in self.state.resources.items()
            if key.kind is Kind.APPLICATION and resource.phase in lifecycle.USABLE
            if (session := self._commands.session(key)) is not None
        }

    def end_user_session(self, user: str) -> Session | None:
        """The session of an end user whose contacts are watched, if it can be used now."""
        for key, resource in self.state.resources.items():
            if key.kind is Kind.END_USER and key.user == user and resource.phase in lifecycle.USABLE:
                session = self._commands.session(key)
                if session is not None:
                    return session
        return None

    def live_subscriptions(self) -> dict[Key, LiveSubscription]:
        """The subscriptions that can be fetched now."""
        found = {}
        for key, resource in self.state.resources.items():
            if key.kind is not Kind.SUBSCRIPTION or resource.phase not in lifecycle.USABLE or resource.id is None:
                continue
            owner = Key(Kind.END_USER, key.node, key.user)
            session = self._commands.session(owner)
            if session is not None:
                generation = self.state.resources[owner].generation
                found[key] = self._live_subscription(resource, resource.id, session, generation)
        self._live = found
        return found

    def _live_subscription(self, resource: Resource, id: int, session: Session, generation: int) -> LiveSubscription:  # noqa: A002  # the server's own word
        """The very one that was given out before, where it is the same: it may have thousands of contacts."""
        # What is just being added or taken out may be in it or not: nothing keeps that true.
        carried, perhaps = resource.contacts, resource.unsure
        if perhaps or not self.refused.keys().isdisjoint(carried):
            carried = carried - self.refused.keys() - perhaps
        now = LiveSubscription(resource.key, resource.generation, id, session, generation, carried, perhaps)
        before = self._live.get(resource.key)
        return now if before != now or before is None else before

    def adoptable(self) -> set[Key]:
        """The subscriptions that another process has handed over, as long as it is not known whether they are there."""
        return {each.key for each in self.state.adoptable if each.key.kind is Kind.SUBSCRIPTION}

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
        self._held_back_at = None
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
        return self.state.finished and not lifecycle.remember(self.state).nodes

    def hold_back(self) -> None:
        """Send no further command."""
        self._held_back_at = self._clock.monotonic()

    async def finish(self) -> None:
        """Wait until no command is under way any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def released(self) -> Released:
        """What is at the server in working order, once nothing is under way."""
        left = lifecycle.handed_over(self.state)
        refused = self.refused.keys()
        resources = tuple(replace(each, contacts=each.contacts - refused) for each in left.resources)
        nodes = {each.key.node for each in resources}
        sessions = {
            key: session.key
            for key in self.state.resources
            if key.node in nodes and (session := self._commands.session(key)) is not None
        }
        return Released(replace(left, resources=resources), sessions)

    async def close(self) -> None:
        """End all tasks and connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._commands.close()

    def post(self, event: Event) -> None:
        """Give the lifecycle an event: take a step, remember it, and send what it commands."""
        # Once nothing more is sent, nothing comes due any more.
        now = self._clock.monotonic() if self._held_back_at is None else self._held_back_at
        before = self.state
        self.state, commands = lifecycle.step(before, event, now)
        if self.state is not before:
            self._log_changes(before, self.state)
            # What is about to be made is written down first: a crash in between must not orphan it.
            self._memory.write(lifecycle.remember(self.state))
            self._changed(before, self.state)
        for command in commands if self._held_back_at is None else ():
            task = asyncio.create_task(self._carry_out(command), name=f"{command.act} {command.key.kind}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self.state is not before:  # else nothing is due at another time than before
            self._woken.set()

    async def _carry_out(self, command: Command) -> None:
        event = await self._result_of(command)
        try:
            self.post(event)
        except Exception:  # a bug must not leave a request without a result: what is under way must end as a failure
            log.exception(
                "%(action)s %(resource)s: unexpected error",
                {"action": command.act, "resource": name_of(command.key)},
                extra={"event": "internal.error"},
            )
            self.post(internal_error(command))

    async def _result_of(self, command: Command) -> Event:
        """Carry a command out. A session is begun once it is remembered where: the next process must know."""
        if command.act is Act.MAKE and command.key.kind is Kind.APPLICATION:
            try:
                await self._memory.stored()
            except NotStored as error:
                failure = Failure(FailureKind.SERVER, f"not logged in: {error}")
                return lifecycle.Failed(command.key, command.seq, failure)
        return await self._commands.run(command)

    def _log_error(self, key: Key, before: Resource | None, error: Failure) -> None:
        """Log what heals by itself in words that call for no action; a call that failed because of it is debug only."""
        lost = lifecycle.LOST_OF.get(error.kind)
        if lost is not None and key.kind in lost and before is not None and before.phase in lifecycle.USABLE:
            whose = f" of {key.user or self._username}" if key.kind is not Kind.ENDPOINT else ""
            code = f" (code {error.code})" if error.code is not None else ""
            what, cure = _LOST[error.kind]
            log.warning(
                "the %(kind)s%(_whose)s at %(node)s is gone%(_with_code)s: %(cure)s",
                {
                    "resource": name_of(key),
                    "code": error.code,
                    "node": key.node,
                    "cure": cure,
                    "kind": what,
                    "_whose": whose,
                    "_with_code": code,
                },
                extra={"event": "resource.lost"},
            )
        elif lost is not None and (key.kind not in lost or key.kind is Kind.END_USER):
            log.debug(  # what it needed is gone, and that is logged
                "%(resource)s: %(error)s",
                {"resource": name_of(key), "error": error.text, "code": error.code},
                extra={"event": "resource.failed"},
            )
        else:
            log.warning(
                "%(resource)s: %(error)s",
                {"resource": name_of(key), "error": error.text, "code": error.code},
                extra={"event": "resource.failed"},
            )

    def _log_changes(self, old: State, new: State) -> None:
        """Log what changed its phase, and every new error once."""
        for key, resource in new.resources.items():
            before = old.resources.get(key)
            if resource.error is not None and (before is None or before.error != resource.error):
                self._log_error(key, before, resource.error)
            if resource.phase is Phase.LIVE and (before is None or before.generation != resource.generation):
                log.info(
                    "%(resource)s: live%(_with_id)s",
                    {
                        "resource": name_of(key),
                        "_with_id": f", id {resource.id}" if resource.id else "",
                        "id": resource.id,
                    },
                    extra={"event": "resource.live"},
                )
        for name, user in new.users.items():
            was = old.users.get(name)
            if was is not None and was.node != user.node:
                log.warning(
                    "end user %(end_user)s: moves from %(from_node)s to %(to_node)s",
                    {"end_user": name, "from_node": was.node, "to_node": user.node},
                    extra={"event": "end-user.moved"},
                )
