"""Who gets a session: logins of application users and end users on one node (protocol section 2, Sessions).

`Accounts` decides whether a login is right. Which session it gives, and where to log in instead, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable

from pws_soap.server import messages as m
from pws_soap.server.codes import Refused
from pws_soap.server.node.registry import Registry, Session
from pws_soap.server.options import ServerOptions
from pws_soap.server.ports import Accounts, NodeDirectory


class Logins:
    """Answers `login` at one node."""

    def __init__(
        self,
        node: str,
        options: ServerOptions,
        accounts: Accounts,
        directory: NodeDirectory,
        new_key: Callable[[], str],
    ) -> None:
        self._node = node
        self._options = options
        self._accounts = accounts
        self._directory = directory
        self._new_key = new_key

    def answer(self, call: m.Login, registry: Registry, now: float) -> m.Reply:
        """A session key, or where to log in instead; raises `Refused`."""
        if not call.username:
            raise Refused(113)
        if call.password is not None:
            return self._login_application(call, call.password, registry, now)
        return self._login_end_user(call, call.app_session or "", registry, now)

    def _login_application(self, call: m.Login, password: str, registry: Registry, now: float) -> m.Reply:
        if not password:
            raise Refused(111)
        if not self._accounts.may_log_in(call.username, password):
            raise Refused(114)
        existing = registry.session_of(call.username, application=True)
        return self._logged_in(call, existing, None, registry, now)

    def _login_end_user(self, call: m.Login, app_session: str, registry: Registry, now: float) -> m.Reply:
        application = registry.sessions.get(app_session)
        if application is None:
            raise Refused(101)
        must_be_application(application)
        if not self._accounts.is_end_user(call.username, application.user):
            raise Refused(113)
        redirect = self._redirect(call.username)
        if redirect is not None:
            return redirect
        application.used = now
        of = application.user if self._options.held_elsewhere == "share" else None
        existing = registry.session_of(call.username, application=False, of=of)
        if existing is not None and existing.application_user != application.user and not call.force:
            if self._options.held_elsewhere == "refuse":
                raise Refused(160)
            registry.end_session(existing.key)
            existing = None
        return self._logged_in(call, existing, application, registry, now)

    def _redirect(self, user: str) -> m.Redirect | None:
        """Where an end user has to log in instead; None if on this node."""
        home = self._directory.home_of(user)
        if home == self._node:
            return None
        backup = self._directory.backup_of(home)
        if self._options.failover and backup == self._node and not self._directory.works(home):
            return None
        return m.Redirect(self._directory.address_of(home), self._address(backup))

    def _address(self, node: str | None) -> str | None:
        return None if node is None else self._directory.address_of(node)

    def _logged_in(
        self, call: m.Login, existing: Session | None, application: Session | None, registry: Registry, now: float
    ) -> m.Reply:
        if existing is not None and not call.force:
            existing.used = now
            if application is not None:
                registry.give_to(application.key, existing)  # the same application, perhaps in a newer session
            key = existing.key
        else:
            if existing is not None and self._options.forced_login == "replaces":
                registry.end_session(existing.key)
            key = self._new_key()
            owner = application.user if application else call.username
            registry.add_session(Session(key, call.username, application.key if application else None, owner, now))
        return m.LoggedIn(key, self._address(self._directory.backup_of(self._node)))


def must_be_application(session: Session) -> None:
    """Refuse an end user's session with code 141."""
    if not session.is_application:
        raise Refused(141)


def must_be_end_user(session: Session) -> str:
    """Refuse an application user's session with code 140. The key of the session that logged the end user in."""
    if session.application is None:
        raise Refused(140)
    return session.application
