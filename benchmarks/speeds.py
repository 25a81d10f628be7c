"""What replicas cost and how fast they are, beside one process without replicas in the same run.

Each function measures one thing and returns plain values. Ways of doing the same take turns, so that a busy machine
slows all of them alike. CPU time is that of a process, as Linux counts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.ledgers import percentile
from benchmarks.office import STATES
from benchmarks.processes import Service
from benchmarks.replicas import MANY, NEVER, Replica, Replicas, live_contacts, load_balancer, sections, until_so
from benchmarks.rows.processes import ROOT, Child, cpu_time
from benchmarks.truth import seconds
from service.cluster.engine import Table
from tests.cluster.servers import keys_of
from tests.support.ports import free_port

ALONE: Final = "supervisor"
"""The end user of the single process. Its application user is `alone`: nothing is shared with the replicas."""
WORDS: Final = ("--application-user", "alone:alone", "--end-user", f"{ALONE}@imp1")
"""For the simulator of the replicas that a single process stands beside."""
LAG: Final = 1.0
"""Seconds by which a follower may be behind the owner."""
BEHIND: Final = 3.0
"""Seconds by which the owner may be behind the server: then it is not the follower that is the limit."""
EACH_STEP: Final = 0.1
"""Seconds between two batches of changes."""


def _ms(value: float) -> float:
    return round(1000 * value, 2)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median and the slowest of a hundred, in milliseconds."""
    return {"p50_ms": _ms(percentile(values, 0.5)), "p99_ms": _ms(percentile(values, 0.99))}


@contextlib.asynccontextmanager
async def one_process(directory: Path, replicas: Replicas, contacts: Sequence[str]) -> AsyncIterator[Service]:
    """A single process without replicas, which watches contacts of its own at the same server."""
    folder = directory / "alone"
    folder.mkdir()
    async with Service(folder, free_port()) as service, load_balancer([service]) as callback:
        values = sections(replicas.server, service, callback, contacts[:1], many=len(contacts) > MANY)
        values["application"] = {"username": "alone", "password": "alone"}
        service.configure(values, {ALONE: contacts}, rich=len(contacts) <= MANY)
        await replicas.server.ask(
            "POST", "/contacts", {"contacts": [{"contact": c, "state": "AVAILABLE"} for c in contacts]}
        )
        await service.start()

        async def is_live() -> bool:
            found = await service.get("/v1/summary")
            return found is not None and live_contacts(found) == len(contacts)

        await until_so(is_live, NEVER)
        yield service


async def _roles(replicas: Replicas) -> tuple[Replica, Replica]:
    """The owner and a follower."""
    await replicas.well()
    owner = await replicas.owner()
    assert owner is not None, "there is no owner"
    return owner, next(replica for replica in replicas.all if replica is not owner)


async def latency(replicas: Replicas, alone: Service, theirs: Sequence[str], changes: int) -> dict[str, Any]:
    """From before a change at the server to its event at the owner, a follower, and a single process, in turns."""
    owner, follower = await _roles(replicas)
    dice = random.Random(1)  # noqa: S311  any will do
    ports = [owner.port, follower.port, alone.port]
    made: dict[tuple[str, str], float] = {}
    taken: dict[str, list[float]] = {"owner": [], "follower": [], "added": [], "alone": []}
    untold = 0
    with await asyncio.to_thread(Child, "follow_streams", ports=ports, notes=True) as reader:
        await asyncio.to_thread(reader.ask, "told")
        states = dict.fromkeys([*replicas.contacts, *theirs], STATES[0])
        for number in range(changes * 2):
            contact = dice.choice(theirs if number % 2 else replicas.contacts)
            states[contact] = dice.choice([state for state in STATES if state != states[contact]])
            began = time.monotonic()
            await replicas.server.change(contact, states[contact])
            made = {(contact, states[contact]): began}
            expected = 1 if number % 2 else 2
            found: dict[int, float] = {}
            until = began + 10.0
            while len(found) < expected and time.monotonic() < until:
                await asyncio.sleep(0.01)
                for stream, told in enumerate(await asyncio.to_thread(reader.ask, "told")):
                    for name, state, _id, at in told:
                        if (name, state) in made:
                            found.setdefault(stream, at)
            untold += len(found) < expected
            if len(found) < expected or number < 10:  # the first ones warm up
                continue
            if number % 2:
                taken["alone"].append(found[2] - began)
            else:
                taken["owner"].append(found[0] - began)
                taken["follower"].append(found[1] - began)
                taken["added"].append(found[1] - found[0])
            await asyncio.sleep(0.02 * dice.random())
    result: dict[str, Any] = {name: quantiles(values) for name, values in taken.items()}
    alone_p50 = result["alone"]["p50_ms"]
    result["changes"] = len(taken["owner"])
    result["not_told"] = untold
    result["owner_to_alone"] = round(result["owner"]["p50_ms"] / alone_p50, 2) if alone_p50 else None
    result["follower_to_alone"] = round(result["follower"]["p50_ms"] / alone_p50, 2) if alone_p50 else None
    return result


async def rates(replicas: Replicas, offered: Sequence[int], seconds: float) -> dict[str, Any]:
    """Events a second until a follower is a second behind the owner, or the owner behind the server.

    Changes come ten times a second, many at once, each of another contact. CPU times are of the fastest step.
    """
    owner, follower = await _roles(replicas)
    steps: list[dict[str, Any]] = []
    with await asyncio.to_thread(Child, "follow_streams", ports=[owner.port, follower.port], notes=True) as reader:
        for rate in offered:
            steps.append(await _rate(replicas, reader, (owner, follower), rate, seconds))
            if steps[-1]["follower_behind_s"] > LAG or steps[-1]["owner_behind_s"] > BEHIND:
                break
    if steps[-1]["follower_behind_s"] > LAG:
        limit = "a follower"
    else:
        limit = "the owner, or the server before it" if steps[-1]["owner_behind_s"] > BEHIND else "not reached"
    held = [step for step in steps if step["follower_behind_s"] <= LAG and step["owner_behind_s"] <= BEHIND]
    return {
        "steps": steps,
        "held_events_per_second": max((step["events_per_second"] for step in held), default=0),
        "limit": limit,
        "not_told": sum(step["not_told"] for step in steps),
        "owner_cpu_ms_per_event": steps[-1]["owner_cpu_ms_per_event"],
        "follower_cpu_ms_per_event": steps[-1]["follower_cpu_ms_per_event"],
    }


async def _rate(
    replicas: Replicas, reader: Child, pair: tuple[Replica, Replica], rate: int, seconds: float
) -> dict[str, Any]:
    """One step: so many changes a second, the contacts in turn, each with another state than the time before."""
    contacts, batch, place = replicas.contacts, max(1, round(rate * EACH_STEP)), 0
    cpu = [cpu_time(replica.pid) for replica in pair]
    made: dict[tuple[str, str], list[float]] = {}
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        places = range(place, place + batch)
        people = [(contacts[each % len(contacts)], STATES[each // len(contacts) % 2 + 1]) for each in places]
        place += batch
        for change in people:
            made.setdefault(change, []).append(now)
        body = {"contacts": [{"contact": contact, "state": state} for contact, state in people]}
        await replicas.server.ask("POST", "/contacts", body)
        await asyncio.sleep(max(0.0, now + EACH_STEP - time.monotonic()))
    told: list[list[Any]] = [[], []]
    quiet = 0
    while quiet < 10 and time.monotonic() < began + seconds + NEVER:  # a second in which nothing comes
        await asyncio.sleep(EACH_STEP)
        news = await asyncio.to_thread(reader.ask, "told")
        quiet = 0 if any(news) else quiet + 1
        for known, new in zip(told, news, strict=True):
            known += new
    spent = [cpu_time(replica.pid) - first for replica, first in zip(pair, cpu, strict=True)]
    at_owner, at_follower = ({id_: at for _, _, id_, at in each} for each in told)
    behind = [
        at - max((moment for moment in made.get((contact, state), ()) if moment <= at), default=at)
        for contact, state, _, at in told[0]
    ]
    added = [at_follower[id_] - at for id_, at in at_owner.items() if id_ in at_follower]
    took = max(at_owner.values(), default=began) - began
    await replicas.server.ask("POST", "/contacts", {"contacts": [{"contact": c, "state": STATES[0]} for c in contacts]})
    await replicas.well()
    await asyncio.to_thread(reader.ask, "told")
    return {
        "offered": rate,
        "events": len(at_owner),
        "events_per_second": round(len(at_owner) / took) if took else 0,
        "overtaken": place - len(at_owner),
        "not_told": len(at_owner.keys() - at_follower.keys()),
        "owner_behind_s": round(max(behind, default=0.0), 2),
        "follower_behind_s": round(max(added, default=0.0), 2),
        "follower_behind_p50_ms": _ms(percentile(added, 0.5)) if added else None,
        "owner_cpu_ms_per_event": round(1000 * spent[0] / max(1, len(at_owner)), 3),
        "follower_cpu_ms_per_event": round(1000 * spent[1] / max(1, len(at_follower)), 3),
    }


async def queries(
    replicas: Replicas, alone: Service, theirs: Sequence[str], rounds: int, seconds: float
) -> dict[str, Any]:
    """Queries for one contact: a single process, each replica by itself, and all three at once, in turns.

    Three clients, each in a process of its own, ask the one, or one each: who asks takes CPU as well. What three would
    answer on cores of their own is the sum of what each could with a core, by its CPU time of a query when it is asked
    by itself.
    """
    await _roles(replicas)
    ours = replicas.contacts
    ways: dict[str, list[tuple[Service, Sequence[str]]]] = {
        "one": [(alone, theirs)] * 3,
        "three": [(replica, ours) for replica in replicas.all],
        **{f"replica {number}": [(replica, ours)] * 3 for number, replica in enumerate(replicas.all)},
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name, servers in ways.items():
            with contextlib.ExitStack() as stack:
                clients = [
                    stack.enter_context(Child("ask_queries", port=service.port, names=list(some[:1000])))
                    for service, some in servers
                ]
                pids = {service.pid for service, _ in servers}
                cpu = sum(map(cpu_time, pids))
                asked = [asyncio.to_thread(client.ask, "ask", seconds=seconds) for client in clients]
                found = await asyncio.gather(*asked)
                spent = sum(map(cpu_time, pids)) - cpu
            count = sum(each[0] for each in found)
            if number >= 0:
                speeds[name].append(count / max(each[1] for each in found))
                costs[name].append(spent / count)
    speed = {name: statistics.median(values) for name, values in speeds.items()}
    cost = {name: statistics.median(values) for name, values in costs.items()}
    single = [cost[f"replica {number}"] for number in range(len(replicas.all))]
    return {
        "cores": os.cpu_count(),
        "one_per_second": round(speed["one"]),
        "three_per_second": round(speed["three"]),
        "three_to_one": round(speed["three"] / speed["one"], 2),
        "one_cpu_ms": round(1000 * cost["one"], 4),
        "replica_cpu_ms": [round(1000 * each, 4) for each in single],
        "three_cpu_ms": round(1000 * cost["three"], 4),
        "three_to_one_on_cores_of_their_own": round(sum(cost["one"] / each for each in single), 2),
    }


def engine_bytes(port: int, contacts: int, unit: str = "pws") -> dict[str, Any]:
    """What the engine keeps, by key, and a contact's part of what is kept of contacts."""
    with redis.Redis(port=port, protocol=2) as client:
        sizes = {name: int(client.memory_usage(key, samples=0) or 0) for name, key in keys_of(unit).items()}
        entries = int(client.xlen(keys_of(unit)["log"]))
        used = int(client.info("memory")["used_memory"])
    records = sizes[Table.RECORDS.value]
    return {
        "contacts": contacts,
        "bytes_per_contact": round(records / contacts),
        "log_entries": entries,
        "bytes_per_log_entry": round(sizes["log"] / entries) if entries else None,
        "keys": {name: size for name, size in sizes.items() if size},
        "used_memory": used,
    }


def single_mode(other: Path, rounds: int, times: int) -> dict[str, Any]:
    """CPU time in one process without replicas, in this checkout and in another, in turns."""
    what = ("change", "query", "claim")
    costs: dict[str, dict[str, list[float]]] = {name: {"here": [], "other": []} for name in what}
    with contextlib.ExitStack() as stack:
        programs = {
            "here": stack.enter_context(_InProcess(ROOT)),
            "other": stack.enter_context(_InProcess(other.resolve())),
        }
        for number in range(-1, rounds):
            order = list(programs.items())
            for where, program in order if number % 2 else order[::-1]:
                for name in what:
                    took = program.ask(name, times)
                    if number >= 0:
                        costs[name][where].append(took)
    found: dict[str, Any] = {}
    for name, each in costs.items():
        ratios = sorted(here / there for here, there in zip(each["here"], each["other"], strict=True))
        found[name] = {
            "here_us": round(1e6 * statistics.median(each["here"]), 2),
            "other_us": round(1e6 * statistics.median(each["other"]), 2),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_of_least": round(min(each["here"]) / min(each["other"]), 3),
            "quartiles": [round(ratios[len(ratios) * part // 4], 3) for part in (1, 3)],
        }
    return found


class _InProcess:
    """`programs/single_mode.py` with the code of a checkout."""

    def __init__(self, checkout: Path) -> None:
        program = Path(__file__).with_name("rows") / "programs" / "single_mode.py"
        words = [sys.executable, str(program), str(checkout), json.dumps({"contacts": 1000, "group": 200})]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # nothing is written into another's checkout
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, cwd=checkout, env=environment, stdin=pipe, stdout=pipe, text=True)
        assert self._answer()["code"] == str(checkout)

    def ask(self, do: str, times: int) -> float:
        """The CPU time of one."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "times": times}) + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> Any:  # JSON
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> _InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


async def many_contacts(
    replicas: Replicas, rounds: int, dice: random.Random, tell: Callable[[str], None]
) -> dict[str, Any]:
    """The owner is killed: seconds until one owner, and until all of very many contacts are live at the others."""
    owners: list[float] = []
    lives: list[float] = []
    steps: list[dict[str, float]] = []
    wrong: list[str] = []
    for _ in range(rounds):
        await replicas.well()
        await asyncio.sleep(1.5 * dice.random())
        owner, _follower = await _roles(replicas)
        others = [replica for replica in replicas.all if replica is not owner]
        await owner.kill()
        died = time.time()
        owned = 0.0
        live: dict[Replica, float] = {}
        while len(live) < len(others):
            if time.time() > died + NEVER:
                raise TimeoutError(f"not live within {NEVER:g} s")
            if not owned and await replicas.owner(others) is not None:
                owned = time.time() - died
            for replica in others:
                if replica not in live and await _is_live_since(replica, len(replicas.contacts), died):
                    live[replica] = time.time() - died
            await asyncio.sleep(0.1)
        owners.append(owned or max(live.values()))
        lives.append(max(live.values()))
        heir = await replicas.owner(others)
        found = {"owner's contacts" if each is heir else "follower's contacts": at for each, at in live.items()}
        steps.append({"owner": round(owners[-1], 2), **{name: round(at, 2) for name, at in found.items()}})
        tell(f"{len(replicas.contacts)} contacts: {steps[-1]}")
        for replica in others:
            wrong += await _too_old(replica, died)
        await owner.start()
    return {
        "contacts": len(replicas.contacts),
        "rounds": rounds,
        "owner_s": spread(owners),
        "live_s": spread(lives),
        "wrong": wrong[:10],
        "steps": steps,
    }


async def _is_live_since(replica: Replica, contacts: int, since: float) -> bool:
    """Whether all are live, and one of them as of a later moment. It costs little to ask, however many there are."""
    page = await replica.get("/v1/presence?limit=1")
    if page is None or not page.get("contacts"):
        return False
    one = page["contacts"][0]
    if one["freshness"] != "live" or seconds(one["as_of"]) < since:
        return False
    found = await replica.get("/v1/summary")
    return found is not None and live_contacts(found) == contacts


async def _too_old(replica: Replica, since: float) -> list[str]:
    """Contacts that a replica calls live as of a moment before: then not all of them were, though it said so."""
    cursor = ""
    found: list[str] = []
    while True:
        page = await replica.get(f"/v1/presence?limit=1000{cursor}")
        if page is None:
            return [*found, f"{replica.url} does not answer"]
        live = (each for each in page["contacts"] if each["freshness"] == "live")
        old = {each["contact"]: since - seconds(each["as_of"]) for each in live if seconds(each["as_of"]) < since}
        found += [f"{replica.url}: {contact} as of {ago:.1f} s before that" for contact, ago in old.items()]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, the slowest of a hundred, and the slowest, in seconds."""
    return {
        "p50": round(percentile(values, 0.5), 2),
        "p99": round(percentile(values, 0.99), 2),
        "max": round(max(values, default=float("nan")), 2),
    }
