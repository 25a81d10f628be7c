"""What replicas say of themselves, of each other and of their engine, as it changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.core.engine import ClusterStatus, MemberState
from service.runtime.forward_failures import RECENT, ForwardFailures
from service.runtime.replica_engine import ReplicaEngine
from tests.support.virtual_cluster import BOUND, Process, VirtualCluster
from tests.support.virtual_office import names
from tests.support.virtual_time import run

CONTACTS = names(3)
HEALS = 30.0


def said(process: Process) -> ClusterStatus:
    """What a replica says."""
    found = process.routes.status().cluster
    assert found is not None
    return found


def states(process: Process) -> dict[str, MemberState]:
    """What it says of each member, by the first letter of its name."""
    return {member.replica[0]: member.state for member in said(process).members}


def test_a_follower_says_at_once_who_has_fallen_silent_and_later_who_owns() -> None:
    async def story() -> None:
        three = VirtualCluster(CONTACTS)
        try:
            for name in ("a", "b", "c"):
                three.start(name)
            await three.heal(HEALS)
            await three.pass_time(2.0)
            owner = three.owner
            assert owner is not None
            follower, other = (each for each in three.processes.values() if each is not owner)
            every = {each.name[0]: MemberState.FOLLOWER for each in three.processes.values()}
            assert states(follower) == states(owner) == every | {owner.name[0]: MemberState.OWNER}
            assert (said(owner).role, said(owner).takes, said(owner).losses) == ("owner", 1, 0)
            before = said(follower)
            assert (before.role, before.takes, before.silent) == ("follower", 0, False)
            assert before.lag is not None
            assert before.owner == said(owner).address

            await three.kill(owner.name)
            while not said(follower).silent:
                await three.pass_time(0.1)
            assert states(follower)[owner.name[0]] is MemberState.SILENT
            assert states(follower)[follower.name[0]] is MemberState.FOLLOWER
            await three.heal(HEALS)
            await three.pass_time(4.0)
            heir = three.owner
            assert heir is not None
            for process in (follower, other):
                assert states(process)[heir.name[0]] is MemberState.OWNER
                assert states(process)[owner.name[0]] is MemberState.SILENT
                assert said(process).epoch > before.epoch
            assert said(heir).takes == 1
        finally:
            await three.close()

    run(story())


def test_what_is_wrong_with_the_engine_is_said_until_it_is_over() -> None:
    """Nobody calls itself silent, whatever reaches the engine."""

    async def story() -> None:
        one = VirtualCluster(CONTACTS)
        try:
            process = one.start("a")
            await one.heal(HEALS)
            await one.pass_time(2.0)
            assert said(process).engine.problem is None
            await one.pass_time(0.1)  # it is asked now
            assert said(process).engine.name == "memory"
            one.server.up = False
            await one.pass_time(8.0)
            assert said(process).engine.problem is not None
            assert said(process).role == "lapsed"
            assert states(process) == {"a": MemberState.LAPSED}
            one.server.up = True
            await one.pass_time(5.0)  # it loses the lease and takes it anew
            await one.heal(HEALS)
            assert said(process).engine.problem is None
            assert states(process) == {"a": MemberState.OWNER}
        finally:
            await one.close()

    run(story())


def test_an_old_engine_and_a_shared_address_are_problems(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are said once in the log, and in the status until they are over."""

    async def story() -> None:
        two = VirtualCluster(CONTACTS)
        facts = two.server.facts()
        monkeypatch.setattr(two.server, "facts", lambda: facts._replace(name="redis", version="6.2.14"))
        try:
            for name in ("a", "b"):
                two.start(name)
            await two.heal(HEALS)
            follower = next(each for each in two.processes.values() if each is not two.owner)
            replica, was = follower.replica, follower.replica.identity
            replica.identity = replace(
                was, address=next(each for each in ("http://a", "http://b") if each != was.address)
            )
            await two.pass_time(10.0)
            for process in two.processes.values():
                said = [problem.what for problem in process.routes.status().problems]
                assert any("Redis 6.2.14, which is too old" in each for each in said)
                assert any(f"is at {replica.identity.address}" in each for each in said)
            logged = [record for record in caplog.records if getattr(record, "event", "") == "cluster.problem"]
            assert len(logged) == 4
            replica.identity = was
            monkeypatch.setattr(two.server, "facts", lambda: facts._replace(name="redis", version="7.0.0"))
            await two.pass_time(70.0)
            for process in two.processes.values():
                assert not process.routes.status().problems
            assert len(logged) == 4
        finally:
            await two.close()

    run(story())


def test_an_owner_that_does_not_answer_what_is_passed_on_is_a_problem() -> None:
    """Until it answers, or for a while after the last try; another one's failures are none."""

    async def story() -> None:
        two = VirtualCluster(CONTACTS)
        try:
            for name in ("a", "b"):
                two.start(name)
            await two.heal(HEALS)
            owner = two.owner
            assert owner is not None
            (follower,) = (each for each in two.processes.values() if each is not owner)
            failures = ForwardFailures()
            engine = ReplicaEngine(follower.replica, follower.store, BOUND, follower.clock, failures=failures)

            def problems() -> list[str]:
                return [each.what for each in engine.status().problems]

            failures.fails("http://somewhere", "gone")
            assert not problems()
            failures.fails(owner.address, "it takes no connection")
            (problem,) = problems()
            assert "it takes no connection" in problem
            assert owner.address in problem
            failures.works(owner.address)
            assert not problems()
            failures.fails(owner.address, "it takes no connection")
            await two.pass_time(RECENT + 1.0)
            assert not problems()
        finally:
            await two.close()

    run(story())
