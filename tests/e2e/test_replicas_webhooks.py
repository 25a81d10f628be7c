"""Webhooks of replicas as processes: the owner sends, and who owns next begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.servers import required, running
from tests.e2e.processes import eventually
from tests.support.hook_server import SECRET, HookServer, hook_server
from tests.support.replicas.cluster import Cluster, address

pytestmark = pytest.mark.long


def _resets(web: HookServer) -> int:
    return len({message.id for message in web.taken() if message.kind == "pws.presence.reset"})


def _knows(web: HookServer, contact: str, state: str) -> None:
    """Wait until the last message about a contact says so."""

    def found() -> None:
        newest = max(
            (each for each in web.taken() if each.subject == contact), key=lambda each: int(each.event.get_id())
        )
        assert newest.data["state"] == state, newest.data

    eventually(found)


def test_the_owner_sends_and_the_next_one_begins_anew(tmp_path: Path) -> None:
    """After a kill, and after a hand-over; status and replay are the owner's wherever they are asked for."""
    required("redis")
    (tmp_path / "engine").mkdir()
    with running("redis", tmp_path / "engine") as engine, hook_server() as web:
        target = ("[[webhooks]]", 'name = "crm"', f'url = "{web.url}"', f'secret = "{SECRET}"')
        with Cluster(tmp_path, engine.port, count=2, lines=target) as two:
            two.start()
            owner = two.heals()
            (follower,) = two.followers()
            _knows(web, address("ann"), "AVAILABLE")
            two.truth.change(address("ann"), "BUSY")
            _knows(web, address("ann"), "BUSY")
            assert _resets(web) == 1
            listed = follower.site.get("/v1/webhooks").json["webhooks"]
            assert [(each["name"], each["state"]) for each in listed] == [("crm", "delivering")]
            assert follower.status()["webhooks"] == []

            two.kill(owner)
            two.truth.change(address("ann"), "AWAY")
            two.heals()
            _knows(web, address("ann"), "AWAY")
            eventually(lambda: _exactly(web, 2))

            two.start(owner)
            heir = two.heals()
            assert heir is follower
            replayed = owner.site.ask("POST", "/v1/webhooks/crm/replay", {"after": 0})
            assert replayed.status in {202, 410}, replayed.body
            assert two.stop(heir) == 0
            two.heals()
            eventually(lambda: _exactly(web, 3))
            _knows(web, address("ann"), "AWAY")
        assert not web.wrong


def _exactly(web: HookServer, resets: int) -> None:
    assert _resets(web) == resets
