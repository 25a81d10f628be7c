"""A day at full speed: no expiry missed, and no more requests than the intervals say.

The arithmetic. A thing with a life of L seconds is renewed after `renew_at` (0.8) of it, less up to a tenth of that by
chance: after 0.8 x 0.95 x L on average, 2736 s for an hour. A day holds 86400 / 2736 = 31.6 of that, for each endpoint
and each subscription. To these come the requests of the start, which are counted one by one. Sessions are not renewed.
"""

from __future__ import annotations

import pytest

from pws_soap.lifecycle import Kind, Phase, Settings
from tests.lifecycle.driver import A, B
from tests.lifecycle.service import Service

DAY = 86400.0
FETCH = 600.0


def a_day(service: Service) -> int:
    """Let a day pass, with a fetch every ten minutes; the number of times that anything was not live."""
    missed = 0
    until = service.now + DAY
    while service.now < until:
        service.go_well(min(FETCH, until - service.now))
        service.fetch_all()
        missed += sum(each.phase is not Phase.LIVE for each in service.state.resources.values())
    return missed


def renewals(settings: Settings, endpoints: int, subscriptions: int) -> float:
    """Those of a day, on average."""
    after = settings.renew_at * 0.95
    per_endpoint = DAY / (settings.endpoint_expires * after)
    return endpoints * per_endpoint + subscriptions * DAY / (settings.subscription_expires * after)


@pytest.mark.parametrize("seed", range(3))
def test_a_day_with_5000_contacts(seed: int) -> None:
    """One end user, one subscription; to make it takes 50 lists of contacts."""
    settings = Settings((A, B), seed=seed)
    service = Service(settings)
    service.want({"ann": frozenset(f"p{number}@example.com" for number in range(5000))})
    missed = a_day(service)
    start = 1 + 1 + 1 + 50  # two logins, one endpoint, one subscription
    assert missed == 0
    assert service.cluster.failures == [], "nothing was ever unknown to the server, so nothing expired"
    assert service.cluster.requests == pytest.approx(start + renewals(settings, 1, 1), rel=0.05)
    assert service.ticks < 2 * service.cluster.requests


@pytest.mark.parametrize("seed", range(3))
def test_a_day_with_three_end_users_on_two_nodes(seed: int) -> None:
    """Two are at home on the first node, one on the other, where its first login sends it."""
    settings = Settings((A, B), seed=seed)
    service = Service(settings)
    service.cluster.homes["zoe"] = B
    service.want({user: frozenset({f"{user}@example.com"}) for user in ("ann", "bob", "zoe")})
    missed = a_day(service)
    start = 2 + 4 + 2 + 3  # the application on both nodes, three end users and a redirect, endpoints, subscriptions
    assert missed == 0
    assert service.cluster.failures == []
    assert {key.node for key in service.live(Kind.SUBSCRIPTION)} == {A, B}
    assert service.cluster.requests == pytest.approx(start + renewals(settings, 2, 3), rel=0.05)


def test_a_day_with_lives_of_a_day() -> None:
    """The longest lives there are: an endpoint must stay a second below a day."""
    settings = Settings((A,), endpoint_expires=86399, subscription_expires=86400)
    service = Service(settings)
    service.want({"ann": frozenset({"a"})})
    assert a_day(service) == 0
    assert service.cluster.failures == []
    assert service.cluster.requests == 4 + 2
