"""Replies that come twice over one connection: the second copy must never be taken for the reply to another request."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE, eventually
from tests.e2e.simulated import NOTHING, Service
from tests.e2e.truth import (
    ANN,
    CONTACTS,
    FETCH,
    JOE,
    RITA,
    Exchange,
    FaultyServer,
    Held,
    Observer,
    Proxy,
    Story,
    Truth,
    playing,
    quick,
)

ROUNDS = 3


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with playing(tmp_path_factory.mktemp("doubles"), heartbeat=1.0) as made:
        made.recovers()
        yield made


@pytest.mark.parametrize("seconds", [0, *(pytest.param(late, marks=pytest.mark.long(ci=True)) for late in (0.03, 0.3))])
def test_replies_to_every_operation_that_come_twice_make_nothing_wrong(seconds: float, story: Story) -> None:
    """Changes, lost sessions, and contacts that go and come, while every reply is sent twice."""
    with story.observed():
        story.server.fault("double-reply", seconds=seconds)
        for number in range(ROUNDS):
            fetches = story.reading("fetches")
            story.truth.toggle(CONTACTS[number % len(CONTACTS)])
            eventually(lambda fetches=fetches: has_fetched(story, fetches))  # type: ignore[misc]  # a default argument
        story.server.kill_sessions()
        story.refresh()
        assert story.service.site.ask("DELETE", f"/v1/contacts/{RITA}").status == 204
        story.truth.toggle(ANN)
        assert story.service.site.ask("POST", "/v1/contacts", {"contacts": [RITA]}).status == 200
        story.truth.toggle(JOE)
        fetches = story.reading("fetches")
        eventually(lambda: has_fetched(story, fetches))
        story.server.clear()
        story.heals()
    eventually(lambda: counts_agree(story))
    story.recovers()


def has_fetched(story: Story, before: int) -> None:
    story.refresh()
    assert story.reading("fetches") > before


def counts_agree(story: Story) -> None:
    """No fetch succeeded that the simulator was not asked for; one that failed may not have come that far."""
    tried, failed = story.reading("fetches"), story.reading("failures")
    assert tried - failed <= story.server.requests(FETCH) <= tried


@pytest.mark.long(ci=True)
def test_a_start_while_every_reply_comes_twice_becomes_live_and_true(tmp_path: Path) -> None:
    """The logins, the registration and the subscription are doubled as well."""
    with FaultyServer(tmp_path) as server:
        server.ready().fault("double-reply", seconds=0.03)
        with Service(tmp_path, quick(tmp_path, server.port)) as service:
            truth = Truth(server)
            with Observer(service.site, truth):
                service.ready()
                truth.toggle(ANN)
                server.clear()
                Story(server, service, truth).recovers()
            assert service.stop() == 0
        assert server.holds() == NOTHING


@pytest.mark.parametrize("pause", [0.0, pytest.param(2.5, marks=pytest.mark.long)])
def test_a_copy_that_comes_while_the_next_fetch_waits_is_not_its_reply(pause: float, tmp_path: Path) -> None:
    """The copy shows the old state, and comes once the next fetch has been sent; that one waits in the server."""
    with FaultyServer(tmp_path) as server, Proxy(server.ready().port) as proxy:
        with Service(tmp_path, quick(tmp_path, proxy.port, read_timeout=20.0)) as service:
            truth = Truth(server)
            story = Story(server, service.ready(), truth)
            story.recovers()
            second, copied = Held(), threading.Event()

            def doubled(exchange: Exchange) -> None:
                reply = exchange.forward(exchange.body)
                exchange.send(reply)

                def copy() -> None:
                    second.arrived.wait(PATIENCE)
                    # The service may have closed the connection, which is as good.
                    with contextlib.suppress(OSError, ValueError):
                        exchange.send(reply)
                    copied.set()

                threading.Thread(target=copy, name="copy").start()

            proxy.once(FETCH, doubled)
            proxy.once(FETCH, second)
            with story.observed() as observer:
                truth.change(ANN, "BUSY")
                service.sees(ANN, state="BUSY", freshness="live")
                next_change = time.monotonic() + pause
                eventually(lambda: is_over(next_change))
                # Its fetch begins when the old state has certainly ended.
                server.fault("delay-notification", seconds=0.3, count=1)
                truth.change(ANN, "DND")
                second.has_arrived()
                assert copied.wait(PATIENCE)
                answers = observer.live
                eventually(lambda: has_answered_or_doubts(story, observer, answers + 10 * len(CONTACTS)))
                second.release()
            assert service.stop() == 0
        assert server.holds() == NOTHING


def is_over(moment: float) -> None:
    assert time.monotonic() > moment


def has_answered_or_doubts(story: Story, observer: Observer, answers: int) -> None:
    """Ten more answers were checked, or nobody is live meanwhile."""
    assert observer.live > answers or "live" not in story.levels().values()
