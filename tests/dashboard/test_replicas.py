"""What the page says of several replicas, on a laptop and on a phone; of a single process it says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from service.core.engine import (
    ClusterStatus,
    EngineState,
    HealthProblem,
    MemberState,
    MemberStatus,
    SharedEngineStatus,
    Status,
)
from tests.dashboard.conftest import Opener
from tests.dashboard.serving import person, served, small_office
from tests.dashboard.shapes import PHONE, overflow, violations
from tests.support.bare_service import FEED, BareService
from tests.support.fake_engine import FakeEngine

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWNER, FOLLOWER, SILENT = MemberState.OWNER, MemberState.FOLLOWER, MemberState.SILENT
MEMBERS = (
    MemberStatus("one", "http://10.0.0.1:8080", "1.2.3", "abc", OWNER, 0.4),
    MemberStatus("two", "http://10.0.0.2:8080", "1.2.3", "abc", FOLLOWER, 0.9),
    MemberStatus("three", "http://10.0.0.3:8080", "1.2.3", "abc", FOLLOWER, 0.2),
)
CLUSTER = ClusterStatus(
    replica="two",
    address="http://10.0.0.2:8080",
    unit="pws",
    role="follower",
    owner="http://10.0.0.1:8080",
    epoch=17,
    lag=0.62,
    silent=False,
    members=MEMBERS,
    engine=SharedEngineStatus("valkey", "9.1.0", "noeviction", True, 1),
)
UNHEARD = "this replica does not hear the owner of the sessions"


def office(cluster: ClusterStatus, *problems: str, state: EngineState = EngineState.LIVE) -> BareService:
    """Four people at a replica with this status."""
    shown = Status(state, tuple(HealthProblem(1.0, what) for what in problems), cluster=cluster)
    return small_office(engine=FakeEngine(shown))


async def test_a_follower_says_whose_mirror_it_is(opened: Opener) -> None:
    """And which replica it is, beside the page's name; who else is there, and what they share."""
    async with served(office(CLUSTER)) as it:
        page = (await opened(it.url, **PHONE)).page
        await expect(page.locator("#replica")).to_have_text("10.0.0.2:8080, follower")
        health = page.locator("#health-body")
        await expect(health).to_contain_text("This replica answers from its mirror of 10.0.0.1:8080, 0.6 s behind.")
        await expect(page.locator("#health-body .facts dd")).to_have_text(
            ["10.0.0.1:8080 owner", "10.0.0.2:8080 follower this one", "10.0.0.3:8080 follower", "Valkey 9.1.0 works"]
        )
        await expect(page.locator(".banner")).to_have_count(0)
        assert await overflow(page) <= 0
        assert await violations(page) == []


async def test_the_owner_says_so_and_what_is_wrong(opened: Opener) -> None:
    """Another version and configuration, one that has ended, and an engine that is not as it should be."""
    members = (
        MEMBERS[0],
        replace(MEMBERS[1], version="1.2.4", configuration="other"),
        replace(MEMBERS[2], state=SILENT, heard=31.2),
    )
    engine = SharedEngineStatus("redis", "7.2.4", "allkeys-lru", False, 0, "the engine has no memory left")
    shown = replace(CLUSTER, replica="one", address=MEMBERS[0].address, role="owner", lag=0.0, members=members)
    async with served(office(replace(shown, waiting=7, engine=engine), "the engine has no memory left")) as it:
        page = (await opened(it.url)).page
        await expect(page.locator("#replica")).to_have_text("10.0.0.1:8080, owner")
        await expect(page.locator("#health-body")).to_contain_text("This replica owns the sessions")
        await expect(page.locator("#health-body .facts dd")).to_have_text(
            [
                "10.0.0.1:8080 owner this one version 1.2.3",
                "10.0.0.2:8080 follower version 1.2.4 another configuration",
                "10.0.0.3:8080 silent version 1.2.3 for 31 s",
                "Redis 7.2.4 fails 7 changes not written yet drops data where memory is short (allkeys-lru) "
                "keeps nothing on disk the engine has no memory left",
            ]
        )
        assert await violations(page) == []


async def test_while_nobody_is_heard_the_banner_says_what_happens(opened: Opener) -> None:
    """As long as one takes over all is stale; then it is gone by itself."""
    long = "https://presence-replica-number-two.branch-office.example.com:8443"
    silent = replace(CLUSTER, address=long, role="candidate", owner=None, silent=True, lag=4.0)
    it_is = office(silent, UNHEARD, state=EngineState.DOWN)
    it_is.store.doubt(FEED, UNHEARD)
    it_is.core.log.touch()
    async with served(it_is) as it:
        page = (await opened(it.url, **PHONE)).page
        banner = page.locator(".banner")
        await expect(banner).to_contain_text("None of 4 contacts is live")
        await expect(banner).to_contain_text("Another one takes over by itself, usually within seconds.")
        await expect(page.locator("#replica")).to_have_text(f"{long.removeprefix('https://')}, hears no owner")
        await expect(page.locator("#health-body")).to_contain_text("nothing that it shows is sure")
        assert await overflow(page) <= 0
        assert await violations(page) == []
        it_is.engine.shown = Status(EngineState.LIVE, cluster=replace(CLUSTER, owner=MEMBERS[2].address))
        it_is.store.trust(FEED)
        it_is.read([person(name) for name in ("Ann Example", "Joe Sample", "Rita Model", "Zoe Pattern")])
        it_is.core.log.touch()
        await expect(page.locator("#health-body")).to_contain_text("its mirror of 10.0.0.3:8080")
        await expect(banner).to_have_count(0)


async def test_while_its_stream_is_refused_the_page_says_that_nobody_owns(opened: Opener) -> None:
    """It is connected to a replica that answers, and that has nobody to hear: as soon as one owns, it goes on."""
    it_is = office(CLUSTER)
    async with served(it_is) as it:
        watched = await opened(it.url)
        watched.forgive("503")
        page, banner = watched.page, watched.page.locator(".banner")
        await expect(page.locator("#link")).to_have_text("connected")
        it_is.engine.shown = Status(EngineState.DOWN, cluster=replace(CLUSTER, owner=None, silent=True))
        it_is.core.log.silence()
        await expect(banner).to_contain_text("This replica hears no owner of the sessions just now")
        await expect(banner).to_contain_text("Another one takes over by itself, usually within seconds.")
        await expect(page.locator("#replica")).to_have_text("10.0.0.2:8080, hears no owner")
        await expect(page.get_by_text("not sure")).not_to_have_count(0)  # whatever it has shown up to now
        problem = "the engine at 10.0.0.20:6379 did not answer in time"
        fails = SharedEngineStatus(problem=problem)
        it_is.engine.shown = Status(EngineState.DOWN, cluster=replace(CLUSTER, owner=None, silent=True, engine=fails))
        await expect(banner).to_contain_text("The engine at 10.0.0.20:6379 did not answer in time.")
        it_is.core.log.heard()
        it_is.engine.shown = Status(EngineState.LIVE, cluster=CLUSTER)
        await expect(page.locator("#link")).to_have_text("connected")
        await expect(banner).to_have_count(0)


async def test_the_page_of_a_replica_that_has_ended_names_no_role(opened: Opener) -> None:
    """It was the owner; by now another one is."""
    async with served(office(replace(CLUSTER, role="owner", owner=CLUSTER.address))) as it:
        page = (await opened(it.url)).page
        await expect(page.locator("#replica")).to_have_text("10.0.0.2:8080, owner")
        await it.stop()
        await expect(page.locator("#replica")).to_have_text("10.0.0.2:8080, no answer")


async def test_of_a_single_process_nothing_is_said(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(page.locator("#health-body")).to_contain_text("live")
        await expect(page.locator("#replica")).to_be_hidden()
        said = (await page.locator("body").inner_text()).lower()
        assert "replica" not in said
        assert "owner" not in said
