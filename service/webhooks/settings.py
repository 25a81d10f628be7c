"""One target as the configuration describes it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pws_soap.models import Secret
from service.core.presence.query import Filter

Network = IPv4Network | IPv6Network

TIMEOUT = 15.0
GIVE_UP_AFTER = 86400.0
MAX_QUEUED = 10_000
IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A target.

    `name`: letters, digits, `-` and `_` alone, since it is part of the id that a receiver sees. `url`: what it says of user,
    password and query is secret, and is sent as it stands. `secret`: one or several `whsec_...`, with white space between:
    each message has a signature of each, so that a secret can be exchanged without a pause. `events`: kinds such as `change`
    or `claim.made`, or all of a family, `claim.*`; empty: all. `wanted` is the filter, as of a stream; without `details` the
    target sees of contacts what a key without details sees.

    `ca_file`: authorities to trust instead of the system's. `addresses`: the networks to which a connection may go; empty:
    all but link-local addresses and those of metadata services. `allow_http`: plain HTTP also to others than this machine.

    `timeout`: seconds of one attempt, as a whole. `give_up_after`: seconds of failures alone after which the target is parked.
    `max_queued`: events beside the contacts that wait at most. Contacts are not counted: each waits once.
    `in_flight`: messages under way at once.
    """

    name: str
    url: str
    secret: Secret
    events: tuple[str, ...] = ()
    wanted: Filter = Filter()
    details: bool = True
    ca_file: Path | None = None
    addresses: tuple[Network, ...] = ()
    allow_http: bool = False
    timeout: float = TIMEOUT
    give_up_after: float = GIVE_UP_AFTER
    max_queued: int = MAX_QUEUED
    in_flight: int = IN_FLIGHT

    def wants(self, kind: str) -> bool:
        """Whether events of this kind are sent to it."""
        return not self.events or kind in self.events or f"{kind.partition('.')[0]}.*" in self.events
