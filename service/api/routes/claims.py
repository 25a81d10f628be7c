"""Claims over HTTP: claim people who are free, wait for them, renew and release a claim.

`service.core.claims` decides; here HTTP requests become its requests, and outcomes become answers.
A client that goes away while it waits leaves the queue, and what it was given in that moment is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Request
from starlette.responses import Response

from service.access.errors import NotAllowed, RequestRefused
from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.disconnect import wait_for_disconnect
from service.api.etags import plain
from service.api.idempotency import KeyReused, Name, Replays, RequestInProgress
from service.api.models.claim import ClaimListView, ClaimView, MadeClaimView, NotEnoughProblemView
from service.api.parameters.checks import no_query
from service.api.parameters.claims import ClaimBody, ClaimId, IdempotencyKey, Prefer, RenewBody
from service.api.paths import asked, root_of
from service.api.prefer import seconds_to_wait
from service.api.problems import InvalidParameters, ProblemView, WrongParameter, problem
from service.api.responses import INVALID, TOO_LARGE, Responses
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
from service.core.events.event import Event

_RETRY_FULL: Final = 5
"""Seconds after which one may try again to wait."""

_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_APPLIED: Final = {"schema": {"type": "string"}, "description": "wait=N, where somebody asked to wait"}
_NO_SUCH: Final[Responses] = {404: {"model": ProblemView, "description": "There is no such claim (any more)"}}
_STOPPING: Final[Responses] = {
    503: {"model": ProblemView, "description": "The service is stopping", "headers": _RETRY},
}


def router(context: Context) -> APIRouter:
    """`/v1/claims`, `/v1/claims/{id}` and `/v1/claims/{id}/renew`."""
    routes = APIRouter(prefix="/v1/claims", tags=["claims"], dependencies=[Depends(no_query)])
    counter = ClaimEndpoints(context)
    claim_service, since = context.core.claim_service, context.clock.now()
    reads, claims = (
        Depends(context.authenticator.require(Scope.READ)),
        Depends(context.authenticator.require(Scope.CLAIM)),
    )

    @routes.post(
        "",
        summary="Claim people who are free",
        status_code=201,
        responses={
            201: {
                "model": MadeClaimView,
                "description": "They are yours",
                "headers": {
                    "Location": {"schema": {"type": "string"}, "description": "the claim's path"},
                    "Preference-Applied": _APPLIED,
                    "Idempotency-Replayed": {
                        "schema": {"type": "string"},
                        "description": "true: an answer of before, to a request with this Idempotency-Key",
                    },
                },
            },
            409: {
                "model": NotEnoughProblemView,
                "description": "Too few are free, or the same request is still waiting",
                "headers": {"Preference-Applied": _APPLIED},
            },
            **TOO_LARGE,
            **INVALID,
            429: {
                "model": ProblemView,
                "description": "Too many requests, waiting requests or streams",
                "headers": _RETRY,
            },
            **_STOPPING,
        },
    )
    async def claim(
        request: Request,
        body: Annotated[ClaimBody, Body()],
        who: Principal = claims,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
    ) -> Response:
        """Picks people who are free by the group's rule and holds them, so that nobody else gets them.

        `count` people or none: 409 says why each of the group could not be had. With `Prefer: wait=N` it waits for
        its turn, first come, first served.
        """
        wait = seconds_to_wait(request.headers.getlist("prefer"))
        return await counter.claim(request, who, body, idempotency_key, wait)

    @routes.get(
        "",
        summary="Who is held",
        responses={200: {"model": ClaimListView, "description": "The claims that there are"}, **INVALID},
    )
    async def every(request: Request, who: Principal = reads) -> Response:
        """Claims end with the service: there are none from before `since`."""
        leases = [lease for lease in claim_service.leases() if counter.json.shows(lease, who)]
        context.audit.look(request.scope, who, sum(len(lease.people) for lease in leases))
        return plain(counter.json.many(leases, since, who))

    @routes.get(
        "/{id}",
        summary="One claim",
        responses={200: {"model": ClaimView, "description": "The claim"}, **_NO_SUCH, **INVALID},
    )
    async def one(
        request: Request,
        id: ClaimId,  # noqa: A002  # as in the path
        who: Principal = reads,
    ) -> Response:
        """404 when it has ended."""
        lease = counter.find(id, who)
        if lease is None:
            return _no_such(request)
        context.audit.look(request.scope, who, len(lease.people))
        return plain(counter.json.one(lease, who))

    @routes.post(
        "/{id}/renew",
        summary="Keep a claim",
        responses={200: {"model": ClaimView, "description": "It lasts longer"}, **_NO_SUCH, **TOO_LARGE, **INVALID},
    )
    async def renew(
        request: Request,
        id: ClaimId,  # noqa: A002
        who: Principal = claims,
        body: Annotated[RenewBody | None, Body()] = None,
    ) -> Response:
        """Its time counts from now, whatever was left of it. For the client that made it, and for admins."""
        seconds = counter.seconds(body.lease_seconds if body is not None else None)
        if counter.find(id, who, to_change=True) is None:
            return _no_such(request)
        lease = claim_service.renew(id, seconds)
        if lease is None:
            return _no_such(request)
        context.audit.renewed(request.scope, who, lease)
        return plain(counter.json.one(lease, who))

    @routes.delete(
        "/{id}",
        summary="Let go of a claim",
        status_code=204,
        responses={204: {"description": "They are free for others"}, **_NO_SUCH, **INVALID},
    )
    async def release(
        request: Request,
        id: ClaimId,  # noqa: A002
        who: Principal = claims,
    ) -> Response:
        """For the client that made it, and for admins."""
        lease = counter.find(id, who, to_change=True)
        if lease is None or not claim_service.release(id):
            return _no_such(request)
        context.audit.released(request.scope, who, lease)
        return Response(status_code=204)

    return routes


class ClaimEndpoints:
    """What the routes have in common: it answers claims, each once for an Idempotency-Key."""

    def __init__(self, context: Context) -> None:
        self.json = ClaimJson(context.reader, context.json, context.log)
        self._context = context
        self._claim_service = context.core.claim_service
        self._replays = Replays()
        context.log.follow(self._follow)

    def find(self, name: str, who: Principal, *, to_change: bool = False) -> Lease | None:
        """A lease that `who` may see. Raises NotAllowed where it must not change it."""
        lease = self._claim_service.get(name)
        if lease is None or not self.json.shows(lease, who):
            return None
        if to_change and lease.holder != who.name and Scope.ADMIN not in who.scopes:
            raise NotAllowed("This claim is another key's; a key with the scopes claim and admin may change it too")
        return lease

    def seconds(self, asked: float | None) -> float:
        """The lease that was asked for. Raises InvalidParameters where it is too long."""
        rules = self._claim_service.rules
        if asked is not None and asked > rules.max_lease:
            raise _wrong("body", "lease_seconds", f"at most {rules.max_lease:g} seconds (claims.max_lease)")
        return asked if asked is not None else min(rules.default_lease, rules.max_lease)

    async def claim(
        self, request: Request, who: Principal, body: ClaimBody, key: str | None, wait: int | None
    ) -> Response:
        """Answer a claim, once for each key."""
        groups = sorted(name for name in self._context.reader.groups if who.groups is None or name in who.groups)
        if body.group not in groups:
            raise _wrong("body", "group", f"one of {', '.join(groups)}" if groups else "no group: there are none")
        claim_request = ClaimRequest(body.group, body.count, self.seconds(body.lease_seconds), body.purpose, who.name)
        if key is None:
            return await self._fresh(request, who, claim_request, wait, None)
        name = Name(who.name, key)
        try:
            # Whose eyes it is for belongs to the request: they may have changed since.
            kept = self._replays.begin(name, repr((claim_request, sorted(who.groups or ()), who.details)), self._now())
        except RequestInProgress:
            detail = "The same request, with this Idempotency-Key, is still waiting for its answer"
            return _problem(request, "request-in-progress", detail, {"Retry-After": "1"})
        except KeyReused:
            raise _wrong("header", "Idempotency-Key", "a new one: another claim was asked for with this one") from None
        if kept is not None:
            self._context.audit.look(request.scope, who, body.count)
            return plain(kept.body, 201, {**kept.headers, "Idempotency-Replayed": "true"})
        try:
            return await self._fresh(request, who, claim_request, wait, name)
        finally:
            self._replays.drop(name)

    async def _fresh(
        self, request: Request, who: Principal, claim_request: ClaimRequest, wait: int | None, name: Name | None
    ) -> Response:
        applied = {"Preference-Applied": f"wait={wait}"} if wait is not None else {}
        ticket = self._claim_service.ask(claim_request, wait or 0)
        try:
            match await self._outcome(ticket, request, who):
                case Granted(lease, passed_over) as granted:
                    body = self.json.made(lease, passed_over, who)
                    headers = {"Location": f"{root_of(request.scope)}/v1/claims/{lease.id}", **applied}
                    if name is not None:
                        self._replays.keep(name, lease.id, body, headers)
                        if self._claim_service.get(lease.id) is None:  # ended before it was kept
                            self._replays.ended(lease.id, self._now())
                    pick = self._claim_service.rules.picks.get(lease.group, Pick.LONGEST_AVAILABLE)
                    self._context.audit.claimed(request.scope, who, granted, pick)
                    return plain(body, 201, headers)
                case NotEnoughFree() as refused:
                    self._context.audit.not_claimed(request.scope, who, claim_request, refused)
                    return _not_enough(request, claim_request, refused, who, applied)
                case RejectReason.FULL:
                    detail = f"claims.max_waiting is {self._claim_service.rules.max_waiting}, and so many wait already"
                    return _problem(request, "too-many-waiting", detail, {"Retry-After": str(_RETRY_FULL)})
                case RejectReason.STOPPING:
                    return _problem(request, "stopping", "The service is stopping", {"Retry-After": "1"})
        except BaseException:  # whatever it is, the client gets no claim: nobody must be held for it
            self._claim_service.leave(ticket)
            raise

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
    request: Request, claim_request: ClaimRequest, refused: NotEnoughFree, who: Principal, applied: dict[str, str]
) -> Response:
    wanted = (
        f"{claim_request.count} of the group {claim_request.group} {'is' if claim_request.count == 1 else 'are'} wanted"
    )
    detail = f"{wanted}, and {refused.free or 'nobody'} {'are' if refused.free > 1 else 'is'} free"
    if refused.ahead:
        detail += " for this request: others asked before"
    members = {"free": refused.free, "passed_over": reasons(refused.passed_over, who)}
    return problem(RequestRefused(detail, applied, kind="not-enough-free", members=members), *asked(request.scope))


def _no_such(request: Request) -> Response:
    return _problem(request, "no-such-claim", "There is no claim of this id; it may have ended")


def _problem(request: Request, kind: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    return problem(RequestRefused(detail, headers, kind=kind), *asked(request.scope))


def _wrong(where: str, name: str, expected: str) -> InvalidParameters:
    return InvalidParameters(WrongParameter(where, name, expected))
