"""Which contacts are wanted, by end user: those of the configuration, and what was added and removed since.

What the API adds and removes lasts until the service ends. Reading the configuration again replaces its part and leaves
the rest as it is. A contact that several end users could watch is watched through the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pws_soap.models import same_contact
from service.core.engine import NoSuchEndUser, Watched


class Watchlist:
    """The contacts that are wanted. Contacts are compared without regard to case; their first spelling stays."""

    def __init__(self, configured: Mapping[str, Sequence[str]]) -> None:
        self._configured: dict[str, Sequence[str]] = dict(configured)
        self._spelling: dict[str, str] = {}
        self._added: dict[str, tuple[str, str]] = {}  # key: contact, end user
        self._removed: set[str] = set()

    def __repr__(self) -> str:
        return f"<Watchlist {len(self.all())} contacts>"

    def reload(self, configured: Mapping[str, Sequence[str]]) -> None:
        """Take a new configuration. What was removed by hand stays removed as long as it is configured."""
        self._configured = dict(configured)
        self._removed &= self._configured_keys()
        self._added = {key: each for key, each in self._added.items() if each[1] in self._configured}

    def add(self, contacts: Iterable[str], end_user: str | None = None) -> list[str]:
        """Watch these as well; those that are new. Raises NoSuchEndUser. By default the first end user's."""
        if end_user is not None and end_user not in self._configured:
            raise NoSuchEndUser(end_user, self._configured)
        user = end_user if end_user is not None else next(iter(self._configured))
        known = {same_contact(each.contact) for each in self.all()}
        configured = self._configured_keys()
        new = []
        for contact in contacts:
            key = same_contact(contact)
            if key not in known:
                known.add(key)
                self._removed.discard(key)
                if key not in configured:
                    self._added[key] = (contact, user)
                new.append(contact)
        return new

    def remove(self, contacts: Iterable[str]) -> list[str]:
        """Watch these no longer; those that were watched."""
        known = {same_contact(each.contact): each for each in self.all()}
        gone = []
        for contact in contacts:
            each = known.pop(same_contact(contact), None)
            if each is not None:
                key = same_contact(contact)
                self._added.pop(key, None)
                if each.configured:
                    self._removed.add(key)
                gone.append(each.contact)
        return gone

    def all(self) -> list[Watched]:
        """Every contact once, the configured ones first."""
        found: dict[str, Watched] = {}
        for user, contacts in self._configured.items():
            for contact in contacts:
                key = same_contact(contact)
                if key not in self._removed and key not in found:
                    found[key] = Watched(self._spelling.setdefault(key, contact), user, True)
        for key, (contact, user) in self._added.items():
            if key not in found:
                found[key] = Watched(self._spelling.setdefault(key, contact), user, False)
        # The server is given the first spelling of a contact, for as long as it is watched: another one would be the
        # same contact to it, and removing the one would remove the other.
        self._spelling = {key: each.contact for key, each in found.items()}
        return list(found.values())

    def wanted(self) -> dict[str, frozenset[str]]:
        """The same, as the lifecycle takes it."""
        users: dict[str, set[str]] = {user: set() for user in self._configured}
        for watched in self.all():
            users[watched.end_user].add(watched.contact)
        return {user: frozenset(contacts) for user, contacts in users.items()}

    def _configured_keys(self) -> set[str]:
        return {same_contact(contact) for contacts in self._configured.values() for contact in contacts}
