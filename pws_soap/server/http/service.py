"""One node of a Presence Web Service at work: bodies of requests in, HTTP replies out, notifications sent. No socket.

The clock is injected, and everything that this program cannot know is asked of the ports.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from pws_soap.server import messages as m
from pws_soap.server.codes import Refused
from pws_soap.server.http.content import xml_of
from pws_soap.server.http.delivery import Delivery
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.node.operations import Node
from pws_soap.server.options import ServerOptions
from pws_soap.server.ports import (
    Accounts,
    Clock,
    Doubts,
    Interceptor,
    NodeDirectory,
    NoInterception,
    Preparation,
    PresenceSource,
    SingleNode,
)
from pws_soap.server.presence import Watcher
from pws_soap.server.soap.diagnosis import listed
from pws_soap.server.soap.replies import write, write_fault
from pws_soap.server.soap.requests import read

_log = logging.getLogger("pws.server")
_SMALL: Final = 32_768
"""Bytes of a body, as it is sent, that the thread of the event loop reads itself, for about 10 milliseconds at most.

Longer ones, and packed ones, are read in a thread of their own, so that they hold up nobody else.
"""

_KEPT: Final = 4096
"""Requests that are remembered as they were read; beyond, the one that did not come for longest goes."""
_KEPT_BYTES: Final = 2048
"""Bytes of a request that is remembered: a fetch has some five hundred."""


OnRefusal = Callable[[str, int, str], object]
"""Told of a refusal: the operation, the code, and the reason."""


def new_session_key() -> str:
    """A session key that nobody can guess."""
    return secrets.token_hex(16)


@dataclass(slots=True)
class Counters:
    """Requests by operation, replies by operation or HTTP status, faults by code."""

    requests: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    faults: Counter[int] = field(default_factory=Counter)


class PresenceWebService:
    """One node that answers requests (`answer`) and sends notifications (`contacts_changed`)."""

    def __init__(
        self,
        name: str,
        options: ServerOptions | None = None,
        *,
        accounts: Accounts,
        presence: PresenceSource,
        delivery: Delivery,
        directory: NodeDirectory | None = None,
        interceptor: Interceptor | None = None,
        preparation: Preparation | None = None,
        doubts: Doubts | None = None,
        clock: Clock = time.time,
        new_key: Callable[[], str] = new_session_key,
        counters: Counters | None = None,
        on_refusal: OnRefusal | None = None,
    ) -> None:
        """`on_refusal` is called with each refusal that has a reason; by default it is logged."""
        self.options = options or ServerOptions()
        self.node = Node(
            name,
            self.options,
            presence=presence,
            accounts=accounts,
            directory=directory or SingleNode(name),
            new_key=new_key,
            doubts=doubts,
        )
        self.delivery = delivery
        self.counters = counters if counters is not None else Counters()
        self.on_unread: Callable[[int, str], None] | None = None
        """Called with code and reason of each request that is refused before its body is read."""
        self._presence = presence
        self._interceptor = interceptor or NoInterception()
        self._preparation = preparation
        self._on_refusal = on_refusal or self._log_refusal
        self._clock = clock
        self._kept: OrderedDict[tuple[bytes, str], m.Request] = OrderedDict()
        # One thread: long requests are read one after the other, and those that wait end with their connections.
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"pws-{name}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node!r})"

    async def answer(self, body: bytes, headers: Mapping[str, str] | None = None) -> HttpReply:
        """The reply to a request; `headers` are those of HTTP, names in any case, as far as they say how to read it.

        Raises ConnectionError where an interception breaks the connection.
        """
        interception = await self._interceptor.arrived(self.node.name)
        request = await self._read(body, {name.lower(): value for name, value in (headers or {}).items()})
        self.counters.requests[request.operation or "unreadable"] += 1
        instead = await interception.before(request)
        if isinstance(instead, HttpReply):
            self.counters.replies[str(instead.status)] += 1
            return await interception.after(request, None, instead)
        reply = instead if instead is not None else await self._carry_out(request)
        close = False
        if isinstance(reply, m.Refusal):
            self.counters.faults[reply.code] += 1
            close = self.options.close_after_fault
            if reply.reason:
                self._on_refusal(request.operation or "a request", reply.code, reply.reason)
        elif isinstance(reply, m.NotUnderstood):
            self.counters.replies["MustUnderstand"] += 1
            close = self.options.close_after_fault
            _log.warning("node %s: headers must be understood and are not: %s", self.node.name, listed(reply.headers))
        else:
            self.counters.replies[request.operation] += 1
        written = write(reply, request.version, self.options, request.key)
        return await interception.after(request, reply, replace(written, close=close))

    async def arrived(self) -> None:
        """Let in a request that is none of SOAP, as `answer` does: a node that hangs answers nothing."""
        await self._interceptor.arrived(self.node.name)

    def refuse(self, code: int, reason: str = "") -> HttpReply:
        """The reply to an HTTP request whose body is not read: a fault, after which the connection is closed."""
        self.counters.requests["unreadable"] += 1
        self.counters.faults[code] += 1
        if reason:
            self._on_refusal("a request", code, reason)
        if self.on_unread is not None:
            self.on_unread(code, reason)
        return replace(write_fault(code, "1.1", self.options, reason), close=True)

    def contacts_changed(self, contacts: Iterable[str]) -> None:
        """Send the notifications that are due because the presence of these contacts changed."""
        self.delivery.post(self.node.contacts_changed(contacts, self._clock()))

    def keys_changed(self, keys: Iterable[str], may_see: Callable[[str, Watcher], bool] | None = None) -> None:
        """The same for contacts by their keys (`PresenceSource.contact_key`), to those alone who `may_see` each."""
        self.delivery.post(self.node.keys_changed(keys, self._clock(), may_see))

    def keys_settled(self, keys: Iterable[str]) -> None:
        """Send the notifications that are due because contacts, by their keys, can be told that could not before."""
        self.delivery.post(self.node.keys_settled(keys, self._clock()))

    async def aclose(self) -> None:
        """Drop the notifications that are on their way, and the long requests that nobody has begun to read."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._kept.clear()
        await self.delivery.aclose()

    def _log_refusal(self, what: str, code: int, reason: str) -> None:
        _log.warning("node %s: %s is refused with code %d: %s", self.node.name, what, code, reason)

    async def _read(self, body: bytes, headers: Mapping[str, str]) -> m.Request:
        if len(body) > _SMALL or headers.get("content-encoding"):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._reader, _request_in_thread, body, headers, self.options)
        if len(body) > _KEPT_BYTES:
            return _request_in(body, headers, self.options)
        return self._read_once(body, headers)

    def _read_once(self, body: bytes, headers: Mapping[str, str]) -> m.Request:
        """A short request, which is read by its bytes alone: a program fetches with the same ones again and again."""
        key = body, headers.get("content-type", "")
        request = self._kept.get(key)
        if request is not None:
            self._kept.move_to_end(key)
            return request
        request = _request_in(body, headers, self.options)
        if request.call is not None and not isinstance(request.call, m.Login):  # which holds a password
            self._kept[key] = request
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return request

    async def _outcome(self, request: m.Request) -> m.Outcome:
        """What the node makes of a request, once all is prepared."""
        admitted = self.node.admit(request, self._clock())
        if isinstance(admitted, m.Outcome):
            return admitted
        if self._preparation is not None and not self.node.is_refused(admitted):
            try:
                await self._preparation.prepare(admitted.call, admitted.session.watcher)
            except Refused as refused:
                return m.Outcome(m.Refusal(refused.code, refused.reason))
        return self.node.carry_out(admitted, self._clock())

    async def _carry_out(self, request: m.Request) -> m.Reply:
        outcome = await self._outcome(request)
        if outcome.presence_set is not None:
            try:
                given = outcome.presence_set
                await self._presence.set_presence(given.user, given.manual, given.sent)
            except Refused as refused:
                return m.Refusal(refused.code, refused.reason)
        if self.options.notify_before_reply:
            for notification in outcome.notifications:
                await self.delivery.send(notification)
        else:
            self.delivery.post(outcome.notifications)
        return outcome.reply


def _request_in(
    body: bytes, headers: Mapping[str, str], options: ServerOptions, *, in_thread: bool = False
) -> m.Request:
    charset = None
    if not options.strict:
        try:
            body, charset = xml_of(body, headers, options.max_request_bytes)
        except Refused as refused:
            return m.Request(problem=refused.code, reason=refused.reason)
    return read(body, options, charset=charset, in_thread=in_thread)


def _request_in_thread(body: bytes, headers: Mapping[str, str], options: ServerOptions) -> m.Request:
    return _request_in(body, headers, options, in_thread=True)
