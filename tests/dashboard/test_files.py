"""The page's files as they are served: careful headers, nothing but them, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.api.routes.dashboard import FILES
from tests.support.asgi import call
from tests.support.bare_service import BareService

NAMES = sorted(path.name for path in FILES.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"})
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PATHS = ["/", *(f"/dashboard/{name}" for name in NAMES)]


@pytest.fixture(scope="module")
def office() -> BareService:
    """One for all: nothing here changes it."""
    return BareService()


@pytest.mark.parametrize("path", PATHS)
async def test_every_file_comes_with_its_type_a_tag_and_a_policy(office: BareService, path: str) -> None:
    answer = await office.get(path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(KINDS[Path(path).suffix or ".html"])
    assert answer.headers["cache-control"] == "no-cache"
    assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["etag"])
    policy = dict(each.partition(" ")[::2] for each in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_unchanged_file_is_an_empty_304(office: BareService) -> None:
    tag = (await office.get("/")).headers["etag"]
    again = await office.get("/", if_none_match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await office.get("/", if_none_match='"other"')).status == 200


async def test_head_says_what_get_would(office: BareService) -> None:
    head = await call(office.app, "HEAD", "/dashboard/main.js")
    assert head.status == 200
    assert head.headers["content-length"] == str((FILES / "main.js").stat().st_size)


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2Fapp.py", "%2e%2e/app.py", "main.js/", ""])
async def test_nothing_else_can_be_asked_for(office: BareService, name: str) -> None:
    answer = await office.get(f"/dashboard/{name}")
    assert answer.status == 404
    assert answer.json()["type"] == "/problems/not-found"


async def test_the_page_is_not_in_the_description_of_the_api(office: BareService) -> None:
    paths = (await office.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith(("/dashboard", "/demo"))]


@pytest.mark.parametrize("name", NAMES)
def test_no_file_names_another_host_or_makes_html_of_text(name: str) -> None:
    """What strangers write is only ever set as text; the icon's namespace is a name, not a place."""
    text = (FILES / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://[\w*]", text)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not re.findall(r"\sstyle=|\son\w+=\"", text)


def test_whatever_a_file_refers_to_is_there() -> None:
    """And every file is used."""
    found = {"index.html"}
    for name in NAMES:
        text = (FILES / name).read_text(encoding="utf-8")
        found |= set(re.findall(r"""(?:from "\./|"dashboard/)([\w.]+)\"""", text))
    assert found == set(NAMES)
