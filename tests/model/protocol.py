"""The model: its start state, the moves of a state, and the invariants.

Moves without faults come first, ordered so that following the first one leads to a healed state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model import client as clients
from tests.model import faults, reading, server
from tests.model.client import begins, next_control, send, successor
from tests.model.explorer import Move
from tests.model.rules import AtStart, Bounds, OlderAlteration, OlderFetch, Rules, Server
from tests.model.values import Client, Key, Kind, Request, World
from tests.model.words import ask, asked, name, people, said


@dataclass(frozen=True)
class Protocol:
    """The model with its rules, assumptions and bounds."""

    rules: Rules = field(default_factory=Rules)
    server: Server = field(default_factory=Server)
    bounds: Bounds = field(default_factory=Bounds)

    def start(self) -> World:
        """A first process, and a server without any session."""
        bounds = self.bounds
        client = clients.first(bounds.contacts)
        left = (bounds.changes, bounds.faults, bounds.crashes, bounds.alterations)
        return World((0,) * bounds.contacts, False, (), (), client, *left)

    def wrong(self, world: World) -> str | None:
        """The promise: a live answer was true at some moment since its `as_of`."""
        for number in reading.wrong(world.client):
            record = world.client.records[number]
            return (
                f"{name(number)} is called live with state {record.shown}, but was {record.as_of} at `as_of`"
                f" and is {world.truth[number]} now"
            )
        return None

    def healed(self, world: World) -> bool:
        """All watched contacts are live, true and subscribed."""
        client = world.client
        if client.doubted or client.key is not Key.VALID or client.control is not None:
            return False
        for number, record in enumerate(client.records):
            if client.want >> number & 1 and (record.doubt or record.shown != world.truth[number]):
                return False
        return any(sub.id == client.sub and sub.contacts == client.want for sub in world.subs)

    def moves(self, world: World) -> Iterator[Move[World]]:
        """What may happen next."""
        client = world.client
        under_way = [
            each for each in (client.control, client.fetch, client.poll, client.older_fetch) if each is not None
        ]
        for request in under_way:
            if request.reply is not None:
                yield Move(f"the client receives {said(client, request)}", self._read(world, request))
        for request in under_way:
            if request.reply is None:
                after, reply = server.answered(world, request, self.server)
                served = faults.with_reply(after, world.client, request, reply)
                yield Move(f"the server executes: {asked(client, request)}", served)
        yield from self._asks(world)
        if client.shaky and client.fetch is None and client.older_fetch is None:
            after = world._replace(client=client._replace(shaky=False))
            yield Move("the assumed window for late execution ends", after)
        for late in dict.fromkeys(world.late):
            rest = list(world.late)
            rest.remove(late)
            before = world._replace(late=tuple(rest))
            after, reply = server.carry_out(before, late, self.server)
            took = f" (consumes {people(reply.entries)})" if reply.entries else ""
            yield Move(f"the server executes an abandoned request: {ask(late)}{took}", after, True)
        yield from self._news(world)
        if world.faults:
            yield from faults.moves(world._replace(faults=world.faults - 1), under_way, self)

    def _asks(self, world: World) -> Iterator[Move[World]]:
        client = world.client
        if (request := next_control(client, self.rules)) is not None:
            yield from self._sent(world, request)
        if not client.sub:
            return
        older = client.older_fetch
        waits = self.rules.older_fetch is OlderFetch.WAIT_TO_FETCH and older is not None and older.id == client.sub
        may_fetch, may_poll = client.fetch is None and not waits, client.fetched and client.poll is None
        carried = reading.carried(client, self.rules)
        unsettled = sum(
            1 << number for number, record in enumerate(client.records) if record.doubt and carried >> number & 1
        )
        if may_fetch and (client.doubted or not client.fetched):
            yield from self._sent(world, begins(world, Kind.FETCH))
            may_fetch = False
        if may_poll and client.fetch is None and unsettled:
            yield from self._sent(world, begins(world, Kind.POLL, unsettled))
        if may_fetch:
            yield from self._sent(world, begins(world, Kind.FETCH))
        if may_poll and not unsettled and self.bounds.sweeps:
            yield from self._sent(world, begins(world, Kind.POLL, carried))
        if client.key is not Key.VALID:
            after = clients.session_lost(client, self.rules)
            yield Move("a renewal reports that the session is gone", world._replace(client=after))
        elif all(sub.id != client.sub for sub in world.subs):
            lost = self._settled(world, clients.line_lost(client))
            yield Move(f"a renewal reports that subscription {client.sub} is gone", lost)

    def _sent(self, world: World, request: Request) -> Iterator[Move[World]]:
        """Send a request. The copy of an earlier reply, if there is one, may be what is received."""
        stray = world.client.stray
        sent = world._replace(client=send(world.client, request)._replace(stray=None))
        label = f"the client sends: {ask(request)}"
        if stray is None:
            yield Move(label, sent)
            return
        copied = f"{label} (and receives the copy of an earlier reply)"
        left = server.abandoned(sent, request)
        if stray[0] is not request.kind:
            yield Move(label, sent)
            unusable = clients.unknown(left.client, request, self.rules, page=True)
            yield Move(copied, left._replace(client=unusable), True)
        elif self.rules.each_operation_once:
            yield Move(label, sent)
        else:
            yield Move(copied, faults.with_reply(left, left.client, request, stray[1]))

    def _read(self, world: World, request: Request) -> World:
        client = world.client
        if request is client.older_fetch:
            return world._replace(client=clients.overtaken(client, request))
        if not self.rules.count_from_the_beginning and request.began:
            request = request._replace(began=world.truth)
            client = client._replace(fetch=request) if request.kind is Kind.FETCH else client._replace(poll=request)
        client = clients.read(client, request, self.rules)
        if request.kind is Kind.LOGIN and not world.session:
            client = client._replace(key=Key.DEAD)
        return self._settled(world, client)

    def _settled(self, world: World, client: Client) -> World:
        """The client after a reply. The alteration of a lost subscription may still be pending."""
        control = client.control
        if control is None or control.kind not in {Kind.ADD, Kind.DROP} or control.id == client.sub:
            return world._replace(client=client)
        if self.rules.older_alteration is OlderAlteration.WAIT:
            return world._replace(client=client)
        reset = client.reset or self.rules.older_alteration is OlderAlteration.RESET
        return server.abandoned(world, control)._replace(client=client._replace(control=None, reset=reset))

    def _news(self, world: World) -> Iterator[Move[World]]:
        """Presence changes, the operator alters the watch list, the process is killed."""
        client = world.client
        if world.changes:
            for number in range(len(world.truth)):
                after = server.changed(world, number)._replace(changes=world.changes - 1)
                yield Move(f"{name(number)} changes to {after.truth[number]}", after, True)
        if world.alterations:
            after = world._replace(client=_altered(client), alterations=world.alterations - 1)
            last = len(world.truth) - 1
            what = "stops watching" if client.want >> last & 1 else "watches"
            again = "" if client.want >> last & 1 else " again"
            yield Move(f"the operator {what} {name(last)}{again}", after, True)
        if world.crashes:
            after = world
            for request in (client.control, client.fetch, client.poll, client.older_fetch):
                if request is not None:
                    after = server.abandoned(after, request)
            after = after._replace(client=successor(client, self.rules), crashes=world.crashes - 1)
            plan = AtStart.FORGET
            if after.client.reset:
                plan = AtStart.RESET
            elif after.client.left:
                plan = AtStart.CLEAN_UP
            elif after.client.adopt:
                plan = AtStart.ADOPT
            yield Move(f"the process is killed; its successor will {plan.value}", after, True)


def _altered(client: Client) -> Client:
    """The last contact leaves the watch list or joins it; earlier readings of it do not count."""
    last = len(client.records) - 1
    client = reading.doubt(client, 1 << last)
    blank = clients.first(1).records
    return client._replace(want=client.want ^ 1 << last, records=(*client.records[:last], *blank))
