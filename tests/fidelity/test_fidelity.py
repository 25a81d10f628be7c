"""Whatever can be asked of façade and simulator is answered the same, but for ids, keys and what is documented."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings

from pws_soap.server import ServerOptions
from service.facade.facade import server_options
from tests.fidelity import steps as s
from tests.fidelity.histories import histories
from tests.fidelity.play import play
from tests.fidelity.sides import OPTIONS, FacadeSide, InlineLoop, SimulatorSide

LOOKS = 30.0
"""Seconds between two looks for what changes with time alone: nothing here does, and hours pass."""
HEALTH = [HealthCheck.too_slow, HealthCheck.large_base_example]


async def _side_by_side(steps: Sequence[s.Step], *, set_presence: bool) -> Counter[str]:
    facade = FacadeSide(set_presence=set_presence)
    told = server_options(facade.settings)
    same = {each.name: getattr(told, each.name) for each in fields(ServerOptions)}
    server = SimulatorSide(replace(OPTIONS, **same))
    await facade.start()
    try:
        return Counter(await play(steps, server, facade))
    finally:
        await server.aclose()
        await facade.aclose()


def side_by_side(steps: Sequence[s.Step], *, set_presence: bool = False) -> Counter[str]:
    """Play steps at a simulator with the façade's options and at the façade; how often what was seen."""
    with (
        mock.patch("service.core.events.log.TICK", LOOKS),
        mock.patch("service.facade.announcer.TICK", LOOKS),
        asyncio.Runner(loop_factory=InlineLoop) as runner,
    ):
        return runner.run(_side_by_side(steps, set_presence=set_presence))


@settings(max_examples=25, suppress_health_check=HEALTH)
@given(histories(15, settings=False))
def test_the_facade_answers_as_the_server_does(steps: list[s.Step]) -> None:
    """Random histories of everything but setPresence."""
    side_by_side(steps)


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(max_examples=5000, suppress_health_check=HEALTH)
@given(histories(40, settings=False))
def test_the_facade_answers_as_the_server_does_at_length(steps: list[s.Step]) -> None:
    """The same, many and long ones."""
    side_by_side(steps)
