"""`pws simulate`, an engine, and replicas of `pws serve`, which reach the engine and each other by ways of their own.

```
replica 0 --engine_way--> engine        each replica has its own way to the engine,
others    --way---------> replica 0     and advertises a way to itself; a client asks `site`
```
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.e2e.processes import PATIENCE, Site, eventually
from tests.e2e.simulated import NOTHING, Server, Service, configure
from tests.e2e.truth import Truth
from tests.support.replicas.background import Background, Way

SUPPORT: Final = ("ann", "joe", "rita", "tom")
"""Who is in the group `support`, and stays available."""
MOVING: Final = ("eva", "ida", "leo", "max")
"""Whose presence changes all the time while it is watched."""
SAFETY: Final = 10
"""Seconds after which a lost notification is noticed."""
BOUND: Final = 2 * SAFETY + 60.0
"""Seconds that a live answer may be old, docs/freshness.md."""
SECRET: Final = "a secret of the replicas"
ON_THE_WAY: Final = 5.0
"""Seconds for which a change may be on its way to a replica, on a busy machine."""


def address(name: str) -> str:
    return f"{name}@example.com"


@dataclass(eq=False)
class Replica:
    """One of them. `service` is the process, None while there is none; `paused`: it is stopped by a signal."""

    number: int
    folder: Path
    site: Site
    way: Way | None
    engine_way: Way | None
    service: Service | None = None
    paused: bool = False

    @property
    def answers(self) -> bool:
        """Whether it can be expected to."""
        return self.service is not None and not self.paused

    def status(self) -> Any:  # JSON is of any type
        """What it says of itself."""
        return self.site.get("/v1/status").json

    def cluster(self) -> Any:
        """What it says of itself as a replica."""
        return self.status()["cluster"]

    def presence(self) -> dict[str, dict[str, Any]]:
        """All contacts by name."""
        return {each["contact"]: each for each in self.site.get("/v1/presence").json["contacts"]}

    def levels(self) -> set[str]:
        """The kinds of freshness that its contacts have."""
        return {each["freshness"] for each in self.presence().values()}

    def logged(self, event: str) -> list[dict[str, Any]]:
        """What the running process has logged of this kind."""
        if self.service is None:
            return []
        lines = []
        for line in self.service.output.splitlines():
            with suppress(ValueError):  # the last one may be half written
                read = json.loads(line)
                if read.get("event") == event:
                    lines.append(read)
        return lines

    def has_logged(self, event: str, times: int = 1) -> None:
        """Wait until it has logged this so many times."""

        def found() -> None:
            assert len(self.logged(event)) >= times, event

        eventually(found)

    def is_stale(self) -> None:
        """Wait until nothing that it answers is live."""

        def stale() -> None:
            assert "live" not in self.levels()

        eventually(stale)

    def says_problem(self, words: str) -> None:
        """Wait until it says that something is wrong with the engine, in these words."""

        def said() -> None:
            problem = self.cluster()["engine"]["problem"]
            assert problem is not None
            assert words in problem, problem

        eventually(said)

    def claim(self, seconds: int = 60, **more: object) -> Any:
        """Ask it for somebody."""
        return self.site.ask("POST", "/v1/claims", {"group": "support", "lease_seconds": seconds, **more})


@dataclass
class Cluster:
    """All of it. Leaving the `with` block ends every process.

    `engine_port` is where the engine listens. `url` replaces the URL that is made of it; there is then no way to the
    engine that could be cut. `lines` are further ones of [cluster], `sections` replace sections of the configuration.
    """

    folder: Path
    engine_port: int
    count: int = 3
    url: str = ""
    lines: Sequence[str] = ()
    names: Sequence[str] = (*SUPPORT, *MOVING)
    options: Sequence[str] = ()
    with_ways: bool = True
    sections: dict[str, str] = field(default_factory=dict)
    is_moving: bool = False
    """Whether somebody's presence changes all the time."""

    def __post_init__(self) -> None:
        self._opened = ExitStack()
        self.background = Background()
        self._chance = random.Random(11)  # noqa: S311  # chooses who is notified
        self.replicas: list[Replica] = []
        self.server: Server
        self.truth: Truth

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self.background)
            self.server = opened.enter_context(Server(self.folder, options=self.options))
            self.server.ready()
            self.truth = Truth(self.server, [address(name) for name in self.names])
            opened.callback(self._end)
            self._callback = self.background.way_to(self._who_is_notified)
            for number in range(self.count):
                self.replicas.append(self._configured(number))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # pytest shows it beside the failure
            for replica in self.replicas:
                for log in sorted(replica.folder.glob("service-*.log")):
                    text = log.read_text("utf-8", "replace")
                    print(f"--- replica {replica.number}, {log.name}\n{text}")  # noqa: T201  # see above
        self._opened.close()

    def _who_is_notified(self) -> int:
        """The server notifies all replicas at one address, and a load balancer finds one that is there."""
        there = [replica for replica in self.replicas if replica.service is not None and not replica.paused]
        return self._chance.choice(there or self.replicas).site.port

    def _end(self) -> None:
        for replica in self.replicas:
            if replica.service is not None:
                self.kill(replica)

    def _configured(self, number: int) -> Replica:
        folder = self.folder / f"replica{number}"
        folder.mkdir()
        names = f'domain = "example.com"\ncontacts = {json.dumps(list(self.names))}'
        members = json.dumps([address(name) for name in SUPPORT if name in self.names])
        sections = {
            "callback": f'url = "http://127.0.0.1:{self._callback.port}"',
            "fetch": f"safety_interval = {SAFETY}",
            "limits": "requests_per_second = 0",
            "log": 'format = "json"',
            "groups.support": f"contacts = {members}",
        } | self.sections
        site = configure(folder, self.server.port, tls=None, watch=names, **sections)
        way = self.background.way_to(site.port) if self.with_ways else None
        engine_way = self.background.way_to(self.engine_port) if self.with_ways and not self.url else None
        url = self.url or f"redis://127.0.0.1:{self.engine_port if engine_way is None else engine_way.port}"
        advertised = site.url if way is None else f"http://127.0.0.1:{way.port}"
        file = folder / "pws.toml"
        text = file.read_text("utf-8").replace('secret_file = "callback-secret"\n', "")
        lines = (f'url = "{url}"', f'advertise = "{advertised}"', 'secret_file = "cluster-secret"', *self.lines)
        file.write_text("\n".join([text, "[cluster]", *lines, ""]), "utf-8")
        (folder / "cluster-secret").write_text(SECRET, "utf-8")
        (folder / "cluster-secret").chmod(0o600)
        return Replica(number, folder, site, way, engine_way)

    # --- what befalls a replica

    def start(self, *replicas: Replica) -> None:
        """Start these, or all that do not run. They begin at the same time; nobody waits for them."""
        for replica in replicas or self.replicas:
            if replica.service is None:
                replica.service = Service(replica.folder, replica.site)

    def kill(self, replica: Replica) -> None:
        """SIGKILL."""
        assert replica.service is not None
        service, replica.service, replica.paused = replica.service, None, False
        service.kill()

    def stop(self, replica: Replica) -> int:
        """Ask it to end, as an operator does; its exit code."""
        assert replica.service is not None
        code = replica.service.stop()
        replica.service = None
        return code

    def kill_while_it_ends(self, replica: Replica, seconds: float) -> None:
        """SIGKILL so long after it was asked to end."""
        assert replica.service is not None
        replica.service.signal(signal.SIGTERM)
        time.sleep(seconds)
        self.kill(replica)

    def pause(self, replica: Replica, *, paused: bool = True) -> None:
        """SIGSTOP or SIGCONT."""
        assert replica.service is not None
        replica.service.signal(signal.SIGSTOP if paused else signal.SIGCONT)
        replica.paused = paused

    @contextmanager
    def paused(self, replica: Replica) -> Iterator[None]:
        """It stands still while the block runs."""
        self.pause(replica)
        try:
            yield
        finally:
            self.pause(replica, paused=False)

    def mend(self) -> None:
        """All go on, and all ways are whole."""
        for replica in self.replicas:
            if replica.paused:
                self.pause(replica, paused=False)
            for way in (replica.way, replica.engine_way):
                if way is not None:
                    way.mend()

    # --- what is asked

    @property
    def running(self) -> list[Replica]:
        """Who can be expected to answer."""
        return [replica for replica in self.replicas if replica.answers]

    def find_owner(self, *without: Replica) -> Replica:
        """The one that owns and says so, and that all others call the owner. Raises AssertionError."""
        said = {replica.number: replica.cluster() for replica in self.running if replica not in without}
        owners = [number for number, each in said.items() if each["role"] == "owner"]
        assert len(owners) == 1, said
        owner = self.replicas[owners[0]]
        assert {each["owner"] for each in said.values()} == {said[owner.number]["address"]}, said
        return owner

    def owner(self) -> Replica:
        """Wait until there is one owner."""
        return eventually(self.find_owner)

    def followers(self) -> list[Replica]:
        """Those who answer and do not own."""
        owner = self.owner()
        return [replica for replica in self.running if replica is not owner]

    def is_true(self, *without: Replica) -> Replica:
        """Everything that anybody answers is live and as it is; the owner. Raises AssertionError.

        While presence changes all the time, as it was a moment ago: a machine that takes as long for the answers as
        one change lasts would never find all of them right.
        """
        owner = self.find_owner(*without)
        since = time.time() - (ON_THE_WAY if self.is_moving else 0.0)
        for replica in self.running:
            if replica in without:
                continue
            seen = replica.presence()
            held = {name: self.truth.held(name, since, time.time()) for name in self.truth.contacts()}
            assert seen.keys() == held.keys(), f"replica {replica.number}: {sorted(seen)}"
            wrong = {
                name: (each["freshness"], each["state"], held[name])
                for name, each in seen.items()
                if each["freshness"] != "live" or each["state"] not in held[name]
            }
            assert not wrong, f"replica {replica.number}: {wrong}"
        return owner

    def heals(self, *without: Replica, timeout: float = PATIENCE) -> Replica:
        """Wait until there is one owner and all answer live and true, but for those left out; the owner."""
        assert self.running
        return eventually(lambda: self.is_true(*without), timeout)

    def end(self) -> None:
        """Stop all of them; nothing is left at the server."""
        for replica in [*self.replicas]:
            if replica.service is not None:
                assert self.stop(replica) == 0
        assert self.server.holds() == NOTHING
