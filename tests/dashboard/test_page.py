"""The page in a browser: what it shows, and that it shows what is true now."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace
from playwright.async_api import Locator, Page, expect

from service.access.keys import new_key
from service.access.principal import READER, Principal, Scope
from service.core.claims.coverage import CoverageChange
from service.core.engine import EngineState, HealthProblem, Status
from service.core.events.event import SubscriptionChange
from tests.dashboard.conftest import Opener
from tests.dashboard.serving import S, address, locked, person, served, small_office
from tests.support.bare_service import FEED
from tests.support.fake_engine import FakeEngine

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="window.caught=1"><script>window.caught=1</script>\'"&lt;'


def row(page: Page, name: str) -> Locator:
    return page.locator(".row[data-fresh]").filter(has=page.locator(".name", has_text=name))


def names(page: Page) -> Locator:
    return page.locator(".row[data-fresh] .name")


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


async def test_everybody_is_shown_in_their_groups_with_state_and_what_they_do(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(page.locator(".group-name")).to_have_text(["sales", "support", "No group"])
        await expect(names(page)).to_have_text(["Rita Model", "Ann Example", "Joe Sample", "Zoe Pattern"])
        await expect(row(page, "Joe").locator(".state")).to_have_text("Busy")
        await expect(row(page, "Joe").locator(".doing")).to_have_text("On the phone")
        await expect(row(page, "Rita").locator(".note")).to_have_text("Lunch")
        await expect(row(page, "Ann").locator(".free")).to_have_text("Free")
        await expect(row(page, "Ann").locator(".level")).to_have_text("live")
        await expect(page.locator(".group-free")).to_have_text(["0 free of 1", "1 free of 2", "0 free of 1"])
        await expect(page.locator("#banners")).to_be_empty()
        await expect(page).to_have_title("1 free · Presence")


async def test_a_change_is_shown_at_once_and_a_removed_contact_goes(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(row(page, "Ann").locator(".free")).to_have_text("Free")
        it.office.read([person("Ann Example", S.DND, note="Not now")])
        await expect(row(page, "Ann").locator(".state")).to_have_text("Do not disturb")
        await expect(row(page, "Ann").locator(".note")).to_have_text("Not now")
        await expect(page.locator("[data-tile=free] b")).to_have_text("0")
        it.office.store.unwatch([address("Zoe")])
        await expect(row(page, "Zoe")).to_have_count(0)
        it.office.watch(address("Uma"))
        it.office.read([person("Uma Design")])
        await expect(row(page, "Uma").locator(".free")).to_have_text("Free")


@pytest.mark.long(ci=True)
async def test_namesakes_show_their_address(opened: Opener) -> None:
    office = small_office()
    async with served(office) as it:
        page = (await opened(it.url)).page
        await expect(row(page, "Ann").locator(".uri")).to_be_hidden()
        office.read([replace(person("Zoe Pattern"), display_name="Ann Example")])
        await expect(row(page, "Ann Example").locator(".uri")).to_have_text(["ann@example.com", "zoe@example.com"])
        await expect(row(page, "Ann").locator(".uri").first).to_be_visible()
        office.read([person("Zoe Pattern")])
        await expect(row(page, "Zoe")).to_have_count(1)
        await expect(row(page, "Ann").locator(".uri")).to_be_hidden()


async def test_filters_are_in_the_url_and_back_undoes_them(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await page.locator("[data-tile=BUSY]").click()
        await expect(names(page)).to_have_text(["Joe Sample"])
        assert query(page) == {"state": ["BUSY"]}
        await page.locator("#group").select_option("sales")
        await expect(page.locator("#empty")).to_have_text("Nobody passes this filter.")
        await page.go_back()
        await expect(names(page)).to_have_text(["Joe Sample"])
        await page.locator("#reset").click()
        await page.locator("#q").fill("ann@")
        await expect(names(page)).to_have_text(["Ann Example"])
        assert query(page) == {"q": ["ann@"]}


@pytest.mark.long(ci=True)
async def test_a_url_that_somebody_shares_shows_the_same(opened: Opener) -> None:
    """And anybody who comes to pass the filter appears, anybody who no longer does goes."""
    async with served(small_office()) as it:
        page = (await opened(f"{it.url}?available=true&sort=state&view=cards&q=example&nonsense=1")).page
        await expect(names(page)).to_have_text(["Ann Example"])
        await expect(page.locator("[data-tile=free]")).to_have_attribute("aria-pressed", "true")
        await expect(page.locator("body")).to_have_attribute("data-view", "cards")
        await expect(page.locator("#shown")).to_have_text("1 of 4 shown")
        it.office.read([person("Ann Example", S.AWAY), person("Joe Sample")])
        await expect(names(page)).to_have_text(["Joe Sample"])


async def test_what_is_stale_says_so_and_the_banner_says_why(opened: Opener) -> None:
    """And all of it goes when it is over."""
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(row(page, "Ann").locator(".level")).to_have_text("live")
        it.office.engine.shown = Status(
            EngineState.DOWN, (HealthProblem(it.office.clock.now(), "imp1 does not answer"),)
        )
        it.office.store.doubt(FEED, "it does not answer")
        it.office.core.log.touch()
        await expect(row(page, "Ann").locator(".level")).to_contain_text("stale, as of ")
        await expect(row(page, "Ann").locator(".free")).to_have_text("")
        banner = page.locator(".banner")
        await expect(banner).to_contain_text("None of 4 contacts is live")
        await expect(banner).to_contain_text("imp1 does not answer.")
        await expect(page.locator("#spoken")).to_contain_text("None of 4 contacts is live")
        await expect(page.locator("#health-body")).to_contain_text("imp1 does not answer")
        assert (await page.title()).startswith("⚠")
        it.office.engine.shown = Status(EngineState.LIVE)
        it.office.store.trust(FEED)
        it.office.read([person("Ann Example")])
        it.office.core.log.touch()
        await expect(page.locator(".banner")).to_have_count(0)
        await expect(row(page, "Ann").locator(".free")).to_have_text("Free")


async def test_names_and_notes_of_strangers_are_text(opened: Opener) -> None:
    """In rows, in claims, in events, in the list of the filter."""
    office = small_office()
    office.read([person("Ann Example", note=HOSTILE)])
    office.read([person(HOSTILE.replace("<img", "Joe<img", 1), S.BUSY)])
    async with served(office) as it:
        page = (await opened(it.url)).page
        await expect(row(page, "Ann").locator(".note")).to_have_text(HOSTILE)
        office.core.log.tell("subscription.lost", SubscriptionChange(HOSTILE, "imp1", HOSTILE))
        await expect(page.locator("#events-body")).to_contain_text("<script>")
        await page.goto(f"{it.url}?q=%3Cimg%20src=x%20onerror=window.caught=1%3E&group=%3Cscript%3E")
        await expect(page.locator("#empty")).to_be_visible()
        assert await page.locator("img, #main script, #side script").count() == 0
        assert await page.evaluate("window.caught") is None


@pytest.mark.long(ci=True)
async def test_the_page_is_not_sure_while_it_is_not_connected_and_survives_a_restart(opened: Opener) -> None:
    """Nothing is shown as live meanwhile; the service that comes back knows other things, and those are shown."""
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(row(page, "Ann").locator(".level")).to_be_visible()
        await it.stop()
        await expect(page.locator(".banner")).to_contain_text("Not connected to the service")
        await expect(page.locator(".banner")).to_contain_text("What you see is as of ")
        await expect(row(page, "Ann").locator(".unsure")).to_be_visible()
        await expect(row(page, "Ann").locator(".level")).to_be_hidden()
        again = small_office()
        again.read([person("Ann Example", S.VACATION)])
        async with served(again, it.port):
            await expect(row(page, "Ann").locator(".state")).to_have_text("Vacation")
            await expect(page.locator(".banner")).to_have_count(0)
            await expect(row(page, "Ann").locator(".level")).to_be_visible()
            await expect(page.locator("#events-body")).to_contain_text("Connected again")


async def test_where_a_key_is_needed_the_page_asks_for_one_and_keeps_it_for_the_tab(opened: Opener) -> None:
    authenticator, keys = locked(wall=READER)
    async with served(small_office(authenticator=authenticator)) as it:
        watched = await opened(it.url)
        page = watched.page
        await expect(page.locator("#key-title")).to_be_visible()
        assert watched.complaints == []  # it knew before it was refused
        watched.forgive("401")
        await page.locator("#key-value").fill(new_key().reveal())
        await page.keyboard.press("Enter")
        await expect(page.locator("#key-error")).to_contain_text("This key was refused: Nobody has this key")
        await page.locator("#key-value").fill(keys["wall"])
        await page.keyboard.press("Enter")
        await expect(row(page, "Ann").locator(".free")).to_have_text("Free")
        await page.reload()
        await expect(row(page, "Ann").locator(".free")).to_have_text("Free")
        assert keys["wall"] not in page.url
        assert await page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        await page.locator("#forget").click()
        await expect(page.locator("#key-title")).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_key_that_may_not_read_is_told_so(opened: Opener) -> None:
    authenticator, keys = locked(claims=Principal("claims", frozenset({Scope.CLAIM})))
    async with served(small_office(authenticator=authenticator)) as it:
        watched = await opened(it.url)
        watched.forgive("403")
        await watched.page.locator("#key-value").fill(keys["claims"])
        await watched.page.keyboard.press("Enter")
        await expect(watched.page.locator(".banner")).to_contain_text("Not allowed")
        await expect(watched.page.locator(".banner")).to_contain_text("scope read")


async def test_a_key_without_details_sees_who_is_available_and_no_more(opened: Opener) -> None:
    brief = Principal("brief", frozenset({Scope.READ}), frozenset({"support"}), details=False)
    authenticator, keys = locked(brief=brief)
    async with served(small_office(authenticator=authenticator)) as it:
        page = (await opened(it.url)).page
        await page.locator("#key-value").fill(keys["brief"])
        await page.keyboard.press("Enter")
        await expect(names(page)).to_have_text(["Ann Example", "Joe Sample"])
        await expect(row(page, "Joe").locator(".state")).to_have_text("Not available")
        await expect(row(page, "Ann").locator(".state")).to_have_text("Available")
        await expect(page.locator("[data-tile=BUSY]")).to_be_hidden()
        await expect(page.locator(".group-free")).to_have_text(["1 free of 2"])
        await expect(page.locator("#health-body")).to_have_text("live")
        await expect(page.locator("#claims")).to_be_hidden()
        it.office.read([person("Ann Example", S.AWAY)])
        await expect(row(page, "Ann").locator(".state")).to_have_text("Not available")


@pytest.mark.long(ci=True)
async def test_the_keyboard_reaches_everything(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(names(page)).to_have_count(4)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#board")).to_be_focused()
        await page.keyboard.press("/")
        await expect(page.locator("#q")).to_be_focused()
        await page.keyboard.type("f/w")
        await expect(page.locator("#q")).to_have_value("f/w")
        await page.keyboard.press("Escape")
        await expect(page.locator("#q")).to_have_value("")
        await page.locator("#board").focus()
        await page.keyboard.press("f")
        await expect(names(page)).to_have_text(["Ann Example"])
        await page.keyboard.press("w")
        await expect(page.locator("body")).to_have_attribute("data-view", "wall")
        assert query(page) == {"available": ["true"], "view": ["wall"]}
        await page.locator("#shortcuts").evaluate("(box) => box.click()")
        await page.locator("#board").focus()
        await page.keyboard.press("w")
        await expect(page.locator("body")).to_have_attribute("data-view", "wall")
        reached = set()
        for _ in range(40):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.id || document.activeElement.dataset.tile || ''"))
        assert {"free", "BUSY", "stale", "theme"} <= reached


@pytest.mark.long(ci=True)
async def test_light_or_dark_is_the_systems_choice_or_the_viewers(opened: Opener) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    async with served(small_office()) as it:
        page = (await opened(it.url, color_scheme="dark")).page
        dark = await page.evaluate(background)
        await page.locator("#theme").select_option("light")
        light = await page.evaluate(background)
        assert light != dark
        await page.reload()
        assert await page.evaluate(background) == light
        await expect(page.locator("#theme")).to_have_value("light")


async def test_who_is_held_is_shown_with_holder_purpose_and_time(opened: Opener) -> None:
    office = small_office()
    async with served(office) as it:
        page = (await opened(it.url)).page
        await expect(names(page)).to_have_count(4)
        claim_service = asyncio.create_task(office.core.claim_service.run())
        body = {"group": "support", "for": "ticket 4711"}
        answer = await page.request.post(f"{it.url}v1/claims", data=body)
        assert answer.status == 201
        await expect(row(page, "Ann").locator(".free")).to_have_text("Held")
        await expect(row(page, "Ann").locator(".claim")).to_contain_text(" · ticket 4711 · anonymous")
        await expect(page.locator("#claims-body")).to_contain_text("Ann Example for ticket 4711")
        await expect(page.locator("#events-body")).to_contain_text("Claimed")
        claim_service.cancel()
        await asyncio.gather(claim_service, return_exceptions=True)


async def test_a_group_with_too_few_free_people_is_marked(opened: Opener) -> None:
    office = small_office()
    async with served(office) as it:
        page = (await opened(it.url)).page
        await expect(names(page)).to_have_count(4)
        office.core.log.tell("coverage.low", CoverageChange("support", True, 1, 2))
        support = page.locator(".group").filter(has=page.get_by_role("heading", name="support"))
        await expect(support.locator(".group-floor")).to_have_text("too few: at least 2")
        await expect(page.locator("#events-body")).to_contain_text(
            "Too few are free support: 1 free, at least 2 wanted"
        )
        office.read([person("Joe Sample")])
        await expect(support.locator(".group-floor")).to_have_text("at least 2")


@pytest.mark.long(ci=True)
async def test_an_engine_that_does_not_answer_the_status_spoils_nothing(opened: Opener) -> None:
    """The board lives of the stream alone."""

    class Broken(FakeEngine):
        def status(self, *, problems: bool = True) -> Status:
            raise RuntimeError("no status")

    async with served(small_office(engine=Broken())) as it:
        watched = await opened(it.url)
        watched.forgive("500")
        await expect(names(watched.page)).to_have_count(4)
        it.office.read([person("Ann Example", S.AWAY)])
        await expect(row(watched.page, "Ann").locator(".state")).to_have_text("Away")
