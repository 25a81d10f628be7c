"""Where no key is needed: what a page elsewhere may make a browser do."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.access.access_headers import AccessHeaders
from service.access.browser_checks import check
from service.access.errors import HostNotAllowed, OriginNotAllowed

HOSTS = {"presence.example.com"}
ORIGINS = ("https://board.example.com",)


def ask(method: str = "GET", **headers: str) -> None:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    check(method, AccessHeaders.of(Headers(raw=raw)), HOSTS, ORIGINS)


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
        "127.0.0.1.:8080",
        "[::FFFF:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]:8080",
        "localhost:",
        "localhost:65535",
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
        "[::1].evil.com",
        "[::1].evil.com:8080",
        "[::1]evil.com",
        "[::1].",
        "[::1%eth0]",
        "[::1%25eth0]:8080",
        "[::1%.evil.com]",
        "[fe80::1%25evil.com]",
        "::1",
        "::1:8080",
        "[127.0.0.1]",
        "[localhost]",
        "[]",
        "localhost:evil",
        "localhost:80.evil.com",
        "localhost:0",
        "localhost:65536",
        "localhost:99999",
        "localhost:-80",
        "localhost:+80",
        "localhost:8 0",
        "localhost:80:80",
        "localhost:0x50",
        "localhost:\u00b2",
        "localhost..",
        "localhost..:8080",
        ".localhost",
        "..localhost",
        "evil..localhost",
        "127.0.0.1..",
        ".",
        ":8080",
        "user@localhost",
        "user:secret@localhost:8080",
        "localhost:8080@evil.com",
        "@localhost",
        "localhost#.evil.com",
        "localhost?.evil.com",
        "localhost\\\\.evil.com",
        "evil.com/.localhost",
        "localhost,evil.com",
        "localhost, localhost",
        "http://localhost",
        "local\u00adhost",
        " localhost",
        "localhost\t",
        "LOCALHOST.EVIL.COM",
        "xlocalhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    """It may be a page's own name, to which it has given our address."""
    with pytest.raises(HostNotAllowed, match=r"http\.allowed_hosts"):
        ask(host=host)


def test_two_names_are_refused() -> None:
    with pytest.raises(HostNotAllowed):
        check("GET", AccessHeaders(hosts=("localhost", "evil.example")), HOSTS, ORIGINS)


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
        {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-origin, Cross-Site"},
        {"origin": ""},
        {"origin": "http://127.0.0.1"},
        {"origin": "https://127.0.0.1"},
        {"origin": "http://127.0.0.1:8080 https://board.example.com"},
        {"origin": "http://127.0.0.1:8080, http://127.0.0.1:8080"},
        {"origin": "http://127.0.0.1:8080/"},
        {"origin": "http://127.0.0.1:8080/evil"},
        {"origin": "http://127.0.0.1:8080?evil"},
        {"origin": "http://user@127.0.0.1:8080"},
        {"origin": "http://127.0.0.1:8080@evil.example"},
        {"origin": "http://127.0.0.1:08080"},
        {"origin": "http://127.0.0.1:8080x"},
        {"origin": "127.0.0.1:8080"},
        {"origin": "//127.0.0.1:8080"},
        {"origin": "ftp://127.0.0.1:8080"},
        {"origin": "http://[::1].evil.com:8080"},
        {"origin": "https://board.example.com."},
        {"origin": "https://board.example.com:8443"},
        {"origin": "https://board.example.com.evil.com"},
        {"origin": "http://board.example.com"},
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
        {"origin": "HTTP://127.0.0.1:8080"},
        {"origin": "https://Board.example.com", "sec_fetch_site": "cross-site"},
        {"origin": "https://BOARD.example.com:443"},
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


@pytest.mark.parametrize("second", ["https://evil.example", "http://127.0.0.1:8080", ""])
@pytest.mark.parametrize("first", ["http://127.0.0.1:8080", "https://board.example.com", ""])
def test_two_origins_are_refused(first: str, second: str) -> None:
    """Anybody who reads only one of them may read the wrong one."""
    raw = [(b"host", b"127.0.0.1:8080"), (b"origin", first.encode()), (b"origin", second.encode())]
    with pytest.raises(OriginNotAllowed):
        check("POST", AccessHeaders.of(Headers(raw=raw)), HOSTS, ORIGINS)


def test_a_second_header_that_tells_of_another_site_counts() -> None:
    raw = [(b"host", b"localhost"), (b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")]
    with pytest.raises(OriginNotAllowed):
        check("POST", AccessHeaders.of(Headers(raw=raw)), HOSTS, ORIGINS)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost:", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("LocalHost:8080", "http://LOCALHOST:8080"),
        ("localhost.", "http://localhost."),
        ("localhost.:8080", "http://localhost.:8080"),
        ("presence.example.com", "https://presence.example.com"),
        ("presence.example.com:443", "https://presence.example.com"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::1]", "http://[0:0::1]"),
        ("[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_compared_as_browsers_do(host: str, origin: str) -> None:
    """The scheme's own port, capitals and the forms of an address make no difference."""
    ask("POST", host=host, origin=origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "https://localhost:80"),
        ("localhost:443", "http://localhost"),
        ("localhost.", "http://localhost"),
        ("localhost", "http://localhost."),
        ("localhost:8080", "http://localhost:"),
        ("127.0.0.1", "http://localhost"),
    ],
)
def test_an_origin_that_only_looks_like_ours_is_foreign(host: str, origin: str) -> None:
    with pytest.raises(OriginNotAllowed):
        ask("POST", host=host, origin=origin)
