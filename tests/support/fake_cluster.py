"""One of three replicas, a follower, as it says of itself: a third one has ended half a minute ago."""

from __future__ import annotations

from service.core.engine import ClusterStatus, MemberState, MemberStatus, SharedEngineStatus

ENGINE = SharedEngineStatus("redis", "7.2.4", "noeviction", True, 1)
MEMBERS = (
    MemberStatus("one", "http://10.0.0.1:8080", "1.2.3", "abc", MemberState.OWNER, 0.4),
    MemberStatus("two", "http://10.0.0.2:8080", "1.2.3", "abc", MemberState.FOLLOWER, 0.9),
    MemberStatus("old", "http://10.0.0.3:8080", "1.2.2", "abd", MemberState.SILENT, 31.0),
)
CLUSTER = ClusterStatus(
    replica="two",
    address="http://10.0.0.2:8080",
    unit="pws",
    role="follower",
    owner="http://10.0.0.1:8080",
    epoch=17,
    lag=0.6,
    silent=False,
    waiting=3,
    takes=2,
    losses=1,
    forwarded={"answered": 5, "nobody": 1},
    members=MEMBERS,
    engine=ENGINE,
)
