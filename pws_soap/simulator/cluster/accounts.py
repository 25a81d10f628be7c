"""Who may log in at the simulated server: the users of the options."""

from __future__ import annotations

from pws_soap.simulator.options import Options


class OptionAccounts:
    """The users that `Options` names (`pws_soap.server.ports.Accounts`)."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def may_log_in(self, user: str, password: str) -> bool:
        """Whether this is an application user with this password."""
        known = self._options.user(user)
        return known is not None and known.application and known.password == password

    def is_end_user(self, user: str, application_user: str) -> bool:
        """Whether this is an end user; every application user may log every end user in."""
        known = self._options.user(user)
        return self._options.any_end_user if known is None else not known.application
