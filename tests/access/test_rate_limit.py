"""How fast one client may send requests."""

from __future__ import annotations

import pytest

from service.access.log_limit import AGAIN, MOST, LogThrottle
from service.access.rate_limit import RateLimiter
from service.core.clock import ManualClock


def test_a_burst_passes_and_then_one_for_each_interval() -> None:
    clock = ManualClock()
    rates = RateLimiter(clock, per_second=10, burst=3)
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0]
    assert rates.take("a") == pytest.approx(0.1)
    clock.advance(0.1)
    assert rates.take("a") == 0
    assert rates.take("a") == pytest.approx(0.1)
    clock.advance(60)
    assert [rates.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_a_refused_request_costs_nothing() -> None:
    """Anybody who goes on asking too fast gets as many answers as anybody who keeps to the limit."""
    clock = ManualClock()
    rates = RateLimiter(clock, per_second=10, burst=1)
    taken = 0
    for _ in range(1000):
        taken += rates.take("a") == 0
        clock.advance(0.01)
    assert 99 <= taken <= 101


def test_everybody_has_a_bucket_of_their_own() -> None:
    rates = RateLimiter(ManualClock(), per_second=1, burst=1)
    assert rates.take("a") == rates.take("b") == 0
    assert rates.take("a") > 0


def test_without_a_limit_nobody_is_counted() -> None:
    rates = RateLimiter(ManualClock(), per_second=0, burst=1)
    assert not any(rates.take("a") for _ in range(1000))
    assert len(rates) == 0


def test_others_cannot_push_a_bucket_out() -> None:
    """An empty bucket stays empty, however many newcomers there are; those share one."""
    clock = ManualClock()
    rates = RateLimiter(clock, per_second=0.1, burst=1, size=10)
    assert rates.take("greedy") == 0
    for number in range(1000):
        rates.take(f"accomplice {number}")
    assert len(rates) <= 11
    assert rates.take("greedy") > 0
    assert rates.take("somebody new") > 0


def test_those_who_have_been_quiet_make_room() -> None:
    clock = ManualClock()
    rates = RateLimiter(clock, per_second=1, burst=2, size=10)
    for number in range(10):
        rates.take(f"old {number}")
    clock.advance(10)
    assert [rates.take("new") for _ in range(2)] == [0, 0]
    for number in range(20):
        assert rates.take(f"another {number}") == 0
        clock.advance(1)
    assert len(rates) <= 10


def test_somebody_is_told_of_once_in_a_while() -> None:
    clock = ManualClock()
    throttle = LogThrottle(clock)
    assert throttle.is_due("10.0.0.1")
    assert not throttle.is_due("10.0.0.1")
    assert throttle.is_due("10.0.0.2")
    clock.advance(AGAIN)
    assert throttle.is_due("10.0.0.1")


def test_a_crowd_is_told_of_in_part() -> None:
    """The log cannot be filled from many addresses either."""
    clock = ManualClock()
    throttle = LogThrottle(clock)
    assert sum(throttle.is_due(str(number)) for number in range(10 * MOST)) == MOST
    clock.advance(AGAIN)
    assert throttle.is_due("one more")
