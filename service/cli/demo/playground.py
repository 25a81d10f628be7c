"""The playground of `pws demo`: the faults and changes that its page can make in the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pws_soap.models import PresenceState
from pws_soap.simulator import NodeCondition, Simulator, State
from pws_soap.simulator.scripts.actions import inject
from service.api.routes.demo import Trick

FOR: Final = 10.0
"""Seconds that a fault lasts: long enough to be seen, short enough to wait for its end."""
_FOR_10: Final = ", 10\N{NO-BREAK SPACE}s"
_FOR_20: Final = ", 20\N{NO-BREAK SPACE}s"


@dataclass(frozen=True, slots=True)
class _Prepared:
    trick: Trick
    faults: tuple[Mapping[str, Any], ...]  # as the simulator's control interface takes them


_PREPARED: Final = (
    _Prepared(
        Trick(
            "node-down",
            f"Server down{_FOR_20}",
            "After two or three seconds nobody is live any more and the banner says why. When the server is back, "
            "it takes some seconds until everybody has been read again.",
        ),
        ({"fault": "node-down", "node": "imp1", "for": 2 * FOR},),
    ),
    _Prepared(
        Trick(
            "sessions-lost",
            "All sessions lost",
            "The next call is refused with code 101. The service logs in, registers and subscribes anew; in between "
            "everybody is stale.",
        ),
        ({"fault": "kill-sessions"},),
    ),
    _Prepared(
        Trick(
            "notifications-dropped",
            f"Notifications lost{_FOR_20}",
            "Changes come late: the service finds them by fetching every few seconds without a notification. After "
            "the first change found so, Health says that notifications are being lost, until one comes again.",
        ),
        ({"fault": "drop-notification", "for": 2 * FOR},),
    ),
    _Prepared(
        Trick(
            "slow",
            f"Slow server{_FOR_10}",
            "Each reply takes two seconds. Changes come later, and nothing that is shown is wrong.",
        ),
        ({"fault": "delay-reply", "seconds": 2.0, "for": FOR},),
    ),
    _Prepared(
        Trick(
            "cpu",
            f"CPU at 90\N{NO-BREAK SPACE}%{_FOR_20}",
            "Above 80 % the server sends no notifications. The service fetches without them, more often as soon as it "
            "notices.",
        ),
        ({"fault": "cpu", "percent": 90, "for": 2 * FOR},),
    ),
)


class SimulatorPlayground:
    """`service.api.routes.demo.Playground` over a simulator in this process."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    @property
    def tricks(self) -> tuple[Trick, ...]:
        """See Playground."""
        return tuple(each.trick for each in _PREPARED)

    async def change(self, contact: str, state: PresenceState, *, on_the_phone: bool, note: str | None) -> bool:
        """See Playground."""
        if contact not in self._simulator.world:
            return False
        activities = ("on-the-phone",) if on_the_phone else ()
        self._simulator.change(contact, state=State(state), activities=activities, idle=False, note=note)
        return True

    async def play(self, name: str) -> None:
        """See Playground."""
        for prepared in _PREPARED:
            if prepared.trick.name == name:
                for fault in prepared.faults:
                    inject(self._simulator, fault)

    async def mend(self) -> None:
        """See Playground."""
        self._simulator.faults.clear()
        self._simulator.set_cpu(0.0)
        self._simulator.set_rate_limit(None)
        for name in self._simulator.places:
            self._simulator.set_state(name, NodeCondition.UP)
