"""Many claimants at once, over real HTTP: nobody is held twice, nobody is claimed who was not free, nobody starves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from tests.support.branch import AVAILABLE, BUSY
from tests.support.busy_branch import SPEED, BusyOffice

TWENTY = tuple(f"p{number:02}" for number in range(20))
FIFTY = range(50)
LEASES = (3600, 3600, 3)
"""Seconds of the office's clock, of those who renew and let go, who let go, and who forget."""
KEEPS = 1
"""The claimant that keeps its people until one of those held has become unavailable."""


@dataclass
class Reader:
    """Follows the events as any consumer does, and checks every claim against what was said before it."""

    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    made: int = 0
    snapshots: int = 0
    names: set[str] = field(default_factory=set)
    last: int = 0

    async def follow(self, session: aiohttp.ClientSession, url: str, began: asyncio.Event) -> None:
        async with session.get(f"{url}/v1/events", timeout=aiohttp.ClientTimeout(total=None)) as answer:
            name = ""
            async for line in answer.content:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self.take(name, json.loads(line[6:]))
                    began.set()

    def take(self, name: str, data: dict[str, Any]) -> None:
        self.names.add(name)
        if name == "snapshot":
            self.snapshots += 1
            self.contacts = {each["contact"]: each for each in data["contacts"]}
            return
        if name == "change":
            self.contacts[data["contact"]] = data
            return
        self.check(data["revision"] > self.last, f"out of order: {data['revision']}")
        self.last = data["revision"]
        if not name.startswith("claim."):
            return
        claim = data["claim"]
        for item in claim["contacts"]:
            contact = item["contact"]
            if name == "claim.made":
                before = self.contacts[contact]
                self.made += 1
                self.check(contact not in self.held, f"{contact} has two holders")
                # "claimed" is said of those who would be free; the end of the claim before was told of, see above.
                is_free = before["available"] or before["reason"] == "claimed"
                self.check(is_free and before["freshness"] == "live", f"{contact} was {before['reason']}")
                self.held[contact] = claim["id"]
            elif name in {"claim.released", "claim.expired"}:
                self.check(self.held.pop(contact, None) == claim["id"], f"{contact} was not held by {claim['id']}")
        if name == "claim.expired":
            late = (datetime.fromisoformat(data["at"]) - datetime.fromisoformat(claim["expires_at"])).total_seconds()
            self.check(late >= -0.001, f"expired {-late} s early")

    def check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)


async def claimant(session: aiohttp.ClientSession, url: str, office: BusyOffice, reader: Reader, number: int) -> int:
    """Asks until it has somebody; then lets go, keeps them for a while longer, or just forgets about them.

    Only what is forgotten has a short lease. One keeps its people until somebody who is held became unavailable.
    """
    headers = {"Prefer": "wait=60", "Idempotency-Key": f"task-{number}"}
    body = {
        "group": "all",
        "count": 1 + (number % 10 == 0) * 2,
        "lease_seconds": LEASES[number % 3],
        "for": f"t{number}",
    }
    while True:
        async with session.post(f"{url}/v1/claims", json=body, headers=headers) as answer:
            claim = await answer.json(content_type=None)
            assert answer.status in {201, 409}, claim
            if answer.status == 201:
                break
    async with session.post(f"{url}/v1/claims", json=body, headers=headers) as again:
        assert again.headers["Idempotency-Replayed"] == "true"
        assert (await again.json())["id"] == claim["id"]
    place = f"{url}/v1/claims/{claim['id']}"
    if number % 3 == 0:
        async with session.post(f"{place}/renew", json={"lease_seconds": 3600}) as renewed:
            assert renewed.status == 200
    if number % 3 < 2:
        while number == KEEPS and "claim.unavailable" not in reader.names:
            await office.clock.sleep(0.5)
        await office.clock.sleep(number % 7 / 5)
        async with session.delete(place) as released:
            assert released.status == 204
    return len(claim["contacts"])


async def test_fifty_claimants_and_twenty_people() -> None:
    """While presence changes at random and leases expire; the checker reads what the service says of itself."""
    office, reader = BusyOffice({"all": TWENTY}, seed=1), Reader()
    for name in TWENTY[4:]:
        office.put(name, BUSY)
    async with office.open() as url, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began = asyncio.Event()
        reading = asyncio.create_task(reader.follow(session, url, began))
        await began.wait()
        changing = asyncio.create_task(office.changes())
        async with asyncio.timeout(60):
            got = await asyncio.gather(*(claimant(session, url, office, reader, number) for number in FIFTY))
            assert sum(got) == 60
            while office.core.claim_service.leases() or reader.held:
                await office.clock.sleep(0.5)
        for task in (changing, reading):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    assert (office.wrong, reader.wrong) == ([], [])
    assert (reader.made, reader.snapshots) == (60, 1)
    assert {"claim.made", "claim.released", "claim.expired", "claim.renewed", "claim.unavailable"} <= reader.names


async def ask_and_hang_up(office: BusyOffice, hang_up: asyncio.Event) -> str | None:
    """A request on a bare connection, broken off as soon as it is said; the id of the claim if it was answered."""
    incoming, outgoing = await asyncio.open_connection("127.0.0.1", office.port)
    body = b'{"group": "all", "lease_seconds": 40}'
    outgoing.write(
        b"POST /v1/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nPrefer: wait=300\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    hanging_up = asyncio.create_task(hang_up.wait())
    answering = asyncio.create_task(answered(incoming))
    try:
        await asyncio.wait((hanging_up, answering), return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else None
    finally:
        outgoing.transport.abort()
        for task in (hanging_up, answering):
            task.cancel()
        await asyncio.gather(hanging_up, answering, return_exceptions=True)


async def answered(incoming: asyncio.StreamReader) -> str:
    """The id of a claim, once it is there."""
    head = await incoming.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return str(json.loads(await incoming.readexactly(length))["id"])


async def ask_for_a_while(office: BusyOffice, seconds: float) -> str | None:
    """The same, broken off after so many seconds of the office's clock."""
    hang_up = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds / SPEED, hang_up.set)
    return await ask_and_hang_up(office, hang_up)


async def test_claimants_that_hang_up_hold_nobody() -> None:
    """Those who vanish while they wait are out of the queue; at most a lease later everybody is free again."""
    office = BusyOffice({"all": TWENTY[:5]}, seed=2)
    for name in office.people:
        office.put(name, BUSY)
    async with office.open():
        claim_service = office.core.claim_service

        def waiting() -> int:
            return claim_service.waiting

        hang_up = asyncio.Event()
        hanging_up = [asyncio.create_task(ask_and_hang_up(office, hang_up)) for _ in range(20)]
        async with asyncio.timeout(60):
            while waiting() < len(hanging_up):  # no event tells of it
                await office.clock.sleep(0.1)
            hang_up.set()
            assert await asyncio.gather(*hanging_up) == [None] * 20
            while waiting():
                await office.clock.sleep(0.1)
        office.put(TWENTY[0], AVAILABLE)
        await office.clock.sleep(1)
        assert not claim_service.leases()
        patience = [office.random.uniform(2, 12) for _ in FIFTY]
        asking = [asyncio.create_task(ask_for_a_while(office, each)) for each in patience]
        changing = asyncio.create_task(office.changes())
        await asyncio.gather(*asking)
        changing.cancel()
        async with asyncio.timeout(60):
            while waiting():
                await office.clock.sleep(0.2)
            # One who hung up in the moment of the answer is beyond anybody's knowing: that is what a lease is for.
            while claim_service.leases():
                await office.clock.sleep(1)
        for name in office.people:
            office.put(name, AVAILABLE)
        assert await ask_and_hang_up(office, asyncio.Event()) is not None
    assert office.wrong == []


async def test_who_waits_for_more_than_there_are_does_not_starve_another_group() -> None:
    """Two wait for three people of whom one never comes; fifty claims of the other group are all served meanwhile."""
    office = BusyOffice(
        {"support": ("ann", "bob", "zoe"), "sales": ("ann",)}, speed=4.0
    )  # they wait for more than a minute
    office.put("zoe", BUSY)
    wait = {"Prefer": "wait=300"}
    async with office.open() as url, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def claim(group: str, count: int) -> tuple[int, dict[str, Any]]:
            body = {"group": group, "count": count, "lease_seconds": 3600}
            async with session.post(f"{url}/v1/claims", json=body, headers=wait) as answer:
                return answer.status, await answer.json(content_type=None)

        vain = [asyncio.create_task(claim("support", 3)) for _ in range(2)]
        while office.core.claim_service.waiting < 2:
            await office.clock.sleep(0.1)
        async with asyncio.timeout(60):
            for _ in FIFTY:
                status, made = await claim("sales", 1)
                assert status == 201, made
                assert [each["contact"] for each in made["contacts"]] == ["ann@example.com"]
                async with session.delete(f"{url}/v1/claims/{made['id']}") as released:
                    assert released.status == 204
            office.put("zoe", AVAILABLE)
            assert (await vain[0])[0] == 201
            vain[1].cancel()
            await asyncio.wait(vain)
    assert office.wrong == []
