"""A process with the real lifecycle, the server, and what is on its way between them: single steps of a history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from pws_soap.lifecycle import USABLE, Act, Command, Event, Key, Kind, Memory, State, Succeeded, Want, begin, step
from pws_soap.lifecycle.plan import session_of
from tests.lifecycle.driver import START
from tests.lifecycle.sameness import normal
from tests.lifecycle.small_server import Request, Server, execute, is_valid, owner_of
from tests.lifecycle.world import SAFETY

HEALED_IN: Final = 300.0 + 60.0 + SAFETY
"""Seconds: the longest pause after a failure, that after which a failed node is tried again, and a safety fetch, which
finds out what the server has forgotten. They pass side by side or in this order."""

JOE: Final = frozenset({"joe"})
BOTH: Final = JOE | {"rita"}


@dataclass(frozen=True, eq=False)
class World:
    """One moment of a history.

    `keys`: the session keys that the process holds. `given`: the ids that a server gave to it. `late`: requests that
    nobody waits for, with valid keys, which the server may still execute; `late_fetches` the same for fetches, as
    node, session key and id. `to_reset`: nodes where an earlier process may have left something, and the application's
    session has not ended since. `faults`, `alterations` and `moved` count what has happened; `problem` is what the last
    step did wrong.
    """

    state: State
    servers: tuple[tuple[str, Server], ...]
    """By node."""
    want: frozenset[str] = JOE
    now: float = START
    requests: tuple[Request, ...] = ()
    keys: tuple[tuple[Key, int], ...] = ()
    given: frozenset[tuple[Kind, str, int]] = frozenset()
    late: tuple[Request, ...] = ()
    late_fetches: frozenset[tuple[str, int, int]] = frozenset()
    to_reset: frozenset[str] = frozenset()
    faults: int = 0
    alterations: int = 0
    moved: int = 0
    problem: str | None = None

    @cached_property
    def normal(self) -> tuple[object, ...]:
        """What tells states apart."""
        there = normal(self.state, self.now, self.servers, self.requests, self.keys, self.late, self.late_fetches)
        return (there, self.want, self.given, self.to_reset, self.faults, self.alterations, self.moved, self.problem)

    def __hash__(self) -> int:
        return hash(self.normal)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, World) and self.normal == other.normal

    def held(self, key: Key) -> int:
        """The session key that the process holds for a session; 0: none."""
        return dict(self.keys).get(key, 0)

    def at(self, node: str) -> Server:
        """The server of a node."""
        return dict(self.servers)[node]

    def usable(self) -> dict[Key, int]:
        """The ids under which the process fetches its subscriptions."""
        resources = self.state.resources.items()
        found = {key: each.id for key, each in resources if each.phase in USABLE and key.kind is Kind.SUBSCRIPTION}
        return {key: number for key, number in found.items() if number is not None and self.held(session_of(key))}


def wanting(world: World) -> World:
    return posted(world, Want({"ann": world.want}))


def posted(world: World, event: Event) -> World:
    """One step of the lifecycle, and the commands it gives."""
    try:
        state, commands = step(world.state, event, world.now)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding, and its trace is wanted
        return replace(world, problem=f"step fails on {type(event).__name__}: {error!r}")
    world = replace(world, state=state)
    for command in commands:
        world = _sent(world, command)
    return world


def _sent(world: World, command: Command) -> World:
    owner = owner_of(command)
    resource = world.state.resources.get(command.key)
    known = resource.contacts if resource is not None else frozenset()
    request = Request(command, world.held(owner) if owner is not None else 0, world.now, known)
    problem = world.problem
    if owner is not None and not world.held(owner):
        problem = f"{request} without a session"
    elif (
        command.act is not Act.MAKE
        and command.id is not None
        and (command.key.kind, command.key.node, command.id) not in world.given
    ):
        problem = f"{request}: the server never gave that id"
    elif command.key.node in world.to_reset and command.act is Act.MAKE and command.key.kind is not Kind.APPLICATION:
        problem = f"{request} before the reset of what an earlier process left"
    elif any(_same_life(world.state, each.command, command) for each in world.requests):
        problem = f"{request} while another request for it is pending"
    return replace(world, requests=(*world.requests, request), problem=problem)


def _same_life(state: State, one: Command, other: Command) -> bool:
    """Whether both requests are for the same thing, and not for an earlier one that is lost by now."""
    if one.key != other.key or one.leftover or other.leftover:
        return False
    return other.act is not Act.MAKE and one.seq >= state.resources[other.key].generation


def read(world: World, request: Request) -> World:
    """The process reads a reply. It holds sessions as the service does."""
    command, reply = request.command, request.reply
    assert reply is not None
    keys, given = dict(world.keys), world.given
    if isinstance(reply, Succeeded):
        resource = world.state.resources.get(command.key)
        if request.session and resource is not None and resource.seq == command.seq:
            keys[command.key] = request.session
        if command.act in {Act.RESET, Act.REMOVE} and keys.get(command.key) == request.key:
            keys.pop(command.key, None)
        if reply.id is not None:
            given |= {(command.key.kind, command.key.node, reply.id)}
    rest = tuple(each for each in world.requests if each.command is not command)
    return posted(replace(world, requests=rest, keys=tuple(sorted(keys.items())), given=given), reply)


def executed(world: World, request: Request) -> World:
    """The server executes a pending request; the reply is on its way."""
    node = request.command.key.node
    server, answered = execute(world.at(node), request)
    return with_reply(serving(world, node, server), request, answered)


def with_reply(world: World, request: Request, answered: Request) -> World:
    return replace(world, requests=tuple(answered if each is request else each for each in world.requests))


def serving(world: World, node: str, server: Server) -> World:
    """The server of a node has changed; requests with keys that it does not know any more are void."""
    late = tuple(each for each in world.late if each.command.key.node != node or is_valid(server, each))
    fetches = frozenset(each for each in world.late_fetches if each[0] != node or each[1] == server.user)
    to_reset = world.to_reset if server.application else world.to_reset - {node}
    servers = tuple((name, server if name == node else each) for name, each in world.servers)
    return replace(world, servers=servers, late=late, late_fetches=fetches, to_reset=to_reset)


def abandoned(world: World, requests: tuple[Request, ...]) -> World:
    """Nobody waits for these requests any more, and they were not executed."""
    late = [each for each in requests if each.matters_late and is_valid(world.at(each.command.key.node), each)]
    return replace(world, late=tuple(sorted((*world.late, *late), key=str)))


def covers(memory: Memory, node: str) -> bool:
    """Whether the next process resets a node before it makes anything there."""
    return node in memory.nodes or (memory.unknown and node not in memory.clean)


def restarted(world: World, memory: Memory) -> World:
    """Another process, which must reset whatever may be left before it makes anything."""
    late = {each.command.key.node for each in world.late} | {node for node, _, _ in world.late_fetches}
    left = late | {node for node, server in world.servers if server.holds_anything}
    problem = world.problem
    if not all(covers(memory, node) for node in left):
        problem = "the state file does not know of what is left at the server"
    fresh = replace(
        world,
        state=begin(world.state.settings, world.now, memory),
        requests=(),
        keys=(),
        given=frozenset(),
        to_reset=frozenset(node for node, server in world.servers if server.application and covers(memory, node)),
        problem=problem,
    )
    return wanting(fresh)
