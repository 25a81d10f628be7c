"""The lifecycle against the model of the server, with all that can go wrong in between.

Every method named for something that may happen takes plain numbers, so that Hypothesis and a plain loop can both choose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from pws_soap.lifecycle import (
    USABLE,
    Act,
    Command,
    Failure,
    Happening,
    Key,
    Kind,
    Memory,
    Move,
    Phase,
    Removed,
    Settings,
    Stop,
    Succeeded,
    Trouble,
    Used,
    Want,
)
from pws_soap.lifecycle.plan import session_of, wanted
from pws_soap.lifecycle.table import SESSIONS
from tests.lifecycle.driver import START, A, B, Driver
from tests.lifecycle.server import Cluster, Mode, Request, fail

TIMEOUT = 30.0
"""Seconds after which a request without an answer has failed."""
SAFETY = 60.0
"""Seconds between two fetches of a subscription."""
LIFE = 3600.0


class World(Driver):
    """A run of the lifecycle against a cluster."""

    def __init__(self, settings: Settings | None = None, limit: int = 1000) -> None:
        self.settings = settings or Settings((A, B), contacts_per_subscription=3)
        super().__init__(self.settings)
        self.cluster = Cluster(*self.settings.nodes, limit=limit)
        self.sessions: dict[Key, int] = {}
        self.requests: list[Request] = []
        self.contacts: dict[str, frozenset[str]] = {}
        self.forgotten_endpoint = False
        self.ticks = 0

    # What the service does

    def happen(self, happening: Happening) -> list[Command]:
        """See Driver; the commands are on their way at once."""
        commands = super().happen(happening)
        for command in commands:
            self.requests.append(self._request(command))
        self._check_memory()
        self._answer_without_session()
        return commands

    def _request(self, command: Command) -> Request:
        key = command.key
        owner = session_of(key)
        if key.kind in SESSIONS and command.act is not Act.MAKE:
            owner = key
        resource = self.state.resources.get(key)
        known = resource.contacts if resource and not command.leftover else frozenset()
        login = key.kind is Kind.APPLICATION and command.act is Act.MAKE
        return Request(command, self.now, None if login else self.sessions.get(owner), known)

    def _answer_without_session(self) -> None:
        for request in list(self.requests):
            command = request.command
            if request.key is None and not (command.key.kind is Kind.APPLICATION and command.act is Act.MAKE):
                fail(request, Failure(Trouble.SESSION_LOST, "no session"))
                self.deliver(request)
                raise AssertionError(f"a command without a session: {command}")

    def deliver(self, request: Request) -> None:
        """The answer comes in."""
        assert request.reply is not None
        self.requests.remove(request)
        if request.stale:
            return
        command, reply = request.command, request.reply
        self.answered(command)
        key = command.key
        if isinstance(reply, Succeeded):
            resource = self.state.resources.get(key)
            if request.session is not None and resource is not None and resource.seq == command.seq:
                self.sessions[key] = request.session
            if key.kind in SESSIONS and command.act is not Act.MAKE and self.sessions.get(key) == request.key:
                self.sessions.pop(key, None)
            if reply.id is not None:
                self.given.add((key.kind, key.node, reply.id))
        self.happen(reply)

    # What may happen

    def want(self, contacts: dict[str, frozenset[str]]) -> None:
        """Other contacts are wanted."""
        self.contacts = contacts
        self.happen(Want(contacts))

    def pick(self, number: int) -> Request | None:
        """One of the requests under way."""
        return self.requests[number % len(self.requests)] if self.requests else None

    def answer(self, number: int) -> None:
        """A request is answered."""
        request = self.pick(number)
        if request:
            self.cluster.serve(request, self.now)
            self.deliver(request)

    def look(self, number: int) -> None:
        """A request is carried out, and its answer takes its time."""
        request = self.pick(number)
        if request:
            self.cluster.serve(request, self.now)

    def lose(self, number: int, acted: bool) -> None:
        """The answer is lost, with or without an effect at the server."""
        request = self.pick(number)
        if request:
            if acted:
                self.cluster.serve(request, self.now)
            fail(request, Failure(Trouble.UNKNOWN_OUTCOME, "the answer was lost"))
            self.deliver(request)

    def refuse(self, number: int, trouble: Trouble) -> None:
        """The server says no, or cannot be reached, for no reason of its own."""
        request = self.pick(number)
        if request and request.reply is None:
            fail(request, Failure(trouble, f"injected {trouble}"))
            self.deliver(request)

    def half(self, number: int, trouble: Trouble, acted: bool) -> None:
        """Contacts are added in lists: one of the later lists fails, with or without an effect."""
        request = self.pick(number)
        if request is None or request.reply is not None:
            return
        command = request.command
        if command.leftover or command.key.kind is not Kind.SUBSCRIPTION or command.act not in {Act.MAKE, Act.ALTER}:
            return
        first = frozenset(sorted(command.add)[: len(command.add) // 2])
        if command.act is Act.MAKE and not first:
            return
        done = command.add if acted else first
        part = replace(command, add=done, drop=frozenset())
        trial = replace(request, command=part)
        self.cluster.serve(trial, self.now)
        reply = trial.reply
        if isinstance(reply, Succeeded) and command.act is Act.MAKE:
            request.reply = replace(reply, contacts=first, failure=Failure(trouble, f"injected {trouble}"))
        elif isinstance(reply, Succeeded):
            fail(request, Failure(trouble, f"injected {trouble}"))
        else:
            request.reply = reply
        self.deliver(request)

    def elapse(self, seconds: float) -> None:
        """Time passes, with everything that comes due on the way."""
        until = self.now + seconds
        while True:
            times = [each.asked_at + TIMEOUT for each in self.requests]
            due = self.due()
            at = min([*times, *([] if due is None else [due])], default=math.inf)
            if at > until:
                break
            self.now = max(self.now, at)
            self._time_out()
            self.ticks += 1
            assert self.ticks < 20000, f"spins: {due} at {self.now}"
            self.tick()
        self.now = until
        self._time_out()

    def _time_out(self) -> None:
        for request in list(self.requests):
            if request in self.requests and self.now >= request.asked_at + TIMEOUT:
                fail(request, Failure(Trouble.UNKNOWN_OUTCOME, "no answer in time"))
                self.deliver(request)

    def jump(self, seconds: float, acted: bool) -> None:
        """The machine sleeps: time passes and nothing is done in it."""
        for request in list(self.requests):
            if acted:
                self.cluster.serve(request, self.now)
            elif request.reply is None:
                fail(request, Failure(Trouble.UNKNOWN_OUTCOME, "no answer in time"))
        self.now += seconds
        self.tick()

    def set_mode(self, node: int, mode: Mode) -> None:
        """A node goes down, hangs, or comes back."""
        self.cluster.nodes[self.settings.nodes[node]].mode = mode

    def restart_node(self, node: int) -> None:
        """A node forgets everything."""
        self.cluster.nodes[self.settings.nodes[node]].end_application()

    def kill(self, node: int, user: str) -> None:
        """The server ends a session: the application user's where `user` is empty."""
        which = self.cluster.nodes[self.settings.nodes[node]]
        if user:
            which.end_user(user)
        else:
            which.end_application()

    def forget(self, node: int, kind: Kind, number: int) -> None:
        """The server forgets one id."""
        things = self.cluster.nodes[self.settings.nodes[node]].things(kind)
        if things:
            del things[sorted(things)[number % len(things)]]
            self.forgotten_endpoint |= kind is Kind.ENDPOINT

    def rehome(self, user: str, node: int | None) -> None:
        """An end user moves to another node, which ends its sessions elsewhere."""
        if node is None:
            self.cluster.homes.pop(user, None)
            return
        home = self.settings.nodes[node]
        self.cluster.homes[user] = home
        for name, each in self.cluster.nodes.items():
            if name != home:
                each.end_user(user)

    def hold(self, user: str) -> None:
        """Another application takes an end user that is not logged in."""
        if not any(user in node.users for node in self.cluster.nodes.values()):
            self.cluster.held.add(user)

    def fetch(self, number: int, trouble: Trouble | None = None) -> None:
        """A subscription is fetched, and the lifecycle told how that went."""
        keys = sorted(self.live(Kind.SUBSCRIPTION))
        if not keys:
            return
        key = keys[number % len(keys)]
        resource = self.state.resources[key]
        session = self.sessions.get(session_of(key))
        failure = self.cluster.fetch(key, resource.id or 0, session, self.now)
        if trouble is not None:
            failure = Failure(trouble, f"injected {trouble}")
        self.happen(Used(key, resource.generation, failure))

    def move(self, node: int, user: str | None) -> None:
        """The operator moves a user, or all."""
        self.happen(Move(self.settings.nodes[node], user))

    def stop(self) -> None:
        """The service stops."""
        self.happen(Stop())

    def crash_and_restart(self, acted: bool) -> None:
        """The service is killed and starts again with what it remembered."""
        for request in self.requests:
            if acted:
                self.cluster.serve(request, self.now)
        self.requests.clear()
        self.sessions.clear()
        self.crash()
        self.happen(Want(self.contacts))

    # Healing

    def heal(self, limit: float) -> float:
        """No more faults. Seconds until everything is as it should be; fails when that takes longer than `limit`."""
        for node in self.cluster.nodes.values():
            node.mode = Mode.UP
        self.cluster.held.clear()
        began, first_step, fetched = self.now, self.steps, -SAFETY
        self.tick()
        while True:
            self.answer_all()
            if self.now - fetched >= SAFETY:
                fetched = self.now
                for number in range(len(self.live(Kind.SUBSCRIPTION))):
                    self.fetch(number)
                self.answer_all()
            wrong = list(self.wrong())
            if not wrong:
                return self.now - began
            assert self.now - began <= limit, f"after {limit} s: {wrong}"
            assert self.steps - first_step < 2000, f"too many steps: {wrong}"
            due = self.due()
            self.now = min(fetched + SAFETY, due if due is not None else fetched + SAFETY)
            self.tick()

    def answer_all(self) -> None:
        """The server answers whatever is asked, until nothing is asked any more."""
        for _ in range(1000):
            if not self.requests:
                return
            self.answer(0)
        raise AssertionError(f"a storm: {self.requests}")

    def wrong(self) -> Iterable[str]:
        """What is not as it should be."""
        state = self.state
        if state.stopping:
            if not state.finished:
                yield f"not finished: {sorted(state.resources)}"
        for key in wanted(state):
            if self.phase(key) not in USABLE:
                yield f"{key} is {self.phase(key)}: {state.resources.get(key)}"
        for name, user in state.users.items():
            slots = user.slots if not state.stopping else ()
            for slot, contacts in enumerate(slots):
                key = Key(Kind.SUBSCRIPTION, user.node, name, slot)
                resource = state.resources.get(key)
                if contacts and (resource is None or resource.contacts != contacts):
                    yield f"{key} has other contacts than wanted"
        believed = {
            (key.kind, key.node, resource.id): resource
            for key, resource in state.resources.items()
            if resource.id is not None
        }
        there = self.there()
        for what, expires_at in there.items():
            if what not in believed and expires_at > self.now + TIMEOUT and not self._is_remembered(*what, self.now):
                yield f"orphan {what}, there until {expires_at}"
        for what, resource in believed.items():
            if what not in there and resource.phase in USABLE:
                yield f"{what} is not there"
            kind, node, number = what
            if kind is Kind.SUBSCRIPTION and what in there:
                has = self.cluster.nodes[node].subscriptions[number or 0].contacts
                if has != resource.contacts:
                    yield f"{what} has {sorted(has)} and not {sorted(resource.contacts)}"
        for each in (*state.leftovers, *state.doubtful):  # a stop does not wait for them: they are written down
            if not state.stopping:
                yield f"left: {each}"

    def there(self) -> dict[tuple[Kind, str, int | None], float]:
        """All that is on the server, and until when."""
        found: dict[tuple[Kind, str, int | None], float] = {}
        for name, node in self.cluster.nodes.items():
            node.expire(self.now)
            for kind in (Kind.ENDPOINT, Kind.SUBSCRIPTION):
                for number, thing in node.things(kind).items():
                    found[kind, name, number] = thing.expires_at
        return found

    def _is_remembered(self, kind: Kind, node: str, number: int | None, until: float) -> bool:
        """Whether a thing at the server is written down: by its id, or as something that its session may hold."""
        if any((each.kind, each.node, each.id) == (kind, node, number) for each in self.memory.leftovers if each.expires_at >= until):
            return True
        users = {""}
        if kind is Kind.SUBSCRIPTION:
            which = self.cluster.nodes[node]
            owner = which.subscriptions[number or 0].owner
            users |= {user for user, key in which.users.items() if key == owner}
        return any(each.node == node and each.user in users for each in self.memory.doubtful)

    def _check_memory(self) -> None:
        """Whatever is on the server would be found again after a crash."""
        for (kind, node, number), expires_at in self.there().items():
            if expires_at > self.now + TIMEOUT:
                assert self._is_remembered(kind, node, number, expires_at - TIMEOUT), (
                    f"{kind} {number} at {node}, there until {expires_at}, would be forgotten"
                )
