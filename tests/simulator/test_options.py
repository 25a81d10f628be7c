"""Options: what they refuse, and what they show."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pws_soap.simulator import Options, User, options_from


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fetch": "some"}, "fetch: expected one of changes, all, got 'some'"),
        ({"fault_status": 404}, "fault_status: expected one of 200, 500, got 404"),
        ({"max_endpoints": 0}, "max_endpoints: expected at least 1, got 0"),
        ({"notification_tries": 0}, "notification_tries: expected at least 1"),
        ({"requests_per_connection": 0}, "requests_per_connection: expected at least 1"),
        ({"requests_per_second": 0}, "requests_per_second: expected at least 1"),
        ({"max_request_bytes": 0}, "max_request_bytes: expected at least 1"),
        ({"callback_ports": frozenset({80, 70_000})}, "callback_ports: expected ports from 1 to 65535, got 70000"),
        ({"callback_ports": frozenset({0})}, "callback_ports: expected ports from 1 to 65535, got 0"),
        ({"domain": ""}, "domain: expected a domain such as example.com, got ''"),
        ({"domain": "two words"}, "domain: expected a domain such as example.com"),
        ({"domain": "a@b"}, "domain: expected a domain such as example.com"),
        ({"users": (User("a"), User("a"))}, "users: expected every name once"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=message):
        Options(**values)


def test_options_are_shown_without_passwords() -> None:
    """As plain values."""
    shown = Options(callback_ports=frozenset({8080, 80})).shown()
    assert shown["callback_ports"] == [80, 8080]
    assert shown["users"][0] == {"name": "pwsapp", "application": True, "home": None}
    assert "'secret'" not in repr(shown)
    assert "'secret'" not in repr(Options())


def test_every_option_is_documented() -> None:
    """In docs/simulator.md."""
    documentation = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    for option in fields(Options):
        assert f"`{option.name}`" in documentation


def test_options_are_typed_as_words() -> None:
    """Each kind of value."""
    typed = {
        "domain": "example.org",
        "any_end_user": "False",
        "max_endpoints": "4",
        "max_sip_subscriptions": "9",
        "session_idle_timeout": "1.5",
        "requests_per_connection": "none",
        "callback_ports": "80, 8080",
        "fetch": "all",
        "fault_status": "500",
    }
    assert options_from(typed) == Options(
        domain="example.org",
        any_end_user=False,
        max_endpoints=4,
        max_sip_subscriptions=9,
        session_idle_timeout=1.5,
        requests_per_connection=None,
        callback_ports=frozenset({80, 8080}),
        fetch="all",
        fault_status=500,
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("colour", "red", "colour: no such option, expected one of domain"),
        ("users", "me", "users: no such option"),
        ("any_end_user", "perhaps", "any_end_user: expected true or false, got 'perhaps'"),
        ("max_endpoints", "none", "max_endpoints: expected a whole number, got 'none'"),
        ("session_idle_timeout", "long", "session_idle_timeout: expected a number or none, got 'long'"),
        ("callback_ports", "http", "callback_ports: expected numbers with commas or none"),
        ("fetch", "some", "fetch: expected one of changes, all"),
    ],
)
def test_a_wrong_word_is_named(name: str, text: str, message: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=message):
        options_from({name: text})
