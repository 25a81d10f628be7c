"""What `/metrics` shows of one of several replicas; a single process shows none of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.cluster.engine import (
    Batch,
    ClusterEngineError,
    EngineDamaged,
    EngineFull,
    EngineReadOnly,
    EngineRefused,
    EngineUnreachable,
    LogPosition,
    NotReplicated,
    Put,
    Table,
    Taken,
    TenureOver,
)
from service.cluster.lease import Role
from service.cluster.memory import MemoryEngine, MemoryServer
from service.core.clock import ManualClock, SystemClock
from service.core.engine import ClusterStatus, EngineState, SharedEngineStatus, Status
from service.core.meter import EngineCommand, EngineOutcome
from service.metrics import collector
from service.runtime.metered_engine import MeteredEngine
from tests.support.bare_service import BareService
from tests.support.fake_cluster import CLUSTER, ENGINE, MEMBERS
from tests.support.figures import Figures, documented


def office(cluster: ClusterStatus = CLUSTER) -> BareService:
    """A replica with this status, whose figures are counted."""
    made = BareService()
    made.engine.shown = Status(EngineState.LIVE, cluster=cluster)
    return made


async def shown(office: BareService) -> Figures:
    answer = await office.get("/metrics")
    assert answer.status == 200
    return Figures(answer.body.decode())


async def test_a_single_process_has_none_of_them() -> None:
    names = {figure.name for figure in (await shown(BareService())).figures()}
    assert not [name for name in names if "cluster" in name]


async def test_a_replica_has_all_that_the_docs_have() -> None:
    made = office()
    made.metrics.of_replica()
    assert (await shown(made)).figures() == {each.figure for each in documented()}


async def test_what_a_replica_is_and_knows() -> None:
    figures = await shown(office())
    assert figures.values("pws_cluster_role") == {
        ("owner",): 0, ("follower",): 1, ("candidate",): 0, ("lapsed",): 0
    }  # fmt: skip
    assert figures.value("pws_cluster_owner_known") == 1
    assert figures.value("pws_cluster_silent") == 0
    assert figures.value("pws_cluster_epoch") == 17
    assert figures.value("pws_cluster_lag_seconds") == 0.6
    assert figures.values("pws_cluster_members") == {("owner",): 1, ("follower",): 1, ("lapsed",): 0, ("silent",): 1}
    assert figures.value("pws_cluster_configurations") == 1  # one that has ended agrees with nobody any more
    assert figures.value("pws_cluster_versions") == 1
    assert figures.value("pws_cluster_takes_total") == 2
    assert figures.value("pws_cluster_losses_total") == 1
    assert figures.value("pws_cluster_waiting") == 3
    assert figures.values("pws_cluster_forwarded_total") == {("answered",): 5, ("nobody",): 1}
    assert figures.value("pws_cluster_engine_up") == 1
    assert figures.values("pws_cluster_engine_info") == {("redis", "7.2.4"): 1}
    assert figures.value("pws_cluster_engine_evicts_nothing") == 1
    assert figures.value("pws_cluster_engine_persistent") == 1


async def test_what_is_wrong() -> None:
    engine = replace(ENGINE, eviction="allkeys-lru", persistent=False, problem="it does not answer")
    members = (replace(MEMBERS[0], configuration="other", version="1.2.4"), MEMBERS[1])
    figures = await shown(
        office(replace(CLUSTER, role="candidate", owner=None, silent=True, lag=9.0, members=members, engine=engine))
    )
    assert figures.value("pws_cluster_owner_known") == 0
    assert figures.value("pws_cluster_silent") == 1
    assert figures.value("pws_cluster_configurations") == 2
    assert figures.value("pws_cluster_versions") == 2
    assert figures.value("pws_cluster_engine_up") == 0
    assert figures.value("pws_cluster_engine_evicts_nothing") == 0
    assert figures.value("pws_cluster_engine_persistent") == 0


async def test_what_is_not_known_has_no_figure() -> None:
    figures = await shown(office(replace(CLUSTER, lag=None, engine=SharedEngineStatus())))
    for name in ("lag_seconds", "engine_info", "engine_evicts_nothing", "engine_persistent"):
        assert figures.values(f"pws_cluster_{name}") == {}


def test_the_roles_are_those_of_the_lease() -> None:
    assert set(collector.ROLES) == set(Role)


async def test_commands_to_the_engine_are_counted() -> None:
    """Batches, entries and times; those that wait for something have no time."""
    made = office()
    engine = MeteredEngine(MemoryEngine(MemoryServer(SystemClock()), SystemClock()), SystemClock())
    engine.meter = made.metrics.of_replica()
    taken = await engine.take("one", "http://10.0.0.1:8080", "token")
    assert isinstance(taken, Taken)
    first = taken.begins + 1
    await engine.echo("one", b"here")
    await engine.members()
    await engine.beat(taken.epoch, 1, taken.begins, b"beat")
    await engine.commit(taken.epoch, taken.begins, Batch([(first, b"one"), (first + 1, b"two")]))
    claim = Batch([(first + 2, b"claim")], [Put(Table.HELD, "ann", b"x")])
    assert not await engine.claim(taken.epoch, first + 1, claim, ["ann"])
    again = Batch([(first + 3, b"claim")], [Put(Table.HELD, "ann", b"y")])
    assert await engine.claim(taken.epoch, first + 2, again, ["ann"])
    await engine.follow(LogPosition(), 0.01)
    await engine.snapshot()
    await engine.mark(b"mark")
    await engine.marks("0-0", 0.01)
    await engine.facts()
    await engine.release(taken.epoch, 2, first + 2, b"last", to="", handover=b"none")
    with pytest.raises(TenureOver):
        await engine.commit(taken.epoch, first + 2, Batch([(first + 3, b"late")]))
    await engine.close()
    figures = await shown(made)
    counted = {
        (each.labels["command"], each.labels["outcome"]): each.value
        for family in figures.families
        for each in family.samples
        if each.name == "pws_cluster_engine_commands_total" and each.value
    }
    assert counted == {
        **{(command.value, "ok"): 1 for command in EngineCommand},
        ("claim", "ok"): 2,
        ("commit", "tenure-over"): 1,
    }
    assert figures.value("pws_cluster_committed_entries_total") == 3
    timed = figures.values("pws_cluster_engine_command_seconds_count")
    assert timed == {(each.value,): 1 for each in EngineCommand if each not in {"follow", "marks"}} | {
        ("claim",): 2,
        ("commit",): 2,
    }


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (EngineUnreachable("", may_have_acted=True), EngineOutcome.UNREACHABLE),
        (EngineRefused(), EngineOutcome.REFUSED),
        (EngineFull(), EngineOutcome.FULL),
        (EngineReadOnly(), EngineOutcome.READ_ONLY),
        (EngineDamaged(), EngineOutcome.DAMAGED),
        (NotReplicated(), EngineOutcome.NOT_REPLICATED),
    ],
)
async def test_why_a_command_failed(
    error: ClusterEngineError, outcome: EngineOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, clock = office(), ManualClock()
    twin = MemoryEngine(MemoryServer(clock), clock)

    async def fails(_data: bytes) -> None:
        clock.advance(0.75)
        raise error

    monkeypatch.setattr(twin, "mark", fails)
    engine = MeteredEngine(twin, clock)
    engine.meter = made.metrics.of_replica()
    with pytest.raises(type(error)):
        await engine.mark(b"mark")
    figures = await shown(made)
    assert figures.value("pws_cluster_engine_commands_total", command="mark", outcome=outcome.value) == 1
    assert figures.value("pws_cluster_engine_command_seconds_sum", command="mark") == 0.75
