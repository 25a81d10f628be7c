"""Those who wait for somebody to be free: in which order they are served, and how their waiting ends."""

from __future__ import annotations

import asyncio

import pytest

from service.core.claims.members import MemberOpinion, ReaderMembers
from service.core.claims.model import ClaimEventKind, Granted, NotEnoughFree, RejectReason
from service.core.claims.service import ClaimRules
from tests.support.branch import AVAILABLE, BUSY, Branch, got, names, reasons, running, uri


async def test_first_come_first_served() -> None:
    """Each release serves the next one of those who wait."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    async with running(branch):
        lease = branch.claim(seconds=10)
        waiting = [branch.ask(seconds=10, wait=60) for _ in range(3)]
        branch.claim_service.release(lease.id)
        assert [got(each) for each in waiting] == [["ann"], None, None]
        await branch.clock.run(10)
        assert [got(each) for each in waiting] == [["ann"], ["ann"], None]
        branch.put("ann", BUSY)
        await branch.clock.run(10)
        assert waiting[2].outcome is None
        branch.put("ann", AVAILABLE)
        await branch.clock.run(0)
        assert got(waiting[2]) == ["ann"]


def test_one_who_wants_three_is_not_starved_by_those_who_want_one() -> None:
    """As long as it waits, its group's people are kept for it."""
    branch = Branch({"support": ("ann", "bob", "cid")})
    branch.opens("ann", "bob")
    branch.opens("cid", state=BUSY)
    many = branch.ask(count=3, wait=60)
    one = branch.ask(wait=60)
    at_once = branch.refused()
    assert (at_once.free, at_once.ahead) == (0, True)
    assert reasons(at_once)["ann"] == "free, but kept for somebody who asked before"
    assert (many.outcome, one.outcome) == (None, None)
    branch.put("cid", AVAILABLE)
    branch.attend()
    assert got(many) == ["ann", "bob", "cid"]
    assert one.outcome is None


def test_a_person_of_two_groups_goes_to_the_one_who_asked_first() -> None:
    """Whichever of the groups it was for."""
    branch = Branch({"support": ("ann",), "sales": ("ann", "bob")})
    branch.opens(state=BUSY)
    first, second = branch.ask("sales", wait=60), branch.ask("support", wait=60)
    branch.put("ann", AVAILABLE)
    branch.attend()
    assert (got(first), got(second)) == (["ann"], None)


def test_another_group_is_not_held_up() -> None:
    """Those who wait for one group leave the others alone."""
    branch = Branch({"support": ("ann",), "sales": ("bob",)})
    branch.opens("ann", state=BUSY)
    branch.opens("bob")
    branch.ask("support", wait=60)
    assert names(branch.claim("sales")) == ["bob"]


async def test_the_wait_ends_with_reasons() -> None:
    """At its time, not before."""
    branch = Branch({"support": ("ann",)})
    branch.opens(state=BUSY)
    async with running(branch):
        ticket = branch.ask(wait=30)
        await branch.clock.run(29)
        assert branch.claim_service.waiting == 1
        await branch.clock.run(1)
        assert isinstance(ticket.outcome, NotEnoughFree)
        assert reasons(ticket.outcome) == {"ann": "is BUSY"}
        assert branch.claim_service.waiting == 0


async def test_at_the_end_of_the_wait_one_who_has_become_free_is_found() -> None:
    """Though the log has not told of it yet: time alone made them free."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    branch.clock.advance(2000)
    branch.core.log.touch()
    async with running(branch):
        ticket = branch.ask(wait=30)
        branch.store.confirm("dispatcher", branch.store.begin())
        await branch.clock.run(30)
        assert got(ticket) == ["ann"]


def test_more_than_there_are_is_refused_at_once() -> None:
    """Nobody waits for what cannot come, and nobody waits behind it."""
    branch = Branch({"support": ("ann", "bob")})
    branch.opens()
    ticket = branch.ask(count=3, wait=60)
    assert isinstance(ticket.outcome, NotEnoughFree)
    assert names(branch.claim()) == ["ann"]


def test_one_who_waits_for_people_that_are_watched_no_longer_is_sent_away() -> None:
    """Else those behind it would wait in vain."""
    branch = Branch({"support": ("ann", "bob")})
    branch.opens("ann")
    branch.opens("bob", state=BUSY)
    first, second, third = branch.ask(count=2, wait=60), branch.ask(count=2, wait=60), branch.ask(wait=60)
    branch.store.unwatch([uri("bob")])
    branch.attend()
    assert isinstance(first.outcome, NotEnoughFree)
    assert isinstance(second.outcome, NotEnoughFree)
    assert got(third) == ["ann"]


def test_the_queue_is_bounded() -> None:
    """One more is sent away; one who finds somebody free is served all the same."""
    branch = Branch({"support": ("ann",), "sales": ("bob",)}, ClaimRules(max_waiting=2))
    branch.opens("bob")
    branch.opens("ann", state=BUSY)
    waiting = [branch.ask(wait=60) for _ in range(3)]
    assert [each.outcome for each in waiting] == [None, None, RejectReason.FULL]
    assert isinstance(branch.ask("sales", wait=60).outcome, Granted)
    branch.claim_service.leave(waiting[0])
    assert branch.ask(wait=60).outcome is None


def test_one_who_leaves_makes_room() -> None:
    """Those behind are served at once if they can be."""
    branch = Branch({"support": ("ann", "bob")})
    branch.opens("ann")
    branch.opens("bob", state=BUSY)
    first, second = branch.ask(count=2, wait=60), branch.ask(wait=60)
    assert second.outcome is None
    branch.claim_service.leave(first)
    assert got(second) == ["ann"]
    assert first.outcome is None


def test_what_one_who_left_was_given_meanwhile_is_taken_back() -> None:
    """And goes to the next."""
    branch = Branch({"support": ("ann",)})
    branch.opens(state=BUSY)
    first, second = branch.ask(wait=60), branch.ask(wait=60)
    branch.put("ann", AVAILABLE)
    branch.attend()
    assert got(first) == ["ann"]
    branch.claim_service.leave(first)
    assert got(second) == ["ann"]
    assert [each.kind for each in branch.claim_events] == [
        ClaimEventKind.MADE,
        ClaimEventKind.RELEASED,
        ClaimEventKind.MADE,
    ]


async def test_when_the_service_stops_everybody_hears_it() -> None:
    """Those who wait, and those who come later."""
    branch = Branch({"support": ("ann",)})
    branch.opens(state=BUSY)
    async with running(branch):
        ticket = branch.ask(wait=60)
        waiting = asyncio.create_task(branch.claim_service.outcome(ticket))
        await asyncio.sleep(0)
        branch.core.log.close()
        assert await waiting is RejectReason.STOPPING
    assert branch.ask().outcome is RejectReason.STOPPING
    assert branch.claim_service.waiting == 0


async def test_each_waits_for_its_own_time() -> None:
    """Anybody who is less patient is answered first."""
    branch = Branch({"support": ("ann",)})
    branch.opens(state=BUSY)
    async with running(branch):
        tickets = [branch.ask(wait=60), branch.ask(wait=10)]
        await branch.clock.run(10)
        assert [each.outcome is None for each in tickets] == [True, False]


def test_many_whose_time_is_over_at_once_are_one_look_at_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd that began to wait together must not hold up everything else when it ends."""
    branch = Branch({"support": tuple(f"p{number:03}" for number in range(100)), "sales": ("p000", "zoe")})
    branch.opens(state=BUSY)
    tickets = [branch.ask(group, wait=30) for group in ("support", "sales") * 50]
    looks = 0
    at = ReaderMembers.at

    def counted(sight: ReaderMembers, group: str, key: str) -> MemberOpinion | None:
        nonlocal looks
        looks += 1
        return at(sight, group, key)

    monkeypatch.setattr(ReaderMembers, "at", counted)
    branch.attend(31)
    assert all(isinstance(ticket.outcome, NotEnoughFree) for ticket in tickets)
    assert looks < 500
