"""The HTTP API of three replicas: what a client gets wherever it asks, and from the next owner."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from pws_soap.simulator import State
from service.access.audit import AuditAction
from tests.support.asgi import Answer
from tests.support.peers import Client
from tests.support.virtual_api import VirtualApis, replica_apis
from tests.support.virtual_office import names
from tests.support.virtual_time import run

CONTACTS = names(6)
STATES = (State.AVAILABLE, State.BUSY, State.AWAY, State.DND)


def claims_of(apis: VirtualApis, name: str) -> list[str]:
    return [lease.id for lease in apis.cluster.processes[name].core.claim_service.leases()]


def test_a_request_repeated_anywhere_gets_the_same_answer() -> None:
    """At every replica, and at the heir after the owner's death; nobody else is claimed."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            first = await apis.claim(apis.followers[0], "one")
            assert first.status == 201
            assert "idempotency-replayed" not in first.headers
            await same_everywhere(apis, first)
            await apis.kill(apis.owner)
            await apis.wait_for_an_owner()
            await same_everywhere(apis, first)
            claim = first.json()["id"]
            assert claims_of(apis, apis.owner) == [claim]
            other = await apis.ask(
                apis.followers[0],
                "POST",
                "/v1/claims",
                headers={"content-type": "application/json", "idempotency-key": "one"},
                body=b'{"group":"support","count":2}',
            )
            assert other.status == 422  # the key is that of another request
            assert (await apis.ask(apis.followers[0], "DELETE", f"/v1/claims/{claim}")).status == 204
            await same_everywhere(apis, first)
            assert not claims_of(apis, apis.owner)

    run(story())


async def same_everywhere(apis: VirtualApis, first: Answer) -> None:
    """Each replica answers the request with the key "one" again as the first one did."""
    for name in apis.cluster.processes:
        again = await apis.claim(name, "one")
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]


@pytest.mark.parametrize("is_over", [False, True])
def test_an_answer_that_the_engine_has_lost_is_written_again(*, is_over: bool) -> None:
    """The owner outlives the loss of all data, and dies later: the next one gives the same answer, whether the claim
    lives or is over."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            first = await apis.claim(apis.followers[0], "one")
            assert first.status == 201
            await apis.cluster.pass_time(1.0)  # the others know the claim as well
            claim, owner = first.json()["id"], apis.owner
            if is_over:
                assert (await apis.ask(owner, "DELETE", f"/v1/claims/{claim}")).status == 204
            apis.cluster.server.rewind()
            await apis.cluster.pass_time(3.0)
            assert apis.owner == owner
            await apis.kill(owner)
            await apis.wait_for_an_owner()
            await same_everywhere(apis, first)
            assert claims_of(apis, apis.owner) == [claim] * (not is_over)

    run(story())


@pytest.mark.parametrize("waits", [False, True])
def test_the_owner_dies_at_any_moment_of_a_claim(*, waits: bool) -> None:
    """Its client repeats the request with its key: it has one claim in the end, whatever had been done."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            for _ in CONTACTS[1:]:
                assert (await apis.claim(apis.owner, seconds=3600)).status == 201
            (free,) = {*CONTACTS} - held(apis)
            outcomes = set()
            for step in range(6):
                if waits:
                    apis.cluster.change(free, State.BUSY)
                    await apis.cluster.pass_time(1.0)
                owner, asked, key = apis.owner, apis.followers[0], f"step {step}"
                apis.cluster.processes[owner].engine.delay = 0.005
                asking = asyncio.create_task(apis.claim(asked, key, wait=60 if waits else None))
                if waits:
                    await apis.cluster.pass_time(0.5)
                    apis.cluster.change(free, State.AVAILABLE)
                    while len(claims_of(apis, owner)) < len(CONTACTS):
                        await apis.cluster.pass_time(0.001)
                await asyncio.sleep(step * 0.006)
                await apis.kill(owner)
                first = await apis.until(asking)
                await apis.wait_for_an_owner()
                outcomes.add((first.status, len(claims_of(apis, apis.owner))))
                answer = await apis.claim_until_answered(asked, key)
                assert answer.status == 201
                assert first.status == 503 or answer.body == first.body
                assert answer.json()["id"] in claims_of(apis, apis.owner)
                assert len(claims_of(apis, apis.owner)) == len(CONTACTS)
                await apis.ask(asked, "DELETE", f"/v1/claims/{answer.json()['id']}")
                apis.start(owner)
                await apis.wait_for_an_owner()
            assert outcomes == {(503, len(CONTACTS) - 1), (503, len(CONTACTS)), (201, len(CONTACTS))}

    def held(apis: VirtualApis) -> set[str]:
        leases = apis.cluster.processes[apis.owner].core.claim_service.leases()
        return {person.contact for lease in leases for person in lease.people}

    run(story())


def test_pages_in_a_kept_order_at_every_replica() -> None:
    """No matter who is asked for the next page; when the one that keeps the order has gone, the client is told so."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            for number, contact in enumerate(CONTACTS):
                apis.cluster.change(contact, STATES[number % len(STATES)])
            await apis.cluster.pass_time(1.0)
            for begins in apis.cluster.processes:
                seen: list[str] = []
                target, at = "/v1/presence?sort=state&limit=1", begins
                order = list(apis.cluster.processes)
                while True:
                    page = (await apis.ask(at, "GET", target)).json()
                    seen += [each["contact"] for each in page["contacts"]]
                    if page["next_cursor"] is None:
                        break
                    target = f"/v1/presence?sort=state&limit=1&cursor={page['next_cursor']}"
                    at = order[(order.index(at) + 1) % len(order)]
                assert sorted(seen) == sorted(CONTACTS)
            keeper, asked = apis.followers
            page = await apis.ask(keeper, "GET", "/v1/presence?sort=-state&limit=2")
            cursor = page.json()["next_cursor"]
            await apis.kill(keeper)
            expired = await apis.ask(asked, "GET", f"/v1/presence?sort=-state&limit=2&cursor={cursor}")
            assert expired.status == 410
            assert expired.json()["type"] == "/problems/cursor-expired"
            assert "without a cursor" in expired.json()["detail"]
            page = await apis.ask(asked, "GET", "/v1/presence?limit=2")
            target = f"/v1/presence?limit=2&cursor={page.json()['next_cursor']}"
            pages = [(await apis.ask(name, "GET", target)).json()["contacts"] for name in apis.cluster.processes]
            assert [each["contact"] for each in pages[0]] == [each["contact"] for each in pages[1]]

    run(story())


def test_what_a_client_has_already() -> None:
    """304 for the very same bytes alone, no matter who gave them."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            chance = random.Random(3)  # noqa: S311
            targets = ("/v1/presence", f"/v1/presence/{CONTACTS[0]}", "/v1/summary", "/v1/presence?sort=state&limit=2")
            same = 0
            for _ in range(8):
                apis.cluster.change(chance.choice(CONTACTS), chance.choice(STATES))
                await apis.cluster.pass_time(chance.choice((0.0, 0.002, 1.0)), 0.001)
                for target in targets:
                    got = {name: await apis.ask(name, "GET", target) for name in apis.cluster.processes}
                    for name in got:
                        for given in got.values():
                            now = await apis.ask(name, "GET", target)
                            tagged = await apis.ask(
                                name, "GET", target, headers={"if-none-match": given.headers["etag"]}
                            )
                            assert (tagged.status == 304) is (now.body == given.body)
                            same += tagged.status == 304 and given is not got[name]
            assert same

    run(story())


def test_kept_answers_of_a_replica_that_follows() -> None:
    """They are what would be said now, through joins, deaths and the loss of the engine's data."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            chance = random.Random(5)  # noqa: S311
            for step in range(30):
                match step % 15:
                    case 5:
                        killed = apis.owner
                        await apis.kill(killed)
                        await compared(apis)
                        apis.start(killed)
                    case 10:
                        apis.cluster.server.rewind()
                    case 13 if apis.cluster.owner is not None:
                        await apis.claim(apis.owner, seconds=5)
                    case _:
                        apis.cluster.change(chance.choice(CONTACTS), chance.choice(STATES))
                await apis.cluster.pass_time(chance.choice((0.01, 0.3, 2.0)))
                await compared(apis)

    async def compared(apis: VirtualApis) -> None:
        for name in apis.cluster.processes:
            for target in ("/v1/presence", f"/v1/presence/{CONTACTS[0]}", "/v1/summary"):
                kept = await apis.ask(name, "GET", target)
                made = await apis.ask(name, "GET", target, headers={"origin": "http://127.0.0.1:8080"})
                assert kept.body == made.body

    run(story())


def test_who_asked_is_known_at_the_owner() -> None:
    """Its audit names the client, once; so does that of the replica which gives a page."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            asked = apis.followers[0]
            body = b'{"group":"support"}'
            headers = {"content-type": "application/json"}
            await apis.ask(asked, "POST", "/v1/claims", headers=headers, body=body, client="198.51.100.7")
            made = [entry for entry in apis.audits[apis.owner].entries if entry.action is AuditAction.CLAIM_MADE]
            assert [(entry.address, entry.asked) for entry in made] == [("198.51.100.7", "POST /v1/claims")]
            assert not apis.audits[asked].entries

    run(story())


def test_contacts_are_changed_at_any_replica() -> None:
    """Also one with a name that has to be escaped; and all replicas list the same."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            one, other = apis.followers
            new = "d/e+f@example.com"
            apis.cluster.simulator.change(new, state=State.AVAILABLE)
            apis.cluster.truth[new] = [(0.0, "AVAILABLE")]
            headers = {"content-type": "application/json"}
            body = json.dumps({"contacts": [new]}).encode()
            added = await apis.ask(one, "POST", "/v1/contacts", headers=headers, body=body)
            assert added.json() == {"added": [new], "known": []}
            apis.cluster.contacts = (*CONTACTS, new)
            await apis.wait_for_an_owner()
            lists = [(await apis.ask(name, "GET", "/v1/contacts")).json() for name in apis.cluster.processes]
            assert lists[0] == lists[1] == lists[2]
            assert {each["contact"]: each["configured"] for each in lists[0]["contacts"]}[new] is False
            await apis.cluster.pass_time(2.0)
            read = await apis.ask(other, "GET", "/v1/presence/d%2Fe%2Bf@example.com?max_age=0")
            assert read.headers["cache-status"] == "pws-presence; fwd=stale"
            removed = await apis.ask(other, "DELETE", "/v1/contacts/d%2Fe%2Bf@example.com")
            assert removed.status == 204
            assert (await apis.ask(one, "DELETE", "/v1/contacts/d%2Fe%2Bf@example.com")).status == 404

    run(story())


def test_nobody_owns() -> None:
    """What only the owner can do is refused with a moment to come back; what is known is told."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            apis.cluster.server.up = False
            await apis.cluster.pass_time(10.0)
            for name in apis.cluster.processes:
                refused = await apis.claim(name)
                assert (refused.status, refused.json()["type"]) == (503, "/problems/no-owner")
                assert refused.headers["retry-after"] == "3"
                shown = await apis.ask(name, "GET", f"/v1/presence/{CONTACTS[0]}?max_age=0")
                assert shown.status == 200

    run(story())


def test_claims_are_listed_everywhere_with_a_beginning_that_is_true() -> None:
    """None of those that are listed is older, although replicas begin later than claims."""

    async def story() -> None:
        async with replica_apis(CONTACTS, 2) as apis:
            await apis.cluster.pass_time(5.0)
            await apis.claim("a")
            await apis.cluster.pass_time(5.0)
            apis.start("c")
            await apis.wait_for_an_owner()
            for name in apis.cluster.processes:
                listed = (await apis.ask(name, "GET", "/v1/claims")).json()
                assert [each["made_at"] for each in listed["claims"]]
                assert listed["since"] <= listed["claims"][0]["made_at"]

    run(story())


def test_a_long_poll_goes_from_replica_to_replica() -> None:
    """With the tag of one it waits at another, and is told of the next change alone."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            target = f"/v1/presence/{CONTACTS[0]}?fields=contact,state"
            tag = (await apis.ask(apis.owner, "GET", target)).headers["etag"]
            for number, name in enumerate([*apis.followers, apis.owner]):
                wanted = STATES[1 + number]
                headers = {"if-none-match": tag, "prefer": "wait=60"}
                asking = asyncio.create_task(apis.ask(name, "GET", target, headers=headers))
                await apis.cluster.pass_time(5.0)
                assert not asking.done()
                apis.cluster.change(CONTACTS[0], wanted)
                answer = await apis.until(asking)
                assert (answer.status, answer.json()["state"]) == (200, str(wanted))
                tag = answer.headers["etag"]

    run(story())


def test_a_client_that_is_ahead_of_a_replica() -> None:
    """What it knows from the owner is not known here yet: it is waited for, and nothing comes twice."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            owner = apis.cluster.processes[apis.owner]
            name = apis.followers[0]
            log = apis.cluster.processes[name].core.log
            before = owner.core.log.last
            apis.cluster.change(CONTACTS[0], State.DND)
            await owner.core.log.wait_for_event(before)
            assert log.last == before
            client = Client("GET", "/v1/events", {"last-event-id": str(owner.core.log.last)})
            streaming = asyncio.create_task(client.ask(apis.programs[f"http://{name}"]))
            await apis.cluster.pass_time(2.0)
            apis.cluster.change(CONTACTS[1], State.DND)
            await apis.cluster.pass_time(2.0)
            client.hang_up()
            await streaming
            said = b"".join(message.get("body", b"") for message in client.sent[1:]).decode()
            assert "event: snapshot" not in said
            assert said.count("event: change") == 1

    run(story())


def test_a_hang_up_reaches_the_owner() -> None:
    """A claim that waits at the owner waits no longer when its client, at a follower, has gone."""

    async def story() -> None:
        async with replica_apis(CONTACTS) as apis:
            for _ in CONTACTS:
                await apis.claim(apis.owner, seconds=600)
            headers = {"content-type": "application/json", "prefer": "wait=300"}
            client = Client("POST", "/v1/claims", headers, b'{"group":"support"}')
            asking = asyncio.create_task(client.ask(apis.programs[f"http://{apis.followers[0]}"]))
            service = apis.cluster.processes[apis.owner].core.claim_service
            await apis.cluster.pass_time(1.0)
            assert service.waiting == 1
            client.hang_up()
            assert await asking is None
            assert not service.waiting

    run(story())
