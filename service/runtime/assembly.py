"""A configuration made into a running service: every part built once, here, and handed what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.types import ASGIApp

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.models import PresenceType, Secret
from pws_soap.transport import HttpTransport, Transport
from pws_soap.trust import Trust
from service import __version__
from service.access.authentication import Authenticator
from service.access.networks import Sources
from service.api.app import Program, create_app
from service.api.routes.callback import Callback, alone
from service.api.routes.demo import Playground
from service.config import Config
from service.config.api_sections import KeySection
from service.config.cluster_section import ClusterSection
from service.core.claims.service import ClaimRules
from service.core.clock import Clock, SystemClock
from service.core.engine import Engine
from service.core.events.commits import IMMEDIATE, NotCommitted
from service.core.events.event import EventData
from service.core.events.history import History
from service.core.events.trends import DEFAULT_INTERVAL, Trends
from service.core.meter import Meter
from service.core.presence.availability import Availability
from service.core.presence.freshness import default_bound
from service.core.presence.memory_store import MemoryStore
from service.core.presence.store import Store
from service.core.rights import ALL_RIGHTS, Rights
from service.core.tracing import ID_TRACER, Tracer
from service.core.webhooks import NoWebhooks, Webhooks
from service.core.wiring import Core
from service.logs.redaction import Redactor
from service.metrics.collector import Connections
from service.metrics.exposition import Metrics
from service.runtime import access_rules, change_lines
from service.runtime.audit_file import AuditFile
from service.runtime.webhook_files import WebhookFiles
from service.sync.budget import BudgetedTransport, RequestBudget
from service.sync.canary import Canary, CanarySettings, quiet_states
from service.sync.commands import Credentials
from service.sync.engine import SyncEngine
from service.sync.revisions import Revisions
from service.sync.session_memory import SessionMemory
from service.sync.state_file import StateFile
from service.sync.subscriptions import FetchSettings
from service.sync.watchlist import Reloaded

if TYPE_CHECKING:
    from service.facade.facade import SoapFacade
    from service.runtime.forwarding import Forwarding
    from service.runtime.replicas import ReplicaParts
    from service.runtime.webhooks import OwnersDeliveries
    from service.webhooks.deliveries import Deliveries

AUDIT_LIMIT: Final = 2.0
"""Seconds that the end of the service waits for the audit's disk."""

log = logging.getLogger("pws.service")

_DEMO_INTERVAL = 5.0
"""Seconds between samples of the picture over time in a demonstration, of which minutes are watched."""


class RunningEngine(Engine, Protocol):
    """The engine as the one who runs the service sees it. `refused` is set where only the operator can mend the first
    login, `refusal` says why."""

    @property
    def refused(self) -> asyncio.Event:
        """Set when the very first login is refused."""
        ...

    @property
    def refusal(self) -> str:
        """Why, in words."""
        ...

    def start(self, contacts: Mapping[str, Sequence[str]]) -> None:
        """Begin to watch these, by end user."""
        ...

    async def reload(self, contacts: Mapping[str, Sequence[str]]) -> Reloaded:
        """The configuration was read again."""
        ...

    def let_go(self) -> None:
        """The service is about to stop."""
        ...

    async def stop(self, limit: float) -> None:
        """Leave nothing at the server, for `limit` seconds at most."""
        ...


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts that belong together. `callback` is the program of the second listener, where there is one."""

    app: Program
    served: ASGIApp
    """The program that listens: `app`, or of several replicas what is around it."""
    engine: RunningEngine
    core: Core
    authenticator: Authenticator
    callback: ASGIApp | None
    audit: AuditFile | None
    deliveries: Deliveries | None
    facade: SoapFacade | None
    forwarding: Forwarding | None
    reconfigured: Callable[[Mapping[str, Sequence[str]], Mapping[str, KeySection]], None]
    """To be called after a reload, with the contacts, by end user, and the keys that are in use now."""

    @property
    def store(self) -> Store:
        """The store of presence."""
        return self.core.store

    def let_go(self) -> None:
        """The service is about to stop: end the streams, and answer the requests that wait."""
        self.engine.let_go()
        if self.forwarding is not None:
            self.forwarding.let_go()
        if self.deliveries is not None:
            self.deliveries.let_go()
        self.core.claim_service.close()
        self.core.log.close()


def state_path(config: Config) -> Path | None:
    """Where the state file lies; None where there is none, as for replicas, who remember in the engine they share."""
    return config.state_path if config.cluster is None else None


def assemble(
    config: Config,
    clock: Clock | None = None,
    simulator: Playground | None = None,
    *,
    tracer: Tracer = ID_TRACER,
    redactor: Redactor | None = None,
) -> Assembly:
    """Build the service. Nothing is sent and nothing listens before its lifespan begins.

    `simulator` is what visitors of a demonstration may play with. `tracer` reports spans. `redactor` is the log's: it
    learns of the secrets that the service makes or is given.
    """
    clock = clock or SystemClock()
    redactor = redactor or Redactor()
    parts = None if config.cluster is None else _replica_parts(config, config.cluster, clock)
    made = Secret(secrets.token_urlsafe(32)) if parts is None else parts.callback_secret
    secret = config.callback.secret or made
    redactor.hide(secret)
    file = StateFile(state_path(config), frozenset(urlsplit(url).scheme for url in config.server.urls()))
    revisions = Revisions(file, clock)
    # Of several replicas ids begin where the engine says, whose clock is one for all.
    store = MemoryStore(clock, revision=revisions.start if parts is None else 0)
    change_lines.follow_changes(store)
    bound = default_bound(config.fetch.safety_interval)
    groups = {name: group.contacts for name, group in config.groups.items()}
    availability = Availability(
        groups,
        {name: group.rule(config.available) for name, group in config.groups.items()},
        config.available.rule(),
    )
    trends = Trends(clock, groups, DEFAULT_INTERVAL if simulator is None else _DEMO_INTERVAL)
    metrics = Metrics(clock, trends.lagged)
    if parts is not None:
        parts.engine.meter = metrics.of_replica()
    core = Core.of(
        store,
        clock,
        bound,
        groups,
        availability,
        events=config.stream.buffer,
        history=History(clock, config.history.per_contact, config.history.max_age),
        trends=trends,
        rules=ClaimRules(
            config.claims.default_lease,
            config.claims.max_lease,
            config.claims.max_waiting,
            config.claims.reserve,
            {name: group.pick for name, group in config.groups.items()},
            {name: group.min_free for name, group in config.groups.items()},
        ),
        meter=metrics.meter,
        commits=IMMEDIATE if parts is None else parts.committing,
    )
    change_lines.follow_events(core.log, tracer)

    def engine_of(memory: SessionMemory, rights: Rights = ALL_RIGHTS) -> SyncEngine:
        return _sync_engine(
            config,
            memory,
            rights,
            core,
            bound=bound,
            callback=config.callback.address(secret),
            tracer=tracer,
            redactor=redactor,
        )

    engine: RunningEngine
    replica = single = None
    if parts is None:
        engine = single = engine_of(file)
    else:
        replica, engine = parts.replica(config, core, store, clock, bound, metrics.meter, engine_of)
    audit = None
    if config.audit.file is not None:
        audit = AuditFile(config.audit.file, clock, max_bytes=config.audit.max_bytes, keep=config.audit.keep)

    deliveries, of_owner = None, None
    if replica is None:
        deliveries = _deliveries(config, core, clock, metrics.meter)
    else:
        of_owner = replica.ownership.beside = _owners_deliveries(config, core, clock, metrics.meter)
    targets: Webhooks = deliveries or of_owner or NoWebhooks()
    facade = None if single is None else _facade(config, core, single, audit)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        revisions.reserve(store.revision)
        if audit is not None:
            audit.start()
        if deliveries is not None:
            deliveries.start()
        engine.start({each.end_user: each.contacts for each in config.watch})
        ticking = asyncio.create_task(core.log.run(), name="log")
        claiming = asyncio.create_task(core.claim_service.run(), name="claims")
        reserving = asyncio.create_task(revisions.keep_reserved(store), name="revisions")
        measuring = asyncio.create_task(metrics.loop_lag.run(), name="loop lag")
        sampling = asyncio.create_task(core.trends.run(), name="trends")
        try:
            with contextlib.suppress(NotCommitted):
                # So that no contact of the configuration is ever answered as one that is not watched.
                await engine.followed()
            if facade is not None:
                facade.start()
            yield
        finally:
            ticking.cancel()
            claiming.cancel()
            reserving.cancel()
            measuring.cancel()
            sampling.cancel()
            if facade is not None:
                await facade.stop()
            sending = deliveries or of_owner
            ending = None if sending is None else asyncio.create_task(sending.stop(), name="webhooks end")
            await engine.stop(config.lifecycle.stop_timeout)
            if ending is not None:
                await ending
            if parts is not None:
                await parts.peers.close()
            revisions.settle(store.revision)
            if audit is not None:
                await asyncio.to_thread(audit.close, AUDIT_LIMIT)

    authenticator = access_rules.authenticator(config, clock)
    slots, budget = authenticator.slots, config.lifecycle.requests_per_second

    def connections() -> Connections:
        return Connections(slots.streams, slots.taken - slots.streams, slots.limit)

    metrics.observe(engine, core, connections, version=__version__, budget=budget, webhooks=targets, facade=facade)
    sources = Sources(config.callback.allow_from, config.callback.trusted_proxies)
    callback = None
    if config.callback.is_apart:
        callback = alone(Callback(engine, secret, clock, sources, config.callback.prefix), config.limits.max_body_bytes)
    app = create_app(
        engine,
        core,
        callback_secret=None if config.callback.is_apart else secret,
        callback_prefix=config.callback.prefix,
        root_path=config.http.root_path,
        version=__version__,
        authenticator=authenticator,
        sources=sources,
        max_body=config.limits.max_body_bytes,
        keep_alive=config.stream.keep_alive,
        lifespan=lifespan,
        simulator=simulator,
        figures=metrics,
        audit=audit,
        targets=targets,
        replays=None if replica is None else replica.ownership.replays,
        facade=facade,
    )
    forwarding: Forwarding | None = None
    reconfigured = _nobody_asks
    if parts is not None and replica is not None:
        forwarding = parts.around(app, replica, config, authenticator)
        reconfigured = partial(parts.reconfigured, replica, config)
    served = forwarding or app
    return Assembly(
        app, served, engine, core, authenticator, callback, audit, deliveries, facade, forwarding, reconfigured
    )


def _nobody_asks(_contacts: Mapping[str, Sequence[str]], _keys: Mapping[str, KeySection]) -> None:
    """One process has to agree with nobody."""


def _sync_engine(
    config: Config,
    memory: SessionMemory,
    rights: Rights,
    core: Core,
    *,
    bound: float,
    callback: Secret,
    tracer: Tracer,
    redactor: Redactor,
) -> SyncEngine:
    """What keeps the store of `core` in step with the server; of several replicas for one tenure."""

    def publish(name: str, data: EventData | None, keys: Iterable[str] | None) -> None:
        if not core.log.follows:  # else the tenure has just ended, and another replica tells
            core.log.tell(name, data, keys)

    engine = SyncEngine(
        settings=lifecycle.Settings(
            nodes=config.server.urls(),
            redirect_to=config.server.redirect_hosts(),
            endpoint_expires=config.lifecycle.endpoint_expires,
            subscription_expires=config.lifecycle.subscription_expires,
            renew_at=config.lifecycle.renew_at,
            take_over=config.application.take_over,
            seed=secrets.randbits(64),
        ),
        fetch_settings=FetchSettings(
            safety_interval=config.fetch.safety_interval,
            reconcile_interval=config.fetch.reconcile_interval,
            max_parallel=config.fetch.max_parallel,
            heartbeat_interval=config.fetch.heartbeat_interval,
            rich=frozenset(each.end_user for each in config.watch if each.presence_type is PresenceType.RICH),
        ),
        credentials=Credentials(config.application.username, config.application.password, callback),
        connect=_Connector(config, core.clock, core.meter, rights),
        store=core.store,
        clock=core.clock,
        memory=memory,
        bound=bound,
        patience=config.server.read_timeout,
        publish=publish,
        meter=core.meter,
        tracer=tracer,
        hide=redactor.hide_passing,
    )

    if config.canary.end_user is not None and config.canary.contact is not None:
        states = quiet_states(frozenset(config.available.free_states))
        settings = CanarySettings(config.canary.end_user, config.canary.contact, config.canary.interval, states)
        engine.canary = Canary(settings, engine.driver, core.log, core.clock, core.meter)
    return engine


def _deliveries(config: Config, core: Core, clock: Clock, meter: Meter) -> Deliveries | None:
    """Those to the targets of webhooks; None where there are none, and none have left anything."""
    is_left = config.state_path is not None and WebhookFiles(config.state_path).names()
    if not config.webhooks and not is_left:
        return None
    from service.runtime import webhooks  # most services have no targets, and need nothing of it

    return webhooks.deliveries(config, core, clock, meter)


def _owners_deliveries(config: Config, core: Core, clock: Clock, meter: Meter) -> OwnersDeliveries | None:
    """Those of several replicas, of which the owner alone sends; None where there are no targets."""
    if not config.webhooks:
        return None
    from service.runtime import webhooks

    return webhooks.OwnersDeliveries(partial(webhooks.deliveries, config, core, clock, meter), core)


def _replica_parts(config: Config, section: ClusterSection, clock: Clock) -> ReplicaParts:
    """What a replica has beside the parts of a single process. Most services are one, and need nothing of it."""
    from service.runtime import replicas

    return replicas.begin(config, section, clock)


def _facade(config: Config, core: Core, engine: SyncEngine, audit: AuditFile | None) -> SoapFacade | None:
    """The façade; None where the configuration has none."""
    if not config.facade.is_on:
        return None
    from service.runtime import facade  # it speaks SOAP as a server, which most services need not

    return facade.facade(config, core, engine, audit)


class _Connector:
    """Makes the client of a node; all share one budget a node. `rights` are asked before each request."""

    def __init__(self, config: Config, clock: Clock, meter: Meter, rights: Rights = ALL_RIGHTS) -> None:
        self._server = config.server
        self._keeps_documents = config.facade.is_on  # they take as much memory as all else that is known of a contact
        self._meter = meter
        self._rate = config.lifecycle.requests_per_second
        self._clock = clock
        self._rights = rights

    def __call__(self, node: str) -> PwsClient:
        server = self._server
        transport: Transport = HttpTransport(
            Trust(server.ca_file, server.fingerprint, "server."),
            connect_timeout=server.connect_timeout,
            read_timeout=server.read_timeout,
            max_reply_bytes=server.max_reply_bytes,
        )
        budgeted = BudgetedTransport(transport, RequestBudget(self._rate, self._clock), self._meter, self._rights)
        return PwsClient(
            node,
            wsdl=server.wsdl,
            soap=server.soap,
            transport=budgeted,
            now=self._now,
            keeps_documents=self._keeps_documents,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)
