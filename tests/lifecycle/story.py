"""For tests that read like a story: the lifecycle, and a server that says what the test tells it to say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pws_soap.lifecycle import (
    Act,
    CallReported,
    Command,
    Failed,
    Failure,
    FailureKind,
    Key,
    Kind,
    LoginRedirected,
    Memory,
    Move,
    Removed,
    Resource,
    Settings,
    Succeeded,
    Want,
)
from tests.lifecycle.driver import A, Driver


def app(node: str = A) -> Key:
    """The application user's session."""
    return Key(Kind.APPLICATION, node)


def endpoint(node: str = A) -> Key:
    """The endpoint."""
    return Key(Kind.ENDPOINT, node)


def session(user: str = "ann", node: str = A) -> Key:
    """An end user's session."""
    return Key(Kind.END_USER, node, user)


def subscription(user: str = "ann", slot: int = 0, node: str = A) -> Key:
    """A subscription."""
    return Key(Kind.SUBSCRIPTION, node, user, slot)


def words(commands: Iterable[Command]) -> list[str]:
    """Commands as short words, such as `make end-user ann`."""
    return [f"{each.act} {'leftover ' * each.leftover}{each.key.kind} {each.key.user}".strip() for each in commands]


class Story(Driver):
    """A run of the lifecycle with a scripted server: it says yes unless the test says otherwise."""

    def __init__(self, *nodes: str, memory: Memory | None = None, **settings: Any) -> None:  # Any: of Settings
        super().__init__(Settings(nodes or (A,), **settings), memory=memory or Memory())
        self.last_id = 0

    def want(self, **users: str | Iterable[str]) -> list[Command]:
        """These contacts are wanted, by end user; each letter of a string is one."""
        return self.post(Want({user: frozenset(contacts) for user, contacts in users.items()}))

    def start(self, **users: str | Iterable[str]) -> Self:
        """Everything is made without a failure."""
        self.want(**(users or {"ann": "joe"}))
        self.serve()
        return self

    def one(self, act: Act, kind: Kind | None = None, user: str | None = None, node: str | None = None) -> Command:
        """The one command under way of that sort."""
        found = [
            each
            for each in self.open
            if each.act is act
            and kind in {None, each.key.kind}
            and user in {None, each.key.user}
            and node in {None, each.key.node}
        ]
        assert len(found) == 1, f"{len(found)} of {act} {kind}, under way: {words(self.open)}"
        return found[0]

    def yes(self, command: Command, id: int | None = None, **more: Any) -> list[Command]:  # noqa: A002  # Any: of Succeeded
        """The server does it."""
        self.answered(command)
        key = command.key
        if command.leftover:
            return self.post(Removed(command.seq))
        if command.act is Act.MAKE and key.kind in {Kind.ENDPOINT, Kind.SUBSCRIPTION}:
            self.last_id += 1
            more["id"] = self.last_id if id is None else id
            self.given.add((key.kind, key.node, more["id"]))
        if key.kind is Kind.SUBSCRIPTION and command.act in {Act.MAKE, Act.ALTER} and "contacts" not in more:
            before = self.state.resources[key].contacts if key in self.state.resources else frozenset()
            more["contacts"] = (before | command.add) - command.drop
        more.setdefault("asked_at", self.now)
        return self.post(Succeeded(key, command.seq, **more))

    def no(self, command: Command, failure_kind: FailureKind) -> list[Command]:
        """It fails."""
        self.answered(command)
        failure = Failure(
            failure_kind, f"the server says: {failure_kind}", may_have_acted=failure_kind is FailureKind.UNKNOWN_OUTCOME
        )
        return self.post(
            Removed(command.seq, failure) if command.leftover else Failed(command.key, command.seq, failure)
        )

    def elsewhere(self, command: Command, primary: str | None, backup: str | None = None) -> list[Command]:
        """The login is answered with a redirect."""
        self.answered(command)
        return self.post(LoginRedirected(command.key, command.seq, primary, backup))

    def used(
        self,
        key: Key,
        failure_kind: FailureKind | None = None,
        generation: int | None = None,
        *,
        consumes: bool = False,
        of_session: int | None = None,
    ) -> list[Command]:
        """A fetch through a subscription ends, or a poll."""
        acted = failure_kind is FailureKind.UNKNOWN_OUTCOME
        failure = (
            None
            if failure_kind is None
            else Failure(failure_kind, f"the server says: {failure_kind}", may_have_acted=acted)
        )
        mine = self.at(key).generation if generation is None else generation
        owner = self.at(Key(Kind.END_USER, key.node, key.user)).generation if of_session is None else of_session
        return self.post(CallReported(key, mine, failure, consumes=consumes, session=owner))

    def move(self, node: str) -> list[Command]:
        """The operator takes everybody to a node."""
        return self.post(Move(node))

    def serve(self) -> list[Command]:
        """The server does all that is asked; what that was, in order."""
        done = []
        while self.open:
            done.append(self.open[0])
            self.yes(self.open[0])
            assert len(done) < 1000, "a storm"
        return done

    def wait(self, seconds: float) -> list[Command]:
        """Time passes, with no answer from the server; what is asked meanwhile."""
        until, before = self.now + seconds, len(self.open)
        while (due := self.due()) is not None and due <= until:
            self.now = due
            self.tick()
        self.now = until
        return self.open[before:]

    def live_on(self, seconds: float) -> list[Command]:
        """Time passes, and the server does all that is asked; what that was."""
        until, done = self.now + seconds, self.serve()
        while (due := self.due()) is not None and due <= until:
            self.now = due
            self.tick()
            done += self.serve()
        self.now = until
        return done

    def refuse_all(self, seconds: float, failure_kind: FailureKind, *kinds: Kind) -> list[tuple[float, Command]]:
        """Time passes, and whatever is asked of these kinds, or at all, fails; what that was, and when."""
        until, done = self.now + seconds, []
        while True:
            while self.open:
                command = self.open[0]
                done.append((self.now, command))
                assert len(done) < 20000, "a storm"
                if kinds and command.key.kind not in kinds:
                    self.yes(command)
                else:
                    self.no(command, failure_kind)
            due = self.due()
            if due is None or due > until:
                break
            self.now = due
            self.tick()
        self.now = until
        return done

    def serve_only(self, node: str, seconds: float, failure_kind: FailureKind) -> None:
        """Time passes, that node does what is asked, and at all others it fails."""
        until = self.now + seconds
        while True:
            while self.open:
                command = self.open[0]
                if command.key.node == node:
                    self.yes(command)
                else:
                    self.no(command, failure_kind)
            due = self.due()
            if due is None or due > until:
                break
            self.now = due
            self.tick()
        self.now = until

    def at(self, key: Key) -> Resource:
        """A thing as the lifecycle knows it."""
        return self.state.resources[key]
