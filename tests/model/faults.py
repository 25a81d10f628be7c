"""The faults: moves that go wrong, for each pending request and at the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.model import client as clients
from tests.model import server
from tests.model.explorer import Move
from tests.model.rules import Fault
from tests.model.values import BAD, EMPTY, STRANGER, Answer, Client, Kind, Reply, Request, World
from tests.model.words import asked, name, said

if TYPE_CHECKING:
    from tests.model.protocol import Protocol

READINGS = frozenset({Kind.FETCH, Kind.POLL})


def moves(world: World, under_way: list[Request], protocol: Protocol) -> Iterator[Move[World]]:
    """All faults that are possible now. The budget of `world` is already reduced."""
    kinds = protocol.bounds.kinds
    for request in under_way:
        yield from _unanswered(world, request, protocol)
        if request.reply is None:
            if Fault.REFUSED in kinds:
                refused = with_reply(world, world.client, request, Reply(Answer.REFUSED))
                yield Move(f"the server refuses: {asked(world.client, request)}", refused, True)
            if not protocol.server.carried_out_once:
                once, _ = server.answered(world, request, protocol.server)
                twice, reply = server.answered(once, request, protocol.server)
                again = with_reply(twice, world.client, request, reply)
                yield Move(
                    f"the server executes twice, and answers the second: {asked(world.client, request)}", again, True
                )
        elif not protocol.server.gateways_know_no_codes:
            forged = with_reply(world, world.client, request, Reply(Answer.REFUSED))
            yield Move(f"a gateway sends a PWS fault code in place of {said(world.client, request)}", forged, True)
        if request.kind in READINGS and request.reply is not None and request is not world.client.older_fetch:
            yield from _misread(world, request, request.reply, protocol)
    if Fault.FORGOTTEN in kinds:
        if world.session:
            yield Move("the server forgets the session", server.end_session(world, protocol.server), True)
        for sub in world.subs:
            yield Move(f"the server forgets subscription {sub.id}", server.forget(world, sub.id), True)
    if not protocol.server.nobody_else_fetches:
        for sub in world.subs:
            stolen, _ = server.carry_out(world, Request(Kind.FETCH, sub.id), protocol.server)
            yield Move(f"another program fetches subscription {sub.id} with the same session key", stolen, True)


def with_reply(world: World, client: Client, request: Request, reply: Reply) -> World:
    """Attach a reply to a pending request of `client`."""
    answered = request._replace(reply=reply)
    now = world.client
    if request is client.control:
        now = now._replace(control=answered)
    elif request is client.fetch:
        now = now._replace(fetch=answered)
    elif request is client.older_fetch:
        now = now._replace(older_fetch=answered)
    else:
        now = now._replace(poll=answered)
    return world._replace(client=now)


def _unanswered(world: World, request: Request, protocol: Protocol) -> Iterator[Move[World]]:
    """The client gives up, and the request may still be executed."""
    left = server.abandoned(world, request)
    for fault, what in ((Fault.LOST, "time-out: "), (Fault.PAGE, "a gateway answers with its own page: ")):
        if fault in protocol.bounds.kinds:
            page = fault is Fault.PAGE
            after = clients.unknown(left.client, request, protocol.rules, page=page)
            done = "" if request.reply is None else " (already executed)"
            yield Move(f"{what}{asked(world.client, request)}{done}", left._replace(client=after), True)


def _misread(world: World, request: Request, reply: Reply, protocol: Protocol) -> Iterator[Move[World]]:
    """A reply that can be parsed, and is wrong in some way."""
    kinds = protocol.bounds.kinds
    named = [number for number, _ in reply.entries]
    for place, (number, state) in enumerate(reply.entries):
        if number == STRANGER or named.count(number) > 1:
            continue  # else a single false entry would remain, which no client can detect
        before, after = reply.entries[:place], reply.entries[place + 1 :]
        for fault, entries, what in (
            (
                Fault.STRANGER,
                [(STRANGER, state)],
                f"arrives with an entry for {name(number)} that cannot be attributed",
            ),
            (
                Fault.TWICE,
                [(number, state), (number, BAD)],
                f"arrives with two entries for {name(number)}, the second with a wrong state",
            ),
            (Fault.EMPTY, [(number, EMPTY)], f"arrives with an empty state for {name(number)}"),
        ):
            if fault in kinds:
                odd = with_reply(world, world.client, request, reply._replace(entries=(*before, *entries, *after)))
                yield Move(f"{said(world.client, request)} {what}", odd, True)
    if Fault.DOUBLED in kinds:
        doubled = world.client._replace(stray=(request.kind, reply))
        yield Move(
            f"{said(world.client, request)} is duplicated on the connection", world._replace(client=doubled), True
        )
