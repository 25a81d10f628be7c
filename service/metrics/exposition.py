"""All figures of one service, and how they are written: in Prometheus' text format, or as OpenMetrics where that is
asked for."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from service.core.clock import Clock
from service.core.engine import Engine
from service.core.facade import Facade, NoFacade
from service.core.webhooks import NoWebhooks, Webhooks
from service.core.wiring import Core
from service.metrics.collector import Connections, StateCollector
from service.metrics.loop_lag import LoopLag
from service.metrics.prometheus_meter import PrometheusMeter
from service.metrics.replica_meter import PrometheusReplicaMeter


class Metrics:
    """The figures. `meter` is told of what happens, from the beginning; the rest is read once `observe` has said where
    from. `lagged` is told as well how many seconds each notification took to reach the store."""

    def __init__(self, clock: Clock, lagged: Callable[[float], None] = lambda _: None) -> None:
        # Else each counter and histogram had a second series, of use to nobody here.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client has no types for it
        self._registry = CollectorRegistry()  # its own: what other libraries register is not ours to show
        self._state: StateCollector | None = None
        self.meter = PrometheusMeter(self._registry, lagged)
        self.loop_lag = LoopLag(clock, self.meter.loop_lagged)
        ProcessCollector(registry=self._registry)

    def observe(
        self,
        engine: Engine,
        core: Core,
        connections: Callable[[], Connections],
        *,
        version: str,
        budget: float,
        webhooks: Webhooks | None = None,
        facade: Facade | None = None,
    ) -> None:
        """Read from these at a scrape, and count the events of the log. Call it once.

        `webhooks`: None: no targets. `facade`: None: there is none.
        """
        webhooks, facade = webhooks or NoWebhooks(), facade or NoFacade()
        self._state = StateCollector(engine, core, webhooks, facade, connections, version=version, budget=budget)
        self.meter.has_targets(target.name for target in webhooks.status())
        self._registry.register(self._state)
        core.log.follow(self.meter.follow)

    def of_replica(self) -> PrometheusReplicaMeter:
        """The meter of one of several replicas, whose figures are shown from now on. Call it once."""
        return PrometheusReplicaMeter(self._registry)

    async def render(self, accept: str) -> tuple[bytes, str]:
        """All figures now, and their media type. `accept`: the header of the request, or empty."""
        if self._state is not None:
            await self._state.refresh()
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type
