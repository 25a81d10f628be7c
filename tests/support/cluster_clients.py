"""Clients of several replicas behind a load balancer: claims that are repeated, streams that go on elsewhere, pages."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any, Final

from starlette.types import Message

from tests.support.asgi import Answer
from tests.support.peers import Client
from tests.support.virtual_cluster import GROUP, Answered, VirtualCluster, json_client

TRIES: Final = 5
_keys = itertools.count(1)


async def ask(cluster: VirtualCluster, client: Client, patience: float = 30.0) -> Answer | None:
    """Ask any replica; None: no answer came, or the client hung up. What was asked may have been done."""
    process = cluster.any_process()
    if process is None:
        return None
    asking = asyncio.ensure_future(process.answer(client))
    try:
        await asyncio.wait({asking}, timeout=patience)
        return asking.result() if asking.done() else None
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def claim(cluster: VirtualCluster, seconds: float, wait: int | None, patience: float, count: int = 1) -> None:
    """Claim people with a key. Where no answer came, or nobody owned, the same is asked again, at any replica."""
    headers = {"idempotency-key": f"key {next(_keys)}"}
    if wait is not None:
        headers["prefer"] = f"wait={wait}"
    body = {"group": GROUP, "count": count, "lease_seconds": seconds}
    began, first = cluster.loop.time(), None
    for _ in range(TRIES):
        answer = await ask(cluster, json_client("POST", "/v1/claims", body, headers), patience)
        if answer is not None and answer.status == 409 and b"request-in-progress" not in answer.body:
            return
        found = cluster.claimed(answer, began, seconds)
        if found is None:
            assert answer is None or answer.status in {409, 503}, answer
            await asyncio.sleep(cluster.dice.choice((0.0, 0.3, 2.0)))
            continue
        if first is not None:
            is_promised = first.until > cluster.loop.time() and first.id in cluster.claims and not first.has_lost_key
            assert found.id == first.id or not is_promised, f"one key has two claims: {first}, {found}"
            cluster.done["claims repeated"] += 1
        first = found
        if cluster.dice.random() < 0.7:
            return
        await asyncio.sleep(cluster.dice.choice((0.0, 1.0, 5.0)))  # it has forgotten that it was answered


async def renew(cluster: VirtualCluster, claim: Answered, seconds: float) -> None:
    """Have a claim last so long from now on; it may be shorter than before."""
    began = cluster.loop.time()
    before, claim.until = claim.until, min(claim.until, began + seconds)
    answer = await ask(cluster, json_client("POST", f"/v1/claims/{claim.id}/renew", {"lease_seconds": seconds}))
    if answer is None or answer.status == 503:
        return
    if answer.status == 404:
        is_promised = claim.id in cluster.claims and min(before, claim.until) > cluster.loop.time()
        assert not is_promised, f"{claim} is unknown to the owner"
        return
    assert answer.status == 200, answer
    claim.until, claim.answered = began + seconds, cluster.loop.time()
    cluster.done["claims renewed"] += 1


async def release(cluster: VirtualCluster, claim: Answered) -> None:
    """Let go of a claim; from the moment of asking it may be given to others."""
    cluster.lets_go(claim.id)
    answer = await ask(cluster, Client("DELETE", f"/v1/claims/{claim.id}"))
    assert answer is None or answer.status in {204, 404, 503}, answer


async def read_now(cluster: VirtualCluster, contact: str) -> None:
    """A contact as the server says now."""
    began = cluster.loop.time()
    answer = await ask(cluster, Client("GET", f"/v1/presence/{contact}?max_age=0"))
    if answer is None or answer.status != 200:
        assert answer is None or answer.status in {404, 503}, answer
        return
    said = answer.json()
    if said["freshness"] == "live" and "fwd=stale" in answer.headers.get("cache-status", ""):
        held = cluster._held(contact, began)
        assert said["state"] in held, f"{said} was read, and it was {held}"
        cluster.done["contacts read now"] += 1


async def walk(cluster: VirtualCluster, sort: str) -> None:
    """All pages, each at any replica. None is missing and none comes twice, or a page is refused."""
    found: list[str] = []
    target = f"/v1/presence?limit=2&sort={sort}"
    more = ""
    while True:
        answer = await ask(cluster, Client("GET", target + more))
        if answer is None or answer.status in {410, 503}:
            return
        assert answer.status == 200, answer
        page = answer.json()
        found += [contact["contact"] for contact in page["contacts"]]
        assert len(found) == len(set(found)), f"{found}, by {sort}"
        if page["next_cursor"] is None:
            break
        more = f"&cursor={page['next_cursor']}"
        await asyncio.sleep(0.1)
    cluster.done["walks"] += 1


async def watch(cluster: VirtualCluster, contact: str, wanted: dict[str, bool | None], *, add: bool) -> None:
    """Add a contact, or take it out. What was answered counts; `wanted` is what all must know in the end."""
    wanted[contact] = None
    if add:
        answer = await ask(cluster, json_client("POST", "/v1/contacts", {"contacts": [contact]}))
    else:
        answer = await ask(cluster, Client("DELETE", f"/v1/contacts?contact={contact}"))
    if answer is not None and answer.status in {200, 204}:
        wanted[contact] = add
    else:
        assert answer is None or answer.status in {404, 503}, answer


class Stream:
    """A client that follows all that happens, and goes on at another replica when its stream ends."""

    def __init__(self, cluster: VirtualCluster, number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.last_id: str | None = None
        self.place = 0
        """The id up to which it knows everything."""
        self.is_after_snapshot = True
        self.known: dict[str, dict[str, Any]] = {}
        """By contact, what was told last."""
        self.resumes = False
        """Whether what comes next follows what came last."""
        self._client: Client | None = None
        self._left = b""

    def hang_up(self) -> None:
        """The connection breaks."""
        if self._client is not None:
            self._client.hang_up()

    async def run(self) -> None:
        """For ever."""
        cluster = self.cluster
        while True:
            process = cluster.any_process()
            if process is not None:
                headers = {} if self.last_id is None else {"last-event-id": self.last_id}
                client = self._client = _StreamClient("GET", "/v1/events", headers, taken=self._take)
                self.resumes, self._left, self.process = self.last_id is not None, b"", process
                answer = await process.answer(client)
                assert answer is None or answer.status in {200, 503}, answer
            await asyncio.sleep(cluster.dice.choice((0.05, 0.5, 1.5)))

    def _take(self, piece: bytes) -> None:
        *whole, self._left = (self._left + piece).split(b"\n\n")
        for block in whole:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            if b"event" in fields:
                self._took(fields[b"event"].decode(), fields[b"id"].decode(), fields[b"data"])

    def _took(self, name: str, id: str, data: bytes) -> None:  # noqa: A002  # the event's own word
        cluster = self.cluster
        if name == "snapshot":
            said = json.loads(data)
            reasons = {"start"} if self.last_id is None else {"not-kept", "behind"}
            assert said["reason"] in reasons, said["reason"]
            cluster.done[f"snapshots: {said['reason']}"] += 1
            self.known = {contact["contact"]: contact for contact in said["contacts"]}
            self.is_after_snapshot = True
        else:
            cluster.note(self.process)
            revision = int(id)
            told = cluster.told[revision]
            assert told.shown is not None
            assert (name, data) == told.shown, f"stream {self.number} got {name} {data!r}, and {told} was told"
            before = cluster.visible_before(revision, self.place)
            is_next = before <= self.place if self.is_after_snapshot else before == self.place
            assert is_next, f"stream {self.number} knows {self.place}, and gets {id}, which follows {before}"
            self.is_after_snapshot = False
            cluster.done["events in streams"] += 1
            if self.resumes:
                cluster.done["resumed exactly"] += 1
            if told.key is not None:
                self._learn(name, told.key, data)
        self.resumes = False
        self.last_id, self.place = id, int(id)

    def _learn(self, name: str, key: str, data: bytes) -> None:
        if name == "removed":
            self.known.pop(key, None)
        else:
            self.known[key] = json.loads(data)

    def wrong(self) -> list[str]:
        """What this client does not know as it is."""
        found = []
        for contact in self.cluster.contacts:
            said = self.known.get(contact)
            true = self.cluster.truth[contact][-1][1]
            if said is None or said["state"] != true or said["freshness"] != "live":
                found.append(f"stream {self.number} at {self.place}: {contact} is {true}, told {said}")
        return found


class _StreamClient(Client):
    def __init__(self, *arguments: Any, taken: Any) -> None:
        super().__init__(*arguments)
        self._taken = taken

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await super().send(message)
        elif self.sent[0]["status"] == 200:
            self._taken(message["body"])
        else:
            await super().send(message)
