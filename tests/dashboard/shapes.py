"""Screens, and offices that fill them."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.async_api import Page, expect

from tests.dashboard.serving import S, person
from tests.support.bare_service import BareService

WALL = {"viewport": {"width": 1920, "height": 1080}}


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def crowd(number: int, groups: int = 4) -> BareService:
    """So many people in some groups, in all states."""
    people = [
        person(f"Given{each} Family{each}", list(S)[each % 6], on_the_phone=each % 12 == 1) for each in range(number)
    ]
    every = {f"group {each}": tuple(one.contact for one in people[each::groups]) for each in range(groups)}
    office = BareService(groups=every)
    office.watch(*(one.contact for one in people))
    office.read(people)
    return office


FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"


async def laid_out(page: Page) -> None:
    """Wait until the page's last hours are there, every row is drawn, and the layout has followed.

    Each of them changes the room that the others have, so that what is measured before is of a moment in between.
    """
    await expect(page.locator("#trends-body > *")).not_to_have_count(0)
    await page.evaluate(FRAMES)
    await expect(page.locator(".chunk:not([data-filled])")).to_have_count(0)
    await page.evaluate(FRAMES)


async def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    found: int = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return found


# Any: axe-core's own report.
async def violations(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    report: dict[str, Any] = (await Axe().run(page)).response
    assert len(report["passes"]) > 15  # it looked
    return [
        f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]} {each['nodes'][0]['failureSummary']}"
        for each in report["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
