"""Where no key is needed: what a page elsewhere may make a browser do."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.access.browser_checks import check
from service.access.errors import HostNotAllowed, OriginNotAllowed

HOSTS = {"presence.example.com"}
ORIGINS = ("https://board.example.com",)


def ask(method: str = "GET", **headers: str) -> None:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    check(method, Headers(raw=raw), HOSTS, ORIGINS)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "127.0.0.1",
        "[::1]:8080",
        "10.0.0.5:8080",
        "localhost",
        "LOCALHOST:8080",
        "localhost.:8080",
        "pws.localhost:8080",
        "presence.example.com",
        "Presence.Example.com.:8443",
    ],
)
def test_names_that_can_only_be_ours_pass(host: str) -> None:
    ask(host=host)


def test_no_name_at_all_is_no_browser() -> None:
    ask()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1/evil.example",
        "presence.example.com.evil.example",
        "[::1",
        "",
        "127.0.0.1 evil",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    """It may be a page's own name, to which it has given our address."""
    with pytest.raises(HostNotAllowed, match=r"http\.allowed_hosts"):
        ask(host=host)


def test_two_names_are_refused() -> None:
    with pytest.raises(HostNotAllowed):
        check("GET", Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example")]), HOSTS, ORIGINS)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:8080.evil.example"},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "cross-site"},
        {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "cross-site"},
    ],
)
def test_pages_of_other_origins_change_nothing(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(OriginNotAllowed, match=r"http\.cors_origins"):
        ask(method, host="127.0.0.1:8080", **headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-origin"},
        {"origin": "https://Board.example.com", "sec_fetch_site": "cross-site"},
    ],
)
def test_our_own_pages_and_programs_do(headers: dict[str, str]) -> None:
    ask("POST", host="127.0.0.1:8080", **headers)


def test_an_origin_without_a_host_to_compare_is_foreign() -> None:
    for origin in ("null", "https://evil.example"):
        with pytest.raises(OriginNotAllowed):
            ask("POST", origin=origin)


def test_reading_is_left_to_the_browsers_own_rule() -> None:
    """A page may ask, and does not get to see the answer."""
    for method in ("GET", "HEAD", "OPTIONS"):
        ask(method, host="localhost:8080", origin="https://evil.example", sec_fetch_site="cross-site")
