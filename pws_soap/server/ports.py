"""What the server asks of the program that uses it: each port is a Protocol.

A server needs two of them, `Accounts` and `PresenceSource`. The others have defaults here: one node without
neighbours, and exchanges and notifications in which nobody interferes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from pws_soap.server.http_reply import HttpReply
from pws_soap.server.messages import Notification, Refusal, Reply, Request, SessionCall, SetPresence
from pws_soap.server.presence import ManualPresence, Presence, Watcher

Clock = Callable[[], float]
"""Gives the time in seconds since 1970."""
Notify = Callable[[str], Awaitable[bool]]
"""Sends a GET to a URL; whether it was answered with success. An OSError or a time-out is a failure too."""


class Accounts(Protocol):
    """Who may log in. Asked within a request, so it answers from memory."""

    def may_log_in(self, user: str, password: str) -> bool:
        """Whether an application user has this password; code 114 if not."""

    def is_end_user(self, user: str, application_user: str) -> bool:
        """Whether an application user may log this end user in; code 113 if not."""


class PresenceSource(Protocol):
    """Where presence comes from. After each change, call `PresenceWebService.contacts_changed`.

    Each method may raise `Refused` with the code of the fault that the client is to get.
    """

    def contact_key(self, contact: str) -> str:
        """The form under which contact URIs are compared: two spellings of one contact have the same key."""

    def presence_of(self, contact: str, watcher: Watcher) -> Presence | None:
        """The presence of a contact as this watcher may see it; UNKNOWN for a contact that does not exist.

        Asked for every contact of a reply, so it answers from memory. None where it must not be told now: a fetch
        leaves the contact out, and tells of it once it can be told, for which the source calls
        `PresenceWebService.keys_settled`; a poll is refused with code 210. Nothing but this decides what a client is
        told, and it is decided in one turn of the event loop for all contacts of a reply.
        """

    async def set_presence(self, user: str, manual: ManualPresence | None, sent: SetPresence) -> None:
        """Set the presence of an end user as that user wants it. `sent` is the call as it came.

        An override hides the user's other presence until it expires, and does not delete it. None takes back what was
        set: the override, or if there is none, what was set without one. What was before then holds again.
        """


class Doubts(Protocol):
    """Knows of which contacts it cannot be said that they are as they were. Needed by a source that may tell nothing.

    What a fetch does not name has not changed, for that client. So while something that was told is in doubt, a
    fetch that would not name it is refused with code 210, and no notification invites to one.
    """

    def in_doubt(self, contacts: Mapping[str, str], watcher: Watcher) -> Collection[str]:
        """The keys of those among contacts, which are given by key, that are in doubt as this watcher sees them."""


class Preparation(Protocol):
    """Gets ready for a call, before it is carried out."""

    async def prepare(self, call: SessionCall, watcher: Watcher) -> None:
        """Called once the session of a request is known to be good; may wait, as for another server.

        May raise `Refused` with the code of the fault that the client is to get. Once it returns, the call is carried
        out in the same turn of the event loop, unless the session has ended meanwhile.
        """


class NodeDirectory(Protocol):
    """What a node knows of the nodes of its cluster."""

    def home_of(self, user: str) -> str:
        """The name of the node on which an end user has to log in."""

    def works(self, node: str) -> bool:
        """Whether a node answers requests."""

    def address_of(self, node: str) -> str:
        """`host:port` of a node, as redirects name it."""

    def backup_of(self, node: str) -> str | None:
        """The name of the node that takes over when this one fails, or None."""


class Interception(Protocol):
    """Interferes with one request."""

    async def before(self, request: Request) -> Refusal | HttpReply | None:
        """Called once the request is read. A reply that it returns is sent, and the request is not carried out.

        A `ConnectionError` raised here or in `after` resets the connection without a reply.
        """

    async def after(self, request: Request, reply: Reply | None, http_reply: HttpReply) -> HttpReply:
        """The reply to send: `http_reply`, or another in its place. `reply` is None if `before` gave the HTTP reply."""


class Interceptor(Protocol):
    """Begins an interception for each request that arrives."""

    async def arrived(self, node: str) -> Interception:
        """Called before a request is read."""


class NotificationRoute(Protocol):
    """The way of a notification to its endpoint."""

    async def __call__(self, notification: Notification, send: Callable[[Notification], Awaitable[None]]) -> None:
        """Bring a notification to its endpoint: `send` it once, several times, later or not at all."""


class SingleNode:
    """The directory of a server that is one node: every end user is at home here (`NodeDirectory`)."""

    def __init__(self, name: str) -> None:
        self._name = name

    def home_of(self, user: str) -> str:
        """This node."""
        return self._name

    def works(self, node: str) -> bool:
        """It works, since it asks."""
        return True

    def address_of(self, node: str) -> str:
        """Its name: nobody is redirected."""
        return node

    def backup_of(self, node: str) -> str | None:
        """No backup."""
        return None


class NoInterception:
    """Leaves requests and replies alone (`Interceptor` and `Interception`)."""

    async def arrived(self, node: str) -> Interception:
        """One object serves all requests."""
        return self

    async def before(self, request: Request) -> Refusal | HttpReply | None:
        """Let the request be carried out."""
        return None

    async def after(self, request: Request, reply: Reply | None, http_reply: HttpReply) -> HttpReply:
        """Send the reply as it is."""
        return http_reply


async def send_once(notification: Notification, send: Callable[[Notification], Awaitable[None]]) -> None:
    """Send a notification once, at once (`NotificationRoute`)."""
    await send(notification)
