"""Notifications over real sockets, where `callback.url` has a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.e2e.simulated import NOTHING, Server, Service, configure
from tests.support.ports import free_port


@pytest.mark.parametrize("apart", [False, True], ids=["beside the API", "on a listener of its own"])
@pytest.mark.parametrize("path", [pytest.param("/pws", marks=pytest.mark.long(ci=True)), "/presence/a%20b/"])
def test_a_path_in_the_callbacks_url_is_part_of_the_address(
    path: str, apart: bool, server: Server, tmp_path: Path
) -> None:
    """A change arrives by its notification: nothing is called lost, and none is refused."""
    port = free_port()
    site = configure(tmp_path, server.port)
    config = (tmp_path / "pws.toml").read_text()
    own = f"http://127.0.0.1:{port}" if apart else site.url
    listener = f"\nlisten_port = {port}" if apart else ""
    config = config.replace(f'url = "{site.url}"', f'url = "{own}{path}"{listener}')
    (tmp_path / "pws.toml").write_text(config)
    with Service(tmp_path, site) as service:
        service.ready()
        server.put("ann@example.com", state="DND")
        service.sees("ann@example.com", state="DND", freshness="live")

        def is_notified() -> None:
            assert service.site.get("/v1/status").json["notifications"]["received"] >= 2

        eventually(is_notified)
        assert service.stop() == 0
    assert server.holds() == NOTHING
