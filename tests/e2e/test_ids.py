"""Event ids over a crash and a wall clock that was set back meanwhile, with real processes and sockets."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import PATIENCE, Running, Site, eventually
from tests.e2e.simulated import Server, Service, configure

SET_BACK = """
import sys, time
real = time.time
time.time = lambda: real() - 7200
from service.cli import main
sys.argv[0] = "pws"
main()
"""
"""`pws` on a machine whose clock is two hours behind."""


class Behind(Service):
    """`pws serve` with that clock."""

    def __init__(self, directory: Path, site: Site) -> None:
        self.site = site
        words = [sys.executable, "-c", SET_BACK, "serve", "--config", "pws.toml"]
        Running.__init__(self, words, directory, "behind.log")


def first_event(site: Site, last_id: int | None = None) -> tuple[str, int, dict[str, Any]]:  # JSON is of any type
    """Name, id and data of the first event of a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    try:
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        connection.request("GET", "/v1/events", headers=headers)
        reply = connection.getresponse()
        found: dict[str, str] = {}
        while "data" not in found:
            name, _, value = reply.readline().decode().rstrip("\n").partition(": ")
            found[name] = value
        return found["event"], int(found["id"]), json.loads(found["data"])
    finally:
        connection.close()


@pytest.mark.long(ci=True)
def test_ids_ascend_when_the_clock_was_set_back(server: Server, tmp_path: Path) -> None:
    """Killed without a chance to write anything; the client of the old run is told that it cannot resume."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        server.put("ann@example.com", state="DND")
        service.sees("ann@example.com", state="DND")
        name, last, data = first_event(site)
        assert (name, data["reason"]) == ("snapshot", "start")
        service.kill()
    with Behind(tmp_path, site) as service:
        service.ready()
        name, again, data = first_event(site, last)
        assert (name, data["reason"]) == ("snapshot", "not-kept")
        assert again > last
        server.put("ann@example.com", state="AWAY")
        seen = service.sees("ann@example.com", state="AWAY")
        assert seen["revision"] > again
        assert service.stop() == 0
    highest = eventually(lambda: json.loads((tmp_path / "pws.state.json").read_text())["revision_ceiling"])
    assert seen["revision"] <= highest < 2**53
