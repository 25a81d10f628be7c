"""Below a proxy's path: everything works with it and without it, and every link has it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pws_soap.models import Secret
from service.api.app import create_app
from tests.support.asgi import call
from tests.support.bare_service import SECRET, BareService, presence
from tests.support.people import guarded

ROOT = "/presence"
PEOPLE = ("ann@example.com", "joe@example.com")
QUERY = "?id=5&eventType=PRESENCE_NOTIFICATION"


@pytest.fixture
def office() -> BareService:
    office = BareService(root_path=ROOT, groups={"support": PEOPLE})
    office.watch(*PEOPLE)
    office.read([presence(contact) for contact in PEOPLE])
    return office


below = pytest.mark.parametrize("below", [ROOT, ""], ids=["passed on", "taken off"])


@below
async def test_the_page_and_what_it_loads_are_below_it(office: BareService, below: str) -> None:
    """Absolutely, since the page may be asked for without the slash behind the path."""
    answer = await office.get(f"{below}/")
    loaded = re.findall(r"""(?:href|src)="([^"#]+)\"""", answer.body.decode())
    assert len(loaded) > 7
    assert {link.startswith(f"{ROOT}/") for link in loaded} == {True}
    for link in loaded:
        assert (await office.get(below + link.removeprefix(ROOT))).status == 200
    head = await call(office.app, "HEAD", f"{below}/")
    assert int(head.headers["content-length"]) == len(answer.body)
    again = await office.get(f"{below}/", if_none_match=answer.headers["etag"])
    assert again.status == 304


async def test_the_path_alone_is_the_page(office: BareService) -> None:
    assert (await office.get(ROOT)).body == (await office.get("/")).body


@below
async def test_the_description_and_its_viewer_are_below_it(office: BareService, below: str) -> None:
    viewer = await office.get(f"{below}/docs")
    assert "default-src 'none'" in viewer.headers["content-security-policy"]
    links = re.findall(r"""(?:href|src)="([^"]+)"|url: '([^']+)'""", viewer.body.decode())
    assert len(links) == 4
    for link in ("".join(found) for found in links):
        assert link.startswith(f"{ROOT}/")
        assert (await office.get(below + link.removeprefix(ROOT))).status == 200
    description = (await office.get(f"{below}/openapi.json")).json()
    assert description["servers"] == [{"url": ROOT}]
    assert "/v1/presence" in description["paths"]


@below
async def test_the_index_leads_to_what_there_is(office: BareService, below: str) -> None:
    index = (await office.get(f"{below}/v1")).json()
    paths = [value for value in index.values() if isinstance(value, str) and value.startswith("/")]
    assert len(paths) == 7
    assert {path.startswith(f"{ROOT}/") for path in paths} == {True}


@below
async def test_links_and_locations_are_below_it(office: BareService, below: str) -> None:
    first = await office.get(f"{below}/v1/presence?limit=1")
    link = re.fullmatch(r"<(.+)>; rel=\"next\"", first.headers["link"])
    assert link is not None
    assert link[1].startswith(f"{ROOT}/v1/presence?limit=1&cursor=")
    second = await office.get(below + link[1].removeprefix(ROOT))
    assert [each["contact"] for each in second.json()["contacts"]] == [PEOPLE[1]]
    made = await call(office.app, "POST", f"{below}/v1/claims", json_body={"group": "support"})
    assert made.headers["location"] == f"{ROOT}/v1/claims/{made.json()['id']}"
    assert (await office.get(below + made.headers["location"].removeprefix(ROOT))).status == 200


@below
async def test_a_problem_names_the_path_that_was_asked_for(office: BareService, below: str) -> None:
    for target, status in (
        ("/v1/presence/zoe@example.com", 404),
        ("/v1/presence/pws", 422),
        ("/v1/claims/none", 404),
        ("/v1/claims/0123456789abcdef", 404),
        ("/docs/files/nothing", 404),
        ("/nothing", 404),
    ):
        answer = await office.get(below + target)
        problem: dict[str, Any] = answer.json()
        assert (answer.status, problem["instance"]) == (status, ROOT + target)
        assert problem["type"].startswith("/problems/")  # a name, not a place
    assert problem["detail"] == f"No such path; {ROOT}/docs lists those that there are"
    wrong = await call(office.app, "PUT", f"{below}/v1/contacts")
    assert (wrong.status, wrong.json()["instance"]) == (405, f"{ROOT}/v1/contacts")


async def test_an_answer_has_one_tag_whatever_the_proxy_does(office: BareService) -> None:
    tags = {(await office.get(f"{below}/v1/presence")).headers["etag"] for below in (ROOT, "")}
    assert len(tags) == 1


@below
async def test_keys_are_needed_below_it_too(below: str) -> None:
    office = guarded()
    office.app = create_app(
        office.engine,
        office.core,
        callback_secret=None,
        version="1",
        root_path=ROOT,
        authenticator=office.authenticator,
    )
    for target in ("/v1/presence", "/v1/status", "//v1/presence", "/v1/../v1/presence"):
        answer = await office.get(below + target)
        assert answer.status in {401, 404}
    refused = (await office.get(f"{below}/v1/presence")).json()
    assert (refused["status"], refused["instance"]) == (401, f"{ROOT}/v1/presence")
    assert (await office.get(f"{below}/livez")).status == 200


@pytest.mark.parametrize("path", [f"{ROOT}{ROOT}/v1", "/presencev1/presence", f"{ROOT}/", "/presence.v1"])
async def test_the_path_counts_once_and_whole(office: BareService, path: str) -> None:
    assert (await office.get(path)).status == (200 if path == f"{ROOT}/" else 404)


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", "/pws/{}"),
        ("", "/presence/pws/{}"),
        ("/presence", "/presence/pws/{}"),
        ("/presence", "/pws/{}"),
        ("/presence/hook", "/presence/hook/pws/{}"),
        ("/presence/hook", "/hook/pws/{}"),
        ("/presence/hook", "/pws/{}"),
        ("/other", "/other/pws/{}"),
        ("/other", "/pws/{}"),
        ("/other", "/presence/other/pws/{}"),
    ],
)
async def test_notifications_come_in_with_any_part_of_their_path(prefix: str, path: str) -> None:
    office = BareService()
    app = create_app(
        office.engine,
        office.core,
        callback_secret=Secret(SECRET),
        callback_prefix=prefix,
        root_path=ROOT,
        version="1",
    )
    assert (await call(app, "GET", path.format(SECRET) + QUERY)).status == 200
    assert office.engine.notifications == [(5, "")]
    assert (await call(app, "HEAD", path.format(SECRET) + QUERY)).status == 405
    wrong = await call(app, "GET", path.format("x" * 20) + QUERY)
    assert (wrong.status, wrong.json()["instance"]) == (404, f"{ROOT}/pws")


async def test_without_a_path_the_pages_links_are_relative() -> None:
    """So that it works below a path of which the service does not know."""
    page = (await BareService().get("/")).body.decode()
    assert {link.startswith("/") for link in re.findall(r"""(?:href|src)="([^"#]+)\"""", page)} == {False}
