"""What the page says of the façade's programs, on a laptop and on a phone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opener
from tests.dashboard.serving import served, small_office
from tests.dashboard.shapes import PHONE, overflow, violations
from tests.support.fake_facade import STATUS, WELL, FakeFacade

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health_says_in_words_how_each_program_does(opened: Opener) -> None:
    """Who is silent and who is not reached come first and are problems; presence is live, so there is no banner."""
    async with served(small_office(facade=FakeFacade())) as it:
        page = (await opened(it.url, **PHONE)).page
        facts = page.locator("#health-body .facts dd")
        await expect(facts).to_contain_text(
            [
                "presence.example.com:8083 a program is silent 3 programs 5 sessions 3 subscriptions 2 contacts not",
                "attendant as reception silent at 10.1.2.4 1 subscription, 30 contacts notified",
                "board as lobby not reached at 10.1.2.5 1 subscription, 500 contacts never fetched "
                "1 of 1 notification failed no connection: Connection refused",
                "attendant as dispatcher subscribed at 10.1.2.3 1 subscription, 120 contacts last fetch",
            ]
        )
        await expect(facts.nth(3).get_by_text("last fetch")).to_be_visible()
        problems = page.locator("#health-body .problems li")
        await expect(problems).to_have_count(2)
        await expect(problems.first).to_contain_text("attendant as reception at 10.1.2.4 has gone silent")
        await expect(page.locator(".banner")).to_have_count(0)
        assert await overflow(page) <= 0
        assert await violations(page) == []


async def test_of_many_programs_it_shows_some(opened: Opener) -> None:
    programs = tuple(replace(WELL, end_user=f"desk{number}") for number in range(200))
    shown = replace(STATUS, silent=0, withheld=0, programs=programs, programs_in_all=1200)
    async with served(small_office(facade=FakeFacade(shown))) as it:
        page = (await opened(it.url)).page
        facts = page.locator("#health-body .facts dd")
        await expect(facts).to_have_count(14)
        await expect(facts.first).to_contain_text("answers 1200 programs")
        await expect(facts.last).to_have_text("and 1188 more programs ")
        assert await violations(page) == []


async def test_without_a_facade_the_page_says_nothing_of_it(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(page.locator("#health-body")).to_contain_text("live")
        said = (await page.locator("body").inner_text()).lower()
        assert "façade" not in said
        assert "program" not in said
