"""What a lease is worth: how it begins, lasts and ends, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEventKind, Lease
from service.core.claims.service import ClaimRules
from service.core.presence.freshness import Level
from tests.support.branch import AVAILABLE, BUSY, FEED, Branch, names, running, uri


async def test_a_lease_ends_at_its_moment() -> None:
    """Not before, not after, and the event is told at that very moment."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    async with running(branch):
        lease = branch.claim(seconds=30)
        await branch.clock.run(29.999)
        assert branch.core.leases.get(lease.id) is lease
        await branch.clock.run(0.001)
        expired, changed = [event for event in branch.events if event.at.monotonic == lease.expires.monotonic]
        assert expired.name == ClaimEventKind.EXPIRED
        assert changed.after is not None
        assert changed.after.contact.claim is None
        assert names(branch.claim()) == ["ann"]


async def test_an_expired_lease_holds_nobody_though_no_timer_ran() -> None:
    """Anybody who asks later gets them."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    lease = branch.claim(seconds=30)
    branch.clock.advance(30)
    assert branch.core.leases.get(lease.id) is None
    assert branch.core.leases.held(uri("ann")) is None
    assert not branch.claim_service.release(lease.id)
    assert names(branch.claim()) == ["ann"]


async def test_a_renewal_counts_from_now() -> None:
    """Longer or shorter, and the timer follows."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    async with running(branch):
        lease = branch.claim(seconds=30)
        await branch.clock.run(20)
        renewed = branch.claim_service.renew(lease.id, 15)
        assert renewed is not None
        assert renewed.expires.monotonic == branch.clock.monotonic() + 15
        await branch.clock.run(14)
        assert branch.core.leases.get(lease.id) is renewed
        assert branch.claim_service.renew(lease.id, 5) is not None
        await branch.clock.run(5)
        assert branch.core.leases.get(lease.id) is None
        assert branch.claim_service.renew(lease.id, 15) is None
    assert [each.kind for each in branch.claim_events] == [
        ClaimEventKind.MADE,
        ClaimEventKind.RENEWED,
        ClaimEventKind.RENEWED,
        ClaimEventKind.EXPIRED,
    ]


def test_a_lease_renewed_all_day_costs_no_memory() -> None:
    """What is over is forgotten."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    lease = branch.claim(seconds=3600)
    for _ in range(1000):
        branch.clock.advance(1)
        branch.claim_service.renew(lease.id, 3600)
    assert len(branch.core.leases._due) < 100


def test_the_log_tells_of_the_claim_and_of_the_contact() -> None:
    """Each change of claims is a change of those it holds."""
    branch = Branch({"support": ("ann", "bob")})
    branch.opens()
    branch.events.clear()
    lease = branch.claim(count=2)
    branch.claim_service.renew(lease.id, 90)
    branch.claim_service.release(lease.id)
    held = [
        (
            event.key,
            event.after.contact.verdict.available,
            event.after.contact.claim and event.after.contact.claim.expires,
        )
        for event in branch.events
        if event.after is not None
    ]
    until, renewed = lease.expires, lease.made.monotonic + 90
    assert sorted(held[:2]) == [(uri("ann"), False, until), (uri("bob"), False, until)]
    assert [each[2] and each[2].monotonic for each in held[2:4]] == [renewed, renewed]
    assert sorted(held[4:]) == [(uri("ann"), True, None), (uri("bob"), True, None)]


def test_one_who_is_free_by_time_is_told_free_before_being_told_claimed() -> None:
    """Anybody who reads the events sees nobody claimed who was not available."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    branch.clock.advance(2000)
    branch.core.log.touch()
    reading = branch.store.begin()
    branch.store.confirm(FEED, reading)
    branch.claim()
    levels = [
        (event.after.contact.freshness.level, event.after.contact.claim is not None)
        for event in branch.events
        if event.after is not None and event.after.contact.record.presence is not None
    ]
    assert levels[-3:] == [(Level.STALE, False), (Level.LIVE, False), (Level.LIVE, True)]


def test_one_who_is_claimed_and_becomes_unavailable_is_told_once() -> None:
    """With the reason; again only after having been available in between."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    lease = branch.claim()
    branch.put("ann", AVAILABLE, on_the_phone=True)
    branch.put("ann", BUSY, on_the_phone=True)
    branch.put("ann", AVAILABLE)
    branch.store.doubt(FEED, "lost")
    branch.attend(1)
    branch.attend(1)
    away = [each for each in branch.claim_events if each.kind is ClaimEventKind.UNAVAILABLE]
    assert [(each.reason, each.person and each.person.key) for each in away] == [
        ("on the phone", uri("ann")),
        ("stale: its last known state may no longer be true", uri("ann")),
    ]
    assert branch.core.leases.get(lease.id) is not None


def test_one_who_is_watched_no_longer_is_held_no_longer() -> None:
    """The others of the lease stay; with the last one it ends."""
    branch = Branch({"support": ("ann", "bob")})
    branch.opens()
    lease = branch.claim(count=2)
    branch.store.unwatch([uri("ann")])
    left = branch.core.leases.get(lease.id)
    assert left is not None
    assert names(left) == ["bob"]
    branch.store.unwatch([uri("bob")])
    assert branch.core.leases.get(lease.id) is None
    told = [(each.kind, each.reason) for each in branch.claim_events[1:]]
    gone = (ClaimEventKind.UNAVAILABLE, "no longer watched")
    assert told == [gone, gone, (ClaimEventKind.RELEASED, "nobody in it is watched any longer")]
    branch.opens()
    assert names(branch.claim(count=2)) == ["ann", "bob"]


def floored(floor: int = 2) -> Branch:
    return Branch({"support": ("ann", "bob", "cid")}, ClaimRules(floors={"support": floor}))


def coverage(branch: Branch) -> list[tuple[str, int]]:
    return [(each.name, each.data.free) for each in branch.events if isinstance(each.data, CoverageChange)]


def test_coverage_is_told_when_it_turns() -> None:
    """Once low, once restored; a claim counts as well as presence."""
    branch = floored()
    branch.opens()
    assert coverage(branch) == []
    lease = branch.claim()
    branch.put("bob", BUSY)
    branch.put("cid", BUSY)
    assert coverage(branch) == [("coverage.low", 1)]
    branch.put("bob", AVAILABLE)
    branch.claim_service.release(lease.id)
    assert coverage(branch) == [("coverage.low", 1), ("coverage.restored", 2)]


def test_coverage_says_nothing_before_the_group_was_read() -> None:
    """Then it says so if it is low from the start."""
    branch = floored(3)
    branch.store.watch([uri(name) for name in ("ann", "bob", "cid")], FEED)
    branch.attend(30)
    branch.store.trust(FEED)
    branch.put("ann", AVAILABLE)
    branch.put("bob", AVAILABLE)
    assert coverage(branch) == []
    branch.put("cid", BUSY)
    assert coverage(branch) == [("coverage.low", 2)]


async def test_one_who_is_never_read_does_not_silence_coverage() -> None:
    """A minute after the first of the group was read it counts anyway."""
    branch = floored(3)
    branch.store.watch([uri(name) for name in ("ann", "bob", "cid")], FEED)
    branch.store.trust(FEED)
    async with running(branch):
        branch.put("ann", AVAILABLE)
        await branch.clock.run(59)
        assert coverage(branch) == []
        await branch.clock.run(1)
        assert coverage(branch) == [("coverage.low", 1)]


def test_an_outage_is_low_coverage() -> None:
    """Nobody is surely free then."""
    branch = floored()
    branch.opens()
    branch.store.doubt(FEED, "lost")
    branch.attend(1)
    branch.store.trust(FEED)
    branch.attend(1)
    assert coverage(branch) == [("coverage.low", 0), ("coverage.restored", 3)]


def test_a_lease_that_ends_while_it_is_looked_at_is_no_stumbling_block() -> None:
    """The clock moves on within a request: anybody who is in a lease that nobody swept out is free for the next one."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    branch.claim(seconds=30)
    branch.clock.advance(29.9)
    sweep = branch.core.leases.sweep

    def late() -> list[Lease]:
        found = sweep()
        branch.clock.advance(0.2)
        return found

    branch.core.leases.sweep = late  # type: ignore[method-assign]  # the clock is not ours to stop
    assert branch.refused().free == 0
    assert names(branch.claim()) == ["ann"]


def test_leases_of_another_process_are_kept_as_they_are() -> None:
    """With anybody who is in them; who left one is free, and in one lease at most."""
    branch = Branch({"support": ("ann", "bob", "cid")})
    branch.opens()
    table = branch.core.leases
    changed: list[str] = []
    table.listen(changed.extend)
    lease = replace(branch.claim(count=2), id="theirs")
    branch.claim_service.release(next(iter(branch.claim_service.leases())).id)
    changed.clear()
    table.keep(lease)
    assert table.end_of("theirs") == lease.expires
    assert sorted(table.taken()) == sorted(lease.keys) == sorted(changed)
    left = replace(lease, people=lease.people[:1])
    table.keep(left)
    assert sorted(table.taken()) == sorted(left.keys)
    other = replace(left, id="another")
    table.keep(other)
    assert {claim.id for claim in table.taken().values()} == {"another"}
    table.end("theirs")
    assert sorted(table.taken()) == sorted(other.keys)
    table.end("another")
    assert not table.taken()
    assert table.end_of("another") is None
