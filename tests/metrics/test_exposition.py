"""What `/metrics` shows, to whom, and that docs/metrics.md says the same."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics

from pws_soap.models import SessionKind
from service.access.stream_slots import ConnectionSlots
from service.core.claims.model import ClaimRequest, Granted
from service.core.engine import (
    EndpointStatus,
    EngineState,
    FetchCounters,
    NodeState,
    NodeStatus,
    SessionStatus,
    Status,
    SubscriptionStatus,
)
from service.metrics import table
from tests.support.asgi import call
from tests.support.bare_service import AVAILABLE, BUSY, BareService, presence
from tests.support.figures import Figures, documented
from tests.support.people import ANN, JOE, bearer, filled, guarded


async def shown(office: BareService) -> Figures:
    answer = await office.get("/metrics")
    assert answer.status == 200
    return Figures(answer.body.decode())


async def test_the_table_in_the_docs_is_what_is_exposed() -> None:
    """Names, kinds and help texts, of every family that a single process has."""
    office = BareService(groups={"support": (ANN,)})
    of_replicas = {metric.name for metric in table.OF_REPLICAS}
    assert (await shown(office)).figures() == {
        each.figure for each in documented() if each.figure.name not in of_replicas
    }


def test_the_table_in_the_docs_has_the_labels_and_each_name_once() -> None:
    rows = {each.figure.name: each.labels for each in documented()}
    assert len(rows) == len(documented())
    ours = {name: labels for name, labels in rows.items() if name.startswith("pws_")}
    assert ours == {metric.name: metric.labels for metric in table.ALL}


def test_names_are_as_prometheus_has_them() -> None:
    for metric in table.ALL:
        assert metric.name.startswith("pws_")
        assert metric.name.endswith("_total") == (metric.kind is table.MetricKind.COUNTER), metric.name
        assert bool(metric.buckets) == (metric.kind is table.MetricKind.HISTOGRAM), metric.name


async def test_contacts_and_groups_are_counted() -> None:
    office = filled(BareService(groups={"support": (ANN, JOE), "sales": (JOE,), "empty": ()}))
    figures = await shown(office)
    assert figures.values("pws_contacts") == {("live",): 2, ("stale",): 0, ("unknown",): 0}
    assert figures.value("pws_contacts_by_state", state="BUSY") == 1
    assert figures.value("pws_contacts_free") == 1
    assert figures.values("pws_group_free") == {("support",): 1, ("sales",): 1, ("empty",): 0}
    assert figures.value("pws_group_contacts", group="support", freshness="live") == 2


async def test_the_counts_are_those_of_the_summary_whatever_happens() -> None:
    """They are kept as things change, and not made by looking at everybody."""
    groups = {"support": (ANN, JOE), "sales": (JOE,), "nobody": ("zoe@example.com",)}
    office = filled(BareService(groups=groups))
    claims = office.core.claim_service

    async def agree() -> None:
        figures, summary = await shown(office), await office.core.reader.summary()
        counts = summary.counts
        assert figures.values("pws_contacts") == {(level.value,): n for level, n in counts.by_freshness.items()}
        assert figures.values("pws_contacts_by_state") == {(state.value,): n for state, n in counts.by_state.items()}
        assert figures.value("pws_contacts_free") == counts.available
        assert figures.value("pws_contacts_on_the_phone") == counts.on_the_phone
        for name, group in summary.groups.items():
            assert figures.value("pws_group_free", group=name) == group.available
            assert figures.value("pws_group_on_the_phone", group=name) == group.on_the_phone
            for level, number in group.by_freshness.items():
                assert figures.value("pws_group_contacts", group=name, freshness=level.value) == number

    await agree()
    office.watch("zoe@example.com")
    await agree()
    office.read([presence(ANN, AVAILABLE), presence(JOE, BUSY, on_the_phone=True)])
    await agree()
    claims.ask(ClaimRequest("support", 1, 60, "a call", "desk"))
    await agree()
    office.store.doubt_contacts([ANN], "a reply was lost")
    await agree()
    office.clock.advance(3600)
    claims._attend()
    await agree()
    office.store.unwatch([JOE])
    await agree()


async def test_whom_a_claim_holds_is_not_free() -> None:
    office = filled(BareService(groups={"sales": (JOE,)}))
    office.core.claim_service.ask(ClaimRequest("sales", 1, 60, "a call", "desk"))
    office.core.claim_service.ask(ClaimRequest("sales", 1, 60, "a call", "desk"))
    office.core.claim_service.ask(ClaimRequest("sales", 1, 60, "a call", "desk"), wait=30)
    figures = await shown(office)
    assert figures.value("pws_group_free", group="sales") == 0
    assert (figures.value("pws_claims_held"), figures.value("pws_claims_waiting")) == (1, 1)
    assert figures.value("pws_claims_total", outcome="granted") == 1
    assert figures.value("pws_claims_total", outcome="not-enough-free") == 1
    assert figures.value("pws_claim_wait_seconds_count") == 1
    assert figures.value("pws_events_total", event="claim.made") == 1


async def test_a_request_for_people_is_counted_with_its_wait_when_it_is_served() -> None:
    """And as one whose client left, where that does not wait so long."""
    office = filled(BareService(groups={"sales": (JOE,)}))
    claims = office.core.claim_service
    first = claims.ask(ClaimRequest("sales", 1, 60, "a call", "desk"))
    assert isinstance(first.outcome, Granted)
    tickets = [claims.ask(ClaimRequest("sales", 1, 60, "a call", "desk"), wait=30) for _ in range(2)]
    waiting = [asyncio.create_task(claims.outcome(ticket)) for ticket in tickets]
    await asyncio.sleep(0)
    office.clock.advance(5)
    claims.release(first.outcome.lease.id)
    assert isinstance(await waiting[0], Granted)
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)
    assert office.counted("pws_claims_total", outcome="granted") == 2
    assert office.counted("pws_claims_total", outcome="left") == 1
    assert office.counted("pws_claim_wait_seconds_sum") == 5


def test_slots_are_those_of_streams_or_of_requests_that_wait() -> None:
    slots = ConnectionSlots(3)
    with slots.take("board", stream=True), slots.take("desk"):
        assert (slots.taken, slots.streams, slots.limit) == (2, 1, 3)
    assert (slots.taken, slots.streams) == (0, 0)


async def test_what_is_at_the_server_is_read_from_the_status() -> None:
    office = BareService()
    now = office.clock.now()
    office.engine.shown = Status(
        EngineState.DEGRADED,
        nodes=(NodeStatus("imp1", NodeState.DOWN, 3), NodeStatus("imp2", NodeState.UP)),
        sessions=(
            SessionStatus("imp2", "", SessionKind.APPLICATION, "live", usable=True),
            SessionStatus("imp2", "dispatcher", SessionKind.END_USER, "making"),
        ),
        endpoints=(EndpointStatus("imp2", 1, "live", now + 600, usable=True), EndpointStatus("imp1", None, "absent")),
        subscriptions=(
            SubscriptionStatus("imp2", "dispatcher", 1, "live", 5, now + 700, now - 5, feed="dispatcher", usable=True),
            SubscriptionStatus("imp2", "dispatcher", 2, "making", feed="dispatcher/2"),
        ),
        reading=FetchCounters(drift=2, unattributed=3, missed_notifications=4, unknown_outcomes=5),
        oldest_notification=1.5,
    )
    figures = await shown(office)
    assert figures.value("pws_state", state="degraded") == 1
    assert sum(figures.values("pws_state").values()) == 1
    assert figures.value("pws_node_state", node="imp1", state="down") == 1
    assert figures.value("pws_node_failures", node="imp1") == 3
    assert figures.values("pws_session_usable") == {("", "imp2"): 1, ("dispatcher", "imp2"): 0}
    assert figures.values("pws_endpoint_expiry_seconds") == {("imp2",): 600}
    assert figures.values("pws_subscription_expiry_seconds") == {("dispatcher", "imp2"): 700}
    assert figures.values("pws_subscription_usable") == {("dispatcher", "imp2"): 1, ("dispatcher/2", "imp2"): 0}
    assert figures.values("pws_subscription_last_notification_timestamp_seconds") == {("dispatcher", "imp2"): now - 5}
    assert figures.value("pws_drift_total") == 2
    assert figures.value("pws_unattributed_entries_total") == 3
    assert figures.value("pws_missed_notifications_total") == 4
    assert figures.value("pws_unknown_outcomes_total") == 5
    assert figures.value("pws_oldest_notification_age_seconds") == 1.5


async def test_connections_are_counted_by_what_they_are() -> None:
    figures = await shown(BareService())
    assert figures.values("pws_open_connections") == {("stream",): 2, ("waiting",): 1}
    assert figures.value("pws_open_connections_limit") == 200


async def test_no_contact_is_named() -> None:
    """Nor a key, nor a client: labels have names of a fixed list."""
    office = filled(BareService(groups={"support": (ANN, JOE)}))
    office.core.claim_service.ask(ClaimRequest("support", 1, 60, "a secret purpose", "key desk"))
    body = (await office.get("/metrics")).body.decode()
    for name in (ANN, JOE, "example.com", "secret", "desk"):
        assert name not in body
    allowed = {label for metric in table.ALL for label in metric.labels}
    assert Figures(body).names_of_labels() <= allowed


async def test_open_metrics_for_those_who_ask() -> None:
    office = filled(BareService(groups={"support": (ANN, JOE)}))
    answer = await office.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = read_open_metrics(answer.body.decode())  # type: ignore[no-untyped-call]
    assert "pws_contacts" in {family.name for family in families}
    plain = await office.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert plain.headers["cache-control"] == "no-store"


async def test_a_key_needs_the_scope() -> None:
    office = guarded()
    assert (await office.get("/metrics")).status == 401
    for name, status in {"scraper": 200, "root": 200, "reader": 403, "admin": 403, "sales": 403}.items():
        assert (await call(office.app, "GET", "/metrics", headers=bearer(name))).status == status, name


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.example.com"])
async def test_without_a_key_the_host_is_ours(host: str) -> None:
    """A page elsewhere may have given its own name our address."""
    assert (await BareService().get("/metrics", host=host)).status == 421


async def test_state_changes_of_a_contact_are_events() -> None:
    office = filled(BareService())
    before = (await shown(office)).value("pws_events_total", event="change")
    office.read([presence(ANN, AVAILABLE), presence(JOE, BUSY)])
    assert (await shown(office)).value("pws_events_total", event="change") == before + 2
