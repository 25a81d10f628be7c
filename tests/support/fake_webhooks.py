"""Targets of webhooks that are as a test says, and what was to be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from service.core.webhooks import Attempt, EventsNotKept, NoSuchTarget, TargetState, TargetStatus

T: Final = 1_800_000_000.0
DELIVERING: Final = TargetStatus(
    "crm",
    "https://crm.example.com/presence",
    TargetState.DELIVERING,
    T,
    ("change", "removed"),
    delivered=7,
    coalesced=2,
    last_success_at=T,
    attempts=(Attempt(T, "crm-41", "change", 1, 0.05, "ann@example.com", 204),),
)
PARKED: Final = TargetStatus(
    "esb",
    "https://esb.example.com:8443/in",
    TargetState.PARKED,
    T,
    ("change",),
    queued=3,
    oldest_queued_at=T - 90,
    failed=12,
    dropped=1,
    last_error="connection refused",
    attempts=(
        Attempt(T, "esb-42", "change", 12, 0.002, "joe@example.com", None, "connection refused"),
        Attempt(T - 60, "esb-42", "change", 11, 1.49996, "joe@example.com", 500, "answered 500"),
    ),
)


@dataclass
class FakeWebhooks:
    """`service.core.webhooks.Webhooks`, scripted. Events from `floor` to `last` are kept."""

    targets: tuple[TargetStatus, ...] = (DELIVERING, PARKED)
    floor: int = 40
    last: int = 50
    replays: list[tuple[str, int]] = field(default_factory=list)

    def status(self) -> Sequence[TargetStatus]:
        return self.targets

    def replay(self, name: str, after: int) -> int:
        known = [target.name for target in self.targets]
        if name not in known:
            raise NoSuchTarget(name, known)
        if not self.floor <= after <= self.last:
            raise EventsNotKept(after, self.floor, self.last)
        self.replays.append((name, after))
        return self.last - after
