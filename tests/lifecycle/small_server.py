"""A small model of the server: one node, as one end user sees it.

It gives the lowest free id, and the same session key to every login while the session lives. Nothing expires: whatever
is left behind stays until it is removed, or its session ends. Its room is small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pws_soap.lifecycle import Act, Command, Event, Failed, Failure, FailureKind, Key, Kind, Removed, Succeeded
from pws_soap.lifecycle.plan import session_of
from pws_soap.lifecycle.table import SESSIONS
from tests.lifecycle.driver import A

LOST: Final = Failure(FailureKind.UNKNOWN_OUTCOME, "no reply", may_have_acted=True)
BROKEN: Final = Failure(FailureKind.SERVER, "200: server error", 200, may_have_acted=True)
BUSY: Final = Failure(FailureKind.THROTTLED, "212: too many requests", 212)
FULL: Final = Failure(FailureKind.EXHAUSTED, "138 or 139: no room")
UNREACHABLE: Final = Failure(FailureKind.UNREACHABLE, "connection refused")
GONE: Final = {
    Kind.APPLICATION: Failure(FailureKind.SESSION_LOST, "101: no such session", 101),
    Kind.END_USER: Failure(FailureKind.SESSION_LOST, "101: no such session", 101),
    Kind.ENDPOINT: Failure(FailureKind.ENDPOINT_LOST, "132: no such endpoint", 132),
    Kind.SUBSCRIPTION: Failure(FailureKind.SUBSCRIPTION_LOST, "133: no such subscription", 133),
}


@dataclass(frozen=True, slots=True)
class Server:
    """The server's state. A session is its key, 0 where there is none; `last` is the last key given."""

    application: int = 0
    user: int = 0
    endpoints: frozenset[int] = frozenset()
    subscriptions: tuple[tuple[int, frozenset[str]], ...] = ()
    """By id, with their contacts."""
    last: int = 0
    room: int = 1
    """For so many endpoints, and so many subscriptions."""

    @property
    def holds_anything(self) -> bool:
        """Whether there is an endpoint or a subscription."""
        return bool(self.endpoints or self.subscriptions)

    def ids(self, kind: Kind) -> frozenset[int]:
        """The ids of all endpoints, or subscriptions."""
        return self.endpoints if kind is Kind.ENDPOINT else frozenset(number for number, _ in self.subscriptions)

    def without(self, kind: Kind, number: int = 0) -> Server:
        """The server after a session ended, or after it forgot an id, or all (0) endpoints or subscriptions."""
        if kind is Kind.ENDPOINT:
            return replace(self, endpoints=frozenset(each for each in self.endpoints if number not in {0, each}))
        if kind is Kind.SUBSCRIPTION:
            rest = tuple(each for each in self.subscriptions if number not in {0, each[0]})
            return replace(self, subscriptions=rest)
        if kind is Kind.END_USER:
            return replace(self, user=0, subscriptions=())
        return Server(last=self.last, room=self.room)


@dataclass(frozen=True, slots=True)
class Request:
    """A command that was sent with session key `key`. `known`: the contacts that the subscription had then.

    `reply` and `session`, the key in the reply of a login, are what the server has answered.
    """

    command: Command
    key: int
    asked_at: float
    known: frozenset[str] = frozenset()
    reply: Event | None = None
    session: int = 0

    @property
    def answer(self) -> str:
        """The reply in words."""
        failure = getattr(self.reply, "failure", None)
        return "ok" if failure is None else str(failure.text)

    def __str__(self) -> str:
        command = self.command
        slot = f" #{command.key.slot + 1}" if command.key.slot else ""
        where = "" if command.key.node == A else " at b"
        what = f"{command.act} {'leftover ' * command.leftover}{command.key.kind}{slot}{where}"
        number = "" if command.id is None else f" {command.id}"
        return (
            what
            + number
            + "".join(f" +{each}" for each in sorted(command.add))
            + "".join(f" -{each}" for each in sorted(command.drop))
        )

    @property
    def matters_late(self) -> bool:
        """Whether it makes a difference that it is executed after nobody waits for it.

        A renewal only prolongs a life, and a login makes at most the session that the next login would make.
        """
        act = self.command.act
        return act is not Act.RENEW and (act is not Act.MAKE or self.command.key.kind not in SESSIONS)


def is_valid(server: Server, request: Request) -> bool:
    """Whether a request carries a session key that the server knows."""
    owner = owner_of(request.command)
    if owner is None:
        return True
    return request.key != 0 and request.key == (server.application if owner.kind is Kind.APPLICATION else server.user)


def execute(server: Server, request: Request) -> tuple[Server, Request]:
    """The server does what is asked, and answers."""
    server, reply, session = _execute(server, request)
    return server, replace(request, reply=reply, session=session)


def _execute(server: Server, request: Request) -> tuple[Server, Event, int]:
    command = request.command
    key, act = command.key, command.act
    done = Succeeded(key, command.seq, request.asked_at)
    if not is_valid(server, request):
        return server, failed(command, GONE[Kind.END_USER]), 0
    if key.kind in SESSIONS and act is Act.MAKE:
        here = server.application if key.kind is Kind.APPLICATION else server.user
        given = here or server.last + 1
        now = replace(server, last=max(server.last, given))
        now = replace(now, application=given) if key.kind is Kind.APPLICATION else replace(now, user=given)
        return now, done, given
    if key.kind in SESSIONS:
        return server.without(key.kind), done, 0
    if key.kind is Kind.SUBSCRIPTION and act is not Act.REMOVE and command.endpoint not in server.endpoints:
        return server, failed(command, GONE[Kind.ENDPOINT]), 0
    if act is Act.MAKE:
        if len(server.ids(key.kind)) >= server.room:
            return server, failed(command, FULL), 0
        new = min({*range(1, server.room + 1)} - server.ids(key.kind))
        if key.kind is Kind.ENDPOINT:
            return replace(server, endpoints=server.endpoints | {new}), replace(done, id=new), 0
        made = replace(server, subscriptions=tuple(sorted((*server.subscriptions, (new, command.add)))))
        return made, replace(done, id=new, contacts=command.add), 0
    if command.id not in server.ids(key.kind):
        return server, failed(command, GONE[key.kind]), 0
    if act is Act.REMOVE:
        ended = server.without(key.kind, command.id or 0)
        return ended, Removed(command.seq) if command.leftover else done, 0
    if act is Act.ALTER:
        has = tuple(
            (number, (each | command.add) - command.drop if number == command.id else each)
            for number, each in server.subscriptions
        )
        contacts = (request.known | command.add) - command.drop
        return replace(server, subscriptions=has), replace(done, contacts=contacts), 0
    return server, done, 0


def failed(command: Command, failure: Failure) -> Event:
    """The result of a command that failed."""
    return Removed(command.seq, failure) if command.leftover else Failed(command.key, command.seq, failure)


def owner_of(command: Command) -> Key | None:
    """The session whose key a command carries; None for the login of the application user, which has none."""
    if command.key.kind in SESSIONS and command.act is not Act.MAKE:
        return command.key
    return None if command.key.kind is Kind.APPLICATION else session_of(command.key)
