"""The service over HTTP, with a store that is filled by hand: routes, access, streams and claims, without an engine.

    {"do": "change", "times": N}    that many contacts change, one after the other; `at`: the clock before, `names`: who
    {"do": "memory"}                the resident set in bytes

Settings: `contacts`; `key`: whether a key is needed; `group`: the size of the group "support", all of whom are free.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from typing import Any, Final

from benchmarks.rows.programs import control
from pws_soap.models import Device, Presence, PresenceState, PresenceType, Secret
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of
from service.access.principal import Principal, Scope
from service.access.stream_slots import ConnectionSlots
from service.api.app import create_app
from service.core.clock import SystemClock
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from service.runtime.server import listen, serve
from tests.support.fake_engine import FakeEngine

FEED: Final = "dispatcher"
KEY: Final = "pws_" + "k" * 43
_BOUND: Final = 36_000.0
_STATES: Final = (PresenceState.AVAILABLE, PresenceState.BUSY, PresenceState.AWAY, PresenceState.DND)
_SLOTS: Final = 100_000


class Filled:
    """A store and what answers from it. The first of the contacts make the group "support"."""

    def __init__(self, contacts: int, group: int = 0, *, key: bool = False) -> None:
        clock = SystemClock()
        self.names = [f"p{number:06d}@example.com" for number in range(contacts)]
        self.store = MemoryStore(clock, revision=int(clock.now() * 1e6))
        support = self.names[:group] or self.names[:1]
        self.core = Core.of(self.store, clock, _BOUND, {"support": support})
        owner = Principal("reader", frozenset(Scope))
        rules = AccessRules(keys=KeyRing([(hash_of(KEY), owner)]), anonymous=None) if key else AccessRules()
        self.app = create_app(
            FakeEngine(),
            self.core,
            callback_secret=Secret("a-path-that-nobody-asks-for"),
            version="0",
            authenticator=Authenticator(ConnectionSlots(_SLOTS, _SLOTS), rules),
        )
        self._dice = random.Random(1)  # noqa: S311  the same work every time
        self._states = dict.fromkeys(self.names, _STATES[0])
        self.store.watch(self.names, FEED)
        self.store.trust(FEED)
        free = set(support)
        for number, name in enumerate(self.names):
            if name not in free:
                self._states[name] = _STATES[number % len(_STATES)]
        self._read(self.names)

    async def change(self, words: dict[str, Any]) -> object:  # Any: JSON
        """The command `change`."""
        names = self._dice.sample(self.names, words["times"])
        at = time.monotonic()
        for name in names:
            self._states[name] = self._dice.choice([state for state in _STATES if state is not self._states[name]])
            self._read([name])
        return {"at": at, "names": names}

    async def memory(self, _words: dict[str, Any]) -> object:
        """The command `memory`."""
        return control.resident()

    def _read(self, names: list[str]) -> None:
        reading = self.store.begin()
        self.store.put([rich_presence(name, self._states[name]) for name in names], reading, source=Source.SUBSCRIBED)
        self.store.confirm(FEED, reading)


def rich_presence(name: str, state: PresenceState) -> Presence:
    """A person with two devices."""
    return Presence(
        name,
        state,
        PresenceType.RICH,
        activities=(state.value.lower(),),
        on_the_phone=False,
        display_name=f"Person {name}",
        idle=False,
        devices=(
            Device("JabberWin", open=True, audio=False, video=False, text=True),
            Device("cmp-8001-162", open=True, audio=True, video=False, text=False),
        ),
        in_meeting=False,
    )


async def main() -> None:
    """Serve, and obey."""
    settings = json.loads(sys.argv[1])
    filled = Filled(settings["contacts"], settings.get("group", 0), key=settings.get("key", False))
    listening = listen("127.0.0.1", 0)
    stop = asyncio.Event()
    living = [asyncio.create_task(work()) for work in (filled.core.log.run, filled.core.claim_service.run)]
    serving = asyncio.create_task(serve(filled.app, listening, stop, closing=filled.core.log.close))
    gc.collect()
    gc.freeze()
    try:
        commands = {"change": filled.change, "memory": filled.memory}
        await control.obey(commands, {"port": listening.getsockname()[1], "key": KEY})
    finally:
        filled.core.claim_service.close()
        stop.set()
        await serving
        for task in living:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


if __name__ == "__main__":
    control.run(main())
