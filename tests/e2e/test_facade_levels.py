"""`pws serve` behind the façade of another `pws serve`, in front of `pws simulate` with two nodes: real processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.core.presence.freshness import default_bound
from tests.e2e.processes import PWS, Running, Site, eventually
from tests.e2e.simulated import NOTHING, Service, configure
from tests.e2e.truth import ANN, JOE, RITA, FaultyServer, Observer, Truth
from tests.support.ports import free_port, free_ports

SAFETY = 2.0
UNSURE_AFTER = 3.0
BOUND = default_bound(SAFETY)
"""Seconds by which what a façade tells may be old: what is live at the top may be older by so much."""
QUICK = {
    "fetch": f"safety_interval = {SAFETY}\nheartbeat_interval = 1\nreconcile_interval = 0",
    "lifecycle": "stop_timeout = 30\nrequests_per_second = 500",
    "limits": "requests_per_second = 0",
}


class TwoNodes(FaultyServer):
    """`pws simulate` with two nodes."""

    def __init__(self, directory: Path) -> None:
        self.port = free_ports(2)
        self.control = Site(free_port())
        words = ["--nodes", "2", "--port", str(self.port), "--control-port", str(self.control.port)]
        Running.__init__(self, [PWS, "simulate", *words], directory, "simulator.log")

    def nodes(self, state: str, *names: str) -> None:
        """Take nodes down, or bring them back."""
        for name in names:
            assert self.control.ask("POST", f"/control/nodes/{name}/{state}", {}).status == 200


class TopObserver(Observer):
    """Of the service at the top: UNKNOWN claims nothing, it is what the façade says when nothing is known."""

    def _judge(self, answers: list[dict[str, Any]], now: float) -> None:  # JSON is of any type
        super()._judge([answer for answer in answers if answer["state"] != "UNKNOWN"], now)


def serving(port: int) -> str:
    """The section of a configuration whose presence server is at that port, its other node at the next."""
    return f'nodes = ["127.0.0.1:{port}", "127.0.0.1:{port + 1}"]\ntls = false\nread_timeout = 2\nconnect_timeout = 2'


@dataclass
class Levels:
    """The simulator, the service with the façade, and where the configuration of the one at the top is."""

    server: TwoNodes
    truth: Truth
    lower: Service
    directory: Path
    """The lower service's."""
    top: Path
    top_site: Site

    def restart(self) -> None:
        """Kill the lower service, and start it again after a change that it knows nothing of."""
        self.lower.kill()
        self.truth.toggle(JOE)
        self.lower = Service(self.directory, self.lower.site)

    def facade(self) -> dict[str, int]:
        """What there is at the façade."""
        found = self.lower.site.get("/v1/status").json["facade"]
        return {name: found[name] for name in NOTHING}


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Levels]:
    """The two that are below, for all tests."""
    directory, top = tmp_path_factory.mktemp("lower"), tmp_path_factory.mktemp("top")
    port = free_port()
    with TwoNodes(directory) as server:
        server.ready()
        facade = {
            "facade": f'listen_port = {port}\naddress = "http://127.0.0.1:{port}"\nunsure_after = {UNSURE_AFTER}',
            "facade.users.pwsapp": 'password_file = "password"\nend_users = ["dispatcher"]',
        }
        site = configure(directory, server.port, tls=None, server=serving(server.port), **QUICK, **facade)
        top_site = configure(top, port, tls=None, **QUICK)
        truth = Truth(server)
        made = Levels(server, truth, Service(directory, site), directory, top, top_site)
        try:
            made.lower.ready()
            yield made
            assert made.lower.stop() == 0
        finally:
            if made.lower.runs:
                made.lower.kill()
        assert server.stop() == 0


@pytest.mark.long(ci=True)
def test_doctor_finds_nothing_wrong_with_a_facade(levels: Levels) -> None:
    """As before a presence server: the WSDL, the logins, and that the callback is reached."""
    done = subprocess.run(
        [PWS, "doctor", "--config", "pws.toml", "--json"], cwd=levels.top, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)


@pytest.mark.long(ci=True)
def test_the_top_follows_whatever_happens_below(levels: Levels) -> None:
    """Changes, a node that dies, the lower service killed and started again: healed, and never a wrong live answer."""
    truth = levels.truth
    with Service(levels.top, levels.top_site) as top:
        top.ready()

        def is_true() -> None:
            seen = {each["contact"]: each for each in top.site.get("/v1/presence").json["contacts"]}
            found = {name: (each["freshness"], each["state"]) for name, each in seen.items()}
            assert found == {name: ("live", truth.now(name)) for name in truth.contacts()}

        with TopObserver(top.site, truth, ahead=BOUND) as observer:
            for contact in (ANN, JOE, RITA):
                truth.toggle(contact)
                eventually(is_true)
            levels.server.nodes("down", "imp1")
            truth.toggle(ANN)
            eventually(is_true, timeout=120)
            levels.server.nodes("up", "imp1")
            levels.restart()
            eventually(is_true, timeout=120)
            truth.toggle(RITA)
            eventually(is_true)
            assert observer.live > 0
        assert top.stop() == 0
    assert levels.facade() == NOTHING
