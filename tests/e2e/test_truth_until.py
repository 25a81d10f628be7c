"""Rich documents whose activities hold until a certain moment. A proxy writes the moment into the replies."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.e2e.processes import PATIENCE
from tests.e2e.simulated import NOTHING, Service
from tests.e2e.truth import ANN, FETCH, POLL, FaultyServer, Proxy, Story, Truth, quick, rewriting

LATEST = 0.1
"""Seconds after the moment at which an answer was asked for that must know of it."""

pytestmark = pytest.mark.long(ci=True)


@dataclass
class Timed:
    """A story with the proxy in it."""

    story: Story
    proxy: Proxy

    def writes(self, until: str | None) -> None:
        """Let the activities in all documents hold until a moment; None: leave them alone."""
        rule = None
        if until is not None:
            attribute = f'<activities until="{until}">'.encode()
            rule = rewriting(lambda content: re.sub(rb"<activities>", attribute, content))
        for operation in (FETCH, POLL):
            self.proxy.always(operation, rule)


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timed]:
    directory = tmp_path_factory.mktemp("until")
    with FaultyServer(directory) as server, Proxy(server.ready().port) as proxy:
        with Service(directory, quick(directory, proxy.port, rich=True, names=["ann"])) as service:
            truth = Truth(server, [ANN])
            yield Timed(Story(server, service.ready(), truth), proxy)
            assert service.stop() == 0
        assert server.holds() == NOTHING


def test_activities_until_a_moment_long_past_do_not_count(timed: Timed) -> None:
    """The document then says nothing but that a device is open."""
    timed.story.truth.change(ANN, "DND")
    timed.story.recovers()
    timed.writes("2005-05-30T12:00:00Z")
    timed.story.server.put(ANN, state="BUSY")
    before = timed.story.reading("polls")
    seen = timed.story.service.sees(ANN, state="AVAILABLE", freshness="live")
    assert seen["activities"] == []
    assert timed.story.reading("polls") - before <= 1
    timed.writes(None)
    timed.story.truth.change(ANN, "DND")
    timed.story.recovers()


def test_activities_that_end_shortly_are_not_live_after_their_end(timed: Timed) -> None:
    """They are live until then, and are read again at that moment without anybody's notification."""
    for ahead in (1.5, 3, 6, 12):  # a busy machine may take longer than the first to read it at all
        timed.writes(None)
        timed.story.truth.change(ANN, "DND")
        timed.story.recovers()
        if is_live_until_then(timed, time.time() + ahead):
            break
    else:
        pytest.fail("it was never live before its end")
    timed.writes(None)
    timed.story.truth.change(ANN, "DND")
    timed.story.recovers()


def is_live_until_then(timed: Timed, until: float) -> bool:
    """Whether the activities were live before their end. After it they are not, and the contact is read again."""
    timed.writes(datetime.fromtimestamp(until, UTC).isoformat())
    timed.story.truth.change(ANN, "BUSY")
    deadline = time.monotonic() + PATIENCE
    before = False
    while time.monotonic() < deadline:
        asked = time.time()
        seen = timed.story.contacts()[ANN]
        answer = seen["freshness"], seen["state"]
        before |= answer == ("live", "BUSY")
        if asked > until + LATEST:
            assert answer != ("live", "BUSY")
        if answer == ("live", "AVAILABLE"):
            assert datetime.fromisoformat(seen["as_of"]).timestamp() >= until - LATEST
            return before
        time.sleep(0.02)
    pytest.fail("it was not read again after its end")
