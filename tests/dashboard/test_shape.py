"""The page in every size: what fits, what can be read from afar, and what machines that check accessibility say."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from service.core.claims.coverage import CoverageChange
from service.core.engine import EngineState, HealthProblem, Status
from tests.dashboard.conftest import Opener
from tests.dashboard.serving import served, small_office
from tests.dashboard.shapes import PHONE, WALL, crowd, laid_out, overflow, violations
from tests.support.bare_service import FEED

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAPTOP = {"viewport": {"width": 1440, "height": 900}}


@pytest.mark.long(ci=True)
async def test_two_hundred_people_fit_on_a_wall_in_large_type(opened: Opener) -> None:
    """On a full screen of 1920 by 1080 the wall comes by itself, without scrolling, and every name is a name."""
    async with served(crowd(200)) as it:
        page = (await opened(it.url, **WALL)).page
        await expect(page.locator("body")).to_have_attribute("data-view", "wall")
        await expect(page.locator(".group-name")).to_have_text([f"group {each}" for each in range(4)])
        await expect(page.locator(".row[data-fresh]")).to_have_count(200)
        await expect(page.locator(".name").first).not_to_have_text("")
        await laid_out(page)
        tiles: list[dict[str, float]] = await page.evaluate(
            "[...document.querySelectorAll('.row[data-fresh] .name')].map((each) => {"
            " const box = each.closest('.row').getBoundingClientRect();"
            " return {size: parseFloat(getComputedStyle(each).fontSize), left: box.left, right: box.right,"
            " bottom: box.bottom, cut: each.scrollWidth - each.clientWidth}; })"
        )
        assert min(tile["size"] for tile in tiles) >= 22
        assert max(tile["bottom"] for tile in tiles) <= 1080
        assert max(tile["right"] for tile in tiles) <= 1920
        assert sum(tile["cut"] > 1 for tile in tiles) <= 6
        assert await overflow(page) <= 0


@pytest.mark.parametrize(
    "view", ["auto", *(pytest.param(view, marks=pytest.mark.long(ci=True)) for view in ("table", "cards"))]
)
async def test_nothing_is_cut_off_beside_a_narrow_window(opened: Opener, view: str) -> None:
    """320 pixels are also what a laptop's window has at 400 %, 720 what it has at 200 %."""
    async with served(small_office()) as it:
        page = (await opened(f"{it.url}?view={view}", viewport={"width": 1024, "height": 800})).page
        await expect(page.locator(".group-name")).to_have_text(["sales", "support", "No group"])
        await expect(page.locator(".row[data-fresh]")).to_have_count(4)
        for width in (1024, 720, 390, 320):
            await page.set_viewport_size({"width": width, "height": 800})
            await laid_out(page)
            assert (width, max(0, await overflow(page))) == (width, 0)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(LAPTOP, id="laptop", marks=pytest.mark.long(ci=True)),
        pytest.param(PHONE, id="phone"),
        pytest.param(WALL, id="wall", marks=pytest.mark.long(ci=True)),
    ],
)
async def test_no_serious_fault_in_accessibility(opened: Opener, size: dict[str, Any]) -> None:
    """In light and dark, when all is well but for a group with too few, and when nothing is live."""
    office = small_office()
    async with served(office) as it:
        page = (await opened(it.url, color_scheme="light", reduced_motion="reduce", bypass_csp=True, **size)).page
        await expect(page.locator(".row[data-fresh]")).to_have_count(4)
        office.core.log.tell("coverage.low", CoverageChange("sales", True, 0, 1))
        await expect(page.locator(".group[data-low]")).to_have_count(1)
        assert await violations(page) == []
        await page.emulate_media(color_scheme="dark")
        assert await violations(page) == []
        office.engine.shown = Status(EngineState.DOWN, (HealthProblem(office.clock.now(), "imp1 does not answer"),))
        office.store.doubt(FEED, "it does not answer")
        office.core.log.touch()
        await expect(page.locator(".banner")).to_contain_text("imp1 does not answer")
        assert await violations(page) == []
        await page.emulate_media(color_scheme="light")
        assert await violations(page) == []
