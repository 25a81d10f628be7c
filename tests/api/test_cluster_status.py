"""What the status says of several replicas; a single process and a limited key see none of it."""

from __future__ import annotations

from service.api.models.status import ClusterView
from service.core.engine import EngineState, Status
from tests.support.asgi import call
from tests.support.bare_service import BareService
from tests.support.fake_cluster import CLUSTER
from tests.support.people import bearer, guarded


def showing(office: BareService) -> BareService:
    """The same as one of several replicas."""
    office.engine.shown = Status(EngineState.LIVE, cluster=CLUSTER)
    return office


async def test_all_of_it_is_shown() -> None:
    body = (await showing(BareService()).get("/v1/status")).json()
    cluster = body["cluster"]
    members = cluster.pop("members")
    assert cluster == {
        "replica": "two",
        "address": "http://10.0.0.2:8080",
        "unit": "pws",
        "role": "follower",
        "owner": "http://10.0.0.1:8080",
        "epoch": 17,
        "lag": 0.6,
        "silent": False,
        "waiting": 3,
        "takes": 2,
        "losses": 1,
        "forwarded": {"answered": 5, "nobody": 1},
        "engine": {
            "name": "redis",
            "version": "7.2.4",
            "eviction": "noeviction",
            "persistent": True,
            "copies": 1,
            "problem": None,
        },
    }
    assert [(each["address"], each["state"], each["heard"]) for each in members] == [
        ("http://10.0.0.1:8080", "owner", 0.4),
        ("http://10.0.0.2:8080", "follower", 0.9),
        ("http://10.0.0.3:8080", "silent", 31.0),
    ]
    assert members[2] == {
        "replica": "old",
        "address": "http://10.0.0.3:8080",
        "version": "1.2.2",
        "configuration": "abd",
        "state": "silent",
        "heard": 31.0,
    }


async def test_a_single_process_has_no_such_member() -> None:
    assert "cluster" not in (await BareService().get("/v1/status")).json()


async def test_a_limited_key_sees_nothing_of_it() -> None:
    office = showing(guarded())
    for name in ("sales", "board"):
        answer = await call(office.app, "GET", "/v1/status", headers=bearer(name))
        assert answer.status == 200
        assert "cluster" not in answer.json()


def test_each_member_of_it_is_described_where_its_name_does_not_say_it() -> None:
    bare = {name for name, field in ClusterView.model_fields.items() if not field.description}
    assert bare == {"engine"}  # which is described by itself
