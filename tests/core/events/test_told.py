"""Appended and told: what waits until it is accepted, and that nothing else becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.claims.model import ClaimEvent
from service.core.claims.service import ClaimRules
from service.core.events.commits import IMMEDIATE, Commits, NotCommitted
from service.core.events.event import Event
from tests.support.branch import AVAILABLE, AWAY, BUSY, Branch
from tests.support.slow_commits import SlowCommits

GROUPS = {"support": ("ann", "bob"), "sales": ("bob", "cid")}
STATES = {"available": AVAILABLE, "busy": BUSY, "away": AWAY}


def branch(commits: Commits) -> Branch:
    """With a floor, so that coverage has something to tell."""
    made = Branch(GROUPS, ClaimRules(floors={"support": 1}), commits=commits)
    if isinstance(commits, SlowCommits):
        commits.log = made.core.log
    made.claim_service._allocator._new_id = (f"claim-{number}" for number in range(10**6)).__next__
    return made


def ids(events: Sequence[Event] | None) -> list[int]:
    return [event.id for event in events or ()]


def test_what_is_not_accepted_is_not_told() -> None:
    """Followers, readers and waiting clients see the log up to what was accepted; what decides sees all of it."""
    commits = SlowCommits()
    office = branch(commits)
    log = office.core.log
    at_once: list[int] = []
    log.follow(lambda events: at_once.extend(ids(events)), immediate=True)
    bells: list[int] = []
    log.ring(lambda: bells.append(log.last))
    office.opens()
    first = log.newest
    assert not office.events
    assert not bells
    assert (log.last, ids(log.since(0))) == (0, [])
    assert log.since(first) is None, "an id that nobody was told"
    assert at_once == [entry.id for entry in commits.waiting if isinstance(entry, Event)]
    assert log.snapshot("ann@example.com") is not None
    third = at_once[2]
    commits.accept([entry.id for entry in commits.waiting].index(third) + 1)
    assert ids(office.events) == ids(log.since(0)) == at_once[:3]
    assert bells == [log.last] == [third]
    assert ids(log.since(at_once[1])) == [third]
    assert ids(log.since(0, 1)) == at_once[:1]
    commits.accept()
    assert ids(office.events) == at_once
    assert log.last == log.newest == first


def test_told_again_is_told_once() -> None:
    """And an id that is no event's moves the end of what one may resume from."""
    commits = SlowCommits()
    office = branch(commits)
    log = office.core.log
    office.opens("ann")
    commits.accept()
    told = ids(office.events)
    log.told(log.last)
    log.told(0)
    assert ids(office.events) == told
    beside = log.stamp()
    assert log.since(beside) is None
    log.told(beside)
    assert log.since(beside) == []
    assert log.last == told[-1]
    office.put("ann", BUSY)
    commits.accept()
    assert ids(log.since(beside))[-1] == log.last
    assert log.last > beside


def test_what_was_not_told_is_kept() -> None:
    """However many events wait."""
    commits = SlowCommits()
    office = branch(commits)
    log = office.core.log
    log._size = 4
    office.opens("ann")
    for state in [BUSY, AVAILABLE] * 10:
        office.put("ann", state)
    waiting = [entry.id for entry in commits.waiting if isinstance(entry, Event)]
    commits.accept(5)
    told = ids(log.since(0))
    assert told == waiting[: len(told)]
    commits.accept()
    assert ids(office.events) == waiting
    assert ids(log.since(log.floor)) == waiting[-4:]


async def test_waiting_for_an_event_waits_for_its_being_told() -> None:
    """So does anybody who is to tell of an event that it has seen."""
    commits = SlowCommits()
    office = branch(commits)
    log = office.core.log
    await log.accepted(log.newest)
    waiting = asyncio.create_task(log.wait_for_event(log.last))
    office.opens("ann")
    accepted = asyncio.create_task(log.accepted(log.newest))
    refused = asyncio.create_task(log.accepted(log.newest))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    assert not accepted.done()
    commits.accept()
    await asyncio.gather(waiting, accepted, refused)
    office.put("ann", BUSY)
    refused = asyncio.create_task(log.accepted(log.newest))
    await asyncio.sleep(0)
    commits.refuse()
    with pytest.raises(NotCommitted):
        await refused


class Step(NamedTuple):
    """Something that happens: `who` or nobody, and a number or word."""

    what: str
    who: str = ""
    how: str = ""


steps = st.one_of(
    st.builds(
        Step, st.just("put"), st.sampled_from(["ann", "bob", "cid"]), st.sampled_from(["available", "busy", "away"])
    ),
    st.builds(Step, st.sampled_from(["watch", "unwatch", "doubt"]), st.sampled_from(["ann", "bob", "cid"])),
    st.builds(Step, st.sampled_from(["claim", "release", "lose", "trust", "attend", "late"])),
    st.builds(Step, st.just("accept"), st.just(""), st.sampled_from(["1", "3", "99"])),
)


def carry_out(office: Branch, step: Step) -> None:
    """One step; what it cannot do it leaves."""
    store, feed = office.store, "dispatcher"
    match step.what:
        case "put":
            office.put(step.who, STATES[step.how])
        case "watch":
            store.watch([f"{step.who}@example.com"], feed)
        case "unwatch":
            store.unwatch([f"{step.who}@example.com"])
        case "doubt":
            store.doubt_contacts([f"{step.who}@example.com"], "lost")
        case "claim":
            office.ask("support", seconds=30)
        case "release":
            for lease in list(office.claim_service.leases())[:1]:
                office.claim_service.release(lease.id)
        case "lose":
            store.doubt(feed, "lost")
        case "trust":
            store.trust(feed)
        case "attend":
            office.attend(1.0)
        case "late":
            office.attend(40.0)
        case "accept" if isinstance(office.commits, SlowCommits):
            office.commits.accept(int(step.how))


@settings(max_examples=60)
@given(st.lists(steps, max_size=25))
def test_told_late_is_told_the_same(history: list[Step]) -> None:
    """When things are accepted changes nothing about what happens, to whom, in which order."""
    at_once, late = branch(IMMEDIATE), branch(SlowCommits())
    for office in (at_once, late):
        office.opens()
        for step in history:
            carry_out(office, step)
    assert isinstance(late.commits, SlowCommits)
    late.commits.accept()
    assert list(map(_plain, late.events)) == list(map(_plain, at_once.events))
    assert ids(late.core.log.since(0)) == ids(late.events)
    assert ids(late.events) == sorted(set(ids(late.events)))
    assert list(late.claim_service.leases()) == list(at_once.claim_service.leases())


def _plain(event: Event) -> tuple[object, ...]:
    """An event without ids: what only mirrors are told takes some."""
    told: list[object] = []
    for snapshot in (event.before, event.after):
        if snapshot is not None:
            contact, record = snapshot.contact, snapshot.contact.record
            told += [record.presence, record.doubt is None, contact.freshness, contact.verdict, contact.claim]
            told += [snapshot.opinions]
    data = event.data.kind if isinstance(event.data, ClaimEvent) else event.data
    return event.name, event.at, event.key, told, data, event.keys
