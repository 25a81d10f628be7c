"""Notifications that never come, that stop, and that come again; and the address at which they come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Site, eventually
from tests.e2e.simulated import NOTHING, Service
from tests.e2e.truth import ANN, Exchange, FaultyServer, Proxy, Story, Truth, playing, quick
from tests.support.ports import free_port


@pytest.fixture(scope="module", autouse=True)
def deaf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Nothing listens where `callback.url` points to. It starts first, so that there is time to notice the silence."""
    callback = f'url = "http://127.0.0.1:{free_port()}"\nsecret_file = "callback-secret"'
    with playing(tmp_path_factory.mktemp("deaf"), callback=callback) as story:
        yield story


@pytest.fixture(scope="module", autouse=True)
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The server drops all notifications from the beginning."""
    directory = tmp_path_factory.mktemp("dropped")
    with FaultyServer(directory) as server:
        server.ready().fault("drop-notification")
        with Service(directory, quick(directory, server.port)) as service:
            truth = Truth(server)
            yield Story(server, service.ready(), truth)
            assert service.stop() == 0
        assert server.holds() == NOTHING


@pytest.mark.long(ci=True)
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


@pytest.mark.long(ci=True)
def test_a_change_that_a_heartbeat_finds_counts_as_a_lost_notification(tmp_path: Path) -> None:
    """The change is live and true soon, the status says what to check, and the next notification ends the problem."""
    with playing(tmp_path, heartbeat=10.0, names=["ann"]) as story:
        story.truth = Truth(story.server, [ANN])
        story.recovers()
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


def has_missed(story: Story, number: int) -> None:
    assert story.reading("missed_notifications") == number


@pytest.mark.long(ci=True)
def test_a_callback_that_nothing_reaches_is_told_with_what_to_look_at(deaf: Story) -> None:
    """Contacts are live meanwhile, but the whole is degraded."""
    problem = eventually(lambda: not_notified(deaf))
    for hint in ("callback.url", "port", "firewall", "pws doctor"):
        assert hint in problem
    assert deaf.status()["state"] == "degraded"
    assert set(deaf.levels().values()) == {"live"}


def not_notified(story: Story) -> str:
    """The problem in the status. That it comes in time is a story of tests/sync, whose clock is injected."""
    problems = story.status()["problems"]
    (found,) = [each for each in problems if "was not notified when it was made" in each["what"]] or [None]
    assert found is not None, problems
    return str(found["what"])


@pytest.mark.long(ci=True)
def test_a_problem_with_notifications_ends_with_the_first_that_comes(dropped: Story) -> None:
    """They were dropped from the start, and are not any more."""
    story = dropped
    eventually(lambda: not_notified(dropped))
    story.server.clear()
    assert story.refresh() == 200
    with story.observed():
        story.truth.toggle(ANN)
    story.recovers()
    assert story.status()["state"] == "live"


@pytest.mark.long
def test_a_change_is_found_although_no_notification_comes(deaf: Story) -> None:
    """The safety interval is ten minutes, longer than anybody waits here; without notifications it is 15 seconds."""
    eventually(lambda: not_notified(deaf))
    with deaf.observed():
        deaf.truth.toggle(ANN)
    deaf.recovers()
