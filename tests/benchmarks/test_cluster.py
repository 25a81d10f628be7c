"""Whether the benchmark of replicas would notice what it looks for: each kind of fault, planted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks import cluster
from benchmarks.cluster_report import verdict
from benchmarks.failovers import Outcome, Round
from benchmarks.ledgers import ClaimLedger, EventLedger, Told, percentile
from benchmarks.replicas import agreed
from benchmarks.truth import Truth

START = 1_800_000_000.0


@pytest.fixture
def claims() -> ClaimLedger:
    """Ann is held from the second 1 to the second 5, for certain."""
    ledger = ClaimLedger()
    ledger.made("first", "c1", ["ann"], 1.0, 6.0)
    ledger.letting_go("c1", 5.0)
    return ledger


def test_somebody_held_by_two_is_found(claims: ClaimLedger) -> None:
    """Also where a third claim lies between."""
    claims.made("second", "c2", ["joe"], 2.0, 9.0)
    claims.made("third", "c3", ["ann"], 4.5, 9.0)
    (found,) = claims.doubled()
    assert found == "ann by c1 and c3 for 0.500 s"


def test_one_after_the_other_is_right(claims: ClaimLedger) -> None:
    """The next answer came when the first client had begun to let go; or when the time was over."""
    claims.made("second", "c2", ["ann"], 5.0, 7.0)
    claims.made("third", "c3", ["ann"], 7.0, 9.0)
    assert claims.doubled() == []
    assert claims.granted == 3


def test_two_claims_under_one_key_are_found(claims: ClaimLedger) -> None:
    """The same one again is right."""
    claims.made("first", "c1", ["ann"], 2.0, 6.0)
    assert (claims.replayed, claims.differing) == (1, [])
    claims.made("first", "c2", ["joe"], 3.0, 8.0)
    assert claims.differing == ["first: c1, then c2"]


def test_a_claim_that_is_gone_too_early_is_found(claims: ClaimLedger) -> None:
    """404 is right where the time is over, and where an earlier request may have let go."""
    claims.let_go("c1", 404, 6.5)
    claims.let_go("c1", 204, 5.1)
    assert claims.lost == []
    claims.let_go("c1", 404, 5.1)
    assert len(claims.lost) == 1
    claims.unanswered("c1")
    claims.let_go("c1", 404, 5.2)
    assert len(claims.lost) == 1


def tell(ledger: EventLedger, told: Told, *ids: int, state: str = "BUSY") -> None:
    """A client is told of these changes of Ann."""
    for id_ in ids:
        ledger.event(told, "change", str(id_), {"contact": "ann", "state": state, "as_of": f"at {id(told)}"})


@pytest.fixture
def events() -> tuple[EventLedger, Told, Told]:
    """Two clients, one of which was told 1 to 5."""
    ledger = EventLedger()
    one, other = (ledger.snapshot(0, "start", [{"contact": "ann", "state": "AWAY"}]) for _ in range(2))
    tell(ledger, one, 1, 2, 3, 4, 5)
    return ledger, one, other


def test_the_same_story_is_right(events: tuple[EventLedger, Told, Told]) -> None:
    """One client may be behind, and may have begun anew in between; when it was read may differ."""
    ledger, _, other = events
    tell(ledger, other, 1, 2)
    tell(ledger, ledger.snapshot(3, "not-kept", []), 4)
    assert ledger.gaps() == ledger.differing == ledger.repeated == []
    assert ledger.snapshots == {"start": 2, "not-kept": 1}


def test_a_missing_event_is_found(events: tuple[EventLedger, Told, Told]) -> None:
    """Behind a snapshot, and between two events."""
    ledger, _, other = events
    tell(ledger, other, 2, 5)
    assert [found.split()[0] for found in ledger.gaps()] == ["1", "3", "4"]


def test_an_event_that_comes_twice_is_found(events: tuple[EventLedger, Told, Told]) -> None:
    """So is one that goes back."""
    ledger, one, _ = events
    tell(ledger, one, 5, 4)
    assert ledger.repeated == ["change 5 after 5", "change 4 after 5"]


def test_an_id_with_two_meanings_is_found(events: tuple[EventLedger, Told, Told]) -> None:
    """One word is enough."""
    ledger, _, other = events
    tell(ledger, other, 1, state="DND")
    assert len(ledger.differing) == 1


def test_a_wrong_live_at_a_replica_is_found() -> None:
    """Ann has been busy for ten seconds, and one replica still calls her available, live as of now."""
    truth = Truth(["ann"], "AVAILABLE", START, 64.0)
    truth.begin("ann", "BUSY", START + 10).done = START + 10.1
    truth.forget(START + 5)
    answer: dict[str, Any] = {"contact": "ann", "freshness": "live", "source": "x", "revision": 1}
    for state, count in (("BUSY", 0), ("AVAILABLE", 1)):
        answer |= {"state": state, "as_of": datetime.fromtimestamp(START + 20, UTC).isoformat()}
        assert len(truth.check([answer], START + 20.1, START + 20.2).wrong) == count
    truth.forget(START + 11)
    assert truth.now("ann") == "BUSY"
    assert len(truth.held("ann", START, START + 30)) == 1


class _Named:
    """As much of a replica as is asked for here."""

    def __init__(self, url: str) -> None:
        self.url = url


def test_one_owner_is_one_that_all_name() -> None:
    """Not two, not one that somebody does not name, and nobody may be silent."""
    a, b = replicas = [_Named("a"), _Named("b")]

    def owner(*said: Any) -> object:
        return agreed(replicas, said)  # type: ignore[arg-type]

    assert owner({"role": "owner", "owner": "a"}, {"role": "follower", "owner": "a"}) is a
    assert owner({"role": "follower", "owner": "b"}, {"role": "owner", "owner": "b"}) is b
    assert owner({"role": "owner", "owner": "a"}, {"role": "owner", "owner": "b"}) is None
    assert owner({"role": "owner", "owner": "a"}, {"role": "follower", "owner": None}) is None
    assert owner({"role": "owner", "owner": "a"}, None) is None
    assert owner({"role": "lapsed", "owner": "a"}, {"role": "follower", "owner": "a"}) is None


def good() -> dict[str, Any]:
    """What a run without a fault finds, in short."""
    cause = {"stale_rounds": 0}
    ended = {"left_at_the_server": {"sessions": 0}, "exit_codes": [0, 0], "bugs": []}
    counts = {"wrong_live_answers": 0, "gaps": 0, "repeated": 0, "differing": 0, "late": []}
    return {
        "failovers": {**counts, **ended, "causes": {"owner-ended": cause}},
        "claims": {"doubled": 0, "differing": [], "lost": [], **ended},
        "many": {"contacts": 5000, "wrong": [], "live_s": {"max": 60.0}, **ended},
        "latency": {"not_told": 0, "added": {"p50_ms": 60.0}},
        "rates": {"not_told": 0},
        "beside": ended,
    }


@pytest.mark.parametrize(
    ("part", "key", "value", "why"),
    [
        ("failovers", "wrong_live_answers", 2, "2 wrong live answers"),
        ("failovers", "gaps", 1, "1 events were missing"),
        ("failovers", "repeated", 1, "1 events came twice"),
        ("failovers", "differing", 1, "1 events were not the same"),
        ("failovers", "late", ["round 3: not live"], "1 rounds did not end well"),
        ("failovers", "left_at_the_server", {"sessions": 1}, "left at the server"),
        ("failovers", "bugs", ["Traceback"], "a process broke"),
        ("claims", "doubled", 1, "1 times somebody was claimed twice"),
        ("claims", "lost", ["c1"], "1 claims were lost"),
        ("claims", "differing", ["k"], "1 keys had two claims"),
        ("claims", "exit_codes", [0, 1], "a process broke"),
        ("many", "wrong", ["ann"], "1 contacts were live"),
        ("rates", "not_told", 4, "4 events of the owner"),
    ],
)
def test_what_is_wrong_decides_a_run_of_replicas(part: str, key: str, value: object, why: str) -> None:
    """Each alone; no time does."""
    found = good()
    assert verdict(found) == []
    found[part][key] = value
    (said,) = verdict(found)
    assert said.startswith(f"{part}: ")
    assert why in said


def test_times_decide_only_where_that_is_asked_for() -> None:
    """A hand-over with a stale answer, very many contacts that take a minute, a follower that is late."""
    found = good()
    found["failovers"]["causes"]["owner-ended"]["stale_rounds"] = 3
    assert verdict(found) == []
    assert [why.split()[0] for why in verdict(found, targets=True)] == ["3", "5000", "a"]


def test_a_cause_is_counted_by_its_rounds() -> None:
    """Also where there was none."""
    outcome = Outcome(rounds=[Round(float(each), each + 0.5, 0.0, each % 2) for each in range(1, 101)])
    counted = cluster._cause(outcome)
    assert counted["owner_s"] == {"p50": 50.0, "p99": 99.0, "max": 100.0}
    assert counted["stale_rounds"] == 50
    assert percentile([3.0], 0.99) == 3.0
    assert cluster._cause(Outcome())["rounds"] == 0
