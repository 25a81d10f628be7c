"""What the configuration says of the façade, as values."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pws_soap.models import Secret

ANY_END_USER: Final = "*"
"""Stands for every name among the end users of a façade user."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class FacadeUser:
    """An application user of the façade. `groups` None: it sees all contacts that are watched."""

    password: Secret = field(repr=False)
    end_users: frozenset[str]
    groups: frozenset[str] | None = None

    def may_be(self, end_user: str) -> bool:
        """Whether it may log in in the name of an end user."""
        return end_user in self.end_users or ANY_END_USER in self.end_users


@dataclass(frozen=True, slots=True)
class FacadeSettings:
    """How the façade behaves. Times in seconds; `address` is the base URL that the WSDL names.

    `endpoints`: where programs may have their endpoints; without any, at the address that they register from.
    `max_contacts`: in all subscriptions of one façade user; `requests_per_second`: of one façade user, and of one
    address before it has logged in. `silent_after`: a subscription that was notified so long ago and has not been
    fetched since is called silent.
    """

    address: str
    users: Mapping[str, FacadeUser]
    endpoints: tuple[Network, ...] = ()
    watch_more: bool = False
    set_presence: bool = False
    unsure_after: float = 60.0
    max_sessions: int = 10_000
    max_endpoints: int = 10_000
    max_subscriptions: int = 20_000
    max_contacts: int = 1_000_000
    max_watch_more: int = 5_000
    requests_per_second: float = 1_000.0
    max_body_bytes: int = 2 * 1024 * 1024
    notification_timeout: float = 5.0
    read_patience: float = 20.0
    silent_after: float = 900.0
