"""The server: one session, its subscriptions, and what a request does to them.

A change is returned once per subscription; an id is the lowest free one; an unforced login returns the same key while
the session lives; a logout destroys everything in the session (docs/protocol.md, section 2).
"""

from __future__ import annotations

from itertools import count

from tests.model.rules import Server
from tests.model.values import Answer, Key, Kind, Late, Reply, Request, Sub, World

_LASTING = frozenset({Kind.LOGOUT, Kind.SUBSCRIBE, Kind.ADD, Kind.DROP, Kind.REMOVE, Kind.FETCH})
"""Requests whose late execution matters. A login makes at most the session that the next login would make; a poll
consumes nothing."""


def abandoned(world: World, request: Request) -> World:
    """The client stops waiting. A request that was not executed yet may still be."""
    if request.reply is not None or request.kind not in _LASTING or world.client.key is not Key.VALID:
        return world
    late = Late(request.kind, request.id, request.contacts)
    return world._replace(late=tuple(sorted((*world.late, late))))


def carry_out(world: World, request: Request | Late, server: Server) -> tuple[World, Reply]:
    """Execute a request with the present session key."""
    kind = request.kind
    if kind is Kind.LOGIN:
        return world._replace(session=True), Reply()
    if kind is Kind.LOGOUT:
        return end_session(world, server), Reply()
    if kind is Kind.SUBSCRIBE:
        taken = {sub.id for sub in world.subs}
        new = next(number for number in count(1) if number not in taken)
        untold = request.contacts if server.tells_new_contacts else 0
        return _with(world, Sub(new, request.contacts, untold)), Reply(id=new)
    if kind is Kind.POLL:
        return world, Reply(entries=_entries(world, request.contacts))
    sub = next((sub for sub in world.subs if sub.id == request.id), None)
    if sub is None:
        return world, Reply(Answer.NO_SUBSCRIPTION)
    if kind is Kind.ADD:
        new = request.contacts & ~sub.contacts if server.tells_new_contacts else 0
        return _with(world, sub._replace(contacts=sub.contacts | request.contacts, untold=sub.untold | new)), Reply()
    if kind is Kind.DROP:
        left = ~request.contacts
        return _with(world, sub._replace(contacts=sub.contacts & left, untold=sub.untold & left)), Reply()
    if kind is Kind.REMOVE:
        return forget(world, sub.id), Reply()
    return _with(world, sub._replace(untold=0)), Reply(entries=_entries(world, sub.untold))


def answered(world: World, request: Request, server: Server) -> tuple[World, Reply]:
    """Execute a request of the client, whose key may have become invalid."""
    if request.kind is not Kind.LOGIN and world.client.key is not Key.VALID:
        return world, Reply(Answer.NO_SESSION)
    return carry_out(world, request, server)


def end_session(world: World, server: Server) -> World:
    """The session ends with all its subscriptions; abandoned requests with its key become void."""
    client = world.client
    if client.key is Key.VALID:
        client = client._replace(key=Key.DEAD)
    late = () if server.logout_ends_all else world.late
    return world._replace(session=False, subs=(), late=late, client=client)


def forget(world: World, id: int) -> World:  # noqa: A002  # the server's own word
    """Remove a subscription."""
    return world._replace(subs=tuple(sub for sub in world.subs if sub.id != id))


def changed(world: World, contact: int) -> World:
    """The presence of a contact changes."""
    bit = 1 << contact
    truth = tuple(version + (number == contact) for number, version in enumerate(world.truth))
    subs = tuple(sub._replace(untold=sub.untold | bit) if sub.contacts & bit else sub for sub in world.subs)
    return world._replace(truth=truth, subs=subs)


def _entries(world: World, contacts: int) -> tuple[tuple[int, int], ...]:
    return tuple((contact, version) for contact, version in enumerate(world.truth) if contacts >> contact & 1)


def _with(world: World, sub: Sub) -> World:
    others = (other for other in world.subs if other.id != sub.id)
    return world._replace(subs=tuple(sorted((*others, sub))))
