"""Random histories of contacts, claims, time and answers: in the end a target knows what a query answers."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.core.presence.filters import Filter
from service.core.presence.freshness import Level
from service.webhooks.sender import PostResult
from tests.support.bare_service import AVAILABLE, BUSY
from tests.support.followed_log import ANN, BOB, CID
from tests.support.log_histories import STEPS, carry_out
from tests.webhooks.office import BROKEN, GONE, TAKEN, TIMED_OUT, UNREACHABLE, Documents, Office, target, told

ANSWERS = st.tuples(
    st.just("answers"),
    st.sampled_from([TAKEN, TAKEN, BROKEN, GONE, UNREACHABLE, TIMED_OUT, PostResult(429, "429", retry_after="30")]),
    st.booleans(),
    st.sampled_from([0.0, 0.0, 1.0, 15.0]),
)
REPLAY = st.tuples(st.just("replay"), st.integers(0, 40))
RESTART = st.tuples(st.just("restart"), st.booleans())
HISTORIES = st.lists(st.one_of(STEPS, STEPS, STEPS, ANSWERS, REPLAY), max_size=40)
FILTERS = st.sampled_from(
    [
        Filter(),
        Filter(states=frozenset({BUSY})),
        Filter(available=True),
        Filter(groups=frozenset({"support"})),
        Filter(levels=frozenset({Level.LIVE})),
        Filter(text="b"),
    ]
)


@given(history=HISTORIES, wanted=FILTERS)
def test_in_the_end_a_target_knows_what_a_query_answers(history: list[Any], wanted: Filter) -> None:
    """Whatever it answered meanwhile; each contact's messages in order, one at a time, and nothing piles up."""
    asyncio.run(_story(history, wanted))


async def _story(history: list[Any], wanted: Filter) -> None:
    office, crm = Office(), target(wanted=wanted, max_queued=5)
    async with office.delivering(crm):
        office.watch(ANN, BOB)
        for step in history:
            await _step(office, step)
            assert office.status.queued <= 3 + 5 + 1 + crm.parallel
        await _recover(office)
        dropped = office.status.dropped
        if not dropped:  # of a contact that is watched no longer it may be that it left
            assert told(office.crm) == office.expected(crm)
        else:
            assert told(office.crm).items() >= office.expected(crm).items()


async def _step(office: Office, step: Any) -> None:  # of HISTORIES
    match step:
        case ("answers", answer, hears, seconds):
            office.crm.answer, office.crm.seconds = lambda _: answer, seconds
            office.crm.hears = lambda reply: reply is TAKEN or (hears and reply.may_have_arrived)
        case ("replay", back):
            office.deliveries.replay("crm", max(office.log.floor, office.log.last - back))
        case ("wait", seconds):
            await office.clock.run(seconds)
        case _:
            carry_out(office, step)
    for _ in range(20):
        await asyncio.sleep(0)


async def _recover(office: Office) -> None:
    """The target takes everything, and gets the time that it needs."""
    office.crm.answer, office.crm.seconds, office.crm.hears = lambda _: TAKEN, 0.0, lambda _: True
    await office.clock.run(60)  # so that a pause that runs is not begun anew by what follows
    office.deliveries.replay("crm", office.log.last)
    await office.later(4000)
    await office.settled()
    assert (office.state(), office.status.queued) == ("delivering", 0)


@given(
    before=st.lists(st.one_of(STEPS, ANSWERS), max_size=15),
    after=st.lists(st.one_of(STEPS, ANSWERS), max_size=15),
    crashes=st.booleans(),
    wanted=FILTERS,
)
def test_a_restart_loses_no_last_state(before: list[Any], after: list[Any], crashes: bool, wanted: Filter) -> None:
    """What was undelivered comes first, then the reset, then what the new run knows: never an older message later."""
    asyncio.run(_two_runs(before, after, crashes, wanted))


async def _two_runs(before: list[Any], after: list[Any], crashes: bool, wanted: Filter) -> None:
    shelf, crm = Documents(), target(wanted=wanted)
    first = Office()
    first.deliver(crm, shelf=shelf)
    first.deliveries.start()
    first.watch(ANN, BOB)
    for step in before:
        await _step(first, step)
    kept = dict(shelf.kept)
    await first.end()
    if crashes:
        shelf.kept = kept
    second = Office(revision=first.log.last + 10)
    second.clock.advance(100000.0)
    second.receivers = first.receivers
    second.crm.clock = second.clock
    second.deliver(crm, shelf=shelf)
    second.deliveries.start()
    second.watch(ANN, BOB, CID)
    for step in after:
        await _step(second, step)
    second.read(ANN, AVAILABLE)
    await _recover(second)
    assert shelf.kept == {}
    assert told(second.crm) == second.expected(crm)
    assert second.crm.resets >= 1
    await second.end()
