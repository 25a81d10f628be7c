"""The promise under fire: real processes, real sockets, hundreds of faults of every kind, and nothing may be wrong.

    python benchmarks/chaos.py [--faults 300] [--seed N] [--minutes M] [--only KIND]... [--facade] [--json] [--keep]

A simulator with two nodes, and a service that watches for two end users, one at home on each. Presence changes all the
time; all the time somebody asks the service and holds its answers against the recorded truth. Half of the rounds
bring two faults at once, where those go together. After each round all must become well again; every other time in
silence, so that no later change helps to find what was lost. With `--facade` programs speak SOAP to the service's
façade all the time as well, and what they are told is held against the same record (`benchmarks/told.py`).

Exit code 0: no `live` answer was wrong, no change was lost, no process broke, nothing is left at the server. Times are
printed and decide nothing. What the figures mean is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.faults import Faults, NotHit, UnknownFault
from benchmarks.office import SAFETY, Office, settings
from benchmarks.processes import Server, Service
from benchmarks.programs import PATIENCE, Account, Programs, listening
from benchmarks.told import Promise
from pws_soap import PwsClient
from service.core.presence.freshness import default_bound
from tests.support.ports import free_port

USERS = {
    "dispatcher": [f"a{number:02d}@example.com" for number in range(12)],
    "supervisor": [f"b{number:02d}@example.com" for number in range(12)],
}
PAIRED = 0.5
"""The part of the rounds that bring two faults at once."""
NEVER: Final = 300.0
"""Seconds after which nothing more is waited for: what is not well by then is lost. Many times what healing takes."""


FACADE_USER: Final = "desk"
FACADE_PASSWORD: Final = "brick"  # noqa: S105  of this run alone
UNSURE_AFTER: Final = 5.0
"""Seconds after which the façade tells a contact that is not live as UNKNOWN."""


@dataclass
class Kind:
    """What became of the faults of one kind; `times` are the seconds they took to heal."""

    injected: int = 0
    times: list[float] = field(default_factory=list)


@dataclass
class Run:
    """The figures of one run."""

    seed: int
    wanted: int
    directory: Path
    kinds: dict[str, Kind] = field(default_factory=dict)
    pairs: int = 0
    not_hit: int = 0
    late: list[str] = field(default_factory=list)
    """Rounds that took longer to heal than is expected."""
    lost: list[str] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)
    """Wrong live answers by the faults of the round in which they were given."""
    left: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    bugs: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def injected(self) -> int:
        """Faults that hit."""
        return sum(kind.injected for kind in self.kinds.values())

    @property
    def healed(self) -> int:
        """Faults after which all was well again."""
        return sum(len(kind.times) for kind in self.kinds.values())


async def run(
    wanted: int, seed: int, minutes: float, directory: Path, only: Collection[str], *, facade: bool = False
) -> tuple[Run, Office]:
    """Play it, with faults of the kinds `only`, or of all where that is empty; with `facade`, before programs too."""
    dice = random.Random(seed)  # noqa: S311  a history that can be chosen
    result = Run(seed, wanted, directory)
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        words = ["--nodes", "2", "--end-user", "supervisor@imp2"]
        server = await stack.enter_async_context(Server(directory, words))
        service = await stack.enter_async_context(Service(directory, port))
        office = Office(server, service, USERS, dice)
        await office.furnish()
        sections = settings(server, port)
        if facade:
            callback = await stack.enter_async_context(listening(office.program_notified))
            office.programs = _programs(office, sections, callback)
        service.configure(sections, USERS)
        await service.start()
        tasks = [asyncio.create_task(office.watch()), asyncio.create_task(office.work())]
        began = time.monotonic()
        try:
            office.busy.set()
            if await office.healed(time.time(), NEVER) is None:
                raise RuntimeError(f"the service did not become live: {await office.differences()}")
            if office.programs is not None:
                office.programs.start(office.contacts, USERS["dispatcher"])
            faults = Faults(office, dice)
            if unknown := set(only) - faults.kinds.keys():
                raise UnknownFault(f"--only: no fault {', '.join(sorted(unknown))}; there is {', '.join(faults.kinds)}")
            await _play(office, faults, _deck(faults, only, dice), result, dice, began + 60 * minutes)
            result.bugs += faults.broken
            await office.calm()
            if await office.healed(time.time(), NEVER) is None:
                result.lost += await office.differences() or [f"at the end: not well within {NEVER:g} s"]
            ended = next((task for task in tasks if task.done()), None)
            if ended is not None:
                ended.result()  # neither may have ended: what broke is raised here
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if office.programs is not None:
                await office.programs.stop()
            result.seconds = time.monotonic() - began
        result.exit_code = await service.stop()
        result.left = await server.holds()
        result.bugs += service.bugs()
        await server.stop()
        result.bugs += server.bugs()
    return result, office


def _programs(office: Office, sections: dict[str, dict[str, object]], callback: str) -> Programs:
    """The programs, and what they need in the configuration."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    sections["facade"] = {
        "listen_host": "127.0.0.1", "listen_port": port, "address": address, "unsure_after": UNSURE_AFTER
    }  # fmt: skip
    sections[f"facade.users.{FACADE_USER}"] = {"password": FACADE_PASSWORD, "end_users": ["dispatcher"]}

    def connect() -> PwsClient:
        return PwsClient(address, read_timeout=PATIENCE)

    account = Account(connect, FACADE_USER, FACADE_PASSWORD, "dispatcher", callback)
    promise = Promise(default_bound(SAFETY), UNSURE_AFTER)
    return Programs(account, office.truth, promise, live=lambda: office.live)


async def _play(
    office: Office, faults: Faults, deck: Iterator[str], result: Run, dice: random.Random, end: float
) -> None:
    """One round after the other, until there were enough faults or the time is over."""
    while result.injected < result.wanted and time.monotonic() < end:
        chosen = [next(deck)]
        if chosen[0] in faults.pairable and result.injected + 1 < result.wanted and dice.random() < PAIRED:
            other = next(deck)
            chosen += [other] if other in faults.pairable and other != chosen[0] else []
        silent, wrong = dice.random() < 0.5, len(office.figures.wrong)
        office.busy.set()
        outcomes = await asyncio.gather(*(faults.kinds[kind]() for kind in chosen), return_exceptions=True)
        hit: dict[str, float] = {}
        for kind, outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, NotHit):
                result.not_hit += 1
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                hit[kind] = outcome
                result.kinds.setdefault(kind, Kind()).injected += 1
        result.pairs += len(hit) == 2
        since = max(hit.values(), default=time.time())
        await asyncio.sleep(since - time.time())
        if silent:
            await office.calm()
        bound = max(map(faults.bound, chosen))
        took = await office.healed(since, bound)
        if took is None:
            result.late.append(f"{' + '.join(chosen)} after {bound:g} s: {'; '.join((await office.differences())[:5])}")
            if not silent:
                await office.calm()
            took = await office.healed(since, NEVER)
        if took is None:
            result.lost += await office.differences() or [f"{' + '.join(chosen)}: not well within {NEVER:g} s"]
        else:
            for kind in hit:
                result.kinds[kind].times.append(took)
        await faults.mend()
        if len(office.figures.wrong) > wrong:
            name = " + ".join(chosen)
            result.wrong[name] = result.wrong.get(name, 0) + len(office.figures.wrong) - wrong
        _tell(result, f"{' + '.join(chosen)}: {'NOT HEALED' if took is None else f'{took:.2f} s'}", silent=silent)


def _deck(faults: Faults, only: Collection[str], dice: random.Random) -> Iterator[str]:
    """All kinds, shuffled anew each time; the rare ones in every third turn."""
    for turn in itertools.count():
        kinds = [kind for kind in faults.kinds if kind in only or not (only or (turn % 3 and kind in faults.rare))]
        dice.shuffle(kinds)
        yield from kinds


def _tell(result: Run, words: str, *, silent: bool) -> None:
    """Keep the history, and show it to who watches."""
    line = f"{time.strftime('%H:%M:%S')} {result.injected:4d} {words}{', in silence' if silent else ''}"
    with (result.directory / "history.log").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def summary(result: Run, office: Office) -> dict[str, Any]:  # Any: JSON
    """The figures as plain values."""
    figures, changes = office.figures, office.truth.changes
    kinds = {
        name: {
            "injected": kind.injected,
            "healed": len(kind.times),
            "median_s": round(statistics.median(kind.times), 2) if kind.times else None,
            "longest_s": round(max(kind.times), 2) if kind.times else None,
        }
        for name, kind in sorted(result.kinds.items())
    }
    unseen = office.truth.unseen()
    return {
        "seed": result.seed,
        "seconds": round(result.seconds, 1),
        "faults_wanted": result.wanted,
        "faults_injected": result.injected,
        "faults_healed": result.healed,
        "pairs": result.pairs,
        "not_hit": result.not_hit,
        "late": result.late[:10],
        "kinds": kinds,
        "service_starts": office.service.starts,
        "answers": figures.answers,
        "unanswered": figures.unanswered,
        "live_states_checked": figures.live,
        "oldest_live_s": round(figures.oldest, 1),
        "changes_made": len(changes),
        "changes_seen": len(changes) - len(unseen),
        "changes_overtaken": len(unseen),
        "longest_unseen_s": round(max(unseen, default=0.0), 1),
        "wrong_live_answers": len(figures.wrong),
        "wrong_by_round": result.wrong,
        "wrong": figures.wrong[:10],
        "changes_lost": len(result.lost),
        "lost": result.lost[:10],
        "exit_code_of_service": result.exit_code,
        "left_at_the_server": result.left,
        "bugs": result.bugs[:10],
        **({} if office.programs is None else {"told": office.programs.figures.found()}),
    }


def verdict(found: dict[str, Any]) -> list[str]:  # Any: JSON
    """Why the run failed; nothing when it did not."""
    why = []
    if found["wrong_live_answers"]:
        why.append(f"{found['wrong_live_answers']} wrong live answers")
    if "told" in found and found["told"]["wrong"]:
        why.append(f"{found['told']['wrong']} states told over SOAP were wrong")
    if "told" in found and not found["told"]["states"]:
        why.append("nothing was told over SOAP")
    if found["changes_lost"]:
        why.append(f"{found['changes_lost']} changes lost")
    if found["bugs"] or found["exit_code_of_service"] != 0:
        why.append("a process broke")
    if any(found["left_at_the_server"].values()):
        why.append("something is left at the server")
    return why


def show(found: dict[str, Any]) -> None:  # Any: JSON
    """The figures for people."""
    print(f"{'fault':38} {'injected':>8} {'healed':>8} {'median':>9} {'longest':>9}")
    for name, kind in found["kinds"].items():
        median, longest = (f"{kind[key]:.1f} s" if kind[key] is not None else "-" for key in ("median_s", "longest_s"))
        print(f"{name:38} {kind['injected']:8} {kind['healed']:8} {median:>9} {longest:>9}")
    print()
    print(f"seed {found['seed']}, {found['seconds']:.0f} s, {found['service_starts']} starts of the service")
    print(f"faults injected     {found['faults_injected']:8}, {found['pairs']} pairs; {found['not_hit']} hit nothing")
    print(f"faults healed       {found['faults_healed']:8}")
    print(f"answers checked     {found['answers']:8}, {found['live_states_checked']} live states, the oldest "
          f"{found['oldest_live_s']:g} s; {found['unanswered']} times no answer")  # fmt: skip
    print(f"changes made        {found['changes_made']:8}")
    print(
        f"changes seen        {found['changes_seen']:8}, the others were overtaken by the contact's next one, "
        f"after {found['longest_unseen_s']:g} s at the latest"
    )
    print(f"wrong live answers  {found['wrong_live_answers']:8}")
    for name, count in found["wrong_by_round"].items():
        print(f"  {count} of them in rounds of {name}")
    print(f"changes lost        {found['changes_lost']:8}")
    if "told" in found:
        _show_told(found["told"])
    if found["faults_injected"] < found["faults_wanted"]:
        print(f"ended before {found['faults_wanted']} faults were injected (--minutes)")
    for name in ("wrong", "lost", "late", "bugs"):
        for each in found[name]:
            print(f"  {name.replace('_', ' ')}: {each}")


def _show_told(told: dict[str, Any]) -> None:  # Any: JSON
    """The part of it that is about SOAP."""
    print(f"told over SOAP      {told['states']:8} states in {told['replies']} replies, {told['by_as_of']} by as_of; "
          f"{told['unsaid']} unsaid by a fetch; the oldest was over for {told['oldest_s']:g} s")  # fmt: skip
    print(f"told as UNKNOWN     {told['unknown']:8}; {told['waited']} times told to wait (210, 212)")
    print(f"programs            {told['begun']:8} sessions, {told['notifications']} notifications, "
          f"{told['unanswered']} times no reply; faults {told['faults'] or 'none'}")  # fmt: skip
    print(f"wrong states told   {told['wrong']:8}")
    for each in told["examples"]:
        print(f"  {each}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description="Faults of every kind against real processes; see benchmarks/README.md"
    )
    parser.add_argument("--faults", type=int, default=300, help="how many (default 300)")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the history; printed, so that it can be played again"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="end after so many in any case (default 60)")
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="faults of this kind; repeatable")
    parser.add_argument("--facade", action="store_true", help="check what programs are told by the façade as well")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where they are")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else secrets.randbelow(1_000_000)
    directory = Path(tempfile.mkdtemp(prefix="pws-chaos-"))
    try:
        result, office = asyncio.run(run(asked.faults, seed, asked.minutes, directory, asked.only, facade=asked.facade))
    except UnknownFault as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if asked.keep:
            print(f"logs: {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    found = summary(result, office)
    why = verdict(found)
    if asked.json:
        print(json.dumps({**found, "failed": why}, indent=1))
    else:
        show(found)
        print("FAILED: " + ", ".join(why) if why else "all is well")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
