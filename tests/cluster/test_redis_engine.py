"""Redis and Valkey when something is wrong: what is raised, what was written, and that it goes on afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import pytest
import redis.exceptions as failures
import trustme

from service.cluster import redis_connections, redis_engine, wire
from service.cluster.engine import (
    Batch,
    BeatPlace,
    EngineDamaged,
    EngineFull,
    EngineReadOnly,
    EngineRefused,
    EngineUnreachable,
    Holder,
    LeaseLost,
    LogPosition,
    LogRewound,
    News,
    NotReplicated,
    Put,
    Table,
    Taken,
)
from service.cluster.redis_connections import RedisConnections
from service.cluster.redis_engine import RedisEngine
from service.cluster.wire import DamagedBytes
from service.core.engine_address import EngineAddress
from tests.cluster.conftest import PATIENCE, RealBackend
from tests.cluster.servers import KINDS, EngineServer, required, running, until
from tests.support.ports import free_port
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

SHORT = 0.3
"""Seconds that a test waits for an answer that does not come."""


@asynccontextmanager
async def engine_at(port: int, unit: str = "u", **options: Any) -> AsyncIterator[RedisEngine]:
    """An engine on loopback."""
    options.setdefault("timeout", PATIENCE)
    engine = RedisEngine(EngineAddress((("127.0.0.1", port),)), unit, **options)
    try:
        yield engine
    finally:
        await engine.close()


async def owned(engine: RedisEngine, replica: str = "one") -> Taken:
    """The lease, which is free."""
    taken = await engine.take(replica, f"http://{replica}", f"token of {replica}")
    assert isinstance(taken, Taken)
    return taken


def one(here: int) -> Batch:
    """A batch with one entry and one value."""
    return Batch([(here + 1, b"x")], [Put(Table.RECORDS, "ann", b"1")])


@pytest.fixture
async def through(real: RealBackend) -> AsyncIterator[tuple[RedisEngine, TcpProxy]]:
    """An engine behind a proxy."""
    async with AsyncExitStack() as opened:
        proxy = await opened.enter_async_context(tcp_proxy(real.server.port))
        yield await opened.enter_async_context(engine_at(proxy.port, real.unit)), proxy


@asynccontextmanager
async def hasty_at(port: int, unit: str = "u") -> AsyncIterator[RedisEngine]:
    """An engine that soon gives up what is not answered. Its connection is there, however long that took."""
    async with engine_at(port, unit, timeout=SHORT) as engine:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(EngineUnreachable):
                    await engine.members()
                    break
        yield engine


async def scripts_are_known(real: RealBackend) -> None:
    """To the server: else the answer that is lost says that it has to be sent a script."""
    async with engine_at(real.server.port, f"{real.unit}-known") as engine:
        taken = await owned(engine)
        here = taken.begins
        await engine.beat(taken.epoch, 1, here, b"beat")
        await engine.claim(taken.epoch, here, Batch([(here + 1, b"x")], [Put(Table.HELD, "ann", b"c")]), ["ann"])
        await engine.release(taken.epoch, 2, here + 1, b"last", to="", handover=b"")


async def somebody_waits(real: RealBackend) -> None:
    """Until the server has a read that waits for something new."""
    await until(lambda: real.client.info("clients")["blocked_clients"] == 1)


# Replies to something else


ANOTHER: Final[tuple[Any, ...]] = (
    None,
    7,
    b"OK",
    [],
    [7],
    [b"ann"],
    [b"1-0", [b"v", b"1"]],
    [[b"{pws:u}:log", [[b"1-0", [b"v"]]]]],
    [b"ann", b"1", b"bob", b"2"],
)
"""What a command is answered where a connection gives the answers to other ones."""


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.take("one", "http://one", "t"),
        lambda engine: engine.beat(1, 1, 1, b""),
        lambda engine: engine.commit(1, 1, one(1)),
        lambda engine: engine.claim(1, 1, Batch([(2, b"x")], [Put(Table.HELD, "ann", b"1")]), ["ann"]),
        lambda engine: engine.members(),
        lambda engine: engine.follow(LogPosition(1), 0),
        lambda engine: engine.snapshot(),
        lambda engine: engine.marks("1-0", 0),
        lambda engine: engine.facts(),
    ],
)
async def test_an_answer_to_something_else(
    ask: Callable[[RedisEngine], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing of the lease, and is no bug: what was asked may have been done, and connections are made anew."""
    dropped: list[str] = []
    doubts: list[bool] = []

    async def drop(_: object) -> None:
        dropped.append("all")

    monkeypatch.setattr(RedisConnections, "_drop_connections", drop)
    for answer in ANOTHER:

        async def same(*_: object, given: Any = answer, **_more: object) -> Any:
            return given

        async def with_copies(*_: object, given: Any = answer, **_more: object) -> Any:
            return given, 0

        for name in ("do", "read", "read_together"):
            monkeypatch.setattr(RedisConnections, name, same)
        monkeypatch.setattr(RedisConnections, "run", with_copies)
        async with engine_at(9) as engine:
            with contextlib.suppress(EngineDamaged):  # what another program may have written
                try:
                    await ask(engine)
                except EngineUnreachable as error:
                    doubts.append(error.may_have_acted)
            assert len(dropped) == len(doubts)
    assert set(doubts) == {True}


# Replies that are lost


async def test_a_command_without_an_answer_is_sent_once(real: RealBackend) -> None:
    """It was carried out; the caller learns that it may have been, and asking again does it no second time."""
    async with engine_at(real.server.port, real.unit) as engine, tcp_proxy(real.server.port) as proxy:
        taken = await owned(engine)
        await engine.commit(taken.epoch, taken.begins, Batch([(taken.begins + 1, b"known")]))
        async with hasty_at(proxy.port, real.unit) as hasty:
            proxy.back.stall()
            sent, connections = proxy.there.bytes, proxy.connections
            with pytest.raises(EngineUnreachable, match=f"127.0.0.1:{proxy.port} did not answer in time") as lost:
                await hasty.commit(taken.epoch, taken.begins + 1, one(taken.begins + 1))
            assert lost.value.may_have_acted
            await until(lambda: real.client.xlen(real.keys["log"]) == 3)
            once = proxy.there.bytes - sent
            assert once < 2 * len(str(taken.epoch)) + 700, "one command"
            assert proxy.connections == connections
        await engine.commit(taken.epoch, taken.begins + 1, one(taken.begins + 1))
        assert real.client.xlen(real.keys["log"]) == 3


@pytest.mark.parametrize("verb", ["take", "beat", "claim", "release"])
async def test_what_was_carried_out_unheard_may_be_asked_again(real: RealBackend, verb: str) -> None:
    """Each verb of an owner, with its reply lost."""
    async with engine_at(real.server.port, real.unit) as engine, tcp_proxy(real.server.port) as proxy:
        taken = Taken(0, 0, 0, 0) if verb == "take" else await owned(engine)
        here = taken.begins
        claim = Batch([(here + 1, b"made")], [Put(Table.HELD, "ann", b"c")])
        calls: dict[str, Callable[[RedisEngine], Awaitable[object]]] = {
            "take": lambda engine: engine.take("one", "http://one", "token"),
            "beat": lambda engine: engine.beat(taken.epoch, 1, here, b"beat"),
            "claim": lambda engine: engine.claim(taken.epoch, here, claim, ["ann"]),
            "release": lambda engine: engine.release(taken.epoch, 1, here, b"last", to="two", handover=b"ids"),
        }
        is_done: dict[str, Callable[[], object]] = {
            "take": lambda: real.client.exists(real.keys["lease"]),
            "beat": lambda: real.client.xlen(real.keys["beat"]) == 1,
            "claim": lambda: real.client.xlen(real.keys["log"]) == 2,
            "release": lambda: not real.client.exists(real.keys["lease"]),
        }
        await scripts_are_known(real)
        async with hasty_at(proxy.port, real.unit) as hasty:
            proxy.back.stall()
            with pytest.raises(EngineUnreachable):
                await calls[verb](hasty)
            await until(is_done[verb])
        again = await calls[verb](engine)
        news = await engine.follow(LogPosition(), 0)
    match verb:
        case "take":
            assert isinstance(again, Taken)
            assert len(news.entries) == 1
        case "claim":
            assert again == frozenset()
            assert len(news.entries) == 2
        case _:
            assert len(news.beats) == 1
    assert bool(real.client.exists(real.keys["lease"])) == (verb != "release")


async def test_a_request_that_never_arrives(real: RealBackend) -> None:
    """Nobody can tell it from a reply that was lost."""
    async with engine_at(real.server.port, real.unit) as engine, tcp_proxy(real.server.port) as proxy:
        taken = await owned(engine)
        async with hasty_at(proxy.port, real.unit) as hasty:
            proxy.there.stall()
            with pytest.raises(EngineUnreachable) as lost:
                await hasty.commit(taken.epoch, taken.begins, one(taken.begins))
            assert lost.value.may_have_acted
        assert real.client.xlen(real.keys["log"]) == 1


async def test_a_connection_that_breaks_off_is_made_anew(
    real: RealBackend, through: tuple[RedisEngine, TcpProxy]
) -> None:
    """A read that waits hears of it at once; the next one goes on from the same place."""
    engine, proxy = through
    taken = await owned(engine)
    waiting = asyncio.create_task(engine.follow(LogPosition(taken.begins), 30.0))
    await somebody_waits(real)
    proxy.cut()
    with pytest.raises(EngineUnreachable):
        await waiting
    await engine.commit(taken.epoch, taken.begins, one(taken.begins))
    assert len((await engine.follow(LogPosition(taken.begins), 0)).entries) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed"),
            "closed while it was used",
        ),
        (AttributeError("'NoneType' object has no attribute 'writelines'"), "closed while it was used"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (asyncio.IncompleteReadError(b"", 1), "0 bytes read"),
        (TimeoutError(), "TimeoutError$"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), "UnicodeDecodeError: "),
        (KeyError("of a bug"), "KeyError: 'of a bug'"),
    ],
)
async def test_whatever_the_package_raises_is_ours(
    through: tuple[RedisEngine, TcpProxy], monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    """A connection that breaks off as it is used comes out as any error of Python's: none ends what asks."""
    engine, _ = through

    async def broken(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(engine._connections._commands, "execute_command", broken)
        with pytest.raises(EngineUnreachable, match=words) as lost:
            await engine.members()
        assert lost.value.may_have_acted
    assert await engine.members() == {}


async def test_connections_that_are_closed_while_others_use_them(real: RealBackend) -> None:
    """Whenever it comes, as after the engine has become a copy: the command is answered, or fails as others do."""
    async with engine_at(real.server.port) as engine:
        await engine.members()
        for turns in range(1, 21):
            asking = [asyncio.create_task(ask()) for ask in (engine.members, engine.snapshot, engine.facts)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await engine._connections._drop_connections()
            _, running = await asyncio.wait(asking, timeout=PATIENCE)
            assert not running, f"nothing comes of it after {turns} turns"
            for task in asking:
                with contextlib.suppress(EngineUnreachable):
                    task.result()
        assert await engine.members() == {}


async def test_a_connection_that_does_not_close(real: RealBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said stays that the engine is a copy."""
    async with engine_at(real.server.port) as engine:

        async def broken(*_: object, **__: object) -> None:
            raise failures.ReadOnlyError("You can't write against a read only replica.")

        async def closes_never(**_: object) -> None:
            raise failures.TimeoutError("Timed out closing connection after 1.0")

        with monkeypatch.context() as patched:
            patched.setattr(engine._connections._commands, "execute_command", broken)
            patched.setattr(engine._connections._readers.connection_pool, "disconnect", closes_never)
            with pytest.raises(EngineReadOnly):
                await engine.mark(b"m")


async def test_a_read_that_is_given_up_leaves_no_answer_to_the_next(
    real: RealBackend, through: tuple[RedisEngine, TcpProxy]
) -> None:
    """Its connection is closed."""
    engine, _ = through
    taken = await owned(engine)
    waiting = asyncio.create_task(engine.follow(LogPosition(taken.begins), 30.0))
    await somebody_waits(real)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await engine.mark(b"m")
    assert [mark.data for mark in await engine.marks("0-0", 0.1)] == [b"m"]
    assert await engine.follow(LogPosition(taken.begins), 0) == News()


async def test_a_cancellation_is_never_lost(real: RealBackend) -> None:
    """Whenever it comes: a task that asks the engine again and again ends with the first one."""
    async with engine_at(real.server.port) as engine:

        async def ask() -> None:
            while True:
                await engine.members()

        await engine.members()
        for turns in range(2, 42):
            asking = asyncio.create_task(ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            _, running = await asyncio.wait({asking}, timeout=PATIENCE)
            assert not running, f"it goes on after a cancellation in its turn {turns}"
            with pytest.raises(asyncio.CancelledError):
                await asking


@pytest.mark.parametrize("seconds", [0.5, 1.0, 60.0])
async def test_waiting_is_shorter_than_the_time_out(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the caller would wait: nothing new is no failure, and half of the time is left to say so."""
    blocked: list[float] = []

    async def nothing_new(*command: Any) -> None:
        blocked.append(command[command.index("BLOCK") + 1] / 1000)

    async with engine_at(9, timeout=seconds) as engine:
        readers = engine._connections._readers
        monkeypatch.setattr(readers, "execute_command", nothing_new)
        assert await engine.follow(LogPosition(), 3600.0) == News()
        assert list(await engine.marks("0-0", 3600.0)) == []
        longest = readers.connection_pool.connection_kwargs["socket_timeout"] / 2
    assert blocked == [longest, longest]
    assert longest >= redis_connections._READING / 2


# Engines that end, stop, begin anew


async def test_a_lease_ends_by_the_engines_clock(real: RealBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its owner does."""
    async with engine_at(real.server.port, real.unit) as engine:
        first = await owned(engine)
        for number in range(1, 5):
            await engine.beat(first.epoch, number, first.begins, b"beat")
        monkeypatch.setattr(redis_engine, "_LIFETIME", "40")  # so long counts the last beat
        await engine.beat(first.epoch, 5, first.begins, b"beat")
        while isinstance(second := await engine.take("two", "http://two", "t"), Holder):
            assert second.epoch == first.epoch
            await asyncio.sleep(0.005)
        with pytest.raises(LeaseLost):
            await engine.beat(first.epoch, 6, first.begins, b"beat")


@pytest.fixture(params=KINDS)
def program(request: pytest.FixtureRequest) -> Path:
    """The program of each kind of engine."""
    return required(request.param)


@pytest.fixture
def server(program: Path, tmp_path: Path) -> Iterator[EngineServer]:
    """A server that nobody else uses, not started."""
    made = EngineServer(program, tmp_path, 'save ""')
    yield made
    made.kill()


async def test_a_restart_without_data(server: EngineServer) -> None:
    """While it is down nothing is sent; then the lease is lost, and epochs go on ascending."""
    server.start()
    async with engine_at(server.port) as engine:
        first = await owned(engine)
        server.kill()
        with pytest.raises(EngineUnreachable) as down:
            await engine.beat(first.epoch, 1, first.begins, b"beat")
        with pytest.raises(EngineUnreachable) as down:
            await engine.beat(first.epoch, 1, first.begins, b"beat")
        assert not down.value.may_have_acted
        server.start()
        with pytest.raises(LeaseLost):
            await engine.beat(first.epoch, 1, first.begins, b"beat")
        second = await owned(engine)
        assert (second.before, second.last) == (0, 0)
        assert second.epoch > first.epoch


async def test_a_restart_with_persistence(program: Path, tmp_path: Path) -> None:
    """All is as it was."""
    server = EngineServer(program, tmp_path, 'save ""', "appendonly yes", "appendfsync always")
    server.start()
    try:
        async with engine_at(server.port) as engine:
            assert (await engine.facts()).persistent
            taken = await owned(engine)
            await engine.commit(taken.epoch, taken.begins, one(taken.begins))
            before = await engine.follow(LogPosition(), 0)
        server.kill()
        server.start()
        async with engine_at(server.port) as engine:
            assert await engine.follow(LogPosition(), 0) == before
            assert (await engine.snapshot()).tables[Table.RECORDS] == {"ann": b"1"}
            again = await engine.take("two", "http://two", "t")
            assert again.epoch >= taken.epoch
    finally:
        server.kill()


async def test_an_engine_that_stands_still(server: EngineServer) -> None:
    """It does not answer in time; when it goes on, its lease is what its clock says."""
    server.start()
    async with engine_at(server.port) as engine, hasty_at(server.port) as hasty:
        taken = await owned(engine)
        server.pause(paused=True)
        with pytest.raises(EngineUnreachable) as stopped:
            await hasty.beat(taken.epoch, 1, taken.begins, b"beat")
        assert stopped.value.may_have_acted
        server.pause(paused=False)
        await engine.members()


async def test_scripts_that_the_engine_has_forgotten(real: RealBackend) -> None:
    """They are sent again."""
    engine = real.engine()
    assert isinstance(engine, RedisEngine)
    taken = await owned(engine)
    real.client.script_flush()
    await engine.commit(taken.epoch, taken.begins, one(taken.begins))
    assert real.client.xlen(real.keys["log"]) == 2


# Who is not let in


async def test_a_password(real: RealBackend, tmp_path: Path) -> None:
    """None, a wrong one, and one that is replaced while running."""
    file = tmp_path / "password"
    file.write_text("wrong\n")
    real.client.config_set("requirepass", "right")
    try:
        async with engine_at(real.server.port, real.unit) as without:
            with pytest.raises(EngineRefused, match=r"refuses us.*password_file"):
                await without.members()
        async with engine_at(real.server.port, real.unit, password_file=file) as engine:
            with pytest.raises(EngineRefused, match="password_file") as refused:
                await engine.members()
            assert "wrong" not in str(refused.value)
            file.write_text("right\n")
            assert await engine.members() == {}
            file.unlink()
            assert await engine.members() == {}, "a connection that is there goes on"
        async with engine_at(real.server.port, real.unit, password_file=file) as engine:
            with pytest.raises(EngineRefused, match="password cannot be read: No such file"):
                await engine.members()
    finally:
        real.client.config_set("requirepass", "")


async def test_a_user_without_rights(real: RealBackend, tmp_path: Path) -> None:
    """The text says what is not allowed."""
    file = tmp_path / "password"
    file.write_text("secret")
    rules = ("on", ">secret", "~*", "+@read", "+@connection", "+info")
    real.client.execute_command("ACL", "SETUSER", "reader", *rules)  # type: ignore[no-untyped-call]
    address = EngineAddress((("127.0.0.1", real.server.port),), username="reader")
    with closing(real.client):
        engine = RedisEngine(address, real.unit, password_file=file, timeout=PATIENCE)
        try:
            assert await engine.members() == {}
            with pytest.raises(EngineRefused, match="refuses us"):
                await engine.echo("one", b"1")
            assert (await engine.facts()).persistent is None, "it does not say"
        finally:
            await engine.close()


async def test_what_the_keys_hold_is_not_ours(real: RealBackend) -> None:
    """Nothing is told, and the log does not go on."""
    engine = real.engine()
    assert isinstance(engine, RedisEngine)
    taken = await owned(engine)
    real.client.set(real.keys["records"], "something else")
    with pytest.raises(EngineDamaged, match="WRONGTYPE"):
        await engine.commit(taken.epoch, taken.begins, one(taken.begins))
    assert real.client.xlen(real.keys["log"]) == 1


async def test_who_takes_the_lease_removes_what_is_not_ours(real: RealBackend) -> None:
    """A key of another type, a lease without an end and numbers that nobody counts keep nobody from owning for ever."""
    engine = real.engine()
    assert isinstance(engine, RedisEngine)
    for name in ("lease", "epoch", "log", "handover", "beat", "echo", *(table.value for table in Table)):
        real.client.delete(real.keys[name])
        real.client.rpush(real.keys[name], "something else")
    epoch = (await owned(engine)).epoch
    assert (await engine.snapshot()).tables == {table: {} for table in Table}
    assert await engine.members() == {}
    for field, value in (("epoch", "something else"), ("epoch", str(2**53)), ("epoch", "1.5"), ("epoch", "0x10")):
        real.client.hset(real.keys["lease"], field, value)
        real.client.set(real.keys["epoch"], value)
        epoch, before = (await owned(engine)).epoch, epoch
        assert before < epoch < 2**52
    for end in (None, 3_600_000):  # of a copy, and of an engine whose clock was put back
        real.client.persist(real.keys["lease"])
        if end is not None:
            real.client.pexpire(real.keys["lease"], end)
        assert isinstance(await engine.take("two", "", "another"), Holder)
        assert 0 < int(real.client.pttl(real.keys["lease"])) <= int(redis_engine._LIFETIME)
    real.client.hdel(real.keys["lease"], "replica", "begins")
    assert (await engine.take("two", "", "another")) == Holder(epoch, "", "http://one")
    assert (await engine.snapshot()).holder == Holder(epoch, "", "http://one")
    with pytest.raises(EngineDamaged, match="no replica has written"):
        await engine.take("one", "http://one", "token of one")


async def test_an_id_above_all_of_ours(real: RealBackend) -> None:
    """No replica learns it, the owner ends, and the next one removes it."""
    engine = real.engine()
    assert isinstance(engine, RedisEngine)
    for stream in ("log", "beat"):
        taken = await owned(engine)
        real.client.xadd(real.keys[stream], {"v": "something else"}, f"{2**64 - 2}-1")
        with pytest.raises(EngineDamaged, match="no replica has written"):
            await engine.follow(LogPosition(taken.begins), 0.0)
        with pytest.raises((LeaseLost, LogRewound)):
            await engine.beat(taken.epoch, 1, taken.begins, b"1")
        real.client.delete(real.keys["lease"])
        taken = await owned(engine)
        await engine.beat(taken.epoch, 1, taken.begins, b"1")
        assert len((await engine.follow(LogPosition(), 0.0)).beats) == 1


async def test_entries_without_our_fields(real: RealBackend) -> None:
    """They are bytes that mean nothing, behind a gap."""
    engine = real.engine()
    assert isinstance(engine, RedisEngine)
    taken = await owned(engine)
    await engine.beat(taken.epoch, 1, taken.begins, b"1")
    real.client.xadd(real.keys["log"], {"x": "y"}, f"{taken.begins + 1}-0")
    real.client.xadd(real.keys["beat"], {"x": "y"}, f"{taken.epoch}-2")
    news = await engine.follow(LogPosition(taken.begins, BeatPlace(taken.epoch, 1)), 0.0)
    assert news.gap
    with pytest.raises(DamagedBytes):
        wire.decode_entry(news.entries[0].id, news.entries[0].data)
    with pytest.raises(DamagedBytes):
        wire.decode_beat(news.beats[0].data)


async def test_tls(tmp_path: Path) -> None:
    """With its authority it is trusted, without it is not, and the text says what is missing."""
    required("redis")  # the Valkey that a package carries knows no TLS
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key, ours, theirs = (tmp_path / name for name in ("chain.pem", "key.pem", "ca.pem", "other.pem"))
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ours)
    other.cert_pem.write_to_path(theirs)
    port = free_port()
    files = (f"tls-cert-file {chain}", f"tls-key-file {key}", f"tls-ca-cert-file {ours}", "tls-auth-clients no")
    with running("redis", tmp_path / "data", 'save ""', f"tls-port {port}", *files) as server:
        address = EngineAddress((("127.0.0.1", port),), tls=True)
        for ca_file in (theirs, None):
            engine = RedisEngine(address, "u", ca_file=ca_file, timeout=PATIENCE)
            with pytest.raises(EngineRefused, match=r"certificate is not trusted.*set ca_file"):
                await engine.members()
            await engine.close()
        engine = RedisEngine(address, "u", ca_file=ours, timeout=PATIENCE)
        assert await engine.members() == {}
        await engine.close()
        engine = RedisEngine(EngineAddress(server.address.hosts, tls=True), "u", ca_file=ours, timeout=SHORT)
        with pytest.raises(EngineUnreachable):
            await engine.members()
        await engine.close()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (failures.ResponseError("MISCONF Errors writing to the AOF file"), EngineFull, "cannot keep more: MISCONF"),
        (failures.ResponseError("NOREPLICAS Not enough good replicas"), EngineReadOnly, "takes no writes"),
        (failures.ResponseError("NOAUTH Authentication required."), EngineRefused, "check password_file"),
        (failures.BusyLoadingError("loading the dataset in memory"), EngineUnreachable, "is loading its data"),
        (failures.ResponseError("BUSY Redis is busy running a script"), EngineUnreachable, "BUSY"),
        (failures.ResponseError("ERR unknown command 'XADD'"), EngineDamaged, "answered: ERR unknown command"),
    ],
)
def test_what_an_engine_may_say(error: Exception, kind: type[Exception], words: str) -> None:
    """Each is one of ours, which names the engine; none of these has done anything."""
    found = redis_connections._failure(error, "engine:6379")
    assert type(found) is kind
    assert str(found).startswith("the engine at engine:6379")
    assert words in str(found)
    assert not getattr(found, "may_have_acted", False)


# Copies


async def test_a_copy_takes_no_writes(real: RealBackend, tmp_path: Path) -> None:
    """Its connections are dropped, so that the next one asks again where the primary is."""
    async with AsyncExitStack() as opened:
        server = EngineServer(real.server.program, tmp_path, 'save ""')
        opened.callback(server.kill)
        proxy = await opened.enter_async_context(tcp_proxy(real.server.port))
        engine = await opened.enter_async_context(engine_at(proxy.port, real.unit))
        taken = await owned(engine)
        server.start()
        real.client.replicaof("127.0.0.1", server.port)
        try:
            with pytest.raises(EngineReadOnly, match="is a copy"):
                await engine.commit(taken.epoch, taken.begins, one(taken.begins))
            before = proxy.connections
            assert not (await engine.facts()).is_primary
            assert proxy.connections == before + 1
        finally:
            real.client.replicaof("NO", "ONE")


async def test_nobody_loses_the_lease_where_nobody_can_take_it(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that takes no writes, and whose lease has expired meanwhile, says the first and not the second."""
    monkeypatch.setattr(redis_engine, "_LIFETIME", "50")
    server.start()
    with closing(server.client()) as raw:
        async with engine_at(server.port) as engine:
            taken = await owned(engine)
            raw.config_set("min-replicas-to-write", 1)
            await until(lambda: not raw.exists("{pws:u}:lease"))
            for refused in (
                lambda: engine.beat(taken.epoch, 1, taken.begins, b"b"),
                lambda: engine.commit(taken.epoch, taken.begins, one(taken.begins + 1)),
                lambda: engine.take("b", "http://b", "t"),
            ):
                with pytest.raises(EngineReadOnly):
                    await refused()
            raw.config_set("min-replicas-to-write", 0)
            with pytest.raises(LeaseLost):
                await engine.commit(taken.epoch, taken.begins, one(taken.begins + 1))


async def test_a_claim_that_no_copy_has(server: EngineServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written, and its owner hears that a fail-over would lose it."""
    monkeypatch.setattr(redis_connections, "WAIT_MS", 20)
    server.start()
    async with engine_at(server.port, replicated=True) as engine:
        taken = await owned(engine)
        here = taken.begins
        await engine.commit(taken.epoch, here, one(here))
        claim = Batch([(here + 2, b"made")], [Put(Table.HELD, "ann", b"c")])
        with pytest.raises(NotReplicated, match="no copy"):
            await engine.claim(taken.epoch, here + 1, claim, ["ann"])
        assert (await engine.snapshot()).tables[Table.HELD] == {"ann": b"c"}
        other = Batch([(here + 3, b"made")], [Put(Table.HELD, "ann", b"d")])
        assert await engine.claim(taken.epoch, here + 2, other, ["ann"]) == {"ann"}, (
            "a claim that is none needs no copy"
        )
        longer = Batch([(here + 3, b"renewed")], [Put(Table.CLAIMS, "c", b"a later end")])
        with pytest.raises(NotReplicated, match="no copy"):
            await engine.commit(taken.epoch, here + 2, longer)


@pytest.mark.long(ci=True)
async def test_a_copy_confirms_and_takes_over(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sentinels: the primary is killed, the copy has all that was written, and the lease."""
    monkeypatch.setattr(redis_connections, "WAIT_MS", 30_000)
    async with AsyncExitStack() as opened:
        primary = EngineServer(program, tmp_path / "primary", 'save ""')
        copy = EngineServer(program, tmp_path / "copy", 'save ""', f"replicaof 127.0.0.1 {primary.port}")
        sentinel = EngineServer(
            program,
            tmp_path / "sentinel",
            f"sentinel monitor main 127.0.0.1 {primary.port} 1",
            "sentinel down-after-milliseconds main 60000",  # a busy machine is no reason to fail over
            "sentinel failover-timeout main 2000",
        )
        for each in (primary, copy, sentinel):
            opened.callback(each.kill)
        primary.start()
        copy.start()
        with closing(copy.client()) as client:
            await until(lambda: client.info("replication")["master_link_status"] == "up")
        sentinel.start("--sentinel")
        address = EngineAddress((("127.0.0.1", sentinel.port),), service="main")
        engine = RedisEngine(address, "u", replicated=True, timeout=PATIENCE)
        opened.push_async_callback(engine.close)
        with closing(sentinel.client()) as asked:
            await until(lambda: asked.execute_command("SENTINEL", "REPLICAS", "main"))  # type: ignore[no-untyped-call]
            taken = await owned(engine)
            claim = Batch([(taken.begins + 1, b"made")], [Put(Table.HELD, "ann", b"c")])
            assert await engine.claim(taken.epoch, taken.begins, claim, ["ann"]) == frozenset()
            asked.execute_command("SENTINEL", "SET", "main", "down-after-milliseconds", "300")  # type: ignore[no-untyped-call]
        primary.kill()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    later = await engine.take("two", "http://two", "token of two")
                    break
                except (EngineUnreachable, EngineReadOnly):
                    await asyncio.sleep(0.1)
        assert later.epoch >= taken.epoch
        assert (await engine.snapshot()).tables[Table.HELD] == {"ann": b"c"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_claim_that_is_asked_for_again_is_waited_for_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over another connection too, which has written nothing before."""
    monkeypatch.setattr(redis_connections, "WAIT_MS", 50)
    async with AsyncExitStack() as opened:
        primary = EngineServer(required(kind), tmp_path / "primary", 'save ""', "repl-diskless-sync-delay 0")
        copy = EngineServer(required(kind), tmp_path / "copy", 'save ""', f"replicaof 127.0.0.1 {primary.port}")
        for each in (primary, copy):
            opened.callback(each.kill)
            each.start()
        with closing(primary.client()) as client:
            await until(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        first = await opened.enter_async_context(engine_at(primary.port, replicated=True))
        taken = await owned(first)
        copy.pause(paused=True)
        claim = Batch([(taken.begins + 1, b"made")], [Put(Table.HELD, "ann", b"c")])
        for engine in (first, first, await opened.enter_async_context(engine_at(primary.port, replicated=True))):
            with pytest.raises(NotReplicated):
                await engine.claim(taken.epoch, taken.begins, claim, ["ann"])
        copy.pause(paused=False)
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(NotReplicated):  # it may have to connect anew
                    assert await first.claim(taken.epoch, taken.begins, claim, ["ann"]) == frozenset()
                    break


# Without the package


def test_the_room_is_there_without_the_package_redis() -> None:
    """It is an extra; only the connections to that engine need it."""
    modules = (
        "lease",
        "clock_mapping",
        "members",
        "tenures",
        "wire",
        "engine",
        "memory",
        "scripts",
        "mirroring",
        "redis_replies",
        "tables",
    )
    lines = ["import sys", "sys.modules['redis'] = None", *(f"import service.cluster.{name}" for name in modules)]
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(lines)], check=True)
