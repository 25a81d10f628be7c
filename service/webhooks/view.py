"""The port through which a target sees events: what the stream shows to a client with the same filter and limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from service.core.events.event import Event
from service.core.presence.snapshot import GroupedSnapshot


class RenderedEvent(NamedTuple):
    """An event as a target sees it: its name in the stream, and `data`, the stream's JSON."""

    kind: str
    data: bytes


class TargetView(Protocol):
    """What one target may see."""

    @property
    def digest(self) -> str:
        """Stands for all that decides what is shown: what was written for another one must not be sent."""
        ...

    def concerning(self, events: Sequence[Event]) -> Sequence[Event]:
        """Those that may change what it sees: nothing that it gets may depend on the others."""
        ...

    def shows(self, snapshot: GroupedSnapshot) -> bool:
        """Whether the contact passes its filter."""
        ...

    def render(self, event: Event, before: GroupedSnapshot | None) -> RenderedEvent | None:
        """The event, to a target that knows the contact as it was `before`; None where that changes nothing."""
        ...
