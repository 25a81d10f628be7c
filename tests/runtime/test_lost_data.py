"""The engine has lost data: what is left at the presence server, and what heals by itself."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from service.cluster import tables
from service.cluster.engine import Table
from tests.support.cluster_history import Begin, play
from tests.support.virtual_cluster import VirtualCluster
from tests.support.virtual_office import names
from tests.support.virtual_time import run

HEALS = 30.0


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_tenure_that_only_its_owner_knew_leaves_nothing_behind(is_killed: bool) -> None:
    """The engine goes back to where all had logged out, and who else may own has never heard of the one in between."""

    async def story() -> None:
        three = VirtualCluster(names(3))
        try:
            for name in "abc":
                three.start(name)
            await three.heal(HEALS)
            for name in "abc":
                await three.until(three.stop(name))
            image = three.server.image()
            three.start("a").goes_to_engine("requests")
            three.start("b")
            await three.pass_time(6.0)
            assert three.owner is three.processes["b"]
            before = three.left()
            assert before
            if is_killed:
                await three.kill("b")
            three.server.rewind(image)
            three.processes["a"].goes_to_engine("well")
            await three.pass_time(3.0)
            await three.heal(HEALS)
            assert three.owner is not None
            assert three.left() == before, "a session of its own, and nothing beside it"
        finally:
            await three.close()

    run(story())


async def until_ready(three: VirtualCluster, name: str) -> None:
    """Wait until a replica that has just started has loaded everything."""
    until = three.loop.time() + HEALS
    while not three.processes[name].replica.is_settled.is_set():
        assert three.loop.time() < until, three.processes
        await three.pass_time(0.2)
    await three.heal(HEALS)


def test_damaged_tables_heal_while_the_owner_goes_on() -> None:
    """Whatever another program has made of a value: who starts says that it cannot load it, and the owner writes it
    again."""

    async def story() -> None:
        three = VirtualCluster(names(3))
        try:
            for name in "abc":
                three.start(name)
            await three.heal(HEALS)
            await three.pass_time(1.0)
            owner, server = three.owner, three.server
            assert owner is not None
            name = next(each for each in "abc" if each != owner.name)
            sound = server.snapshot().tables
            assert sound[Table.RECORDS]
            assert sound[Table.FEEDS]
            assert set(sound[Table.TENURE]) == {"whole"}
            for spoiled in (b"not ours", b"\x02 of a format to come", None):
                await three.kill(name)
                for table in (Table.RECORDS, Table.FEEDS, Table.ORDER, Table.TENURE):
                    for field in [*sound[table], *(["contact nobody"] if table is Table.ORDER else [])]:
                        if spoiled is not None or table is Table.TENURE:
                            server.spoil(table, field, spoiled)
                server.spoil(Table.CLAIMS, "a claim", spoiled)
                three.start(name)
                await until_ready(three, name)
                assert three.owner is owner
                assert {table: set(values) for table, values in server.snapshot().tables.items()} == {
                    table: set(values) for table, values in sound.items()
                }
        finally:
            await three.close()

    run(story())


def test_what_cannot_be_mended_costs_little() -> None:
    """A replica that can load nothing whatever is written: the owner looks again, but not all the time."""

    async def story() -> None:
        three = VirtualCluster(names(3))
        try:
            for name in "abc":
                three.start(name)
            await three.heal(HEALS)
            owner = three.owner
            assert owner is not None
            other = next(each for each in three.processes.values() if each is not owner)
            with (
                mock.patch.object(type(other.replica._following), "is_stuck", True),
                mock.patch.object(tables, "unsound", side_effect=tables.unsound) as looked,
            ):
                await three.pass_time(35.0)
            assert 1 <= looked.call_count <= 4
            assert three.owner is owner
            await three.heal(HEALS)
        finally:
            await three.close()

    run(story())


def test_an_engine_that_has_lost_a_claim_and_is_damaged_as_well() -> None:
    """A replica that knows the claim owns next: it passes over what it cannot read, and nobody is claimed twice."""
    claim = ("claim", {"seconds": 60.0, "wait": None, "patience": 30.0}, 1.0)
    spoiled = [("engine_is_spoiled", {"which": which}, 0.0) for which in range(3)]
    lost = ("engine_loses", {"everything": False}, 0.0)
    assert play(Begin(streams=1), [("remember_engine", {}, 0.0), claim, lost, *spoiled, claim, claim]) is None


@pytest.mark.parametrize("everything", [True, False])
def test_a_claim_that_the_next_owner_could_not_write_back_is_not_forgotten(everything: bool) -> None:
    """The engine has lost the claim and is full, and who owns next is killed: the last replica knows the claim, and
    does not believe what it finds in the engine, where nobody owns any more."""
    story: list[tuple[str, dict[str, Any], float]] = [
        ("remember_engine", {}, 0.0),
        ("claim", {"seconds": 60.0, "wait": None, "patience": 30.0}, 1.0),
        ("kill_owner", {}, 0.0),
        ("engine_full_or_not", {}, 0.0),
        ("engine_loses", {"everything": everything}, 6.0),
        ("kill_owner", {}, 15.0),
        ("engine_full_or_not", {}, 6.0),
    ]
    assert play(Begin(streams=1), story) is None
