"""A configuration made into a running service: every part built once, here, and handed what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
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
from service.core.claims.service import ClaimRules
from service.core.clock import Clock, SystemClock
from service.core.events.history import History
from service.core.events.trends import DEFAULT_INTERVAL, Trends
from service.core.meter import Meter
from service.core.presence.availability import Availability
from service.core.presence.freshness import default_bound
from service.core.presence.memory_store import MemoryStore
from service.core.presence.store import Store
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
from service.sync.state_file import StateFile
from service.sync.subscriptions import FetchSettings

if TYPE_CHECKING:
    from service.facade.facade import SoapFacade
    from service.webhooks.deliveries import Deliveries

AUDIT_LIMIT: Final = 2.0
"""Seconds that the end of the service waits for the audit's disk."""

log = logging.getLogger("pws.service")

_DEMO_INTERVAL = 5.0
"""Seconds between samples of the picture over time in a demonstration, of which minutes are watched."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts that belong together. `callback` is the program of the second listener, where there is one."""

    app: Program
    engine: SyncEngine
    core: Core
    authenticator: Authenticator
    callback: ASGIApp | None
    audit: AuditFile | None
    deliveries: Deliveries | None
    facade: SoapFacade | None

    @property
    def store(self) -> Store:
        """The store of presence."""
        return self.core.store

    def let_go(self) -> None:
        """The service is about to stop: end the streams, and answer the requests that wait."""
        self.engine.let_go()
        if self.deliveries is not None:
            self.deliveries.let_go()
        self.core.claim_service.close()
        self.core.log.close()


def state_path(config: Config) -> Path | None:
    """Where the state file lies; None where there is none."""
    return config.state_path


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
    secret = config.callback.secret or Secret(secrets.token_urlsafe(32))
    redactor.hide(secret)
    file = StateFile(state_path(config), frozenset(urlsplit(url).scheme for url in config.server.urls()))
    revisions = Revisions(file, clock)
    store = MemoryStore(clock, revision=revisions.start)
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
    )
    change_lines.follow_events(core.log, tracer)
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
        credentials=Credentials(
            config.application.username, config.application.password, config.callback.address(secret)
        ),
        connect=_Connector(config, clock, metrics.meter),
        store=store,
        clock=clock,
        file=file,
        bound=bound,
        patience=config.server.read_timeout,
        publish=core.log.tell,
        meter=metrics.meter,
        tracer=tracer,
        hide=redactor.hide_passing,
    )

    if config.canary.end_user is not None and config.canary.contact is not None:
        states = quiet_states(frozenset(config.available.free_states))
        settings = CanarySettings(config.canary.end_user, config.canary.contact, config.canary.interval, states)
        engine.canary = Canary(settings, engine.driver, core.log, clock, metrics.meter)

    audit = None
    if config.audit.file is not None:
        audit = AuditFile(config.audit.file, clock, max_bytes=config.audit.max_bytes, keep=config.audit.keep)

    deliveries = _deliveries(config, core, clock, metrics.meter)
    targets: Webhooks = deliveries or NoWebhooks()
    facade = _facade(config, core, engine, audit)

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
            await (
                engine.followed()
            )  # so that no contact of the configuration is ever answered as one that is not watched
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
            ending = None if deliveries is None else asyncio.create_task(deliveries.stop(), name="webhooks end")
            await engine.stop(config.lifecycle.stop_timeout)
            if ending is not None:
                await ending
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
        facade=facade,
    )
    return Assembly(app, engine, core, authenticator, callback, audit, deliveries, facade)


def _deliveries(config: Config, core: Core, clock: Clock, meter: Meter) -> Deliveries | None:
    """Those to the targets of webhooks; None where there are none, and none have left anything."""
    is_left = config.state_path is not None and WebhookFiles(config.state_path).names()
    if not config.webhooks and not is_left:
        return None
    from service.runtime import webhooks  # most services have no targets, and need nothing of it

    return webhooks.deliveries(config, core, clock, meter)


def _facade(config: Config, core: Core, engine: SyncEngine, audit: AuditFile | None) -> SoapFacade | None:
    """The façade; None where the configuration has none."""
    if not config.facade.is_on:
        return None
    from service.runtime import facade  # it speaks SOAP as a server, which most services need not

    return facade.facade(config, core, engine, audit)


class _Connector:
    """Makes the client of a node; all share one budget a node."""

    def __init__(self, config: Config, clock: Clock, meter: Meter) -> None:
        self._server = config.server
        self._keeps_documents = config.facade.is_on  # they take as much memory as all else that is known of a contact
        self._meter = meter
        self._rate = config.lifecycle.requests_per_second
        self._clock = clock

    def __call__(self, node: str) -> PwsClient:
        server = self._server
        transport: Transport = HttpTransport(
            Trust(server.ca_file, server.fingerprint, "server."),
            connect_timeout=server.connect_timeout,
            read_timeout=server.read_timeout,
            max_reply_bytes=server.max_reply_bytes,
        )
        budgeted = BudgetedTransport(transport, RequestBudget(self._rate, self._clock), self._meter)
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
