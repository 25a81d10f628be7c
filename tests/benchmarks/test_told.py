"""Whether the chaos run would notice a wrong state that is told over SOAP."""

from __future__ import annotations

import pytest

from benchmarks.told import SLACK, Listener, Promise, Reply, ToldFigures
from benchmarks.truth import Truth

ANN, JOE = "ann@example.com", "joe@example.com"
START = 1_800_000_000.0
BOUND, UNSURE = 60.0, 30.0


class Ear:
    """A listener, and what it counted. Ann is available, busy from 10.0 to 10.2 on, away from 200.0 to 200.2 on."""

    def __init__(self, promise: Promise) -> None:
        truth = Truth([ANN, JOE], "AVAILABLE", START - 1000.0, promise.bound)
        for state, at in (("BUSY", 10.0), ("AWAY", 200.0)):
            truth.begin(ANN, state, START + at).done = START + at + 0.2
        self.figures = ToldFigures()
        self._listener = Listener("x", truth, promise, self.figures)

    def poll(self, state: str, asked: float, as_of: float | None = None) -> list[str]:
        """Ann is polled; what is wrong."""
        known = {} if as_of is None else {ANN: START + as_of}
        self._listener.polled([ANN], Reply([(ANN, state)], START + asked, START + asked + 0.1, known))
        return self.figures.wrong

    def fetch(self, picture: dict[str, str], asked: float, **told: str) -> list[str]:
        """A fetch that tells so of `ann` and `joe`; what is wrong."""
        states = [(f"{name}@example.com", state) for name, state in told.items()]
        self._listener.fetched(picture, Reply(states, START + asked, START + asked + 0.1))
        return self.figures.wrong


@pytest.fixture
def server() -> Ear:
    """What a presence server promises: the state of now."""
    return Ear(Promise())


@pytest.fixture
def facade() -> Ear:
    """What a façade promises."""
    return Ear(Promise(BOUND, UNSURE))


def test_a_server_tells_the_state_of_now(server: Ear) -> None:
    """While a change is being made, both are right."""
    assert server.poll("AVAILABLE", 5.0) == server.poll("BUSY", 11.0) == server.poll("AVAILABLE", 10.1) == []
    assert len(server.poll("AVAILABLE", 10.5)) == 1


def test_a_state_may_be_as_old_as_the_bound(facade: Ear) -> None:
    """And no older."""
    assert facade.poll("AVAILABLE", 10.2 + BOUND) == []
    assert facade.figures.oldest == pytest.approx(BOUND)
    (problem,) = facade.poll("AVAILABLE", 10.3 + BOUND)
    assert "told as AVAILABLE" in problem


def test_a_state_is_not_older_than_what_the_service_itself_said(facade: Ear) -> None:
    """Its as_of is nearer than the bound."""
    assert facade.poll("AVAILABLE", 30.0, as_of=10.1) == []
    assert len(facade.poll("AVAILABLE", 30.0, as_of=11.0)) == 1
    assert facade.figures.by_as_of == 2


def test_an_as_of_older_than_the_bound_does_not_count(facade: Ear) -> None:
    """What is told is live, and so within the bound."""
    assert len(facade.poll("AVAILABLE", 80.0, as_of=5.0)) == 1


def test_a_state_to_come_is_wrong(facade: Ear) -> None:
    """Nobody can know it."""
    assert len(facade.poll("AWAY", 100.0)) == 1


def test_unknown_claims_nothing(facade: Ear) -> None:
    """It is counted."""
    assert facade.poll("UNKNOWN", 100.0) == []
    assert facade.fetch({}, 100.0, ann="UNKNOWN") == []
    assert (facade.figures.states, facade.figures.unknown, facade.figures.unsaid) == (0, 2, 0)


def test_a_poll_names_each_once(facade: Ear) -> None:
    """Nobody else, and nobody twice."""
    facade._listener.polled([ANN, JOE], Reply([(ANN, "BUSY")], START + 20, START + 21))
    facade._listener.polled([ANN], Reply([(ANN, "BUSY"), (ANN, "BUSY")], START + 20, START + 21))
    assert len(facade.figures.wrong) == 2


def test_a_fetch_that_does_not_name_a_contact_confirms_it(facade: Ear) -> None:
    """As if it had told the state again."""
    picture = {ANN: "BUSY"}
    assert facade.fetch(picture, 200.2 + BOUND) == []
    assert facade.figures.unsaid == 1
    assert len(facade.fetch(picture, 200.3 + BOUND)) == 1
    assert picture == {ANN: "BUSY"}


def test_without_a_fetch_a_state_may_be_older(facade: Ear) -> None:
    """By what is unsure, and a little."""
    last = START + 200.2 + BOUND + UNSURE + SLACK
    facade._listener.waits({ANN: "BUSY", JOE: "UNKNOWN"}, last)
    assert facade.figures.wrong == []
    facade._listener.waits({ANN: "BUSY"}, last + 0.1)
    assert len(facade.figures.wrong) == 1


def test_a_fetch_moves_the_picture_on(facade: Ear) -> None:
    """Whatever the spelling."""
    picture = {ANN: "BUSY"}
    assert facade.fetch(picture, 300.0, Ann="AWAY", joe="AVAILABLE") == []
    assert picture == {ANN: "AWAY", JOE: "AVAILABLE"}
