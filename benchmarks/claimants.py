"""Claims while owners are killed: whether anybody is claimed twice or a claim is lost, and how long claims are refused.

Clients at all replicas claim one person at a time of one group, hold them for a moment and let go; some let the time
of the claim run out. A request that is not answered, or answered 503, is sent again with the same Idempotency-Key, to
the next replica. Meanwhile the owner is killed again and again. What was granted is held against each other
(`benchmarks/ledgers.py`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from benchmarks.ledgers import ClaimLedger
from benchmarks.replicas import Replica, Replicas
from benchmarks.truth import seconds

CLIENTS: Final = 8
LEASE: Final = 2.0
"""Seconds for which somebody is claimed. A claim that is not let go runs out before long."""
HELD: Final = 0.02
"""Seconds for which a client holds somebody on average."""
RUNS_OUT: Final = 0.02
"""The share of claims that nobody lets go."""
_AGAIN: Final = 0.05
"""Seconds before a request is sent again."""
_ANSWER: Final = 10.0


@dataclass
class Claimed:
    """What came of it."""

    ledger: ClaimLedger = field(default_factory=ClaimLedger)
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers by their status; `none` where none came."""
    kills: int = 0
    refused: list[float] = field(default_factory=list)
    """After each kill, the seconds until a claim was granted again."""
    seconds: float = 0.0
    took: list[float] = field(default_factory=list)
    """Seconds of each claim that was granted at the first try."""


class Claimants:
    """The clients. They go on until `wanted` claims were granted, and the last kill is over."""

    def __init__(self, replicas: Replicas, wanted: int, dice: random.Random) -> None:
        self.found = Claimed()
        self.granted = asyncio.Condition()
        self._replicas = replicas
        self._wanted = wanted
        self._dice = dice
        self._made = 0
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER), trust_env=False)

    async def run(self, kills: int, told: Callable[[str], None]) -> Claimed:
        """Claim, and kill the owner so many times, evenly over all claims."""
        began = time.monotonic()
        killing = asyncio.create_task(self._kill(kills, told))
        clients = [asyncio.create_task(self._client(number, killing)) for number in range(CLIENTS)]
        try:
            await asyncio.gather(*clients, killing)
        finally:
            for task in (*clients, killing):
                task.cancel()
            await asyncio.gather(*clients, killing, return_exceptions=True)
            await self._http.close()
        self.found.seconds = time.monotonic() - began
        return self.found

    async def _kill(self, kills: int, told: Callable[[str], None]) -> None:
        for number in range(kills):
            due = self._wanted * (number + 0.5) / kills
            async with self.granted:
                await self.granted.wait_for(lambda due=due: self.found.ledger.granted >= due)  # type: ignore[misc]
            await self._replicas.well()
            owner = await self._replicas.owner()
            if owner is None:
                continue
            await owner.kill()
            died, before = time.monotonic(), self.found.ledger.granted
            self.found.kills += 1
            async with self.granted:
                await self.granted.wait_for(lambda before=before: self.found.ledger.granted > before + 1)  # type: ignore[misc]
            # Two, since the answer to one may have been on its way when the owner died.
            self.found.refused.append(time.monotonic() - died)
            told(f"kill {number + 1}: {before} claims so far, again after {self.found.refused[-1]:.2f} s")
            await owner.start()

    async def _client(self, number: int, killing: asyncio.Task[None]) -> None:
        """One client, at one replica after the other, until there are enough claims and kills."""
        place = number
        while self.found.ledger.granted < self._wanted or not killing.done():
            self._made += 1
            key = f"task-{self._made}"
            place = await self._claim(place, key)

    async def _claim(self, place: int, key: str) -> int:
        """One claim, from the request to its end; the place of the replica that answered."""
        body = {"group": "support", "lease_seconds": LEASE, "for": key}
        ledger = self.found.ledger
        is_first = True
        while True:
            asked = time.monotonic()
            status, told = await self._ask(place, "POST", "/v1/claims", body, {"Idempotency-Key": key})
            if status == 201:
                break
            if status == 409:  # nobody is free, or the first request under the key is still being worked on
                await asyncio.sleep(_AGAIN)
            elif status in {0, 503}:
                place += 1
                await asyncio.sleep(_AGAIN)
            else:
                raise RuntimeError(f"a claim was answered {status}: {told}")
            is_first = False
        if is_first:
            self.found.took.append(time.monotonic() - asked)
        claim: str = told["id"]
        contacts = [each["contact"] for each in told["contacts"]]
        ledger.made(key, claim, contacts, time.time(), seconds(told["expires_at"]))
        async with self.granted:
            self.granted.notify_all()
        if self._dice.random() < RUNS_OUT:
            return place
        await asyncio.sleep(HELD * 2 * self._dice.random())
        if self._dice.random() < RUNS_OUT:  # the answer was lost, as the client sees it, and it asks again
            status, told = await self._ask(place + 1, "POST", "/v1/claims", body, {"Idempotency-Key": key})
            if status == 201:
                contacts = [each["contact"] for each in told["contacts"]]
                ledger.made(key, told["id"], contacts, time.time(), seconds(told["expires_at"]))
        ledger.letting_go(claim, time.time())
        for place_of_try in range(place, place + 3):
            status, _ = await self._ask(place_of_try, "DELETE", f"/v1/claims/{claim}")
            ledger.let_go(claim, status, time.time())
            if status in {204, 404}:
                return place_of_try
            ledger.unanswered(claim)
            await asyncio.sleep(_AGAIN)
        return place  # it runs out

    async def _ask(
        self, place: int, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:  # Any: JSON
        """The status and what was said; 0 where no answer came."""
        replicas: Sequence[Replica] = self._replicas.all
        url = replicas[place % len(replicas)].url + path
        try:
            async with self._http.request(method, url, json=body, headers=headers) as answer:
                told = await answer.json() if answer.status != 204 else None
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            self.found.statuses["none"] += 1
            return 0, None
        self.found.statuses[str(answer.status)] += 1
        return answer.status, told
