"""Authentication: finds the principal of a request, and whether it may make the request.

`service.api.middleware.authentication` calls it for every request before any route does. `require(scope)` is the
dependency of every route of the API: it gives the route the principal, or refuses the request.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

from fastapi import Request, Security
from fastapi.openapi.models import APIKey, HTTPBearer
from fastapi.openapi.models import SecurityBase as SchemeModel
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from service.access import browser_checks
from service.access.access_headers import AccessHeaders
from service.access.errors import KeyRequired, NotAllowed, RateLimited, RequestRefused
from service.access.keys import HOW, Admission, KeyRing, presented
from service.access.log_limit import LogThrottle
from service.access.networks import address
from service.access.principal import ANYBODY, Principal, Scope
from service.access.rate_limit import RateLimiter
from service.access.stream_slots import ConnectionSlots
from service.core.clock import Clock

_ADMITTED: Final = "pws.admitted"
"""The key of a request's scope under which its `Admission` is kept."""
_REFUSED: Final = "pws.refused"
"""The key of a request's scope under which the `RequestRefused` is kept that `admit_early` found."""
NO_KEY_ANY_MORE: Final = (
    "There is no key any more, so nobody is let in: add one to the configuration (pws key new) and send SIGHUP, or "
    "restart the service"
)
_HOSTS: Final = 256
"""Values of Host that are remembered, of 300 characters at most; for others it is decided each time."""
_FAILURES: Final = 20
"""Wrong keys that one address may send in a row; further ones are answered with 429."""
_FORGIVEN_AFTER: Final = 3.0
"""Seconds after which one address may send one more wrong key."""

_NOBODY: Final = Admission(Principal("", frozenset()))

log = logging.getLogger("pws.service")


@dataclass(frozen=True)
class AccessRules:
    """Who may use the API. `anonymous` is the principal of a request without a key, None where a key is needed.

    `hosts` are the names under which the service may be called without a key; pages of `origins` may use the API.
    """

    keys: KeyRing = field(default_factory=KeyRing)
    anonymous: Principal | None = ANYBODY
    hosts: Collection[str] = ()
    origins: tuple[str, ...] = ()

    @cached_property
    def let_in(self) -> set[tuple[str, ...]]:
        """Values of Host under which requests without a key, that change nothing, were let in: at most `_HOSTS`."""
        return set()

    @cached_property
    def has_keys(self) -> bool:
        """Whether there is any key."""
        return len(self.keys) > 0

    @cached_property
    def keyless(self) -> Admission | None:
        """What is let in without a key."""
        return None if self.anonymous is None else Admission(self.anonymous)


class Authenticator:
    """Applies the rules, the rate limits and the limit on open connections. By default everybody may do everything."""

    def __init__(
        self,
        slots: ConnectionSlots | None = None,
        rules: AccessRules | None = None,
        *,
        rate_limiter: RateLimiter | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`rate_limiter`: None for no limit. `clock`: without it wrong keys are neither limited nor logged."""
        self.slots = slots or ConnectionSlots()
        self.rules = rules or AccessRules()
        self._rate_limiter = rate_limiter
        self._failures: RateLimiter | None = None
        self._log_throttle: LogThrottle | None = None
        if clock is not None:
            limited = rate_limiter is None or rate_limiter.limited
            self._failures = RateLimiter(clock, 1 / _FORGIVEN_AFTER if limited else 0, _FAILURES)
            self._log_throttle = LogThrottle(clock)
        self._dependencies: dict[Scope, Callable[..., Awaitable[Principal]]] = {}

    # --- for every request

    def authenticate(self, connection: HTTPConnection, method: str) -> Principal:
        """The principal of a request, which is counted. Raises RequestRefused."""
        return self.admit(connection.scope, method, AccessHeaders.of(connection.headers))

    def admit(self, scope: MutableMapping[str, Any], method: str, headers: AccessHeaders) -> Principal:
        """The same, of an ASGI scope. Asked again for the same request it says the same: it is counted once."""
        if (refused := scope.pop(_REFUSED, None)) is not None:
            raise refused
        admitted: Admission | None = scope.get(_ADMITTED)
        return (admitted or self._count(scope, method, headers)).principal

    def admit_early(self, scope: MutableMapping[str, Any], method: str, headers: AccessHeaders) -> Principal | None:
        """The same, before anybody else asks; None where the request will be refused, for the reason found here."""
        try:
            return self._count(scope, method, headers).principal
        except RequestRefused as refused:
            scope[_REFUSED] = refused.with_traceback(None)  # else it would hold the scope, and the scope it
            return None

    def forget(self, scope: MutableMapping[str, Any]) -> None:
        """Have a request that was let in be judged anew, by the rules as they are then."""
        scope.pop(_ADMITTED, None)

    def check_browser(self, connection: HTTPConnection, method: str) -> None:
        """Where no key is needed: refuse what a page elsewhere may have made a browser do. Raises RequestRefused."""
        self._check_browser(method, AccessHeaders.of(connection.headers))

    def is_still_in(self, connection: HTTPConnection) -> bool:
        """Whether a request that was let in would be let in again: its key may have been revoked meanwhile."""
        admission: Admission = connection.scope[_ADMITTED]
        if admission.digest:
            return admission in self.rules.keys
        return admission.principal == self.rules.anonymous

    def would_let_in(self, connection: HTTPConnection, method: str) -> bool:
        """Whether `authenticate` would let a request in, but for its rate. Nothing is counted."""
        headers = AccessHeaders.of(connection.headers)
        try:
            if not self._identify(headers).digest:
                self._check_browser(method, headers)
        except RequestRefused:
            return False
        return True

    def principal(self, connection: HTTPConnection) -> Principal | None:
        """The principal of a request that needs none; None where it would not be let in."""
        try:
            return self._identify(AccessHeaders.of(connection.headers)).principal
        except KeyRequired:
            return None

    # --- for routes

    def client(self, connection: HTTPConnection, principal: Principal) -> str:
        """Whose limits a request counts against: a key's, or those of the address it comes from."""
        return _client(connection.scope, connection.scope.get(_ADMITTED) or Admission(principal))

    def require(self, scope: Scope) -> Callable[..., Awaitable[Principal]]:
        """A dependency that lets in principals with `scope`."""
        if scope in self._dependencies:
            return self._dependencies[scope]

        # Two ways to send a key, for the description alone. As default values: FastAPI reads annotations without the
        # names that are known here.
        bearer = Security(_BEARER, scopes=[scope.value])
        header = Security(_HEADER, scopes=[scope.value])

        async def check(request: Request, _bearer: None = bearer, _header: None = header) -> Principal:
            if _ADMITTED not in request.scope:  # a route outside of the authentication middleware
                self.authenticate(request, request.method)
            admission: Admission = request.scope[_ADMITTED]
            principal = admission.principal
            if scope in principal.scopes:
                return principal
            if not admission.digest:
                raise KeyRequired(f"This needs a key with the scope {scope.value}: {HOW}")
            mine = ", ".join(sorted(principal.scopes)) or "none"
            raise NotAllowed(f"This needs a key with the scope {scope.value}; the scopes of this one: {mine}")

        self._dependencies[scope] = check
        return check

    # --- inside

    def _count(self, scope: MutableMapping[str, Any], method: str, headers: AccessHeaders) -> Admission:
        admission = scope[_ADMITTED] = self._admit(scope, method, headers)
        limiter = self._rate_limiter
        if limiter is not None and limiter.limited and (wait := limiter.take(_client(scope, admission))):
            raise RateLimited("There were more requests than limits.requests_per_second allows one client", wait)
        return admission

    def _admit(self, scope: Mapping[str, Any], method: str, headers: AccessHeaders) -> Admission:
        """What is let in. Where a request without a key only reads, its host alone decides, so that is remembered."""
        hosts, api_keys, authorizations, _, _ = headers
        keyless, let_in = self.rules.keyless, self.rules.let_in
        if keyless is None or api_keys or authorizations or method not in browser_checks.SAFE:
            return self._admit_anew(scope, method, headers)
        if hosts not in let_in:
            self._admit_anew(scope, method, headers)
            if len(let_in) < _HOSTS:
                let_in.add(hosts)
        return keyless

    def _admit_anew(self, scope: Mapping[str, Any], method: str, headers: AccessHeaders) -> Admission:
        try:
            admission = self._identify(headers)
        except KeyRequired as refused:
            if not (headers.authorizations or headers.api_keys):
                raise
            source = _client(scope, _NOBODY)
            wait = self._failures.take(source) if self._failures is not None else 0.0
            if wait:
                raise RateLimited("There were too many requests with a wrong key from this address", wait) from None
            if self._log_throttle is not None and self._log_throttle.is_due(source):
                log.warning(
                    "refused a request from %(source)s: %(reason)s",
                    {"source": source, "reason": refused.detail},
                    extra={"event": "request.refused"},
                )
            raise
        if not admission.digest:
            self._check_browser(method, headers)
        return admission

    def _check_browser(self, method: str, headers: AccessHeaders) -> None:
        rules = self.rules
        if rules.anonymous is not None:
            browser_checks.check(method, headers, rules.hosts, rules.origins)

    def _identify(self, headers: AccessHeaders) -> Admission:
        """Where no keys are configured, one that is sent is ignored: it may be meant for a proxy."""
        rules = self.rules
        key = presented(headers) if rules.has_keys else None
        if key is not None:
            admission = rules.keys.find(key)
            if admission is None:
                raise KeyRequired("Nobody has this key: it is mistyped, or it was revoked")
            return admission
        if rules.keyless is None:
            if not rules.has_keys:
                raise KeyRequired(NO_KEY_ANY_MORE)
            raise KeyRequired(f"This needs a key: {HOW}")
        return rules.keyless


def client_of(scope: Mapping[str, Any]) -> str:
    """Whose limits a request counts against that was let in."""
    return _client(scope, scope[_ADMITTED])


def _client(scope: Mapping[str, Any], admission: Admission) -> str:
    if admission.digest:
        return f"key {admission.principal.name}"
    client = scope.get("client")
    return _network(None if client is None else client[0])


@lru_cache(maxsize=4096)
def _network(host: str | None) -> str:
    """The address of the client; of IPv6 its /64 network, in which one client has as many addresses as it likes."""
    found = address(host)
    if found is None:
        return "unknown"
    return str(ipaddress.ip_network((int(found), 64), strict=False)) if found.version == 6 else str(found)


class _Scheme(SecurityBase):
    """Only tells OpenAPI how a key is sent; the authentication middleware has read it already."""

    def __init__(self, name: str, model: SchemeModel) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        return None


_BEARER: Final = _Scheme("bearer", HTTPBearer(bearerFormat="pws_...", description="A key, as `pws key new` makes one"))
_HEADER: Final = _Scheme(
    "header", APIKey.model_validate({"in": "header", "name": "X-API-Key", "description": "The same key"})
)
