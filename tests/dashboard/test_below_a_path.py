"""The page behind a proxy that has the service below a path: it loads, follows the stream and links to the API."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opener
from tests.dashboard.serving import S, person, served, small_office
from tests.support.proxy import proxy

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("root_path", "strips", "shown"),
    [
        ("/presence", True, "/presence/"),
        *(
            pytest.param(*case, marks=pytest.mark.long(ci=True))
            for case in (
                ("/presence", True, "/presence"),
                ("/presence", False, "/presence/"),
                ("/presence", False, "/presence"),
                ("/a/b.c", False, "/a/b.c/?view=wall"),
                ("", True, "/presence/"),
            )
        ),
    ],
)
async def test_the_page_works_below_a_path(opened: Opener, root_path: str, strips: bool, shown: str) -> None:
    """Where the proxy takes the path off and the page is asked for with its slash, without any configuration."""
    async with (
        served(small_office(root_path=root_path)) as it,
        proxy(it.port, root_path or "/presence", strips=strips) as port,
    ):
        watched = await opened(f"http://127.0.0.1:{port}{shown}")
        page = watched.page
        await expect(page.locator("#link")).to_contain_text("connected")
        await expect(page.locator("#version")).to_contain_text("1.2.3")
        await expect(page).to_have_title("1 free · Presence")
        it.office.read([person("Ann Example", S.DND, note="Not now")])
        await expect(page).to_have_title("0 free · Presence")
        if root_path and "wall" not in shown:
            await page.get_by_role("link", name="API").click()
            await expect(page.locator(".opblock").first).to_be_visible()
            assert page.url.removesuffix("/") == f"http://127.0.0.1:{port}{root_path or '/presence'}/docs"


@pytest.mark.long(ci=True)
async def test_the_viewer_of_the_description_calls_the_service_below_the_path(opened: Opener) -> None:
    async with (
        served(small_office(root_path="/presence")) as it,
        proxy(it.port, "/presence", strips=True) as port,
    ):
        page = (await opened(f"http://127.0.0.1:{port}/presence/docs")).page
        block = page.locator("#operations-presence-getSummary")
        await block.click()
        await page.get_by_role("button", name="Try it out").first.click()
        async with page.expect_response(lambda response: response.url.endswith("/v1/summary")) as answered:
            await page.get_by_role("button", name="Execute").first.click()
        response = await answered.value
        assert (response.status, response.url) == (200, f"http://127.0.0.1:{port}/presence/v1/summary")
