"""Notifications that never come, that stop, and that come again; and the address at which they come."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from service.sync.silence import LATE
from tests.e2e.processes import Site, eventually, free_port
from tests.e2e.simulated import NOTHING, Service
from tests.e2e.truth import ANN, Exchange, FaultyServer, Proxy, Story, Truth, playing, quick

IN_TIME = 20.0
"""Seconds from the subscription until the status must say that its notifications do not come."""


@dataclass
class Mute:
    """A story without notifications, and when its service became ready, in seconds since the epoch."""

    story: Story
    since: float


@pytest.fixture(scope="module", autouse=True)
def deaf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mute]:
    """Nothing listens where `callback.url` points to. It starts first, so that there is time to notice the silence."""
    callback = f'url = "http://127.0.0.1:{free_port()}"\nsecret_file = "callback-secret"'
    with playing(tmp_path_factory.mktemp("deaf"), callback=callback) as story:
        yield Mute(story, time.time())


@pytest.fixture(scope="module", autouse=True)
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mute]:
    """The server drops all notifications from the beginning."""
    directory = tmp_path_factory.mktemp("dropped")
    with FaultyServer(directory) as server:
        server.ready().fault("drop-notification")
        with Service(directory, quick(directory, server.port)) as service:
            truth = Truth(server)
            yield Mute(Story(server, service.ready(), truth), time.time())
            assert service.stop() == 0
        assert server.holds() == NOTHING


@pytest.mark.parametrize("path", ["/behind/a-proxy", "/presence/a%20b/"])
def test_notifications_come_at_the_registered_address_where_the_callbacks_url_has_a_path(
    path: str, tmp_path: Path
) -> None:
    """The address is read from the registration itself; what the server sends there counts, and nothing is refused."""
    registered: list[str] = []

    def noted(exchange: Exchange) -> None:
        if (found := re.search(rb"<(?:\w+:)?url>([^<]*)<", exchange.body)) is not None:
            registered.append(found[1].decode())
        exchange.send(exchange.forward(exchange.body))

    with FaultyServer(tmp_path) as server, Proxy(server.ready().port) as proxy:
        proxy.always("registerEndPoint", noted)
        site = quick(tmp_path, proxy.port)
        config = tmp_path / "pws.toml"
        config.write_text(config.read_text().replace(f'url = "{site.url}"', f'url = "{site.url}{path}"'))
        with Service(tmp_path, site) as service:
            story = Story(server, service.ready(), Truth(server))
            story.recovers()
            (endpoint,) = server.control.get("/control/endpoints").json["endpoints"]
            (url,) = registered
            assert endpoint["url"] == f"{site.url}/..."
            assert url.startswith(f"{site.url}{path.rstrip('/')}/")
            received = story.status()["notifications"]["received"]
            story.truth.toggle(ANN)
            story.heals()
            assert story.status()["notifications"]["received"] > received
            assert server.counters()["notifications"]["failed"] == 0

            before = story.status()["notifications"]
            (subscription,) = server.control.get("/control/subscriptions").json["subscriptions"]
            target = url.removeprefix(site.url)
            answer = Site(site.port).get(f"{target}?id={subscription['id']}&eventType=PRESENCE_NOTIFICATION")
            assert answer.status < 300
            assert story.status()["notifications"] == before | {"received": before["received"] + 1}
            assert before["rejected"] == 0
            assert service.stop() == 0
        assert server.holds() == NOTHING


def test_a_change_that_a_heartbeat_finds_counts_as_a_lost_notification(tmp_path: Path) -> None:
    """The change is live and true soon, the status says what to check, and the next notification ends the problem."""
    with playing(tmp_path, heartbeat=1.0, names=["ann"]) as story:
        story.truth = Truth(story.server, [ANN])
        story.recovers()
        eventually(lambda: is_long_ago(story))
        with story.observed():
            story.server.fault("drop-notification", count=1)
            story.truth.toggle(ANN)
            eventually(lambda: has_missed(story, 1))
        (problem,) = story.problems()
        assert "are being lost" in problem
        assert "check that the server reaches the callback" in problem
        with story.observed():
            story.truth.toggle(ANN)
        story.recovers()
        assert story.reading("missed_notifications") == 1


def is_long_ago(story: Story) -> None:
    """The last notification is too old to be the late one of a change that comes now."""
    (subscription,) = story.status()["subscriptions"]
    last = subscription["last_notification_at"]  # None where it came before the reply to `subscribe`
    assert last is None or time.time() - datetime.fromisoformat(last).timestamp() > LATE


def has_missed(story: Story, number: int) -> None:
    assert story.reading("missed_notifications") == number


def test_a_callback_that_nothing_reaches_is_told_with_what_to_look_at(deaf: Mute) -> None:
    """Contacts are live meanwhile, but the whole is degraded."""
    problem = eventually(lambda: not_notified(deaf))
    for hint in ("callback.url", "port", "firewall", "pws doctor"):
        assert hint in problem
    assert deaf.story.status()["state"] == "degraded"
    assert set(deaf.story.levels().values()) == {"live"}


def not_notified(mute: Mute) -> str:
    """The problem, which the status has had in time."""
    problems = mute.story.status()["problems"]
    (found,) = [each for each in problems if "was not notified when it was made" in each["what"]] or [None]
    assert found is not None, problems
    if datetime.fromisoformat(found["since"]).timestamp() - mute.since > IN_TIME:
        raise RuntimeError(f"it was late: {found}")
    return str(found["what"])


def test_a_problem_with_notifications_ends_with_the_first_that_comes(dropped: Mute) -> None:
    """They were dropped from the start, and are not any more."""
    story = dropped.story
    eventually(lambda: not_notified(dropped))
    story.server.clear()
    assert story.refresh() == 200
    with story.observed():
        story.truth.toggle(ANN)
    story.recovers()
    assert story.status()["state"] == "live"


@pytest.mark.long
def test_a_change_is_found_within_a_minute_where_no_notification_comes(deaf: Mute) -> None:
    """The safety interval is ten minutes; without notifications there is a fetch every 15 seconds."""
    eventually(lambda: not_notified(deaf))
    began = time.monotonic()
    with deaf.story.observed():
        deaf.story.truth.toggle(ANN)
    assert time.monotonic() - began < 60
