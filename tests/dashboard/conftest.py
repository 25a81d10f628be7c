"""One browser for all tests of the page, and a page that remembers whatever went wrong in it.

The browser and the service run in one event loop, that of the session: each test says so with `pytestmark`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

CHROMIUM = os.environ.get("PWS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000
"""Milliseconds: far more than anything takes."""


OUTAGE = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
"""Of a service that is gone the browser itself tells, and at the end of a test it is."""


@dataclass
class Watched:
    """A page, and what it did: what its console said, what failed, what it asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    forgiven: tuple[str, ...] = OUTAGE
    """Parts of what the console may say."""

    def forgive(self, *parts: str) -> None:
        self.forgiven += parts

    @property
    def complaints(self) -> list[str]:
        return [each for each in self.said if not any(part in each for part in self.forgiven)] + self.failed


Opener = Callable[..., Awaitable[Watched]]


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    if CHROMIUM is None:
        reason = "no Chromium is found (PWS_CHROMIUM may name one)"
        if os.environ.get("PWS_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser) -> AsyncIterator[Opener]:
    """Opens a page. At the end: no complaint in any console, no error, and nobody asked but the service itself."""
    pages: list[Watched] = []
    contexts = []

    # Any: whatever Playwright takes for a context.
    async def open_page(url: str, *, init_script: str = "", **options: Any) -> Watched:
        context = await browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        if init_script:
            await page.add_init_script(init_script)
        watched = Watched(page)
        pages.append(watched)
        page.on("console", lambda message: watched.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: watched.failed.append(str(error)))
        page.on("request", lambda request: watched.hosts.add(urlsplit(request.url).netloc))
        await page.goto(url)
        return watched

    yield open_page
    own = {urlsplit(each.page.url).netloc for each in pages}
    for context in contexts:
        await context.close()
    for shown in pages:
        assert shown.complaints == []
        assert shown.hosts <= own
