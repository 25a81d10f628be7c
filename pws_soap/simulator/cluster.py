"""The simulator itself: nodes that share one world, their outages, and the faults between them and a client.

It opens no socket. `Simulator.post` is a request of a client in the same process; `app` and `server` put sockets
around it. Time and sleep are injected, so that it runs under a virtual clock as well.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Unpack

from pws_soap.simulator import messages as m
from pws_soap.simulator.damage import Damaged, damage
from pws_soap.simulator.delivery import Delivery, Notify, Sleep
from pws_soap.simulator.entries import doubled
from pws_soap.simulator.exchange import ConnectionAborted, NodeDown, SimReply, reply_of
from pws_soap.simulator.faults import ENTRY_FAULTS, Fault, FaultBox
from pws_soap.simulator.foreign import replacement, throttled
from pws_soap.simulator.nodes import NodeCondition, Nodes, Place
from pws_soap.simulator.options import Options
from pws_soap.simulator.people import people
from pws_soap.simulator.replies import Written, write, write_fault
from pws_soap.simulator.requests import Request, read
from pws_soap.simulator.world import Fields, Presence, World

DEFAULT_NODES: Final = ("imp1",)


@dataclass(slots=True)
class Counters:
    """What was asked and what came of it, since the start or the last reset."""

    requests: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    faults: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Previous:
    """A reply of presence as a cache keeps it, and when it was made."""

    written: Written
    made: float


class Simulator(Nodes):
    """A cluster of nodes.

    `nodes` are names, the first is the home of end users without another; each node's backup is the next one. `clock`
    gives seconds since 1970, `notify` sends a GET and says whether it was answered, `seed` makes session keys and
    dice repeatable.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        nodes: Sequence[str] = DEFAULT_NODES,
        world: World | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        notify: Notify | None = None,
        seed: int | None = None,
    ) -> None:
        options = options or Options()
        world = world if world is not None else World(case_sensitive=options.case_sensitive_contacts)
        super().__init__(options, world, nodes, seed)
        self.faults = FaultBox(seed)
        self.counters = Counters()
        self.delivery = Delivery(self.faults, notify=notify, sleep=sleep, tries=self.options.notification_tries)
        self.sleep = sleep
        self._clock = clock
        self._offset = 0.0
        self._invented = 0
        self._previous: dict[tuple[str, str], Previous] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._later: set[asyncio.Task[None]] = set()

    # Time

    def now(self) -> float:
        """Simulated time: the clock's, moved by `move_clock`. Seconds since 1970."""
        return self._clock() + self._offset

    @property
    def moved(self) -> float:
        """By how many seconds simulated time is ahead of the clock."""
        return self._offset

    def clock(self) -> float:
        """The clock as it was given, which `move_clock` does not move."""
        return self._clock()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after so many seconds, unless the simulator is closed before."""
        self._spawn(self._do_later(seconds, action))

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return task

    async def _do_later(self, seconds: float, action: Callable[[], object]) -> None:
        await self.sleep(seconds)
        action()

    def move_clock(self, seconds: float) -> None:
        """Move simulated time; what expires by it is gone at once."""
        self._offset += seconds
        self._keep_time()

    # Requests

    async def post(self, node: str, headers: Mapping[str, str], body: bytes) -> SimReply:
        """A client's request, in process. Raises `NodeDown`, or `ConnectionAborted` where a fault breaks it off."""
        if any(k.lower() == "transfer-encoding" for k in headers):
            return self.refuse(150)
        reply = await self.answer(node, body)
        if reply.seconds:
            await self.sleep(reply.seconds)
        if reply.cut is not None:
            raise ConnectionAborted("the connection was closed in the middle of the reply", reply)
        return reply

    async def answer(self, name: str, body: bytes) -> SimReply:
        """The reply to a request as it leaves the node; sockets do the rest. Raises like `post`."""
        place = self.place(name)
        if place.state is NodeCondition.DOWN:
            raise NodeDown(f"{name} is down")
        outages = place.outages
        await place.awake.wait()
        self._must_be_up(place, outages)
        request = read(body, self.options)
        operation = request.operation or "unreadable"
        self.counters.requests[operation] += 1
        hits = {fault.kind: fault for fault in self.faults.for_request(name, operation)}
        if "delay-request" in hits:
            await self.sleep(hits["delay-request"].seconds)
            await place.awake.wait()
        self._must_be_up(place, outages)
        if "abort-request" in hits:
            raise ConnectionAborted("reset before the request was read")
        damaged = await self._worked_on(place, request, hits)
        if "delay-reply" in hits:
            await self.sleep(hits["delay-reply"].seconds)
            await place.awake.wait()
        self._must_be_up(place, outages)
        if "lose-reply" in hits:
            raise ConnectionAborted("reset before the reply was sent")
        return reply_of(damaged)

    async def _worked_on(self, place: Place, request: Request, hits: dict[str, Fault]) -> Damaged:
        close = self.options.close_after_fault
        if "http-503" in hits:
            self.counters.replies["503"] += 1
            return Damaged(throttled(hits["http-503"], request.version, self.options), close)
        if "refuse" in hits:
            outcome = m.Outcome(m.Refusal(hits["refuse"].code))
        else:
            outcome = place.node.handle(request, self.now())
        await self._announce(place, outcome)
        if isinstance(outcome.reply, m.Refusal):
            self.counters.faults[outcome.reply.code] += 1
        else:
            self.counters.replies[request.operation] += 1
            close = False
        if "replace-reply" in hits:
            return damage(Damaged(replacement(hits["replace-reply"], request.version, self.options), close), hits)
        if isinstance(outcome.reply, m.PresenceList):
            return self._presence(place.node.name, request, outcome.reply, hits)
        return damage(Damaged(write(outcome.reply, request.version, self.options, request.key), close), hits)

    def _presence(self, node: str, request: Request, reply: m.PresenceList, hits: dict[str, Fault]) -> Damaged:
        """A reply of presence, with the faults that only such a reply can have added to `hits`."""
        before = self._previous.get((node, reply.operation))
        possible = ({"stale-reply"} if before else set()) | (ENTRY_FAULTS if reply.contacts else set())
        hits |= {fault.kind: fault for fault in self.faults.for_presence(node, reply.operation, possible)}
        now = self.now()
        written = write(reply, request.version, self.options, request.key)
        self._previous[node, reply.operation] = Previous(written, now)
        if before is not None and "stale-reply" in hits:
            age = int(now - before.made) if hits["stale-reply"].form == "age" else None
            return damage(Damaged(before.written, age=age), hits)
        if "double-entry" in hits:
            written = write(doubled(reply), request.version, self.options, request.key)
        return damage(Damaged(written), hits)

    def refuse(self, code: int) -> SimReply:
        """The reply to something that is not a request one could read."""
        self.counters.requests["unreadable"] += 1
        self.counters.faults[code] += 1
        return reply_of(Damaged(write_fault(code, "1.1", self.options), close=True))

    def _must_be_up(self, place: Place, outages: int) -> None:
        if place.outages != outages:
            raise ConnectionAborted("the node went down")

    async def _announce(self, place: Place, outcome: m.Outcome) -> None:
        if outcome.notices and self.options.notify_before_reply:
            for notice in outcome.notices:
                await self.delivery.send(notice)
        else:
            self.delivery.post(outcome.notices)
        if outcome.changed:
            self.changed(outcome.changed)
            self._keep_time()

    # The world

    def change(self, contact: str, **fields: Unpack[Fields]) -> bool:
        """Change a contact, for everybody to hear of (a new contact is made). Whether it is a change."""
        return self.change_many({contact: fields}) > 0

    def change_many(self, changes: Mapping[str, Fields]) -> int:
        """Change contacts together; how many were changed."""
        now = self.now()
        changed = [contact for contact, fields in changes.items() if self.world.change(contact, now, fields)]
        self.changed(changed)
        return len(changed)

    def put(self, contacts: Iterable[Presence]) -> int:
        """Add or replace contacts; how many that changed."""
        changed = [presence.contact for presence in contacts if self.world.put(presence)]
        self.changed(changed)
        return len(changed)

    def populate(self, count: int, *, seed: int = 1) -> list[str]:
        """Add so many invented people, who are not in yet; their contact URIs."""
        invented = people(count, self.options.domain, seed=seed, start=self._invented)
        self._invented += count
        self.put(invented)
        return [presence.contact for presence in invented]

    def remove(self, contact: str) -> bool:
        """Take a contact out of the world; whoever watches it hears of it. Whether it was there."""
        gone = self.world.remove(contact)
        if gone:
            self.changed([contact])
        return gone

    def changed(self, contacts: Iterable[str]) -> None:
        """Tell all nodes that contacts changed. What a node that does not work should have sent is lost."""
        contacts = list(contacts)
        if not contacts:
            return
        now = self.now()
        for place in self.places.values():
            notices = place.node.changed(contacts, now)
            if place.state is NodeCondition.UP:
                self.delivery.post(notices)
            else:
                place.node.notices.withheld[f"node {place.state}"] += len(notices)

    # Housekeeping

    def _keep_time(self) -> None:
        """End what was set by hand in time: now, and again when the next of it is due."""
        self.changed(self.world.expire(self.now()))
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        due = self.world.next_due
        if due is not None:
            self._keeper = self._spawn(self._do_later(max(due - self.now(), 0.0), self._due))

    def _due(self) -> None:
        self._keeper = None
        self._keep_time()

    async def drain(self) -> None:
        """Wait until every notification has been sent or has failed."""
        await self.delivery.drain()

    async def aclose(self) -> None:
        """Drop what is on its way and stop the housekeeping."""
        tasks = list(self._later)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.delivery.aclose()
