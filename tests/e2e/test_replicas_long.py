"""Replicas on Redis and on Valkey, and all that can fail between them: kills at chosen moments, the ways in each
direction, an engine with and without persistence, passwords, TLS, sentinels, and histories that chance chooses.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.cluster.servers import KINDS, EngineServer, SentinelServers, StoredData, required, running
from tests.e2e.processes import eventually
from tests.support.ports import free_port
from tests.support.replicas.background import Way
from tests.support.replicas.chaos import Chaos
from tests.support.replicas.cluster import Cluster, Replica
from tests.support.replicas.watching import Watch

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PASSWORD = "a password of the engine"


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """Each engine in its turn, with a password and without persistence."""
    required(request.param)
    with running(request.param, tmp_path_factory.mktemp("engine")) as server:
        server.set_password(PASSWORD)
        yield server


@pytest.fixture(scope="module")
def cluster(engine: EngineServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of their own, and the replicas, of which none runs."""
    folder = tmp_path_factory.mktemp("replicas")
    (folder / "engine-password").write_text(PASSWORD, "utf-8")
    with Cluster(folder, engine.port, lines=('password_file = "../engine-password"',)) as made:
        yield made


@pytest.fixture
def three(cluster: Cluster, engine: EngineServer) -> Cluster:
    """All of them run, nothing is left of the story before, and all is live."""
    engine.mend()
    engine.keep_data(kept=False)
    cluster.mend()
    cluster.start()
    cluster.heals()
    return cluster


def ways_to_the_engine(*replicas: Replica) -> list[Way]:
    """Of these."""
    return [replica.engine_way for replica in replicas if replica.engine_way is not None]


# Kills


def test_the_next_owner_is_killed_as_soon_as_it_owns(three: Cluster) -> None:
    """In the middle of its reset; the third one finishes it."""
    with Watch(three) as watch:
        first = three.owner()
        others = [replica for replica in three.replicas if replica is not first]
        times = {replica.number: len(replica.logged("cluster.taken")) for replica in others}
        three.kill(first)

        def taken() -> Replica:
            found = [each for each in others if len(each.logged("cluster.taken")) > times[each.number]]
            assert found
            return found[0]

        three.kill(eventually(taken))
        three.heals()
        three.start()
        three.heals()
        watch.sees_live()


def test_an_owner_is_killed_while_a_claim_is_under_way(three: Cluster) -> None:
    """The engine has it, and nobody was told: the client asks again under its key, and somebody is held once."""
    with Watch(three) as watch, concurrent.futures.ThreadPoolExecutor() as threads:
        owner = three.owner()
        body = {"group": "support", "lease_seconds": 60}
        key = f"a key of {owner.site.port}"
        failures = len(owner.logged("cluster.commit-failed"))
        (way,) = ways_to_the_engine(owner)
        way.stall(there=False)
        unheard = threads.submit(owner.site.ask_with, "POST", "/v1/claims", body, {"Idempotency-Key": key})
        owner.has_logged("cluster.commit-failed", failures + 1)
        three.kill(owner)
        with pytest.raises(OSError, match=r"."):
            unheard.result()
        way.mend()
        three.heals()

        def again() -> str:
            answer = three.running[0].site.ask_with("POST", "/v1/claims", body, {"Idempotency-Key": key})
            assert answer.status == 201, answer.body
            claim: str = answer.json["id"]
            return claim

        claims = {eventually(again) for _ in range(3)}
        assert len(claims) == 1
        assert three.running[0].site.ask("DELETE", f"/v1/claims/{claims.pop()}").status == 204
        three.start()
        three.heals()
        watch.sees_live()


def test_an_owner_is_killed_while_it_hands_over(three: Cluster) -> None:
    """At some moments of its end."""
    with Watch(three):
        for pause in (0.0, 0.02, 0.1):
            owner = three.owner()
            three.kill_while_it_ends(owner, pause)
            three.heals()
            three.start()
            three.heals()


def test_all_are_killed(three: Cluster) -> None:
    """Nothing that they left stays at the server."""
    with Watch(three):
        for replica in three.replicas:
            three.kill(replica)
        three.start()
        three.heals()


def test_followers_are_killed(three: Cluster) -> None:
    """One, then both; the owner goes on."""
    with Watch(three) as watch:
        owner = three.owner()
        for replica in three.followers():
            three.kill(replica)
            assert three.heals() is owner
            watch.sees_live()
        three.start()
        assert three.heals() is owner


# Standing still


def test_replicas_stand_still_one_after_another(three: Cluster) -> None:
    """Each owner is stopped when the one before goes on; then all but one at once."""
    with Watch(three) as watch:
        stopped = three.owner()
        three.pause(stopped)
        for _ in range(3):
            heir = three.heals()
            three.pause(heir)
            three.pause(stopped, paused=False)
            stopped = heir
        three.heals()
        three.pause(stopped, paused=False)
        owner = three.heals()
        both = [replica for replica in three.replicas if replica is not three.followers()[0]]
        assert owner in both
        for replica in both:
            three.pause(replica)
        three.heals()
        for replica in both:
            three.pause(replica, paused=False)
        three.heals()
        watch.sees_live()


def test_a_replica_that_stood_still_is_killed(three: Cluster) -> None:
    """It never noticed anything."""
    with Watch(three):
        owner = three.owner()
        three.pause(owner)
        three.heals()
        three.kill(owner)
        three.start()
        three.heals()


# The engine


def test_an_engine_restarts_with_its_data(three: Cluster, engine: EngineServer) -> None:
    """Streams go on where they were, no matter who owns; claims are as they were."""
    engine.keep_data()
    with Watch(three) as watch:
        for _ in range(2):
            engine.kill()
            engine.start()
            three.heals()
        with three.paused(three.owner()):
            engine.kill()
            engine.start()
            three.heals()
        three.heals()
        watch.sees_live()
    assert watch.counted.not_kept == 0


def test_an_engine_that_is_away(three: Cluster, engine: EngineServer) -> None:
    """For longer than a lease lives: nobody takes over; then it comes back."""
    with Watch(three) as watch:
        owner, followers = three.owner(), three.followers()
        engine.kill()
        for replica in followers:
            replica.is_stale()
            assert replica.site.get("/readyz").status == 503
            assert replica.claim().status == 503
        assert owner.claim().status == 503
        engine.start()
        three.heals()
        watch.sees_live()


def test_an_engine_stands_still(three: Cluster, engine: EngineServer) -> None:
    """Shortly, and for longer than a lease lives."""
    with Watch(three) as watch:
        followers = three.followers()
        engine.pause(paused=True)
        followers[0].has_logged("cluster.engine-failed")
        engine.pause(paused=False)
        three.heals()
        followers = three.followers()
        engine.pause(paused=True)
        for replica in followers:
            replica.is_stale()
        engine.pause(paused=False)
        three.heals()
        watch.sees_live()


def test_an_engine_loses_what_it_had(three: Cluster, engine: EngineServer) -> None:
    """Everything, its scripts, its connections, and what was written since a moment."""
    with Watch(three, may_lose_claims=True) as watch, engine.client() as client:
        client.flushall()
        three.heals()
        client.script_flush()
        watch.sees_live()
        engine.drop_connections()
        three.heals()
        data = StoredData(client)
        watch.sees_live(times=300)
        data.restore(client)
        three.heals()
        watch.sees_live()


def test_an_engine_is_full(three: Cluster, engine: EngineServer) -> None:
    """Queries are answered, and nothing is told but what goes out together with a removal, as a claim that follows a
    release. The same by who takes over, which alone is live."""
    with Watch(three) as watch, engine.client() as client:
        owner, followers = three.owner(), three.followers()
        failures = len(owner.logged("cluster.commit-failed"))
        client.config_set("maxmemory", "1")
        owner.has_logged("cluster.commit-failed", failures + 1)
        watch.sees_live()
        for replica in three.replicas:
            assert replica.claim().status in {201, 409, 503}
        three.kill(owner)

        def heir_is_live() -> None:
            owning = [replica for replica in followers if replica.cluster()["role"] == "owner"]
            assert [set(replica.levels()) for replica in owning] == [{"live"}]

        eventually(heir_is_live)
        for replica in followers:
            assert replica.claim().status in {201, 409, 503}
        client.config_set("maxmemory", "0")
        three.heals()
        three.start()
        three.heals()
        watch.sees_live()


# Ways


FAULTS: dict[str, Callable[[Way], None]] = {
    "silent": Way.stall,
    "silent there": lambda way: way.stall(back=False),
    "silent back": lambda way: way.stall(there=False),
    "cut": Way.cut,
    "slow": lambda way: way.delay(0.2),
    "too slow": lambda way: way.delay(2.0),
}


def test_the_owners_way_to_the_engine_fails(three: Cluster) -> None:
    """In each way: another one takes over where it has to, and all is well while it lasts."""
    with Watch(three) as watch:
        for name, fault in FAULTS.items():
            owner = three.owner()
            (way,) = ways_to_the_engine(owner)
            fault(way)
            if name == "slow":
                assert three.heals() is owner
            else:
                assert three.heals(owner) is not owner, name
            way.mend()
            three.heals()
        watch.sees_live()


def test_a_followers_way_to_the_engine_fails(three: Cluster) -> None:
    """In each way: it answers nothing live, refuses claims, and the others go on."""
    with Watch(three) as watch:
        for name, fault in FAULTS.items():
            owner, follower = three.owner(), three.followers()[0]
            (way,) = ways_to_the_engine(follower)
            fault(way)
            if name not in {"slow", "too slow"}:  # of a late one something is heard now and then
                follower.is_stale()
                assert follower.claim().status == 503, name
            assert three.heals(follower) is owner, name
            way.mend()
            three.heals()
        watch.sees_live()


def test_the_way_to_the_owner_fails(three: Cluster) -> None:
    """In each way: claims at the others are refused or late, never doubled; nobody takes over."""
    with Watch(three, claimers=4) as watch:
        for name, fault in FAULTS.items():
            owner = three.owner()
            assert owner.way is not None
            fault(owner.way)
            watch.sees_live(times=200)
            owner.way.mend()
            assert three.heals() is owner, name
    assert watch.counted.refused
    assert watch.counted.claimed


# Who is let in


def test_a_wrong_password(three: Cluster, engine: EngineServer) -> None:
    """At a start, and replaced while running; nobody has to be restarted."""
    file = three.folder / "engine-password"
    with Watch(three) as watch:
        follower = three.followers()[0]
        assert three.stop(follower) == 0
        file.write_text("a wrong one", "utf-8")
        three.start(follower)
        follower.says_problem("password_file")
        file.write_text(PASSWORD, "utf-8")
        three.heals()

        engine.set_password("the next one")
        try:
            for replica in three.replicas:
                replica.says_problem("password_file")
            file.write_text("the next one", "utf-8")
            three.heals()
        finally:
            engine.set_password(PASSWORD)
            file.write_text(PASSWORD, "utf-8")
        three.heals()
        watch.sees_live()


def test_tls(tmp_path: Path) -> None:
    """Replicas that trust the engine's authority work; one that does not answers nothing live, and says why."""
    required("redis")  # the Valkey that a package carries knows no TLS
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    names = ("chain.pem", "key.pem", "ca.pem", "other.pem")
    chain, key, ours, theirs = (tmp_path / name for name in names)
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ours)
    other.cert_pem.write_to_path(theirs)
    port = free_port()
    files = (f"tls-cert-file {chain}", f"tls-key-file {key}", f"tls-ca-cert-file {ours}", "tls-auth-clients no")
    with running("redis", tmp_path / "engine", 'save ""', f"tls-port {port}", *files) as engine:
        url, lines = f"rediss://127.0.0.1:{port}", (f'ca_file = "{ours}"',)
        with Cluster(tmp_path, engine.port, url=url, lines=lines) as cluster:
            stranger = cluster.replicas[2]
            file = stranger.folder / "pws.toml"
            right = file.read_text("utf-8")
            file.write_text(right.replace(str(ours), str(theirs)), "utf-8")
            cluster.start()
            cluster.heals(stranger)
            stranger.says_problem("certificate is not trusted")
            stranger.is_stale()
            assert stranger.claim().status == 503
            assert cluster.stop(stranger) == 0
            file.write_text(right, "utf-8")
            cluster.start()
            cluster.heals()
            with Watch(cluster):
                cluster.kill(cluster.owner())
                cluster.heals()
            cluster.end()


# Sentinels


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("durability", ["local", "replica"])
def test_sentinels(kind: str, durability: str, tmp_path: Path) -> None:
    """The primary is killed, stands still, is replaced by order, and comes back as a copy.

    Where a claim counts once a copy has it, none is lost.
    """
    servers = SentinelServers(required(kind), tmp_path / "engine")
    try:
        servers.start()
        lines = (f'durability = "{durability}"',)
        with Cluster(tmp_path, servers.first.port, url=servers.url, lines=lines) as cluster:
            cluster.start()
            cluster.heals()
            with Watch(cluster, may_lose_claims=durability == "local") as watch:
                before = servers.primary()
                before.kill()
                servers.has_moved(before)
                cluster.heals()
                before.start()
                servers.is_whole()
                cluster.heals()
                watch.sees_live()

                before = servers.primary()
                before.pause(paused=True)
                servers.has_moved(before)
                cluster.heals()
                before.pause(paused=False)
                servers.is_whole()
                cluster.heals()

                servers.fail_over()
                servers.is_whole()
                cluster.heals()
                watch.sees_live()
            assert watch.counted.claimed
            cluster.end()
    finally:
        servers.kill()


# Chance


@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails(three: Cluster, engine: EngineServer, seed: int) -> None:
    """Several faults at a time, as chance chooses them."""
    chaos = Chaos(three, engine, seed)
    try:
        with Watch(three, may_lose_claims=True) as watch:
            chaos.play(30)
            engine.mend()
            three.mend()
            three.start()
            three.heals()
            watch.sees_live()
    finally:
        print("\n".join(chaos.log))  # noqa: T201  # pytest shows it beside a failure


def test_the_last_one_leaves_nothing(three: Cluster) -> None:
    """After all of it."""
    three.end()
