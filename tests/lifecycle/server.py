"""A small honest model of the server: sessions, endpoints, subscriptions, expiry, limits, several nodes, redirects.

It answers the lifecycle's commands and knows nothing of the lifecycle. Honest means: it says that it does not know
something only when that is true, and what it made is there until it is removed, expires, or its session ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Final
from urllib.parse import urlsplit

from pws_soap.lifecycle import (
    Act,
    Command,
    Event,
    Failed,
    Failure,
    FailureKind,
    Key,
    Kind,
    LoginRedirected,
    Removed,
    Succeeded,
)

LISTS_OF: Final = 100
"""Contacts in one request of the wire: a command with more of them is several requests."""


class Mode(Enum):
    """How a node behaves."""

    UP = "up"
    DOWN = "down"
    """Connections are refused."""
    HUNG = "hung"
    """Connections are accepted and never answered."""


@dataclass
class Thing:
    """An endpoint or a subscription, in the session `owner`."""

    owner: int
    expires_at: float
    contacts: frozenset[str] = frozenset()


@dataclass
class ServerNode:
    """One node. Sessions are known by their keys."""

    name: str
    mode: Mode = Mode.UP
    application: int | None = None
    users: dict[str, int] = field(default_factory=dict)
    endpoints: dict[int, Thing] = field(default_factory=dict)
    subscriptions: dict[int, Thing] = field(default_factory=dict)
    most_endpoints: int = 0
    most_subscriptions: int = 0

    def things(self, kind: Kind) -> dict[int, Thing]:
        """All of a kind, by id."""
        return self.endpoints if kind is Kind.ENDPOINT else self.subscriptions

    def expire(self, now: float) -> None:
        """What has outlived its time is gone."""
        for things in (self.endpoints, self.subscriptions):
            for number in [number for number, each in things.items() if each.expires_at <= now]:
                del things[number]

    def end_user(self, user: str) -> None:
        """End a session, with all that is in it."""
        key = self.users.pop(user, None)
        for number in [number for number, each in self.subscriptions.items() if each.owner == key]:
            del self.subscriptions[number]

    def end_application(self) -> None:
        """End the application user's session; it takes the end users along."""
        self.application = None
        self.endpoints.clear()
        for user in list(self.users):
            self.end_user(user)


@dataclass
class Request:
    """A command on its way; `key` is the session key that it carries."""

    command: Command
    asked_at: float
    key: int | None
    known: frozenset[str] = frozenset()
    """The contacts that the subscription was known to have when it was sent."""
    reply: Event | None = None
    """What the server answered, None before it has looked."""
    session: int | None = None
    """The session key in that answer."""


class Refused(Exception):
    """The server says no."""

    def __init__(self, failure_kind: FailureKind) -> None:
        super().__init__(failure_kind)
        self.failure = Failure(failure_kind, f"the server says {failure_kind}")


class Cluster:
    """The nodes together. `homes` is where end users live, `held` those whom another application holds."""

    def __init__(self, *names: str, limit: int = 1000) -> None:
        self.nodes = {name: ServerNode(name) for name in names}
        self.homes: dict[str, str] = {}
        self.held: set[str] = set()
        self.backups: dict[str, str] = {}
        self.limit = limit
        self.requests = 0
        self.failures: list[FailureKind] = []
        self._keys = count(1)

    def serve(self, request: Request, now: float) -> None:
        """Look at a request and answer it, unless that has been done."""
        if request.reply is not None:
            return
        command = request.command
        self.requests += max(1, -(-len(command.add) // LISTS_OF)) + len(command.drop) // LISTS_OF
        node = self.nodes[command.key.node]
        node.expire(now)
        try:
            request.reply = self._answer(node, request, now)
        except Refused as refusal:
            self.failures.append(refusal.failure.kind)
            fail(request, refusal.failure)
        node.most_endpoints = max(node.most_endpoints, len(node.endpoints))
        node.most_subscriptions = max(node.most_subscriptions, len(node.subscriptions))

    def fetch(self, key: Key, number: int, session: int | None, now: float) -> Failure | None:
        """Fetch a subscription: None when that works."""
        node = self.nodes[key.node]
        node.expire(now)
        if node.mode is not Mode.UP:
            unknown = node.mode is Mode.HUNG
            failure_kind = FailureKind.UNKNOWN_OUTCOME if unknown else FailureKind.UNREACHABLE
            return Failure(failure_kind, f"{key.node} is {node.mode}", may_have_acted=unknown)
        if session is None or node.users.get(key.user) != session:
            return Failure(FailureKind.SESSION_LOST, "session key not valid", 101)
        thing = node.subscriptions.get(number)
        if thing is None or thing.owner != session:
            return Failure(FailureKind.SUBSCRIPTION_LOST, "no such subscription", 133)
        return None

    def _answer(self, node: ServerNode, request: Request, now: float) -> Event:
        command = request.command
        key, act = command.key, command.act
        if node.mode is not Mode.UP:
            raise Refused(FailureKind.UNREACHABLE if node.mode is Mode.DOWN else FailureKind.UNKNOWN_OUTCOME)
        done = Succeeded(key, command.seq, request.asked_at)
        match key.kind:
            case Kind.APPLICATION if act is Act.MAKE:
                if node.application is None or command.force:
                    node.end_application()
                    node.application = next(self._keys)
                request.session = node.application
                backup = self.backups.get(node.name)
                return Succeeded(key, command.seq, request.asked_at, backup=backup)
            case Kind.APPLICATION:
                self._check(node.application, request)
                node.end_application()
                return done
            case Kind.END_USER if act is Act.MAKE:
                self._check(node.application, request)
                return self._log_in(node, request)
            case Kind.END_USER:
                self._check(node.users.get(key.user), request)
                node.end_user(key.user)
                return done
            case Kind.ENDPOINT:
                self._check(node.application, request)
            case Kind.SUBSCRIPTION:
                self._check(node.users.get(key.user), request)
        return self._thing(node, request, now)

    def _check(self, key: int | None, request: Request) -> None:
        if key is None or request.key != key:
            raise Refused(FailureKind.SESSION_LOST)

    def _log_in(self, node: ServerNode, request: Request) -> Event:
        command = request.command
        user = command.key.user
        home = self.homes.get(user, node.name)
        if home != node.name:
            return LoginRedirected(command.key, command.seq, urlsplit(home).netloc, self.backups.get(home))
        if user in self.held:
            if not command.force:
                raise Refused(FailureKind.HELD)
            self.held.discard(user)
        if user not in node.users or command.force:
            node.end_user(user)
            node.users[user] = next(self._keys)
        request.session = node.users[user]
        return Succeeded(command.key, command.seq, request.asked_at)

    def _thing(self, node: ServerNode, request: Request, now: float) -> Event:
        """Make, renew, alter or remove an endpoint or a subscription."""
        command = request.command
        kind, act = command.key.kind, command.act
        things = node.things(kind)
        done = Succeeded(command.key, command.seq, request.asked_at)
        if kind is Kind.SUBSCRIPTION and act is not Act.REMOVE and command.endpoint not in node.endpoints:
            raise Refused(FailureKind.ENDPOINT_LOST)
        if act is Act.MAKE:
            if len(things) >= self.limit:
                raise Refused(FailureKind.EXHAUSTED)
            number = next(number for number in count(1) if number not in things)
            things[number] = Thing(request.key or 0, now + (command.expires or 0), command.add)
            contacts = command.add if kind is Kind.SUBSCRIPTION else None
            return Succeeded(command.key, command.seq, request.asked_at, number, contacts)
        thing = things.get(command.id or 0)
        if thing is None or thing.owner != request.key:
            raise Refused(FailureKind.ENDPOINT_LOST if kind is Kind.ENDPOINT else FailureKind.SUBSCRIPTION_LOST)
        if act is Act.RENEW:
            thing.expires_at = now + (command.expires or 0)
        elif act is Act.ALTER:
            thing.contacts = (thing.contacts | command.add) - command.drop
            contacts = (request.known | command.add) - command.drop
            return Succeeded(command.key, command.seq, request.asked_at, contacts=contacts)
        else:
            del things[command.id or 0]
            return Removed(command.seq) if command.leftover else done
        return done


def fail(request: Request, failure: Failure) -> None:
    """The request comes back with this failure."""
    command = request.command
    request.session = None
    failed = Failed(command.key, command.seq, failure)
    request.reply = Removed(command.seq, failure) if command.leftover else failed
