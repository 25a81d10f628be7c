"""What an owner leaves to the next one beside its sessions: documents by name, in the engine.

It has the form of what a single process keeps in files (`service.webhooks.leftovers.Shelf`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from service.cluster.engine import Put, Table
from service.core.clock import Clock
from service.core.events.commits import NotCommitted
from service.runtime.committing import Committing

MOST_BYTES: Final = 1024 * 1024
"""Bytes of one document: every replica that joins loads it."""
_PAUSE: Final = 1.0
"""Seconds before it is looked again whether the engine has taken something."""

log = logging.getLogger("pws.webhooks")


class OwnersShelf:
    """The documents that the owner before has left, and those that this one leaves: written in its tenure alone."""

    def __init__(self, documents: Mapping[str, bytes], committing: Committing, clock: Clock) -> None:
        self._documents = dict(documents)
        self._committing = committing
        self._clock = clock

    def names(self) -> Sequence[str]:
        """Of what there is one."""
        return list(self._documents)

    def read(self, name: str) -> bytes | None:
        """One of them; None where there is none."""
        return self._documents.get(name)

    async def write(self, name: str, document: bytes) -> None:
        """Leave it to the next owner. Raises OSError where the engine takes nothing."""
        if not self._committing.epoch or self._committing.problem is not None:
            raise OSError(self._committing.problem or "another replica owns by now")
        self._documents[name] = document
        self._committing.keep([Put(Table.LEFT, name, document)])

    def remove(self, name: str) -> None:
        """Let it go, if it is there."""
        if self._documents.pop(name, None) is not None:
            self._committing.keep([Put(Table.LEFT, name, None)])

    def clear(self) -> None:
        """Let everything go: there is nobody any more for whom it was left."""
        for name in self.names():
            log.warning(
                "webhook %(target)s is no longer configured: what was undelivered is let go",
                {"target": name},
                extra={"event": "webhook.target-gone"},
            )
            self.remove(name)

    async def settle(self) -> None:
        """Wait until the engine has all that was removed."""
        while True:
            try:
                await self._committing.reached(0)
            except NotCommitted:
                await self._clock.sleep(_PAUSE)
            else:
                return

    def put_aside(self, name: str) -> str:
        """Nobody could look at it in the engine: it is removed."""
        self.remove(name)
        return "nothing, but removed"
