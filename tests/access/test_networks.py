"""Where a notification may come from."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from service.access.networks import Sources

ALLOWED = [ip_network("10.0.0.11"), ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")]
PROXIES = [ip_network("192.0.2.0/24"), ip_network("::1")]


def allows(peer: str | None, *forwarded: str, proxies: bool = True) -> bool:
    sources = Sources(ALLOWED, PROXIES if proxies else ())
    return sources.allow(sources.of(peer, forwarded))


@pytest.mark.parametrize("peer", ["10.0.0.11", "10.1.255.255", "::ffff:10.0.0.11", "2001:db8::1", "2001:db8::1%eth0"])
def test_a_named_source_may(peer: str) -> None:
    """IPv4 in IPv6's clothes too, as a listener on :: sees it."""
    assert allows(peer)


@pytest.mark.parametrize("peer", ["10.0.0.12", "10.2.0.1", "::ffff:10.0.0.12", "2001:db9::1", "", "unix", None])
def test_anybody_else_may_not(peer: str | None) -> None:
    assert not allows(peer)


def test_without_a_list_everybody_may() -> None:
    sources = Sources()
    assert sources.allow(sources.of("8.8.8.8", []))
    assert sources.allow(None)


@pytest.mark.parametrize(
    "forwarded",
    [
        ("10.0.0.11",),
        ("8.8.8.8, 10.0.0.11",),
        ("8.8.8.8", "10.0.0.11"),
        ("10.0.0.11, 192.0.2.7",),
        ("nonsense, 10.0.0.11 , 192.0.2.7",),
        ("10.0.0.11:40123",),
        ("[2001:db8::1]:40123",),
        ("[2001:db8::1]",),
        ('"10.0.0.11"',),
        ("::ffff:10.0.0.11",),
    ],
)
def test_a_trusted_proxy_says_where_it_comes_from(forwarded: tuple[str, ...]) -> None:
    """The last one that is no proxy of ours: what stands before it, anybody may have written."""
    assert allows("192.0.2.1", *forwarded)


@pytest.mark.parametrize(
    "forwarded",
    [
        ("10.0.0.11, 8.8.8.8",),
        ("10.0.0.11", "8.8.8.8"),
        ("10.0.0.11, nonsense",),
        ("10.0.0.11,",),
        ("10.0.0.11, unknown, 192.0.2.7",),
        ("",),
        (),
        ("10.0.0.11/8",),
        ("10.0.0.11 8.8.8.8",),
        ("192.0.2.7, 192.0.2.8",),
    ],
)
def test_what_it_says_of_others_or_not_readably_does_not_help(forwarded: tuple[str, ...]) -> None:
    assert not allows("192.0.2.1", *forwarded)


def test_nobody_else_is_asked_where_they_come_from() -> None:
    assert not allows("8.8.8.8", "10.0.0.11")
    assert not allows("192.0.2.1", "10.0.0.11", proxies=False)
    assert allows("10.0.0.11", "8.8.8.8")
