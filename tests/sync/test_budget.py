"""The request budget: how many, who first, and what a caller that gave up costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.errors import Unreachable
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.transport import Reply
from service.core.clock import ManualClock
from service.sync.budget import BudgetedTransport, Priority, RequestBudget

SLACK = 1e-3
"""The budget sleeps a little longer than it must, so that rounding never lets one through too early."""


@dataclass
class Queue:
    """Callers that wait for a budget, and when each of them went through."""

    budget: RequestBudget
    clock: ManualClock
    passed: list[tuple[str, float]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def send(self, name: str, priority: Priority = Priority.FETCH) -> asyncio.Task[None]:
        """One more caller, still on its way."""
        self.tasks.append(asyncio.create_task(self._pass(name, priority)))
        return self.tasks[-1]

    async def join(self, name: str, priority: Priority = Priority.FETCH) -> asyncio.Task[None]:
        """One more caller, that has come as far as it can."""
        task = self.send(name, priority)
        await self.settle()
        return task

    async def settle(self) -> None:
        """Let everybody go as far as they can at this moment."""
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.passed]

    async def _pass(self, name: str, priority: Priority) -> None:
        await self.budget.acquire(priority)
        self.passed.append((name, self.clock.monotonic()))


def queue(rate: float, burst: int | None = None) -> Queue:
    """A budget with nobody waiting, on a clock that stands still."""
    clock = ManualClock()
    return Queue(RequestBudget(rate, clock, burst), clock)


async def test_a_burst_goes_at_once_and_no_more() -> None:
    """After a pause `burst` requests need not wait; the next one does, and the budget shows it."""
    at = queue(rate=1, burst=3)
    for name in "abcd":
        await at.join(name)
    assert at.names == ["a", "b", "c"]
    assert repr(at.budget) == "RequestBudget(1/s, 1 waiting)"
    await at.clock.run(1 + SLACK)
    assert at.names == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("rate", "burst"), [(0.2, 1), (1, 1), (2.6, 3), (20, 20)])
async def test_without_a_burst_it_is_a_second_of_the_rate(rate: float, burst: int) -> None:
    """At least one, else a slow budget would never let one through."""
    at = queue(rate)
    for number in range(burst + 1):
        await at.join(str(number))
    assert len(at.passed) == burst


async def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    """A night without requests is no reason to flood the server in the morning."""
    at = queue(rate=10, burst=2)
    at.clock.advance(36_000)
    for name in "abc":
        await at.join(name)
    assert at.names == ["a", "b"]


async def test_those_who_wait_go_at_the_rate() -> None:
    """One by one, each when its turn is due: never earlier, and not noticeably later."""
    at = queue(rate=4, burst=1)
    for number in range(5):
        await at.join(str(number))
    began = at.clock.monotonic()
    await at.clock.run(2)
    assert [when - began for _, when in at.passed] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0], abs=SLACK)
    assert all(when - began >= number * 0.25 for number, (_, when) in enumerate(at.passed))


async def test_renewals_go_before_fetches_and_fetches_before_polls() -> None:
    """The priority decides among those who wait, no matter who came first."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    for name, priority in (("poll", Priority.POLL), ("fetch", Priority.FETCH), ("renewal", Priority.LIFECYCLE)):
        await at.join(name, priority)
    await at.clock.run(4)
    assert at.names == ["first", "renewal", "fetch", "poll"]


async def test_with_one_priority_who_came_first_goes_first() -> None:
    """Each priority is a queue."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    for name, priority in (
        ("f1", Priority.FETCH),
        ("p1", Priority.POLL),
        ("f2", Priority.FETCH),
        ("p2", Priority.POLL),
        ("f3", Priority.FETCH),
    ):
        await at.join(name, priority)
    await at.clock.run(6)
    assert at.names == ["first", "f1", "f2", "f3", "p1", "p2"]


async def test_a_newcomer_does_not_overtake_who_waits_with_its_priority() -> None:
    """A token that has just come belongs to who waits for it, not to who asks at that moment."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    await at.join("waits")
    at.send("newcomer")
    at.clock.advance(1 + SLACK)  # the token is there, and the newcomer is the first to run
    await at.settle()
    assert at.names == ["first", "waits"]


async def test_a_renewal_overtakes_a_poll_that_has_waited_long() -> None:
    """Even one that comes in the very moment in which the poll would have gone."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    await at.join("poll", Priority.POLL)
    await at.clock.run(0.9)
    await at.join("renewal", Priority.LIFECYCLE)
    await at.clock.run(0.2)
    assert at.names == ["first", "renewal"]


async def test_a_cancelled_waiter_costs_no_token_and_holds_nobody_up() -> None:
    """Who waits behind it goes when it would have gone itself."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    given_up = await at.join("gives up", Priority.LIFECYCLE)
    await at.join("waits")
    given_up.cancel()
    await at.clock.run(1 + SLACK)
    assert given_up.cancelled()
    assert at.names == ["first", "waits"]


async def test_a_turn_that_came_too_late_is_given_back() -> None:
    """A caller cancelled in the moment in which its turn came sends nothing; the next one takes the turn."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    given_up = await at.join("gives up")
    at.clock.advance(1 + SLACK)
    for _ in range(10):
        if "0 waiting" in repr(at.budget):  # the turn is given, and its caller has not run yet
            break
        await asyncio.sleep(0)
    assert at.names == ["first"]
    given_up.cancel()
    await at.join("next")
    assert given_up.cancelled()
    assert at.names == ["first", "next"]


async def test_after_all_have_given_up_the_gate_still_opens() -> None:
    """What is left of them in the queue does not stand in the way."""
    at = queue(rate=1, burst=1)
    await at.join("first")
    for task in [await at.join("a"), await at.join("b", Priority.POLL)]:
        task.cancel()
    await at.clock.run(5)
    await at.join("next")
    assert at.names == ["first", "next"]
    assert repr(at.budget) == "RequestBudget(1/s, 0 waiting)"


Step = tuple[str, float]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 3)),
        st.tuples(st.sampled_from(["LIFECYCLE", "FETCH", "POLL"]), st.just(0.0)),
        st.tuples(st.just("cancel"), st.floats(0, 1, exclude_max=True)),
    ),
    max_size=40,
)


@given(rate=st.floats(0.5, 20), burst=st.integers(1, 6), steps=STEPS)
def test_whatever_happens_the_budget_holds_and_everybody_gets_through(
    rate: float, burst: int, steps: Sequence[Step]
) -> None:
    """In no window of `t` seconds more than `burst + rate * t` requests, and nobody who waits is forgotten."""
    asyncio.run(_any_history(rate, burst, steps))


async def _any_history(rate: float, burst: int, steps: Sequence[Step]) -> None:
    at = queue(rate, burst)
    for step, amount in steps:
        if step == "wait":
            await at.clock.run(amount)
        elif step == "cancel":
            if at.tasks:
                at.tasks[int(amount * len(at.tasks))].cancel()
        else:
            await at.join(step, Priority[step])
    await at.clock.run(len(steps) * (1 / rate + SLACK))
    assert len(at.passed) == sum(not task.cancelled() for task in at.tasks)
    assert all(task.done() for task in at.tasks)
    times = [when for _, when in at.passed]
    for first, begin in enumerate(times):
        for last, end in enumerate(times[first:], first):
            assert last - first + 1 <= burst + rate * (end - begin) + 1e-6


GREETING = b"<hello/>"


async def _greet(sent: SentRequest) -> Reply:
    return Reply(200 if sent.method == "POST" else 203, GREETING)


@pytest.mark.parametrize(
    "earlier",
    [
        ["login", "getSubscribedPresence", "getPolledPresence"],
        ["registerEndPoint", "getSubscribedPresence", "getPolledPresence"],
        ["subscribe", "getSubscribedPresence", "getPolledPresence"],
        ["renewEndPoint", "setPresence"],
        ["logout", "getPolledPresence"],
    ],
)
async def test_the_operation_decides_the_lane(earlier: list[str]) -> None:
    """Fetches and polls have priorities of their own; whatever else is asked keeps us alive, and goes first."""
    clock = ManualClock()
    wire = MemoryTransport(_greet)
    transport = BudgetedTransport(wire, RequestBudget(1, clock, burst=1))
    await transport.post("https://imp1/", b"", {}, operation="first")
    tasks = [
        asyncio.create_task(transport.post("https://imp1/", b"", {}, operation=each)) for each in reversed(earlier)
    ]
    await clock.run(4)
    await asyncio.gather(*tasks)
    assert [each.operation for each in wire.sent] == ["first", *earlier]


async def test_loading_the_wsdl_goes_with_the_renewals() -> None:
    """A GET waits for its turn as well, with the first priority."""
    clock = ManualClock()
    wire = MemoryTransport(_greet)
    transport = BudgetedTransport(wire, RequestBudget(1, clock, burst=1))
    await transport.get("https://imp1/?wsdl", operation="first")
    fetch = asyncio.create_task(transport.post("https://imp1/", b"", {}, operation="getSubscribedPresence"))
    wsdl = asyncio.create_task(transport.get("https://imp1/?wsdl", operation="wsdl"))
    await clock.run(0.5)
    assert [each.operation for each in wire.sent] == ["first"]
    await clock.run(2)
    await asyncio.gather(fetch, wsdl)
    assert [each.operation for each in wire.sent] == ["first", "wsdl", "getSubscribedPresence"]


async def test_requests_and_replies_pass_unchanged() -> None:
    """The budget looks at nothing but the operation."""
    wire = MemoryTransport(_greet)
    transport = BudgetedTransport(wire, RequestBudget(10, ManualClock()))
    posted = await transport.post("https://imp1/soap", b"<ask/>", {"SOAPAction": "x"}, operation="login")
    got = await transport.get("https://imp1/soap?wsdl", operation="wsdl")
    assert wire.sent == [
        SentRequest("POST", "https://imp1/soap", b"<ask/>", {"SOAPAction": "x"}, "login"),
        SentRequest("GET", "https://imp1/soap?wsdl", b"", {}, "wsdl"),
    ]
    assert (posted, got) == (Reply(200, GREETING), Reply(203, GREETING))


async def test_errors_pass_and_closing_closes_what_is_behind() -> None:
    """An error of the wire is the caller's business, and costs the token of the request that was tried."""
    wire = MemoryTransport([Unreachable("no route"), GREETING])
    clock = ManualClock()
    transport = BudgetedTransport(wire, RequestBudget(1, clock, burst=1))
    with pytest.raises(Unreachable, match="no route"):
        await transport.post("https://imp1/", b"", {}, operation="login")
    again = asyncio.create_task(transport.post("https://imp1/", b"", {}, operation="login"))
    await clock.run(0.5)
    assert not again.done()
    await clock.run(1)
    assert (await again).body == GREETING
    await transport.close()
    assert wire.closed
