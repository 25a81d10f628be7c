"""What kind of server is simulated: the options of `pws_soap.server`, and who may log in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Final

from pws_soap.server.options import KNOWN_CALLBACK_PORTS, ServerOptions

__all__ = ["DEFAULT_USERS", "KNOWN_CALLBACK_PORTS", "Options", "User", "UserOptions"]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    `application` means membership of the group "Admin-3rd Party API": logs in with a password, on any node. Everybody
    else is an end user, logged in by an application's session key on the node named `home` (None: the first node).
    """

    name: str
    password: str | None = field(default=None, repr=False)
    application: bool = False
    home: str | None = None


_DOMAIN: Final = re.compile(r"[^\s@<>\"\x00-\x1f\ufffe\uffff]+")

DEFAULT_USERS: Final = (
    User("pwsapp", "secret", application=True),
    User("dispatcher"),
    User("supervisor"),
)


@dataclass(frozen=True)
class UserOptions:
    """Who may log in. The marks K, L and U are explained in `pws_soap.server.options`."""

    domain: str = "example.com"
    """Presence domain of the server's own users."""
    users: tuple[User, ...] = DEFAULT_USERS
    """Who may log in (K: the application group)."""
    any_end_user: bool = True
    """Accept every end user's name, not only those in `users`; otherwise code 113."""


@dataclass(frozen=True)
class Options(ServerOptions, UserOptions):
    """All options of a simulator. They are listed in the order of the fields: `UserOptions` first, as the last base.

    Frozen: what changes at run time are faults (`pws_soap.simulator.faults`).
    """

    def __post_init__(self) -> None:
        """Check every value; raises ValueError that names the option and what was expected."""
        super().__post_init__()
        if not _DOMAIN.fullmatch(self.domain):
            raise ValueError(f"domain: expected a domain such as example.com, got {self.domain!r}")
        names = [user.name for user in self.users]
        if len(set(names)) != len(names):
            raise ValueError("users: expected every name once")

    def user(self, name: str) -> User | None:
        """The user of that name, or None."""
        return next((user for user in self.users if user.name == name), None)

    def shown(self) -> dict[str, Any]:
        """The options as plain values for people, users without their passwords."""
        values: dict[str, Any] = {}  # a JSON object: its values are of every type that an option has
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name == "users":
                value = [{"name": user.name, "application": user.application, "home": user.home} for user in value]
            elif isinstance(value, frozenset):
                value = sorted(value)
            values[option.name] = value
        return values
