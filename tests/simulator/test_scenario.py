"""Actions and scenario files."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pws_soap.simulator import NodeCondition, Presence, Simulator, State
from pws_soap.simulator.scripts.actions import KINDS, Injected, inject
from pws_soap.simulator.scripts.scenario import parse, play
from tests.support.soap_by_hand import ANN

from .talk import Callback, StillClock, ready, settle


async def made() -> tuple[Simulator, StillClock]:
    """A simulator of two nodes with a session, an endpoint and a subscription on the first."""
    clock = StillClock()
    simulator = Simulator(nodes=("imp1", "imp2"), clock=clock, sleep=clock.sleep, notify=Callback(), seed=2)
    simulator.put([Presence(ANN, State.AVAILABLE)])
    await ready(simulator)
    return simulator, clock


@pytest.mark.parametrize(
    ("values", "affected"),
    [
        ({"fault": "kill-sessions", "user": "dispatcher"}, 1),
        ({"fault": "kill-sessions"}, 2),
        ({"fault": "forget-endpoints"}, 1),
        ({"fault": "forget-subscriptions", "node": "imp2"}, 0),
        ({"fault": "restart"}, 2),
        ({"fault": "node-up", "node": "imp1"}, 1),
        ({"fault": "cpu", "percent": 90}, 2),
        ({"fault": "rate-limit", "per_second": 5, "node": "imp1"}, 1),
        ({"fault": "move-clock", "seconds": -5.5}, 1),
        ({"fault": "clear"}, 0),
    ],
)
async def test_what_happens_at_once(values: dict[str, Any], affected: int) -> None:
    """Each action says how many things it touched."""
    simulator, _ = await made()
    assert inject(simulator, values) == Injected(affected=affected)
    await simulator.aclose()


async def test_what_lasts_for_a_time() -> None:
    """With `for` it is undone."""
    simulator, clock = await made()
    inject(simulator, {"fault": "node-down", "node": "imp1", "for": 10})
    inject(simulator, {"fault": "node-hang", "node": "imp2", "for": 20})
    inject(simulator, {"fault": "cpu", "percent": 99, "for": 10})
    inject(simulator, {"fault": "rate-limit", "per_second": 1, "for": 10})
    assert inject(simulator, {"fault": "lose-reply", "probability": 0.5, "for": 10}) == Injected(number=1)
    nodes = [place.node for place in simulator.places.values()]
    assert [place.state for place in simulator.places.values()] == [NodeCondition.DOWN, NodeCondition.HUNG]
    assert [(node.cpu, node.requests_per_second) for node in nodes] == [(99, 1), (99, 1)]
    await clock.advance(10)
    assert [place.state for place in simulator.places.values()] == [NodeCondition.UP, NodeCondition.HUNG]
    assert [(node.cpu, node.requests_per_second) for node in nodes] == [(0, None), (0, None)]
    assert simulator.faults.active() == {}
    await clock.advance(10)
    assert simulator.place("imp2").state is NodeCondition.UP


async def test_clearing_one_kind() -> None:
    """Others stay."""
    simulator, _ = await made()
    for kind in ("lose-reply", "delay-reply"):
        inject(simulator, {"fault": kind})
    assert inject(simulator, {"fault": "clear", "kind": "lose-reply"}) == Injected(affected=1)
    assert [fault.kind for fault, _ in simulator.faults.active().values()] == ["delay-reply"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "fault: expected one of"),
    ({"fault": "earthquake"}, "fault: expected one of"),
    ({"fault": ["lose-reply"]}, "fault: expected one of"),
    ({"fault": "lose-reply", "for": 0}, "for: expected a number of seconds above 0"),
    ({"fault": "lose-reply", "for": True}, "for: expected"),
    ({"fault": "lose-reply", "count": 0}, "count: expected"),
    ({"fault": "cpu"}, "percent: cpu needs it"),
    ({"fault": "cpu", "percent": "high"}, "percent: expected a number"),
    ({"fault": "cpu", "percent": True}, "percent: expected a number"),
    ({"fault": "cpu", "percent": 5, "user": "x"}, "user: cpu takes no such key"),
    ({"fault": "node-down"}, "node: node-down needs it"),
    ({"fault": "clear", "kind": "nope"}, "kind: expected one of refuse, "),
    ({"fault": "clear", "kind": "cpu"}, "kind: expected one of refuse, "),
    ({"fault": "lose-reply", "operation": "nope"}, "operation: lose-reply expects one of "),
    ({"fault": "rate-limit", "per_second": 0}, "per_second: expected a number from 1 to 1000000000, got 0"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    """And nothing happens."""
    with pytest.raises(ValueError, match=message):
        inject(Simulator(), values)


@pytest.mark.parametrize("kind", ["lose-reply", "node-down", "kill-sessions"])
def test_a_node_that_is_none(kind: str) -> None:
    """Is named too, also where the fault would only be data."""
    simulator = Simulator()
    with pytest.raises(ValueError, match="node: expected one of imp1"):
        inject(simulator, {"fault": kind, "node": "imp9"})
    assert simulator.faults.active() == {}


def test_every_kind_says_what_it_does() -> None:
    """For `GET /control` and the documentation."""
    assert len(KINDS) == 33
    assert all(KINDS.values())


SCENARIO = """
[[step]]
at = 20
fault = "node-down"
node = "imp2"
for = 5

[[step]]
at = 0.5
contact = "ann@example.com"
state = "BUSY"
activities = ["on-the-phone"]

[[step]]
at = 10
fault = "lose-reply"
operation = "getSubscribedPresence"
count = 1
"""


async def test_a_scenario_is_played_in_the_order_of_time() -> None:
    """Whatever the order in the file."""
    simulator, clock = await made()
    steps = parse(SCENARIO)
    assert [step.at for step in steps] == [0.5, 10.0, 20.0]
    task = asyncio.create_task(play(simulator, steps))
    await settle()
    assert simulator.world.get(ANN).state is State.AVAILABLE
    await clock.advance(0.5)
    assert simulator.world.get(ANN).activities == ("on-the-phone",)
    await clock.advance(9.5)
    assert [fault.kind for fault, _ in simulator.faults.active().values()] == ["lose-reply"]
    await clock.advance(10)
    assert await task == 3
    assert simulator.place("imp2").state is NodeCondition.DOWN
    await clock.advance(5)
    assert simulator.place("imp2").state is NodeCondition.UP


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("at =", "not TOML"),
        ("", r"expected \[\[step\]\]"),
        ("step = 5", r"expected \[\[step\]\]"),
        ("step = [5]", r"expected \[\[step\]\]"),
        ("x = 1\n[[step]]\nat = 1\nfault = 'clear'", r"expected \[\[step\]\]"),
        ("[[step]]\nfault = 'clear'", "step 1: at: expected seconds"),
        ("[[step]]\nat = -1\nfault = 'clear'", "step 1: at: expected seconds"),
        ("[[step]]\nat = true\nfault = 'clear'", "step 1: at: expected seconds"),
        ("[[step]]\nat = 1", "step 1: expected a fault or a contact"),
        ("[[step]]\nat = 1\nfault = 'cpu'", "step 1: percent: cpu needs it"),
        ("[[step]]\nat = 1\ncontact = 'ann'", "step 1: contact: expected user@domain"),
        ("[[step]]\nat = 1\ncontact = 'a@b'\nstate = 'X'", "step 1: state: expected one of"),
    ],
)
def test_a_wrong_scenario_is_refused_before_it_begins(text: str, message: str) -> None:
    """Naming the step and the key."""
    with pytest.raises(ValueError, match=message):
        parse(text)
