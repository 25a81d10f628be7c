"""Which contacts are wanted, by end user: those of the configuration, and what was added and removed since.

What the API adds and removes lasts until the service ends. Reading the configuration again replaces its part and leaves
the rest as it is. A contact that several end users could watch is watched through the first of them.

A configuration that is read again may have hundreds of thousands of contacts: it is taken in by steps, between which
everybody else has a turn, and may add and remove contacts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pws_soap.models import same_contact
from service.core.engine import NoSuchEndUser, Watched

STEP: Final = 2000
"""Contacts that are looked at in one step."""
_TRIES: Final = 3
"""A reload begins again when contacts are added or removed meanwhile; after so many times it is done in one step."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a new configuration changed, in the order of the old one and of the new one."""

    left: list[Watched] = field(default_factory=list)
    came: list[Watched] = field(default_factory=list)
    moved: list[tuple[Watched, Watched]] = field(default_factory=list)
    """Those who are watched through another end user: as they were, and as they are."""
    users: set[str] = field(default_factory=set)
    """The end users that have contacts now."""


class Watchlist:
    """The contacts that are wanted. Contacts are compared without regard to case; their first spelling stays."""

    def __init__(self, configured: Mapping[str, Sequence[str]]) -> None:
        self._configured: dict[str, Sequence[str]] = {}
        self._added: dict[str, tuple[str, str]] = {}  # key: contact, end user
        self._removed: set[str] = set()
        self._watched: dict[str, Watched] = {}  # what follows from these, by key
        self._edits = 0
        for _ in self.reload(configured):
            pass

    def __repr__(self) -> str:
        return f"<Watchlist {len(self._watched)} contacts>"

    def reload(self, configured: Mapping[str, Sequence[str]]) -> Generator[None, None, Reloaded]:
        """Take a new configuration, in steps; it counts from the last one on. What was removed by hand stays removed as
        long as it is configured."""
        for attempt in range(_TRIES + 1):
            edits = self._edits
            steps = self._read(configured)
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    watched, removed, changes = done.value
                    break
                if attempt < _TRIES:
                    yield
            if edits == self._edits:
                break
        self._configured = dict(configured)
        self._added = {key: each for key, each in self._added.items() if each[1] in self._configured}
        self._watched, self._removed = watched, removed
        result: Reloaded = changes
        return result

    def add(self, contacts: Iterable[str], end_user: str | None = None) -> dict[str, Watched]:
        """Watch these as well; those that are new, as they were given. Raises NoSuchEndUser. By default the first end
        user's."""
        if end_user is not None and end_user not in self._configured:
            raise NoSuchEndUser(end_user, self._configured)
        user = end_user if end_user is not None else next(iter(self._configured))
        new: dict[str, str] = {}
        again = False
        self._edits += 1
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
            self._put_back()
        return {contact: self._watched[key] for key, contact in new.items()}

    def remove(self, contacts: Iterable[str]) -> list[Watched]:
        """Watch these no longer; those that were watched."""
        gone = []
        self._edits += 1
        for contact in contacts:
            key = same_contact(contact)
            watched = self._watched.pop(key, None)
            if watched is not None:
                self._added.pop(key, None)
                if watched.configured:
                    self._removed.add(key)
                gone.append(watched)
        return gone

    def has(self, watched: Watched) -> bool:
        """Whether that contact is watched through that end user."""
        now = self._watched.get(same_contact(watched.contact))
        return now is not None and (now.contact, now.end_user) == (watched.contact, watched.end_user)

    def all(self) -> list[Watched]:
        """Every contact once, the configured ones first."""
        return list(self._watched.values())

    def wanted(self) -> dict[str, frozenset[str]]:
        """The same, as the lifecycle takes it."""
        users: dict[str, list[str]] = {user: [] for user in self._configured}
        for watched in self._watched.values():
            users[watched.end_user].append(watched.contact)
        return {user: frozenset(contacts) for user, contacts in users.items()}

    def _put_back(self) -> None:
        """Configured contacts that had been removed have their place in the configuration again."""
        for _ in self.reload(self._configured):
            pass

    def _read(
        self, configured: Mapping[str, Sequence[str]]
    ) -> Generator[None, None, tuple[dict[str, Watched], set[str], Reloaded]]:
        """What is watched with this configuration, what of it is removed, and what that changes."""
        before = self._watched
        keys: dict[str, str] = {}  # most are spelled as they were before
        for count, (key, old) in enumerate(list(before.items()), 1):
            keys[old.contact] = key
            if not count % STEP:
                yield
        found: dict[str, Watched] = {}
        removed = set()
        changes = Reloaded()
        for user, contacts in configured.items():
            for count, contact in enumerate(contacts, 1):
                key = keys.get(contact) or same_contact(contact)
                if key in self._removed:
                    removed.add(key)
                elif key not in found:
                    found[key] = _watched(before.get(key), contact, user, configured=True)
                if not count % STEP:
                    yield
        for key, (contact, user) in self._added.items():
            if key not in found and user in configured:
                found[key] = _watched(before.get(key), contact, user, configured=False)
        yield
        for count, (key, new) in enumerate(found.items(), 1):
            changes.users.add(new.end_user)
            known = before.get(key)
            if known is None:
                changes.came.append(new)
            elif known.end_user != new.end_user:
                changes.moved.append((known, new))
            if not count % STEP:
                yield
        for count, (key, old) in enumerate(list(before.items()), 1):
            if key not in found:
                changes.left.append(old)
            if not count % STEP:
                yield
        return found, removed, changes


def _watched(before: Watched | None, contact: str, user: str, *, configured: bool) -> Watched:
    # The server is given the first spelling of a contact, for as long as it is watched: another one would be the same
    # contact to it, and removing the one would remove the other.
    if before is None:
        return Watched(contact, user, configured)
    if before.end_user == user and before.configured is configured:
        return before
    return Watched(before.contact, user, configured)
