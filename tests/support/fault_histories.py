"""Random faults and changes against a virtual office, for Hypothesis: everything that can go wrong, as rules."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pws_soap.simulator import Fault, NodeCondition
from service.core.engine import NotAvailable
from tests.support.virtual_office import HEALED, STATES, VirtualOffice, all_faults, names
from tests.support.virtual_time import VirtualLoop

CONTACTS = names(6)
OPERATIONS = ("getSubscribedPresence", "getPolledPresence", "subscribe", "registerEndPoint", "login", None)


class Faults(RuleBasedStateMachine):
    """One history: a service that runs, and everything that can go wrong around it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.place = tempfile.TemporaryDirectory()
        self.office: VirtualOffice

    def new_office(self, **how: Any) -> VirtualOffice:  # fields of VirtualOffice
        """What it is about."""
        return VirtualOffice(CONTACTS, **how)

    async def begun(self) -> None:
        """Called once the service is live for the first time."""

    async def ended(self) -> None:
        """Called once all is well again, before the service is stopped."""

    def play(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    @initialize(
        nodes=st.sampled_from([("imp1",), ("imp1", "imp2")]),
        rich=st.booleans(),
        twice=st.booleans(),
        beat=st.sampled_from([0.0, 30.0]),
    )
    def begin(self, nodes: tuple[str, ...], rich: bool, twice: bool, beat: float) -> None:
        users = ("dispatcher", "supervisor") if twice else ("dispatcher",)

        async def start() -> None:
            state = Path(self.place.name) / "state.json"
            self.office = self.new_office(nodes=nodes, state_file=state, users=users, rich=rich, heartbeat=beat)
            self.office.start()
            await self.office.heal()
            await self.begun()

        self.play(start())

    @rule(contact=st.sampled_from(CONTACTS), state=st.sampled_from(STATES))
    def change(self, contact: str, state: Any) -> None:
        async def work() -> None:
            self.office.change(contact, state)
            await asyncio.sleep(0)
            self.office.check()

        self.play(work())

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 20.0, 90.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.play(self.office.pass_time(seconds, step=max(0.05, seconds / 20)))

    @rule(
        kind=st.sampled_from(list(all_faults())),
        operation=st.sampled_from(OPERATIONS),
        count=st.integers(1, 4),
        seconds=st.sampled_from([0.2, 5.0, 15.0]),
    )
    def fault(self, kind: str, operation: str | None, count: int, seconds: float) -> None:
        more: dict[str, Any] = {"seconds": seconds} if kind.startswith("delay") else {}
        operation = None if "notification" in kind else operation
        self.office.simulator.faults.add(Fault(kind, operation=operation, count=count, **more))

    @rule(user=st.sampled_from([None, "dispatcher", "pwsapp"]))
    def kill_sessions(self, user: str | None) -> None:
        self.office.simulator.kill_sessions(user=user)

    @rule(what=st.sampled_from(["endpoints", "subscriptions", "everything"]))
    def forget(self, what: Any) -> None:
        self.office.simulator.forget(what)

    @rule(first=st.booleans(), state=st.sampled_from([NodeCondition.DOWN, NodeCondition.HUNG, NodeCondition.UP]))
    def node(self, first: bool, state: NodeCondition) -> None:
        async def work() -> None:
            self.office.simulator.set_state(self.office.nodes[0 if first else -1], state)

        self.play(work())

    @rule(percent=st.sampled_from([10, 85, 97]))
    def cpu(self, percent: int) -> None:
        self.office.simulator.set_cpu(percent)

    @rule(limit=st.sampled_from([None, 1, 5]))
    def rate(self, limit: int | None) -> None:
        self.office.simulator.set_rate_limit(limit)

    @rule(seconds=st.sampled_from([1800.0, 3601.0]))
    def clock(self, seconds: float) -> None:
        async def work() -> None:
            self.office.simulator.move_clock(seconds)

        self.play(work())

    @rule(contact=st.sampled_from(CONTACTS[1:]), spelled=st.sampled_from([str.lower, str.upper]))
    def take_out_or_in(self, contact: str, spelled: Callable[[str], str]) -> None:
        """Over the API: out when it is watched, in when it is not."""

        async def work() -> None:
            assert self.office.engine is not None
            if not self.office.engine.unwatch([contact]):
                self.office.engine.watch([spelled(contact)], None)

        self.play(work())

    @rule(split=st.integers(1, len(CONTACTS)))
    def reload(self, split: int) -> None:
        """The configuration is read again: the contacts change hands."""

        async def work() -> None:
            assert self.office.engine is not None
            first, *more = self.office.users
            shares = {first: CONTACTS[:split]} | dict.fromkeys(more, CONTACTS[split:])
            await self.office.engine.reload(shares)

        self.play(work())

    @rule(contacts=st.sets(st.sampled_from(CONTACTS), min_size=1, max_size=3))
    def read_through(self, contacts: set[str]) -> None:
        async def work() -> None:
            assert self.office.engine is not None
            with contextlib.suppress(NotAvailable):
                await self.office.engine.read(sorted(contacts))
            self.office.check()

        self.play(work())

    @rule()
    def refresh(self) -> None:
        async def work() -> None:
            assert self.office.engine is not None
            with contextlib.suppress(NotAvailable, TimeoutError):
                async with asyncio.timeout(60):
                    await self.office.engine.refresh(None)
            self.office.check()

        self.play(work())

    @rule(first=st.booleans())
    def move(self, first: bool) -> None:
        async def work() -> None:
            assert self.office.engine is not None
            self.office.engine.move(self.office.nodes[0 if first else -1], None)

        self.play(work())

    @rule()
    def crash(self) -> None:
        async def work() -> None:
            await self.office.kill()
            self.office.start()

        self.play(work())

    def teardown(self) -> None:
        if hasattr(self, "office"):
            try:
                self.play(self._end())
            finally:
                self.play(self._close())
        self.loop.close()
        self.place.cleanup()

    async def _end(self) -> None:
        simulator = self.office.simulator
        simulator.faults.clear()
        simulator.set_cpu(10)
        simulator.set_rate_limit(None)
        for name in self.office.nodes:
            simulator.set_state(name, NodeCondition.UP)
        self.office.check()
        await self.office.heal()
        self.office.change(CONTACTS[0], STATES[3])
        await self.office.heal()
        await self.ended()
        await self._cleaned()
        await self.office.stop(600)
        assert self.office.left() == [], self.office.left()

    async def _cleaned(self) -> None:
        """What earlier runs left behind is removed within a bounded time too."""
        assert self.office.engine is not None
        for _ in range(int(HEALED)):
            state = self.office.engine.driver.state
            if not state.leftovers and not state.suspected - state.clean:
                return
            await self.office.pass_time(1)
        raise AssertionError(f"still there: {state.leftovers} {state.suspected}")

    async def _close(self) -> None:
        if self.office.engine is not None:
            await self.office.kill()
        await self.office.simulator.aclose()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
