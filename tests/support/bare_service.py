"""A service with nothing behind it: a store that a test fills, an engine that does as told, a clock that stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pws_soap.models import Presence, PresenceState, Secret
from service.access.authentication import Authenticator
from service.api.app import Program, create_app
from service.core.clock import ManualClock
from service.core.facade import Facade, NoFacade
from service.core.presence.availability import Availability
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import PutReport, Source
from service.core.webhooks import NoWebhooks, Webhooks
from service.core.wiring import Core
from service.metrics.collector import Connections
from service.metrics.exposition import Metrics
from tests.support import shared_validators
from tests.support.asgi import Answer, call
from tests.support.fake_engine import FakeEngine

shared_validators.share()

SECRET = "kR3-very_secret-path"
FEED = "dispatcher"
BOUND = 1260.0

AVAILABLE, BUSY, AWAY = PresenceState.AVAILABLE, PresenceState.BUSY, PresenceState.AWAY


def presence(contact: str, state: PresenceState = AVAILABLE, **rest: object) -> Presence:
    """A presence; `rest` are its other fields."""
    return Presence(contact, state, **rest)  # type: ignore[arg-type]  # whatever the test says


@dataclass
class BareService:
    """The parts, and the program made of them."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)
    engine: FakeEngine = field(default_factory=FakeEngine)
    availability: Availability | None = None
    authenticator: Authenticator | None = None
    root_path: str = ""
    targets: Webhooks = field(default_factory=NoWebhooks)
    facade: Facade = field(default_factory=NoFacade)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.metrics = Metrics(self.clock)
        self.core = Core.of(self.store, self.clock, BOUND, self.groups, self.availability, meter=self.metrics.meter)
        self.metrics.observe(
            self.engine,
            self.core,
            lambda: Connections(2, 1, 200),
            version="1.2.3",
            budget=20,
            webhooks=self.targets,
            facade=self.facade,
        )
        self.app: Program = create_app(
            self.engine,
            self.core,
            callback_secret=Secret(SECRET),
            root_path=self.root_path,
            version="1.2.3",
            authenticator=self.authenticator,
            figures=self.metrics,
            targets=self.targets,
            facade=self.facade,
        )

    def watch(self, *contacts: str) -> None:
        """Watch contacts on a feed that works."""
        self.store.watch(contacts, FEED)
        self.store.trust(FEED)

    def read(self, presences: Iterable[Presence], source: Source = Source.SUBSCRIBED) -> PutReport:
        """A fetch that begins and ends now."""
        reading = self.store.begin()
        report = self.store.put(list(presences), reading, source=source)
        if source is Source.SUBSCRIBED:
            self.store.confirm(FEED, reading)
        return report

    def counted(self, name: str, **labels: str) -> float:
        """What was counted so far under that name and those labels; 0 where nothing was."""
        return self.metrics._registry.get_sample_value(name, labels) or 0.0

    async def get(self, target: str, **headers: str) -> Answer:
        """GET; `if_none_match="..."` sets that header."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await call(self.app, "GET", target, headers=sent)
