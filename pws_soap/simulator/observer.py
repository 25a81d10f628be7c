"""What is told of what happens at a simulator: each request with what became of it, and each notification.

An observer is called in the event loop of the simulator, changes nothing, and must not wait.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from pws_soap.server import messages as m
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.ports import Interception, Interceptor
from pws_soap.simulator.faults.reply import SimReply


class ReplyFate(StrEnum):
    """What became of a request."""

    PENDING = "pending"
    """The reply has not been sent yet."""
    ANSWERED = "answered"
    """It was carried out, and the reply goes out as the node wrote it."""
    REFUSED = "refused"
    """It was refused, by the node or by a fault in its place, and the fault goes out whole."""
    DAMAGED = "damaged"
    """It was carried out, and other bytes than the node's reply go out, or not all of them."""
    LOST = "lost"
    """It was carried out, and the connection is reset before the reply."""
    ABORTED = "aborted"
    """It was not carried out, and the connection is reset."""


class Observer(Protocol):
    """Is told what happens. A node that is down, or hangs, does not read its requests: nobody is told of them."""

    def request_read(self, node: str, request: m.Request) -> int:
        """A request has been read and is carried out next; the number is for `request_done`."""

    def request_done(self, number: int, reply: m.Reply | None, status: int | None, fate: ReplyFate) -> None:
        """A request has been answered, as far as it will be.

        `reply` is the node's, None where a fault came before it; `status` that of HTTP, None where no reply is sent.
        """

    def request_unread(self, node: str, code: int, reason: str) -> None:
        """A request was refused because of its headers, its body unread."""

    def notification_sent(self, notification: m.Notification, answered: bool) -> None:
        """A notification was sent for the last time; whether its endpoint answered with success."""

    def notification_dropped(self, notification: m.Notification) -> None:
        """A fault has dropped a notification."""


class ObservedRequests:
    """Tells an observer of the requests that another interceptor lets in (`pws_soap.server.ports.Interceptor`)."""

    def __init__(self, inner: Interceptor, observer: Observer) -> None:
        self._inner = inner
        self._observer = observer

    async def arrived(self, node: str) -> ObservedRequest:
        """Called before a request is read."""
        return ObservedRequest(await self._inner.arrived(node), self._observer, node)


class ObservedRequest:
    """One request that an observer is told of (`pws_soap.server.ports.Interception`)."""

    def __init__(self, inner: Interception, observer: Observer, node: str) -> None:
        self._inner = inner
        self._observer = observer
        self._node = node
        self._number = 0

    async def before(self, request: m.Request) -> m.Refusal | HttpReply | None:
        """Tell that the request has been read."""
        self._number = self._observer.request_read(self._node, request)
        try:
            return await self._inner.before(request)
        except ConnectionError:
            self._observer.request_done(self._number, None, None, ReplyFate.ABORTED)
            raise

    async def after(self, request: m.Request, reply: m.Reply | None, http_reply: HttpReply) -> HttpReply:
        """Tell what becomes of the reply."""
        try:
            sent = await self._inner.after(request, reply, http_reply)
        except ConnectionError:
            self._observer.request_done(self._number, reply, None, ReplyFate.LOST)
            raise
        self._observer.request_done(self._number, reply, sent.status, _fate(reply, http_reply, sent))
        return sent


def _fate(reply: m.Reply | None, written: HttpReply, sent: HttpReply) -> ReplyFate:
    cut = sent.cut if isinstance(sent, SimReply) else None
    as_written = (sent.status, sent.content_type, sent.body) == (written.status, written.content_type, written.body)
    if cut is not None or not as_written:
        return ReplyFate.DAMAGED
    if reply is None or isinstance(reply, m.Refusal | m.NotUnderstood):
        return ReplyFate.REFUSED
    return ReplyFate.ANSWERED
