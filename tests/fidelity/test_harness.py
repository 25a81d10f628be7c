"""Whether the comparison would notice: two simulators that are the same, and others that differ in one thing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from pws_soap.server import State
from pws_soap.simulator import Options
from tests.fidelity import steps as s
from tests.fidelity.histories import BEGINNINGS, histories
from tests.fidelity.play import Different, play
from tests.fidelity.sides import USERS, InlineLoop, SimulatorSide

OPTIONS = Options(users=USERS, any_end_user=False)
LIVED = (
    *BEGINNINGS[2],
    s.change(s.WATCHED[0], state=State.BUSY),
    s.fetch(s.Key("user"), s.Id(), "BASIC_PRESENCE"),
    s.fetch(s.Key("user"), s.Id(), "BASIC_PRESENCE"),
    s.poll(s.Key("user"), (s.WATCHED[0], s.NOBODY), "RICH_PRESENCE"),
    s.poll(s.Key("wrong"), (s.WATCHED[0],), "RICH_PRESENCE"),
    s.fetch(s.Key("user"), s.Id(None), "BASIC_PRESENCE"),
    s.set_presence(
        s.Key("user"), "BASIC_PRESENCE", "<basicPresence>BUSY</basicPresence><override>true</override>", "3600"
    ),
    s.login("pwsapp", "secret", force="true"),
    s.unregister(s.Key("application"), s.Id()),
    s.Pass(3630.0),
    s.logout(s.Key("application", 1)),
)
"""A history in which each option below is seen."""


async def _both(steps: Sequence[s.Step], options: Options = OPTIONS) -> Counter[str]:
    """Play at two simulators, the second with these options, other keys and other ids."""
    server, other = SimulatorSide(OPTIONS), SimulatorSide(options, seed=8)
    for number in range(3):
        other.simulator.place("imp1").node.registry.add_endpoint("http://127.0.0.1:1/", f"taken {number}", 1e12)
    try:
        return Counter(await play(steps, server, other, table=()))
    finally:
        await server.aclose()
        await other.aclose()


def together(steps: Sequence[s.Step], options: Options = OPTIONS) -> Counter[str]:
    """The same from outside of any loop."""
    with asyncio.Runner(loop_factory=InlineLoop) as runner:
        return runner.run(_both(steps, options))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(histories(12, settings=True))
def test_two_simulators_are_the_same(steps: list[s.Step]) -> None:
    """Whatever is asked of them, with other keys and ids."""
    together(steps)


def test_much_is_seen_in_a_short_history() -> None:
    """Notifications and all operations."""
    seen = together(LIVED)
    assert seen["notifications"] == 2
    done = {name.partition(" ")[0] for name in seen if name.endswith(" done")}
    assert done == {"login", "logout", "registerEndPoint", "subscribe", "getSubscribedPresence", "getPolledPresence",
                    "setPresence"}  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"nothing_changed": "empty"},
        {"fetch": "all"},
        {"fault_status": 500},
        {"repeat_session_key": "yes"},
        {"close_after_fault": False},
        {"rich_person": "never"},
        {"rich_carrier": "cdata"},
        {"forced_login": "adds"},
        {"cpu_notification_limit": 0.0, "cpu_request_limit": 100.0, "callback_ports": frozenset({80})},
        {"session_idle_timeout": 3600.0},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_server_is_noticed(other: dict[str, object]) -> None:
    """By one option: replies, headers, documents, notifications, sessions."""
    with pytest.raises(Different):
        together(LIVED, replace(OPTIONS, **other))  # type: ignore[arg-type]  # by name
