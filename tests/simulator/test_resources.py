"""Endpoints and subscriptions: ids, ownership, limits, expiry, refresh (protocol section 2)."""

from __future__ import annotations

from typing import Literal

import pytest

from pws_soap.server import messages as m
from pws_soap.simulator import Options
from tests.support.soap_by_hand import ANN, JOE, RITA, URL

from .talk import DirectSimulator


def test_asking_again_without_an_id_gives_a_new_one_from_one_on() -> None:
    """Small integers from 1 (K)."""
    direct = DirectSimulator()
    application, user, endpoint, subscription = direct.ready()
    assert (endpoint, direct.endpoint(application)) == (1, 2)
    assert (subscription, direct.subscription(user, endpoint)) == (1, 2)


@pytest.mark.parametrize(("ids", "expected"), [("lowest-free", 1), ("increasing", 3)])
def test_which_id_comes_next_is_an_option(ids: Literal["lowest-free", "increasing"], expected: int) -> None:
    """Option ids."""
    direct = DirectSimulator(Options(ids=ids))
    application = direct.application()
    direct.endpoint(application)
    direct.endpoint(application)
    direct.ask(m.UnregisterEndPoint(1), application)
    assert direct.endpoint(application) == expected


def test_a_refresh_moves_the_expiry_and_expiry_is_absolute() -> None:
    """Expiration is absolute, not by inactivity (K)."""
    direct = DirectSimulator()
    application, user, endpoint, subscription = direct.ready()
    direct.now += 3000
    direct.fetch(user, subscription)
    assert direct.ask(m.RegisterEndPoint(None, endpoint, 3600), application) == m.EndPoint(endpoint)
    direct.now += 600
    assert direct.code(m.GetSubscribedPresence(subscription), user) == 133  # fetched, not refreshed
    assert direct.code(m.RegisterEndPoint(None, endpoint, 3600), application) is None
    direct.now += 3600
    assert direct.code(m.RegisterEndPoint(None, endpoint, 3600), application) == 132


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
    direct = DirectSimulator()
    application, *_ = direct.ready()
    assert direct.code(call, application) == code


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
    direct = DirectSimulator()
    _, user, *_ = direct.ready()
    assert direct.code(call, user) == code


def test_the_largest_expirations_differ() -> None:
    """86400 seconds for a subscription, one less for an endpoint (K, section 1)."""
    direct = DirectSimulator()
    application, user, endpoint, _ = direct.ready()
    assert direct.code(m.RegisterEndPoint(URL, 0, 86399), application) is None
    assert direct.code(m.Subscribe((ANN,), endpoint, 0, 86400), user) is None


def test_endpoints_and_subscriptions_of_others_cannot_be_touched() -> None:
    """Codes 136 and 137 (K)."""
    direct = DirectSimulator(Options(forced_login="adds"))
    application, user, endpoint, subscription = direct.ready()
    other = direct.end_user(application, "supervisor")
    assert direct.code(m.Subscribe(None, endpoint, subscription, 3600), other) == 137
    assert direct.code(m.Unsubscribe(subscription), other) == 137
    assert direct.code(m.GetSubscribedPresence(subscription), other) == 137
    strangers = direct.application(force=True)
    assert direct.code(m.RegisterEndPoint(None, endpoint, 3600), strangers) == 136
    stranger = direct.end_user(strangers, "stranger")
    assert direct.code(m.Subscribe((ANN,), endpoint, 0, 3600), stranger) == 136
    assert direct.code(m.Subscribe((RITA,), endpoint, subscription), user) is None


def test_limits_and_what_expires_makes_room() -> None:
    """Codes 138 and 139: what is left behind counts until it expires (K)."""
    direct = DirectSimulator(Options(max_endpoints=1, max_subscriptions=1))
    application, user, endpoint, _ = direct.ready()
    assert direct.code(m.RegisterEndPoint(URL, 0, 3600), application) == 138
    assert direct.code(m.Subscribe((ANN,), endpoint, 0, 3600), user) == 139
    direct.now += 3600
    assert direct.endpoint(application) == 1
    assert direct.subscription(user, 1) == 1


def test_the_number_of_contacts_is_limited() -> None:
    """Codes 135 for one subscription, 211 for all together."""
    direct = DirectSimulator(Options(max_contacts=3))
    _, user, endpoint, subscription = direct.ready()
    four = tuple(f"c{number}@example.com" for number in range(4))
    assert direct.code(m.Subscribe(four, endpoint, 0, 3600), user) == 135
    assert direct.code(m.GetPolledPresence(four), user) == 135
    assert direct.code(m.Subscribe(four[:2], endpoint, subscription), user) == 135
    assert direct.code(m.Subscribe(four[:1], endpoint, subscription), user) is None

    direct = DirectSimulator(Options(max_sip_subscriptions=3))
    _, user, endpoint, subscription = direct.ready()
    assert direct.code(m.Subscribe(four[:2], endpoint, 0, 3600), user) == 211
    assert direct.code(m.Subscribe(four[:2], endpoint, subscription), user) == 211
    direct.ask(m.Unsubscribe(subscription), user)
    assert direct.subscription(user, endpoint, *four[:3]) == 1


def test_adding_contacts_leaves_the_time_alone_and_a_refresh_leaves_the_contacts_alone() -> None:
    """Expiration 0 or none adds contacts and leaves the time alone (K)."""
    direct = DirectSimulator()
    _, user, endpoint, subscription = direct.ready()
    direct.now += 1800
    assert direct.code(m.Subscribe((RITA,), endpoint, subscription, 0), user) is None
    kept = direct.simulator.place("imp1").node.registry.subscriptions[subscription]
    assert kept.expires == direct.now + 1800
    assert list(kept.contacts) == [ANN, JOE, RITA]
    assert direct.code(m.Subscribe(None, endpoint, subscription, 7200), user) is None
    assert kept.expires == direct.now + 7200
    assert list(kept.contacts) == [ANN, JOE, RITA]


def test_contacts_are_taken_out_all_or_none() -> None:
    """unsubscribe with a list; code 144 changes nothing."""
    direct = DirectSimulator()
    _, user, _, subscription = direct.ready()
    kept = direct.simulator.place("imp1").node.registry.subscriptions[subscription]
    assert direct.code(m.Unsubscribe(subscription, (ANN, RITA)), user) == 144
    assert list(kept.contacts) == [ANN, JOE]
    assert direct.ask(m.Unsubscribe(subscription, ("ANN@example.com",)), user) == m.Done("unsubscribe")
    assert list(kept.contacts) == [JOE]
    assert direct.change(ANN, direct.world.get(ANN).state.BUSY) == ()
    assert direct.fetch(user, subscription) == {JOE: "AVAILABLE"}


@pytest.mark.parametrize("ends", [True, False])
def test_whether_a_subscription_outlives_its_last_contact_is_an_option(ends: bool) -> None:
    """Option empty_subscription_ends."""
    direct = DirectSimulator(Options(empty_subscription_ends=ends))
    _, user, _, subscription = direct.ready()
    assert direct.code(m.Unsubscribe(subscription, (ANN, JOE)), user) is None
    assert direct.code(m.GetSubscribedPresence(subscription), user) == (133 if ends else None)


@pytest.mark.parametrize("die", [True, False])
def test_whether_subscriptions_die_with_their_endpoint_is_an_option(die: bool) -> None:
    """Option subscriptions_die_with_endpoint; living on they are silent."""
    direct = DirectSimulator(Options(subscriptions_die_with_endpoint=die))
    application, user, endpoint, subscription = direct.ready()
    direct.fetch(user, subscription)
    direct.ask(m.UnregisterEndPoint(endpoint), application)
    assert direct.change(ANN, direct.world.get(ANN).state.BUSY) == ()
    assert direct.code(m.GetSubscribedPresence(subscription), user) == (133 if die else None)


@pytest.mark.parametrize("moves", [True, False])
def test_whether_a_refresh_moves_a_subscription_to_another_endpoint_is_an_option(moves: bool) -> None:
    """Option refresh_moves_endpoint."""
    direct = DirectSimulator(Options(refresh_moves_endpoint=moves))
    application, user, _, subscription = direct.ready()
    direct.fetch(user, subscription)
    second = direct.endpoint(application, "http://127.0.0.1:8080/second")
    assert direct.code(m.Subscribe(None, second, subscription, 3600), user) is None
    (notice,) = direct.change(ANN, direct.world.get(ANN).state.BUSY)
    assert ("/second?" in notice.url) is moves
