"""The service around the lifecycle, without its sockets.

It sends commands to the model of the server, holds the sessions, reports every answer, lets time pass, fetches, and is
killed and started again with what it wrote down.
"""

from __future__ import annotations

import math

from pws_soap.lifecycle import (
    Act,
    CallReported,
    Command,
    Event,
    Failure,
    FailureKind,
    Key,
    Kind,
    Settings,
    Succeeded,
    Want,
)
from pws_soap.lifecycle.plan import session_of
from pws_soap.lifecycle.table import SESSIONS
from tests.lifecycle.driver import A, B, Driver
from tests.lifecycle.server import Cluster, Request, fail

TIMEOUT = 30.0
"""Seconds after which a request without an answer has failed."""


class Service(Driver):
    """A run of the lifecycle against a cluster."""

    def __init__(self, settings: Settings | None = None, limit: int = 1000) -> None:
        self.settings = settings or Settings((A, B), contacts_per_subscription=3)
        super().__init__(self.settings)
        self.cluster = Cluster(*self.settings.nodes, limit=limit)
        self.sessions: dict[Key, int] = {}
        self.requests: list[Request] = []
        self.contacts: dict[str, frozenset[str]] = {}
        self.ticks = 0

    # What the service does

    def post(self, event: Event) -> list[Command]:
        """See Driver; the commands are on their way at once."""
        commands = super().post(event)
        for command in commands:
            self.requests.append(self._request(command))
        self._check_memory()
        return commands

    def _request(self, command: Command) -> Request:
        key = command.key
        owner = session_of(key)
        if key.kind in SESSIONS and command.act is not Act.MAKE:
            owner = key
        resource = self.state.resources.get(key)
        known = resource.contacts if resource and not command.leftover else frozenset()
        if key.kind is Kind.APPLICATION and command.act is Act.MAKE:
            return Request(command, self.now, None, known)
        assert owner in self.sessions, f"a command without a session: {command}"
        return Request(command, self.now, self.sessions[owner], known)

    def deliver(self, request: Request) -> None:
        """The answer comes in."""
        assert request.reply is not None
        self.requests.remove(request)
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
        self.post(reply)

    def want(self, contacts: dict[str, frozenset[str]]) -> None:
        """Other contacts are wanted."""
        self.contacts = contacts
        self.post(Want(contacts))

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

    def answer_all(self) -> None:
        """The server answers whatever is asked, until nothing is asked any more."""
        for _ in range(1000):
            if not self.requests:
                return
            self.answer(0)
        raise AssertionError(f"a storm: {self.requests}")

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

    def go_well(self, seconds: float) -> None:
        """Time passes, and whatever is asked is answered at once."""
        until = self.now + seconds
        self.answer_all()
        while (due := self.due()) is not None and due <= until:
            self.now = due
            self.ticks += 1
            self.tick()
            self.answer_all()
        self.now = until

    def _time_out(self) -> None:
        for request in list(self.requests):
            if request in self.requests and self.now >= request.asked_at + TIMEOUT:
                fail(request, Failure(FailureKind.UNKNOWN_OUTCOME, "no answer in time", may_have_acted=True))
                self.deliver(request)

    def fetch_all(self) -> None:
        """Every subscription is fetched."""
        for number in range(len(self.live(Kind.SUBSCRIPTION))):
            self.fetch(number)

    def fetch(self, number: int, failure_kind: FailureKind | None = None) -> None:
        """A subscription is fetched, and the lifecycle told how that went."""
        keys = sorted(self.live(Kind.SUBSCRIPTION))
        if not keys:
            return
        key = keys[number % len(keys)]
        resource = self.state.resources[key]
        session = self.sessions.get(session_of(key))
        failure = self.cluster.fetch(key, resource.id or 0, session, self.now)
        if failure_kind is not None:
            failure = Failure(
                failure_kind, f"injected {failure_kind}", may_have_acted=failure_kind is FailureKind.UNKNOWN_OUTCOME
            )
        owner = self.state.resources[session_of(key)].generation
        self.post(CallReported(key, resource.generation, failure, consumes=True, session=owner))

    def crash_and_restart(self, acted: bool) -> None:
        """The service is killed and starts again with what it remembered."""
        for request in self.requests:
            if acted:
                self.cluster.serve(request, self.now)
        self.requests.clear()
        self.sessions.clear()
        self.crash()
        self.post(Want(self.contacts))

    # What must always hold at the server

    def there(self) -> dict[tuple[Kind, str, int | None], float]:
        """All that is on the server, and until when."""
        found: dict[tuple[Kind, str, int | None], float] = {}
        for name, node in self.cluster.nodes.items():
            node.expire(self.now)
            for kind in (Kind.ENDPOINT, Kind.SUBSCRIPTION):
                for number, thing in node.things(kind).items():
                    found[kind, name, number] = thing.expires_at
        return found

    def _is_remembered(self, node: str) -> bool:
        """Whether a start after a crash would reset the node."""
        return node in self.memory.nodes or (self.memory.unknown and node not in self.memory.clean)

    def _check_memory(self) -> None:
        """Whatever is on the server would be found again after a crash."""
        for (kind, node, number), expires_at in self.there().items():
            if expires_at > self.now + TIMEOUT:
                assert self._is_remembered(node), (
                    f"{kind} {number} at {node}, there until {expires_at}, would be forgotten"
                )
