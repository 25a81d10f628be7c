"""What can happen to three replicas, their engine and the presence server, as steps of a history; and how it must end.

A history can be chosen by Hypothesis, which shrinks it, or by plain dice, which are faster:

    python -m tests.support.cluster_history 0 1000        # histories by number; prints those that fail, and counts
    python -m tests.support.cluster_history 17 18 --steps 60 --show
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import logging
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pws_soap.simulator import Fault, NodeCondition
from service.cluster.engine import Table
from service.cluster.memory import EngineImage
from tests.support import cluster_clients
from tests.support.cluster_clients import Stream
from tests.support.virtual_cluster import NAMES, Configured, Process, VirtualCluster
from tests.support.virtual_office import STATES, names
from tests.support.virtual_time import VirtualLoop

CONTACTS: Final = names(4)
EXTRA: Final = "extra@example.com"
"""Who is watched only where the API adds them."""
LEAVER: Final = "leaver@example.com"
NEWCOMER: Final = "newcomer@example.com"
CONFIGURATIONS: Final = (
    Configured((*CONTACTS, LEAVER)),
    Configured((*CONTACTS, NEWCOMER), "another configuration"),
)
"""Who may be claimed is in both."""
HEALS: Final = 30.0
"""Seconds after the last fault within which everything is live everywhere."""
SERVER_HEALS: Final = 420.0
"""The same after faults of the presence server, whose calls are tried again after pauses that grow."""
FAULTS: Final = (
    "lose-reply",
    "abort-request",
    "delay-reply",
    "delay-request",
    "slow-reply",
    "http-503",
    "garble-reply",
    "drop-notification",
    "delay-notification",
    "duplicate-notification",
    "reorder-notification",
)
CODES: Final = (101, 131, 132, 133)
LONGEST: Final = 60.0
"""Seconds of the longest claim."""
WAITS: Final = (0.0, 0.05, 0.3, 1.0, 2.9, 6.0, 15.0)
"""Seconds that pass after a step."""
WAYS: Final = ("requests", "replies", "delay", "well")


STUCK: Final = 60.0
"""Seconds of CPU for one history, which takes one or two."""


class Begin(NamedTuple):
    """With what a history begins."""

    clocks: Sequence[tuple[float, float]] = ((0.0, 0.0), (500.0, 0.0004), (-300.0, -0.0004))
    """How far each clock is off, and how much too fast."""
    nodes: tuple[str, ...] = ("imp1",)
    seed: int = 0
    replicated: bool = False
    streams: int = 3


class History:
    """One history: every public coroutine is a step."""

    def __init__(self, begin: Begin) -> None:
        self.begin_with = begin
        self.cluster: VirtualCluster
        self.heals = HEALS
        self.streams: list[Stream] = []
        self.wanted: dict[str, bool | None] = {EXTRA: False}
        self.losses = 0
        """How often the engine has lost data."""
        self.lies = 0
        """How often the server has called something gone that is there."""
        self.jumps = 0
        """How often the engine's clock was put forward."""
        self._image: EngineImage | None = None
        self._image_at = 0.0

    async def begun(self) -> None:
        """All start, and are live."""
        begin = self.begin_with
        self.cluster = cluster = VirtualCluster(
            CONTACTS, begin.nodes, begin.clocks, seed=begin.seed, replicated=begin.replicated
        )
        for contact in (EXTRA, LEAVER, NEWCOMER):
            cluster.appears(contact)
        cluster.configured = dict.fromkeys(NAMES, CONFIGURATIONS[0])
        for name in NAMES:
            cluster.start(name)
        await cluster.heal(HEALS)
        self.streams = [Stream(cluster, number) for number in range(begin.streams)]
        for stream in self.streams:
            cluster.do(stream.run())
        self._keep_image()

    async def waited(self, seconds: float) -> None:
        """Let time pass, checking all along."""
        await self.cluster.look()
        await self.cluster.pass_time(seconds, step=max(0.02, seconds / 40))

    def _process(self, name: str) -> Process | None:
        return self.cluster.processes.get(name)

    def _keep_image(self) -> None:
        self._image, self._image_at = self.cluster.server.image(), self.cluster.loop.time()

    def _loses(self) -> None:
        self.losses += 1
        self.wanted[EXTRA] = None

    # --- people

    async def change(self, contact: str, state: Any) -> None:
        self.cluster.change(contact, state)
        await asyncio.sleep(0)
        self.cluster.check()

    # --- processes

    async def kill_or_start(self, name: str) -> None:
        if self._process(name) is None:
            self.cluster.start(name)
        else:
            await self.cluster.kill(name)

    async def kill_owner(self) -> None:
        if (owner := self.cluster.owner) is not None:
            await self.cluster.kill(owner.name)

    async def stop(self, name: str) -> None:
        """SIGTERM, while everything else goes on. Another one may start under its name before it has ended."""
        process = self._process(name)
        if process is None or not process.is_going:
            return
        self.cluster.do(self._stopped(process))
        await asyncio.sleep(0)

    async def stop_owner(self) -> None:
        if (owner := self.cluster.owner) is not None and owner.is_going:
            self.cluster.do(self._stopped(owner))
            await asyncio.sleep(0)

    async def _stopped(self, process: Process) -> None:
        """It goes on answering until it has ended."""
        await process.stop()
        if self.cluster.processes.get(process.name) is process:
            del self.cluster.processes[process.name]

    async def pause_or_go_on(self, name: str) -> None:
        if (process := self._process(name)) is not None:
            going = process.clock.going
            if going.is_set():
                going.clear()
            else:
                going.set()
            await asyncio.sleep(0)
            self.cluster.check()

    async def pause_owner(self) -> None:
        if (owner := self.cluster.owner) is not None:
            owner.clock.going.clear()

    async def other_configuration(self, name: str) -> None:
        """From its next start on."""
        configured = self.cluster.configured
        configured[name] = CONFIGURATIONS[CONFIGURATIONS.index(configured[name]) - 1]

    async def cut_or_mend(self, one: str, other: str) -> None:
        """The way from one replica to another."""
        self.cluster.cuts ^= {frozenset((one, other))}

    # --- the engine

    async def way_to_engine(self, name: str, what: str) -> None:
        if (process := self._process(name)) is not None:
            process.goes_to_engine(what)

    async def owners_way_to_engine(self, what: str) -> None:
        if (owner := self.cluster.owner) is not None:
            owner.goes_to_engine(what)

    async def engine_up_or_down(self) -> None:
        self.cluster.server.up = not self.cluster.server.up

    async def engine_full_or_not(self) -> None:
        self.cluster.server.full = not self.cluster.server.full

    async def remember_engine(self) -> None:
        self._keep_image()

    async def engine_loses(self, everything: bool) -> None:  # chosen by name
        """It restarts with what it had written to disk, or with nothing."""
        self._loses()
        self.cluster.server.rewind(None if everything else self._image)
        self.cluster.engine_loses(float("-inf") if everything else self._image_at)

    async def engine_is_spoiled(self, which: int) -> None:
        """Another program overwrites what a replica that joins reads."""
        found = [
            (table, field)
            for table, values in self.cluster.server.snapshot().tables.items()
            if table in {Table.RECORDS, Table.FEEDS, Table.ORDER, Table.TENURE}
            for field in sorted(values)
        ]
        if found:
            table, field = found[which % len(found)]
            if table is Table.TENURE:
                self._loses()
            self.cluster.server.spoil(table, field, b"not ours")

    async def copy_is_cut_or_not(self) -> None:
        """The way from the engine to its copy."""
        self.cluster.server.has_copy = not self.cluster.server.has_copy

    async def copy_goes_on(self) -> None:
        """The copy becomes the engine. What was answered only because it had it, is there."""
        self._loses()
        self.cluster.server.fail_over()
        if not self.cluster.replicated:
            self.cluster.engine_loses(self.cluster.caught_up)

    async def engine_clock(self, seconds: float) -> None:
        """Somebody puts the clock right, by which leases expire."""
        self.jumps += seconds > 0
        clock = self.cluster.server.clock
        assert hasattr(clock, "wall")
        clock.wall += seconds

    # --- the presence server

    async def way_to_server(self, name: str) -> None:
        self.heals = SERVER_HEALS
        if (process := self._process(name)) is not None:
            process.is_cut_off = not process.is_cut_off

    async def fault(self, kind: str, count: int, length: float) -> None:
        self.heals = SERVER_HEALS
        more: dict[str, Any] = {"seconds": length} if kind.startswith(("delay", "slow", "reorder")) else {}
        self.cluster.simulator.faults.add(Fault(kind, count=count, **more))

    async def refuse(self, code: int, count: int) -> None:
        self.heals = SERVER_HEALS
        self.lies += count
        self.cluster.simulator.faults.add(Fault("refuse", code=code, count=count))

    async def node(self, first: bool, condition: NodeCondition) -> None:
        self.heals = SERVER_HEALS
        self.cluster.simulator.set_state(self.cluster.nodes[0 if first else -1], condition)

    async def server_forgets(self, what: str) -> None:
        self.heals = SERVER_HEALS
        if what == "sessions":
            self.cluster.simulator.kill_sessions()
        else:
            self.cluster.simulator.forget(what)

    # --- clients

    async def claim(self, seconds: float, wait: int | None, patience: float) -> None:
        self.cluster.do(cluster_clients.claim(self.cluster, seconds, wait, patience))
        await asyncio.sleep(0)

    async def renew(self, which: int) -> None:
        if claims := list(self.cluster.claims.values()):
            self.cluster.do(cluster_clients.renew(self.cluster, claims[which % len(claims)], 20.0))

    async def release(self, which: int) -> None:
        if claims := list(self.cluster.claims.values()):
            self.cluster.do(cluster_clients.release(self.cluster, claims[which % len(claims)]))
            await asyncio.sleep(0)

    async def read_now(self, contact: str) -> None:
        self.cluster.do(cluster_clients.read_now(self.cluster, contact))

    async def walk(self, sort: str) -> None:
        self.cluster.do(cluster_clients.walk(self.cluster, sort))

    async def watch(self, add: bool) -> None:
        self.cluster.do(cluster_clients.watch(self.cluster, EXTRA, self.wanted, add=add))

    async def hang_up(self, which: int) -> None:
        if self.streams:
            self.streams[which % len(self.streams)].hang_up()

    # --- of histories that somebody wrote

    async def live_within(self, seconds: float) -> None:
        """Everything is live everywhere, and true."""
        await self.cluster.heal(seconds)

    # --- the end

    async def healed(self) -> None:
        """No more faults: one owner, all live everywhere and in all streams, and little is left at the server. Then all
        stop, and nothing is left."""
        cluster = self.cluster
        cluster.simulator.faults.clear()
        for name in cluster.nodes:
            cluster.simulator.set_state(name, NodeCondition.UP)
        cluster.server.up, cluster.server.full, cluster.server.has_copy = True, False, True
        cluster.cuts.clear()
        for process in cluster.processes.values():
            process.is_cut_off = False
            process.goes_to_engine("well")
            process.clock.going.set()
        for name in NAMES:
            await self._runs_as_configured(name)
        cluster.check()
        await cluster.pass_time(4.0)
        if cluster.has_lost_notifications:
            self.heals = SERVER_HEALS
        await cluster.heal(self.heals)
        cluster.change(CONTACTS[1], STATES[3])
        await cluster.pass_time(2.0)
        await cluster.heal(self.heals)
        await self._streams_know()
        assert len([each for each in cluster.processes.values() if each.replica.ownership.sync is not None]) == 1
        self._watches_what_was_answered()
        await cluster.look()
        await self._only_one_session()
        await self._claims_end()
        for name in list(cluster.processes):
            await cluster.until(cluster.stop(name))
        assert self.losses or not cluster.left(), cluster.left()

    async def _runs_as_configured(self, name: str) -> None:
        cluster = self.cluster
        cluster.configured[name] = CONFIGURATIONS[0]
        process = self._process(name)
        if process is not None and (process.has_ended or process.configured is not CONFIGURATIONS[0]):
            await cluster.kill(name)
            process = None
        if process is None:
            cluster.start(name)

    async def _streams_know(self) -> None:
        until = self.cluster.loop.time() + HEALS
        while wrong := [problem for stream in self.streams for problem in stream.wrong()]:
            assert self.cluster.loop.time() < until, wrong[:4]
            await self.cluster.pass_time(0.5)

    def _watches_what_was_answered(self) -> None:
        wanted = self.wanted[EXTRA]
        for process in self.cluster.processes.values():
            known = {record.contact for record in process.store.records()}
            assert wanted is None or (EXTRA in known) == wanted, f"{process} knows {known}, {EXTRA}: {wanted}"
            assert known <= {*CONTACTS, LEAVER, EXTRA}, known

    async def _only_one_session(self) -> None:
        """Of the application and of the end user, with one endpoint and one subscription. Where the engine has lost on
        which nodes they are, more may stay until they expire; so may what an owner makes whose lease has ended too
        early, since the engine's clock was put forward."""
        until, nodes = self.cluster.loop.time() + self.heals, len(self.cluster.nodes)
        one = nodes + self.losses if self.losses else 1
        one += self.lies + self.jumps
        most = {"endpoint": one, "subscription": one, "session": 2 * nodes if self.losses else 1 + nodes}
        while True:
            left = self.cluster.left()
            found = Counter(each.split()[1] for each in left)
            if all(count <= most[what] for what, count in found.items()):
                break
            assert self.cluster.loop.time() < until, left
            await self.cluster.pass_time(1.0)

    async def _claims_end(self) -> None:
        """However often the owner changed. Each owner may have given them their whole length again."""
        until = self.cluster.loop.time() + 2 * LONGEST
        while leases := [
            lease for each in self.cluster.processes.values() for lease in each.core.claim_service.leases()
        ]:
            assert self.cluster.loop.time() < until, leases
            await self.cluster.pass_time(2.0, step=1.0)

    async def closed(self) -> None:
        """End everything."""
        await self.cluster.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


Dice = random.Random
STEPS: Final[Mapping[str, tuple[int, Callable[[Dice], dict[str, Any]]]]] = {
    "change": (4, lambda dice: {"contact": dice.choice(CONTACTS), "state": dice.choice(STATES)}),
    "kill_or_start": (3, lambda dice: {"name": dice.choice(NAMES)}),
    "kill_owner": (1, lambda _dice: {}),
    "stop": (1, lambda dice: {"name": dice.choice(NAMES)}),
    "stop_owner": (2, lambda _dice: {}),
    "pause_or_go_on": (2, lambda dice: {"name": dice.choice(NAMES)}),
    "pause_owner": (1, lambda _dice: {}),
    "other_configuration": (1, lambda dice: {"name": dice.choice(NAMES)}),
    "cut_or_mend": (1, lambda dice: dict(zip(("one", "other"), dice.sample(NAMES, 2), strict=True))),
    "way_to_engine": (2, lambda dice: {"name": dice.choice(NAMES), "what": dice.choice(WAYS)}),
    "owners_way_to_engine": (2, lambda dice: {"what": dice.choice(WAYS)}),
    "engine_up_or_down": (1, lambda _dice: {}),
    "engine_full_or_not": (1, lambda _dice: {}),
    "remember_engine": (1, lambda _dice: {}),
    "engine_loses": (1, lambda dice: {"everything": dice.random() < 0.5}),
    "engine_is_spoiled": (1, lambda dice: {"which": dice.randint(0, 30)}),
    "copy_is_cut_or_not": (1, lambda _dice: {}),
    "copy_goes_on": (1, lambda _dice: {}),
    "engine_clock": (1, lambda dice: {"seconds": dice.choice((-2.0, 2.0, 60.0))}),
    "way_to_server": (1, lambda dice: {"name": dice.choice(NAMES)}),
    "fault": (
        2,
        lambda dice: {
            "kind": dice.choice(FAULTS),
            "count": dice.randint(1, 3),
            "length": dice.choice((0.3, 4.0, 12.0)),
        },
    ),
    "refuse": (1, lambda dice: {"code": dice.choice(CODES), "count": dice.randint(1, 3)}),
    "node": (1, lambda dice: {"first": dice.random() < 0.7, "condition": dice.choice(list(NodeCondition))}),
    "server_forgets": (1, lambda dice: {"what": dice.choice(("sessions", "endpoints", "subscriptions", "everything"))}),
    "claim": (
        5,
        lambda dice: {
            "seconds": dice.choice((5.0, 15.0, LONGEST)),
            "wait": dice.choice((None, None, 5)),
            "patience": dice.choice((0.5, 30.0)),
        },
    ),
    "renew": (1, lambda dice: {"which": dice.randint(0, 5)}),
    "release": (2, lambda dice: {"which": dice.randint(0, 5)}),
    "read_now": (1, lambda dice: {"contact": dice.choice(CONTACTS)}),
    "walk": (1, lambda dice: {"sort": dice.choice(("contact", "state", "-changed_at"))}),
    "watch": (1, lambda dice: {"add": dice.random() < 0.5}),
    "hang_up": (1, lambda dice: {"which": dice.randint(0, 5)}),
}
"""The steps, each with how often it comes, and what it is chosen with."""


_ALWAYS: Final = frozenset({"change", "claim", "kill_or_start"})


class Failed(NamedTuple):
    """A history that broke the promise, and up to which step it went."""

    steps: Sequence[str]
    error: BaseException


def steps_of(seed: int, count: int) -> tuple[Begin, list[tuple[str, dict[str, Any], float]]]:
    """The history with this number."""
    dice = random.Random(seed)  # noqa: S311  # chooses a history
    clocks = [(dice.uniform(-1000, 1000), dice.uniform(-0.0005, 0.0005)) for _ in NAMES]
    nodes = dice.choice((("imp1",), ("imp1", "imp2")))
    begin = Begin(clocks, nodes, seed, dice.random() < 0.3, dice.choice((0, 3, 3, 24)))
    # Each history has some kinds of steps only: with all of them at once little else than failing would go on.
    share = dice.choice((0.15, 0.3, 0.6))
    kinds = [name for name in STEPS if name in _ALWAYS or dice.random() < share]
    weights = [STEPS[name][0] for name in kinds]
    chosen = dice.choices(kinds, weights, k=count)
    return begin, [(name, STEPS[name][1](dice), dice.choice(WAITS)) for name in chosen]


def play(
    begin: Begin,
    steps: Sequence[tuple[str, dict[str, Any], float]],
    counts: Counter[str] | None = None,
    show: Callable[[str, History], object] = lambda _step, _history: None,
) -> Failed | None:
    """Play a history; None: it is right."""
    loop, history, said = VirtualLoop(), History(begin), []

    def run(work: Coroutine[Any, Any, Any]) -> None:
        loop.run_until_complete(work)

    try:
        run(history.begun())
        for name, words, wait in steps:
            said.append(f"{loop.time() - 1000:.2f} {name}({', '.join(f'{k}={v!r}' for k, v in words.items())}), {wait}")
            run(_shown(show, said[-1], history))
            run(getattr(history, name)(**words))
            run(history.waited(wait))
        said.append("healed")
        run(_shown(show, "healed", history))
        run(history.healed())
    except (Exception, Stuck) as error:  # noqa: BLE001  # whatever went wrong is told
        return Failed(said, error)
    finally:
        if counts is not None and hasattr(history, "cluster"):
            counts.update(history.cluster.done)
        with contextlib.suppress(Exception):
            run(history.closed())
        loop.close()
    return None


class Stuck(KeyboardInterrupt):
    """A history goes on for ever without that time passes. Of this kind, since asyncio logs all others and goes on."""


def _stuck(_signal: int, _frame: object) -> None:
    traceback.print_stack(limit=12)
    raise Stuck


async def _shown(show: Callable[[str, History], object], step: str, history: History) -> None:
    show(step, history)


def main() -> None:
    """Play histories by number."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--most", type=int, default=5, help="how many may fail before it ends")
    parser.add_argument("--seconds", type=float, default=1e9, help="how long it goes on")
    parser.add_argument("--show", action="store_true", help="each step and what the replicas are")
    words = parser.parse_args()
    logging.getLogger("pws").propagate = False
    counts: Counter[str] = Counter()
    began, failed = time.monotonic(), 0

    def show(step: str, history: History) -> None:
        if words.show:
            told = ", ".join(map(repr, history.cluster.processes.values()))
            print(step, told, history.cluster.server, sep="\n    ")  # noqa: T201

    signal.signal(signal.SIGVTALRM, _stuck)
    for seed in range(words.first, words.end):
        begin, steps = steps_of(seed, words.steps)
        signal.setitimer(signal.ITIMER_VIRTUAL, STUCK)
        found = play(begin, steps, counts, show)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        counts["histories"] += 1
        if found is not None:
            failed += 1
            text = f"{type(found.error).__name__}: {found.error}"
            print(f"{seed}: {text[:3000]}\n    {begin}", *found.steps[-8:], sep="\n    ", flush=True)  # noqa: T201
        if failed >= words.most or time.monotonic() - began > words.seconds:
            break
    print(failed, "failed", round(time.monotonic() - began), "s", dict(sorted(counts.items())))  # noqa: T201


if __name__ == "__main__":
    main()
