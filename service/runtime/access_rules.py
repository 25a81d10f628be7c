"""Makes the configuration into access rules: the one place that decides who needs no key.

| keys | anonymous_from_anywhere | http.host | without a key |
|---|---|---|---|
| none | false | loopback | everything |
| none | false | elsewhere | does not start |
| none | true | any | everything |
| some | false | any | nothing |
| some | true | any | reading |

A reload that removes the last key refuses everybody, whatever the table says: only a restart opens what was closed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing
from service.access.principal import ANYBODY, READER, Principal
from service.access.rate_limit import RateLimiter
from service.access.stream_slots import ConnectionSlots
from service.config import Config, addresses
from service.core.clock import Clock

log = logging.getLogger("pws.service")


def anonymous(config: Config, host: str) -> Principal | None:
    """The principal of a request without a key to a service that listens on `host`."""
    if config.keys:
        return READER if config.access.anonymous_from_anywhere else None
    return ANYBODY if config.access.anonymous_from_anywhere or addresses.is_loopback(host) else None


def refusal(config: Config) -> str:
    """Why a service with this configuration must not start, and the ways out; empty when it may."""
    if config.keys or anonymous(config, config.http.host) is not None:
        return ""
    return (
        f"http.host is {config.http.host}, so that other machines reach the API, and there is no key: anybody could "
        "read everybody's presence and change what is watched. One of these:\n"
        "  - a key: `pws key new` prints one and its section for pws.toml;\n"
        '  - http.host = "127.0.0.1", and where notifications come from another machine a listener for them alone:\n'
        f'    callback.listen_host = "{config.http.host}", callback.listen_port = {config.callback.port}\n'
        "    (with another http.port than that);\n"
        "  - access.anonymous_from_anywhere = true, if really everybody may."
    )


def rules(config: Config, host: str, groups: Collection[str]) -> AccessRules:
    """The rules for a service that listens on `host` and knows `groups`, which both take a restart to change."""
    keys = []
    for name, key in config.keys.items():
        principal = key.principal(name)
        if unknown := [group for group in key.groups if group not in groups]:
            log.warning(
                "keys.%(key)s: restart the service for the key to see the new group %(groups)s",
                {"key": name, "groups": ", ".join(unknown)},
                extra={"event": "key.restart-needed"},
            )
            seen = frozenset(key.groups).intersection(groups)
            principal = Principal(name, principal.scopes, seen, principal.details)
        keys.append((key.hash, principal))
    hosts = frozenset(name.lower().removesuffix(".") for name in config.http.allowed_hosts)
    return AccessRules(KeyRing(keys), anonymous(config, host), hosts, config.http.cors_origins)


def kept_closed(fresh: AccessRules, before: AccessRules) -> AccessRules:
    """`fresh`, but where a reload removed the last key everybody is refused: only a restart opens what was closed."""
    if fresh.keys or not (before.keys or before.anonymous is None):
        return fresh
    log.warning(
        "the last API key was removed: every request is refused until a key is added or the service restarts",
        extra={"event": "key.last-removed"},
    )
    return replace(fresh, anonymous=None)


def authenticator(config: Config, clock: Clock) -> Authenticator:
    """The authenticator of a service with this configuration."""
    limits = config.limits
    return Authenticator(
        ConnectionSlots(limits.streams, limits.streams_per_client),
        rules(config, config.http.host, config.groups),
        rate_limiter=RateLimiter(clock, limits.requests_per_second, limits.burst),
        clock=clock,
    )
