"""Faults of replicas, engine and ways that chance chooses, several at a time; each seed is one history."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Final

from tests.cluster.servers import EngineServer, StoredData
from tests.support.replicas.background import Way
from tests.support.replicas.cluster import Cluster, Replica

Undo = Callable[[], object]
MOST_AT_ONCE: Final = 3
"""Faults that last at the same time."""


class Chaos:
    """A history of faults. `log` says what happened, for anybody who looks into a failure."""

    def __init__(self, cluster: Cluster, engine: EngineServer, seed: int) -> None:
        self._cluster = cluster
        self._engine = engine
        self._chance = random.Random(seed)  # noqa: S311  # the same story for each seed
        self._lasting: dict[str, Undo] = {}
        self.log: list[str] = []

    def play(self, steps: int) -> None:
        """So many steps, then undo all that lasts."""
        try:
            for _ in range(steps):
                self._step()
                time.sleep(self._chance.choice((0.0, 0.2, 1.0, 2.0)))
        finally:
            for name in list(self._lasting):
                self._end(name)

    def _step(self) -> None:
        if len(self._lasting) >= MOST_AT_ONCE or (self._lasting and self._chance.random() < 0.3):
            self._end(self._chance.choice(list(self._lasting)))
            return
        faults = self._faults()
        name = self._chance.choice(list(faults))
        self.log.append(name)
        undo = faults[name]()
        if undo is not None:
            self._lasting[name] = undo

    def _end(self, name: str) -> None:
        self.log.append(f"end of {name}")
        self._lasting.pop(name)()

    def _faults(self) -> Mapping[str, Callable[[], Undo | None]]:
        """What may begin now. No process has two faults at a time."""
        busy = {name.partition(":")[0] for name in self._lasting}
        found: dict[str, Callable[[], Undo | None]] = {}
        for replica in self._cluster.replicas:
            process, engine_way, way = (f"{part} {replica.number}" for part in ("replica", "engine way", "way"))
            if process not in busy:
                found[f"{process}: kill"] = lambda replica=replica: self._kill(replica)  # type: ignore[misc]
                found[f"{process}: stop"] = lambda replica=replica: self._stop(replica)  # type: ignore[misc]
                found[f"{process}: pause"] = lambda replica=replica: self._pause(replica)  # type: ignore[misc]
            for name, one in ((engine_way, replica.engine_way), (way, replica.way)):
                if one is not None and name not in busy:
                    found |= {f"{name}: {what}": fault for what, fault in self._faults_of(one).items()}
        found["server: kill sessions"] = self._kill_sessions
        if "engine" not in busy:
            found |= {
                "engine: pause": self._pause_engine,
                "engine: restart": self._restart_engine,
                "engine: down": self._kill_engine,
                "engine: lose all": self._lose_all,
                "engine: rewind": self._rewind,
                "engine: full": self._fill,
                "engine: drop connections": self._engine.drop_connections,
            }
        return found

    # --- replicas

    def _kill(self, replica: Replica) -> Undo:
        self._cluster.kill(replica)
        return lambda: self._cluster.start(replica)

    def _stop(self, replica: Replica) -> Undo:
        assert self._cluster.stop(replica) == 0
        return lambda: self._cluster.start(replica)

    def _pause(self, replica: Replica) -> Undo:
        self._cluster.pause(replica)
        return lambda: self._cluster.pause(replica, paused=False)

    def _kill_sessions(self) -> None:
        assert self._cluster.server.control.ask("POST", "/control/sessions/kill", {}).status == 200

    # --- ways

    @staticmethod
    def _faults_of(way: Way) -> Mapping[str, Callable[[], Undo | None]]:
        def lasting(begin: Callable[[], None]) -> Callable[[], Undo]:
            def begun() -> Undo:
                begin()
                return way.mend

            return begun

        return {
            "cut": lasting(way.cut),
            "silent": lasting(way.stall),
            "silent there": lasting(lambda: way.stall(back=False)),
            "silent back": lasting(lambda: way.stall(there=False)),
            "slow": lasting(lambda: way.delay(0.2)),
            "too slow": lasting(lambda: way.delay(1.5)),
            "drop": way.drop,
        }

    # --- the engine

    def _pause_engine(self) -> Undo:
        self._engine.pause(paused=True)
        return lambda: self._engine.pause(paused=False)

    def _kill_engine(self) -> Undo:
        self._engine.kill()
        return self._engine.start

    def _restart_engine(self) -> None:
        self._engine.kill()
        self._engine.start()

    def _lose_all(self) -> None:
        with self._engine.client() as client:
            client.flushall()

    def _rewind(self) -> Undo:
        with self._engine.client() as client:
            data = StoredData(client)

        def rewound() -> None:
            with self._engine.client() as client:
                data.restore(client)

        return rewound

    def _fill(self) -> Undo:
        def have(memory: str) -> None:
            with self._engine.client() as client:
                client.config_set("maxmemory", memory)

        have("1")
        return lambda: have("0")
