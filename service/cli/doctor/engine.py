"""Checks the engine that the replicas share: Redis or Valkey, what it is, what it is set to, and whether it works.

What the replicas keep is only read. The trial writes under a name of its own and removes all of it, also after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final, Protocol

from service.cli.shared.findings import Notebook, Tell
from service.cluster.engine import (
    Batch,
    ClusterEngine,
    ClusterEngineError,
    EngineFacts,
    EngineFull,
    EngineReadOnly,
    EngineUnreachable,
    LeaseLost,
    LogPosition,
    NotReplicated,
    Put,
    Table,
    Taken,
    TenureOver,
)
from service.config import Config
from service.config.cluster_section import ClusterSection
from service.runtime import replicas
from service.runtime.replica_checks import is_too_old

POLICY: Final = "noeviction"
SLOW: Final = 0.1
"""Seconds for one command from which on it is a warning: a renewal of the lease may take one second."""
FAREWELL: Final = 3.0
"""Seconds for removing what the trial has written."""
_NOT_ALLOWED: Final = ("NOPERM", "no permissions", "user executing the script")
"""How the engine says that a user may not do something, by itself and within a script."""
_CONTACT: Final = "trial@example.invalid"


async def look(config: Config, section: ClusterSection, tell: Tell) -> bool:
    """Check it. False: it cannot be used, so that nothing can be said of the replicas."""
    note = Notebook(f"engine {section.address}", tell)
    engine = replicas.engine_of(config, section)
    try:
        facts = await engine.facts()
    except ClusterEngineError as error:
        _failed(error, section, note)
        return False
    finally:
        await engine.close()
    is_fit = _version(facts, note)
    if not facts.is_primary:
        fix = "name the primary in cluster.url, or let sentinels say which it is (redis+sentinel://)"
        note.problem("expected a primary, found a copy of another one, which takes no writes", fix)
        is_fit = False
    _eviction(facts, note)
    _persistence(facts, note)
    _copies(facts, section, note)
    return is_fit and await _try(config, section, note)


def _failed(error: ClusterEngineError, section: ClusterSection, note: Notebook) -> None:
    what, _, fix = str(error).removeprefix(f"the engine at {section.address} ").partition("; ")
    what = what.removeprefix(f"the engine at {section.address}: ")
    if "refuses us: NOAUTH" in what or "Authentication required" in what:
        what, fix = "it wants a password, and none is configured", "set cluster.password_file"
    elif isinstance(error, EngineUnreachable) and not fix:
        fix = "start Redis or Valkey there, correct cluster.url, or see to the network between"
        if section.address.tls and error.may_have_acted:  # it is connected, and hears nothing that it understands
            fix += "; where its port is without TLS, write redis:// in cluster.url"
        elif error.may_have_acted:
            fix += "; where its port speaks TLS, write rediss:// in cluster.url"
    elif isinstance(error, EngineFull):
        fix = "give it more memory (maxmemory), or where it cannot save, see its own log"
    elif isinstance(error, EngineReadOnly):
        fix = "name the primary in cluster.url, or let sentinels say which it is (redis+sentinel://)"
    note.problem(what, fix)


def _version(facts: EngineFacts, note: Notebook) -> bool:
    if is_too_old(facts):
        note.problem(f"expected Redis 7 or later, or Valkey, found Redis {facts.version}", "upgrade it")
        return False
    note.ok(f"{facts.name.capitalize()} {facts.version} answers")
    return True


def _eviction(facts: EngineFacts, note: Notebook) -> None:
    fix = "CONFIG SET maxmemory-policy noeviction, and in the engine's own configuration"
    if facts.eviction is None:
        note.warning(f"it does not say its maxmemory-policy, which has to be {POLICY}", "see to it where it is hosted")
    elif facts.eviction != POLICY:
        what = f"expected maxmemory-policy {POLICY}, found {facts.eviction}: where memory is short it drops claims or "
        note.problem(f"{what}the lease without a word", fix)
    else:
        note.ok(f"maxmemory-policy {POLICY}: it drops nothing; where memory is short, claims are refused")


def _persistence(facts: EngineFacts, note: Notebook) -> None:
    means = (
        "after a restart of it ids go on higher, streams begin anew with a snapshot, and claims stay only if a replica "
        "that knows them still runs"
    )
    if facts.persistent:
        note.ok("it keeps its data on disk: a restart loses what it has not saved yet, and the replicas notice")
    elif facts.persistent is None:
        note.warning(f"it does not say whether it keeps its data on disk; where it does not: {means}")
    else:
        fix = "set `appendonly yes` in its configuration, unless that is wanted"
        note.warning(f"it keeps its data in memory alone: {means}", fix)


def _copies(facts: EngineFacts, section: ClusterSection, note: Notebook) -> None:
    if section.address.service is not None and facts.fewest_copies == 0:
        fix = "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 2, and in the configuration of all three"
        what = (
            "expected min-replicas-to-write 1, since sentinels may name another primary, found 0: one that is cut off "
        )
        note.problem(f"{what}goes on beside the new one, and somebody may be claimed at both", fix)
    if section.durability != "replica":
        return
    if facts.replicas == 0:
        fix = 'connect a copy to it, or set cluster.durability = "local"'
        what = 'expected a copy of it, since cluster.durability is "replica", found none: no claim is granted'
        note.problem(what, fix)
    elif facts.replicas:
        note.ok(f"{facts.replicas} {'copy' if facts.replicas == 1 else 'copies'} of it: a claim counts once one has it")


async def _try(config: Config, section: ClusterSection, note: Notebook) -> bool:
    """One round of what replicas do, under a name of its own. A cancellation waits until all of it is removed."""
    trial = replicas.engine_of(config, section, trial=f"doctor-{secrets.token_hex(4)}")
    clock = asyncio.get_running_loop().time
    began = clock()
    is_well = False
    try:
        steps = await _round(trial)
        each = (clock() - began) / steps
        is_well = True
        took = f"a round of what replicas do (lease, beat, claim, log, snapshot, release), {each * 1000:.1f} ms a step"
        if each > SLOW:
            note.warning(took, "each claim and each change waits as long: look at its load and at the network between")
        else:
            note.ok(took)
    except NotReplicated:
        fix = 'look at the copies (INFO replication), or set cluster.durability = "local"'
        note.problem("no copy of it has confirmed a claim in time: no claim would be granted", fix)
    except (ClusterEngineError, TenureOver) as error:
        _failed_in_trial(error, section, note)
    finally:
        await _removed(trial, note)
    return is_well


def _failed_in_trial(error: ClusterEngineError | TenureOver, section: ClusterSection, note: Notebook) -> None:
    if isinstance(error, TenureOver):
        note.problem(f"what was written a moment ago is not there: {error}", "is something else emptying it?")
    elif any(word in str(error) for word in _NOT_ALLOWED):
        what = str(error).removeprefix(f"the engine at {section.address} ").partition("; ")[0]
        fix = f"give the user in cluster.url all commands on keys ~{{pws:{section.unit}}}:*, and INFO"
        note.problem(what, fix)
    else:
        _failed(error, section, note)


class TrialEngine(ClusterEngine, Protocol):
    """An engine with keys of its own, which it can remove."""

    async def erase(self) -> None:
        """Remove all of them."""
        ...


async def _round(trial: ClusterEngine) -> int:
    """Each verb once, and whether what was written can be read. Returns how many steps it were. Raises as they do."""
    token = secrets.token_hex(8)
    taken = await trial.take("doctor", "http://doctor.invalid", token)
    if not isinstance(taken, Taken):
        raise LeaseLost("the name of the trial is somebody else's")
    await trial.echo("doctor", b"\x01doctor")
    await trial.beat(taken.epoch, 1, taken.begins, b"beat")
    first, second = taken.begins + 1, taken.begins + 2
    await trial.commit(taken.epoch, taken.begins, Batch([(first, b"entry")], [Put(Table.NODES, "node", b"1")]))
    claimed = Batch([(second, b"claim")], [Put(Table.HELD, _CONTACT, b"trial")])
    held = await trial.claim(taken.epoch, first, claimed, [_CONTACT])
    again = Batch([(second + 1, b"again")], [Put(Table.HELD, _CONTACT, b"again")])
    twice = await trial.claim(taken.epoch, second, again, [_CONTACT])
    news = await trial.follow(LogPosition(log=taken.begins), 0.01)
    await trial.mark(b"mark")
    snapshot = await trial.snapshot()
    members = await trial.members()
    await trial.release(taken.epoch, 2, second, b"last", to="", handover=b"none")
    is_right = (
        not held
        and twice == {_CONTACT}
        and [entry.data for entry in news.entries] == [b"entry", b"claim"]
        and snapshot.last == second
        and snapshot.tables[Table.NODES] == {"node": b"1"}
        and members == {"doctor": b"\x01doctor"}
    )
    if not is_right:
        raise LeaseLost("it answers something else than was written")
    return 11


async def _removed(trial: TrialEngine, note: Notebook) -> None:
    async def remove() -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                await trial.erase()
        except (ClusterEngineError, TimeoutError):
            note.warning("what the trial wrote could not be removed", "delete the keys with `doctor-` in their names")
        finally:
            await trial.close()

    removing = asyncio.create_task(remove())
    try:
        await asyncio.shield(removing)
    except asyncio.CancelledError:
        await asyncio.wait([removing])
        raise
