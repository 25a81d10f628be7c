"""Checks the replicas of a service: whether this one is reached where it says, the others, and whether all agree.

A running cluster is not disturbed: what the replicas say in the engine is only read, and each is asked `GET /livez` as
a replica asks it, with the signature that only replicas can make.
"""

from __future__ import annotations

import asyncio
import errno
import json
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pws_soap.errors import ArgumentError
from service import __version__
from service.cli.doctor.listener import answering, opened
from service.cli.shared.findings import Blame, Notebook, Tell
from service.cluster import wire
from service.cluster.engine import HIGHEST, BeatPlace, ClusterEngine, ClusterEngineError, LogPosition
from service.cluster.members import Member
from service.cluster.wire import BeatBody, WireError
from service.config import Config
from service.config.addresses import is_loopback
from service.config.cluster_section import ClusterSection
from service.runtime import replicas
from service.runtime.forward_seal import HEADER, BeatMoment, Seal
from service.runtime.peer_requests import PeerRequest, Peers, PeerUnreachable
from service.runtime.peers import HttpPeers

PATIENCE: Final = 3.0
"""Seconds for the answer of a replica."""
LISTENS: Final = 3.0
"""Seconds in which each replica that is there says so twice."""
STEP: Final = 0.2
"""Seconds between two looks at what they say."""
_ALIVE: Final = "/livez"
_MOST: Final = 10_000
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the engine says of the replicas: those that speak, those that have fallen silent, and who owns."""

    present: Sequence[Member]
    silent: Sequence[Member]
    unreadable: int
    owner: str | None
    epoch: int


async def look(config: Config, section: ClusterSection, tell: Tell) -> None:
    """Check this replica's address, and each of those that are there."""
    note = Notebook("replicas", tell)
    try:
        peers = HttpPeers(section.peers_ca_file)
    except ArgumentError as error:
        note.problem(str(error), "see cluster.peers_ca_file", fault=Blame.CONFIGURATION)
        return
    engine = replicas.engine_of(config, section)
    try:
        heard = await hear(engine)
        _report(heard, section, note)
        _secret_of_callback(config, note)
        asking = Asking(peers, section)
        own = Notebook(f"replica {urlsplit(section.advertise).netloc}", tell)
        _loopback(section, heard.present, own)
        await _own(config, section, asking, own)
        for member in heard.present:
            if member.address != section.advertise:
                await _other(member, asking, Notebook(f"replica {urlsplit(member.address).netloc}", tell))
        _agree(config, section, heard.present, note)
    except ClusterEngineError as error:
        note.problem(f"what they say cannot be read: {error}", "see what is found of the engine")
    finally:
        await peers.close()
        await engine.close()


async def hear(engine: ClusterEngine) -> Heard:
    """Listen until each replica has said something new, `LISTENS` seconds at most: what one said last stays there."""
    first, (place, beat) = await engine.members(), await _last_beat(engine)
    now, newest = first, place
    for _ in range(int(LISTENS / STEP)):
        if all(now.get(name) != data for name, data in first.items()) and (not first or newest != place):
            break
        await asyncio.sleep(STEP)
        now = await engine.members()
        newest, beat = await _last_beat(engine)
    present: list[Member] = []
    silent: list[Member] = []
    unreadable = 0
    for name, data in sorted(now.items()):
        try:
            member = wire.decode_member(data)
        except WireError:
            unreadable += 1
        else:
            (silent if first.get(name) == data else present).append(member)
    is_owned = newest != place and beat is not None and not beat.is_last
    return Heard(present, silent, unreadable, beat.address if beat is not None and is_owned else None, newest.epoch)


async def _last_beat(engine: ClusterEngine) -> tuple[BeatPlace, BeatBody | None]:
    news = await engine.follow(LogPosition(log=HIGHEST), 0.01)
    if not news.beats:
        return BeatPlace(), None
    last = news.beats[-1]
    try:
        body = wire.decode_beat(last.data)
    except WireError:
        body = None
    return BeatPlace(last.epoch, last.number), body


def _report(heard: Heard, section: ClusterSection, note: Notebook) -> None:
    unit = f"unit {section.unit}"
    addresses = ", ".join(member.address for member in heard.present)
    if heard.unreadable:
        what = f"{unit}: what {heard.unreadable} of them say cannot be read: they are of a newer version than this one"
        note.problem(what, "upgrade pws-presence here")
    if not heard.present:
        note.ok(f"{unit}: none is running")
    elif heard.owner is not None:
        note.ok(f"{unit}: {addresses}; {heard.owner} owns the sessions, epoch {heard.epoch}")
    else:
        what = f"{unit}: expected an owner of the sessions among {addresses}, found none within {LISTENS:g} s"
        note.problem(what, "look at the log of each: it says why it does not take the sessions")
    for member in heard.silent:
        what = f"{member.address} has said nothing for {LISTENS:g} s: its process has ended or stands still"
        note.warning(what, "start it again, where it should be there; else it is forgotten within a minute")
    for address, number in Counter(member.address for member in heard.present).items():
        if number > 1:
            what = f"{number} of them advertise {address}"
            note.problem(what, "give each a cluster.advertise of its own", fault=Blame.CONFIGURATION)


def _secret_of_callback(config: Config, note: Notebook) -> None:
    if config.callback.secret is not None:
        what = "callback.secret is set, and has to be the same at all replicas"
        note.warning(what, "leave it out: then it is made from cluster.secret")


# --- their addresses


class PeerSays(NamedTuple):
    """What something answers. `is_replica`: it has proved that it has our secret."""

    status: int
    body: bytes
    is_replica: bool


class Asking:
    """Asks a replica as another one does."""

    def __init__(self, peers: Peers, section: ClusterSection) -> None:
        self._peers = peers
        self._seal = Seal(section.secret)

    async def ask(self, address: str) -> PeerSays:
        """What it says. Raises PeerUnreachable."""
        signed = self._seal.request("GET", _ALIVE, "127.0.0.1", BeatMoment())
        request = PeerRequest("GET", _ALIVE, [(HEADER, signed)], b"")
        body = b""
        try:
            async with asyncio.timeout(PATIENCE), self._peers.ask(address, request) as reply:
                async for part in reply.body:
                    body += part
                    if len(body) > _MOST:
                        break
                values = [value for name, value in reply.headers if name.lower() == HEADER]
                return PeerSays(reply.status, body, values == [self._seal.answer(signed)])
        except TimeoutError:
            raise PeerUnreachable(f"no answer within {PATIENCE:g} s", may_have_acted=True) from None


async def _other(member: Member, asking: Asking, note: Notebook) -> None:
    if await _is_replica(member.address, asking, note, "its cluster.advertise"):
        note.ok(f"reached from here, with the same secret; version {member.version}")


def _loopback(section: ClusterSection, present: Sequence[Member], note: Notebook) -> None:
    others = {urlsplit(member.address).hostname or "" for member in present if member.address != section.advertise}
    are_here = bool(others) and all(map(is_loopback, others))
    if is_loopback(urlsplit(section.advertise).hostname or "") and not are_here:
        fix = "set it to an address of this machine that they reach"
        note.warning("cluster.advertise is a loopback address: replicas on other machines do not reach it", fix)


async def _own(config: Config, section: ClusterSection, asking: Asking, note: Notebook) -> None:
    """Check that cluster.advertise leads here: to the service, or where it is not running to a listener of ours."""
    host, port = config.http.host, config.http.port
    try:
        listening = opened(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            fix = "set http.host to an address of this machine"
            note.problem(f"cannot listen on {host}:{port}: {error.strerror or error}", fix)
        elif await _is_replica(section.advertise, asking, note, "cluster.advertise"):
            note.ok("cluster.advertise leads to a replica with this secret")
        return
    token = secrets.token_hex(16)
    async with answering(_saying(token), listening):
        try:
            body = (await asking.ask(section.advertise)).body
        except PeerUnreachable as error:
            what = f"cluster.advertise does not lead here ({host}:{port}): {error}"
            note.problem(what, "correct it, http.host or http.port, or the proxy that it leads to")
            return
    if body == token.encode():
        note.ok(f"cluster.advertise leads here ({host}:{port}); the service is not running")
    else:
        what = f"expected cluster.advertise to lead here ({host}:{port}), found another program there"
        note.problem(what, "give each replica a cluster.advertise of its own", fault=Blame.CONFIGURATION)


def _saying(token: str) -> ASGIApp:
    """A program that answers each request with a text."""

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await PlainTextResponse(token)(scope, receive, send)

    return program


async def _is_replica(address: str, asking: Asking, note: Notebook, key: str) -> bool:
    """Whether a replica with our secret answers there; else it is reported. `key` says where the address is from."""
    try:
        status, body, is_replica = await asking.ask(address)
    except PeerUnreachable as error:
        fix = f"correct {key}, or see to the network between: routes, firewalls, and http.host there"
        note.problem(f"{address} is not reached from here: {error}", fix)
        return False
    if is_replica and status == 200:
        return True
    kind = _kind(body)
    if kind == "not-allowed":
        what = "expected that it takes our signature, found that it refuses it: its secret is another one"
        note.problem(what, "copy the same cluster.secret_file to all replicas", fault=Blame.CONFIGURATION)
    elif kind == "host-not-allowed":
        fix = "advertise an address that it answers to (docs/access.md), or give it a key"
        note.problem(f"it does not answer to the name in {address}", fix, fault=Blame.CONFIGURATION)
    elif status == 200 and _says_alive(body):
        fix = "add [cluster] to its configuration and restart it, or correct the address"
        note.problem(f"expected a replica at {address}, found a service that runs by itself", fix)
    else:
        what = f"expected a replica at {address}, found something that answers HTTP {status}"
        note.problem(what, f"correct {key}, or the proxy that it leads to")
    return False


def _says_alive(body: bytes) -> bool:
    try:
        return bool(json.loads(body).get("alive") is True)
    except (ValueError, AttributeError):
        return False


def _kind(body: bytes) -> str:
    """The kind of a problem document; empty where it is none."""
    try:
        return str(json.loads(body).get("type", "")).removeprefix("/problems/")
    except (ValueError, AttributeError):
        return ""


# --- whether they agree


def _agree(config: Config, section: ClusterSection, present: Sequence[Member], note: Notebook) -> None:
    if not present:
        return
    mine = replicas.configuration_hash(config)
    others = [member.address for member in present if member.configuration != mine]
    if section.advertise in others:
        what = f"the replica at {section.advertise} runs with another configuration than this file"
        note.warning(what, "restart it, so that the file counts")
    elsewhere = sorted({address for address in others if address != section.advertise})
    if elsewhere:
        fix = (
            "compare nodes, application, [fetch], [lifecycle], [claims], [available], [[watch]], groups and keys; "
            "a change of contacts or keys is read at SIGHUP, any other at a restart"
        )
        what = f"expected one configuration ({mine} here), found another at {', '.join(elsewhere)}"
        note.problem(what, fix, fault=Blame.CONFIGURATION)
    versions = sorted({member.version for member in present} | {__version__})
    if len(versions) > 1:
        what = f"several versions of pws-presence: {', '.join(versions)} ({__version__} here)"
        note.warning(what, "go on with the update: that is meant for as long as one takes")
    if not others and len(versions) == 1:
        note.ok("one configuration and one version, here as well")
