"""Whether the histories of replicas can fail at all: each mistake is made on purpose, and a history finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import pytest

from pws_soap.lifecycle import Memory
from pws_soap.simulator import NodeCondition
from service.cluster import tables
from service.cluster.clock_mapping import ClockMapping
from service.cluster.engine import LEASE, Batch, Beat, Table
from service.cluster.memory import MemoryServer
from service.cluster.mirroring import Follower
from service.core.claims.service import ClaimService
from service.runtime.committing import Committing
from service.runtime.engine_memory import EngineMemory
from service.runtime.ownership import Ownership
from tests.support.cluster_history import CONTACTS, Begin, play
from tests.support.virtual_office import STATES

Steps = Sequence[tuple[str, Mapping[str, Any], float]]
BEGIN = Begin(streams=2)
CLAIM = ("claim", {"seconds": 60.0, "wait": None, "patience": 30.0}, 0.0)


def change(number: int, state: int, then: float) -> tuple[str, Mapping[str, Any], float]:
    return "change", {"contact": CONTACTS[number], "state": STATES[state]}, then


async def at_once(*_: object) -> None:
    """Nothing is waited for."""


def confirm_at_once(self: Follower) -> None:
    """A beat counts before the entry that it names has come."""
    if come := [beat for epoch, beat in self._waiting if epoch == self.epoch]:
        self._mirror.confirmed(map(self._localizer(self.epoch).feed, come[-1].feeds), 2**52)


def without_claims(puts_of: Any) -> Any:
    def found(*arguments: Any) -> Any:
        return [put for put in puts_of(*arguments) if put.table not in {Table.CLAIMS, Table.HELD}]

    return found


def told_at_once(offer: Any) -> Any:
    def offered(self: Committing, entries: Any) -> None:
        offer(self, entries)
        if entries:
            self._told(entries[-1].id)

    return offered


def beat_anywhere(self: MemoryServer, epoch: int, number: int, _last: int, data: bytes) -> None:
    """The engine has gone back, and the owner's beats do not notice."""
    self._owned(epoch).expires = self.clock.now() + LEASE
    self._beat(Beat(epoch, number, data))


def commit_anywhere(commit: Any) -> Any:
    """The same of what it commits."""

    def committed(self: MemoryServer, epoch: int, previous: int, batch: Batch, contacts: Sequence[str] = ()) -> Any:
        is_there = bool(batch.entries) and self.last == batch.entries[-1][0]
        return commit(self, epoch, previous if is_there else self.last, batch, contacts)

    return committed


ALL_ANEW: Steps = [
    CLAIM,
    CLAIM,
    *[("kill_or_start", {"name": name}, 0.0) for name in "abc"],
    *[("kill_or_start", {"name": name}, 0.0) for name in "abc"],
    change(0, 1, 15.0),
]
KILLED: Steps = [CLAIM, CLAIM, CLAIM, ("kill_owner", {}, 15.0)]
ALL_KILLED: Steps = [
    ("copy_is_cut_or_not", {}, 1.0),
    CLAIM,
    CLAIM,
    *[("kill_or_start", {"name": name}, 0.0) for name in "abc"],
    ("copy_goes_on", {}, 3.0),
    *[("kill_or_start", {"name": name}, 0.0) for name in "abc"],
    change(0, 1, 15.0),
]
BEHIND: Steps = [
    *[("way_to_engine", {"name": name, "what": "delay"}, 0.0) for name in "bc"],
    *[step for state in (1, 2, 3, 0) * 3 for step in [change(n, state, 0.05 * n) for n in range(4)]],
]
WAITS_FOR_ENGINE: Steps = [("owners_way_to_engine", {"what": "requests"}, 0.3), CLAIM, ("kill_owner", {}, 15.0)]
SLOWLY: Steps = [("owners_way_to_engine", {"what": "delay"}, 0.0), change(0, 1, 1.0)]
GOES_BACK: Steps = [("remember_engine", {}, 0.0), change(0, 1, 1.0), ("engine_loses", {"everything": False}, 0.0)]
FORGETS_A_CLAIM: Steps = [
    ("remember_engine", {}, 0.0),
    (*CLAIM[:2], 0.3),
    ("engine_loses", {"everything": False}, 0.0),
    change(0, 1, 0.3),
    ("kill_owner", {}, 15.0),
]
ON_ANOTHER_NODE: Steps = [
    ("node", {"first": True, "condition": NodeCondition.DOWN}, 43.4),
    ("owners_way_to_engine", {"what": "requests"}, 2.0),
    ("kill_owner", {}, 0.0),
    ("node", {"first": True, "condition": NodeCondition.UP}, 10.0),
]
"""The owner goes to the second node while the engine does not hear it, and dies there."""
FAST_CLOCKS = Begin(((0.0, 0.0005), (500.0, -0.0005), (-300.0, -0.0005)), streams=2)

MISTAKES: Mapping[str, tuple[Any, str, Any, Begin, Steps]] = {
    "no reset": (EngineMemory, "read", lambda _self: Memory(), BEGIN, KILLED),
    "a claim is answered before it is accepted": (Committing, "reached", at_once, BEGIN, WAITS_FOR_ENGINE),
    "a claim does not wait for the copy": (
        MemoryServer,
        "catch_up",
        lambda _self: True,
        Begin(replicated=True, streams=0),
        ALL_KILLED,
    ),
    "told before it is accepted": (Committing, "offer", told_at_once(Committing.offer), BEGIN, SLOWLY),
    "beats do not notice that the engine has gone back": (
        MemoryServer,
        "beat",
        beat_anywhere,
        BEGIN,
        [*GOES_BACK, *[("kill_or_start", {"name": "b"}, 0.0)] * 2, ("live_within", {"seconds": 10.0}, 0.0)],
    ),
    "commits do not notice that the engine has gone back": (
        MemoryServer,
        "commit",
        commit_anywhere(MemoryServer.commit),
        BEGIN,
        FORGETS_A_CLAIM,
    ),
    "a login does not wait until it is remembered where": (
        EngineMemory,
        "stored",
        at_once,
        Begin(nodes=("imp1", "imp2"), streams=0),
        ON_ANOTHER_NODE,
    ),
    "claims are not written": (tables, "puts_of", without_claims(tables.puts_of), BEGIN, ALL_ANEW),
    "claims are not loaded": (
        ClaimService,
        "restore",
        lambda *_: None,
        BEGIN,
        [
            CLAIM,
            *[("kill_or_start", {"name": "b"}, then) for then in (0.0, 3.0)],
            *[("kill_or_start", {"name": name}, 0.0) for name in "ac"],
            change(0, 1, 15.0),
        ],
    ),
    "answers by key are not written": (
        Ownership,
        "_keep_replay",
        lambda *_: None,
        BEGIN._replace(seed=2),
        [*KILLED, *KILLED[:3]],
    ),
    "a mirror trusts too early": (Follower, "_confirm", confirm_at_once, BEGIN._replace(seed=7), BEHIND),
    "moments of the owner come too late": (
        ClockMapping,
        "not_later",
        lambda self, at: self.not_earlier(at) + 0.5,
        FAST_CLOCKS,
        BEHIND,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MISTAKES)
def test_the_history_finds_it(name: str) -> None:
    """The very same history is right without the mistake."""
    where, what, wrong, begin, steps = MISTAKES[name]
    played = [(step, dict(words), then) for step, words, then in steps]
    assert play(begin, played) is None
    with mock.patch.object(where, what, wrong):
        assert play(begin, played) is not None
