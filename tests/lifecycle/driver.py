"""Drives `step` as the service does, and checks after every step what must always hold."""

from __future__ import annotations

from pws_soap.lifecycle import (
    NOTHING_HANDED_OVER,
    USABLE,
    Act,
    Command,
    Event,
    HandedOver,
    Key,
    Kind,
    Memory,
    Phase,
    Settings,
    State,
    Tick,
    begin,
    handed_over,
    next_due,
    remember,
    step,
)
from pws_soap.lifecycle.plan import parents, session_of
from pws_soap.lifecycle.table import SESSIONS, UNDER_WAY

# Three nodes of one cluster.
A, B, C = "https://a.example:8083", "https://b.example:8083", "https://c.example:8083"
START = 1000.0


class Driver:
    """One run of the lifecycle: the state, the time, and the commands not answered yet."""

    def __init__(self, settings: Settings, now: float = START, memory: Memory = Memory()) -> None:  # noqa: B008  # frozen
        self.now = now
        self.state: State = begin(settings, now, memory)
        self.memory = remember(self.state)
        self.open: list[Command] = []
        self.made: dict[Key, int] = {}
        """The number of the last MAKE of each thing."""
        self.given: set[tuple[Kind, str, int]] = set()
        """Ids that the server gave."""
        self.steps = 0

    def post(self, event: Event) -> list[Command]:
        """Something happens now. The new commands, which are also in `open`."""
        self.state, commands = step(self.state, event, self.now)
        self.steps += 1
        self.memory = remember(self.state)
        for command in commands:
            self._check(command)
            self.open.append(command)
        self._check_state()
        return commands

    def tick(self) -> list[Command]:
        """Time has passed."""
        return self.post(Tick())

    def due(self) -> float | None:
        """When to tick next."""
        return next_due(self.state)

    def answered(self, command: Command) -> None:
        """This command has its answer."""
        self.open.remove(command)

    def live(self, kind: Kind) -> list[Key]:
        """All of a kind that may be used."""
        return [key for key, each in self.state.resources.items() if key.kind is kind and each.phase in USABLE]

    def phase(self, key: Key) -> Phase | None:
        """Where a thing is in its life, None where there is no such thing."""
        resource = self.state.resources.get(key)
        return resource.phase if resource else None

    # What must always hold

    def _check(self, command: Command) -> None:
        key, act = command.key, command.act
        if command.leftover:
            assert act is Act.REMOVE
            assert (key.kind, key.node, command.id) in self.given, f"an id that the server never gave: {command}"
            self._session_is_there(session_of(key), command)
            return
        if act is Act.MAKE:
            self.made[key] = command.seq
            assert command.id is None
            for parent in parents(key):
                assert self.phase(parent) in USABLE, f"{command} without {parent}"
        elif key.kind in SESSIONS:
            for parent in parents(key):
                assert self.phase(parent) in USABLE, f"{command} without {parent}"
        else:
            assert (key.kind, key.node, command.id) in self.given, f"an id that the server never gave: {command}"
            self._session_is_there(session_of(key), command)
        if key.kind is Kind.SUBSCRIPTION and act is not Act.REMOVE:
            endpoint = self.state.resources[Key(Kind.ENDPOINT, key.node)]
            assert endpoint.id is not None
            assert command.endpoint == endpoint.id
        if key.kind is Kind.SUBSCRIPTION and act in {Act.MAKE, Act.ALTER}:
            assert command.add or command.drop, f"nothing to do: {command}"
            assert not command.add & command.drop
            assert act is Act.ALTER or not command.drop
        life = [each for each in self.open if each.key == key and not each.leftover and each.seq >= self.made[key]]
        assert not life, f"{command} while {life} is under way"

    def _session_is_there(self, session: Key, command: Command) -> None:
        assert self.phase(session) in USABLE, f"{command} without {session}"

    def _check_state(self) -> None:
        due = next_due(self.state)
        assert due is None or due > self.now, f"due {due} at {self.now}: {self.state}"
        under_way = {each.seq for each in self.open}
        for key, resource in self.state.resources.items():
            assert key == resource.key
            if resource.phase in UNDER_WAY:
                assert resource.seq in under_way, f"waits for an answer to nothing: {resource}"
            if resource.phase in USABLE and key.kind not in SESSIONS:
                assert resource.expires_at is not None
                assert resource.expires_at > self.now, f"used beyond its life: {resource}"
                for parent in parents(key):
                    assert self.phase(parent) in USABLE, f"{resource} without {parent}"
        for leftover in self.state.leftovers:
            assert leftover.expires_at > self.now
            assert not leftover.seq or leftover.seq in under_way
            mine = [each for each in self.state.resources.values() if each.id == leftover.id]
            assert not [each for each in mine if each.key[:3] == (leftover.kind, leftover.node, leftover.user)], (
                leftover
            )
        if self.state.finished:
            assert not self.state.resources

    def crash(self, memory: Memory | None = None) -> None:
        """The process is killed and started again, with the memory of its last step."""
        memory = self.memory if memory is None else memory
        self._begin(memory, NOTHING_HANDED_OVER)

    def hand_over(self) -> HandedOver:
        """The process ends, and another one goes on; with what."""
        left = handed_over(self.state)
        self._begin(self.memory, left)
        return left

    def _begin(self, memory: Memory, left: HandedOver) -> None:
        self.state = begin(self.state.settings, self.now, memory, left)
        self.memory = remember(self.state)
        self.open.clear()
        self.made.clear()
