"""Whether a node works, and what an outage does to the requests under way: a node that is down breaks them all."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from pws_soap.simulator.faults.reply import ConnectionAborted, NodeDown


class NodeCondition(StrEnum):
    """Whether a node works."""

    UP = "up"
    DOWN = "down"
    HUNG = "hung"


class Outages:
    """The condition of one node. A request remembers how often the node had been down when it arrived."""

    def __init__(self) -> None:
        self.condition = NodeCondition.UP
        self._count = 0
        self._awake = asyncio.Event()
        self._awake.set()

    def become(self, condition: NodeCondition) -> bool:
        """Put the node into a condition. Whether that is a change."""
        before, self.condition = self.condition, condition
        if condition is NodeCondition.DOWN and before is not NodeCondition.DOWN:
            self._count += 1
        if condition is NodeCondition.HUNG:
            self._awake.clear()
        else:
            self._awake.set()
        return before is not condition

    async def arrived(self, node: str) -> int:
        """Let a request in once the node does not hang; the number is for `check`. Raises `NodeDown`."""
        if self.condition is NodeCondition.DOWN:
            raise NodeDown(f"{node} is down")
        count = self._count
        await self.wait_while_hung()
        self.check(count)
        return count

    async def wait_while_hung(self) -> None:
        """Wait until the node does not hang."""
        await self._awake.wait()

    def check(self, count: int) -> None:
        """Raise `ConnectionAborted` if the node has been down since the request arrived."""
        if self._count != count:
            raise ConnectionAborted("the node went down")
