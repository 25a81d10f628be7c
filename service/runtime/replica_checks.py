"""What is wrong with the engine that the replicas share, or with how they are set up, although they may seem to work.

`pws doctor` finds the same, for whom it is run. A service that is running says it once in its log, and in its status
until it is over.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from service.cluster.engine import ClusterEngine, ClusterEngineError, EngineFacts, EngineUnreachable
from service.cluster.members import Members, version_key
from service.core.clock import Clock

OLDEST: Final = (7,)
"""The first version of Redis that has what the scripts need; each version of Valkey has."""
FACTS_FOR: Final = 60.0
"""Seconds for which what the engine says of itself is believed."""
_LOOK: Final = 3.0
"""Seconds between two looks at the other replicas, and before the engine is asked again that was not reached."""

log = logging.getLogger("pws.cluster")


def is_too_old(facts: EngineFacts) -> bool:
    """Whether it lacks what the scripts need."""
    return facts.name == "redis" and version_key(facts.version) < OLDEST


class ReplicaChecks:
    """Asks the engine what it is, and looks at the replicas. `run` is the caller's to run."""

    def __init__(self, engine: ClusterEngine, clock: Clock, members: Members) -> None:
        self.facts: EngineFacts | None = None
        """What the engine has said of itself last; None: nothing yet."""
        self._engine = engine
        self._clock = clock
        self._members = members
        self._logged: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<ReplicaChecks: {', '.join(self.problems()) or 'all is well'}>"

    def problems(self) -> Sequence[str]:
        """What is wrong now, in words that say what to do."""
        found: list[str] = []
        if self.facts is not None and is_too_old(self.facts):
            found.append(f"the engine is Redis {self.facts.version}, which is too old: replicas need Redis 7 or Valkey")
        found += (
            f"more than one replica says that it is at {address}: give each one a cluster.advertise of its own"
            for address in self._members.shared_addresses(self._clock.monotonic())
        )
        return found

    async def run(self) -> None:
        """Ask and look, for ever."""
        ask_at = self._clock.monotonic()
        while True:
            if self._clock.monotonic() >= ask_at:
                ask_at = self._clock.monotonic() + await self._ask()
            problems = self.problems()
            for problem in problems:
                if problem not in self._logged:
                    log.warning("%(problem)s", {"problem": problem}, extra={"event": "cluster.problem"})
            self._logged = frozenset(problems)
            await self._clock.sleep(_LOOK)

    async def _ask(self) -> float:
        """Seconds until it is to be asked again."""
        try:
            self.facts = await self._engine.facts()
        except EngineUnreachable:
            return _LOOK
        except ClusterEngineError:  # it may not say
            return FACTS_FOR
        return FACTS_FOR
