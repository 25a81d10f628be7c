"""What becomes of the access rules when the keys are read again, and what the log says of a reload."""

from __future__ import annotations

import logging

import pytest

from service.access.authentication import AccessRules
from service.access.keys import KeyRing, hash_of
from service.access.principal import ANYBODY
from service.core.engine import Watched
from service.runtime.access_rules import kept_closed
from service.runtime.reload import MOST, log_changes, log_warnings

KEYED = AccessRules(KeyRing([(hash_of("any"), ANYBODY)]), None)
OPEN = AccessRules(KeyRing(), ANYBODY)


def test_taking_the_last_key_away_opens_nothing() -> None:
    """Nor does the reload after that one; a key lets its owner in again."""
    closed = kept_closed(OPEN, KEYED)
    assert closed.anonymous is None
    assert kept_closed(OPEN, closed).anonymous is None
    assert kept_closed(KEYED, closed) is KEYED


def test_what_never_had_a_key_stays_open() -> None:
    assert kept_closed(OPEN, OPEN).anonymous is ANYBODY


def watched(*names: str, user: str = "dispatcher") -> list[Watched]:
    return [Watched(f"{name}@example.com", user, True) for name in names]


def test_who_left_and_who_came_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_changes(watched("ann", "rita"), watched("zoe"), {"dispatcher"})
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "SIGHUP: watched no longer through dispatcher: ann@example.com, rita@example.com"),
        ("INFO", "SIGHUP: watched from now on through dispatcher: zoe@example.com"),
    ]


def test_an_end_user_without_any_contact_left_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """And of many contacts not all are named."""
    caplog.set_level(logging.INFO)
    log_changes(watched(*(f"n{number}" for number in range(MOST + 5))), [], {"second"})
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(
        "SIGHUP: dispatcher has no contacts any more; watched no longer: n0@example.com"
    )
    assert record.getMessage().endswith(f"n{MOST - 1}@example.com and 5 more")


def test_where_nothing_changed_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_changes([], [], {"dispatcher"})
    log_warnings(["a known one"], ["a known one", "another"])
    assert caplog.records == []


def test_a_warning_that_is_new_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    log_warnings(["a known one", "a new one"], ["a known one"])
    assert caplog.messages == ["SIGHUP: a new one"]
