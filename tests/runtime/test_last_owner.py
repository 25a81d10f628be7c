"""An owner whose lease is over though it lives, since the engine was away or has lost everything, owns again: it knows
more than the others. Where it does not live, another one takes over as ever."""

from __future__ import annotations

import pytest

from tests.support.examples import seeds
from tests.support.virtual_cluster import VirtualCluster
from tests.support.virtual_office import STATES, names
from tests.support.virtual_time import run

CONTACTS = names(3)
HEALS = 30.0


async def three_that_live(seed: int) -> VirtualCluster:
    """Three replicas, one of which owns."""
    three = VirtualCluster(CONTACTS, seed=seed)
    for name in ("a", "b", "c"):
        three.start(name)
    await three.heal(HEALS)
    await three.pass_time(3.0 + three.dice.random())
    return three


@pytest.mark.parametrize("seed", seeds(4, 12))
@pytest.mark.parametrize("has_lost_all", [False, True])
def test_the_owner_that_lives_owns_again(seed: int, *, has_lost_all: bool) -> None:
    """The engine is away for longer than a lease, or loses everything in a moment."""

    async def story() -> None:
        three = await three_that_live(seed)
        try:
            owner = three.owner
            assert owner is not None
            before = owner.replica.epoch
            if has_lost_all:
                three.change(CONTACTS[0], STATES[seed % 2])
                three.server.rewind()
            else:
                three.server.up = False
                await three.pass_time(4.0 + three.dice.random() * 4.0)
                three.server.up = True
            await three.pass_time(3.0)
            assert three.owner is owner
            assert owner.replica.epoch > before
            await three.heal(HEALS)
        finally:
            await three.close()

    run(story())


@pytest.mark.parametrize("seed", seeds(2, 6))
def test_another_one_takes_over_where_the_owner_does_not_live(seed: int) -> None:
    """It has died, with or without the engine being away meanwhile; nor does what was away once matter later."""

    async def story() -> None:
        three = await three_that_live(seed)
        try:
            for is_away in (True, False):
                owner = three.owner
                assert owner is not None
                await three.kill(owner.name)
                if is_away:
                    three.server.up = False
                    await three.pass_time(6.0)
                    three.server.up = True
                await three.pass_time(4.5)
                assert three.owner not in (None, owner)
                await three.heal(HEALS)
                await three.pass_time(3.0)
        finally:
            await three.close()

    run(story())
