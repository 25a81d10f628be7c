"""The parts of a replica put together: the engine that the replicas share, what waits for it, roles and forwarding.

The assembly imports it where the configuration has [cluster], and nobody else pays for it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from pws_soap.models import Secret
from service import __version__
from service.access.authentication import Authenticator
from service.cluster import tables
from service.cluster.engine import Put
from service.cluster.mirroring import Follower
from service.cluster.redis_engine import RedisEngine
from service.cluster.upstream import upstream_of
from service.config import Config
from service.config.api_sections import KeySection
from service.config.cluster_section import ClusterSection
from service.core.clock import Clock
from service.core.events.commits import LogEntry
from service.core.meter import Meter
from service.core.presence.memory_store import MemoryStore
from service.core.rights import Rights
from service.core.wiring import Core
from service.runtime.committing import Committing
from service.runtime.forward_failures import ForwardFailures
from service.runtime.forward_seal import derived_key
from service.runtime.forwarding import Forwarding
from service.runtime.hand_over import SessionDigests
from service.runtime.holding import ReplicaIdentity
from service.runtime.metered_engine import MeteredEngine
from service.runtime.peer_requests import Peers
from service.runtime.peers import HttpPeers
from service.runtime.replica import Replica
from service.runtime.replica_engine import ReplicaEngine
from service.sync.engine import SyncEngine
from service.sync.session_memory import SessionMemory

MakeEngine = Callable[[SessionMemory, Rights], SyncEngine]
"""Makes what keeps in step with the server for one tenure."""


@dataclass(frozen=True, slots=True)
class ReplicaParts:
    """What there is before core is made: `committing` accepts what core has to tell."""

    section: ClusterSection
    engine: MeteredEngine
    committing: Committing
    identity: ReplicaIdentity
    peers: Peers
    forwarded: Counter[str] = field(default_factory=Counter)
    """Requests that were passed on to the owner, by outcome."""
    failures: ForwardFailures = field(default_factory=ForwardFailures)

    @property
    def callback_secret(self) -> Secret:
        """The callback's path: the same at all replicas, so that notifications may reach any."""
        key = derived_key(self.section.secret, f"callback of {self.section.unit}")
        return Secret(base64.urlsafe_b64encode(key).decode().rstrip("="))

    def replica(
        self, config: Config, core: Core, store: MemoryStore, clock: Clock, bound: float, meter: Meter, make: MakeEngine
    ) -> tuple[Replica, ReplicaEngine]:
        """The replica, and the engine that the routes ask."""
        follower = Follower(core, store, self.identity.name, self.identity.upstream)
        core.reader.name_replica(self.identity.name)
        self.committing.bind(core.log.told, partial(_puts_of, core))
        contacts = {each.end_user: each.contacts for each in config.watch}

        def tenure(memory: SessionMemory) -> SyncEngine:
            return make(memory, replica)

        callback = config.callback.address(config.callback.secret or self.callback_secret)
        digests = SessionDigests(derived_key(self.section.secret, "sessions"), callback)
        parts = self.identity, self.engine, clock, core, self.committing, follower
        replica = Replica(*parts, tenure, contacts, digests=digests)
        engine = ReplicaEngine(
            replica,
            store,
            bound,
            clock,
            meter,
            unit=self.section.unit,
            forwarded=lambda: self.forwarded,
            failures=self.failures,
        )
        return replica, engine

    def reconfigured(
        self, replica: Replica, config: Config, contacts: Mapping[str, Sequence[str]], keys: Mapping[str, KeySection]
    ) -> None:
        """The configuration was read again: these contacts and keys are in use from now on."""
        agreed = configuration_hash(config, contacts, keys)
        replica.identity = replace(replica.identity, configuration=agreed)

    def around(self, app: ASGIApp, replica: Replica, config: Config, authenticator: Authenticator) -> Forwarding:
        """The program, with what another replica has to answer passed on to it."""
        return Forwarding(
            app,
            replica,
            self.peers,
            self.section.secret,
            authenticator,
            root_path=config.http.root_path,
            max_body=config.limits.max_body_bytes,
            outcomes=self.forwarded,
            failures=self.failures,
        )


def engine_of(config: Config, section: ClusterSection, *, trial: str = "") -> RedisEngine:
    """The way to the engine, with keys of its own for a `trial`. Nothing is opened."""
    return RedisEngine(
        section.address,
        section.unit,
        kept=config.stream.buffer,
        password_file=section.password_file,
        ca_file=section.ca_file,
        replicated=section.durability == "replica",
        trial=trial,
    )


def begin(config: Config, section: ClusterSection, clock: Clock) -> ReplicaParts:
    """The parts that need nothing of core. Nothing is opened."""
    engine = MeteredEngine(engine_of(config, section), clock)
    name = f"{urlsplit(section.advertise).netloc} {secrets.token_hex(4)}"
    upstream = upstream_of(config.application.username, (urlsplit(url).netloc for url in config.server.urls()))
    identity = ReplicaIdentity(name, section.advertise, __version__, configuration_hash(config), upstream)
    return ReplicaParts(section, engine, Committing(engine, clock), identity, HttpPeers(section.peers_ca_file))


def configuration_hash(
    config: Config,
    contacts: Mapping[str, Sequence[str]] | None = None,
    keys: Mapping[str, KeySection] | None = None,
) -> str:
    """What the replicas have to agree about, in a few letters. No secret goes in.

    `contacts` by end user and `keys` are those in use since a reload; None: those of `config`.
    """
    contacts = {each.end_user: each.contacts for each in config.watch} if contacts is None else contacts
    keys = config.keys if keys is None else keys
    agreed = (
        config.server.nodes,
        config.server.tls,
        config.application.username,
        config.callback.url,
        config.fetch,
        config.lifecycle,
        config.claims,
        config.available,
        sorted((each.end_user, each.presence_type) for each in config.watch),
        sorted((user, sorted(watched)) for user, watched in contacts.items()),
        sorted(config.groups.items()),
        [repr(target) for target in config.webhooks],
        sorted((name, repr(key)) for name, key in keys.items()),
    )
    return hashlib.sha256(repr(agreed).encode()).hexdigest()[:12]


def _puts_of(core: Core, entry: LogEntry, epoch: int) -> list[Put]:
    return tables.puts_of(entry, epoch, core)
