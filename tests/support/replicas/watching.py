"""Reads all replicas all the time, and holds what they say against the promise.

| watcher | reads | what is wrong |
|---|---|---|
| presence | `GET /v1/presence`, without pause | live, and not true since its `as_of`, or that is older than the bound |
| streams | `GET /v1/events`, resumed where it broke | ids that do not ascend or mean two things, missing events |
| claims | claims, repeats under their keys, releases | a contact held for two, a claim that ended before its time |
| server | what there is at the simulator | more of it than a reset can leave |
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import secrets
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.e2e.processes import eventually
from tests.support.replicas.cluster import BOUND, MOVING, Cluster, Replica, address

_ROUNDING: Final = 0.002
"""Seconds: `as_of` is written in milliseconds."""
_PAUSE: Final = 0.03
_PATIENCE: Final = 5.0
"""Seconds after which the outcome of a claim is unknown, and it is asked for again under the same key."""
LEASE: Final = 30
"""Seconds of a claim: longer than a take-over, so that the next owner has to know it."""
MOST_LEFT: Final = {"sessions": 2, "endpoints": 2, "subscriptions": 2}
"""What may be at the server at any moment."""

Events = list["Heard"]


@dataclass(frozen=True)
class Heard:
    """An event of a stream. `id` is the text, `number` the revision that it begins with."""

    name: str
    id: str
    data: Any  # JSON is of any type

    @property
    def number(self) -> int:
        return int(self.id.partition(".")[0])

    @property
    def is_snapshot(self) -> bool:
        return self.name == "snapshot"


def wrong_streams(streams: dict[int, Events]) -> list[str]:
    """What is wrong in streams that were read at the same time, one for each replica."""
    wrong: list[str] = []
    said: dict[int, tuple[str, str]] = {}
    for number, events in streams.items():
        for event in events:
            if event.is_snapshot:
                continue
            text = (event.name, json.dumps(_same_everywhere(event.data), sort_keys=True))
            if said.setdefault(event.number, text) != text:
                wrong.append(f"{event.id} is {text} at replica {number}, elsewhere {said[event.number]}")
    known = sorted(said)
    for number, events in streams.items():
        last: int | None = None
        highest = 0
        is_first = True  # of a snapshot what follows is not known: the engine may have lost some that others got
        for event in events:
            if not event.is_snapshot and event.number <= max(highest, last or 0):
                wrong.append(f"replica {number}: {event.name} {event.id} after {max(highest, last or 0)}")
            if last is not None and not event.is_snapshot and not is_first and "." not in event.id:
                missing = known[bisect_right(known, last) : bisect_right(known, event.number) - 1]
                if missing:
                    wrong.append(f"replica {number}: {missing[:5]} are missing between {last} and {event.id}")
            last = event.number
            highest = highest if event.is_snapshot else last
            is_first = event.is_snapshot
    return wrong


def _same_everywhere(data: Any) -> Any:
    """`as_of` moves with each confirmation, at each replica by its own clock."""
    return {name: value for name, value in data.items() if name != "as_of"} if isinstance(data, dict) else data


@dataclass(frozen=True)
class Hold:
    """A contact was held for a claim from one moment to another, at least."""

    contact: str
    claim: str
    begin: float
    end: float


def held_twice(holds: Sequence[Hold]) -> list[str]:
    """Who was held for two claims at one moment."""
    wrong = []
    for contact, several in itertools.groupby(sorted(holds, key=lambda hold: (hold.contact, hold.begin)), _contact):
        open_: list[Hold] = []
        for hold in several:
            open_ = [each for each in open_ if each.end > hold.begin]
            wrong += [f"{contact}: {each} and {hold}" for each in open_ if each.claim != hold.claim]
            open_.append(hold)
    return wrong


def _clock(at: float | None = None) -> str:
    """The time of day, as in the logs, of a moment by the monotonic clock."""
    ago = 0.0 if at is None else time.monotonic() - at
    return datetime.fromtimestamp(time.time() - ago, UTC).strftime("%H:%M:%S.%f")


def _contact(hold: Hold) -> str:
    return hold.contact


@dataclass
class Counted:
    """How much was seen, so that a story can say that it was enough."""

    answers: int = 0
    live: int = 0
    resumed: int = 0
    """Streams that went on where they broke, without a snapshot."""
    not_kept: int = 0
    claimed: int = 0
    repeated: int = 0
    """Claims that were asked for again under their key, and were the same."""
    refused: int = 0
    """Answers 503."""
    undisturbed: int = 0
    """Blocks of `stays_live` in which everybody heard everything."""


def _silences(replica: Replica) -> int:
    """How often it has said that it hears nothing: of the owner, of the engine, or of its own lease."""
    return sum(len(replica.logged(event)) for event in ("cluster.silent", "cluster.engine-failed", "cluster.lost"))


@dataclass
class Watch:
    """See the module. Leaving the `with` block waits until all streams have everything, and checks.

    `may_lose_claims`: the engine loses what it had accepted, as at a fail-over to a copy that lags. May be said later,
    once it is known who has taken over.
    """

    cluster: Cluster
    claimers: int = 2
    may_lose_claims: bool = False
    wrong: list[str] = field(default_factory=list)
    lost_claims: dict[str, str] = field(default_factory=dict)
    """By the id, how it was noticed. Wrong too, unless claims may be lost."""
    counted: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self.events: dict[int, Events] = {replica.number: [] for replica in self.cluster.replicas}
        self.holds: list[Hold] = []
        self.heard: tuple[Any, ...] = ()
        """The last answer to a claimer, and to what."""
        self.most: dict[str, int] = {}
        self.not_live: list[str] = []
        """Answers in which somebody was not live."""
        self.streams: Counter[int] = Counter()
        """How many streams were begun, by replica."""
        self._stop = threading.Event()
        self._ending = asyncio.Event()
        self._changes = threading.Thread(target=self._change, name="changes")
        self._chance = random.Random(7)  # noqa: S311  # the same story every time
        self._tasks: list[asyncio.Task[None]] = []
        self._claiming: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self.cluster.background.wait_for(self._start())
        self.cluster.is_moving = True
        self._changes.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._changes.join()
        self.cluster.is_moving = False
        try:
            if kind is None:
                self.cluster.background.call(self._ending.set)
                self.cluster.heals()
                eventually(self._all_has_come)
                eventually(self._claims_have_ended)
        finally:
            self.cluster.background.wait_for(self._end())
        self._keep()
        if kind is None:
            self.check()
            return
        print("\n".join(self.wrong[:10]))  # noqa: T201  # pytest shows it beside the failure

    def check(self) -> None:
        """Nothing of what was seen so far was wrong."""
        lost = {} if self.may_lose_claims else self.lost_claims
        holds = [hold for hold in self.holds if hold.claim in lost or hold.claim not in self.lost_claims]
        wrong = [*self.wrong, *lost.values(), *wrong_streams(self.events), *held_twice(holds)]
        assert wrong == [], "\n".join(wrong[:20])
        too_many = {name: count for name, count in self.most.items() if count > MOST_LEFT[name]}
        assert not too_many, too_many

    def _keep(self) -> None:
        """What the streams brought, in a file for anybody who looks into a failure."""
        lines = [
            json.dumps({"replica": number, "id": event.id, "name": event.name, "data": event.data})
            for number, events in self.events.items()
            for event in events
        ]
        (self.cluster.folder / "events.jsonl").write_text("\n".join(lines), "utf-8")

    def stream_is_back(self, replica: Replica) -> None:
        """Wait until its stream has something that the others have now."""
        newest = max((events[-1].number for events in self.events.values() if events), default=0)

        def is_there() -> None:
            events = self.events[replica.number]
            assert events, "nothing has come"
            assert events[-1].number > newest, f"{events[-1].id} is the last"

        eventually(is_there)

    @contextmanager
    def stays_live(self, replicas: Sequence[Replica]) -> Iterator[None]:
        """While the block runs, everybody is live in each answer of these, and no stream of theirs ends.

        But for one that says that it heard nothing for the seconds in which it should have: so it is right where the
        machine stands still. How often nobody said so is in `counted.undisturbed`.
        """
        before, answers = len(self.not_live), self.counted.answers
        streams = {replica.number: self.streams[replica.number] for replica in replicas}
        said = {replica.number: _silences(replica) for replica in replicas}
        yield
        assert self.counted.answers > answers
        hearing = [replica.number for replica in replicas if _silences(replica) == said[replica.number]]
        self.counted.undisturbed += len(hearing) == len(replicas)
        names = tuple(f"replica {number}:" for number in hearing)
        worse = [each for each in self.not_live[before:] if each.startswith(names)]
        assert worse == [], worse[:5]
        assert [self.streams[number] for number in hearing] == [streams[number] for number in hearing]

    def sees_live(self, replicas: Sequence[Replica] = (), times: int = 20) -> None:
        """Wait until so many live answers more were checked."""
        before = self.counted.live

        def more() -> None:
            assert self.counted.live >= before + times

        eventually(more)

    def _all_has_come(self) -> None:
        newest = max(events[-1].number for events in self.events.values() if events)
        for replica in self.cluster.running:
            events = self.events[replica.number]
            assert events, f"no stream of replica {replica.number}"
            assert events[-1].number >= newest, f"replica {replica.number} is at {events[-1].id}, not {newest}"

    def _claims_have_ended(self) -> None:
        assert all(task.done() for task in self._claiming), self.heard

    # --- in the background

    async def _start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE)
        self._session = aiohttp.ClientSession(timeout=timeout, read_bufsize=2**24)
        works: list[Callable[[], Coroutine[Any, Any, None]]] = [self._server]
        for replica in self.cluster.replicas:
            works.append(lambda replica=replica: self._presence(replica))  # type: ignore[misc]
            works.append(lambda replica=replica: self._stream(replica))  # type: ignore[misc]
        self._claiming = [asyncio.create_task(self._claims(number)) for number in range(self.claimers)]
        self._tasks = [*self._claiming, *(asyncio.create_task(self._for_ever(work)) for work in works)]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await asyncio.sleep(0)  # the connections close in the next turn
        self.wrong += [f"a watcher failed: {each!r}" for each in ended if isinstance(each, Exception)]

    async def _for_ever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A replica may be down: it is killed and started in some stories."""
        while True:
            with suppress(OSError, aiohttp.ClientError, TimeoutError):
                await work()
            await asyncio.sleep(_PAUSE)

    async def _presence(self, replica: Replica) -> None:
        while True:
            asked = time.time()
            async with self._session.get(f"{replica.site.url}/v1/presence") as reply:
                if reply.status != 200:
                    self._unexpected(replica, "presence", reply.status, await reply.text())
                    return
                answers = json.loads(await reply.read())["contacts"]
            self._judge(replica, answers, asked, time.time())
            await asyncio.sleep(_PAUSE)

    def _judge(self, replica: Replica, answers: Sequence[dict[str, Any]], asked: float, now: float) -> None:
        self.counted.answers += 1
        for answer in answers:
            if answer["freshness"] != "live":
                what = f"{answer['contact']} {answer['freshness']}, {answer.get('stale_reason')} at {_clock()}"
                self.not_live.append(f"replica {replica.number}: {what}")
                continue
            self.counted.live += 1
            contact, since = answer["contact"], datetime.fromisoformat(answer["as_of"]).timestamp() - _ROUNDING
            held = self.cluster.truth.held(contact, since, now)
            if answer["state"] not in held:
                what = f"live {answer['state']} as of {answer['as_of']}, but it was {held} since"
                self.wrong.append(f"replica {replica.number}: {contact}: {what}")
            if since < asked - BOUND:
                self.wrong.append(f"replica {replica.number}: {contact}: live as of {answer['as_of']}, asked {asked}")

    def _unexpected(self, replica: Replica, what: str, status: int, text: str) -> None:
        if status == 503:
            self.counted.refused += 1
        else:
            self.wrong.append(f"replica {replica.number}: {what}: {status}: {text}")

    async def _stream(self, replica: Replica) -> None:
        events = self.events[replica.number]
        headers = {"Last-Event-ID": events[-1].id} if events else {}
        async with self._session.get(f"{replica.site.url}/v1/events", headers=headers) as reply:
            if reply.status != 200:
                self._unexpected(replica, "events", reply.status, await reply.text())
                return
            self.streams[replica.number] += 1
            read: dict[str, str] = {}
            is_first = True
            async for line in reply.content:
                text = line.decode().rstrip("\r\n")
                name, _, value = text.partition(": ")
                if text:
                    read[name] = value
                elif "event" in read:
                    event = Heard(read["event"], read["id"], json.loads(read["data"]))
                    events.append(event)
                    if headers and is_first:
                        self.counted.resumed += not event.is_snapshot
                        self.counted.not_kept += event.is_snapshot
                    if headers and is_first and event.is_snapshot and event.data["reason"] == "start":
                        self.wrong.append(f"replica {replica.number}: resumed with {headers}, got {event}")
                    is_first = False
                if not text:
                    read = {}

    async def _server(self) -> None:
        while True:
            async with self._session.get(f"{self.cluster.server.control.url}/control/nodes") as reply:
                (node,) = json.loads(await reply.read())["nodes"]
            for name in MOST_LEFT:
                self.most[name] = max(self.most.get(name, 0), node[name])
            await asyncio.sleep(_PAUSE)

    # --- claims

    async def _claims(self, number: int) -> None:
        """Claim, hold for a while, let go; at whichever replica chance says."""
        while not self._ending.is_set():
            key = f"claimer{number}-{secrets.token_hex(8)}"
            first_sent = time.monotonic()
            made = await self._until_known("POST", "/v1/claims", key)
            answered = time.monotonic()
            if made[0] != 201:
                await asyncio.sleep(0.1)
                continue
            self.counted.claimed += 1
            claim, until = made[1]["id"], first_sent + LEASE
            await asyncio.sleep(self._chance.uniform(0.0, 0.4))
            if self._chance.random() < 0.3:
                again = await self._until_known("POST", "/v1/claims", key)
                if time.monotonic() < until:
                    if (again[0], again[1].get("id")) == (201, claim):
                        self.counted.repeated += 1
                    else:
                        self.lost_claims[claim] = f"{claim} was claimed again under its key: {again}"
            let_go = time.monotonic()
            for contact in made[1]["contacts"]:
                self.holds.append(Hold(contact["contact"], claim, answered, min(let_go, until)))
            await self._let_go(claim, until, answered)

    async def _let_go(self, claim: str, until: float, answered: float) -> None:
        answer = await self._once("DELETE", f"/v1/claims/{claim}")
        if answer is not None and answer[0] == 404 and time.monotonic() < until:
            told = f"{_clock()}: claim {claim}, answered at {_clock(answered)}, has ended before its time"
            self.lost_claims[claim] = told
        while answer is None or answer[0] not in {204, 404}:  # the first request may have been carried out
            await asyncio.sleep(0.1)
            answer = await self._once("DELETE", f"/v1/claims/{claim}")

    async def _until_known(self, method: str, target: str, key: str) -> tuple[int, Any]:
        """The answer that decides: asked again until there is one."""
        while True:
            answer = await self._once(method, target, key)
            if answer is not None and answer[0] != 503 and "request-in-progress" not in str(answer[1]):
                return answer
            await asyncio.sleep(0.1)

    async def _once(self, method: str, target: str, key: str = "") -> tuple[int, Any] | None:
        """Status and JSON of one request at a replica that should answer; None: the outcome is unknown."""
        running = self.cluster.running
        if not running:
            return None
        replica = self._chance.choice(running)
        body = {"group": "support", "lease_seconds": LEASE} if method == "POST" else None
        headers = {"Idempotency-Key": key} if key else {}
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        try:
            url = replica.site.url + target
            async with self._session.request(method, url, json=body, headers=headers, timeout=timeout) as reply:
                text = await reply.text()
        except (OSError, aiohttp.ClientError, TimeoutError):
            return None
        if reply.status not in {201, 204, 404, 409, 503}:
            self.wrong.append(f"replica {replica.number}: {method} {target}: {reply.status}: {text}")
        self.counted.refused += reply.status == 503
        self.heard = (replica.number, method, target, key, reply.status, text)
        return reply.status, json.loads(text) if text.startswith("{") else {}

    # --- what changes

    def _change(self) -> None:
        contacts = [address(name) for name in MOVING]
        for contact in itertools.cycle(contacts):
            if self._stop.wait(0.04):
                return
            self.cluster.truth.toggle(contact)
