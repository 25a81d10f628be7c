"""What a server has been asked and has sent, in order, and who waits for something of it.

It lives in the event loop of the server; what it gives out are frozen values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from pws_soap.server import messages as m
from pws_soap.server.presence import Presence
from pws_soap.simulator.observer import ReplyFate

_Found = TypeVar("_Found")
_SECRETS: Final = frozenset({"password", "app_session", "rich"})
"""Arguments that are left out of the log: secrets, and the document of a setPresence."""
_SHOWN: Final = 30
"""At most the last 30 calls are listed in a message."""


class WaitTimedOut(AssertionError):
    """What a test waited for has not happened in time; the message lists what has."""

    __module__ = "pws_soap.pytest_plugin"  # as tests import it, and reports of pytest name it


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call that the server has read.

    `number` is its place among calls and notifications, from 1. `operation` is the WSDL's name, or `unreadable`.
    `user` is whose session it was made in (for login, who wants one), None where the key is unknown. `arguments` are
    named as in `pws_soap.server.messages`, without passwords and keys. `code` is that of the fault (protocol section
    3), None if there was none, `status` that of HTTP, None while nothing is sent. `contacts` are those of a reply of
    presence, as the node knew them.
    """

    number: int
    node: str
    operation: str
    user: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)  # Any: each operation has arguments of its own
    fate: ReplyFate = ReplyFate.PENDING
    code: int | None = None
    reason: str = ""
    status: int | None = None
    contacts: tuple[Presence, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether it was carried out, and the reply went out whole."""
        return self.fate is ReplyFate.ANSWERED

    def __str__(self) -> str:
        outcome = self.fate if self.code is None else f"{self.fate} with {self.code}"
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.number:3} {self.operation} by {self.user or 'nobody'} at {self.node}: {outcome}{reason}"


@dataclass(frozen=True, slots=True)
class RecordedNotification:
    """A notification that was sent, or dropped by a fault. `url` is what was called, its query included.

    `outcome` is `answered`, `failed` (no answer, or another status than 2xx) or `dropped`.
    """

    number: int
    node: str
    subscription: int
    url: str
    outcome: str

    def __str__(self) -> str:
        target = self.url.partition("?")[0]
        return f"{self.number:3} notification of subscription {self.subscription} to {target}: {self.outcome}"


class CallLog:
    """The calls and notifications of one server (`pws_soap.simulator.Observer`)."""

    def __init__(self, contact_key: Callable[[str], str]) -> None:
        self._contact_key = contact_key
        self._last = 0
        self._calls: dict[int, RecordedCall] = {}
        self._notifications: list[RecordedNotification] = []
        self._keys: dict[str, str] = {}
        """Whose session a key is, of all that were ever given."""
        self._told: dict[str, Presence] = {}
        """What a whole reply last said of each contact, by the contact's key."""
        self._waiting: list[Callable[[], None]] = []
        self._looking = False

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """The calls, in the order in which they were read."""
        return tuple(self._calls.values())

    @property
    def notifications(self) -> tuple[RecordedNotification, ...]:
        """The notifications, in the order in which they ended."""
        return tuple(self._notifications)

    def told(self, contact: str) -> Presence | None:
        """What a whole reply last said of a contact; None if none has named it."""
        return self._told.get(self._contact_key(contact))

    def clear(self) -> None:
        """Forget calls, notifications and what has been told. Numbers go on."""
        self._calls.clear()
        self._notifications.clear()
        self._told.clear()

    def described(self) -> str:
        """The last calls and notifications, one a line."""
        entries: list[RecordedCall | RecordedNotification] = [*self._calls.values(), *self._notifications]
        entries.sort(key=lambda entry: entry.number)
        lines = [str(entry) for entry in entries[-_SHOWN:]]
        if len(entries) > _SHOWN:
            lines.insert(0, f"... {len(entries) - _SHOWN} before these")
        return "\n".join(lines) or "no call yet"

    # What happens (`Observer`)

    def request_read(self, node: str, request: m.Request) -> int:
        """Note a call."""
        call = request.call
        user = call.username if isinstance(call, m.Login) else self._keys.get(request.key or "")
        names = () if call is None else (each.name for each in fields(call))
        arguments = {name: getattr(call, name) for name in names if name not in _SECRETS}
        number = self._next()
        self._calls[number] = RecordedCall(number, node, request.operation or "unreadable", user, arguments)
        self.changed()
        return number

    def request_done(self, number: int, reply: m.Reply | None, status: int | None, fate: ReplyFate) -> None:
        """Note what became of a call."""
        call = self._calls.get(number)
        if call is None:  # the log was cleared meanwhile
            return
        code, reason = (reply.code, reply.reason) if isinstance(reply, m.Refusal) else (None, "")
        if isinstance(reply, m.NotUnderstood):
            reason = f"MustUnderstand: {', '.join(reply.headers)}"
        contacts = reply.contacts if isinstance(reply, m.PresenceList) else ()
        self._calls[number] = replace(call, fate=fate, code=code, reason=reason, status=status, contacts=contacts)
        if isinstance(reply, m.LoggedIn) and call.user is not None:
            self._keys[reply.key] = call.user
        if fate is ReplyFate.ANSWERED:
            self._told |= {self._contact_key(presence.contact): presence for presence in contacts}
        self.changed()

    def request_unread(self, node: str, code: int, reason: str) -> None:
        """Note a request whose body was not read."""
        number = self._next()
        refused = RecordedCall(number, node, "unreadable", fate=ReplyFate.REFUSED, code=code, reason=reason, status=200)
        self._calls[number] = refused
        self.changed()

    def notification_sent(self, notification: m.Notification, answered: bool) -> None:
        """Note a notification."""
        self._note(notification, "answered" if answered else "failed")

    def notification_dropped(self, notification: m.Notification) -> None:
        """Note a notification that a fault has dropped."""
        self._note(notification, "dropped")

    def _note(self, notification: m.Notification, outcome: str) -> None:
        note = RecordedNotification(
            self._next(), notification.node, notification.subscription, notification.url, outcome
        )
        self._notifications.append(note)
        self.changed()

    def _next(self) -> int:
        self._last += 1
        return self._last

    # Waiting

    def changed(self) -> None:
        """Something has happened: all waits look again, once the reply under way is written."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        for look in list(self._waiting):
            look()

    def wait(self, find: Callable[[], _Found | None], timeout: float, timed_out: Callable[[], str]) -> Future[_Found]:
        """What `find` finds, as soon as it is not None; WaitTimedOut with the text of `timed_out` after `timeout`."""
        future: Future[_Found] = Future()

        def look() -> None:
            try:
                found = find()
            except Exception as error:  # noqa: BLE001 - it is the waiting test's
                if ended():
                    future.set_exception(error)
            else:
                if found is not None and ended():
                    future.set_result(found)

        def give_up() -> None:
            if ended():
                future.set_exception(WaitTimedOut(timed_out()))

        def ended() -> bool:
            """Nobody looks any more; whether somebody still waits."""
            clock.cancel()
            self._waiting.remove(look)
            return future.set_running_or_notify_cancel()

        clock = asyncio.get_running_loop().call_later(timeout, give_up)
        self._waiting.append(look)
        look()
        return future
