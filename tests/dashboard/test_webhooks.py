"""What the page says of targets of webhooks, on a laptop and on a phone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from service.core.events.event import WEBHOOK_PARKED, WebhookChange
from service.core.webhooks import TargetState
from tests.dashboard.conftest import Opener
from tests.dashboard.serving import served, small_office
from tests.dashboard.shapes import PHONE, overflow, violations
from tests.support.fake_webhooks import DELIVERING, PARKED, FakeWebhooks

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health_says_in_words_how_each_target_does(opened: Opener) -> None:
    """State, what waits, the last answer; a parked one is a problem, and no banner, since presence is live."""
    webhooks = FakeWebhooks((DELIVERING, replace(PARKED, state=TargetState.RETRYING)))
    async with served(small_office(targets=webhooks)) as it:
        page = (await opened(it.url, **PHONE)).page
        facts = page.locator("#health-body .facts dd")
        await expect(facts).to_contain_text(["crm delivering answered 204", "esb retrying 3 queued"])
        await expect(facts.nth(1)).to_contain_text("connection refused")
        assert await overflow(page) <= 0
        webhooks.targets = (DELIVERING, PARKED)
        it.office.core.log.tell(WEBHOOK_PARKED, WebhookChange("esb", "connection refused"), frozenset())
        await expect(facts.nth(1)).to_contain_text("esb parked 3 queued")
        await expect(page.locator("#health-body .problems")).to_contain_text("webhook esb is parked")
        await expect(page.locator("#events")).to_contain_text(
            "Webhook parked, nothing is sent to it esb, connection refused"
        )
        await expect(page.locator(".banner")).to_have_count(0)
        assert await overflow(page) <= 0
        assert await violations(page) == []


async def test_without_targets_the_page_says_nothing_of_them(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        await expect(page.locator("#health-body")).to_contain_text("live")
        assert "webhook" not in (await page.locator("body").inner_text()).lower()
