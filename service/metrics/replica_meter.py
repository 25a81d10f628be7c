"""The meter of one of several replicas, counting for Prometheus. A single process has none, and no figure of it."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from service.core.meter import EngineCommand, EngineOutcome
from service.metrics import table
from service.metrics.prometheus_meter import LabelledCounter, histogram

_WAITING: Final = (EngineCommand.FOLLOW, EngineCommand.MARKS)
"""Commands that wait for something to happen: their times say nothing of the engine."""


class PrometheusReplicaMeter:
    """`service.core.meter.ReplicaMeter`, counting into a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commands = LabelledCounter(registry, table.CLUSTER_COMMANDS)
        self._entries = LabelledCounter(registry, table.CLUSTER_COMMITTED)
        seconds = histogram(registry, table.CLUSTER_SECONDS)
        self._seconds = {command: seconds.labels(command.value) for command in EngineCommand if command not in _WAITING}
        for command in EngineCommand:  # a rate needs its 0
            for outcome in EngineOutcome:
                self._commands.add(command.value, outcome.value, amount=0)

    def engine_answered(self, command: EngineCommand, outcome: EngineOutcome, seconds: float | None) -> None:
        """See ReplicaMeter."""
        self._commands.add(command.value, outcome.value)
        if seconds is not None and command in self._seconds:
            self._seconds[command].observe(seconds)

    def entries_accepted(self, number: int) -> None:
        """See ReplicaMeter."""
        self._entries.add(amount=number)
