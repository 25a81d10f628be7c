"""The callback's query, which anybody may send: good forms are read, others refused without a word of theirs."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pws_soap.models import Notification
from pws_soap.notification import EVENT_TYPE, MAX_ID, MAX_QUERY, NotANotification, read

GOOD = "id=7&eventType=PRESENCE_NOTIFICATION"


@pytest.mark.parametrize(
    "query",
    [
        GOOD,
        GOOD.encode(),
        "id=7&etype=PRESENCE_NOTIFICATION",
        "eventType=PRESENCE_NOTIFICATION&id=7",
        "id=7&eventType=PRESENCE_NOTIFICATION&etype=PRESENCE_NOTIFICATION",
        "id=7&eventType=PRESENCE_NOTIFICATION&novelty=1&=",
        "id=007&eventType=PRESENCE_NOTIFICATION",
        "id=%37&eventType=PRESENCE%5FNOTIFICATION",
    ],
)
def test_good_forms(query: str | bytes) -> None:
    """Either name of the second parameter, in any order, with things we do not know beside them."""
    assert read(query) == Notification(7, EVENT_TYPE)


def test_highest_id() -> None:
    """An xsd:int, and one more is none."""
    assert read(f"id={MAX_ID}&etype={EVENT_TYPE}").subscription_id == 2147483647
    with pytest.raises(NotANotification):
        read(f"id={MAX_ID + 1}&etype={EVENT_TYPE}")


def test_time_of_arrival_is_kept_and_not_compared() -> None:
    """It is the caller's clock that says when."""
    now = datetime(2026, 11, 21, 10, 0, 3, tzinfo=UTC)
    assert read(GOOD, now).received == now
    assert read(GOOD, now) == read(GOOD)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "expected one id"),
        ("eventType=PRESENCE_NOTIFICATION", "expected one id"),
        ("ID=7&eventType=PRESENCE_NOTIFICATION", "expected one id"),
        ("?id=7&eventType=PRESENCE_NOTIFICATION", "expected one id"),
        ("id=7&id=7&eventType=PRESENCE_NOTIFICATION", "more than one id"),
        ("id=7&id=&eventType=PRESENCE_NOTIFICATION", "more than one id"),
        ("id=7", "expected eventType"),
        ("id=7&eventType=", "expected eventType"),
        ("id=7&eventType=presence_notification", "expected eventType"),
        ("id=7&eventType=SOMETHING_ELSE", "expected eventType"),
        ("id=7&eventType=PRESENCE_NOTIFICATION&etype=OTHER", "expected eventType"),
        ("id=7;eventType=PRESENCE_NOTIFICATION", "not a positive whole number"),
        *(
            (f"id={number}&eventType=PRESENCE_NOTIFICATION", "not a positive whole number")
            for number in [
                "",
                "0",
                "-1",
                "%2B7",
                "7.0",
                "1e3",
                "0x7",
                " 7",
                "7%20",
                "7%00",
                "seven",
                "99999999999",
                "9" * 100,
                "%D9%A7",
                "\u0667",
                "²",
                "1_000",
                "1;id",
                "1|id",
                "$(id)",
                "`id`",
                "1%0Aid",
                "../../etc/passwd",
                "<script>",
                "1' OR '1'='1",
            ]
        ),
        ("id=1&eventType=PRESENCE_NOTIFICATION&x=" + "y" * 10_240, "more than 256 characters"),
        ("&" * 300, "more than 256 characters"),
        (b"\xff\xfe\x00", "expected one id"),
        (b"id=\xd9\xa7&eventType=PRESENCE_NOTIFICATION", "not a positive whole number"),
    ],
)
def test_everything_else_is_refused(query: str | bytes, why: str) -> None:
    """The reason names the fault and never repeats what was sent."""
    with pytest.raises(NotANotification) as caught:
        read(query)
    assert why in str(caught.value)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 60


def test_query_of_the_longest_length_is_read() -> None:
    """And one character more is not."""
    query = GOOD + "&x=" + "y" * (MAX_QUERY - len(GOOD) - 3)
    assert read(query).subscription_id == 7
    with pytest.raises(NotANotification):
        read(query + "y")


@given(st.text() | st.binary() | st.text("id=&eventTyp1234567890%;+PRESENCE_NOTIFICATION"))
@example("id=%ED%A0%80&eventType=PRESENCE_NOTIFICATION")
@example("\ud800")
def test_nothing_but_not_a_notification_is_raised(query: str | bytes) -> None:
    """Whatever anybody sends."""
    with suppress(NotANotification):
        assert 0 < read(query).subscription_id <= MAX_ID


@given(st.integers(1, MAX_ID), st.sampled_from(["eventType", "etype"]))
def test_every_id_is_read(number: int, name: str) -> None:
    """As the server writes it."""
    assert read(f"id={number}&{name}={EVENT_TYPE}") == Notification(number, EVENT_TYPE)
