"""What is read now and when to look again, decided from values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pws_soap.lifecycle import Key, Kind
from service.sync.schedule import LONGEST_PAUSE, Candidate, Decision, Limits, Start, Work, decide, retry_pause
from tests.support.examples import examples

NOW = 1000.0
LATER = 1060.0
LIMITS = Limits(2)


def key(number: int = 1) -> Key:
    """The name of a subscription."""
    return Key(Kind.SUBSCRIPTION, "http://imp1:8082", f"user{number}")


IDLE = Candidate(
    key=key(),
    target="session 1, id 1",
    turn=1,
    has_news=False,
    backs_off=False,
    fetching=False,
    polling=False,
    in_doubt=False,
    sweeping=False,
    fetched=True,
    has_contacts=True,
    fetch_due=NOW + 600,
    poll_due=0.0,
    sweep_due=NOW + 3600,
    heartbeat_due=NOW + 30,
)
"""A subscription of which nothing is to be read for 30 seconds."""


def several(count: int, **changes: object) -> list[Candidate]:
    """Subscriptions that differ in nothing but their names, the first of them fetched longest ago."""
    return [
        replace(IDLE, key=key(number), target=number, turn=number, **changes)  # type: ignore[arg-type]
        for number in range(1, count + 1)
    ]


def begun(decision: Decision, work: Work) -> list[Key]:
    """The subscriptions for which this is begun, in order."""
    return [start.key for start in decision.starts if start.work is work]


def test_an_idle_subscription_waits_for_the_first_that_comes_due() -> None:
    """The heartbeat, then the fetch."""
    assert decide(NOW, LIMITS, [IDLE]) == Decision((), NOW + 30)
    assert decide(NOW, Limits(2, heartbeats=False), [IDLE]) == Decision((), NOW + 600)
    assert decide(NOW, LIMITS, []) == Decision((), None)


@pytest.mark.parametrize("due", [{"has_news": True}, {"fetch_due": NOW}])
def test_news_and_a_fetch_that_is_due_mean_fetch(due: dict[str, float]) -> None:
    """And nothing else is read of that subscription meanwhile."""
    candidate = replace(IDLE, in_doubt=True, **due)  # type: ignore[arg-type]
    assert decide(NOW, LIMITS, [candidate]) == Decision((Start(key(), Work.FETCH),), None)


def test_news_do_not_shorten_the_pause_after_a_failure() -> None:
    """The server is not asked more often because it has more to say."""
    failed = replace(IDLE, has_news=True, backs_off=True, fetch_due=LATER, sweep_due=LATER + 1)
    assert decide(NOW, LIMITS, [failed]) == Decision((), LATER)
    assert decide(LATER, LIMITS, [failed]).starts == (Start(key(), Work.FETCH),)


def test_a_subscription_is_fetched_once_at_a_time() -> None:
    """Its own fetch is still under way."""
    assert decide(NOW, LIMITS, [replace(IDLE, has_news=True, fetching=True)]) == Decision((), None)


def test_nothing_is_fetched_under_a_key_and_id_that_a_request_still_uses() -> None:
    """Also where that request belongs to a subscription that is gone."""
    candidate = replace(IDLE, has_news=True)
    assert begun(decide(NOW, LIMITS, [candidate], [candidate.target]), Work.FETCH) == []
    same = several(2, has_news=True)
    same[1] = replace(same[1], target=same[0].target)
    assert begun(decide(NOW, LIMITS, same), Work.FETCH) == [key(1)]


def test_no_more_than_the_limit_are_fetched_at_once() -> None:
    """Those under way count."""
    due = several(4, has_news=True)
    assert begun(decide(NOW, LIMITS, due), Work.FETCH) == [key(1), key(2)]
    due[3] = replace(due[3], fetching=True)
    assert begun(decide(NOW, LIMITS, due), Work.FETCH) == [key(1)]


def test_whose_fetch_is_longest_ago_goes_first_and_one_never_fetched_before_all() -> None:
    """Whether it has news, or is due without."""
    due = several(3, has_news=True)
    due[2] = replace(due[2], has_news=False, fetch_due=NOW, turn=0)
    assert begun(decide(NOW, LIMITS, due), Work.FETCH) == [key(3), key(1)]


def test_what_is_in_doubt_is_polled_and_the_poll_has_a_pause_of_its_own() -> None:
    """No heartbeat beside it."""
    doubtful = replace(IDLE, in_doubt=True, heartbeat_due=0.0)
    assert decide(NOW, LIMITS, [doubtful]).starts == (Start(key(), Work.READ_AGAIN),)
    assert decide(NOW, LIMITS, [replace(doubtful, poll_due=LATER)]) == Decision((), LATER)
    assert decide(NOW, LIMITS, [replace(doubtful, polling=True)]).starts == ()


def test_a_sweep_takes_its_contacts_down_before_they_are_polled() -> None:
    """Where a poll has its pause, the sweep waits for it; where one is under way, nothing is begun."""
    due = replace(IDLE, sweep_due=NOW)
    assert decide(NOW, LIMITS, [due]).starts == (Start(key(), Work.SWEEP), Start(key(), Work.READ_AGAIN))
    assert decide(NOW, LIMITS, [replace(due, poll_due=LATER)]).starts == (Start(key(), Work.SWEEP),)
    assert decide(NOW, LIMITS, [replace(due, sweeping=True)]).starts == (Start(key(), Work.READ_AGAIN),)
    assert decide(NOW, LIMITS, [replace(due, polling=True)]).starts == ()
    assert decide(NOW, Limits(2, sweeps=False), [due]).starts == ()


def test_a_sweep_that_is_due_without_contacts_keeps_nobody_awake() -> None:
    """There is nothing to read until contacts are added, and that is said by a change of the candidate."""
    assert decide(NOW, LIMITS, [replace(IDLE, sweep_due=NOW, has_contacts=False)]) == Decision((), NOW + 30)


def test_a_heartbeat_is_for_those_that_are_well() -> None:
    """Not before the first fetch, not after one that failed: that one is tried again anyway."""
    due = replace(IDLE, heartbeat_due=NOW)
    assert decide(NOW, LIMITS, [due]).starts == (Start(key(), Work.HEARTBEAT),)
    assert decide(NOW, LIMITS, [replace(due, fetched=False)]).starts == ()
    assert decide(NOW, LIMITS, [replace(due, backs_off=True)]).starts == ()
    assert decide(NOW, Limits(2, heartbeats=False), [due]).starts == ()


@given(st.integers(1, 1000), st.floats(0, 1))
def test_pauses_grow_up_to_the_longest_and_lose_at_most_half_by_chance(failures: int, chance: float) -> None:
    """Never none at all."""
    full = retry_pause(failures, 1.0)
    assert full / 2 <= retry_pause(failures, chance) <= full <= LONGEST_PAUSE
    assert full <= retry_pause(failures + 1, 1.0)


TIMES = st.sampled_from([0.0, NOW - 1, NOW, NOW + 1, LATER])
CANDIDATES = st.builds(
    Candidate,
    key=st.integers(1, 6).map(key),
    target=st.integers(1, 4),
    turn=st.integers(0, 9),
    has_news=st.booleans(),
    backs_off=st.booleans(),
    fetching=st.booleans(),
    polling=st.booleans(),
    in_doubt=st.booleans(),
    sweeping=st.booleans(),
    fetched=st.booleans(),
    has_contacts=st.booleans(),
    fetch_due=TIMES,
    poll_due=TIMES,
    sweep_due=TIMES,
    heartbeat_due=TIMES,
)


@given(
    st.lists(CANDIDATES, max_size=6, unique_by=lambda candidate: candidate.key),
    st.builds(Limits, st.integers(1, 4), st.booleans(), st.booleans()),
    st.sets(st.integers(1, 4)),
)
def test_whatever_the_candidates_no_limit_and_no_pause_is_broken(
    candidates: list[Candidate], limits: Limits, busy: set[int]
) -> None:
    """And the next look is never for now: nothing is asked again and again at one moment."""
    decision = decide(NOW, limits, candidates, busy)
    by_key = {candidate.key: candidate for candidate in candidates}
    fetched = [by_key[each] for each in begun(decision, Work.FETCH)]
    assert len(fetched) <= max(0, limits.max_parallel - sum(each.fetching for each in candidates))
    assert len({each.target for each in fetched}) == len(fetched)
    for candidate in fetched:
        assert not candidate.fetching
        assert candidate.target not in busy
        assert candidate.fetch_due <= NOW or (candidate.has_news and not candidate.backs_off)
    polled = begun(decision, Work.READ_AGAIN) + begun(decision, Work.HEARTBEAT)
    assert len(set(polled)) == len(polled)
    for ref in polled:
        assert not by_key[ref].polling
        assert not by_key[ref].fetching
        assert ref not in begun(decision, Work.FETCH)
    assert all(by_key[each].poll_due <= NOW for each in begun(decision, Work.READ_AGAIN))
    assert decision.look_again is None or decision.look_again > NOW


@dataclass
class Reader:
    """A subscription that is read as the schedule says. `waits` counts the fetches of others since it is due."""

    number: int
    turn: int = 0
    has_news: bool = True
    failures: int = 0
    fetching: bool = False
    fetch_due: float = 0.0
    waits: int = 0
    renotified: bool = field(default=False)

    def is_due(self, now: float) -> bool:
        return not self.fetching and (self.fetch_due <= now or (self.has_news and not self.failures))


class Scheduled(RuleBasedStateMachine):
    """Subscriptions with news at the worst of times, and fetches that end as they like."""

    @initialize(count=st.integers(1, 6), most=st.integers(1, 3))
    def begin(self, count: int, most: int) -> None:
        """A start: none has been fetched."""
        self.now = 0.0
        self.turn = 0
        self.limits = Limits(most, sweeps=False, heartbeats=False)
        self.readers = [Reader(number) for number in range(count)]
        self.look_again: float | None = None
        self.look()

    def look(self) -> None:
        """Ask the schedule, and do what it says."""
        decision = decide(self.now, self.limits, self.candidates())
        self.look_again = decision.look_again
        for ref in begun(decision, Work.FETCH):
            reader = next(reader for reader in self.readers if key(reader.number) == ref)
            assert reader.is_due(self.now)
            self.turn += 1
            reader.turn, reader.fetching, reader.renotified, reader.waits = self.turn, True, False, 0
            for other in self.readers:
                other.waits += other.is_due(self.now)

    def candidates(self) -> Iterable[Candidate]:
        for reader in self.readers:
            yield replace(
                IDLE,
                key=key(reader.number),
                target=reader.number,
                turn=reader.turn,
                has_news=reader.has_news,
                backs_off=reader.failures > 0,
                fetching=reader.fetching,
                fetched=False,
                fetch_due=reader.fetch_due,
            )

    @rule(number=st.integers(0, 5))
    def notify(self, number: int) -> None:
        """A notification comes, perhaps while a fetch is under way."""
        reader = self.readers[number % len(self.readers)]
        reader.has_news = reader.renotified = True
        self.look()

    @rule(number=st.integers(0, 5), succeeds=st.booleans(), busy=st.booleans())
    def end(self, number: int, succeeds: bool, busy: bool) -> None:
        """A fetch ends; `busy`: news came during it."""
        under_way = [reader for reader in self.readers if reader.fetching]
        if not under_way:
            return
        reader = under_way[number % len(under_way)]
        reader.fetching = False
        reader.failures = 0 if succeeds else reader.failures + 1
        reader.has_news = busy or reader.renotified or not succeeds
        reader.fetch_due = self.now + (600.0 if succeeds else retry_pause(reader.failures, 0.0))
        self.look()

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0, 700.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, with a look when the schedule asked for one."""
        end = self.now + seconds
        while self.look_again is not None and self.look_again <= end:
            self.now = self.look_again
            self.look()
        self.now = end

    @invariant()
    def nobody_is_starved(self) -> None:
        """Every other one goes first once at most, and no place stays free while somebody is due."""
        for reader in self.readers:
            assert reader.waits < len(self.readers), reader
        running = sum(reader.fetching for reader in self.readers)
        assert running <= self.limits.max_parallel
        if running < self.limits.max_parallel:
            assert not [reader for reader in self.readers if reader.is_due(self.now)]


Scheduled.TestCase.settings = settings(stateful_step_count=60, max_examples=examples(60))
test_no_subscription_is_starved_however_busy_the_others_are = Scheduled.TestCase
