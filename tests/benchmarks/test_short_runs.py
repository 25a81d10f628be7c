"""The benchmarks themselves, as somebody calls them: short runs, and the real ones, which take far longer.

Only results decide here (`--results-only`; chaos knows nothing else), never how long something took.
"""

from __future__ import annotations

import pytest

from tests.benchmarks.running import run
from tests.cluster.servers import binary


@pytest.mark.long(ci=True)
def test_chaos_heals_a_lost_reply_and_a_lost_notification() -> None:
    """Two faults, and every answer agrees with the truth."""
    found = run("chaos", "--faults", "2", "--seed", "3", "--only", "lose-reply", "--only", "drop-notification")
    assert found["faults_injected"] == found["faults_healed"] == 2
    assert found["changes_made"] > 0
    assert found["live_states_checked"] > 24
    assert found["wrong_live_answers"] == found["changes_lost"] == 0


@pytest.mark.long(ci=True)
def test_programs_before_a_facade_are_told_the_truth() -> None:
    """A lost reply, and a service that is killed: what was told over SOAP agrees with the truth."""
    kinds = ("--only", "lose-reply", "--only", "service killed")
    found = run("chaos", "--facade", "--faults", "2", "--seed", "3", *kinds)
    assert found["faults_injected"] == found["faults_healed"] == 2
    told = found["told"]
    assert told["wrong"] == found["wrong_live_answers"] == found["changes_lost"] == 0
    assert told["states"] > 24
    assert told["by_as_of"] > 0
    assert told["notifications"] > 0


@pytest.mark.long
def test_programs_cost_the_presence_server_nothing() -> None:
    """A few of them: each is told of each change, and the server is asked for nothing more."""
    found = run("facade", "--programs", "10", "--each", "20", "--contacts", "100", "--rate", "20", "--seconds", "2")
    assert found["with"]["changes"] == found["without"]["changes"] == 40
    assert found["with"]["untold"] == 0
    assert found["with"]["fetches"] > 0
    assert found["with"]["upstream"].keys() == {"getSubscribedPresence"}


@pytest.mark.long(ci=True)
def test_two_kills_leave_nothing_behind() -> None:
    """Killed while it starts, and started again."""
    found = run("kills", "--kills", "2", "--seed", "1", "--results-only")
    assert found["kills"] == 2
    assert found["left"] == {"sessions": 0, "endpoints": 0, "subscriptions": 0}


@pytest.mark.long
def test_memory_stays_where_it_is() -> None:
    """A few hundred notifications."""
    found = run("memory", "--notifications", "500", "--fetches", "50", "--hostile", "500", "--results-only")
    assert found["parts"][0]["fetches"] >= 50
    assert found["parts"][1]["fetches"] == 0


@pytest.mark.long
def test_every_stream_gets_every_change() -> None:
    """A few streams, the slow one's neighbours too."""
    found = run("streams", "--streams", "3", "--contacts", "50", "--changes", "300", "--results-only")
    assert [each["missing"] for each in found["runs"]] == [0, 0, 0]
    assert [(each["streams"], each["stuck"]) for each in found["runs"]] == [(1, 0), (3, 0), (3, 1)]


@pytest.mark.long
def test_a_target_knows_everybody_in_the_end() -> None:
    """Beside one that hangs, and while others are answered."""
    found = run("webhooks", "--rounds", "1", "--seconds", "0.5", "--contacts", "50")
    assert [each["targets"] for each in found["rounds"]] == [False, True]
    assert found["rounds"][1]["delivered"] > 1
    assert found["wrong"] == 0


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(binary("redis") is None, reason="no redis-server here")
def test_replicas_in_short() -> None:
    """Each cause of a fail-over once, some claims with a kill, and a little of everything else."""
    found = run("cluster", "--quick", "--seed", "1")
    assert {cause["rounds"] for cause in found["failovers"]["causes"].values()} == {1}
    assert found["failovers"]["live_states_checked"] > 1000
    assert found["failovers"]["streams_resumed"] > 0
    assert found["claims"]["granted"] >= 200
    assert found["claims"]["kills"] == 1
    assert found["latency"]["changes"] > 0
    assert found["rates"]["steps"][0]["events"] > 0


@pytest.mark.long
@pytest.mark.timeout(14400)
@pytest.mark.skipif(binary("redis") is None, reason="no redis-server here")
def test_replicas() -> None:
    """Fifty fail-overs by each cause, ten thousand claims."""
    found = run("cluster", "--only", "failovers", "--only", "claims")
    assert found["failovers"]["wrong_live_answers"] == found["claims"]["doubled"] == 0


@pytest.mark.long
@pytest.mark.timeout(3900)
def test_chaos() -> None:
    """Three hundred faults of every kind."""
    found = run("chaos", "--faults", "300")
    assert found["wrong_live_answers"] == found["changes_lost"] == 0


@pytest.mark.long
@pytest.mark.timeout(3900)
def test_chaos_before_a_facade() -> None:
    """Three hundred faults of every kind, before programs."""
    found = run("chaos", "--facade", "--faults", "300")
    assert found["told"]["wrong"] == found["wrong_live_answers"] == found["changes_lost"] == 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_hundred_kills() -> None:
    """The server's limits are never reached."""
    found = run("kills", "--kills", "100", "--results-only")
    assert found["exhausted"] == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_memory_after_a_million_notifications() -> None:
    """It has not grown by more than a few megabytes."""
    found = run("memory", "--results-only")
    assert found["parts"][0]["fetches"] >= 100_000
    assert all(part["growth"] < 8 for part in found["parts"])
