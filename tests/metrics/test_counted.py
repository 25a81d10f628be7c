"""What is counted as it happens, by a service and a simulator under a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from pws_soap.simulator import Fault
from service.core.clock import ManualClock
from service.core.meter import CanaryOutcome, SlowClient
from service.metrics.loop_lag import EVERY, LoopLag
from service.metrics.prometheus_meter import PrometheusMeter
from tests.support.virtual_office import STATES, VirtualOffice, names
from tests.support.virtual_time import run


class Counting:
    """A meter, and what it has counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.meter = PrometheusMeter(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """0 where there is no such sample."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def by_label(self, name: str, label: str) -> Mapping[str, float]:
        """All samples of that name, by that label."""
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {sample.labels[label]: sample.value for sample in samples if sample.name == name}


def test_a_change_is_notified_fetched_and_measured() -> None:
    async def story() -> None:
        counting = Counting()
        office = VirtualOffice(names(3), meter=counting.meter)
        office.start()
        await office.heal()
        before = counting.value("pws_notification_lag_seconds_count")
        fetches = counting.value("pws_reads_total", read="fetch", outcome="ok")
        office.change(office.contacts[0], STATES[1])
        await office.heal()
        assert counting.value("pws_notifications_total", outcome="taken") == 1
        assert counting.value("pws_notification_lag_seconds_count") == before + 1
        assert counting.value("pws_reads_total", read="fetch", outcome="ok") == fetches + 1
        assert counting.value("pws_server_requests_total", lane="fetch") == fetches + 1
        assert counting.value("pws_lifecycle_commands_total", resource="subscription", action="make", outcome="ok") == 1
        assert office.engine is not None
        assert office.engine.status().oldest_notification == 0

    run(story())


def test_notifications_that_one_fetch_serves_are_coalesced() -> None:
    async def story() -> None:
        counting = Counting()
        office = VirtualOffice(names(2), meter=counting.meter)
        engine = office.start()
        await office.heal()
        (tracked,) = engine.subscriptions
        before = counting.value("pws_notifications_total", outcome="coalesced")
        for _ in range(3):
            engine._tracker.notified(tracked.ref.id, tracked.ref.node)
        assert counting.value("pws_notifications_total", outcome="taken") == 1
        assert counting.value("pws_notifications_total", outcome="coalesced") == before + 2
        engine._tracker.notified(99, tracked.ref.node)
        assert counting.value("pws_notifications_total", outcome="unknown") == 1
        engine.rejected()
        assert counting.value("pws_notifications_total", outcome="rejected") == 1

    run(story())


def test_a_notification_ages_as_long_as_it_cannot_be_fetched() -> None:
    async def story() -> None:
        counting = Counting()
        office = VirtualOffice(names(2), meter=counting.meter)
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(Fault("refuse", operation="getSubscribedPresence", code=200))
        office.change(office.contacts[0], STATES[1])
        await office.pass_time(20)
        assert engine.status(problems=False).oldest_notification == pytest.approx(20)
        assert counting.value("pws_faults_total", code="200") > 0
        assert counting.value("pws_reads_total", read="fetch", outcome="server") > 0
        office.simulator.faults.clear()
        await office.heal()
        assert engine.status(problems=False).oldest_notification == 0

    run(story())


def test_renewals_are_counted_by_outcome() -> None:
    async def story() -> None:
        counting = Counting()
        office = VirtualOffice(names(1), meter=counting.meter)
        office.start()
        await office.heal()
        await office.pass_time(3600)
        for resource in ("endpoint", "subscription"):
            renewed = counting.value("pws_lifecycle_commands_total", resource=resource, action="renew", outcome="ok")
            assert renewed >= 1, resource

    run(story())


def test_a_code_that_nobody_knows_makes_no_series_of_its_own() -> None:
    """The server must not be able to fill our memory, or Prometheus'."""
    counting = Counting()
    for code in (101, 31337, 31338):
        counting.meter.command_ended("subscription", "renew", "server", code)
    counted = {code: number for code, number in counting.by_label("pws_faults_total", "code").items() if number}
    assert counted == {"101": 1, "other": 2}


def test_requests_that_wait_for_the_budget_are_counted_with_their_wait() -> None:
    async def story() -> None:
        counting = Counting()
        office = VirtualOffice(names(2), rate=1.0, meter=counting.meter)
        office.start()
        await office.heal()
        assert counting.value("pws_server_request_wait_seconds_total", lane="lifecycle") > 0

    run(story())


async def test_the_event_loops_lag_is_what_a_sleep_takes_too_long() -> None:
    clock, lags = ManualClock(), list[float]()
    measuring = LoopLag(clock, lags.append).run()
    sleeping = measuring.send(None)
    assert sleeping is not None
    measuring.close()
    assert not lags
    assert EVERY > 0


def test_what_is_counted_for_the_first_time_has_its_zero() -> None:
    """Else the first one is no increase."""
    counting = Counting()
    assert set(counting.by_label("pws_slow_clients_total", "effect")) == {each.value for each in SlowClient}
    assert set(counting.by_label("pws_canary_rounds_total", "outcome")) == {each.value for each in CanaryOutcome}
    assert {"101", "138", "other"} <= set(counting.by_label("pws_faults_total", "code"))
