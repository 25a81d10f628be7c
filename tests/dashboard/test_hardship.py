"""The page with what is unlikely and happens: crooked names, wrong clocks, a computer that slept, a filtered wall."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Response, Route, expect

from pws_soap.models import Presence
from service.access.principal import Principal, Scope
from tests.dashboard.conftest import Opener
from tests.dashboard.serving import S, demo, locked, person, served, small_office
from tests.dashboard.shapes import PHONE, WALL, crowd, laid_out, overflow
from tests.support.bare_service import BareService

pytestmark = [pytest.mark.long(ci=True), pytest.mark.asyncio(loop_scope="session")]

TURN, NOTHING = "\u202e", "\u200b"
LATE = """
const Real = Date;
let late = 5 * 3600e3;
window.later = (millis) => { late += millis; };
window.Date = class extends Real {
  constructor(...parts) { if (parts.length) super(...parts); else super(Real.now() + late); }
  static now() { return Real.now() + late; }
};
"""
"""A clock that is five hours fast; `later` has it jump, as that of a computer that slept does."""


def rows(page: Page) -> Any:
    return page.locator(".row[data-fresh]")


async def test_letters_that_turn_the_line_round_or_show_nothing_are_left_out(opened: Opener) -> None:
    """Somebody's name cannot make another word of what stands beside it, nor be empty."""
    office = small_office()
    office.read([person(f"Ann {TURN}Example", note=f"{TURN}yad a rof tuO")])
    office.read([Presence("joe@example.com", S.BUSY, display_name=NOTHING * 2)])
    async with served(office) as it:
        page = (await opened(it.url)).page
        await expect(rows(page).locator(".name")).to_have_text(
            ["Rita Model", "Ann Example", "joe@example.com", "Zoe Pattern"]
        )
        await expect(rows(page).locator(".note").nth(1)).to_have_text("yad a rof tuO")
        body = {"group": "support", "for": f"{TURN}1174"}
        assert (await page.request.post(f"{it.url}v1/claims", data=body)).status == 201
        await expect(page.locator("#claims-body .for")).to_have_text("for 1174")


async def test_a_claim_that_a_key_may_not_know_of_is_shown_without_gaps(opened: Opener) -> None:
    """It is for a group that the key does not see: that somebody is held, how long yet, and no empty words."""
    limited = Principal("limited", frozenset({Scope.READ}), frozenset({"sales"}))
    desk = Principal("desk", frozenset({Scope.CLAIM}))
    authenticator, keys = locked(limited=limited, desk=desk)
    office = BareService(
        groups={"sales": ("ann@example.com",), "support": ("ann@example.com",)}, authenticator=authenticator
    )
    office.watch("ann@example.com")
    office.read([person("Ann Example")])
    async with served(office) as it:
        page = (await opened(it.url)).page
        headers = {"Authorization": f"Bearer {keys['desk']}"}
        body = {"group": "support", "for": "secret"}
        made = await page.request.post(f"{it.url}v1/claims", data=body, headers=headers)
        assert made.status == 201
        await page.locator("#key-value").fill(keys["limited"])
        await page.keyboard.press("Enter")
        await expect(rows(page).locator(".claim")).to_have_text(re.compile(r"^[12]:\d\d$"))
        await expect(page.locator("#claims-body")).to_have_text(re.compile(r"^Ann Example +[12]:\d\d left$"))


async def test_a_group_with_an_endless_name_does_not_widen_a_phone(opened: Opener) -> None:
    """Neither its heading nor the choice of groups."""
    office = BareService(groups={"x" * 150: ("ann@example.com",)})
    office.watch("ann@example.com")
    office.read([person("Ann Example")])
    async with served(office) as it:
        page = (await opened(it.url, **PHONE)).page
        await expect(rows(page)).to_have_count(1)
        await expect(page.locator("#group option")).to_have_count(2)
        await laid_out(page)
        assert await overflow(page) <= 0


async def test_states_of_the_url_may_be_written_as_for_the_api(opened: Opener) -> None:
    """In any case."""
    async with served(small_office()) as it:
        page = (await opened(f"{it.url}?state=busy&state=Dnd")).page
        await expect(rows(page).locator(".name")).to_have_text(["Joe Sample", "Zoe Pattern"])
        await page.goto(f"{it.url}?activity=On-The-Phone")
        await expect(rows(page).locator(".name")).to_have_text(["Joe Sample"])


async def test_a_viewers_clock_that_is_wrong_changes_no_time(opened: Opener) -> None:
    """Not in the head of the page, and not in the banner that says as of when all this was true."""
    async with served(small_office()) as it:
        page = (await opened(it.url, init_script=LATE)).page
        await expect(rows(page)).to_have_count(4)
        await expect(page.locator("#health-body")).to_contain_text("live")
        told = (await page.locator("#time").inner_text())[:5]
        await it.stop()
        await expect(page.locator(".banner")).to_contain_text(f"as of {told}")


async def test_a_computer_that_slept_is_not_sure_until_it_has_asked(opened: Opener) -> None:
    """Its connection looks as it did, and nobody knows what happened meanwhile."""
    async with served(small_office()) as it:
        watched = await opened(it.url, init_script=LATE)
        watched.forgive("ERR_FAILED")
        page = watched.page
        await expect(page.locator("#link")).to_have_attribute("data-state", "open")
        await page.route("**/v1/*", lambda route: route.abort())
        await page.evaluate("later(3600e3)")
        await expect(page.locator("body")).to_have_attribute("data-unsure", "")
        await page.unroute("**/v1/*")
        await expect(page.locator("body")).not_to_have_attribute("data-unsure", "")


async def test_a_wall_says_that_it_does_not_show_everybody(opened: Opener) -> None:
    """By search or by group: the controls that would tell are not on the wall."""
    async with served(small_office()) as it:
        page = (await opened(f"{it.url}?q=example&group=support", **WALL)).page
        await expect(page.locator("body")).to_have_attribute("data-view", "wall")
        await expect(page.locator("#shown")).to_be_visible()
        await expect(page.locator("#shown")).to_have_text("2 of 4 shown with “example”")
        await expect(page.locator("#q")).to_be_hidden()
        await page.locator("#reset").click()
        await expect(page.locator("#shown")).to_be_hidden()
        await expect(rows(page)).to_have_count(4)


@pytest.mark.parametrize("number", [1, 3, 24])
async def test_few_people_fill_the_wall_evenly(opened: Opener, number: int) -> None:
    """All tiles are as wide as each other, in large type, and use the height."""
    async with served(crowd(number, 2)) as it:
        page = (await opened(it.url, **WALL)).page
        await expect(page.locator(".group-name").first).to_have_text("group 0")
        await expect(rows(page)).to_have_count(number)
        await laid_out(page)
        boxes: list[dict[str, float]] = await rows(page).evaluate_all(
            "(all) => all.map((el) => el.getBoundingClientRect())"
        )
        assert max(box["width"] for box in boxes) - min(box["width"] for box in boxes) < 2
        assert max(box["bottom"] for box in boxes) > 600
        size = await rows(page).locator(".name").first.evaluate("(el) => parseFloat(getComputedStyle(el).fontSize)")
        assert size >= 50


async def test_long_names_on_a_wall_are_smaller_and_not_cut_off(opened: Opener) -> None:
    """What tells people apart is at their end."""
    office = crowd(120)
    office.watch("maximiliana@example.com")
    office.read([person("Maximiliana Quist")])
    async with served(office) as it:
        page = (await opened(it.url, **WALL)).page
        await expect(rows(page)).to_have_count(121)
        long = rows(page).locator(".name", has_text="Maximiliana")
        await expect(long).to_have_text("Maximiliana Q")
        await expect(page.locator(".group-name").first).to_have_text("group 0")
        await laid_out(page)
        assert await long.evaluate("(el) => el.scrollWidth - el.clientWidth") <= 1


async def test_groups_that_could_not_be_asked_for_come_with_the_next_connection(opened: Opener) -> None:
    """Though that goes on from where the last one ended, without a snapshot."""
    streams = 0

    async def stream(route: Route) -> None:
        nonlocal streams
        streams += 1
        told = json.dumps({"contacts": contacts, "revision": 7, "reason": "start"})
        body = f"retry: 7000\n\nevent: snapshot\nid: 7\ndata: {told}\n\n" if streams == 1 else ": alive\n\n"
        await route.fulfill(content_type="text/event-stream", body=body)

    async with served(small_office()) as it:
        watched = await opened("about:blank")
        watched.forgive("ERR_FAILED")
        page = watched.page
        contacts = (await (await page.request.get(f"{it.url}v1/presence")).json())["contacts"]
        await page.route("**/v1/events", stream)
        await page.route("**/v1/summary", lambda route: route.abort(), times=1)
        await page.goto(it.url)
        await expect(rows(page)).to_have_count(4)
        await expect(page.locator(".group-name")).to_have_text(["sales", "support", "No group"])


@pytest.mark.parametrize(
    "when", ["at once", "when the next connection has asked already", "on a connection that lasts"]
)
async def test_a_strip_that_could_not_be_asked_for_comes_later(opened: Opener, when: str) -> None:
    """With the next connection, or with the next status where none is needed; and nothing breaks in between."""
    indices = 0
    asked_again = asyncio.Event()

    async def refused(route: Route) -> None:
        if when == "when the next connection has asked already":
            await asked_again.wait()
        await route.abort()

    async def index(route: Route) -> None:
        nonlocal indices
        indices += 1
        await route.continue_()

    def answered(response: Response) -> None:
        if response.url.endswith("/v1") and indices >= 3:  # as the page opens, and with two connections
            asked_again.set()

    async with demo() as running:
        watched = await opened("about:blank")
        watched.forgive("ERR_FAILED")
        page = watched.page
        await page.route("**/v1", index)
        page.on("response", answered)
        await page.route("**/demo", refused, times=1)
        if when != "on a connection that lasts":
            short = {"content_type": "text/event-stream", "body": "retry: 100\n\n"}
            await page.route("**/v1/events", lambda route: route.fulfill(**short), times=1)
        async with page.expect_event("requestfailed"):
            await page.goto(f"http://127.0.0.1:{running.port}/")
        await expect(page.locator("#demo")).to_be_visible()
