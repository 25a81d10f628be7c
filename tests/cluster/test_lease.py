"""The lease as a replica sees it: a table of who may do what, and properties over random histories."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cluster.engine import LEASE, Taken
from service.cluster.lease import MARGIN, RENEW, SILENCE, Due, LeaseStep, LeaseView, Role, TakeOver, take_over

START: Final = 1000.0
USED: Final = LEASE * (1 - MARGIN)


def owner(sent: float = START, epoch: int = 5) -> LeaseView:
    """An owner since a request that was sent then."""
    return LeaseView().taken(sent, epoch)


def follower(heard: float = START, epoch: int = 5) -> LeaseView:
    """A follower that has heard its owner."""
    return LeaseView().heard_of(epoch, heard)


@pytest.mark.parametrize(
    ("view", "after", "role", "make", "read", "tell"),
    [
        (LeaseView(), 0.0, Role.CANDIDATE, False, False, False),
        (follower(), 0.0, Role.FOLLOWER, False, False, False),
        (follower(), SILENCE - 0.01, Role.FOLLOWER, False, False, False),
        (follower(), SILENCE, Role.CANDIDATE, False, False, False),
        (follower(), -0.5, Role.CANDIDATE, False, False, False),
        (owner(), 0.0, Role.OWNER, True, True, True),
        (owner(), USED - 0.01, Role.OWNER, True, True, True),
        (owner(), USED, Role.LAPSED, False, True, False),
        (owner(), 3600.0, Role.LAPSED, False, True, False),
        (owner().renewed(START + 1, 5), USED + 0.5, Role.OWNER, True, True, True),
        (owner().renewed(START + 1, 4), USED + 0.5, Role.LAPSED, False, True, False),
        (owner().refused(), 0.0, Role.OWNER, True, True, True),
        (owner().asked(START + 5).refused(), 5.0, Role.LAPSED, False, False, False),
        (owner().lost(5), 0.0, Role.CANDIDATE, False, False, False),
        (owner().lost(4), 0.0, Role.OWNER, True, True, True),
        (owner().released(5), 0.0, Role.CANDIDATE, False, False, False),
        (owner().heard_of(6, START), 0.0, Role.FOLLOWER, False, False, False),
        (owner().heard_of(4, START), 0.0, Role.OWNER, True, True, True),
        (owner().heard_of(5, START), 0.0, Role.OWNER, True, True, True),
        (follower().heard_of(5, START + 1, may_take=True), 1.0, Role.CANDIDATE, False, False, False),
    ],
)
def test_who_may_do_what(view: LeaseView, after: float, role: Role, make: bool, read: bool, tell: bool) -> None:
    """So many seconds after the start."""
    now = START + after
    assert view.role_at(now) is role
    assert (view.may_make(now), view.may_read(now), view.may_tell(now)) == (make, read, tell)


def test_what_to_ask_the_engine_for_and_when() -> None:
    """An owner beats at once and each second, a follower tries when its owner is silent, a candidate each second."""
    assert owner().due() == Due(LeaseStep.BEAT, START)
    assert owner().asked(START + 1).due() == Due(LeaseStep.BEAT, START + 1 + RENEW)
    assert owner().asked(START + 60).due().step is LeaseStep.BEAT
    assert follower().due() == Due(LeaseStep.TAKE, START + SILENCE)
    assert LeaseView().due() == Due(LeaseStep.TAKE, 0.0)
    assert LeaseView().asked(START).due() == Due(LeaseStep.TAKE, START + RENEW)
    assert LeaseView().asked(START, 1.0).due() == Due(LeaseStep.TAKE, START + 1.2 * RENEW)
    assert follower().asked(START + SILENCE).due() == Due(LeaseStep.TAKE, START + SILENCE + RENEW)
    assert owner().lost(5).asked(START).due() == Due(LeaseStep.TAKE, START + RENEW)


def test_a_release_is_answered_at_once() -> None:
    """Nobody waits until the owner would have been silent."""
    view = follower().heard_of(5, START + 1, may_take=True)
    assert view.due() == Due(LeaseStep.TAKE, START + 1)


def test_beats_are_numbered_within_an_epoch() -> None:
    """So that one that is sent twice is known."""
    view = owner().asked(START).asked(START + 1)
    assert view.number == 2
    assert view.lost(5).taken(START + 2, 6).number == 0


def test_an_epoch_below_one_that_was_seen_is_none() -> None:
    """The engine has lost it: the lease is tried for again, above it."""
    view = follower(epoch=9).asked(START + SILENCE)
    assert view.taken(START + SILENCE, 8).role is not Role.OWNER
    assert view.heard_of(8, START + SILENCE) == view
    assert view.held(12).highest == 12
    assert view.held(3).highest == 9
    assert owner(epoch=5).is_outranked(6)
    assert not owner(epoch=5).is_outranked(5)
    assert not follower(epoch=5).is_outranked(6)


def test_late_beats_do_not_make_an_owner_of_the_past_heard() -> None:
    """When it was alive counts, not when that was read."""
    view = follower(START).heard_of(5, START - 10)
    assert view.heard == START
    assert LeaseView().heard_of(5, START - 10).role_at(START) is Role.CANDIDATE


def test_only_whom_the_owner_named_adopts() -> None:
    """Once; all others reset."""
    assert take_over(Taken(2, 2, 1, 1, b"ids"), adopted=1) is TakeOver.RESET
    assert take_over(Taken(4, 4, 3, 3, b"ids"), adopted=1) is TakeOver.ADOPT
    assert take_over(Taken(2, 2, 1, 1)) is TakeOver.RESET
    assert take_over(Taken(2, 2, 1, 1, b"ids")) is TakeOver.ADOPT


class Engine:
    """The lease at the engine, whose clock goes up to 10 % faster than ours."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.epoch = 0
        self.holder: str | None = None
        self.expires = 0.0

    def take(self, name: str, now: float) -> int | None:
        if self.holder is not None and self.expires > now * self.speed:
            return None
        self.epoch += 1
        self.holder, self.expires = name, now * self.speed + LEASE
        return self.epoch

    def beat(self, name: str, epoch: int, now: float) -> bool:
        if self.holder != name or self.epoch != epoch or self.expires <= now * self.speed:
            return False
        self.expires = now * self.speed + LEASE
        return True


@given(
    st.floats(0.9, 1.09),
    st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(0.0, 4.0), st.floats(0.0, 2.0), st.sampled_from(["heard", "lost"])),
        max_size=40,
    ),
)
def test_there_are_never_two_who_may_make(speed: float, history: list[tuple[str, float, float, str]]) -> None:
    """Whatever time passes between steps, however late requests arrive, whatever replies are lost.

    Each step: a replica asks the engine for what is due, after some time; the request takes time; the reply is lost or
    not. The engine's clock goes faster or slower than ours.
    """
    engine, now = Engine(speed), 0.0
    views = {"a": LeaseView(), "b": LeaseView()}
    for name, pause, travel, reply in history:
        now += pause
        sent, view = now, views[name].asked(now)
        now += travel
        if view.due().step is LeaseStep.TAKE:
            epoch = engine.take(name, now)
            if epoch is not None and reply == "heard":
                view = view.taken(sent, epoch)
        elif engine.beat(name, view.epoch, now):
            view = view.renewed(sent, view.epoch) if reply == "heard" else view
        elif reply == "heard":
            view = view.lost(view.epoch)
        views[name] = view
        for moment in (now, now + 1.0, now + 2.0, now + 2.6):
            makers = [each for each in views if views[each].may_make(moment)]
            assert len(makers) <= 1
            if makers:
                assert engine.holder == makers[0]
                assert engine.expires > moment * speed
