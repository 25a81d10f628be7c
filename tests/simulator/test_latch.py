"""Notifications, the latch and the change-only fetch (protocol section 2)."""

from __future__ import annotations

from typing import Literal

import pytest

from pws_soap.server import messages as m
from pws_soap.simulator import KNOWN_CALLBACK_PORTS, Options, State
from tests.support.soap_by_hand import ANN, JOE, RITA

from .talk import DirectSimulator


def test_a_subscription_is_notified_at_once() -> None:
    """One notification when it is made (K), to the url with id and eventType appended (K)."""
    direct = DirectSimulator()
    *_, subscription = direct.ready()
    assert [notification.url for notification in direct.notifications] == [
        f"http://127.0.0.1:8080/pws/path?id={subscription}&eventType=PRESENCE_NOTIFICATION"
    ]


def test_after_a_notification_there_is_silence_until_the_fetch() -> None:
    """The latch (K)."""
    direct = DirectSimulator()
    _, user, _, subscription = direct.ready()
    assert direct.change(ANN, State.BUSY) == ()
    direct.fetch(user, subscription)
    assert len(direct.change(ANN, State.AWAY)) == 1
    assert direct.change(JOE, State.AWAY) == ()
    direct.fetch(user, subscription)
    assert len(direct.change(JOE, State.BUSY)) == 1


def test_the_first_fetch_tells_all_and_later_ones_what_changed() -> None:
    """Option fetch=changes (L)."""
    direct = DirectSimulator()
    _, user, _, subscription = direct.ready()
    assert direct.fetch(user, subscription) == {ANN: "AVAILABLE", JOE: "AVAILABLE"}
    assert direct.fetch(user, subscription) == {}
    direct.change(JOE, State.BUSY)
    direct.change(JOE, State.DND)
    direct.change(RITA, State.DND)
    assert direct.fetch(user, subscription) == {JOE: "DND"}


def test_a_fetch_may_always_tell_all() -> None:
    """Option fetch=all."""
    direct = DirectSimulator(Options(fetch="all"))
    _, user, _, subscription = direct.ready()
    direct.fetch(user, subscription)
    assert direct.fetch(user, subscription) == {ANN: "AVAILABLE", JOE: "AVAILABLE"}


@pytest.mark.parametrize(("option", "absent"), [("absent", True), ("empty", False)])
def test_what_no_change_looks_like_is_an_option(option: Literal["absent", "empty"], absent: bool) -> None:
    """Option nothing_changed."""
    direct = DirectSimulator(Options(nothing_changed=option))
    _, user, _, subscription = direct.ready()
    direct.fetch(user, subscription)
    reply = direct.ask(m.GetSubscribedPresence(subscription), user)
    assert reply == m.PresenceList("getSubscribedPresence", "BASIC_PRESENCE", (), absent)


def test_a_change_back_is_told_all_the_same() -> None:
    """What counts is that something changed, not how it stands against the last fetch."""
    direct = DirectSimulator()
    _, user, _, subscription = direct.ready()
    direct.fetch(user, subscription)
    direct.change(ANN, State.BUSY)
    direct.change(ANN, State.AVAILABLE)
    assert direct.fetch(user, subscription) == {ANN: "AVAILABLE"}


def test_added_contacts_are_news() -> None:
    """They are told by the next fetch, and the open latch lets a notification out."""
    direct = DirectSimulator()
    _, user, endpoint, subscription = direct.ready()
    direct.fetch(user, subscription)
    direct.notifications.clear()
    direct.ask(m.Subscribe((RITA, ANN), endpoint, subscription), user)
    assert len(direct.notifications) == 1
    assert direct.fetch(user, subscription) == {RITA: "AVAILABLE"}
    direct.ask(m.Subscribe((RITA,), endpoint, subscription), user)
    direct.ask(m.Subscribe(None, endpoint, subscription, 3600), user)
    assert len(direct.notifications) == 1


def test_an_unknown_contact_is_unknown_and_no_fault() -> None:
    """K. Once it is there, all who watch it hear of it."""
    direct = DirectSimulator()
    _, user, endpoint, _ = direct.ready()
    subscription = direct.subscription(user, endpoint, "nobody@example.com")
    assert direct.fetch(user, subscription) == {"nobody@example.com": "UNKNOWN"}
    assert len(direct.change("nobody@example.com", State.BUSY)) == 1
    assert direct.fetch(user, subscription) == {"nobody@example.com": "BUSY"}


def test_a_poll_tells_the_present_and_leaves_the_latch_alone() -> None:
    """getPolledPresence returns present state without touching the latch (L)."""
    direct = DirectSimulator()
    _, user, _, subscription = direct.ready()
    reply = direct.ask(m.GetPolledPresence((ANN, RITA)), user)
    assert isinstance(reply, m.PresenceList)
    assert [presence.contact for presence in reply.contacts] == [ANN, RITA]
    assert direct.change(ANN, State.BUSY) == ()
    assert set(direct.fetch(user, subscription)) == {ANN, JOE}


def test_a_poll_may_touch_the_latch() -> None:
    """Option poll_touches_latch."""
    direct = DirectSimulator(Options(poll_touches_latch=True))
    _, user, _, subscription = direct.ready()
    direct.ask(m.GetPolledPresence((ANN,)), user)
    assert len(direct.change(JOE, State.BUSY)) == 1
    assert set(direct.fetch(user, subscription)) == {JOE}


def test_an_application_user_may_poll_where_the_option_says_so() -> None:
    """Option application_may_poll."""
    direct = DirectSimulator(Options(application_may_poll=True))
    assert direct.code(m.GetPolledPresence((ANN,)), direct.application()) is None


@pytest.mark.parametrize("sensitive", [True, False])
def test_whether_contacts_differ_by_case_is_an_option(sensitive: bool) -> None:
    """Option case_sensitive_contacts."""
    direct = DirectSimulator(Options(case_sensitive_contacts=sensitive))
    _, user, endpoint, _ = direct.ready()
    subscription = direct.subscription(user, endpoint, "ANN@Example.com", ANN)
    states = direct.fetch(user, subscription)
    assert states == ({"ANN@Example.com": "UNKNOWN", ANN: "AVAILABLE"} if sensitive else {ANN: "AVAILABLE"})


def test_no_notifications_above_80_percent() -> None:
    """Above 80 % CPU the server sends none (K); the next change after it does."""
    direct = DirectSimulator()
    _, user, _, subscription = direct.ready()
    direct.fetch(user, subscription)
    direct.simulator.set_cpu(80.5)
    assert direct.change(ANN, State.BUSY) == ()
    direct.simulator.set_cpu(80)
    assert len(direct.change(JOE, State.BUSY)) == 1
    assert set(direct.fetch(user, subscription)) == {ANN, JOE}
    assert direct.simulator.place("imp1").node.notifications.withheld == {"cpu": 1}


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("http://127.0.0.1/x", True),
        ("http://127.0.0.1:82/x", True),
        ("http://127.0.0.1:5000/x", False),
        ("https://127.0.0.1/x", False),
        ("ftp://127.0.0.1:80/x", False),
        ("http://127.0.0.1:port/x", False),
    ],
)
def test_the_server_is_fussy_about_ports(url: str, sent: bool) -> None:
    """80, 82 and 8080 work, 5000 does not (K); the latch closes all the same."""
    direct = DirectSimulator(Options(callback_ports=KNOWN_CALLBACK_PORTS))
    application = direct.application()
    user = direct.end_user(application)
    subscription = direct.subscription(user, direct.endpoint(application, url))
    assert bool(direct.notifications) is sent
    assert direct.simulator.place("imp1").node.registry.subscriptions[subscription].silent


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:5000/x", "port"),
        ("http://127.0.0.1:99999/x", "url"),
        ("http://127.0.0.1:port/x", "url"),
        ("http:///x", "url"),
        ("notaurl", "url"),
        ("ftp://127.0.0.1:80/x", "url"),
        ("http://127.0.0.1:8080/x#here", "url"),  # what is appended behind it is not sent
    ],
)
def test_why_a_notification_is_not_sent_is_counted(url: str, reason: str) -> None:
    """An unusable URL is told apart from a port that is not called."""
    direct = DirectSimulator(Options(callback_ports=KNOWN_CALLBACK_PORTS))
    application = direct.application()
    direct.subscription(direct.end_user(application), direct.endpoint(application, url))
    assert direct.simulator.place("imp1").node.notifications.withheld == {reason: 1}


def test_the_parameters_are_appended_to_a_query_and_may_be_called_etype() -> None:
    """Option notification_parameter."""
    direct = DirectSimulator(Options(notification_parameter="etype"))
    application = direct.application()
    direct.subscription(direct.end_user(application), direct.endpoint(application, "http://h/x?y=1"))
    assert direct.notifications[0].url == "http://h/x?y=1&id=1&etype=PRESENCE_NOTIFICATION"


def test_the_throttles() -> None:
    """210 by load, 212 by requests per second."""
    direct = DirectSimulator(Options(requests_per_second=2))
    login = m.Login("pwsapp", password="secret")
    assert [direct.code(login) for _ in range(3)] == [None, None, 212]
    direct.now += 1.01
    assert direct.code(login) is None
    direct.now -= 1000  # a clock that was set back does not throttle for ever
    assert direct.code(login) is None
    direct.simulator.set_rate_limit(None)
    direct.simulator.set_cpu(95)
    assert direct.code(login) == 210
    direct.simulator.set_cpu(94)
    assert direct.code(login) is None
