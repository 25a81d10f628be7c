"""A façade that is as a test says: a program that is well, one that has gone silent, one whose endpoint fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from service.core.facade import (
    SHOWN,
    FacadeLimits,
    FacadeStatus,
    FacadeUserStatus,
    ProgramStatus,
    ProgramSubscription,
)

T: Final = 1_800_000_000.0
WELL: Final = ProgramStatus(
    "attendant",
    "dispatcher",
    "10.1.2.3",
    "Axis/1.4",
    T - 3600,
    T - 5,
    T - 5,
    1,
    (
        ProgramSubscription(
            7, 120, 0, T + 1800, "http://10.1.2.3:9000", T - 6, T - 5, notifications=41, failed=1, silent=False
        ),
    ),
    41,
    1,
)
SILENT: Final = ProgramStatus(
    "attendant",
    "reception",
    "10.1.2.4",
    None,
    T - 7200,
    T - 1800,
    T - 1800,
    1,
    (ProgramSubscription(8, 30, 4, T + 900, "http://10.1.2.4:9000", T - 1200, T - 1800, notifications=3, silent=True),),
    3,
    0,
    silent=True,
)
FAILING: Final = ProgramStatus(
    "board",
    "lobby",
    "10.1.2.5",
    "gSOAP/2.8",
    T - 600,
    T - 60,
    None,
    1,
    (
        ProgramSubscription(
            9,
            500,
            500,
            T + 3000,
            "http://10.1.2.5:81",
            T - 60,
            None,
            notifications=1,
            failed=1,
            failing_since=T - 60,
            last_error="no connection: Connection refused",
        ),
    ),
    1,
    1,
)
STATUS: Final = FacadeStatus(
    "https://presence.example.com:8083",
    5,
    3,
    3,
    1,
    2,
    FacadeLimits(10_000, 10_000, 20_000),
    (
        FacadeUserStatus("attendant", 3, 2, 2, 150, 1, T - 5, {"sent": 43, "failed": 1, "refused": 0}),
        FacadeUserStatus("board", 2, 1, 1, 500, 0, None, {"sent": 0, "failed": 1, "refused": 0}),
    ),
    (SILENT, FAILING, WELL),
    3,
    {"login": 5, "getSubscribedPresence": 44, "unreadable": 0},
    {114: 2},
    {"sent": 43, "failed": 2},
    9,
)


@dataclass
class FakeFacade:
    """`service.core.facade.Facade`, scripted. `asked`: how many programs each look wanted to see."""

    shown: FacadeStatus | None = STATUS
    asked: list[int] = field(default_factory=list)

    def status(self, *, programs: int = SHOWN) -> FacadeStatus | None:
        self.asked.append(programs)
        return self.shown
