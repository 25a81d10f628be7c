"""Fetches that the server carries out late: after the service gave them up, or after it was killed and started again.

Such a fetch takes changes along that nobody will ever read. A proxy holds it in front of the simulator until the worst
moment: a change has just come whose notification was lost. The next fetch then names nobody, and must not confirm
the old state.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.processes import Running, Site, eventually
from tests.e2e.simulated import EVERYTHING, NOTHING, Service
from tests.e2e.truth import ANN, FETCH, JOE, ROOM_FOR_ONE, FaultyServer, Observer, Proxy, Story, Truth, playing, quick

TWO_HOURS = 7200.0
SET_FORWARD = f"""
import sys, time
real = time.time
time.time = lambda: real() + {TWO_HOURS}
from service.cli import main
sys.argv[0] = "pws"
main()
"""
"""`pws` on a machine whose wall clock is two hours ahead."""


class Ahead(Service):
    """`pws serve` with that clock."""

    def __init__(self, directory: Path, site: Site) -> None:
        self.site = site
        words = [sys.executable, "-c", SET_FORWARD, "serve", "--config", "pws.toml"]
        Running.__init__(self, words, directory, "ahead.log")


@dataclass
class Chain:
    """One service after the other in front of a simulator that has room for one subscription and one endpoint."""

    directory: Path
    site: Site
    server: FaultyServer
    proxy: Proxy
    truth: Truth
    services: contextlib.ExitStack
    service: Service | None = None

    def started(self, kind: Callable[[Path, Site], Service] = Service) -> Service:
        """The running service, or a new one that is ready."""
        if self.service is None:
            self.service = self.services.enter_context(kind(self.directory, self.site))
        return self.service.ready()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.service is not None
        self.service.kill()
        self.service = None

    @property
    def file(self) -> Path:
        return self.directory / "pws.state.json"

    @property
    def node(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """At the end the last service is stopped, and nothing is left of any of them."""
    directory = tmp_path_factory.mktemp("late")
    with (
        FaultyServer(directory, *ROOM_FOR_ONE) as server,
        Proxy(server.ready().port) as proxy,
        contextlib.ExitStack() as services,
    ):
        truth = Truth(server)
        made = Chain(directory, quick(directory, proxy.port), server, proxy, truth, services)
        yield made
        if made.service is not None:
            assert made.service.stop() == 0
            assert server.holds() == NOTHING


def as_it_was(chain: Chain) -> None:
    """The killed service's own file."""
    assert json.loads(chain.file.read_text())["nodes"] == [chain.node]


def deleted(chain: Chain) -> None:
    """No file: nobody knows of the killed service."""
    chain.file.unlink()


def of_a_clean_stop(chain: Chain) -> None:
    """A backup of the file that an earlier run wrote at its end: it says that nothing is left."""
    kept = {"version": 2, "nodes": [], "unknown": False, "clean": [chain.node]}
    chain.file.write_text(json.dumps(kept))


def of_an_old_release(chain: Chain) -> None:
    """The first version of the file, with ids whose lives ended while the wall clock moved on by two hours."""
    past = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    left = [{"kind": "subscription", "node": chain.node, "user": "dispatcher", "id": 1, "expires_at": past}]
    chain.file.write_text(json.dumps({"version": 1, "leftovers": left, "doubtful": []}))


@pytest.mark.parametrize(
    ("remembers", "kind", "ahead"),
    [
        (as_it_was, Service, 0.0),
        pytest.param(deleted, Service, 0.0, marks=pytest.mark.long(ci=True)),
        pytest.param(of_a_clean_stop, Service, 0.0, marks=pytest.mark.long(ci=True)),
        pytest.param(of_an_old_release, Ahead, TWO_HOURS, marks=pytest.mark.long(ci=True)),
    ],
    ids=["same file", "no file", "file of a clean stop", "old file, clock two hours ahead"],
)
def test_a_fetch_of_a_killed_service_takes_nothing_from_the_next(
    remembers: Callable[[Chain], None], kind: Callable[[Path, Site], Service], ahead: float, chain: Chain
) -> None:
    """Whatever the state file says, the next service becomes ready, and its answers are true."""
    Story(chain.server, chain.started(), chain.truth).recovers()
    late = chain.proxy.hold(FETCH)
    chain.truth.toggle(JOE)
    late.has_arrived()
    chain.kill()
    remembers(chain)
    with Observer(chain.site, chain.truth, ahead):
        story = Story(chain.server, chain.started(kind), chain.truth)
        story.recovers()
        chain.server.fault("drop-notification", count=1)
        chain.truth.toggle(ANN)
        late.release()
        assert story.refresh() == 200
        story.heals()
    assert chain.server.holds() == EVERYTHING
    if ahead:  # the next one shall have the right clock again
        chain.kill()


def test_a_fetch_that_was_given_up_takes_nothing_from_a_later_one(tmp_path: Path) -> None:
    """It is carried out when the service has long been live again, and a change has come without a notification."""
    with FaultyServer(tmp_path) as server, Proxy(server.ready().port) as proxy:
        with Service(tmp_path, quick(tmp_path, proxy.port, read_timeout=2.0)) as service:
            story = Story(server, service.ready(), Truth(server))
            story.recovers()
            late = proxy.hold(FETCH)
            with story.observed():
                story.truth.toggle(JOE)
                late.has_arrived()
                story.recovers()
                server.fault("drop-notification", count=1)
                story.truth.toggle(ANN)
                late.release()
                assert story.refresh() == 200
            assert story.reading("unknown_outcomes") >= 1
            assert service.stop() == 0
        assert server.holds() == NOTHING


@pytest.mark.long
def test_a_fetch_that_is_delayed_by_twenty_read_timeouts_takes_nothing_along(tmp_path: Path) -> None:
    """The same with the simulator's own fault, and no proxy."""
    with playing(tmp_path, read_timeout=0.4) as story:
        story.recovers()
        story.server.fault("delay-request", operation=FETCH, seconds=8, count=1)
        with story.observed():
            story.truth.toggle(JOE)
            eventually(lambda: is_given_up(story))
            story.recovers()
            assert waiting(story) == 1
            story.server.fault("drop-notification", count=1)
            story.truth.toggle(ANN)
            eventually(lambda: nothing_waits(story))
            assert story.refresh() == 200


@pytest.mark.long
def test_a_fetch_that_is_delayed_beyond_a_kill_and_a_start_takes_nothing_along(tmp_path: Path) -> None:
    """The same across a SIGKILL, with the simulator's own fault."""
    with FaultyServer(tmp_path) as server:
        site = quick(tmp_path, server.ready().port)
        truth = Truth(server)
        with Service(tmp_path, site) as service:
            story = Story(server, service.ready(), truth)
            story.recovers()
            server.fault("delay-request", operation=FETCH, seconds=25, count=1)
            truth.toggle(JOE)
            eventually(lambda: one_waits(story))
            service.kill()
        with Service(tmp_path, site) as service:
            with Observer(site, truth):
                story = Story(server, service.ready(), truth)
                story.recovers()
                assert waiting(story) == 1
                server.fault("drop-notification", count=1)
                truth.toggle(ANN)
                eventually(lambda: nothing_waits(story))
                assert story.refresh() == 200
                story.heals()
            assert service.stop() == 0
        assert server.holds() == NOTHING


def waiting(story: Story) -> int:
    """How many fetches wait in the simulator: asked for, and neither replied to nor refused."""
    counters = story.server.counters()
    return int(counters["requests"][FETCH] - counters["replies"].get(FETCH, 0) - sum(counters["faults"].values()))


def one_waits(story: Story) -> None:
    assert waiting(story) == 1


def nothing_waits(story: Story) -> None:
    assert waiting(story) == 0


def is_given_up(story: Story) -> None:
    assert story.reading("unknown_outcomes") >= 1
