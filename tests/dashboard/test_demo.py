"""`pws demo` in a browser: the simulator behind the service, changed and broken over the page, and healing."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opener
from tests.dashboard.serving import demo

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_somebody_is_changed_and_the_server_goes_down_and_comes_back(opened: Opener) -> None:
    """From the strip through simulator, notification, fetch and stream to the row; and the banner comes and goes."""
    async with demo() as running:
        url = f"http://127.0.0.1:{running.port}/"
        page = (await opened(url)).page
        ann = page.locator(".row[data-fresh]").filter(has_text="ann@example.com")
        await expect(ann.locator(".level")).to_have_text("live")
        await expect(page.locator(".group-name")).to_have_text(["reception", "sales", "support"])

        await page.locator("#demo-who").select_option("ann@example.com")
        await page.locator("#demo-state").select_option("BUSY")
        await page.locator("#demo-note").fill("With a <b>customer</b>")
        await page.locator("#demo-phone").check()
        await page.locator("#demo-change button").click()
        await expect(ann.locator(".doing")).to_have_text("On the phone")
        await expect(ann.locator(".note")).to_have_text("With a <b>customer</b>")
        await expect(page.locator("#demo-said")).to_contain_text("the row changes")

        await page.get_by_role("button", name="Server down").click()
        await expect(page.locator("#demo-said")).to_contain_text("When the server is back")
        await page.request.post(f"{url}v1/refresh")  # else it would be noticed a few seconds later
        await expect(page.locator(".banner")).to_contain_text("None of 8 contacts is live")
        await expect(page.locator(".banner")).to_contain_text("does not answer")
        await expect(ann.locator(".level")).to_contain_text("stale, as of ")
        await expect(page.locator(".facts .word[data-state=down]").first).to_be_visible()

        await page.get_by_role("button", name="Mend everything").click()
        await expect(page.locator(".banner")).to_have_count(0)
        await expect(ann.locator(".level")).to_have_text("live")
        await expect(page.locator("#health-body .num").first).not_to_be_empty()


async def test_lost_sessions_are_told_of_and_heal(opened: Opener) -> None:
    async with demo() as running:
        page = (await opened(f"http://127.0.0.1:{running.port}/")).page
        await expect(page.locator("#health-body")).to_contain_text("dispatcher")
        await page.get_by_role("button", name="All sessions lost").click()
        await expect(page.locator("#demo-said")).not_to_be_empty()  # it is done
        await page.request.post(f"http://127.0.0.1:{running.port}/v1/refresh")
        await expect(page.locator("#events-body")).to_contain_text("Subscription lost")
        await expect(page.locator("#events-body")).to_contain_text("Subscription made anew")
        await expect(page.locator(".banner")).to_have_count(0)
