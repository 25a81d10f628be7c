"""What may happen to a process and its successors: the moves of every history, within bounds.

Time jumps to `next_due`, also while requests are pending, as long as none of them takes longer than `TIMEOUT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pws_soap import lifecycle
from pws_soap.lifecycle import UNKNOWN, Act, CallReported, Key, Kind, Settings, Stop, Tick, begin, next_due, remember
from pws_soap.lifecycle.plan import session_of
from pws_soap.lifecycle.table import SESSIONS
from tests.lifecycle.driver import START
from tests.lifecycle.one_process import (
    BOTH,
    JOE,
    World,
    abandoned,
    executed,
    posted,
    read,
    restarted,
    serving,
    wanting,
    with_reply,
)
from tests.lifecycle.small_server import BROKEN, BUSY, FULL, GONE, LOST, UNREACHABLE, Request, Server, execute, failed
from tests.model.explorer import Move

TIMEOUT: Final = 30.0
"""Seconds that a request may take."""


@dataclass(frozen=True)
class Bounds:
    """How much may happen in one history."""

    faults: int = 1
    alterations: int = 0
    room: int = 1
    """Endpoints, and subscriptions, that the server has room for."""
    both: bool = False
    """Whether both contacts are wanted from the start."""
    moves: int = 0
    """Of the end user to the other node."""


def start(settings: Settings, bounds: Bounds) -> World:
    """A first process, whose state file says that nothing is left, and a server without any session."""
    servers = tuple((node, Server(room=bounds.room)) for node in settings.nodes)
    return wanting(World(begin(settings, START), servers, BOTH if bounds.both else JOE))


def moves(world: World, bounds: Bounds) -> Iterator[Move[World]]:
    """What may happen next. The moves without faults come first. A history with a problem ends."""
    if world.problem is not None:
        return
    for request in world.requests:
        if request.reply is not None:
            yield Move(f"reply to {request}: {request.answer}", read(world, request))
    for request in world.requests:
        if request.reply is None:
            yield Move(f"executed: {request}", executed(world, request))
    if world.state.finished:
        yield Move("started again", restarted(world, remember(world.state)), True)
        return
    due = next_due(world.state)
    if due is not None and due - min((each.asked_at for each in world.requests), default=due) < TIMEOUT:
        yield Move(f"{due - world.now:.2f} s pass", posted(replace(world, now=due), Tick()))
    for request in world.late:
        rest = list(world.late)
        rest.remove(request)
        node = request.command.key.node
        server, _ = execute(world.at(node), request)
        yield Move(f"executed late: {request}", serving(replace(world, late=tuple(rest)), node, server), True)
    if not world.state.stopping:
        yield Move("the service is told to stop", posted(world, Stop()), True)
        if world.alterations < bounds.alterations:
            want = JOE if world.want == BOTH else BOTH
            altered = replace(world, want=want, alterations=world.alterations + 1)
            yield Move(f"wanted: {', '.join(sorted(want))}", wanting(altered), True)
        if world.moved < bounds.moves:
            here = world.state.users["ann"].node
            there = next(node for node, _ in world.servers if node != here)
            moved = replace(world, moved=world.moved + 1)
            yield Move(f"moved to {there[8]}", posted(moved, lifecycle.Move(there)), True)
    yield from _refused_fetches(world)
    if world.faults < bounds.faults:
        yield from _faults(replace(world, faults=world.faults + 1))


def _fetched(world: World, key: Key) -> CallReported:
    """What is told of a fetch that succeeded."""
    resources = world.state.resources
    return CallReported(key, resources[key].generation, consumes=True, session=resources[session_of(key)].generation)


def _refused_fetches(world: World) -> Iterator[Move[World]]:
    """Fetches that end as the server says. One that succeeds changes nothing."""
    for key, number in world.usable().items():
        gone, server = None, world.at(key.node)
        if world.held(session_of(key)) != server.user:
            gone = GONE[Kind.END_USER]
        elif number not in server.ids(Kind.SUBSCRIPTION):
            gone = GONE[Kind.SUBSCRIPTION]
        if gone is not None:
            after = posted(world, replace(_fetched(world, key), failure=gone))
            yield Move(f"fetch {number}: {gone.text}", after, True)


def _faults(world: World) -> Iterator[Move[World]]:
    for request in world.requests:
        yield from _failures(world, request)
    for key, number in world.usable().items():
        lost = _with_late_fetch(world, key, number)
        yield Move(f"fetch {number}: no reply", posted(lost, replace(_fetched(world, key), failure=LOST)), True)
    for node, server in world.servers:
        for kind in Kind:
            ids = {0} if kind in SESSIONS else {0, *server.ids(kind)}
            for number in sorted(ids):
                after = server.without(kind, number)
                if after != server:
                    what = f"{kind} {number}" if number else f"every {kind}" if len(ids) > 1 else kind
                    yield Move(f"{node[8]} forgets: {what}", serving(world, node, after), True)
    yield from _crashes(world)


def _with_late_fetch(world: World, key: Key, number: int) -> World:
    fetch = (key.node, world.held(session_of(key)), number)
    return serving(replace(world, late_fetches=world.late_fetches | {fetch}), key.node, world.at(key.node))


def _failures(world: World, request: Request) -> Iterator[Move[World]]:
    command = request.command
    lost = world if request.reply is not None else abandoned(world, (request,))
    yield Move(f"{request}: {LOST.text}", read(lost, replace(request, reply=failed(command, LOST))), True)
    replies = [BROKEN]
    if request.reply is None:
        replies += [BUSY, UNREACHABLE]
        if command.act is Act.MAKE and command.key.kind in {Kind.ENDPOINT, Kind.SUBSCRIPTION}:
            replies.append(FULL)
    for failure in replies:
        reply = replace(request, reply=failed(command, failure), session=0)
        yield Move(f"{request}: {failure.text}", with_reply(world, request, reply), True)


def _crashes(world: World) -> Iterator[Move[World]]:
    """The process is killed, perhaps during a fetch, and another one starts."""
    left = abandoned(world, tuple(each for each in world.requests if each.reply is None))
    for key, number in world.usable().items():
        left = _with_late_fetch(left, key, number)
    yield Move("killed, and started", restarted(left, remember(world.state)), True)
    yield Move("killed, and started without its state file", restarted(left, UNKNOWN), True)
