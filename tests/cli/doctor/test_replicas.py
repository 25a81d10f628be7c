"""What `pws doctor` finds of the replicas of a service, none of which it disturbs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pws_soap.models import Secret
from service import __version__
from service.access.authentication import Authenticator
from service.cli.doctor import replicas as doctor
from service.cli.doctor.listener import answering, opened
from service.cli.shared.findings import Blame, Finding, Severity
from service.cluster import wire
from service.cluster.engine import ClusterEngineError, EngineUnreachable, Taken
from service.cluster.members import Member
from service.cluster.memory import MemoryEngine, MemoryServer
from service.cluster.wire import BeatBody
from service.config import Config, load
from service.core.clock import SystemClock
from service.runtime import replicas
from service.runtime.forward_seal import BeatMoment
from service.runtime.forwarding import Forwarding
from service.runtime.owners import Owner
from service.runtime.peers import HttpPeers
from tests.support.configuration import BASE
from tests.support.ports import free_port

SECRET = "a secret of the replicas"


class Cluster(MemoryEngine):
    """The engine, in which those in `speaking` say something new whenever somebody looks."""

    def __init__(self) -> None:
        self.server = MemoryServer(SystemClock())
        super().__init__(self.server, SystemClock())
        self.speaking: dict[str, Member] = {}
        self.silent: dict[str, bytes] = {}
        self.owner: str | None = None
        self.looked = 0
        self.failure: ClusterEngineError | None = None
        self._taken: Taken | None = None

    def add(self, address: str, configuration: str, version: str = __version__) -> None:
        name = f"replica {len(self.speaking)}"
        self.speaking[name] = Member(name, address, version, configuration, 0.0)
        self.owner = self.owner or address

    async def members(self) -> dict[str, bytes]:
        if self.failure is not None:
            raise self.failure
        self.looked += 1
        if self.owner is not None:
            await self._beats(self.owner)
        said = {
            name: wire.encode_member(Member(name, each.address, each.version, each.configuration, float(self.looked)))
            for name, each in self.speaking.items()
        }
        return said | self.silent

    async def _beats(self, address: str) -> None:
        if self._taken is None:
            taken = await self.take("owner", address, "token")
            assert isinstance(taken, Taken)
            self._taken = taken
        body = BeatBody(0.0, 0, (), {}, False, "owner", address)
        await self.beat(self._taken.epoch, self.looked, self._taken.begins, wire.encode_beat(body))


class Nobody:
    """No owner is known."""

    def owner(self) -> Owner | None:
        return None

    async def gone(self, owner: Owner) -> None:
        await asyncio.Event().wait()

    def is_coming(self) -> bool:
        return False

    def is_leaving(self) -> bool:
        return False

    def moment(self) -> BeatMoment:
        return BeatMoment(3, 7)

    def address_of(self, mark: bytes) -> str | None:
        return None


class Place:
    """A configuration, an engine, and programs at ports of loopback."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.cluster = Cluster()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._stack = stack

    def config(self, more: str = "", advertise: str = "") -> Config:
        text = (
            f'{more}\n[http]\nport = {self.port}\n[cluster]\nurl = "redis://127.0.0.1:1"\n'
            f'advertise = "{advertise or self.url}"\nsecret = "{SECRET}"\n'
        )
        (self._folder / "pws.toml").write_text(BASE + text, "utf-8")
        return load(self._folder / "pws.toml", {})

    @property
    def hash(self) -> str:
        return replicas.configuration_hash(self.config())

    async def serves(self, app: ASGIApp, port: int | None = None) -> str:
        """A program at a port; its address."""
        port = free_port() if port is None else port
        await self._stack.enter_async_context(answering(app, opened("127.0.0.1", port)))
        return f"http://127.0.0.1:{port}"

    async def replica(self, secret: str = SECRET, port: int | None = None) -> str:
        """A replica that answers; its address."""
        return await self.serves(
            Forwarding(alive, Nobody(), HttpPeers(), Secret(secret), Authenticator(), max_body=1000), port
        )

    async def found(self, config: Config | None = None) -> list[Finding]:
        findings: list[Finding] = []
        config = config or self.config()
        assert config.cluster is not None
        await doctor.look(config, config.cluster, findings.append)
        return findings


async def lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def alive(scope: Scope, receive: Receive, send: Send) -> None:
    """What a service says of itself."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await JSONResponse({"alive": True})(scope, receive, send)


async def foreign(scope: Scope, receive: Receive, send: Send) -> None:
    """Another program."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await PlainTextResponse("nothing here", 404)(scope, receive, send)


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Nothing runs yet."""
    monkeypatch.setattr(doctor, "STEP", 0.01)
    monkeypatch.setattr(doctor, "LISTENS", 0.05)
    async with AsyncExitStack() as stack:
        made = Place(tmp_path, stack)
        monkeypatch.setattr(replicas, "engine_of", lambda *_words, **_more: made.cluster)
        yield made


Wrong = list[tuple[str, str]]


def wrong(findings: list[Finding]) -> Wrong:
    """What is not well, but for the loopback address that each test has."""
    return [
        (finding.what, finding.fix)
        for finding in findings
        if finding.level is not Severity.OK and "loopback" not in finding.what
    ]


async def test_the_first_one_before_it_is_started(place: Place) -> None:
    """Nobody is there, and cluster.advertise leads to where the service will listen."""
    findings = await place.found()
    assert wrong(findings) == []
    assert [finding.what for finding in findings if finding.level is Severity.OK] == [
        "unit pws: none is running",
        f"cluster.advertise leads here (127.0.0.1:{place.port}); the service is not running",
    ]
    assert place.cluster.server.holder is None


async def test_three_that_run_and_agree(place: Place) -> None:
    """This one as well: all is said, and nobody notices."""
    mine = await place.replica(port=place.port)
    addresses = [mine, await place.replica(), await place.replica()]
    for address in addresses:
        place.cluster.add(address, place.hash)
    findings = await place.found()
    assert wrong(findings) == []
    words = [finding.what for finding in findings if finding.level is Severity.OK]
    assert words[0].startswith(f"unit pws: {', '.join(addresses)}; {mine} owns the sessions, epoch ")
    assert words[1] == "cluster.advertise leads to a replica with this secret"
    assert words[2:4] == [f"reached from here, with the same secret; version {__version__}"] * 2
    assert words[4] == "one configuration and one version, here as well"


async def _another_secret(place: Place) -> str:
    return await place.replica("another secret than ours")


async def _alone(place: Place) -> str:
    return await place.serves(alive)


async def _another_program(place: Place) -> str:
    return await place.serves(foreign)


async def _nothing(_place: Place) -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("is_there", "what", "fix"),
    [
        (_another_secret, "its secret is another one", "copy the same cluster.secret_file to all replicas"),
        (_alone, "found a service that runs by itself", "add [cluster] to its configuration"),
        (_another_program, "found something that answers HTTP 404", "correct its cluster.advertise"),
        (_nothing, "is not reached from here", "correct its cluster.advertise"),
    ],
)
async def test_one_that_cannot_be_asked(place: Place, is_there: Callable[[Place], object], what: str, fix: str) -> None:
    address = await is_there(place)  # type: ignore[misc]
    place.cluster.add(address, place.hash)
    ((found, cure),) = wrong(await place.found())
    assert what in found
    assert cure.startswith(fix)


async def test_what_they_do_not_agree_about(place: Place) -> None:
    """The replica here runs with an older file; another one has another file and another version."""
    place.cluster.add(await place.replica(port=place.port), "older")
    other = await place.replica()
    place.cluster.add(other, "other", "0.1.0")
    (own, _), (others, _), (versions, _) = wrong(await place.found())
    assert own == f"the replica at {place.url} runs with another configuration than this file"
    assert others == f"expected one configuration ({place.hash} here), found another at {other}"
    assert versions == f"several versions of pws-presence: 0.1.0, {__version__} ({__version__} here)"


async def test_one_that_has_ended_and_nobody_who_owns(place: Place) -> None:
    address = await place.replica()
    place.cluster.add(address, place.hash)
    place.cluster.owner = None
    place.cluster.silent["gone"] = wire.encode_member(Member("gone", "http://10.0.0.9:8080", "1", "x", 5.0))
    place.cluster.silent["newer"] = b"\xff"
    (newer, _), (nobody, _), (gone, _) = wrong(await place.found())
    assert newer.startswith("unit pws: what 1 of them say cannot be read")
    assert nobody.startswith(f"unit pws: expected an owner of the sessions among {address}, found none within")
    assert gone.startswith("http://10.0.0.9:8080 has said nothing for")


async def test_an_address_that_leads_elsewhere(place: Place) -> None:
    nowhere, elsewhere = f"http://127.0.0.1:{free_port()}", await place.serves(foreign)
    ((what, _),) = wrong(await place.found(place.config(advertise=nowhere)))
    assert what.startswith(f"cluster.advertise does not lead here (127.0.0.1:{place.port}): ")
    ((what, fix),) = wrong(await place.found(place.config(advertise=elsewhere)))
    assert what == f"expected cluster.advertise to lead here (127.0.0.1:{place.port}), found another program there"
    assert fix == "give each replica a cluster.advertise of its own"


async def test_two_at_one_address(place: Place) -> None:
    address = await place.replica()
    place.cluster.add(address, place.hash)
    place.cluster.add(address, place.hash)
    findings = await place.found()
    assert wrong(findings) == [(f"2 of them advertise {address}", "give each a cluster.advertise of its own")]
    assert [each.fault for each in findings if each.level is Severity.PROBLEM] == [Blame.CONFIGURATION]


async def test_a_loopback_address_and_a_secret_of_each(place: Place) -> None:
    config = place.config(more="").model_copy(
        update={"callback": place.config().callback.model_copy(update={"secret": Secret("of this one alone, perhaps")})}
    )
    warnings = [finding.what for finding in await place.found(config) if finding.level is Severity.WARNING]
    assert warnings == [
        "callback.secret is set, and has to be the same at all replicas",
        "cluster.advertise is a loopback address: replicas on other machines do not reach it",
    ]


async def test_an_authority_that_cannot_be_read(place: Place, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of that kind")
    config = place.config()
    assert config.cluster is not None
    section = config.cluster.model_copy(update={"peers_ca_file": tmp_path / "ca.pem"})
    findings: list[Finding] = []
    await doctor.look(config, section, findings.append)
    ((what, fix),) = wrong(findings)
    assert "ca.pem" in what
    assert fix == "see cluster.peers_ca_file"


async def test_an_engine_that_fails_meanwhile(place: Place) -> None:
    place.cluster.failure = EngineUnreachable("the engine does not answer", may_have_acted=True)
    ((what, _),) = wrong(await place.found())
    assert what == "what they say cannot be read: the engine does not answer"
