"""Three replicas as processes, with a real engine between them: what a client sees when something fails.

In each story every replica is read all the time, `tests/support/replicas/watching.py`. What takes longer, Valkey,
sentinels, TLS and passwords are in `test_replicas_long.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.servers import EngineServer, required, running
from tests.e2e.processes import Answer, Site, eventually
from tests.support.replicas.cluster import Cluster, Replica, address
from tests.support.replicas.watching import Watch

pytestmark = pytest.mark.long(ci=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """Debian's Redis, without persistence."""
    required("redis")
    with running("redis", tmp_path_factory.mktemp("engine")) as server:
        yield server


@pytest.fixture(scope="module")
def cluster(engine: EngineServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of their own, and the replicas, of which none runs."""
    with Cluster(tmp_path_factory.mktemp("replicas"), engine.port) as made:
        yield made


@pytest.fixture
def three(cluster: Cluster, engine: EngineServer) -> Cluster:
    """All of them run, nothing is left of the story before, and all is live."""
    engine.mend()
    cluster.mend()
    cluster.start()
    cluster.heals()
    return cluster


@pytest.fixture
def on_valkey(tmp_path: Path) -> Iterator[tuple[Cluster, EngineServer]]:
    """Three on the Valkey that a package carries, all live."""
    with running("valkey", tmp_path / "engine") as engine, Cluster(tmp_path, engine.port) as made:
        made.start()
        made.heals()
        yield made, engine


def _held(site: Site, claim: str) -> list[str]:
    answer = site.get(f"/v1/claims/{claim}")
    assert answer.status == 200
    return [person["contact"] for person in answer.json["contacts"]]


def _knows_all(three: Cluster) -> None:
    """Who owns has heard of each. On a busy machine one may be silent for a moment, and counts as gone."""
    members = three.find_owner().cluster()["members"]
    assert {replica.cluster()["address"] for replica in three.replicas} == {each["address"] for each in members}


def _logged(three: Cluster, event: str) -> int:
    """How often this was logged, at whichever replica: on a busy machine the owner may have changed a moment ago."""
    return sum(len(replica.logged(event)) for replica in three.replicas)


def _is_logged(three: Cluster, event: str, times: int) -> None:
    """Wait until it was logged so many times."""

    def found() -> None:
        assert _logged(three, event) >= times, event

    eventually(found)


def _is(answer: Answer, *statuses: int) -> Answer:
    assert answer.status in statuses, answer.body
    return answer


def _claimed(replica: Replica, key: str) -> Answer:
    """The claim of two people. On a busy machine an owner may lapse for a moment: it is asked for again."""
    body, headers = {"group": "support", "count": 2, "lease_seconds": 600}, {"Idempotency-Key": key}
    return eventually(lambda: _is(replica.site.ask_with("POST", "/v1/claims", body, headers), 201))


def _ids(watch: Watch, replica: Replica, contact: str, state: str) -> set[str]:
    """The ids of the events in which a replica's stream says so."""

    def found() -> set[str]:
        events = [event for event in watch.events[replica.number] if event.name == "change"]
        ids = {event.id for event in events if (event.data["contact"], event.data["state"]) == (contact, state)}
        assert ids, events[-3:]
        return ids

    return eventually(found)


def test_one_owner_and_everybody_answers(three: Cluster) -> None:
    """A change reaches a stream at each replica with the same id; a claim at any replica; an owner's death heals."""
    owner = three.owner()
    follower, other = three.followers()
    with Watch(three, claimers=0) as watch:
        three.truth.change(address("ann"), "BUSY")
        assert len({frozenset(_ids(watch, replica, address("ann"), "BUSY")) for replica in three.replicas}) == 1
        three.truth.change(address("ann"), "AVAILABLE")
        made = _claimed(follower, "one")
        claim = made.json["id"]
        for replica in three.replicas:
            held = eventually(lambda replica=replica: _held(replica.site, claim))  # type: ignore[misc]
            assert held == [person["contact"] for person in made.json["contacts"]]

        three.kill(owner)
        heir = three.heals()
        assert eventually(lambda: _held(heir.site, claim))
        second = _claimed(other if heir is follower else follower, "two")
        taken = {person["contact"] for answer in (made, second) for person in answer.json["contacts"]}
        assert len(taken) == 4
        eventually(lambda: _is(heir.claim(), 409))
        for each in (claim, second.json["id"]):
            eventually(lambda each=each: _is(follower.site.ask("DELETE", f"/v1/claims/{each}"), 204, 404))  # type: ignore[misc]
        three.start()
        three.heals()
        eventually(lambda: _knows_all(three))
        watch.stream_is_back(owner)
    assert watch.counted.resumed >= 3
    assert watch.counted.not_kept == 0, "each stream goes on exactly where it broke"


def test_replicas_that_stand_still(three: Cluster) -> None:
    """An owner and a follower notice by themselves when they go on."""
    owner = three.owner()
    epoch = owner.cluster()["epoch"]
    with Watch(three) as watch:
        with three.paused(owner):
            assert three.heals() is not owner
        owner.has_logged("cluster.lost")
        follower = three.followers()[0]
        with three.paused(follower):
            watch.sees_live(times=100)
        watch.stream_is_back(follower)
        watch.stream_is_back(owner)
        assert owner.cluster()["epoch"] > epoch
        watch.sees_live()
    assert watch.counted.claimed


def test_an_engine_that_fails(three: Cluster, engine: EngineServer) -> None:
    """It stands still, is killed, comes back empty, loses everything, has no memory left."""
    with Watch(three) as watch:
        followers = three.followers()
        engine.pause(paused=True)
        for replica in followers:
            replica.is_stale()
        engine.pause(paused=False)
        owner, losses = three.heals(), _logged(three, "cluster.lost")
        engine.kill()
        engine.start()
        _is_logged(three, "cluster.lost", losses + 1)
        # Where another one takes over, that has perhaps not read the last claim: on a machine so busy that the owner
        # cannot ask for three seconds, or where it has owned for less than that.
        heir, losses = three.heals(), _logged(three, "cluster.lost")
        watch.may_lose_claims |= heir is not owner
        with engine.client() as client:
            client.flushall()
            _is_logged(three, "cluster.lost", losses + 1)
            watch.may_lose_claims |= three.heals() is not heir
            failures = _logged(three, "cluster.commit-failed")
            client.config_set("maxmemory", "1")
            _is_logged(three, "cluster.commit-failed", failures + 1)
            client.config_set("maxmemory", "0")
        three.heals()
        watch.sees_live()
    assert watch.counted.claimed


def test_ways_that_fail(three: Cluster) -> None:
    """The owner's way to the engine is silent in one direction; a follower's is cut; that to the owner is slow."""
    with Watch(three) as watch:
        owner = three.owner()
        assert owner.engine_way is not None
        owner.engine_way.stall(there=False)
        assert three.heals(owner) is not owner
        owner.engine_way.mend()
        three.heals()
        follower = three.followers()[0]
        assert follower.engine_way is not None
        follower.engine_way.cut()
        follower.is_stale()
        follower.engine_way.mend()
        owner = three.heals()
        assert owner.way is not None
        owner.way.delay(0.3)
        watch.sees_live(times=100)
        owner.way.mend()
        for replica in three.replicas:
            watch.stream_is_back(replica)
    assert watch.counted.claimed


def test_a_rolling_restart(three: Cluster) -> None:
    """Each is stopped as an operator does: nothing becomes stale and no stream ends at those that stay, who go on with
    the very sessions; and the last one leaves nothing behind."""
    with Watch(three) as watch:
        for replica in three.replicas:
            watch.stream_is_back(replica)
        for replica in three.replicas:
            with watch.stays_live([each for each in three.replicas if each is not replica]):
                assert three.stop(replica) == 0
                watch.sees_live()
            three.start(replica)
            three.heals()
            watch.stream_is_back(replica)
        watch.sees_live()
    assert watch.counted.undisturbed
    assert watch.counted.claimed
    three.end()


def test_on_valkey(on_valkey: tuple[Cluster, EngineServer]) -> None:
    """An owner is killed, the engine loses everything, and nothing is left in the end."""
    three, engine = on_valkey
    with Watch(three) as watch:
        three.kill(three.owner())
        three.heals()
        with engine.client() as client:
            client.flushall()
        three.heals()
        watch.sees_live()
    assert watch.counted.resumed
    assert watch.counted.claimed
    three.end()
