"""How long a notification waits for the store to have what it announced."""

from __future__ import annotations

from service.sync.notification_lag import NotificationLag


def test_a_fetch_serves_what_came_before_it_began() -> None:
    """Of several the oldest counts."""
    lag = NotificationLag()
    lag.came(10.0)
    lag.came(11.0)
    assert lag.oldest == 10.0
    lag.fetch_begins()
    assert lag.fetch_succeeded(12.0) == 2.0
    assert lag.oldest is None


def test_what_comes_during_a_fetch_waits_for_the_next_one() -> None:
    lag = NotificationLag()
    lag.came(10.0)
    lag.fetch_begins()
    lag.came(11.0)
    lag.came(11.5)
    assert lag.oldest == 10.0
    assert lag.fetch_succeeded(12.0) == 2.0
    assert lag.oldest == 11.0
    lag.fetch_begins()
    assert lag.fetch_succeeded(13.0) == 2.0


def test_a_fetch_without_a_notification_serves_none() -> None:
    lag = NotificationLag()
    lag.fetch_begins()
    lag.came(11.0)
    assert lag.oldest == 11.0
    assert lag.fetch_succeeded(12.0) is None
    assert lag.oldest == 11.0


def test_a_fetch_that_fails_serves_none() -> None:
    """All that waited waits on, as long as it takes."""
    lag = NotificationLag()
    lag.came(10.0)
    lag.fetch_begins()
    lag.came(11.0)
    lag.fetch_failed()
    assert lag.oldest == 10.0
    lag.fetch_begins()
    assert lag.fetch_succeeded(20.0) == 10.0
    assert lag.oldest is None
