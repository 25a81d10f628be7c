"""Has the store watch what the lifecycle wants, feed by feed, many contacts in many turns of the event loop.

Few contacts are taken in at once, so that who adds one finds it. Thousands, at a start or when a configuration is read
again, are taken in by steps, in the order in which they were wanted. What a reply says of a contact before its step
does not count: it is read once it is watched.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from typing import Final

from pws_soap.models import same_contact
from service.core.presence.store import Store
from service.core.wakeup import in_turns

STEP: Final = 500
"""Contacts that are watched or forgotten in one turn of the event loop."""


class StoreFollower:
    """Gives the store what changed between two sets of wanted contacts. They are taken by reference, never copied."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[str, frozenset[str]] = {}
        self._work: deque[tuple[str | None, list[str]]] = deque()  # a feed to join; None: to be forgotten
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Contacts that the store does not follow yet."""
        return sum(len(contacts) for _, contacts in self._work)

    def follow(self, wanted: Mapping[str, frozenset[str]]) -> None:
        """These are wanted from now on, by feed. What is not done at once is done in the turns that follow."""
        before, self._wanted = self._wanted, dict(wanted)
        joined: set[str] = set()
        left: set[str] = set()
        for feed, contacts in wanted.items():
            known = before.get(feed)
            if contacts is not known:
                joins = contacts if known is None else contacts - known
                self._work.append((feed, sorted(joins)))
                joined |= joins
        for feed, contacts in before.items():
            if contacts is not wanted.get(feed):
                left |= contacts - wanted.get(feed, frozenset())
        if left:
            self._work.append((None, sorted(self._gone(left, joined), key=same_contact)))
        if self._task is None and next(self._steps(), False) is None:
            self._task = asyncio.create_task(self._finish(), name="contacts")

    async def close(self) -> None:
        """Leave the rest undone: the service stops."""
        self._work.clear()
        if self._task is not None:
            await self._task

    def _gone(self, left: set[str], joined: set[str]) -> set[str]:
        """Those that are wanted nowhere any more, in whatever spelling."""
        gone = left - joined
        for contacts in self._wanted.values():
            gone -= contacts
        stay = set(map(same_contact, joined)) if gone else set()
        return {contact for contact in gone if same_contact(contact) not in stay}

    async def _finish(self) -> None:
        try:
            await in_turns(self._rest())
        finally:
            self._task = None

    def _rest(self) -> Generator[None, None, None]:
        yield
        yield from self._steps()

    def _steps(self) -> Iterator[None]:
        """Do what is to be done, `STEP` contacts at a time."""
        room = STEP
        while self._work:
            feed, contacts = self._work[0]
            part = contacts[:room]
            del contacts[:room]
            if not contacts:
                self._work.popleft()
            if feed is None:
                self._store.unwatch(part)
            else:
                self._store.watch(part, feed)
            room -= len(part)
            if room <= 0 and self._work:
                room = STEP
                yield
