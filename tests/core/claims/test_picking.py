"""Who is picked, in which order, and what is said of the others."""

from __future__ import annotations

import pytest

from service.core.claims.model import Granted, Pick
from service.core.claims.service import ClaimRules
from tests.support.branch import AVAILABLE, AWAY, BUSY, FEED, Branch, got, names, reasons, uri

FOUR = {"support": ("ann", "bob", "cid", "dan")}


def test_one_who_is_free_is_held_and_nobody_else_gets_them() -> None:
    """Two dispatchers, one free person: one claim."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    lease = branch.claim()
    assert names(lease) == ["ann"]
    refused = branch.refused()
    assert (refused.free, reasons(refused)) == (0, {"ann": "claimed"})


def test_a_person_of_two_groups_is_one_person() -> None:
    """Held for one group, held for all."""
    branch = Branch({"support": ("ann",), "sales": ("ann", "bob")})
    branch.opens("ann")
    branch.claim("support")
    assert reasons(branch.refused("sales")) == {"ann": "claimed", "bob": "not watched"}


def test_all_or_none() -> None:
    """Two of three are free and three are wanted: nobody is held, and the answer says how many it could have been."""
    branch = Branch({"support": ("ann", "bob", "cid")})
    branch.opens()
    branch.put("bob", BUSY)
    refused = branch.refused(count=3)
    assert refused.free == 2
    assert reasons(refused) == {"ann": "free, but too few are", "bob": "is BUSY", "cid": "free, but too few are"}
    assert not branch.core.leases.leases()
    assert names(branch.claim(count=2)) == ["ann", "cid"]


def test_every_other_member_has_its_reason() -> None:
    """On the phone, claimed, not watched, free but later."""
    branch = Branch({"support": ("ann", "bob", "cid", "dan", "eve")})
    branch.opens("ann", "bob", "cid", "dan")
    branch.put("ann", AVAILABLE, on_the_phone=True)
    branch.claim()
    outcome = branch.ask().outcome
    assert isinstance(outcome, Granted)
    assert names(outcome.lease) == ["cid"]
    assert reasons(outcome) == {
        "ann": "on the phone",
        "bob": "claimed",
        "dan": "free, but not for longer than those picked",
        "eve": "not watched",
    }


def test_only_live_presence_is_claimed() -> None:
    """Doubts count from the moment that they are known, whatever the log told last."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    branch.store.doubt(FEED, "the node is down")
    assert reasons(branch.refused()) == {"ann": "stale: its last known state may no longer be true"}


def test_what_time_alone_changes_counts_at_once() -> None:
    """A presence that was not confirmed within its bound is nobody's to claim, though no event has said so yet."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    branch.clock.advance(1001)
    assert branch.refused().free == 0


def test_the_longest_available_comes_first() -> None:
    """Anybody who has been free for longer; one who was busy for a moment begins anew."""
    branch = Branch(FOUR)
    for name in ("cid", "ann", "dan", "bob"):
        branch.opens(name)
        branch.clock.advance(10)
    branch.put("ann", BUSY)
    branch.put("ann", AVAILABLE)
    assert names(branch.claim(count=4)) == ["cid", "dan", "bob", "ann"]


def test_being_held_is_not_being_free() -> None:
    """One whose work does not show in presence does not get every task: after a claim the others come first."""
    branch = Branch(FOUR)
    branch.opens()
    assert branch.claims(6) == ["ann", "bob", "cid", "dan", "ann", "bob"]


def test_one_whose_asker_vanished_keeps_the_place() -> None:
    """It was given nothing to do."""
    branch = Branch(FOUR)
    branch.opens()
    branch.clock.advance(5)
    branch.claim_service.leave(branch.ask())
    assert not branch.core.leases.leases()
    assert names(branch.claim()) == ["ann"]


@pytest.mark.parametrize("pick", list(Pick))
def test_in_each_order_one_whose_asker_vanished_is_still_the_first(pick: Pick) -> None:
    """Nothing is remembered of a picking that nobody heard of."""
    branch = Branch(FOUR, ClaimRules(picks={"support": pick}))
    branch.opens()
    assert branch.claims(5) == ["ann", "bob", "cid", "dan", "ann"]
    branch.clock.advance(5)
    gone = branch.ask(count=2)
    assert got(gone) == ["bob", "cid"]
    branch.claim_service.leave(gone)
    assert branch.claims(2) == ["bob", "cid"]


def test_round_robin_goes_on_where_it_was_though_people_come_and_go() -> None:
    """By name, after the one who was last."""
    branch = Branch(FOUR, ClaimRules(picks={"support": Pick.ROUND_ROBIN}))
    branch.opens()
    assert branch.claims(2) == ["ann", "bob"]
    branch.store.unwatch([uri("bob"), uri("cid")])
    assert branch.claims(2) == ["dan", "ann"]
    branch.opens("bob", "cid")
    assert branch.claims(3) == ["bob", "cid", "dan"]


def test_round_robin_is_each_groups_own() -> None:
    """One group's turn does not move the other's."""
    picks = {"support": Pick.ROUND_ROBIN, "sales": Pick.ROUND_ROBIN}
    branch = Branch({**FOUR, "sales": FOUR["support"]}, ClaimRules(picks=picks))
    branch.opens()
    assert branch.claims(2) + branch.claims(1, "sales") + branch.claims(1) == ["ann", "bob", "ann", "cid"]


def test_least_recently_claimed_begins_with_those_who_never_were() -> None:
    """Then whose claim is longest ago; for whichever group it was."""
    picks = {"support": Pick.LEAST_RECENTLY_CLAIMED}
    branch = Branch({**FOUR, "sales": ("bob",)}, ClaimRules(picks=picks))
    branch.opens()
    assert branch.claims(1, "sales") == ["bob"]
    branch.put("dan", AWAY)
    assert branch.claims(3) == ["ann", "cid", "bob"]
    branch.put("dan", AVAILABLE)
    assert branch.claims(3) == ["dan", "ann", "cid"]


@pytest.mark.parametrize("pick", Pick)
def test_ties_are_always_the_same(pick: Pick) -> None:
    """By name, in whatever order they were watched and read."""
    found = []
    for order in (("ann", "bob", "cid", "dan"), ("dan", "bob", "ann", "cid")):
        branch = Branch(FOUR, ClaimRules(picks={"support": pick}))
        branch.opens(*order)
        found.append(names(branch.claim(count=3)))
    assert found == [["ann", "bob", "cid"]] * 2


def test_a_change_that_leaves_somebody_free_does_not_cost_the_place() -> None:
    """A note, a name: still free, and for as long as before."""
    branch = Branch(FOUR)
    branch.opens("ann")
    branch.clock.advance(10)
    branch.opens("bob")
    branch.clock.advance(10)
    branch.put("ann", AVAILABLE, note="in room 7")
    assert names(branch.claim()) == ["ann"]
