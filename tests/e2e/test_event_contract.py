"""The contract of the stream: one service produces every kind of event, and each fits the schema that describes it.

Service and simulator run in one process on a clock that jumps. `tests.support.sse` holds every event that it reads to
its schema, here and in all other tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import jsonschema_rs
import pytest

from pws_soap.models import Secret
from pws_soap.simulator import Fault
from pws_soap.simulator import State as Wire
from service.access.authentication import Authenticator
from service.api.app import Program, create_app
from service.api.sse.subscriber import LAG
from service.api.writers.event import EVENTS
from service.core.claims import service as claims
from service.core.claims.model import ClaimEventKind
from service.core.claims.service import ClaimRules
from service.core.events.event import CHANGE, REMOVED, WEBHOOK_PARKED, WEBHOOK_RECOVERED, WebhookChange
from service.core.events.names import EVENT_NAMES
from service.core.wiring import Core
from service.sync import subscription_events
from tests.support import described
from tests.support.asgi import call
from tests.support.people import bearer, rules
from tests.support.sse import Listener
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run

ANN, BOB, CID, DAN = names(4)
GROUPS: Final = {"support": (CID,), "sales": (ANN, BOB)}
NODES: Final = ("imp1", "imp2")
SUBSCRIPTIONS: Final = {"LOST", "RENEWED", "RECREATED", "FAILED_OVER", "MISSED"}


class Office(VirtualOffice):
    """With all that answers."""

    core: Core

    def follow_store(self) -> None:
        limits = ClaimRules(floors={"sales": 2}, default_lease=600)
        self.core = Core.of(self.store, self.clock, BOUND, GROUPS, events=50, rules=limits)


class Running:
    """A service with three streams: of a key that sees all, of one without details, of one limited to sales."""

    def __init__(self, office: Office, app: Program) -> None:
        self.office = office
        self.core = office.core
        self.app = app
        self.listeners = {name: Listener(app, **bearer(name)) for name in ("root", "board", "sales")}

    async def until(self, name: str, **members: object) -> None:
        """Wait until an event of that kind, with these members, has come to the one who sees all."""

        def came(events: list[Any]) -> bool:
            return any(event.name == name and members.items() <= event.data.items() for event in events)

        with suppress(TimeoutError):
            async with asyncio.timeout(7200):
                while not came(self.listeners["root"].events):  # noqa: ASYNC110  # the clock jumps, and the engine goes on
                    await asyncio.sleep(0.5)
        assert came(self.listeners["root"].events), f"no {name} among {self.heard('root')}"

    def heard(self, name: str) -> set[str]:
        return {event.name for event in self.listeners[name].events}

    async def post(self, target: str, body: object = None, method: str = "POST") -> Any:
        answer = await call(self.app, method, target, headers=bearer("root"), json_body=body)
        assert answer.status < 300, answer.body
        return answer.json() if answer.body else None


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """Until everybody is live and all three have had their snapshot."""
    office = Office((ANN, BOB, CID, DAN), NODES)
    engine, core = office.start(), office.core
    engine._publisher._publish = core.log.tell
    app = create_app(
        engine,
        core,
        callback_secret=Secret("a-path"),
        version="1.2.3",
        authenticator=Authenticator(rules=rules(), clock=office.clock),
    )
    ticking = [asyncio.create_task(each) for each in (core.log.run(), core.claim_service.run())]
    await office.heal()
    made = Running(office, app)
    async with AsyncExitStack() as streams:
        for listener in made.listeners.values():
            await streams.enter_async_context(listener)
        await made.until("snapshot", reason="start")
        yield made
        core.log.close()
        for task in ticking:
            task.cancel()
        await office.stop()


def test_every_kind_of_event_fits_its_schema() -> None:
    """A day with all that can happen, for keys of three kinds; each event was held to its schema as it was read."""

    async def story() -> None:
        async with running() as made:
            office = made.office
            office.change(DAN, Wire.AWAY)
            await made.until("change", contact=DAN, state="AWAY")

            claim = (await made.post("/v1/claims", {"group": "sales", "for": "ticket 4711"}))["id"]
            await made.until("coverage.low", free=1)
            await made.post(f"/v1/claims/{claim}/renew", {"lease_seconds": 700})
            held = made.core.claim_service.leases()[0].people[0].contact
            office.change(held, Wire.BUSY)
            await made.until("claim.unavailable", contact=held)
            office.change(held, Wire.AVAILABLE)
            await made.post(f"/v1/claims/{claim}", method="DELETE")
            await made.until("coverage.restored", free=2)
            await made.post("/v1/claims", {"group": "sales", "lease_seconds": 1})
            await made.until("claim.expired")

            await made.post(f"/v1/contacts/{CID}", method="DELETE")
            await made.until("removed", contact=CID, watched=False)

            office.simulator.faults.add(Fault("drop-notification", count=1))
            office.change(DAN, Wire.DND)
            await made.until("subscription.missed")
            await made.until("subscription.renewed")
            office.simulator.forget("subscriptions")
            await made.until("subscription.recreated")
            await made.post("/v1/failover", {"node": "http://imp2:8082"})
            await made.until("subscription.failed-over")

            made.core.log.tell(WEBHOOK_PARKED, WebhookChange("crm", "410 Gone"), frozenset())
            made.core.log.tell(WEBHOOK_RECOVERED, WebhookChange("crm"), frozenset())
            await made.until("webhook.parked", target="crm", reason="410 Gone")
            await made.until("webhook.recovered", target="crm", reason=None)

            made.listeners["root"].reading.clear()
            for number in range(LAG + 100):
                made.core.log.tell("noted", None, [ANN])
                if number % 20 == 0:
                    await asyncio.sleep(0)
            made.listeners["root"].reading.set()
            await made.until("snapshot", reason="behind")
            async with Listener(made.app, last_event_id="1", **bearer("root")) as late:
                (first,) = await late.take(1)
            assert (first.name, first.data["reason"]) == ("snapshot", "not-kept")

            assert made.heard("root") - {":", "noted"} == described.event_names()
            assert "claim.made" in made.heard("sales")
            assert "subscription.lost" in made.heard("board")

    run(story())


def test_the_table_has_every_kind_that_the_service_can_tell() -> None:
    """Those of the rooms that make events, and the snapshot."""
    made = {getattr(subscription_events, name) for name in SUBSCRIPTIONS}
    made |= {CHANGE, REMOVED, claims.LOW, claims.RESTORED, *ClaimEventKind, WEBHOOK_PARKED, WEBHOOK_RECOVERED}
    assert set(EVENT_NAMES) == made
    assert [kind.name for kind in EVENTS] == ["snapshot", *EVENT_NAMES]
    assert {kind.name for kind in EVENTS} == described.event_names()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("removed", {"contact": ANN, "revision": 7}),
        ("removed", {"contact": ANN, "revision": 7, "watched": False, "why": "a member that nobody described"}),
        ("snapshot", {"contacts": [], "revision": 7, "reason": "because"}),
        ("coverage.low", {"at": "yesterday", "revision": 7, "group": "sales", "free": 1, "min_free": 2}),
    ],
)
def test_an_event_that_does_not_fit_is_found(name: str, data: object) -> None:
    """A member is missing, or too much; a word is not one of those; a time is none."""
    with pytest.raises(jsonschema_rs.ValidationError):
        described.hold(name, "7", data)
