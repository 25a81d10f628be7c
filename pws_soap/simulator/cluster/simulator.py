"""The simulator itself: nodes that share one world, their outages, and the faults between them and a client.

It opens no socket. `Simulator.post` is a request of a client in the same process; `pws_soap.simulator.serving` puts
sockets around it. Time and sleep are injected, so that it runs under a virtual clock as well.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Unpack

from pws_soap.server.http.delivery import Delivery
from pws_soap.server.http.service import Counters, PresenceWebService
from pws_soap.server.ports import Interceptor, Notify
from pws_soap.server.presence import Presence
from pws_soap.simulator.bounds import LAST_MOMENT, shown
from pws_soap.simulator.cluster.accounts import OptionAccounts
from pws_soap.simulator.cluster.nodes import Nodes, Place, session_keys
from pws_soap.simulator.faults.kinds import FaultBox
from pws_soap.simulator.faults.notifications import NotificationFaults
from pws_soap.simulator.faults.outages import NodeCondition, Outages
from pws_soap.simulator.faults.reply import ConnectionAborted, SimReply
from pws_soap.simulator.faults.requests import RequestFaults, Sleep
from pws_soap.simulator.observer import ObservedRequests, Observer
from pws_soap.simulator.office.people import people
from pws_soap.simulator.office.source import WorldPresence
from pws_soap.simulator.office.world import Fields, World
from pws_soap.simulator.options import Options

DEFAULT_NODES: Final = ("imp1",)


class Simulator(Nodes):
    """A cluster of nodes.

    `nodes` are names, the first is the home of end users without another; each node's backup is the next one. `clock`
    gives seconds since 1970, `notify` sends a GET and says whether it was answered, `seed` makes session keys and
    dice repeatable, `observer` is told of each request and notification.
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
        observer: Observer | None = None,
    ) -> None:
        options = options or Options()
        world = world if world is not None else World(case_sensitive=options.case_sensitive_contacts)
        self.faults = FaultBox(seed)
        self.counters = Counters()
        counts: Counter[str] = Counter()
        route = NotificationFaults(self.faults, sleep=sleep, counts=counts)
        self.delivery = Delivery(notify, tries=options.notification_tries, route=route, counts=counts)
        self.sleep = sleep
        self._clock = clock
        self._offset = 0.0
        self._invented = 0
        self._expiry: asyncio.Task[None] | None = None
        self._later: set[asyncio.Task[None]] = set()
        outages = {name: Outages() for name in nodes}
        presence = WorldPresence(world, options.domain, self._presence_set)
        accounts = OptionAccounts(options)
        interceptor: Interceptor = RequestFaults(self.faults, options, outages, now=self.now, sleep=sleep)
        if observer is not None:
            interceptor = ObservedRequests(interceptor, observer)
            route.on_dropped = observer.notification_dropped
            self.delivery.on_outcome = observer.notification_sent
        new_key = session_keys(seed)

        def make_place(name: str) -> Place:
            service = PresenceWebService(
                name,
                options,
                accounts=accounts,
                presence=presence,
                delivery=self.delivery,
                directory=self,
                interceptor=interceptor,
                clock=self.now,
                new_key=new_key,
                counters=self.counters,
            )
            if observer is not None:
                service.on_unread = partial(observer.request_unread, name)
            return Place(service, name, outages[name])

        super().__init__(options, world, nodes, make_place)

    # Time

    def now(self) -> float:
        """Simulated time: the clock's, moved by `move_clock`. Seconds since 1970."""
        return self._clock() + self._offset

    @property
    def moved(self) -> float:
        """By how many seconds simulated time is ahead of the clock."""
        return self._offset

    def clock(self) -> float:
        """The time of the clock that was given, which `move_clock` does not move."""
        return self._clock()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Call `action` after `seconds`, unless the simulator is closed before."""
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
        """Move simulated time; what has expired then is removed at once.

        Raises ValueError for a time before 1970 or after 2999.
        """
        if not 0 <= self.now() + seconds <= LAST_MOMENT:
            raise ValueError(f"seconds: expected to stay between 1970 and 2999, got {shown(seconds)}")
        self._offset += seconds
        self._expire_manual()

    # Requests

    async def post(self, node: str, headers: Mapping[str, str], body: bytes) -> SimReply:
        """A client's request, in process. Raises `NodeDown`, or `ConnectionAborted` where a fault breaks it off."""
        service = self.place(node).service
        if any(name.lower() == "transfer-encoding" for name in headers):
            return SimReply.of(service.refuse(150, "It is sent in chunks."))
        reply = SimReply.of(await service.answer(body, headers))
        if reply.seconds:
            await self.sleep(reply.seconds)
        if reply.cut is not None:
            raise ConnectionAborted("the connection was closed in the middle of the reply", reply)
        return reply

    # The world

    def change(self, contact: str, **fields: Unpack[Fields]) -> bool:
        """Change a contact and notify its watchers (a new contact is made). Whether anything changed."""
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
        """Add `count` invented people, who are not in yet; their contact URIs."""
        invented = people(count, self.options.domain, seed=seed, start=self._invented)
        self._invented += count
        self.put(invented)
        return [presence.contact for presence in invented]

    def remove(self, contact: str) -> bool:
        """Take a contact out of the world; its watchers are notified. Whether it was there."""
        gone = self.world.remove(contact)
        if gone:
            self.changed([contact])
        return gone

    def changed(self, contacts: Iterable[str]) -> None:
        """Let all nodes notify that contacts changed. The notifications of a node that does not work are lost."""
        contacts = list(contacts)
        if not contacts:
            return
        now = self.now()
        for place in self.places.values():
            notifications = place.node.contacts_changed(contacts, now)
            if place.state is NodeCondition.UP:
                self.delivery.post(notifications)
            else:
                place.node.notifications.withheld[f"node {place.state}"] += len(notifications)

    def _presence_set(self, contact: str) -> None:
        self.changed([contact])
        self._expire_manual()

    # Housekeeping

    def _expire_manual(self) -> None:
        """Expire presence that was set by hand: now, and again when the next of it is due."""
        self.changed(self.world.expire(self.now()))
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        due = self.world.next_due
        if due is not None:
            self._expiry = self._spawn(self._do_later(max(due - self.now(), 0.0), self._manual_due))

    def _manual_due(self) -> None:
        self._expiry = None
        self._expire_manual()

    async def drain(self) -> None:
        """Wait until every notification has been sent or has failed."""
        await self.delivery.drain()

    async def aclose(self) -> None:
        """Drop the notifications on their way and stop the housekeeping."""
        tasks = list(self._later)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.delivery.aclose()
