"""Waiting for more than there are: people are kept for it for a bounded time, and nobody's bound adds up."""

from __future__ import annotations

import pytest

from service.core.claims.model import Granted
from service.core.claims.reserve import Reserve
from service.core.claims.service import ClaimRules
from tests.support.branch import AVAILABLE, BUSY, Branch, got, names, reasons, running

KEPT = "free, but kept for somebody who asked before"


def branch_of(**groups: str) -> Branch:
    """Groups by names with spaces between; in `RESERVE` seconds the time is over. Everybody is free but for `zoe`."""
    made = Branch({group: tuple(names.split()) for group, names in groups.items()}, ClaimRules(reserve=5.0))
    made.opens()
    made.put("zoe", BUSY)
    return made


async def test_who_waits_in_vain_does_not_hold_up_another_group() -> None:
    """Two requests for three of whom one is never free; the other group shares a free person with them."""
    branch = branch_of(support="ann bob zoe", sales="ann")
    async with running(branch):
        vain = [branch.ask(count=3, wait=300) for _ in range(2)]
        served = 0
        first = branch.ask("sales", wait=60)
        assert got(first) is None
        await branch.clock.run(4.9)
        assert got(first) is None
        await branch.clock.run(0.1)  # nothing else happens: the claim service wakes by itself
        assert got(first) == ["ann"]
        for _ in range(50):
            lease = first.outcome.lease if isinstance(first.outcome, Granted) else None
            assert lease is not None
            branch.claim_service.release(lease.id)
            first = branch.ask("sales", wait=60)
            served += isinstance(first.outcome, Granted)
        assert served == 50
        assert [each.outcome for each in vain] == [None, None]


async def test_they_are_served_when_enough_are_free_at_one_moment() -> None:
    """Also after their time."""
    branch = branch_of(support="ann bob zoe", sales="ann")
    async with running(branch):
        many = branch.ask(count=3, wait=300)
        single = branch.ask("sales", seconds=10, wait=60)
        await branch.clock.run(5)
        assert got(single) == ["ann"]
        branch.put("zoe", AVAILABLE)
        await branch.clock.run(0)
        assert got(many) is None
        await branch.clock.run(10)
        assert sorted(got(many) or ()) == ["ann", "bob", "zoe"]


async def test_those_behind_in_the_same_group_are_served_too() -> None:
    branch = branch_of(support="ann bob zoe")
    async with running(branch):
        many, one, another = branch.ask(count=3, wait=300), branch.ask(wait=60), branch.ask(wait=60)
        await branch.clock.run(4)
        assert (one.outcome, another.outcome) == (None, None)
        await branch.clock.run(1)
        assert (got(one), got(another), many.outcome) == (["ann"], ["bob"], None)


def test_asking_again_and_again_does_not_renew_it() -> None:
    """Each time with a new request that gives up early."""
    branch = branch_of(support="ann zoe", sales="ann")
    refused = 0
    for _ in range(10):
        ticket = branch.ask(count=2, wait=1)
        assert ticket.outcome is None
        refused += not isinstance(branch.ask("sales", seconds=1).outcome, Granted)
        branch.attend(1)
    assert refused == 5
    assert not branch.claim_service.waiting


def test_it_is_renewed_when_the_first_of_the_group_is_served() -> None:
    branch = branch_of(support="ann zoe", sales="ann")
    branch.ask(count=2, wait=300)
    assert reasons(branch.refused("sales"))["ann"] == KEPT
    branch.attend(5)
    assert names(branch.claim("sales", seconds=1)) == ["ann"]
    branch.attend(1)
    assert names(branch.claim("sales", seconds=1)) == ["ann"]
    branch.put("zoe", AVAILABLE)
    branch.attend(1)  # the two of support
    branch.put("zoe", BUSY)
    branch.attend(60)
    assert not branch.core.leases.leases()
    branch.ask(count=2, wait=300)
    assert reasons(branch.refused("sales"))["ann"] == KEPT


@pytest.mark.parametrize(("pause", "renewed"), [(4.0, False), (5.0, True)])
def test_it_is_renewed_when_nobody_has_waited_for_that_long(pause: float, renewed: bool) -> None:
    branch = branch_of(support="ann zoe", sales="ann")
    ticket = branch.ask(count=2, wait=5)
    assert reasons(branch.refused("sales"))["ann"] == KEPT
    branch.attend(5)
    assert ticket.outcome is not None
    branch.attend(pause)
    branch.ask(count=2, wait=60)
    outcome = branch.ask("sales").outcome
    assert isinstance(outcome, Granted) is not renewed


def test_a_request_that_is_served_at_once_has_not_waited() -> None:
    """Though it would have: it does not make the pause shorter."""
    branch = branch_of(support="ann zoe", sales="ann", desk="abe ann")
    ticket = branch.ask(count=2, wait=5)
    assert reasons(branch.refused("sales"))["ann"] == KEPT
    branch.attend(5)
    assert ticket.outcome is not None
    branch.attend(3)
    assert got(branch.ask("desk", seconds=1, wait=60)) == ["abe"]
    branch.attend(2)
    branch.ask(count=2, wait=60)
    assert reasons(branch.refused("sales"))["ann"] == KEPT


def test_while_it_costs_nobody_anything_the_time_does_not_run() -> None:
    """Anybody who has waited for long keeps people for as long as anybody who has just come."""
    branch = branch_of(support="ann zoe", sales="ann")
    many = branch.ask(count=2, wait=300)
    branch.attend(200)
    assert reasons(branch.refused("sales"))["ann"] == KEPT
    branch.put("zoe", AVAILABLE)
    branch.attend(4)
    assert got(many) == ["ann", "zoe"]


def test_a_request_that_would_not_be_served_anyway_loses_nothing() -> None:
    """So the time does not run for it."""
    branch = branch_of(support="ann zoe", sales="ann zoe")
    branch.ask(count=2, wait=300)
    branch.ask("sales", count=2, wait=300)
    branch.attend(100)
    assert reasons(branch.refused("sales"))["ann"] == KEPT


def test_groups_that_share_somebody_do_not_add_up_their_times() -> None:
    """The person's time is over for all of them at once."""
    branch = branch_of(support="ann zoe", desk="ann zoe", sales="ann")
    branch.ask("support", count=2, wait=300)
    single = branch.ask("sales", wait=60)
    branch.attend(4)
    branch.ask("desk", count=2, wait=300)
    branch.attend(1)
    assert got(single) == ["ann"]


def test_only_those_who_are_free_are_kept() -> None:
    """Who becomes free later is looked at then; who is not free is nobody's."""
    branch = branch_of(support="ann bob zoe", sales="bob")
    branch.put("bob", BUSY)
    branch.ask(count=3, wait=300)
    single = branch.ask("sales", wait=60)
    branch.attend(20)
    branch.put("bob", AVAILABLE)
    branch.attend()
    branch.attend(4)
    assert got(single) is None
    branch.attend(1)
    assert got(single) == ["bob"]


def test_without_a_reserve_nobody_is_kept() -> None:
    branch = Branch({"support": ("ann", "zoe"), "sales": ("ann",)}, ClaimRules(reserve=0))
    branch.opens()
    branch.put("zoe", BUSY)
    assert branch.ask(count=2, wait=60).outcome is None
    assert names(branch.claim("sales")) == ["ann"]


def test_the_clocks_alone() -> None:
    """What ends when, and what makes them begin anew."""
    reserve = Reserve(5.0, lambda group: frozenset({"ann", group}))
    reserve.attend({"a"}, 10.0)
    assert reserve.keeps("a", {"ann", "a"}) == {"ann", "a"}
    ends = [reserve.next_end]
    reserve.withheld(["a"], ["ann"])
    ends.append(reserve.next_end)
    reserve.attend({"a", "b"}, 15.0)
    assert [*ends, reserve.next_end] == [None, 15.0, None]
    assert (reserve.keeps("a", {"ann", "a"}), reserve.keeps("b", {"ann", "b"})) == (set(), {"b"})
    reserve.granted("a", ["ann"], is_first=False)
    assert (reserve.keeps("a", {"ann", "a"}), reserve.keeps("b", {"ann", "b"})) == (set(), {"ann", "b"})
    reserve.granted("a", [], is_first=True)
    assert reserve.keeps("a", {"ann"}) == {"ann"}
