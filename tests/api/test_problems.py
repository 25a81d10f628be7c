"""How the service says no."""

from __future__ import annotations

import json
import re

import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service.access.errors import NotAllowed, RequestRefused
from service.access.stream_slots import TooManyStreams
from service.api import error_handlers, problems
from service.api.problems import ContactNotWatched
from service.core.engine import NotAvailable
from tests.support.asgi import Answer, call


async def raised(error: Exception, target: str = "/x") -> Answer:
    """What becomes of an error that a route raises."""
    app = FastAPI()

    @app.get("/{path:path}")
    async def route(path: str) -> None:
        raise error

    error_handlers.install(app)
    answer = await call(app, "GET", target)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status
    assert {"type", "title", "status", "detail", "instance"} <= set(body)
    return answer


async def test_a_missing_contact_is_named() -> None:
    """One, or a few of many."""
    one = (await raised(ContactNotWatched(["zoe@example.com"]))).json()
    assert one["type"] == "/problems/contact-not-watched"
    assert one["detail"] == "zoe@example.com is not among the contacts that are watched"
    many = (await raised(ContactNotWatched([f"{number}@x" for number in range(7)]))).json()
    assert many["detail"] == "0@x, 1@x, 2@x, 3@x, 4@x and 2 more are not among the contacts that are watched"


@pytest.mark.parametrize(("after", "header"), [(None, None), (0.2, "1"), (29.6, "30")])
async def test_a_server_that_cannot_be_asked(after: float | None, header: str | None) -> None:
    """The reason in words, and when to try again where that is known."""
    answer = await raised(NotAvailable("no node answers", after))
    assert answer.status == 503
    assert answer.json()["type"] == "/problems/server-not-available"
    assert answer.json()["detail"] == "no node answers"
    assert answer.headers.get("retry-after") == header


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [
        (404, "/problems/not-found", "No such path; /docs lists those that there are"),
        (405, "/problems/method-not-allowed", "GET is not possible here"),
        (413, "/problems/body-too-large", "words"),
        (418, "about:blank", "words"),
    ],
)
async def test_errors_of_http(status: int, kind: str, detail: str) -> None:
    """Types for those we know, HTTP's own words for the rest; headers stay."""
    answer = await raised(HTTPException(status, "words", {"X-Kept": "yes"}))
    assert (answer.status, answer.json()["type"], answer.json()["detail"]) == (status, kind, detail)
    assert answer.headers["x-kept"] == "yes"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            {"type": "less_than_equal", "loc": ("query", "limit"), "msg": "Input should be less than or equal to 9"},
            {"in": "query", "parameter": "limit", "expected": "less than or equal to 9"},
        ),
        (
            {
                "type": "string_too_short",
                "loc": ("body", "a", 2, "b"),
                "msg": "String should have at least 1 character",
            },
            {"in": "body", "parameter": "a[2].b", "expected": "at least 1 character"},
        ),
        (
            {
                "type": "int_parsing_size",
                "loc": ("query", "limit"),
                "msg": "Unable to parse input string as an integer",
            },
            {"in": "query", "parameter": "limit", "expected": "a whole number, and no such long one"},
        ),
        (
            {"type": "not_expected", "loc": ("path", "contact"), "msg": "a URI"},
            {"in": "path", "parameter": "contact", "expected": "a URI"},
        ),
        (
            {"type": "missing", "loc": ("query", "q"), "msg": "Field required"},
            {"in": "query", "parameter": "q", "expected": "a value"},
        ),
        (
            {"type": "json_invalid", "loc": ("body", 7), "msg": "JSON decode error"},
            {"in": "body", "parameter": "body", "expected": "a JSON document"},
        ),
        ({"type": "odd", "msg": "odd"}, {"in": "body", "parameter": "body", "expected": "odd"}),
    ],
)
async def test_what_was_not_as_expected_is_listed(error: dict[str, object], told: dict[str, str]) -> None:
    """Where, which, and what would be right."""
    answer = await raised(RequestValidationError([error]))
    assert (answer.status, answer.json()["type"]) == (422, "/problems/invalid-parameters")
    assert answer.json()["errors"] == [told]


async def test_many_errors_are_listed_in_full_and_told_in_short() -> None:
    """The detail stays readable."""
    errors = [{"type": "missing", "loc": ("query", str(number)), "msg": ""} for number in range(8)]
    body = (await raised(RequestValidationError(errors))).json()
    assert len(body["errors"]) == 8
    assert body["detail"].endswith("4: expected a value; and 3 more")


async def test_instance_is_a_uri_reference_of_bounded_length() -> None:
    """Strange characters are escaped, endless paths are cut."""
    strange = (await raised(HTTPException(404), "/a%20b%22%C3%A9%3Cx")).json()
    assert strange["instance"] == "/a%20b%22%C3%A9%3Cx"
    endless = (await raised(HTTPException(404), "/" + "a" * 5000)).json()
    assert len(endless["instance"]) == problems.MAX_SHOWN


@pytest.mark.parametrize(
    "path",
    [
        "/pws",
        "/pws/secret",
        "/pws/secret/",
        "/pws/secret/node/more",
        "//pws/secret",
        "/pws//secret",
        "///pws///secret",
        "/%70ws/secret",
        "/%2570ws/secret",
        "/pws%2Fsecret",
        "%2Fpws/secret",
        "/./pws/secret",
        "/x/../pws/secret",
        "/../pws/secret",
        "\\pws\\secret",
        "/PWS/secret",
        "/pws /secret",
        "pws/secret",
        "/prefix/of/a/proxy/pws/secret",
    ],
)
def test_the_callback_path_is_never_shown(path: str) -> None:
    """Not even its length."""
    assert problems.shown_path(path) == "/pws"


@pytest.mark.parametrize("path", ["/pwsx", "/v1/pws/x", "/", "//v1//x", "/%zz", ""])
def test_other_paths_are_shown(path: str) -> None:
    """They are the caller's own."""
    assert problems.shown_path(path) == path


async def test_a_key_in_the_wrong_place_is_not_repeated() -> None:
    """Neither in the path nor among the parameters."""
    key = "pws_" + "k" * 43
    answer = await raised(RequestValidationError([{"type": "extra_forbidden", "loc": ("query", key)}]), f"/{key}")
    assert answer.json()["instance"] == "/pws_..."
    assert answer.json()["errors"][0]["parameter"] == "pws_..."
    assert key not in answer.body.decode()


async def test_a_strange_host_does_not_change_what_is_shown() -> None:
    """It would be a part of the URL, and the callback's path no longer at its beginning."""
    app = FastAPI()
    error_handlers.install(app)
    answer = await call(app, "GET", "/pws/secret", headers={"host": "x/y"})
    assert answer.json()["instance"] == "/pws"


async def test_no_slot_says_whose_limit_it_is() -> None:
    answer = await raised(TooManyStreams("this client's", 50))
    assert (answer.status, answer.json()["type"]) == (429, "/problems/too-many-streams")
    assert answer.headers["retry-after"] == "5"
    assert "This client's limit of 50" in answer.json()["detail"]


async def test_who_is_not_let_in_hears_why() -> None:
    answer = await raised(NotAllowed("This key sees less"))
    assert (answer.status, answer.json()["type"]) == (403, "/problems/not-allowed")
    assert answer.json()["detail"] == "This key sees less"


def test_internal_errors_say_nothing_of_their_cause() -> None:
    """There is no argument to pass one."""
    body = json.loads(bytes(problems.internal_error("/v1/status").body))
    assert body["type"] == "/problems/internal-error"
    assert body["detail"] == "The service failed while answering; its log says more"


def kinds_of_exceptions(base: type[RequestRefused] = RequestRefused) -> set[str]:
    """The kinds of all exceptions that have one of their own."""
    found = {base.kind} - {""}
    for exception in base.__subclasses__():
        found |= kinds_of_exceptions(exception)
    return found


def test_every_kind_is_in_the_table_and_described() -> None:
    """With the status that the module's docstring names."""
    described = dict(re.findall(r"^\| /problems/([a-z-]+) \| ([0-9]{3}) \|", problems.__doc__ or "", re.MULTILINE))
    assert {kind: str(each.status) for kind, each in problems.KINDS.items()} == described
    assert kinds_of_exceptions() <= set(problems.KINDS)
    assert "contact-not-watched" in kinds_of_exceptions()


async def test_members_and_headers_of_a_refusal_are_sent() -> None:
    """Members only where a kind has some."""
    refused = RequestRefused("Nobody is free", {"Retry-After": "7"}, kind="not-enough-free", members={"free": 0})
    answer = await raised(refused)
    assert (answer.status, answer.json()["free"], answer.headers["retry-after"]) == (409, 0, "7")
