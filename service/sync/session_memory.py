"""Where the nodes are remembered on which a session of ours may exist: the port of the lifecycle's driver.

A process by itself has its state file (`state_file`). Where several replicas share one application user, the next owner
has to know as well, so that the engine that they share remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pws_soap.lifecycle import NOTHING_HANDED_OVER, HandedOver, Key, Memory
from pws_soap.models import Secret


@dataclass(frozen=True, slots=True)
class Released:
    """What an engine that has stopped has left at the server in working order, with the keys of the sessions."""

    left: HandedOver = NOTHING_HANDED_OVER
    sessions: Mapping[Key, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What this process alone may go on with. `is_session` says whether a session has the key that was handed over."""

    left: HandedOver
    is_session: Callable[[Key, Secret], bool]


class NotStored(Exception):
    """What is about to be made could not be remembered, so that it must not be made. The message says why."""


class SessionMemory(Protocol):
    """Remembers what an earlier process may have left at the server."""

    @property
    def place(self) -> object:
        """Where it is remembered, for the log."""
        ...

    def read(self) -> Memory:
        """What an earlier process left. Never waits."""
        ...

    def inherited(self) -> Inheritance | None:
        """What an earlier process has handed over to this one; None: nothing. Never waits."""
        ...

    def write(self, memory: Memory) -> None:
        """Remember this from now on. Never waits, never raises."""
        ...

    async def stored(self) -> None:
        """Wait until what was written last outlives this process. Raises NotStored."""
        ...
