"""Keys for tests, a service that knows them, and requests that come from somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import principal
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of, new_key
from service.access.principal import Principal
from service.access.rate_limit import RateLimiter
from service.core.clock import ManualClock
from tests.support.bare_service import AVAILABLE, BUSY, BareService, presence

READ, CLAIM, ADMIN = principal.Scope.READ, principal.Scope.CLAIM, principal.Scope.ADMIN
METRICS = principal.Scope.METRICS

PEOPLE: Final = {
    "reader": Principal("reader", frozenset({READ})),
    "claimer": Principal("claimer", frozenset({CLAIM})),
    "admin": Principal("admin", frozenset({ADMIN})),
    "scraper": Principal("scraper", frozenset({METRICS})),
    "root": Principal("root", frozenset({READ, CLAIM, ADMIN, METRICS})),
    "sales": Principal("sales", frozenset({READ, CLAIM}), groups=frozenset({"sales"})),
    "board": Principal("board", frozenset({READ, CLAIM}), details=False),
}
KEYS: Final = {name: new_key().reveal() for name in PEOPLE}
ANN, JOE = "ann@example.com", "joe@example.com"


def bearer(name: str) -> dict[str, str]:
    """The header with that key."""
    return {"Authorization": f"Bearer {KEYS[name]}"}


def rules(anonymous: Principal | None = None) -> AccessRules:
    """All of them have keys."""
    return AccessRules(KeyRing((hash_of(KEYS[name]), who) for name, who in PEOPLE.items()), anonymous)


def guarded(anonymous: Principal | None = None, *, per_second: float = 0.0, burst: int = 200) -> BareService:
    """An office with keys: ann is of support, joe of sales."""
    clock = ManualClock()
    authenticator = Authenticator(
        rules=rules(anonymous), rate_limiter=RateLimiter(clock, per_second, burst), clock=clock
    )
    return filled(BareService(groups={"support": (ANN,), "sales": (JOE,)}, clock=clock, authenticator=authenticator))


def filled(office: BareService) -> BareService:
    """Ann and joe are watched and read."""
    office.watch(ANN, JOE)
    office.engine.watching.add([ANN, JOE])
    office.read([presence(ANN, BUSY, display_name="Ann", note="at the dentist"), presence(JOE, AVAILABLE)])
    return office


def coming_from(address: str, app: ASGIApp, headers: Mapping[str, str] | None = None) -> ASGIApp:
    """The program, called from that address."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        more = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await app({**scope, "client": (address, 50000), "headers": [*scope["headers"], *more]}, receive, send)

    return called
