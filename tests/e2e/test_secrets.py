"""Nothing that the service says holds a secret, at the most talkative log level and on a bad day."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pws_soap.simulator import Fault, Options, SimulatorServer, State, User
from tests.e2e.simulated import SECRET, Service, configure

PASSWORD = "correct-horse-battery-staple"


def keys_of(server: SimulatorServer) -> set[str]:
    """The session keys that the server has given out and still knows."""
    return {key for place in server.simulator.places.values() for key in place.node.registry.sessions}


async def test_no_secret_leaves_the_service(tmp_path: Path) -> None:
    """The server runs in this process: its control interface shows session keys shortened only."""
    options = Options(users=(User("pwsapp", PASSWORD, application=True), User("dispatcher")))
    async with SimulatorServer(options, control_port=None) as server:
        server.simulator.populate(3)
        site = configure(tmp_path, server.nodes[0].port)
        (tmp_path / "password").write_text(PASSWORD)
        with Service(tmp_path, site, "--log-level", "debug") as service:
            await asyncio.to_thread(service.ready)
            keys = keys_of(server)
            said = []
            for kind in ("garble-reply", "lose-reply", "truncate-reply", "html-reply"):
                server.simulator.faults.add(Fault(kind, operation="getSubscribedPresence", count=1))
                said.append((await asyncio.to_thread(site.ask, "POST", "/v1/refresh")).body.decode())
            server.simulator.kill_sessions()
            said.append((await asyncio.to_thread(site.ask, "POST", "/v1/refresh")).body.decode())
            server.simulator.change("ann@example.com", state=State.BUSY)
            await asyncio.to_thread(service.sees, "ann@example.com", state="BUSY", freshness="live")
            keys |= keys_of(server)
            paths = ("/", "/v1/status", "/v1/presence", "/readyz", "/openapi.json", "/docs", f"/pws/{SECRET}")
            said += [(await asyncio.to_thread(site.get, path)).body.decode() for path in paths]
            assert await asyncio.to_thread(service.stop) == 0
        assert len(keys) == 4
        assert keys_of(server) == set()
    said += [service.output, (tmp_path / "pws.state.json").read_text()]
    assert "cannot be fetched" in service.output  # the bad day was told of
    for secret in (PASSWORD, SECRET, *keys):
        assert not [text for text in said if secret in text]
