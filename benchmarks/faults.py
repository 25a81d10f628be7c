"""What can go wrong in a chaos run: each kind of fault, how it is brought about, and when the server works again.

A fault that waits for a request or a notification counts once it has hit one. The moment that is returned is the one
from which the time to heal is counted: the end of the fault; where a node is gone while another one works, its begin.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from benchmarks.details import details
from benchmarks.office import LATE, READ_TIMEOUT, SAFETY, Office

FETCH: Final = "getSubscribedPresence"
PATIENCE: Final = 20.0
"""Seconds within which a fault that waits for a request must have found one; for a notification a third of that."""
QUICK: Final = 60.0
"""Seconds within which everything must be well again: the longest back-off between two tries is 30, twice that."""
OUTAGE: Final = 150.0
"""The same after an outage: a node that failed is not tried again for 60 seconds."""

_BEFORE: Final = ("abort-request", "http-503", "delay-request", "refuse")
_AFTER: Final = ("lose-reply", "truncate-reply", "garble-reply", "empty-reply", "html-reply", "delay-reply",
                 "slow-reply", "close-after-reply")  # fmt: skip
_NOTICES: Final = ("drop-notification", "delay-notification", "duplicate-notification", "reorder-notification")
_UNPROVEN: Final = ("replace-reply", "double-reply", "stale-reply", "rename-entry", "double-entry", "empty-state")
"""Replies that prove less than they seem, all of them after the request was carried out."""
_HELD: Final = (READ_TIMEOUT, READ_TIMEOUT + 0.5 * LATE, READ_TIMEOUT + LATE)
"""Seconds that a fetch waits in the server while something happens to the service or to its subscription."""


class UnknownFault(Exception):
    """There is no fault of that name; the message says which there are."""


class NotHit(Exception):
    """A fault found nothing that it could have hit."""


class Faults:
    """All kinds by name; `kinds[name]()` brings one about and returns the moment when it was over.

    `pairable` are those that go together with any other of them.
    """

    def __init__(self, office: Office, dice: random.Random) -> None:
        self._office = office
        self._server = office.server
        self._dice = dice
        self.kinds: dict[str, Callable[[], Awaitable[float]]] = {}
        for kind in (*_BEFORE, *_AFTER, *_UNPROVEN):
            self.kinds[kind] = self._on_fetch(kind)
        for kind in ("lose-reply", "truncate-reply", "delay-request", "replace-reply"):
            for operation in ("login", "registerEndPoint", "subscribe", "getPolledPresence"):
                self.kinds[f"{kind} of {operation}"] = self._elsewhere(kind, operation)
        for kind in _UNPROVEN[1:]:
            self.kinds[f"{kind} of getPolledPresence"] = self._elsewhere(kind, "getPolledPresence")
        for kind in _NOTICES:
            self.kinds[kind] = self._notice(kind)
        self.pairable = frozenset(kind for kind in self.kinds if " of " not in kind)
        at_once = {
            "kill-sessions": self._kill_one,
            "kill-sessions, all": self._kill_all,
            "forget-subscriptions": self._forget_subscriptions,
            "forget-endpoints": self._forget_endpoints,
            "restart": self._restart,
            "cpu 85 %": self._cpu_notifications,
            "cpu 97 %": self._cpu_requests,
            "rate-limit": self._rate_limit,
            "move-clock": self._move_clock,
            "node-down, shortly": self._shortly("node-down"),
            "node-hang, shortly": self._shortly("node-hang"),
            "service killed": self._service_killed,
            "service killed, a fetch waiting": self._waiting(self._kill_and_start),
            "service stopped, a fetch waiting": self._waiting(self._stop_and_start),
            "service killed, earlier state file": self._earlier_state_file,
            "service paused": self._service_paused,
            "forget-subscriptions, a fetch waiting": self._waiting(self._forget_subscriptions),
        }
        self.kinds |= at_once
        self.pairable |= {
            kind
            for kind in at_once
            if not kind.startswith(("service paused", "service stopped")) and "file" not in kind
        }
        self.kinds |= {
            "node-down, long": self._for_long("node-down"),
            "node-hang, long": self._for_long("node-hang"),
            "both nodes down": self._both_down,
        }
        self.long = frozenset({"node-down, long", "node-hang, long", "both nodes down"})
        self.rare = self.long | {kind for kind in self.kinds if " of " in kind and "Polled" not in kind}
        """What takes long, or kills sessions besides: those are lost often enough."""
        self.broken: list[str] = []
        """What a process did that it must not do."""
        self._gone: set[str] = set()
        self._restarting = asyncio.Lock()

    def bound(self, kind: str) -> float:
        """Seconds within which all must be well again."""
        return OUTAGE if kind in self.long or "down" in kind or "hang" in kind else QUICK

    async def mend(self) -> None:
        """Bring back what a long outage took away; called when the rest has healed without it."""
        for node in sorted(self._gone):
            await self._server.inject("node-up", node=node)
        self._gone.clear()

    # Faults that wait for something to hit

    def _on_fetch(self, kind: str) -> Callable[[], Awaitable[float]]:
        async def bring() -> float:
            values, lasting = details(kind, self._dice)
            return lasting + await self._hit(kind, {**values, "operation": FETCH})

        return bring

    def _notice(self, kind: str) -> Callable[[], Awaitable[float]]:
        async def bring() -> float:
            lasting = 1.0 if kind.startswith(("delay", "reorder")) else 0.0
            return lasting + await self._hit(kind, {"seconds": lasting} if lasting else {})

        return bring

    def _elsewhere(self, kind: str, operation: str) -> Callable[[], Awaitable[float]]:
        """One of a request that is only sent after something else went wrong."""

        async def bring() -> float:
            values, lasting = details(kind, self._dice)
            if operation == "getPolledPresence":
                await self._server.inject("abort-request", operation=FETCH, count=1)
                return lasting + await self._hit(kind, {**values, "operation": operation})

            async def provoke() -> None:
                await self._server.inject("kill-sessions", node=await self._node_in_use())

            return lasting + await self._hit(kind, {**values, "operation": operation}, provoke)

        return bring

    async def _hit(
        self, kind: str, values: Mapping[str, object], provoke: Callable[[], Awaitable[None]] | None = None
    ) -> float:
        """Switch a fault on, once, and wait until it has hit."""
        number = await self._server.inject(kind, count=1, **values)
        if provoke is not None:
            await provoke()
        give_up = time.monotonic() + (PATIENCE / 3 if kind in _NOTICES else PATIENCE)
        while number in await self._server.on():
            if time.monotonic() > give_up:
                await self._server.ask("DELETE", f"/faults/{number}")
                raise NotHit(kind)
            await asyncio.sleep(0.03)
        return time.time()

    # Faults that happen at once

    async def _kill_one(self) -> float:
        await self._server.inject("kill-sessions", user=self._dice.choice([*self._office.users, "pwsapp"]))
        return time.time()

    async def _kill_all(self) -> float:
        await self._server.inject("kill-sessions")
        return time.time()

    async def _forget_subscriptions(self) -> float:
        await self._server.inject("forget-subscriptions")
        return time.time()

    async def _forget_endpoints(self) -> float:
        await self._server.inject("forget-endpoints")
        return time.time()

    async def _restart(self) -> float:
        await self._server.inject("restart", node=await self._node_in_use())
        return time.time()

    async def _move_clock(self) -> float:
        await self._server.inject("move-clock", seconds=self._dice.choice([-1800, 1800, 4000]))
        return time.time()

    # Faults that last

    async def _lasting(self, fault: str, seconds: float, **values: object) -> float:
        await self._server.inject(fault, **values, **{"for": seconds})
        await asyncio.sleep(seconds)
        return time.time()

    async def _cpu_notifications(self) -> float:
        return await self._lasting("cpu", SAFETY, percent=85)

    async def _cpu_requests(self) -> float:
        return await self._lasting("cpu", SAFETY, percent=97)

    async def _rate_limit(self) -> float:
        return await self._lasting("rate-limit", SAFETY, per_second=self._dice.choice([1, 2, 5]))

    def _shortly(self, fault: str) -> Callable[[], Awaitable[float]]:
        async def bring() -> float:
            return await self._lasting(fault, self._dice.choice([0.5, 2.0, 4.0]), node=await self._node_in_use())

        return bring

    async def _both_down(self) -> float:
        nodes = [each["node"] for each in (await self._server.ask("GET", "/nodes"))["nodes"]]
        for node in nodes[:-1]:
            await self._server.inject("node-down", node=node, **{"for": 5.0})
        return await self._lasting("node-down", 5.0, node=nodes[-1])

    def _for_long(self, fault: str) -> Callable[[], Awaitable[float]]:
        async def bring() -> float:
            node = await self._node_in_use()
            await self._server.inject(fault, node=node)
            self._gone.add(node)
            return time.time()

        return bring

    async def _node_in_use(self) -> str:
        """A node that has subscriptions, or any where none has."""
        nodes = (await self._server.ask("GET", "/nodes"))["nodes"]
        used = [each["node"] for each in nodes if each["subscriptions"]] or [each["node"] for each in nodes]
        return str(self._dice.choice(used))

    # Faults of our own side

    async def _service_killed(self) -> float:
        async with self._restarting:
            await self._office.service.kill()
            await asyncio.sleep(self._dice.random())
            await self._office.service.start()
        return time.time()

    async def _service_paused(self) -> float:
        self._office.service.send(signal.SIGSTOP)
        await asyncio.sleep(SAFETY)
        self._office.service.send(signal.SIGCONT)
        return time.time()

    def _waiting(self, happens: Callable[[], Awaitable[float]]) -> Callable[[], Awaitable[float]]:
        """Something happens while a fetch waits in the server, which carries it out afterwards."""

        async def bring() -> float:
            seconds = self._dice.choice(_HELD)
            carried_out = seconds + await self._hit("delay-request", {"operation": FETCH, "seconds": seconds})
            return max(carried_out, await happens())

        return bring

    async def _kill_and_start(self) -> float:
        async with self._restarting:
            await self._office.service.kill()
            await self._office.service.start()
        return time.time()

    async def _stop_and_start(self) -> float:
        async with self._restarting:
            code = await self._office.service.stop()
            if code != 0:
                self.broken.append(f"the service ended with {code} after SIGTERM")
            await self._office.service.start()
        return time.time()

    async def _earlier_state_file(self) -> float:
        """Killed, and started with the state file of the time before its sessions were made anew."""
        service = self._office.service
        try:
            before = service.state_file.read_bytes()
        except FileNotFoundError:  # it has just been started, and knows of nothing yet
            raise NotHit("earlier state file") from None
        await self._server.inject("kill-sessions")
        give_up = time.monotonic() + PATIENCE
        while service.state_file.read_bytes() == before:
            if time.monotonic() > give_up:
                raise NotHit("earlier state file")
            await asyncio.sleep(0.03)
        async with self._restarting:
            await service.kill()
            service.state_file.write_bytes(before)
            await service.start()
        return time.time()
