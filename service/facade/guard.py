"""Looks at each request before it is carried out, and at each reply before it is sent: limits, the log and the audit.

How many sessions there may be, how many requests a second of one façade user, and how often somebody may try passwords.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from pws_soap.server import HttpReply, Interception
from pws_soap.server import messages as m
from pws_soap.server.node.operations import Node
from pws_soap.server.node.registry import Session
from service.access.audit import AuditAction, AuditEntry, AuditLog
from service.access.log_limit import LogThrottle
from service.access.rate_limit import RateLimiter
from service.core.clock import Clock
from service.facade.accounts import WrongPasswords
from service.facade.caller import CALLER, Caller
from service.facade.settings import FacadeSettings

log = logging.getLogger("pws.facade")

MAX_NAME: Final = 255
"""Characters of a user's name, which is kept with its session."""
_INVALID_NAME: Final = 113
_WRONG_PASSWORD: Final = 114
_CANNOT_LOG_IN: Final = 208
_TOO_MANY: Final = 212


class Guard:
    """Applies the limits (`pws_soap.server.Interceptor`). `callers` are the last callers of sessions, by their keys."""

    def __init__(self, settings: FacadeSettings, clock: Clock, audit: AuditLog | None) -> None:
        self._settings = settings
        self._clock = clock
        self._audit = audit
        self._wrong = WrongPasswords(clock)
        rate = settings.requests_per_second
        self._limiter = RateLimiter(clock, rate, max(1, round(2 * rate)))
        self._logins, self._wrong_logins, self._refusals = LogThrottle(clock), LogThrottle(clock), LogThrottle(clock)
        self.node: Node | None = None
        """The node that is guarded; set once it is there."""
        self.callers: dict[str, Caller] = {}
        self.registered_from: dict[int, str | None] = {}
        """The address that each endpoint was registered from, by its id."""

    async def arrived(self, node: str) -> Interception:
        """One object serves all requests."""
        return self

    async def before(self, request: m.Request) -> m.Refusal | HttpReply | None:
        """Refuse what is too much."""
        caller = CALLER.get()
        session = self._session(request)
        client = f"address {caller.address}" if session is None else f"user {session.application_user}"
        if self._limiter.take(client):
            most = f"{self._settings.requests_per_second:g}"
            return m.Refusal(_TOO_MANY, f"{most} requests a second may come from one user or address.")
        if session is not None and request.key is not None:
            self.callers[request.key] = caller
        if isinstance(request.call, m.Login):
            return self._refusal_of_login(request.call, caller)
        return None

    async def after(self, request: m.Request, reply: m.Reply | None, http_reply: HttpReply) -> HttpReply:
        """Remember what came of it."""
        caller = CALLER.get()
        if isinstance(request.call, m.Login):
            self._logged_in(request.call, reply, caller)
        elif isinstance(reply, m.EndPoint):
            self.registered_from.setdefault(reply.id, caller.address)
        elif isinstance(reply, m.PresenceList):
            self._record(AuditAction.LOOK, request, caller, len(reply.contacts))
        elif isinstance(request.call, m.SetPresence) and isinstance(reply, m.Done):
            self._record(AuditAction.CHANGE, request, caller, 0)
        return http_reply

    def refused(self, operation: str, code: int, reason: str) -> None:
        """Log a refusal (`pws_soap.server`), each kind of one address now and then."""
        address = CALLER.get().address
        if self._refusals.is_due(f"{code} {address}"):
            log.warning(
                "facade: %(operation)s from %(address)s is refused with code %(code)d: %(why)s",
                {"operation": operation, "address": address, "code": code, "why": reason},
                extra={"event": "facade.request-refused"},
            )

    def forget_gone(self) -> None:
        """Forget what is known of sessions and endpoints that are gone."""
        if self.node is not None:
            registry = self.node.registry
            for key in [key for key in self.callers if key not in registry.sessions]:
                del self.callers[key]
            for number in [number for number in self.registered_from if number not in registry.endpoints]:
                del self.registered_from[number]

    # --- inside

    def _session(self, request: m.Request) -> Session | None:
        if self.node is None or request.key is None:
            return None
        return self.node.registry.sessions.get(request.key)

    def _refusal_of_login(self, call: m.Login, caller: Caller) -> m.Refusal | None:
        if len(call.username) > MAX_NAME:
            return m.Refusal(_INVALID_NAME, f"It has more than {MAX_NAME} characters.")
        if call.password is not None:
            wait = self._wrong.wait(call.username, caller.address or "")
            if wait:
                return m.Refusal(_TOO_MANY, f"Too many wrong passwords; the next is looked at in {wait:.0f} s.")
        if self.node is not None and len(self.node.registry.sessions) >= self._settings.max_sessions:
            is_application = call.password is not None
            if call.force or self.node.registry.session_of(call.username, application=is_application) is None:
                return m.Refusal(
                    _CANNOT_LOG_IN, f"There are {self._settings.max_sessions} sessions, and no more may be."
                )
        return None

    def _logged_in(self, call: m.Login, reply: m.Reply | None, caller: Caller) -> None:
        address = caller.address or ""
        if isinstance(reply, m.Refusal):
            if reply.code == _WRONG_PASSWORD:
                self._wrong.failed(call.username, address)
                if self._wrong_logins.is_due(f"{call.username[:80]} {address}"):
                    log.warning(
                        "facade: a login as %(user)s from %(address)s is refused: wrong name or password",
                        {"user": call.username[:80], "address": caller.address},
                        extra={"event": "facade.login-refused"},
                    )
            return
        if not isinstance(reply, m.LoggedIn) or self.node is None:
            return
        if call.password is not None:
            self._wrong.succeeded(call.username, address)
        session = self.node.registry.sessions.get(reply.key)
        if session is None:
            return
        who = f"{session.application_user} {session.user} {address}"
        if reply.key not in self.callers and self._logins.is_due(who):
            log.info(
                "facade: %(user)s%(_as)s has logged in from %(address)s",
                {
                    "user": session.application_user,
                    "_as": "" if session.is_application else f" as {session.user}",
                    "end_user": None if session.is_application else session.user,
                    "address": caller.address,
                    "agent": caller.agent,
                },
                extra={"event": "facade.logged-in"},
            )
        self.callers[reply.key] = caller

    def _record(self, action: AuditAction, request: m.Request, caller: Caller, shown: int) -> None:
        session = self._session(request)
        if self._audit is None or session is None:
            return
        more: Mapping[str, object] = {"details": _is_rich(request.call), "end_user": session.user}
        self._audit.record(
            AuditEntry(
                self._clock.now(),
                action,
                f"facade.users.{session.application_user}",
                caller.address,
                _asked(request),
                shown,
                more,
            )
        )


def _is_rich(call: m.Call | None) -> bool:
    return isinstance(call, m.GetPolledPresence | m.GetSubscribedPresence) and call.type == "RICH_PRESENCE"


MOST_NAMED: Final = 100
"""Contacts of a poll that an audit entry names; of more, how many there are."""


def _asked(request: m.Request) -> str:
    """The request in one line."""
    match request.call:
        case m.GetPolledPresence(contacts=contacts, type=kind):
            more = f" and {len(contacts) - MOST_NAMED} more" if len(contacts) > MOST_NAMED else ""
            return f"SOAP getPolledPresence {kind} {' '.join(contacts[:MOST_NAMED])}{more}"[:8000]
        case m.GetSubscribedPresence(subscription=number, type=kind):
            return f"SOAP getSubscribedPresence {kind} {number}"
        case _:
            return f"SOAP {request.operation}"
