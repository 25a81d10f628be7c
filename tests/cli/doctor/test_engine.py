"""What `pws doctor` finds at the engine that replicas share, and that it leaves nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.cli.doctor import engine
from service.cli.shared.findings import Finding, Severity
from service.cluster.engine import ClusterEngineError, EngineFacts, EngineUnreachable
from service.cluster.memory import MemoryEngine, MemoryServer
from service.config import Config, load
from service.core.clock import SystemClock
from service.runtime import replicas
from tests.cluster.servers import EngineServer, binary, running
from tests.support.configuration import BASE
from tests.support.ports import free_port

FIT = EngineFacts("redis", "7.2.4", "noeviction", True, 1, True)

Configured = Callable[..., Config]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """A configuration with an engine at this port."""

    def configured(port: int, lines: str = "", scheme: str = "redis", user: str = "") -> Config:
        text = (
            f'[cluster]\nurl = "{scheme}://{user}127.0.0.1:{port}"\nadvertise = "http://127.0.0.1:1"\n'
            f'secret = "a secret of the replicas"\n{lines}\n'
        )
        (tmp_path / "pws.toml").write_text(BASE + text, "utf-8")
        return load(tmp_path / "pws.toml", {})

    return configured


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """A Redis of its own, which keeps nothing on disk."""
    if binary("redis") is None:
        pytest.skip("no redis-server here")
    with running("redis", tmp_path_factory.mktemp("engine"), 'save ""', "enable-debug-command yes") as server:
        yield server


@pytest.fixture
def operator(real: EngineServer) -> Iterator[redis.Redis]:
    """Who sets it up; what was set is put back at the end."""
    client = real.client()
    yield client
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("appendonly", "no")
    client.close()


class TrialTwin(MemoryEngine):
    """The twin, with facts as a test says."""

    said: EngineFacts | ClusterEngineError = FIT
    server: MemoryServer
    erased = 0

    async def facts(self) -> EngineFacts:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def erase(self) -> None:
        self.erased += 1
        self.server.rewind()


@pytest.fixture
async def twin(monkeypatch: pytest.MonkeyPatch) -> TrialTwin:
    """An engine whose facts a test chooses."""
    server = MemoryServer(SystemClock())
    made = TrialTwin(server, SystemClock())
    made.server = server
    monkeypatch.setattr(replicas, "engine_of", lambda *_words, **_more: made)
    return made


async def found(config: Config) -> list[Finding]:
    findings: list[Finding] = []
    assert config.cluster is not None
    is_fit = await engine.look(config, config.cluster, findings.append)
    assert is_fit == (await _is_usable(findings))
    return findings


async def _is_usable(findings: list[Finding]) -> bool:
    return any("a round of what replicas do" in finding.what for finding in findings)


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.what, finding.fix) for finding in findings if finding.level is not Severity.OK]


async def test_one_that_is_fit(configured: Configured, real: EngineServer, operator: redis.Redis) -> None:
    """Everything is said, the trial goes well, and what replicas have there is as before."""
    operator.config_set("appendonly", "yes")
    kept = "{pws:pws}:epoch"
    operator.set(kept, "7")
    try:
        findings = await found(configured(real.port))
        assert wrong(findings) == []
        assert {finding.check for finding in findings} == {f"engine 127.0.0.1:{real.port}"}
        words = [finding.what for finding in findings]
        assert words[0].startswith("Redis 7")
        assert any("maxmemory-policy noeviction" in word for word in words)
        assert any("it keeps its data on disk" in word for word in words)
        assert operator.keys("*") == [kept.encode()]
        assert operator.get(kept) == b"7"
    finally:
        operator.delete(kept)


async def test_what_it_is_set_to(configured: Configured, real: EngineServer, operator: redis.Redis) -> None:
    """A policy that drops what replicas need is a problem; data in memory alone are a warning."""
    operator.config_set("maxmemory-policy", "allkeys-lru")
    findings = await found(configured(real.port))
    (policy, how), (disk, means) = wrong(findings)
    assert policy.startswith("expected maxmemory-policy noeviction, found allkeys-lru")
    assert how.startswith("CONFIG SET maxmemory-policy noeviction")
    assert disk.startswith("it keeps its data in memory alone: after a restart of it")
    assert "appendonly yes" in means


async def test_it_is_not_let_in(
    configured: Configured, real: EngineServer, operator: redis.Redis, tmp_path: Path
) -> None:
    """No password, a wrong one, and a user who may not do all of it."""
    password = tmp_path / "password"
    operator.config_set("requirepass", "right")
    try:
        assert wrong(await found(configured(real.port))) == [
            ("it wants a password, and none is configured", "set cluster.password_file")
        ]
        password.write_text("wrong")
        ((what, fix),) = wrong(await found(configured(real.port, 'password_file = "password"')))
        assert "refuses us" in what
        assert fix == "check password_file and the user's rights"
        password.write_text("right\n")
        findings = await found(configured(real.port, 'password_file = "password"'))
        assert not [finding for finding in findings if finding.level is Severity.PROBLEM]
        operator.acl_setuser(
            "app", enabled=True, passwords=["+mine"], categories=["+@all"], commands=["-xadd"], keys=["{pws:pws}:*"]
        )
        password.write_text("mine")
        *_, (what, fix) = wrong(await found(configured(real.port, 'password_file = "password"', user="app@")))
        assert "the user executing the script can't run this command" in what.lower()
        assert fix == "give the user in cluster.url all commands on keys ~{pws:pws}:*, and INFO"
    finally:
        operator.config_set("requirepass", "")
        operator.acl_deluser("app")


async def test_it_is_not_there_or_speaks_without_tls(configured: Configured, real: EngineServer) -> None:
    port = free_port()
    ((_, fix),) = wrong(await found(configured(port)))
    assert fix == "start Redis or Valkey there, correct cluster.url, or see to the network between"
    ((what, fix),) = wrong(await found(configured(real.port, scheme="rediss")))
    assert what == "did not answer in time"
    assert fix.endswith("; where its port is without TLS, write redis:// in cluster.url")


async def test_memory_is_short(configured: Configured, real: EngineServer, operator: redis.Redis) -> None:
    operator.config_set("maxmemory", "1")
    try:
        *_, (what, fix) = wrong(await found(configured(real.port)))
        assert "no memory left" in what
        assert "maxmemory" in fix
    finally:
        operator.config_set("maxmemory", "0")


async def test_one_that_is_too_old_is_not_tried(configured: Configured, twin: TrialTwin) -> None:
    twin.said = FIT._replace(version="6.2.14")
    assert wrong(await found(configured(1))) == [
        ("expected Redis 7 or later, or Valkey, found Redis 6.2.14", "upgrade it")
    ]


async def test_valkey_counts_its_own_versions(configured: Configured, twin: TrialTwin) -> None:
    twin.said = FIT._replace(name="valkey", version="9.1.0")
    assert wrong(await found(configured(1))) == []
    assert twin.erased == 1


async def test_a_copy_is_not_tried(configured: Configured, twin: TrialTwin) -> None:
    twin.said = FIT._replace(is_primary=False)
    ((what, fix),) = wrong(await found(configured(1)))
    assert what == "expected a primary, found a copy of another one, which takes no writes"
    assert "redis+sentinel://" in fix


async def test_claims_that_need_a_copy_need_one(configured: Configured, twin: TrialTwin) -> None:
    twin.said = FIT._replace(replicas=0)
    assert wrong(await found(configured(1))) == []
    ((what, _),) = wrong(await found(configured(1, 'durability = "replica"')))
    assert what == 'expected a copy of it, since cluster.durability is "replica", found none: no claim is granted'


async def test_a_primary_that_sentinels_watch_stops_writing_where_it_is_cut_off(
    configured: Configured, twin: TrialTwin
) -> None:
    twin.said = FIT._replace(fewest_copies=0)
    assert wrong(await found(configured(1))) == []
    config = configured(1)
    assert config.cluster is not None
    section = config.cluster.model_copy(update={"url": "redis+sentinel://s1:26379,s2:26379,s3:26379/main/0"})
    config = config.model_copy(update={"cluster": section})
    ((what, fix),) = wrong(await found(config))
    assert what.startswith("expected min-replicas-to-write 1")
    assert "CONFIG SET min-replicas-to-write 1" in fix
    twin.said = FIT._replace(fewest_copies=1)
    assert wrong(await found(config)) == []


async def test_one_that_says_little_is_a_warning(configured: Configured, twin: TrialTwin) -> None:
    """As hosted ones, which do not let everybody ask."""
    twin.said = FIT._replace(eviction=None, persistent=None, replicas=None)
    findings = await found(configured(1))
    assert {finding.level for finding in findings} == {Severity.OK, Severity.WARNING}
    assert [what.partition(",")[0] for what, _ in wrong(findings)] == [
        "it does not say its maxmemory-policy",
        "it does not say whether it keeps its data on disk; where it does not: after a restart of it ids go on higher",
    ]


async def test_what_the_trial_wrote_is_removed_when_it_is_broken_off(
    configured: Configured, twin: TrialTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, config = asyncio.Event(), configured(1)

    async def stalled(_data: bytes) -> None:
        entered.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(twin, "mark", stalled)
    assert config.cluster is not None
    looking = asyncio.create_task(engine.look(config, config.cluster, lambda _: None))
    await entered.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert twin.erased == 1


async def test_what_cannot_be_removed_is_told(
    configured: Configured, twin: TrialTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        raise EngineUnreachable("gone", may_have_acted=False)

    monkeypatch.setattr(twin, "erase", fails)
    assert wrong(await found(configured(1))) == [
        ("what the trial wrote could not be removed", "delete the keys with `doctor-` in their names")
    ]


async def test_only_a_trial_is_erased(configured: Configured) -> None:
    config = configured(1)
    assert config.cluster is not None
    made = replicas.engine_of(config, config.cluster)
    with pytest.raises(ValueError, match="only the keys of a trial"):
        await made.erase()
    await made.close()
