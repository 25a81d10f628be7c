"""Carries out the faults of requests: `RequestFaults` intercepts each request before and after the node's work.

Which faults hit is decided by `FaultBox`, what they do to the bytes of a reply by `damage`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from pws_soap.server import messages as m
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.options import ServerOptions
from pws_soap.server.ports import Clock
from pws_soap.server.soap.replies import write
from pws_soap.simulator.faults.damage import damage
from pws_soap.simulator.faults.entries import doubled
from pws_soap.simulator.faults.gateway import replacement, throttled
from pws_soap.simulator.faults.kinds import ENTRY_FAULTS, Fault, FaultBox
from pws_soap.simulator.faults.outages import Outages
from pws_soap.simulator.faults.reply import ConnectionAborted, SimReply

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class CachedReply:
    """A reply of presence as a cache keeps it, and when it was made."""

    reply: HttpReply
    made: float


class RequestFaults:
    """Begins a `FaultyRequest` for each request (`pws_soap.server.ports.Interceptor`)."""

    def __init__(
        self, faults: FaultBox, options: ServerOptions, outages: Mapping[str, Outages], *, now: Clock, sleep: Sleep
    ) -> None:
        self.faults = faults
        self.options = options
        self.outages = outages
        self.now = now
        self.sleep = sleep
        self.cache: dict[tuple[str, str], CachedReply] = {}
        """The last reply of presence by node and operation."""

    async def arrived(self, node: str) -> FaultyRequest:
        """Called before a request is read. Raises `NodeDown`; does not return while the node hangs."""
        return FaultyRequest(self, node, await self.outages[node].arrived(node))


class FaultyRequest:
    """One request with the faults that hit it (`pws_soap.server.ports.Interception`)."""

    def __init__(self, shared: RequestFaults, node: str, outage_count: int) -> None:
        self._shared = shared
        self._node = node
        self._outages = shared.outages[node]
        self._outage_count = outage_count
        self._hits: dict[str, Fault] = {}

    async def before(self, request: m.Request) -> m.Refusal | HttpReply | None:
        """Delay the request, break it off, or answer in place of the node."""
        faults = self._shared.faults.for_request(self._node, request.operation or "unreadable")
        hits = self._hits = {fault.kind: fault for fault in faults}
        if "delay-request" in hits:
            await self._sleep(hits["delay-request"].seconds)
        self._outages.check(self._outage_count)
        if "abort-request" in hits:
            raise ConnectionAborted("reset before the request was read")
        if "http-503" in hits:
            options = self._shared.options
            return replace(throttled(hits["http-503"], request.version, options), close=options.close_after_fault)
        if "refuse" in hits:
            return m.Refusal(hits["refuse"].code)
        return None

    async def after(self, request: m.Request, reply: m.Reply | None, http_reply: HttpReply) -> SimReply:
        """The reply as the faults leave it: damaged, replaced, late, or lost."""
        sent = SimReply.of(http_reply) if reply is None else self._damaged(request, reply, http_reply)
        hits = self._hits
        if "delay-reply" in hits:
            await self._sleep(hits["delay-reply"].seconds)
        self._outages.check(self._outage_count)
        if "lose-reply" in hits:
            raise ConnectionAborted("reset before the reply was sent")
        return sent

    async def _sleep(self, seconds: float) -> None:
        await self._shared.sleep(seconds)
        await self._outages.wait_while_hung()

    def _damaged(self, request: m.Request, reply: m.Reply, http_reply: HttpReply) -> SimReply:
        hits = self._hits
        if "replace-reply" in hits:
            other = replacement(hits["replace-reply"], request.version, self._shared.options)
            return damage(replace(SimReply.of(other), close=http_reply.close), hits)
        if isinstance(reply, m.PresenceList):
            return self._damaged_presence(request, reply, http_reply)
        return damage(SimReply.of(http_reply), hits)

    def _damaged_presence(self, request: m.Request, reply: m.PresenceList, http_reply: HttpReply) -> SimReply:
        """A reply of presence, after the faults that only such a reply can have are added to the hits."""
        shared, hits = self._shared, self._hits
        cached = shared.cache.get((self._node, reply.operation))
        possible = ({"stale-reply"} if cached else set()) | (ENTRY_FAULTS if reply.contacts else set())
        faults = shared.faults.for_presence(self._node, reply.operation, possible)
        hits |= {fault.kind: fault for fault in faults}
        now = shared.now()
        shared.cache[self._node, reply.operation] = CachedReply(http_reply, now)
        if cached is not None and "stale-reply" in hits:
            age = int(now - cached.made) if hits["stale-reply"].form == "age" else None
            return damage(replace(SimReply.of(cached.reply), age=age), hits)
        if "double-entry" in hits:
            http_reply = write(doubled(reply), request.version, shared.options, request.key)
        return damage(SimReply.of(http_reply), hits)
