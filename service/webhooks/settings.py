"""One target, as the configuration describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pws_soap.models import Secret
from service.core.presence.filters import Filter

Network = IPv4Network | IPv6Network

TIMEOUT: Final = 15.0
GIVE_UP_AFTER: Final = 86400.0
PARALLEL: Final = 4
MAX_QUEUED: Final = 10_000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A target.

    `name` has no dot in it: it is part of the id of each message, and dots part what is signed. `url` may hold a key in
    its query. `secrets` are of Standard Webhooks, `whsec_...`: each message carries a signature of each of them, so
    that one can be exchanged without a pause. `events` are the kinds that are sent, such as `change`; none: all.
    `wanted` is a filter as of a stream. Without `details` the target sees what a key without details sees.

    `ca_file`: authorities to trust instead of the system's. `addresses`: networks to which a connection may go; none:
    all but what `sender` refuses. `timeout`: seconds of one attempt as a whole. `give_up_after`: seconds of failures
    alone, after which nothing more is sent. `parallel`: messages under way at once, of different contacts.
    `max_queued`: messages that wait at most beside the last event of each contact that is watched.
    """

    name: str
    url: Secret
    secrets: tuple[Secret, ...]
    events: frozenset[str] = frozenset()
    wanted: Filter = field(default_factory=Filter)
    details: bool = True
    ca_file: Path | None = None
    addresses: tuple[Network, ...] = ()
    timeout: float = TIMEOUT
    give_up_after: float = GIVE_UP_AFTER
    parallel: int = PARALLEL
    max_queued: int = MAX_QUEUED

    @property
    def address(self) -> str:
        """Its URL as it may be shown: scheme, host, port and path."""
        url = urlsplit(self.url.reveal())
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"

    def wants(self, kind: str) -> bool:
        """Whether events of this kind are sent."""
        return not self.events or kind in self.events
