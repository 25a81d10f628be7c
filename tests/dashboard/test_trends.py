"""The picture of the last hours, in a browser: its areas, gaps and marks, and the table that says the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Route, expect

from service.access.principal import Principal, Scope
from service.core.clock import Moment
from service.core.events.event import SubscriptionChange
from tests.dashboard.conftest import Opener
from tests.dashboard.serving import S, locked, person, served
from tests.dashboard.shapes import PHONE, WALL, laid_out, overflow, violations
from tests.support.bare_service import FEED, BareService

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = ("Ann Example", "Bob Sample", "Cid Model", "Dan Pattern")
LAPTOP = {"viewport": {"width": 1440, "height": 900}}


def office(**parts: Any) -> BareService:  # what an office takes
    """Half an hour of four people: an outage of five minutes, then five minutes in which the service did not run."""
    people = [person(NAMES[0]), person(NAMES[1], S.BUSY), person(NAMES[2], S.BUSY, on_the_phone=True)]
    people.append(person(NAMES[3], S.AWAY))
    every = tuple(each.contact for each in people)
    made = BareService(groups={"support": every[:3], "small": every[:1]}, **parts)
    made.watch(*every)
    for minute in range(30):
        if minute == 10:
            made.store.doubt(FEED, "lost", Moment.of(made.clock))
            made.core.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1"), frozenset(every))
        if minute == 15:
            made.store.trust(FEED, anew=made.store.begin())
            made.core.log.tell("subscription.recreated", SubscriptionChange("dispatcher", "imp1"), frozenset(every))
        if not 10 <= minute < 15:
            made.read(people)
        if minute == 5:
            made.core.trends.lagged(0.25)
        made.core.log.touch()
        if not 20 <= minute < 25:
            made.core.trends.sample()
        made.clock.advance(60)
    return made


async def test_areas_have_gaps_where_nothing_was_counted_and_hatching_where_nothing_was_sure(
    opened: Opener,
) -> None:
    """And the events of subscriptions are marks on them."""
    async with served(office()) as it:
        page = (await opened(it.url, **LAPTOP)).page
        await expect(page.locator("#trends .area[data-kind=free]")).to_have_count(2)  # before the gap, and after it
        await expect(page.locator("#trends .area[data-kind=unsure]")).to_have_count(1)
        box = await page.locator("#trends .area[data-kind=unsure]").bounding_box()
        assert box is not None  # it is drawn
        await expect(page.locator("#trends .area[data-kind=claimed]")).to_have_count(0)
        await expect(page.locator("#trends .mark")).to_have_count(2)
        await expect(page.locator("#trends .mark title").first).to_contain_text("subscription lost")
        await expect(page.locator("#trends .lag")).to_contain_text("250 ms at most")
        await expect(page.locator("#trends .legend li")).to_have_text(
            ["free 1", "claimed 0", "on the phone 1", "busy 1", "away 1", "not sure 0"]
        )
        await expect(page.locator("#trends .reading")).to_have_text(re.compile(r"^counted at \d\d:\d\d$"))
        await page.locator("#trends .areas").hover()
        await expect(page.locator("#trends .reading")).to_contain_text("not sure")


async def test_what_a_pointer_rests_on_is_said_though_the_picture_is_drawn_again(opened: Opener) -> None:
    """At each sample."""

    async def every_second(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json={**await answer.json(), "interval": 1})

    async with served(office()) as it:
        page = (await opened("about:blank", **LAPTOP)).page
        await page.route("**/v1/trends", every_second)
        await page.goto(it.url)
        await page.locator("#trends .areas").hover()
        reading = page.locator("#trends .reading")
        await expect(reading).to_contain_text("not sure")
        shown = await page.locator("#trends figure").element_handle()
        assert shown is not None
        await page.wait_for_function("(figure) => !figure.isConnected", arg=shown)
        assert "not sure" in (await reading.text_content() or "")
        await page.mouse.move(0, 0)
        await expect(reading).to_contain_text("counted at")


async def test_a_table_says_the_same(opened: Opener) -> None:
    """For those who cannot see the picture: the latest first, and what happened in between."""
    async with served(office()) as it:
        page = (await opened(it.url, **LAPTOP)).page
        await page.locator("#trends summary").click()
        lines = page.locator("#trends tbody tr")
        await expect(lines).to_have_count(13)
        await expect(page.locator("#trends thead th")).to_have_text(
            ["Time", "free", "claimed", "on the phone", "busy", "away", "not sure", "Events"]
        )
        cells: list[list[str]] = await lines.evaluate_all(
            "(lines) => lines.map((line) => [...line.children].slice(1).map((cell) => cell.textContent))"
        )
        assert cells[0] == ["1", "0", "1", "1", "1", "0", ""]
        assert ["0", "0", "0", "0", "0", "4", "subscription lost"] in cells
        assert [line[-1] for line in cells if line[-1]] == ["subscription made anew", "subscription lost"]


async def test_lines_less_than_a_minute_apart_have_seconds(opened: Opener) -> None:
    """No two lines of the table have the same time; nor have the marks below the picture."""
    people = [person(each) for each in NAMES]
    made = BareService()
    made.watch(*(each.contact for each in people))
    made.read(people)
    made.core.trends.interval = 5.0
    for _ in range(4):
        made.core.trends.sample()
        made.clock.advance(5)
    async with served(made) as it:
        page = (await opened(it.url, **LAPTOP)).page
        await page.locator("#trends summary").click()
        times = await page.locator("#trends tbody th").all_text_contents()
        assert len(times) == len(set(times)) == 4
        times += await page.locator("#trends .hours span").all_text_contents()
        assert all(re.fullmatch(r"\d\d:\d\d:\d\d", each) for each in times)


async def test_a_group_has_its_own_picture_and_a_small_one_none(opened: Opener) -> None:
    """The filter of the page chooses."""
    async with served(office()) as it:
        page = (await opened(f"{it.url}?group=support", **LAPTOP)).page
        await expect(page.locator("#trends .most")).to_have_text("3")
        await page.locator("#group").select_option("small")
        await expect(page.locator("#trends-body")).to_contain_text("none of fewer than three contacts")
        await page.locator("#group").select_option("")
        await expect(page.locator("#trends .most")).to_have_text("4")


@pytest.mark.long(ci=True)
async def test_it_goes_on_with_the_next_sample(opened: Opener) -> None:
    """Without anybody's doing."""
    made = office()
    made.core.trends.interval = 1.0
    async with served(made) as it:
        page = (await opened(it.url, **LAPTOP)).page
        await expect(page.locator("#trends .legend li").first).to_have_text("free 1")
        made.read([person(NAMES[1])])
        made.core.trends.sample()
        await expect(page.locator("#trends .legend li").first).to_have_text("free 2")


@pytest.mark.long(ci=True)
async def test_a_key_without_details_sees_who_is_free_and_no_more(opened: Opener) -> None:
    """Neither calls nor states, also not in numbers."""
    brief = Principal("brief", frozenset({Scope.READ}), details=False)
    authenticator, keys = locked(brief=brief)
    async with served(office(authenticator=authenticator)) as it:
        page = (await opened(it.url, **LAPTOP)).page
        await page.locator("#key-value").fill(keys["brief"])
        await page.keyboard.press("Enter")
        await expect(page.locator("#trends .legend li")).to_have_text(["free 1", "not free 3", "not sure 0"])


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(LAPTOP, id="laptop"),
        pytest.param(PHONE, id="phone", marks=pytest.mark.long(ci=True)),
        pytest.param(WALL, id="wall"),
    ],
)
async def test_it_fits_and_has_no_serious_fault_in_accessibility(opened: Opener, size: dict[str, Any]) -> None:
    """In light and dark; on a wall it is a strip below the tiles, and nothing is beyond the edge of the screen."""
    async with served(office()) as it:
        page = (await opened(it.url, color_scheme="light", reduced_motion="reduce", bypass_csp=True, **size)).page
        await expect(page.locator("#trends figure")).to_be_visible()
        await laid_out(page)
        assert await overflow(page) <= 0
        if size is WALL:
            await expect(page.locator("#main > #trends")).to_have_count(1)
            bottom = await page.evaluate("document.querySelector('#trends').getBoundingClientRect().bottom")
            assert bottom <= 1080
        assert await violations(page) == []
        await page.emulate_media(color_scheme="dark")
        assert await violations(page) == []
