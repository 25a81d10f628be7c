"""Has the store watch what the lifecycle wants, feed by feed, many contacts in many turns of the event loop.

Few contacts are taken in at once, so that who adds one finds it. Thousands, at a start or when a configuration is read
again, are taken in by steps, in the order in which they were wanted. What a reply says of a contact before its step
does not count: it is read once it is watched.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pws_soap.models import same_contact
from service.core.presence.store import Store
from service.core.wakeup import in_turns

STEP: Final = 500
"""Contacts that are watched or forgotten in one turn of the event loop."""
_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class _Part:
    """What changed of a feed: those that join it, or those that have left it, of whom another feed may have some."""

    feed: str
    contacts: frozenset[str]
    joined: frozenset[str] | None = None
    """Of those that have left: who has joined meanwhile, perhaps the same contact in another spelling."""
    ordered: list[str] | None = None
    """The contacts or, of those that have left, the keys, in order, once it is begun."""

    @property
    def left(self) -> int:
        """How many are still to be done."""
        return len(self.contacts if self.ordered is None else self.ordered)

    def take(self, most: int) -> list[str]:
        """The next ones, in order."""
        if self.ordered is None:
            self.ordered = sorted(self.contacts) if self.joined is None else sorted(self._gone(self.joined))
        taken, self.ordered = self.ordered[:most], self.ordered[most:]
        return taken

    def _gone(self, joined: frozenset[str]) -> set[str]:
        return set(map(same_contact, self.contacts)).difference(map(same_contact, joined))


class StoreFollower:
    """Gives the store what changed between two sets of wanted contacts. They are taken by reference, never copied."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[str, frozenset[str]] = {}
        self._work: deque[_Part] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Contacts that the store does not follow yet."""
        return sum(part.left for part in self._work)

    def follow(self, wanted: Mapping[str, frozenset[str]]) -> None:
        """These are wanted from now on, by feed. What is not done at once is done in the turns that follow."""
        before, self._wanted = self._wanted, dict(wanted)
        changed = [feed for feed in {**before, **wanted} if wanted.get(feed) is not before.get(feed)]
        for feed in changed:
            if feed in wanted:
                self._work.append(_Part(feed, wanted[feed] - before.get(feed, _NOBODY)))
        for feed in changed:
            old, new = before.get(feed, _NOBODY), wanted.get(feed, _NOBODY)
            if left := old - new:
                self._work.append(_Part(feed, left, new - old))
        if self._task is None and next(self._steps(), False) is None:
            self._task = asyncio.create_task(self._finish(), name="contacts")

    async def close(self) -> None:
        """Leave the rest undone: the service stops."""
        self._work.clear()
        if self._task is not None:
            await self._task

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
            part = self._work[0]
            contacts = part.take(room)
            self._do(part, contacts)
            if not part.left:
                self._work.popleft()
            room -= len(contacts)
            if room <= 0 and self._work:
                room = STEP
                yield

    def _do(self, part: _Part, contacts: list[str]) -> None:
        if part.joined is None:
            self._store.watch(contacts, part.feed)
        else:  # those that another feed has taken meanwhile stay
            mine = self._store.keys(part.feed)
            self._store.unwatch([key for key in contacts if key in mine])
