"""Two services with one history: one is asked the usual way, of the other the routes are asked past the hot lane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pws_soap.models import PresenceState
from service.access.authentication import Authenticator
from service.access.rate_limit import RateLimiter
from service.core.clock import ManualClock
from service.core.presence.availability import Availability, Rule
from tests.support.asgi import Answer, call
from tests.support.bare_service import BareService
from tests.support.people import rules

PAST_THE_LANE = {"Content-Length": "0"}
"""A header that the hot lane leaves to the framework, and that means nothing to any answer."""
PAST_THE_LANE_OF_CLAIMS = {"X-Unknown": "1"}
"""The same for requests that change something."""
GROUPS = {
    "support": ("ann@example.com", "bob@example.com"),
    "sales": ("bob@example.com", "joe@example.com"),
}
CONTACTS = ("ann@example.com", "bob@example.com", "joe@example.com", "zoe@example.com")


def _service(clock: ManualClock) -> BareService:
    free = frozenset({PresenceState.AVAILABLE, PresenceState.AWAY})
    availability = Availability(
        GROUPS,
        {"support": Rule(free, dwell=20.0, wrap_up=30.0), "sales": Rule(max_idle=60.0)},
        Rule(dwell=5.0),
    )
    authenticator = Authenticator(rules=rules(), rate_limiter=RateLimiter(clock, 50.0, 400), clock=clock)
    return BareService(groups=GROUPS, clock=clock, availability=availability, authenticator=authenticator)


@dataclass
class Twins:
    """`both` does the same to each of them; `ask` asks each in its way."""

    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.fast, self.plain = _service(self.clock), _service(self.clock)

    def both(self, change: Callable[[BareService], object]) -> None:
        """Let the same happen to each."""
        change(self.fast)
        change(self.plain)

    async def ask(self, target: str, headers: Mapping[str, str], method: str = "GET") -> tuple[Answer, Answer]:
        """The answer of the usual way, and that of the routes."""
        usual = await call(self.fast.app, method, target, headers=headers)
        return usual, await call(self.plain.app, method, target, headers={**headers, **PAST_THE_LANE})

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Sequence[bytes]
    ) -> tuple[Answer, Answer]:
        """The same of a request that may change something."""
        usual = await call(self.fast.app, method, target, headers=headers, body=body)
        past = {**headers, **PAST_THE_LANE_OF_CLAIMS}
        return usual, await call(self.plain.app, method, target, headers=past, body=body)
