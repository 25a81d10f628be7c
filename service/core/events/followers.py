"""Those that follow the event log: each is handed its events, or only hears that there are some."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from service.core.events.event import Event

_log = logging.getLogger("pws.events")

Follower = Callable[[Sequence[Event]], None]
"""Takes events in their order, in the log's own turn. Must be quick and must not raise; it may `tell` and `touch`."""
Bell = Callable[[], None]
"""Only hears that there is something. Must be quick, must not raise, and must not use the log."""


class Followers:
    """`immediate` take events as soon as they are appended, `told` when they are told; `all` are both, the immediate
    ones first. `arrived` is set, and replaced, with each `wake`."""

    def __init__(self) -> None:
        self.immediate: list[Follower] = []
        self.told: list[Follower] = []
        self.all: tuple[Follower, ...] = ()
        self.arrived = asyncio.Event()
        self._bells: dict[object, Bell] = {}

    def add(self, follower: Follower, *, immediate: bool) -> Callable[[], None]:
        """Hand events over to it from now on; call what is returned to stop."""
        followers = self.immediate if immediate else self.told
        followers.append(follower)
        self.all = (*self.immediate, *self.told)

        def stop() -> None:
            if follower in followers:
                followers.remove(follower)
                self.all = (*self.immediate, *self.told)

        return stop

    def add_bell(self, bell: Bell) -> Callable[[], None]:
        """Ring it with each `wake`; call what is returned to stop."""
        token = object()
        self._bells[token] = bell

        def stop() -> None:
            self._bells.pop(token, None)

        return stop

    def hand(self, events: Sequence[Event], followers: Iterable[Follower]) -> None:
        """Hand events over to some of them."""
        for follower in tuple(followers):
            try:
                follower(events)
            except Exception:  # noqa: BLE001  one broken follower must not cost the others an event
                _log.exception("a follower of events failed", extra={"event": "internal.error"})

    def wake(self) -> None:
        """Let go all that wait, and ring."""
        arrived, self.arrived = self.arrived, asyncio.Event()
        arrived.set()
        for bell in tuple(self._bells.values()):
            bell()
