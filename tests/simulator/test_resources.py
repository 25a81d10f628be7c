"""Endpoints and subscriptions: ids, ownership, limits, expiry, refresh (protocol section 2)."""

from __future__ import annotations

from typing import Literal

import pytest

from pws_soap.server import messages as m
from pws_soap.simulator import Options
from tests.support.soap_by_hand import ANN, JOE, RITA, URL

from .talk import Desk


def test_asking_again_without_an_id_gives_a_new_one_from_one_on() -> None:
    """Small integers from 1 (K)."""
    desk = Desk()
    application, user, endpoint, subscription = desk.ready()
    assert (endpoint, desk.endpoint(application)) == (1, 2)
    assert (subscription, desk.subscription(user, endpoint)) == (1, 2)


@pytest.mark.parametrize(("ids", "expected"), [("lowest-free", 1), ("increasing", 3)])
def test_which_id_comes_next_is_an_option(ids: Literal["lowest-free", "increasing"], expected: int) -> None:
    """Option ids."""
    desk = Desk(Options(ids=ids))
    application = desk.application()
    desk.endpoint(application)
    desk.endpoint(application)
    desk.ask(m.UnregisterEndPoint(1), application)
    assert desk.endpoint(application) == expected


def test_a_refresh_moves_the_expiry_and_expiry_is_absolute() -> None:
    """Expiration is absolute, not by inactivity (K)."""
    desk = Desk()
    application, user, endpoint, subscription = desk.ready()
    desk.now += 3000
    desk.fetch(user, subscription)
    assert desk.ask(m.RegisterEndPoint(None, endpoint, 3600), application) == m.EndPoint(endpoint)
    desk.now += 600
    assert desk.code(m.GetSubscribedPresence(subscription), user) == 133  # fetched, not refreshed
    assert desk.code(m.RegisterEndPoint(None, endpoint, 3600), application) is None
    desk.now += 3600
    assert desk.code(m.RegisterEndPoint(None, endpoint, 3600), application) == 132


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (m.RegisterEndPoint(None, 0, 3600), 130),
        (m.RegisterEndPoint("  ", 0, 3600), 130),
        (m.RegisterEndPoint("http://a host/", 0, 3600), 142),
        (m.RegisterEndPoint(URL, 0, 3599), 131),
        (m.RegisterEndPoint(URL, 0, 86400), 131),
        (m.RegisterEndPoint(URL, 1, 3600), 123),
        (m.RegisterEndPoint(None, 9, 3600), 132),
        (m.UnregisterEndPoint(9), 132),
        (m.UnregisterEndPoint(0), 132),
        (m.Subscribe((ANN,), 1, 0, 3600), 140),
        (m.Unsubscribe(1), 140),
        (m.GetSubscribedPresence(1), 140),
        (m.GetPolledPresence((ANN,)), 140),
        (m.SetPresence("BASIC_PRESENCE", False, 3600), 140),
    ],
)
def test_what_an_application_user_is_refused(call: m.Call, code: int) -> None:
    """Arguments of endpoints, and what is for end users only."""
    desk = Desk()
    application, *_ = desk.ready()
    assert desk.code(call, application) == code


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (m.RegisterEndPoint(URL, 0, 3600), 141),
        (m.UnregisterEndPoint(1), 141),
        (m.Subscribe((ANN,), 1, 0, 3600, "SOMETHING_ELSE"), 134),
        (m.Subscribe((ANN,), 1, 0, 100), 131),
        (m.Subscribe((ANN,), 1, 0, 86401), 131),
        (m.Subscribe((ANN,), 1, 0, None), 131),
        (m.Subscribe((ANN,), 9, 0, 3600), 132),
        (m.Subscribe((ANN,), 9, 1, 3600), 132),
        (m.Subscribe(None, 1, 0, 3600), 146),
        (m.Subscribe((ANN,), 1, 9, 3600), 133),
        (m.Subscribe(None, 1, 1), 145),
        (m.Subscribe(("",), 1, 0, 3600), 143),
        (m.Subscribe(("ann",), 1, 0, 3600), 124),
        (m.Subscribe(("sip:ann@example.com",), 1, 0, 3600), 124),
        (m.Unsubscribe(9), 133),
        (m.Unsubscribe(1, (RITA,)), 144),
        (m.GetSubscribedPresence(9), 133),
        (m.GetPolledPresence(("ann example@com",)), 124),
    ],
)
def test_what_an_end_user_is_refused(call: m.Call, code: int) -> None:
    """Arguments of subscriptions, and what is for application users only."""
    desk = Desk()
    _, user, *_ = desk.ready()
    assert desk.code(call, user) == code


def test_the_largest_expirations_differ() -> None:
    """86400 seconds for a subscription, one less for an endpoint (K, section 1)."""
    desk = Desk()
    application, user, endpoint, _ = desk.ready()
    assert desk.code(m.RegisterEndPoint(URL, 0, 86399), application) is None
    assert desk.code(m.Subscribe((ANN,), endpoint, 0, 86400), user) is None


def test_endpoints_and_subscriptions_of_others_cannot_be_touched() -> None:
    """Codes 136 and 137 (K)."""
    desk = Desk(Options(forced_login="adds"))
    application, user, endpoint, subscription = desk.ready()
    other = desk.end_user(application, "supervisor")
    assert desk.code(m.Subscribe(None, endpoint, subscription, 3600), other) == 137
    assert desk.code(m.Unsubscribe(subscription), other) == 137
    assert desk.code(m.GetSubscribedPresence(subscription), other) == 137
    strangers = desk.application(force=True)
    assert desk.code(m.RegisterEndPoint(None, endpoint, 3600), strangers) == 136
    stranger = desk.end_user(strangers, "stranger")
    assert desk.code(m.Subscribe((ANN,), endpoint, 0, 3600), stranger) == 136
    assert desk.code(m.Subscribe((RITA,), endpoint, subscription), user) is None


def test_limits_and_what_expires_makes_room() -> None:
    """Codes 138 and 139: what is left behind counts until it expires (K)."""
    desk = Desk(Options(max_endpoints=1, max_subscriptions=1))
    application, user, endpoint, _ = desk.ready()
    assert desk.code(m.RegisterEndPoint(URL, 0, 3600), application) == 138
    assert desk.code(m.Subscribe((ANN,), endpoint, 0, 3600), user) == 139
    desk.now += 3600
    assert desk.endpoint(application) == 1
    assert desk.subscription(user, 1) == 1


def test_the_number_of_contacts_is_limited() -> None:
    """Codes 135 for one subscription, 211 for all together."""
    desk = Desk(Options(max_contacts=3))
    _, user, endpoint, subscription = desk.ready()
    four = tuple(f"c{number}@example.com" for number in range(4))
    assert desk.code(m.Subscribe(four, endpoint, 0, 3600), user) == 135
    assert desk.code(m.GetPolledPresence(four), user) == 135
    assert desk.code(m.Subscribe(four[:2], endpoint, subscription), user) == 135
    assert desk.code(m.Subscribe(four[:1], endpoint, subscription), user) is None

    desk = Desk(Options(max_sip_subscriptions=3))
    _, user, endpoint, subscription = desk.ready()
    assert desk.code(m.Subscribe(four[:2], endpoint, 0, 3600), user) == 211
    assert desk.code(m.Subscribe(four[:2], endpoint, subscription), user) == 211
    desk.ask(m.Unsubscribe(subscription), user)
    assert desk.subscription(user, endpoint, *four[:3]) == 1


def test_adding_contacts_leaves_the_time_alone_and_a_refresh_leaves_the_contacts_alone() -> None:
    """Expiration 0 or none adds contacts and leaves the time alone (K)."""
    desk = Desk()
    _, user, endpoint, subscription = desk.ready()
    desk.now += 1800
    assert desk.code(m.Subscribe((RITA,), endpoint, subscription, 0), user) is None
    kept = desk.simulator.place("imp1").node.registry.subscriptions[subscription]
    assert kept.expires == desk.now + 1800
    assert list(kept.contacts) == [ANN, JOE, RITA]
    assert desk.code(m.Subscribe(None, endpoint, subscription, 7200), user) is None
    assert kept.expires == desk.now + 7200
    assert list(kept.contacts) == [ANN, JOE, RITA]


def test_contacts_are_taken_out_all_or_none() -> None:
    """unsubscribe with a list; code 144 changes nothing."""
    desk = Desk()
    _, user, _, subscription = desk.ready()
    kept = desk.simulator.place("imp1").node.registry.subscriptions[subscription]
    assert desk.code(m.Unsubscribe(subscription, (ANN, RITA)), user) == 144
    assert list(kept.contacts) == [ANN, JOE]
    assert desk.ask(m.Unsubscribe(subscription, ("ANN@example.com",)), user) == m.Done("unsubscribe")
    assert list(kept.contacts) == [JOE]
    assert desk.change(ANN, desk.world.get(ANN).state.BUSY) == ()
    assert desk.fetch(user, subscription) == {JOE: "AVAILABLE"}


@pytest.mark.parametrize("ends", [True, False])
def test_whether_a_subscription_outlives_its_last_contact_is_an_option(ends: bool) -> None:
    """Option empty_subscription_ends."""
    desk = Desk(Options(empty_subscription_ends=ends))
    _, user, _, subscription = desk.ready()
    assert desk.code(m.Unsubscribe(subscription, (ANN, JOE)), user) is None
    assert desk.code(m.GetSubscribedPresence(subscription), user) == (133 if ends else None)


@pytest.mark.parametrize("die", [True, False])
def test_whether_subscriptions_die_with_their_endpoint_is_an_option(die: bool) -> None:
    """Option subscriptions_die_with_endpoint; living on they are silent."""
    desk = Desk(Options(subscriptions_die_with_endpoint=die))
    application, user, endpoint, subscription = desk.ready()
    desk.fetch(user, subscription)
    desk.ask(m.UnregisterEndPoint(endpoint), application)
    assert desk.change(ANN, desk.world.get(ANN).state.BUSY) == ()
    assert desk.code(m.GetSubscribedPresence(subscription), user) == (133 if die else None)


@pytest.mark.parametrize("moves", [True, False])
def test_whether_a_refresh_moves_a_subscription_to_another_endpoint_is_an_option(moves: bool) -> None:
    """Option refresh_moves_endpoint."""
    desk = Desk(Options(refresh_moves_endpoint=moves))
    application, user, _, subscription = desk.ready()
    desk.fetch(user, subscription)
    second = desk.endpoint(application, "http://127.0.0.1:8080/second")
    assert desk.code(m.Subscribe(None, second, subscription, 3600), user) is None
    (notice,) = desk.change(ANN, desk.world.get(ANN).state.BUSY)
    assert ("/second?" in notice.url) is moves
