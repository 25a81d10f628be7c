"""Claims as answers: HTTP requests become requests of `service.core.claims`, and outcomes become answers.

A client that goes away while it waits leaves the queue, and what it was given in that moment is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fastapi import Request
from starlette.responses import Response
from starlette.types import Scope

from service.access import principal
from service.access.errors import KeyRequired, NotAllowed, RequestRefused
from service.access.principal import Principal
from service.api.context import Context
from service.api.disconnect import wait_for_disconnect
from service.api.etags import plain
from service.api.idempotency import KeyReused, Name, Replays, RequestInProgress
from service.api.parameters.claims import ClaimBody
from service.api.paths import asked, root_of
from service.api.problems import InvalidParameters, WrongParameter, problem
from service.api.writers.claim import ClaimJson, reasons
from service.core.claims.model import (
    ClaimEvent,
    ClaimRequest,
    Granted,
    Lease,
    NotEnoughFree,
    Outcome,
    Pick,
    RejectReason,
)
from service.core.claims.wait_queue import Ticket
from service.core.events.commits import NotCommitted
from service.core.events.event import Event

_RETRY_FULL: Final = 5
"""Seconds after which one may try again to wait."""


class ClaimEndpoints:
    """Answers claims, each once for an Idempotency-Key, for the routes and for the hot lane.

    `replays`: the answers that are kept for repeated requests. Where commits are not immediate, nothing is answered
    before what was decided is accepted, and what is not accepted is taken back.
    """

    def __init__(self, context: Context, replays: Replays | None = None) -> None:
        self.json = ClaimJson(context.reader, context.json, context.log)
        self._context = context
        self._claim_service = context.core.claim_service
        self._commits = context.core.commits
        self._replays = Replays() if replays is None else replays
        context.log.follow(self._follow)

    def find(self, name: str, who: Principal, *, to_change: bool = False) -> Lease | None:
        """A lease that `who` may see. Raises NotAllowed where it must not change it."""
        lease = self._claim_service.get(name)
        if lease is None or not self.json.shows(lease, who):
            return None
        if to_change and lease.holder != who.name and principal.Scope.ADMIN not in who.scopes:
            raise NotAllowed("This claim is another key's; a key with the scopes claim and admin may change it too")
        return lease

    def seconds(self, asked: float | None) -> float:
        """The lease that was asked for. Raises InvalidParameters where it is too long."""
        rules = self._claim_service.rules
        if asked is not None and asked > rules.max_lease:
            raise _wrong("body", "lease_seconds", f"at most {rules.max_lease:g} seconds (claims.max_lease)")
        return asked if asked is not None else min(rules.default_lease, rules.max_lease)

    def requested(self, who: Principal, body: ClaimBody) -> ClaimRequest:
        """What a body asks for. Raises InvalidParameters."""
        groups = sorted(name for name in self._context.reader.groups if who.groups is None or name in who.groups)
        if body.group not in groups:
            raise _wrong("body", "group", f"one of {', '.join(groups)}" if groups else "no group: there are none")
        return ClaimRequest(body.group, body.count, self.seconds(body.lease_seconds), body.purpose, who.name)

    @property
    def answers_at_once(self) -> bool:
        """Whether what is decided may be answered in the same turn."""
        return self._commits.is_immediate

    async def accepted(self) -> None:
        """Wait until all that was decided so far is accepted. Raises NotCommitted."""
        await self._commits.reached(self._context.log.newest)

    def claim_at_once(self, scope: Scope, who: Principal, claim_request: ClaimRequest) -> Response:
        """Answer a claim that has no key and does not wait."""
        ticket = self._claim_service.ask(claim_request)
        assert ticket.outcome is not None  # noqa: S101  it does not wait
        with self._taken_back(ticket):
            return self._answer(scope, who, claim_request, ticket.outcome)

    async def claim(
        self, request: Request, who: Principal, claim_request: ClaimRequest, key: str | None, wait: int | None
    ) -> Response:
        """Answer a claim, once for each key."""
        if key is None:
            if wait is None and self.answers_at_once:
                return self.claim_at_once(request.scope, who, claim_request)
            return await self._wait(request, who, claim_request, wait, None)
        name = Name(who.name, key)
        try:
            # Whose eyes it is for belongs to the request: they may have changed since.
            kept = self._replays.begin(name, repr((claim_request, sorted(who.groups or ()), who.details)), self._now())
        except RequestInProgress:
            detail = "The same request, with this Idempotency-Key, is still waiting for its answer"
            return _problem(request.scope, "request-in-progress", detail, {"Retry-After": "1"})
        except KeyReused:
            raise _wrong("header", "Idempotency-Key", "a new one: another claim was asked for with this one") from None
        if kept is not None:
            self._context.audit.look(request.scope, who, claim_request.count)
            return plain(kept.body, 201, {**kept.headers, "Idempotency-Replayed": "true"})
        try:
            return await self._wait(request, who, claim_request, wait, name)
        finally:
            self._replays.drop(name)

    def release(self, scope: Scope, name: str, who: Principal) -> Response | None:
        """Answer a release; None where there is no such lease for `who` (any more). Raises NotAllowed."""
        lease = self.find(name, who, to_change=True)
        if lease is None or not self._claim_service.release(name):
            return None
        self._context.audit.released(scope, who, lease)
        return Response(status_code=204)

    async def _wait(
        self, request: Request, who: Principal, claim_request: ClaimRequest, wait: int | None, name: Name | None
    ) -> Response:
        applied = {"Preference-Applied": f"wait={wait}"} if wait is not None else {}
        ticket = self._claim_service.ask(claim_request, wait or 0)
        made: list[Response] = []

        def make() -> None:
            if isinstance(ticket.outcome, Granted) and not made:
                made.append(self._made(request.scope, who, ticket.outcome, applied, name))

        if not self.answers_at_once:
            # In the turn of the grant: the next owner knows of both or of neither.
            ticket.settled = make
        with self._taken_back(ticket, name):
            make()
            outcome = await self._outcome(ticket, request, who)
            if not self._context.authenticator.is_still_in(request):  # it gets no answer either
                raise KeyRequired("The key was revoked meanwhile")
            if not isinstance(outcome, Granted):
                if made and name is not None:  # the client went when it was granted
                    self._replays.take_back(name)
                return self._answer(request.scope, who, claim_request, outcome, applied)
            make()
            if not self.answers_at_once:
                await self.accepted()
            self._audit(request.scope, who, outcome)
            return made[0]

    @contextlib.contextmanager
    def _taken_back(self, ticket: Ticket, name: Name | None = None) -> Iterator[None]:
        """Whatever goes wrong, the client gets no claim then: nobody must be held for it, no answer kept."""
        try:
            yield
        except BaseException:
            if name is not None:
                self._replays.take_back(name)
            self._claim_service.leave(ticket)
            raise

    def _answer(
        self,
        scope: Scope,
        who: Principal,
        claim_request: ClaimRequest,
        outcome: Outcome,
        applied: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to a request with this outcome. `applied`: headers about its wait."""
        applied = applied or {}
        match outcome:
            case Granted() as granted:
                made = self._made(scope, who, granted, applied)
                self._audit(scope, who, granted)
                return made
            case NotEnoughFree() as refused:
                self._context.audit.not_claimed(scope, who, claim_request, refused)
                return _not_enough(scope, claim_request, refused, who, applied)
            case RejectReason.FULL:
                detail = f"claims.max_waiting is {self._claim_service.rules.max_waiting}, and so many wait already"
                return _problem(scope, "too-many-waiting", detail, {"Retry-After": str(_RETRY_FULL)})
            case RejectReason.STOPPING:
                return _problem(scope, "stopping", "The service is stopping", {"Retry-After": "1"})
            case RejectReason.NO_OWNER:
                raise NotCommitted

    def _made(
        self, scope: Scope, who: Principal, granted: Granted, applied: Mapping[str, str], name: Name | None = None
    ) -> Response:
        """The answer to who gets a claim, kept under `name`."""
        lease, passed_over = granted
        body = self.json.made(lease, passed_over, who)
        headers = {"Location": f"{root_of(scope)}/v1/claims/{lease.id}", **applied}
        if name is not None:
            self._replays.keep(name, lease.id, body, headers, is_accepted=self.answers_at_once)
            if self._claim_service.get(lease.id) is None:  # ended before it was kept
                self._replays.ended(lease.id, self._now())
        return plain(body, 201, headers)

    def _audit(self, scope: Scope, who: Principal, granted: Granted) -> None:
        pick = self._claim_service.rules.picks.get(granted.lease.group, Pick.LONGEST_AVAILABLE)
        self._context.audit.claimed(scope, who, granted, pick)

    async def _outcome(self, ticket: Ticket, request: Request, who: Principal) -> Outcome:
        """Wait for the outcome, as long as the client is there."""
        if ticket.outcome is not None:
            return ticket.outcome
        authenticator = self._context.authenticator
        with authenticator.slots.take(authenticator.client(request, who)):
            gone = asyncio.create_task(wait_for_disconnect(request.receive))
            answer = asyncio.create_task(self._claim_service.outcome(ticket))
            try:
                await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
                if not gone.done():
                    return answer.result()
            finally:
                for task in (gone, answer):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await task
        self._claim_service.leave(ticket)
        return NotEnoughFree(0, False, ())  # nobody reads it

    def _follow(self, events: Sequence[Event]) -> None:
        """Answers that are kept for repeated requests are dropped some time after their claim has ended."""
        for event in events:
            if isinstance(event.data, ClaimEvent) and event.data.ends:
                self._replays.ended(event.data.lease.id, self._now())

    def _now(self) -> float:
        return self._context.clock.monotonic()


def _not_enough(
    scope: Scope, claim_request: ClaimRequest, refused: NotEnoughFree, who: Principal, applied: Mapping[str, str]
) -> Response:
    wanted = (
        f"{claim_request.count} of the group {claim_request.group} {'is' if claim_request.count == 1 else 'are'} wanted"
    )
    detail = f"{wanted}, and {refused.free or 'nobody'} {'are' if refused.free > 1 else 'is'} free"
    if refused.ahead:
        detail += " for this request: others asked before"
    members = {"free": refused.free, "passed_over": reasons(refused.passed_over, who)}
    return problem(RequestRefused(detail, applied, kind="not-enough-free", members=members), *asked(scope))


def _problem(scope: Scope, kind: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    return problem(RequestRefused(detail, headers, kind=kind), *asked(scope))


def _wrong(where: str, name: str, expected: str) -> InvalidParameters:
    return InvalidParameters(WrongParameter(where, name, expected))
