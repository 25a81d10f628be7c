"""The canary: an end user of its own, whose presence is set anew now and then, to measure the way from a change to the
answer.

It shows what no other figure does: that a change at the server reaches the clients, and after how long. What it must
never do, and how that is kept:

- *Change anybody else's presence.* The server sets the presence of the session's own end user, and the canary knows no
  other session than that of its own login. It never takes one over (160) and never forces a login.
- *Touch what the service fetches with.* Its end user is none of the `[[watch]]` blocks (`service.config`), and it
  never fetches, polls or subscribes. Its failures tell the lifecycle nothing: they lead to no failover and no reset.
- *Get work.* Its contact is in no group (`service.config`), and is set to states that `[available]` does not call free.
- *Be in the way.* One round at a time, one request in it; it waits for the request budget behind renewals and fetches.
- *Stay behind.* At the end its presence is taken back and its session logged out, while there is time; what cannot be
  taken back ends by itself within the hour, and the session ends with the application's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.errors import NotLoggedIn, PwsError, Redirected
from pws_soap.models import MIN_EXPIRES, PresenceState, Session, same_contact
from service.core.clock import Clock, Moment
from service.core.engine import CanaryStatus
from service.core.events.event import CHANGE, Event
from service.core.events.log import EventLog
from service.core.meter import CanaryOutcome, Meter
from service.core.presence.freshness import Level
from service.core.wakeup import sleep_until_woken
from service.sync.driver import LifecycleDriver

PATIENCE: Final = 60.0
"""Seconds after which a change that no answer says is late, unless the next round comes earlier."""
FIRST: Final = 30.0
"""Seconds after the start at which the first round begins, unless the interval is shorter."""
CLEAN_UP: Final = 2.0
"""Seconds that the cleaning up may take at the end."""
_QUIET: Final = (PresenceState.BUSY, PresenceState.AWAY, PresenceState.VACATION, PresenceState.UNAVAILABLE)
_TWO: Final = 2

log = logging.getLogger("pws.canary")

_Work = Callable[[PwsClient, Session], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """The end user, the same one as a contact, and seconds between two rounds. `states` are set in turns."""

    end_user: str
    contact: str
    interval: float
    states: tuple[PresenceState, PresenceState] = (PresenceState.BUSY, PresenceState.AWAY)


def quiet_states(free: frozenset[PresenceState]) -> tuple[PresenceState, PresenceState]:
    """Two states that are not among `free`, as far as there are such."""
    first, second = [*(state for state in _QUIET if state not in free), *_QUIET][:_TWO]
    return first, second


@dataclass(slots=True)
class _Change:
    """A state that was set, or is about to be, and when an answer first said so, on the monotonic clock."""

    state: PresenceState
    seen_at: float | None = None


class _NoSession(Exception):
    """The canary has no session to set its presence in; the message says why."""


class Canary:
    """Begins a round in each interval, once it is started."""

    def __init__(
        self, settings: CanarySettings, driver: LifecycleDriver, events: EventLog, clock: Clock, meter: Meter
    ) -> None:
        self._settings = settings
        self._driver = driver
        self._clock = clock
        self._meter = meter
        self._key = same_contact(settings.contact)
        self._session: Session | None = None
        self._application: Session | None = None
        """In whose session it logged in: with that one its own has ended."""
        self._task: asyncio.Task[None] | None = None
        self._change: _Change | None = None
        """That of the round under way."""
        self._said = PresenceState.UNKNOWN
        """What clients were told last."""
        self._seen = asyncio.Event()
        self._status = CanaryStatus(settings.end_user, settings.contact, settings.interval)
        self._has_set = False
        self._unfollow = events.follow(self._follow)

    def status(self) -> CanaryStatus:
        """How the last rounds went."""
        return self._status

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="canary")

    async def abandon(self) -> None:
        """End, and send nothing more."""
        self._unfollow()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        """End, and take back what was set, for `CLEAN_UP` seconds at most."""
        await self.abandon()
        if not self._has_set:
            return
        try:
            async with asyncio.timeout(CLEAN_UP):
                await self._in_session(self._take_back)
                if self._session is not None:
                    await self._driver.client(self._session.node).logout(self._session)
        except (PwsError, _NoSession, TimeoutError) as error:
            log.warning(
                "the canary's presence could not be taken back, it ends within the hour: %(error)s",
                {"error": _words(error)},
                extra={"event": "canary.left"},
            )

    # --- inside

    async def _run(self) -> None:
        await self._clock.sleep(min(FIRST, self._settings.interval))
        while True:
            began = self._clock.monotonic()
            try:
                await self._round()
            except Exception:
                log.exception("unexpected error, going on", extra={"event": "internal.error"})
                self._ended(CanaryOutcome.FAILED, None, "unexpected error")
            await self._clock.sleep(self._settings.interval - (self._clock.monotonic() - began))

    async def _round(self) -> None:
        one, other = self._settings.states
        change = self._change = _Change(other if self._said is one else one)
        self._seen.clear()
        patience = min(PATIENCE, self._settings.interval)
        began = self._clock.monotonic()

        async def set_it(client: PwsClient, session: Session) -> None:
            self._has_set = True
            await client.set_presence(session, change.state, expires=MIN_EXPIRES)

        try:
            await self._in_session(set_it)
        except (PwsError, _NoSession) as error:
            self._ended(CanaryOutcome.FAILED, None, _words(error))
            return
        await sleep_until_woken(self._seen, self._clock, patience - (self._clock.monotonic() - began))
        self._change = None
        if change.seen_at is not None:
            self._ended(CanaryOutcome.SEEN, change.seen_at - began)
        else:
            self._ended(CanaryOutcome.LATE, None, f"no answer said {change.state} within {patience:.0f} s")

    def _follow(self, events: Sequence[Event]) -> None:
        """What clients are told: the canary's own contact, live, with the state that was set."""
        for event in events:
            if event.key != self._key or event.name != CHANGE or event.after is None:
                continue
            contact, change = event.after.contact, self._change
            self._said = contact.record.state
            is_live = contact.freshness.level is Level.LIVE
            if change is not None and change.seen_at is None and self._said is change.state and is_live:
                change.seen_at = event.at.monotonic
                self._seen.set()

    def _ended(self, outcome: CanaryOutcome, seconds: float | None, error: str | None = None) -> None:
        now, before = Moment.of(self._clock), self._status
        if error is not None and before.last_error != error:
            log.warning("the canary: %(error)s", {"error": error}, extra={"event": "canary.failed"})
        elif error is None and before.last_error is not None:
            log.info(
                "the canary is seen again, after %(seconds).2f s",
                {"seconds": seconds or 0.0},
                extra={"event": "canary.recovered"},
            )
        is_seen = outcome is CanaryOutcome.SEEN
        self._status = CanaryStatus(
            before.end_user,
            before.contact,
            before.interval,
            outcome.value,
            now.wall,
            seconds if is_seen else before.seconds,
            now.wall if is_seen else before.last_seen_at,
            error,
        )
        self._meter.canary_ended(outcome, seconds)

    async def _take_back(self, client: PwsClient, session: Session) -> None:
        await client.clear_presence(session, self._settings.contact, expires=MIN_EXPIRES)

    async def _in_session(self, work: _Work) -> None:
        """Do it in the canary's session, which is made where there is none; once more where it is gone."""
        session = await self._logged_in()
        try:
            await work(self._driver.client(session.node), session)
        except NotLoggedIn:
            self._session = None
            session = await self._logged_in()
            await work(self._driver.client(session.node), session)

    async def _logged_in(self) -> Session:
        """The canary's session. Raises PwsError, or _NoSession where the service itself has none to begin with."""
        applications = self._driver.application_sessions()
        if self._session is not None and self._application in applications.values():
            return self._session
        self._session = None
        if not applications:
            raise _NoSession("the service has no session at the server")
        home = next(iter(applications))
        try:
            return await self._log_in(applications[home])
        except Redirected as redirected:
            named = lifecycle.resolve(redirected.primary, home, self._driver.state.settings)
            if named is None or named == home or named not in applications:
                where = redirected.primary or "a node that was not named"
                raise _NoSession(f"{self._settings.end_user} is at home on {where}, where nobody is watched") from None
            return await self._log_in(applications[named])

    async def _log_in(self, application: Session) -> Session:
        client = self._driver.client(application.node)
        session = await client.login_end_user(application, self._settings.end_user)
        self._application, self._session = application, session
        return session


def _words(error: BaseException) -> str:
    return str(error) or f"no answer within {CLEAN_UP:.0f} s"
