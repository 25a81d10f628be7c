"""Several replicas: how long fail-overs take by their cause, that nothing wrong is ever told, and what all of it costs.

    python benchmarks/cluster.py [--rounds 50] [--only PART|CAUSE]... [--claims 10000] [--kills 20] [--contacts 5000]
                                 [--engine redis] [--against CHECKOUT] [--seed N] [--quick] [--targets]
                                 [--json | --markdown] [--read FILE] [--keep]

Three `pws serve`, `pws simulate` with two nodes, and a redis-server with an append-only file, which each replica
reaches by a proxy of its own, as real processes. Parts:

    failovers   each cause so many times, or those that --only names; all the time every replica's answers are held
                against the record of all changes, and clients follow the stream over each fail-over
    claims      clients claim and let go while the owner is killed again and again
    many        the owner is killed while very many contacts are watched; what the engine keeps of each
    latency     from a change to its event at the owner, at a follower, and at one process without replicas
    rates       events a second until a follower is a second behind
    queries     answers a second of one process and of three replicas
    single      CPU time without replicas, in this checkout and in the one of --against, in turns

Exit code 1 when a `live` answer was wrong, anybody was claimed twice, a claim was lost, an event was missing, repeated
or not the same everywhere, something was left at the server, or a process broke. Times decide nothing, unless --targets
is given. What the figures mean is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import speeds
from benchmarks.claimants import Claimants
from benchmarks.cluster_report import show, tables, verdict
from benchmarks.failovers import CAUSES, Office, Outcome, play
from benchmarks.replicas import Replicas, names, three_replicas
from benchmarks.speeds import spread

PARTS: Final = ("failovers", "claims", "many", "latency", "rates", "queries", "single")
PEOPLE: Final = 24
"""Contacts in the fail-overs by cause."""
GROUP: Final = 40
"""Who can be claimed."""
RATES: Final = (250, 500, 1000, 2000, 4000, 8000)


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    rounds: int
    causes: Sequence[str]
    parts: Sequence[str]
    claims: int
    kills: int
    contacts: int
    engine: str
    seed: int
    against: Path | None
    quick: bool


def tell(words: str) -> None:
    """Show who watches how far it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{time.strftime('%H:%M:%S')} {words}", end="", file=sys.stderr, flush=True)


async def run(load: Load, directory: Path) -> dict[str, Any]:  # Any: JSON
    """All parts that were asked for, one after the other."""
    found: dict[str, Any] = {"load": {**asdict(load), "against": str(load.against or "")}}
    began = time.monotonic()
    if "failovers" in load.parts:
        found["failovers"] = await failovers(load, directory / "failovers")
    if "claims" in load.parts:
        found["claims"] = await claims(load, directory / "claims")
    if "many" in load.parts:
        found["many"] = await many(load, directory / "many")
    beside = {part for part in ("latency", "rates", "queries") if part in load.parts}
    if beside:
        found |= await beside_one_process(load, directory / "beside", beside)
    if "single" in load.parts and load.against is not None:
        tell("single")
        rounds, times = (2, 50) if load.quick else (150, 100)
        found["single"] = await asyncio.to_thread(speeds.single_mode, load.against, rounds, times)
    found["seconds"] = round(time.monotonic() - began, 1)
    return found


async def failovers(load: Load, directory: Path) -> dict[str, Any]:
    """Each cause so many times."""
    dice = random.Random(load.seed)  # noqa: S311  a history that can be chosen
    outcomes: dict[str, Outcome] = {}
    async with three_replicas(directory, load.engine, names("a", PEOPLE)) as replicas:
        office = Office(replicas, dice)
        async with office.open():
            for name in load.causes:
                outcomes[name] = await play(office, CAUSES[name], load.rounds, dice, tell)
        ended = await end(replicas)
    return {
        "causes": {name: _cause(outcome) for name, outcome in outcomes.items()},
        "answers": office.answers,
        "live_states_checked": office.live,
        "wrong_live_answers": len(office.wrong),
        "wrong": office.wrong[:10],
        "late": [f"{name}: {each}" for name, outcome in outcomes.items() for each in outcome.late],
        **_streams(office),
        **ended,
    }


def _cause(outcome: Outcome) -> dict[str, Any]:
    rounds = outcome.rounds
    return {
        "rounds": len(rounds),
        "owner_s": spread([each.owner for each in rounds]),
        "live_s": spread([each.live for each in rounds]),
        "stale_s": spread([each.stale for each in rounds]),
        "stale_rounds": sum(each.stale_answers > 0 for each in rounds),
        "settled_s": spread(outcome.settled),
        "wrong_live_answers": len(outcome.wrong),
        "late": outcome.late,
    }


def _streams(office: Office) -> dict[str, Any]:
    ledger = office.ledger
    gaps = ledger.gaps()
    return {
        "events": ledger.events,
        "streams_resumed": ledger.resumed,
        "snapshots": ledger.snapshots,
        "coalesced": ledger.coalesced,
        "gaps": len(gaps),
        "gaps_found": gaps[:10],
        "repeated": len(ledger.repeated),
        "repeated_found": ledger.repeated[:10],
        "differing": len(ledger.differing),
        "differing_found": ledger.differing[:10],
    }


async def end(replicas: Replicas) -> dict[str, Any]:
    """End all replicas as an operator does, one after the other; what is left at the server."""
    codes = [await replica.stop() for replica in replicas.all if replica.runs]
    return {"exit_codes": codes, "left_at_the_server": await replicas.server.holds(), "bugs": replicas.bugs()[:10]}


async def claims(load: Load, directory: Path) -> dict[str, Any]:
    """So many claims with so many kills."""
    people = names("a", GROUP)
    dice = random.Random(load.seed)  # noqa: S311  a history that can be chosen
    async with three_replicas(directory, load.engine, people, people) as replicas:
        found = await Claimants(replicas, load.claims, dice).run(load.kills, tell)
        await replicas.well()
        ended = await end(replicas)
    ledger = found.ledger
    doubled = ledger.doubled()
    return {
        "granted": ledger.granted,
        "kills": found.kills,
        "seconds": round(found.seconds, 1),
        "took": speeds.quantiles(found.took),
        "again_s": spread(found.refused),
        "replayed": ledger.replayed,
        "statuses": dict(sorted(found.statuses.items())),
        "doubled": len(doubled),
        "doubled_found": doubled[:10],
        "differing": ledger.differing[:10],
        "lost": ledger.lost[:10],
        **ended,
    }


async def many(load: Load, directory: Path) -> dict[str, Any]:
    """Very many contacts."""
    dice = random.Random(load.seed)  # noqa: S311  a history that can be chosen
    rounds = 1 if load.quick else max(3, load.rounds // 5)
    async with three_replicas(directory, load.engine, names("p", load.contacts)) as replicas:
        found = await speeds.many_contacts(replicas, rounds, dice, tell)
        await replicas.well()
        kept = speeds.engine_bytes(replicas.engine.port, load.contacts)
        ended = await end(replicas)
    return {**found, "engine": kept, **ended}


async def beside_one_process(load: Load, directory: Path, parts: set[str]) -> dict[str, Any]:
    """What is measured beside one process without replicas, at the same server."""
    found: dict[str, Any] = {}
    count = 100 if load.quick else 1000
    ours, theirs = names("a", count), names("b", count)
    async with (
        three_replicas(directory, load.engine, ours, words=speeds.WORDS) as replicas,
        speeds.one_process(directory, replicas, theirs) as alone,
    ):
        if "latency" in parts:
            tell("latency")
            found["latency"] = await speeds.latency(replicas, alone, theirs, 20 if load.quick else 500)
        if "queries" in parts:
            tell("queries")
            rounds, seconds = (1, 0.3) if load.quick else (7, 3.0)
            found["queries"] = await speeds.queries(replicas, alone, theirs, rounds, seconds)
        bugs = alone.bugs()
        code = await alone.stop()
        if "rates" in parts:
            tell("rates")
            steps, seconds = ([100, 200], 1.0) if load.quick else (list(RATES), 5.0)
            found["rates"] = await speeds.rates(replicas, steps, seconds)
        ended = await end(replicas)
    ended["exit_codes"].append(code)
    ended["bugs"] += bugs
    return {**found, "beside": ended}


def _load(asked: argparse.Namespace, seed: int) -> Load:
    """How much is asked for. Naming a cause means the part `failovers` with this cause."""
    causes = [name for name in asked.only if name in CAUSES]
    parts = [name for name in asked.only if name in PARTS] + (["failovers"] if causes else [])
    little = asked.quick
    return Load(
        rounds=asked.rounds or (1 if little else 50),
        causes=causes or list(CAUSES),
        parts=parts or list(PARTS),
        claims=asked.claims or (200 if little else 10_000),
        kills=(1 if little else 20) if asked.kills is None else asked.kills,
        contacts=asked.contacts or (200 if little else 5000),
        engine=asked.engine,
        seed=seed,
        against=asked.against,
        quick=little,
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Several replicas; see benchmarks/README.md")
    parser.add_argument("--rounds", type=int, default=None, help="of each cause (default 50)")
    parser.add_argument(
        "--only", action="append", default=[], choices=[*PARTS, *CAUSES], metavar="NAME",
        help=f"this part ({', '.join(PARTS)}) or this cause ({', '.join(CAUSES)}); repeatable",
    )  # fmt: skip
    parser.add_argument("--claims", type=int, default=None, help="that are granted (default 10000)")
    parser.add_argument("--kills", type=int, default=None, help="of the owner meanwhile (default 20)")
    parser.add_argument("--contacts", type=int, default=None, help="of the part `many` (default 5000)")
    parser.add_argument("--engine", choices=("redis", "valkey"), default="redis", help="default redis")
    parser.add_argument("--against", type=Path, default=None, help="another checkout, for the part `single`")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; printed")
    parser.add_argument("--quick", action="store_true", help="little of everything: results count, times mean nothing")
    parser.add_argument("--targets", action="store_true", help="a target that is missed is a failure")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--markdown", action="store_true", help="print the tables for docs/cluster.md")
    parser.add_argument("--read", type=Path, default=None, help="run nothing, show figures that --json printed")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where they are")
    asked = parser.parse_args()
    if asked.read is not None:
        return _say(json.loads(asked.read.read_text("utf-8")), asked)
    load = _load(asked, asked.seed if asked.seed is not None else secrets.randbelow(1_000_000))
    directory = Path(tempfile.mkdtemp(prefix="pws-cluster-"))
    try:
        found = asyncio.run(run(load, directory))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if asked.keep:
            print(f"logs: {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return _say(found, asked)


def _say(found: Mapping[str, Any], asked: argparse.Namespace) -> int:
    """Print the figures in the form that is asked for; the exit code."""
    why = verdict(found, targets=asked.targets)
    if asked.json:
        print(json.dumps({**found, "failed": why}, indent=1))
    elif asked.markdown:
        print("\n".join(tables(found)))
    else:
        show(found)
        print("FAILED: " + "; ".join(why) if why else "all is well")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
