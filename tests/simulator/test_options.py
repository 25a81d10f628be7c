"""Options: what they refuse, and what they show."""

from __future__ import annotations

from typing import Any

import pytest

from pws_soap.simulator import Options, User


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fetch": "some"}, "fetch: expected one of changes, all, got 'some'"),
        ({"fault_status": 404}, "fault_status: expected one of 200, 500, got 404"),
        ({"max_endpoints": 0}, "max_endpoints: expected at least 1, got 0"),
        ({"notification_tries": 0}, "notification_tries: expected at least 1"),
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
