"""Who gets a session: logins of application users and end users on one node (protocol section 2, Sessions)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pws_soap.simulator import messages as m
from pws_soap.simulator.codes import Refused
from pws_soap.simulator.options import Options
from pws_soap.simulator.registry import Registry, Session


class Neighbours(Protocol):
    """What a node knows of the others."""

    def redirect(self, user: str, node: str) -> m.Redirect | None:
        """Where an end user has to log in, when it is not at this node."""

    def backup(self, node: str) -> str | None:
        """The address of the node to use when this one fails."""


class Logins:
    """Answers `login` at one node."""

    def __init__(self, node: str, options: Options, neighbours: Neighbours, new_key: Callable[[], str]) -> None:
        self._node = node
        self._options = options
        self._neighbours = neighbours
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
        user = self._options.user(call.username)
        if user is None or not user.application or user.password != password:
            raise Refused(114)
        old = registry.session_of(user.name, application=True)
        return self._logged_in(call, old, None, user.name, registry, now)

    def _login_end_user(self, call: m.Login, app_session: str, registry: Registry, now: float) -> m.Reply:
        application = registry.sessions.get(app_session)
        if application is None:
            raise Refused(101)
        must_be_application(application)
        user = self._options.user(call.username)
        if (user is None and not self._options.any_end_user) or (user is not None and user.application):
            raise Refused(113)
        redirect = self._neighbours.redirect(call.username, self._node)
        if redirect is not None:
            return redirect
        application.used = now
        old = registry.session_of(call.username, application=False)
        if old is not None and old.application_user != application.user and not call.force:
            if self._options.held_elsewhere == "refuse":
                raise Refused(160)
            if self._options.held_elsewhere == "take-over":
                registry.end_session(old.key)
            old = None
        return self._logged_in(call, old, application, call.username, registry, now)

    def _logged_in(
        self, call: m.Login, old: Session | None, application: Session | None, user: str, registry: Registry, now: float
    ) -> m.Reply:
        if old is not None and not call.force:
            old.used = now
            if application is not None:
                old.application = application.key  # the same application, perhaps in a newer session
            key = old.key
        else:
            if old is not None and self._options.forced_login == "replaces":
                registry.end_session(old.key)
            key = self._new_key()
            owner = application.user if application else user
            registry.add_session(Session(key, user, application.key if application else None, owner, now))
        return m.LoggedIn(key, self._neighbours.backup(self._node))


def must_be_application(session: Session) -> None:
    """Code 141 for anybody else."""
    if not session.is_application:
        raise Refused(141)


def must_be_end_user(session: Session) -> str:
    """Code 140 for anybody else. The key of the application's session that this end user belongs to."""
    if session.application is None:
        raise Refused(140)
    return session.application
