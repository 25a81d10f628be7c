"""An engine that does what a test tells it, and remembers what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pws_soap.models import Notification
from service.core.engine import EngineState, NoSuchEndUser, NoSuchNode, RefreshReport, Status, Watched
from service.sync.watchlist import Watchlist


@dataclass
class FakeEngine:
    """`service.core.engine.Engine`, scripted. `outcomes` are what the next refreshes return or raise, in order."""

    shown: Status = field(default_factory=lambda: Status(EngineState.LIVE))
    readiness: tuple[bool, str] = (True, "live")
    outcomes: list[RefreshReport | Exception] = field(default_factory=list)
    notifications: list[tuple[int, str]] = field(default_factory=list)
    received: list[Notification] = field(default_factory=list)
    rejections: int = 0
    refreshed: list[list[str] | None] = field(default_factory=list)
    nodes: tuple[str, ...] = ("imp1", "imp2")
    moves: list[tuple[str, str | None]] = field(default_factory=list)
    watching: Watchlist = field(default_factory=lambda: Watchlist({"dispatcher": (), "supervisor": ()}))

    def notified(self, notification: Notification, node: str) -> None:
        self.notifications.append((notification.subscription_id, node))
        self.received.append(notification)

    def rejected(self) -> None:
        self.rejections += 1

    async def refresh(self, contacts: Sequence[str] | None) -> RefreshReport:
        self.refreshed.append(None if contacts is None else list(contacts))
        outcome = self.outcomes.pop(0) if self.outcomes else RefreshReport(0, 0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def read(self, contacts: Sequence[str]) -> RefreshReport:
        return await self.refresh(contacts)

    def watched(self) -> Sequence[Watched]:
        return self.watching.all()

    def watch(self, contacts: Sequence[str], end_user: str | None) -> Sequence[str]:
        return list(self.watching.add(contacts, end_user))

    def unwatch(self, contacts: Sequence[str]) -> Sequence[str]:
        return [watched.contact for watched in self.watching.remove(contacts)]

    async def followed(self) -> None:
        pass

    def move(self, node: str, end_user: str | None) -> str:
        if node not in self.nodes:
            raise NoSuchNode(node, self.nodes)
        if end_user not in {None, "dispatcher"}:
            raise NoSuchEndUser(str(end_user), ("dispatcher",))
        self.moves.append((node, end_user))
        return node

    def status(self, *, problems: bool = True) -> Status:
        return self.shown

    def ready(self) -> tuple[bool, str]:
        return self.readiness
