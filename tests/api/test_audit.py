"""What the audit says of each request: who, from where, what was asked, how many were shown; and which it leaves out.

The routes are those of the description: a new one has to be given its place here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from pws_soap.models import Secret
from service.access.audit import AuditAction, AuditEntry
from service.api.app import create_app
from service.api.audit_trail import MOST_NAMED, AuditTrail
from service.core.claims.service import ClaimRules
from service.core.clock import ManualClock
from service.core.events.history import History
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from tests.support.asgi import Answer, call
from tests.support.bare_service import AVAILABLE, BOUND, BUSY, SECRET, BareService, presence
from tests.support.fake_webhooks import FakeWebhooks
from tests.support.long_polls import Asking
from tests.support.people import ANN, JOE, PEOPLE, bearer, coming_from, guarded
from tests.support.sse import Listener

BOB: Final = "bob@example.com"
GROUPS: Final = {"support": (ANN, BOB), "sales": (JOE,)}
ADDRESS: Final = "10.0.0.7"


@dataclass
class Entries:
    """An AuditLog in memory."""

    entries: list[AuditEntry] = field(default_factory=list)

    def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    def taken(self) -> list[AuditEntry]:
        """Those since the last call."""
        taken, self.entries = self.entries, []
        return taken


class Audited(BareService):
    """Ann and Bob are of support, Joe is of sales; all have keys, and history is kept."""

    def __init__(self) -> None:
        plain = guarded()
        super().__init__(GROUPS, plain.clock, plain.engine, authenticator=plain.authenticator)
        self.audit = Entries()
        self.store = MemoryStore(self.clock)
        history = History(self.clock, 5, 3600.0)
        self.core = Core.of(self.store, self.clock, BOUND, GROUPS, rules=ClaimRules(), history=history)
        self.app = create_app(
            self.engine,
            self.core,
            callback_secret=Secret(SECRET),
            version="1",
            authenticator=self.authenticator,
            audit=self.audit,
            targets=FakeWebhooks(),
        )
        self.watch(ANN, BOB, JOE)
        self.engine.watching.add([ANN, BOB, JOE])
        self.read([presence(ANN, BUSY), presence(BOB), presence(JOE)])
        self.clock.advance(1)

    async def send(
        self, method: str, target: str, json_body: object = None, *, who: str = "root", **headers: str
    ) -> Answer:
        sent = bearer(who) | {name.replace("_", "-"): value for name, value in headers.items()}
        return await call(coming_from(ADDRESS, self.app), method, target, headers=sent, json_body=json_body)

    async def one(
        self, method: str, target: str, json_body: object = None, *, who: str = "root", **headers: str
    ) -> AuditEntry:
        """The one entry of a request."""
        answer = await self.send(method, target, json_body, who=who, **headers)
        assert answer.status < 300 or answer.status in {304, 409}, answer.body
        (entry,) = self.audit.taken()
        assert (entry.key, entry.address, entry.at) == (who, ADDRESS, self.clock.now())
        return entry


LOOKS: Final = {
    "/v1/presence": 3,
    "/v1/presence?limit=2": 2,
    "/v1/presence?group=sales&fields=state": 1,
    "/v1/presence?state=DND": 0,
    f"/v1/presence/{ANN}": 1,
    f"/v1/presence/{ANN}?explain=true": 1,
    f"/v1/presence/{ANN}?max_age=300": 1,
    f"/v1/presence/{ANN}/history": 1,
    "/v1/contacts": 3,
    "/v1/claims": 0,
    "/v1/webhooks": 2,
}
"""Requests, and how many contacts their answers show."""


@pytest.mark.parametrize("target", LOOKS)
async def test_a_look_is_recorded(target: str) -> None:
    entry = await Audited().one("GET", target)
    assert (entry.action, entry.asked, entry.shown) == (AuditAction.LOOK, f"GET {target}", LOOKS[target])
    assert entry.more == {"details": True}


@pytest.mark.parametrize("target", ["/v1/presence", f"/v1/presence/{ANN}"])
async def test_a_look_past_the_framework_is_recorded_alike(target: str) -> None:
    """The answers that are kept are sent by the hot lane, also where nothing has changed."""
    office = Audited()
    first = await office.one("GET", target)
    again = await office.one("GET", target)
    assert again == first
    tag = (await office.send("GET", target)).headers["etag"]
    office.audit.taken()
    unchanged = await office.one("GET", target, if_none_match=tag)
    assert unchanged.more == {"unchanged": True, "details": True}
    office.read([presence(BOB, BUSY)])
    office.audit.taken()
    assert (await office.one("GET", target)).more == {"details": True}


async def test_what_a_key_does_not_see_is_not_counted() -> None:
    """And a key without details is marked as such."""
    office = Audited()
    assert (await office.one("GET", "/v1/presence", who="sales")).shown == 1
    assert (await office.one("GET", "/v1/presence", who="board")).more == {"details": False}


async def test_a_table_is_a_look() -> None:
    assert (await Audited().one("GET", "/v1/presence", accept="text/csv")).shown == 3


async def test_a_long_poll_is_recorded_when_it_is_answered() -> None:
    """Once, however often it was woken; and not at all where the client has gone."""
    office = Audited()
    tag = (await office.send("GET", f"/v1/presence/{ANN}")).headers["etag"]
    office.audit.taken()
    headers = {**bearer("root"), "Prefer": "wait=60", "If-None-Match": tag}
    asking = Asking(office, f"/v1/presence/{ANN}", headers={name.lower(): value for name, value in headers.items()})
    gone = Asking(office, f"/v1/presence/{ANN}", headers={name.lower(): value for name, value in headers.items()})
    for _ in range(30):
        await asyncio.sleep(0)
    assert not office.audit.taken()
    gone.hang_up()
    await asyncio.gather(gone.task, return_exceptions=True)
    office.read([presence(ANN, AVAILABLE)])
    await asyncio.wait_for(asking.task, 30)
    (entry,) = office.audit.taken()
    assert (entry.action, entry.shown, entry.more) == (AuditAction.LOOK, 1, {"details": True})


async def test_a_stream_is_recorded_when_it_begins_and_when_it_ends() -> None:
    """With how many contacts it may show, and how long it lasted."""
    office = Audited()
    for target, shown in (("/v1/events", 3), ("/v1/events?group=support", 2)):
        async with Listener(office.app, target, authorization=bearer("root")["Authorization"]) as listener:
            await listener.take(1)
            (begun,) = office.audit.taken()
            office.clock.advance(90)
        (ended,) = office.audit.taken()
        assert (begun.action, begun.asked, begun.shown) == (AuditAction.STREAM_BEGUN, f"GET {target}", shown)
        assert (ended.action, ended.asked, ended.shown) == (AuditAction.STREAM_ENDED, f"GET {target}", shown)
        assert (ended.key, ended.more) == ("root", {"details": True, "seconds": 90})


async def test_a_claim_says_who_for_what_whom_and_why() -> None:
    office = Audited()
    body = {"group": "support", "count": 1, "for": "ticket 4711"}
    made = await office.one("POST", "/v1/claims", body, idempotency_key="once")
    claim = str(made.more["claim"])
    assert (made.action, made.shown) == (AuditAction.CLAIM_MADE, 2)
    assert made.more == {
        "details": True,
        "claim": claim,
        "group": "support",
        "for": "ticket 4711",
        "holder": "root",
        "contacts": [BOB],
        "pick": "longest-available",
        "passed_over": [{"contact": ANN, "reason": "is BUSY"}],
    }
    repeated = await office.one("POST", "/v1/claims", body, idempotency_key="once")
    assert (repeated.action, repeated.shown) == (AuditAction.LOOK, 1)
    refused = await office.one("POST", "/v1/claims", body)
    assert (refused.action, refused.shown, refused.more["free"]) == (AuditAction.CLAIM_REFUSED, 2, 0)
    assert refused.more["for"] == "ticket 4711"
    assert (await office.one("GET", "/v1/claims")).shown == 1
    assert (await office.one("GET", f"/v1/claims/{claim}")).shown == 1
    renewed = await office.one("POST", f"/v1/claims/{claim}/renew")
    released = await office.one("DELETE", f"/v1/claims/{claim}")
    for entry, action in ((renewed, AuditAction.CLAIM_RENEWED), (released, AuditAction.CLAIM_RELEASED)):
        assert (entry.action, entry.more["contacts"]) == (action, [BOB])


async def test_changes_of_an_admin_are_recorded() -> None:
    """Whom they are about."""
    office = Audited()
    many = [f"new{number:03}@example.com" for number in range(MOST_NAMED + 1)]
    added = await office.one("POST", "/v1/contacts", {"contacts": many})
    assert (added.action, added.more["count"], len(list(_contacts(added)))) == (
        AuditAction.CHANGE,
        len(many),
        MOST_NAMED,
    )
    removed = await office.one("DELETE", f"/v1/contacts/{many[0]}")
    assert (removed.asked, removed.more["contacts"]) == (f"DELETE /v1/contacts/{many[0]}", [many[0]])
    several = await office.one("DELETE", f"/v1/contacts?contact={ANN}&contact={BOB}")
    assert several.more["contacts"] == [ANN, BOB]
    refreshed = await office.one("POST", "/v1/refresh")
    assert refreshed.action is AuditAction.CHANGE
    moved = await office.one("POST", "/v1/failover", {"node": "imp2"})
    assert moved.more["node"]
    replayed = await office.one("POST", "/v1/webhooks/esb/replay", {"after": 44})
    assert replayed.action is AuditAction.CHANGE
    assert (replayed.more["webhook"], replayed.more["after"], replayed.more["queued"]) == ("esb", 44, 6)


def _contacts(entry: AuditEntry) -> Any:  # a list, as the entry has it
    return entry.more["contacts"]


async def test_what_is_refused_and_what_only_counts_is_not_recorded() -> None:
    office = Audited()
    for target in ("/v1/summary", "/v1/status", "/v1/trends", "/", "/openapi.json", "/livez", "/readyz"):
        assert (await office.send("GET", target)).status == 200, target
    assert (await office.send("GET", "/v1/presence/nobody@example.com")).status == 404
    assert (await office.send("GET", f"/v1/presence/{ANN}", who="claimer")).status == 403
    assert (await office.send("POST", "/v1/contacts", {"contacts": [ANN]}, who="reader")).status == 403
    assert not office.audit.taken()


async def test_every_route_has_its_place_here() -> None:
    """Those that show contacts, claim them or change something are recorded above; these are not."""
    described = (await Audited().get("/openapi.json")).json()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    recorded = {
        "GET /v1/presence",
        "GET /v1/presence/{contact}",
        "GET /v1/presence/{contact}/history",
        "GET /v1/events",
        "GET /v1/contacts",
        "POST /v1/contacts",
        "DELETE /v1/contacts",
        "DELETE /v1/contacts/{contact}",
        "GET /v1/claims",
        "POST /v1/claims",
        "GET /v1/claims/{id}",
        "DELETE /v1/claims/{id}",
        "POST /v1/claims/{id}/renew",
        "POST /v1/refresh",
        "POST /v1/failover",
        "GET /v1/webhooks",
        "POST /v1/webhooks/{name}/replay",
    }
    counts_alone = {"GET /v1/summary", "GET /v1/status", "GET /v1/trends", "GET /v1", "GET /livez", "GET /readyz"}
    assert routes <= recorded | counts_alone
    assert recorded <= routes


def test_a_long_request_is_cut() -> None:
    entries = Entries()
    scope = {"method": "GET", "path": "/v1/presence", "query_string": b"q=" + b"a" * 5000, "client": None}
    AuditTrail(entries, ManualClock()).look(scope, PEOPLE["root"], 1)
    (entry,) = entries.taken()
    assert (len(entry.asked), entry.address) == (2003, None)
    assert entry.asked.endswith("aaa...")
