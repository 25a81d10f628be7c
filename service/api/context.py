"""What every route may use: made once, when the program is put together."""

from __future__ import annotations

from dataclasses import dataclass

from service.access.authentication import Authenticator
from service.api.audit_trail import AuditTrail
from service.api.kept_answers import KeptAnswers
from service.api.writers.contact import ContactJson
from service.core.clock import Clock
from service.core.engine import Engine
from service.core.events.log import EventLog
from service.core.facade import Facade
from service.core.presence import brief
from service.core.presence.query import Reader
from service.core.presence.snapshot import ContactSnapshot
from service.core.presence.store import Store
from service.core.webhooks import Webhooks
from service.core.wiring import Core


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the service as the routes see them."""

    engine: Engine
    core: Core
    json: ContactJson
    kept: KeptAnswers
    authenticator: Authenticator
    version: str
    audit: AuditTrail
    webhooks: Webhooks
    facade: Facade

    @property
    def store(self) -> Store:
        """What is known."""
        return self.core.store

    @property
    def reader(self) -> Reader:
        """What is said of it now."""
        return self.core.reader

    @property
    def log(self) -> EventLog:
        """What happened."""
        return self.core.log

    def brief(self, contact: ContactSnapshot, within: frozenset[str] | None) -> ContactSnapshot:
        """The contact as a key without details sees it that may see the groups `within`."""
        return brief.of(contact, self.log.snapshot(contact.record.key), within)

    @property
    def clock(self) -> Clock:
        """What time it is."""
        return self.core.clock
