"""Whatever can be asked of façade and simulator is answered the same, but for ids, keys and what is documented."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings

from pws_soap.server import ServerOptions
from service.facade.facade import server_options
from service.facade.settings import FacadeSettings
from tests.fidelity import differences
from tests.fidelity import steps as s
from tests.fidelity.histories import BEGINNINGS, histories
from tests.fidelity.play import play
from tests.fidelity.sides import OPTIONS, FacadeSide, InlineLoop, SimulatorSide
from tests.support.facade_office import ADDRESS
from tests.support.soap_by_hand import PATH

LOOKS = 30.0
"""Seconds between two looks for what changes with time alone: nothing here does, and hours pass."""
HEALTH = [HealthCheck.too_slow, HealthCheck.large_base_example]


async def _side_by_side(steps: Sequence[s.Step], *, set_presence: bool) -> Counter[str]:
    facade = FacadeSide(set_presence=set_presence)
    told = server_options(facade.settings)
    server = SimulatorSide(replace(OPTIONS, **{name: getattr(told, name) for name in differences.OPTIONS}))
    await facade.start()
    table = differences.DIFFERENCES if set_presence else differences.WITHOUT_SET_PRESENCE
    try:
        return Counter(await play(steps, server, facade, table=table))
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


@settings(max_examples=15, suppress_health_check=HEALTH)
@given(histories(15, settings=True))
def test_presence_that_is_set_is_as_at_the_server(steps: list[s.Step]) -> None:
    """The same, and end users set their own presence, which others watch."""
    side_by_side(steps, set_presence=True)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("set_presence", [False, True])
def test_the_facade_answers_as_the_server_does_at_length(set_presence: bool) -> None:
    """Both, many and long ones."""

    @settings(max_examples=3000, suppress_health_check=HEALTH)
    @given(histories(40, settings=set_presence))
    def many(steps: list[s.Step]) -> None:
        side_by_side(steps, set_presence=set_presence)

    many()


def test_every_difference_is_met() -> None:
    """No row of the table is there for nothing."""
    by_user, by_application = s.Key("user"), s.Key("application")
    busy = "<basicPresence>BUSY</basicPresence><override>false</override>"
    seen = side_by_side([
        *BEGINNINGS[1],
        s.Exchange("GET", f"{PATH}?wsdl"),
        *(s.register(by_application, url, s.NEW, "3600") for url in (*s.NO_SERVERS, s.OUTSIDE)),
        s.Leave(s.WATCHED[0]),
        s.poll(by_user, (s.SPELLED, s.WATCHED[1]), "BASIC_PRESENCE"),
        s.poll(by_user, (s.SPELLED, s.WATCHED[1]), "RICH_PRESENCE"),
        s.set_presence(by_user, "BASIC_PRESENCE", busy, "3600"),
    ])  # fmt: skip
    assert {row.about for row in differences.WITHOUT_SET_PRESENCE} <= seen.keys()


def test_all_other_options_are_those_of_the_server() -> None:
    """What the façade sets otherwise stands in the table."""
    ours, default = server_options(FacadeSettings(ADDRESS, {})), ServerOptions()
    names = [each.name for each in fields(ServerOptions)]
    assert {name for name in names if getattr(ours, name) != getattr(default, name)} == differences.OPTIONS.keys()


def test_the_table_is_documented() -> None:
    """As it stands."""
    assert differences.markdown() in (Path(__file__).parents[2] / "docs" / "facade.md").read_text("utf-8")
