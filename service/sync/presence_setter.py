"""Sets the presence of end users, for programs that do it through this service.

An end user whose contacts are watched has a session already, which the lifecycle keeps: it is used, and never logged
out or forced. Any other is logged in by the application user's session, without force, so that nobody else's session is
ended; such sessions are kept for the next time, and end with the application user's. Nothing is fetched in them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from pws_soap import lifecycle
from pws_soap.errors import Fault, NotLoggedIn, PwsError, Redirected, Throttled
from pws_soap.models import Secret, Session
from service.core.engine import NotAvailable, PresenceNotSet, PresenceToSet
from service.sync.driver import LifecycleDriver

MOST_SESSIONS: Final = 1000
"""Sessions kept beside those of the lifecycle; beyond, the one that was not used longest is logged out."""
_LATER: Final = 5.0
"""Seconds after which it may be tried again."""


class ServerPresence:
    """Sets presence at the server (see `PresenceSetter`). `hide` is called with each new session key."""

    def __init__(self, driver: LifecycleDriver, hide: Callable[[Secret], object]) -> None:
        self._driver = driver
        self._hide = hide
        self._sessions: OrderedDict[str, tuple[Session, Session]] = OrderedDict()
        """By end user: its session, and that of the application user in which it was begun."""
        self._logging_in = asyncio.Lock()

    async def set_presence(self, end_user: str, wanted: PresenceToSet) -> None:
        """See PresenceSetter."""
        try:
            try:
                await self._set(await self._session(end_user), wanted)
            except NotLoggedIn:
                if self._is_watched(end_user):
                    raise
                self._sessions.pop(end_user, None)
                await self._set(await self._session(end_user), wanted)
        except (NotLoggedIn, Throttled) as error:
            raise NotAvailable(str(error), _LATER) from None
        except Fault as fault:
            if fault.code is None or fault.may_have_acted:
                raise NotAvailable(f"it is not known whether it was set: {fault}", _LATER) from None
            raise PresenceNotSet(fault.code, fault.message or fault.meaning) from None
        except PwsError as error:
            raise NotAvailable(str(error), _LATER) from None

    async def _set(self, session: Session, wanted: PresenceToSet) -> None:
        client = self._driver.client(session.node)
        if wanted.document is not None:
            document, override = wanted.document, wanted.override
            await client.set_rich_presence(session, document, override=override, expires=wanted.expires)
        elif wanted.state is not None:
            await client.set_presence(session, wanted.state, override=wanted.override, expires=wanted.expires)

    def _is_watched(self, end_user: str) -> bool:
        return end_user in self._driver.state.users

    async def _session(self, end_user: str) -> Session:
        """The end user's session. Raises PwsError, or NotAvailable where there is none and none can be begun."""
        if self._is_watched(end_user):
            session = self._driver.end_user_session(end_user)
            if session is None:
                raise NotAvailable(f"{end_user} has no session at the server now", _LATER)
            return session
        async with self._logging_in:
            applications = self._driver.application_sessions()
            kept = self._sessions.get(end_user)
            if kept is not None and kept[1] in applications.values():
                self._sessions.move_to_end(end_user)
                return kept[0]
            if not applications:
                raise NotAvailable("the service has no session at the server now", _LATER)
            return await self._log_in(end_user, applications)

    async def _log_in(self, end_user: str, applications: dict[str, Session]) -> Session:
        home = next(iter(applications))
        try:
            application, session = await self._at(end_user, applications[home])
        except Redirected as redirected:
            named = lifecycle.resolve(redirected.primary, home, self._driver.state.settings)
            if named is None or named == home or named not in applications:
                where = redirected.primary or "a node that was not named"
                raise NotAvailable(f"{end_user} is at home on {where}, where this service has no session") from None
            application, session = await self._at(end_user, applications[named])
        self._sessions[end_user] = session, application
        if len(self._sessions) > MOST_SESSIONS:
            _, (oldest, _) = self._sessions.popitem(last=False)
            await self._driver.client(oldest.node).logout(oldest)
        return session

    async def _at(self, end_user: str, application: Session) -> tuple[Session, Session]:
        session = await self._driver.client(application.node).login_end_user(application, end_user)
        self._hide(session.key)
        return application, session
