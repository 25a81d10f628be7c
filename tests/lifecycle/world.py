"""All that can go wrong between the service and the server, and the measure of what is right again afterwards.

Every method named for something that may happen takes plain values, so that Hypothesis can choose them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pws_soap.lifecycle import USABLE, Act, Failure, FailureKind, Key, Kind, Move, Stop, Succeeded
from pws_soap.lifecycle.plan import wanted
from tests.lifecycle.server import Mode, fail
from tests.lifecycle.service import TIMEOUT, Service

SAFETY = 60.0
"""Seconds between two fetches of a subscription."""


class World(Service):
    """A service, and the faults that it meets."""

    endpoint_forgotten = False
    """Whether that happened: it is noticed no sooner than at the renewal."""

    def lose(self, number: int, acted: bool) -> None:
        """The answer is lost, with or without an effect at the server."""
        request = self.pick(number)
        if request:
            if acted:
                self.cluster.serve(request, self.now)
            fail(request, Failure(FailureKind.UNKNOWN_OUTCOME, "the answer was lost", may_have_acted=True))
            self.deliver(request)

    def refuse(self, number: int, failure_kind: FailureKind) -> None:
        """The server says no, or cannot be reached, for no reason of its own."""
        request = self.pick(number)
        if request and request.reply is None:
            fail(
                request,
                Failure(
                    failure_kind, f"injected {failure_kind}", may_have_acted=failure_kind is FailureKind.UNKNOWN_OUTCOME
                ),
            )
            self.deliver(request)

    def half(self, number: int, failure_kind: FailureKind, acted: bool) -> None:
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
            request.reply = replace(
                reply,
                contacts=first,
                failure=Failure(
                    failure_kind, f"injected {failure_kind}", may_have_acted=failure_kind is FailureKind.UNKNOWN_OUTCOME
                ),
            )
        elif isinstance(reply, Succeeded):
            fail(
                request,
                Failure(
                    failure_kind, f"injected {failure_kind}", may_have_acted=failure_kind is FailureKind.UNKNOWN_OUTCOME
                ),
            )
        else:
            request.reply = reply
        self.deliver(request)

    def jump(self, seconds: float, acted: bool) -> None:
        """The machine sleeps: time passes and nothing is done in it."""
        for request in list(self.requests):
            if acted:
                self.cluster.serve(request, self.now)
            elif request.reply is None:
                fail(request, Failure(FailureKind.UNKNOWN_OUTCOME, "no answer in time", may_have_acted=True))
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
            self.endpoint_forgotten |= kind is Kind.ENDPOINT

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

    def move(self, node: int, user: str | None) -> None:
        """The operator moves a user, or all."""
        self.post(Move(self.settings.nodes[node], user))

    def stop(self) -> None:
        """The service stops."""
        self.post(Stop())

    # Healing

    def heal(self, limit: float) -> float:
        """No more faults. Seconds until everything is as it should be; fails when that takes longer than `limit`."""
        for node in self.cluster.nodes.values():
            node.mode = Mode.UP
        self.cluster.held.clear()
        began, first_step, next_fetch = self.now, self.steps, self.now
        self.tick()
        while True:
            self.answer_all()
            if self.now >= next_fetch:
                next_fetch = self.now + SAFETY
                self.fetch_all()
                self.answer_all()
            wrong = list(self.wrong())
            if not wrong:
                return self.now - began
            assert self.now - began <= limit, f"after {limit} s: {wrong}"
            assert self.steps - first_step < 2000, f"too many steps: {wrong}"
            due = self.due()
            self.now = next_fetch if due is None else min(next_fetch, due)
            self.tick()

    def wrong(self) -> Iterator[str]:
        """What is not as it should be."""
        state = self.state
        if state.stopping and not state.finished:
            yield f"not finished: {sorted(state.resources)}"
        for key in wanted(state) | set(state.resources):
            if self.phase(key) not in USABLE:
                yield f"{key} is {self.phase(key)}: {state.resources.get(key)}"
            elif key not in wanted(state):
                yield f"{key} is there, and not wanted"
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
            if what not in believed and expires_at > self.now + TIMEOUT and not self._is_remembered(what[1]):
                yield f"orphan {what}, there until {expires_at}"
        for what, resource in believed.items():
            if what not in there and resource.phase in USABLE:
                yield f"{what} is not there"
            kind, node, number = what
            if kind is Kind.SUBSCRIPTION and what in there:
                has = self.cluster.nodes[node].subscriptions[number or 0].contacts
                if has != resource.contacts:
                    yield f"{what} has {sorted(has)} and not {sorted(resource.contacts)}"
        for each in (
            *state.leftovers,
            *(state.suspected - state.clean),
        ):  # a stop does not wait for them: they are written down
            if not state.stopping:
                yield f"left: {each}"
