"""Fail-overs by their cause: what is broken, how long until one owner, how long until everybody is live everywhere.

Somebody changes a random contact about four times a second. At each replica somebody asks for all contacts about eight
times a second, and each answer is held against the record of all changes (`benchmarks/truth.py`). Three clients follow
the stream of events; one whose stream ends goes on at the next replica that takes it, with the id of its last event.
What they were told is held against each other (`benchmarks/ledgers.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from benchmarks.ledgers import EventLedger, Told
from benchmarks.office import BETWEEN_CHANGES, SAFETY, STATES
from benchmarks.replicas import NEVER, Replica, Replicas, agreed, until_so
from benchmarks.truth import Truth, seconds
from service.core.presence.freshness import default_bound

STOPPED: Final = 5.0
"""Seconds for which a process is stopped where that alone is no fail-over, or a way is cut: longer than a lease."""
BETWEEN_ANSWERS: Final = 0.12
BETWEEN_LOOKS: Final = 0.04
"""Seconds between two looks at who owns: so fine is what is measured."""
KEEPS: Final = 2.0 * default_bound(SAFETY)
"""Seconds for which changes are remembered that are over."""
AGREE: Final = 60.0
"""Seconds after which a client of the stream has to know the last state of everybody."""


@dataclass
class Round:
    """One fault. Seconds from its begin, or from its end where that is what `Cause` says."""

    owner: float
    """Until the last look at which there was not exactly one owner that all named."""
    live: float
    """Until all replicas that could answer had called everybody live as of a later moment."""
    stale: float
    """From the first answer in which somebody was not live to the last, at any replica."""
    stale_answers: int


@dataclass
class Outcome:
    """All rounds of one cause."""

    rounds: list[Round] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """What was not well or not tidy in the end."""
    wrong: list[str] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    """Seconds, after all was well again, until the server held one generation."""


class Office:
    """People whose presence changes, and clients at every replica that check what they are told."""

    def __init__(self, replicas: Replicas, dice: random.Random) -> None:
        self.replicas = replicas
        self.truth = Truth(replicas.contacts, STATES[0], time.time(), default_bound(SAFETY))
        self.ledger = EventLedger()
        self.answers = 0
        self.live = 0
        self.wrong: list[str] = []
        self.stale: list[float] = []
        """When an answer arrived in which somebody was not live."""
        self.confirmed: dict[Replica, tuple[float, float]] = {}
        """Of each replica's last answer: when it was asked, and as of when everybody was live; 0: not everybody."""
        self.busy = asyncio.Event()
        self._dice = dice
        self._told: dict[int, Told] = {}
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), trust_env=False)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Office]:
        """Work, watch and follow, until the end of the `with`."""
        work: list[Awaitable[None]] = [self._work(), *map(self._watch, self.replicas.all), *map(self._follow, range(3))]
        tasks = [asyncio.ensure_future(each) for each in work]
        self.busy.set()
        try:
            yield self
            for task in tasks:
                if task.done():
                    task.result()  # none ends by itself: what broke it is raised here
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._http.close()

    async def _work(self) -> None:
        while True:
            await self.busy.wait()
            await self.change(self._dice.choice(self.replicas.contacts))
            self.truth.forget(time.time() - KEEPS)
            await asyncio.sleep(BETWEEN_CHANGES * (0.5 + self._dice.random()))

    async def change(self, contact: str) -> None:
        """Give a contact another state."""
        state = self._dice.choice([state for state in STATES if state != self.truth.now(contact)])
        change = self.truth.begin(contact, state, time.time())
        await self.replicas.server.change(contact, state)
        change.done = time.time()

    async def _watch(self, replica: Replica) -> None:
        contacts = self.replicas.contacts
        while True:
            asked = time.time()
            told = await replica.get(f"/v1/presence?limit={len(contacts)}")
            arrived = time.time()
            if told is not None and "contacts" in told:
                self.heard(replica, told["contacts"], asked, arrived)
            await asyncio.sleep(BETWEEN_ANSWERS * (0.5 + self._dice.random()))

    def heard(self, replica: Replica, contacts: Sequence[Any], asked: float, arrived: float) -> None:  # Any: JSON
        """An answer of a replica has come."""
        verdict = self.truth.check(contacts, asked, arrived)
        self.answers += 1
        self.live += verdict.live
        self.wrong += [f"replica {self.replicas.all.index(replica)}: {each}" for each in verdict.wrong]
        everybody = verdict.live == len(self.replicas.contacts)
        if not everybody:
            self.stale.append(arrived)
        self.confirmed[replica] = asked, min(seconds(each["as_of"]) for each in contacts) if everybody else 0.0

    async def _follow(self, number: int) -> None:
        """Follow the stream of a replica; when it ends, that of the next, from the last event on."""
        place, last = number, ""
        while True:
            replica = self.replicas.all[place % len(self.replicas.all)]
            headers = {"Last-Event-ID": last} if last else {}
            with contextlib.suppress(aiohttp.ClientError, OSError, ValueError):
                async with self._http.get(f"{replica.url}/v1/events", headers=headers, read_bufsize=2**22) as stream:
                    if stream.status == 200:
                        last = await self._read(number, stream, last)
            place += 1
            await asyncio.sleep(0.1)

    async def _read(self, number: int, stream: aiohttp.ClientResponse, last: str) -> str:
        """Read a stream until it ends; the id of its last event."""
        name = id_ = ""
        is_first = True
        try:
            while line := await stream.content.readline():
                field_, _, value = line.decode().rstrip("\n").partition(": ")
                if field_ == "event":
                    name = value
                elif field_ == "id":
                    id_ = value
                elif field_ == "data":
                    data = json.loads(value)
                    if name == "snapshot":
                        base = int(id_.partition(".")[0])
                        self._told[number] = self.ledger.snapshot(base, data["reason"], data["contacts"])
                    else:
                        self.ledger.resumed += is_first and bool(last)
                        self.ledger.event(self._told[number], name, id_, data)
                    last, is_first = id_, False
        except (aiohttp.ClientError, OSError, ValueError):
            pass  # it broke off
        return last

    def streams_differ(self) -> list[str]:
        """What clients of the stream believe that is not so, while nothing changes."""
        return [
            f"client {number} believes that {contact} is {state} instead of {self.truth.now(contact)}"
            for number, told in sorted(self._told.items())
            for contact, state in told.contacts.items()
            if state != self.truth.now(contact)
        ]


@dataclass(frozen=True)
class Cause:
    """What happens to the replicas, given the owner: gives those that can still answer, and mends it in the end."""

    name: str
    happens: Callable[[Replicas, Replica], AbstractAsyncContextManager[Sequence[Replica]]]


async def play(office: Office, cause: Cause, rounds: int, dice: random.Random, told: Callable[[str], None]) -> Outcome:
    """So many rounds of one cause."""
    outcome, replicas = Outcome(), office.replicas
    wrong = len(office.wrong)
    for number in range(rounds):
        office.busy.set()
        await replicas.well()
        await asyncio.sleep(1.5 * dice.random())  # somewhere between two beats
        owner = await replicas.owner()
        if owner is None:
            await replicas.well()
            owner = await replicas.owner()
        if owner is None:
            outcome.late.append(f"round {number}: no owner to begin with")
            continue
        office.stale.clear()
        began = time.time()
        try:
            async with cause.happens(replicas, owner) as sound:
                found = await measured(office, sound, began)
            outcome.rounds.append(found)
            told(
                f"{cause.name} {number}: owner {found.owner:.2f} s, live {found.live:.2f} s, stale {found.stale:.2f} s"
            )
            await replicas.well()
            outcome.settled.append(await replicas.settled())
        except TimeoutError as error:
            outcome.late.append(f"round {number}: {error}; the server holds {await replicas.server.holds()}")
    outcome.late += await _calm(office)
    outcome.wrong = office.wrong[wrong:]
    return outcome


async def measured(office: Office, sound: Sequence[Replica], began: float) -> Round:
    """Look until these replicas have one owner and call everybody live."""
    last_bad = began
    end = began + NEVER
    while time.time() < end:
        now = time.time()
        said = await asyncio.gather(*(replica.cluster() for replica in sound))
        if agreed(sound, said) is None:
            last_bad = now
        else:
            answers = [office.confirmed.get(replica, (0.0, 0.0)) for replica in sound]
            if all(asked > began and as_of > began for asked, as_of in answers):
                live = max(asked for asked, _ in answers)
                stale = [arrived for arrived in office.stale if arrived >= began]
                return Round(last_bad - began, live - began, stale[-1] - stale[0] if stale else 0.0, len(stale))
        await asyncio.sleep(BETWEEN_LOOKS)
    raise TimeoutError(f"not live at all replicas within {NEVER:g} s")


async def _calm(office: Office) -> list[str]:
    """No more changes: whether in the end every answer and every client of the stream knows the last states."""
    office.busy.clear()
    await asyncio.sleep(2 * BETWEEN_CHANGES)

    async def nobody_differs() -> bool:
        return not office.streams_differ()

    with contextlib.suppress(TimeoutError):
        await until_so(nobody_differs, AGREE)
    found = office.streams_differ()
    for number, replica in enumerate(office.replicas.all):
        told = await replica.get(f"/v1/presence?limit={len(office.replicas.contacts)}")
        contacts = [] if told is None else told["contacts"]
        found += [f"replica {number}: {each}" for each in office.truth.differences(contacts)] or []
        if len(contacts) != len(office.replicas.contacts):
            found.append(f"replica {number} answers nothing")
    return found


# --- what happens, and is mended


def _others(replicas: Replicas, one: Replica) -> list[Replica]:
    return [replica for replica in replicas.all if replica is not one]


@asynccontextmanager
async def _killed(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    await owner.kill()
    yield _others(replicas, owner)
    await owner.start()


@asynccontextmanager
async def _stopped(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    owner.pause()
    try:
        yield _others(replicas, owner)
    finally:
        owner.go_on()


@asynccontextmanager
async def _cut_off(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    owner.cut_off()
    yield _others(replicas, owner)
    owner.reconnect()


@asynccontextmanager
async def _stalled(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    owner.stall()
    yield _others(replicas, owner)
    owner.reconnect()


@asynccontextmanager
async def _ended(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    owner.send(signal.SIGTERM)
    yield _others(replicas, owner)
    try:
        code = await owner.ended()
    except TimeoutError:
        await owner.kill()
        await owner.start()
        raise TimeoutError("a replica that was told to end did not") from None
    if code:
        raise RuntimeError(f"a replica that was told to end has ended with {code}")
    await owner.start()


@asynccontextmanager
async def _follower_killed(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    follower = _others(replicas, owner)[0]
    await follower.kill()
    await follower.start()
    yield replicas.all


@asynccontextmanager
async def _follower_cut_off(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    follower = _others(replicas, owner)[0]
    follower.cut_off()
    await asyncio.sleep(STOPPED)
    follower.reconnect()
    yield replicas.all


@asynccontextmanager
async def _engine_restarted(replicas: Replicas, _owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    await replicas.engine.stop()
    await replicas.engine.listening()
    yield replicas.all


@asynccontextmanager
async def _engine_killed(replicas: Replicas, _owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    await replicas.engine.kill()
    await replicas.engine.listening()
    yield replicas.all


@asynccontextmanager
async def _engine_emptied(replicas: Replicas, _owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    await replicas.engine.kill()
    replicas.engine.lose_all()
    await replicas.engine.listening()
    yield replicas.all


@asynccontextmanager
async def _engine_stopped(replicas: Replicas, _owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    replicas.engine.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(STOPPED)
    finally:
        replicas.engine.send(signal.SIGCONT)
    yield replicas.all


async def _node_in_use(replicas: Replicas, owner: Replica) -> str:
    """The name of the server's node by which the owner reads."""
    status = await owner.get("/v1/status")
    if status is None:
        raise TimeoutError("the owner does not say where it reads")
    address = status["subscriptions"][0]["node"].rpartition("/")[2]
    nodes = (await replicas.server.ask("GET", "/nodes"))["nodes"]
    name: str = next(node["node"] for node in nodes if node["address"] == address)
    return name


@asynccontextmanager
async def _node_lost(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    node = await _node_in_use(replicas, owner)
    await replicas.server.ask("POST", f"/nodes/{node}/down", {})
    yield replicas.all
    await replicas.server.ask("POST", f"/nodes/{node}/up", {})


@asynccontextmanager
async def _node_restarted(replicas: Replicas, owner: Replica) -> AsyncIterator[Sequence[Replica]]:
    await replicas.server.ask("POST", f"/nodes/{await _node_in_use(replicas, owner)}/restart", {})
    yield replicas.all


CAUSES: Final = {
    cause.name: cause
    for cause in (
        Cause("owner-killed", _killed),
        Cause("owner-stopped", _stopped),
        Cause("owner-cut-off", _cut_off),
        Cause("owner-stalled", _stalled),
        Cause("owner-ended", _ended),
        Cause("follower-killed", _follower_killed),
        Cause("follower-cut-off", _follower_cut_off),
        Cause("engine-restarted", _engine_restarted),
        Cause("engine-killed", _engine_killed),
        Cause("engine-emptied", _engine_emptied),
        Cause("engine-stopped", _engine_stopped),
        Cause("node-lost", _node_lost),
        Cause("node-restarted", _node_restarted),
    )
}
