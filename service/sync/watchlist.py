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
        self._configured: dict[str, Sequence[str]] = {}
        self._added: dict[str, tuple[str, str]] = {}  # key: contact, end user
        self._removed: set[str] = set()
        self._watched: dict[str, Watched] = {}  # what follows from these, by key
        self.reload(configured)

    def __repr__(self) -> str:
        return f"<Watchlist {len(self._watched)} contacts>"

    def reload(self, configured: Mapping[str, Sequence[str]]) -> None:
        """Take a new configuration. What was removed by hand stays removed as long as it is configured."""
        if self._configured and list(self._configured.items()) == list(configured.items()):
            return
        self._configured = dict(configured)
        self._added = {key: each for key, each in self._added.items() if each[1] in self._configured}
        self._watched = self._all()

    def add(self, contacts: Iterable[str], end_user: str | None = None) -> dict[str, Watched]:
        """Watch these as well; those that are new, as they were given. Raises NoSuchEndUser. By default the first end
        user's."""
        if end_user is not None and end_user not in self._configured:
            raise NoSuchEndUser(end_user, self._configured)
        user = end_user if end_user is not None else next(iter(self._configured))
        new: dict[str, str] = {}
        again = False
        for contact in contacts:
            key = same_contact(contact)
            if key in self._watched or key in new:
                continue
            new[key] = contact
            if key in self._removed:
                again = True
                self._removed.discard(key)
            else:
                self._added[key] = contact, user
                self._watched[key] = Watched(contact, user, False)
        if again:  # those of the configuration have their place in it
            self._watched = self._all()
        return {contact: self._watched[key] for key, contact in new.items()}

    def remove(self, contacts: Iterable[str]) -> list[Watched]:
        """Watch these no longer; those that were watched."""
        gone = []
        for contact in contacts:
            key = same_contact(contact)
            watched = self._watched.pop(key, None)
            if watched is not None:
                self._added.pop(key, None)
                if watched.configured:
                    self._removed.add(key)
                gone.append(watched)
        return gone

    def all(self) -> list[Watched]:
        """Every contact once, the configured ones first."""
        return list(self._watched.values())

    def wanted(self) -> dict[str, frozenset[str]]:
        """The same, as the lifecycle takes it."""
        users: dict[str, list[str]] = {user: [] for user in self._configured}
        for watched in self._watched.values():
            users[watched.end_user].append(watched.contact)
        return {user: frozenset(contacts) for user, contacts in users.items()}

    def _all(self) -> dict[str, Watched]:
        before = self._watched
        keys = {watched.contact: key for key, watched in before.items()}  # most are spelled as they were before
        found: dict[str, Watched] = {}
        removed = set()
        for user, contacts in self._configured.items():
            for contact in contacts:
                key = keys.get(contact) or same_contact(contact)
                if key in self._removed:
                    removed.add(key)
                elif key not in found:
                    found[key] = _watched(before.get(key), contact, user, configured=True)
        for key, (contact, user) in self._added.items():
            if key not in found:
                found[key] = _watched(before.get(key), contact, user, configured=False)
        self._removed = removed
        return found


def _watched(before: Watched | None, contact: str, user: str, *, configured: bool) -> Watched:
    # The server is given the first spelling of a contact, for as long as it is watched: another one would be the same
    # contact to it, and removing the one would remove the other.
    if before is None:
        return Watched(contact, user, configured)
    if before.end_user == user and before.configured is configured:
        return before
    return Watched(before.contact, user, configured)
