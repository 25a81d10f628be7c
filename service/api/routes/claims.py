"""Claims over HTTP: claim people who are free, wait for them, renew and release a claim.

`service.core.claims` decides, and `service.api.claim_endpoints` makes its outcomes answers.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Request
from starlette.responses import Response

from service.access.errors import RequestRefused
from service.access.principal import Principal, Scope
from service.api.claim_endpoints import ClaimEndpoints
from service.api.context import Context
from service.api.etags import plain
from service.api.models.claim import ClaimListView, ClaimView, MadeClaimView, NotEnoughProblemView
from service.api.parameters.checks import no_query
from service.api.parameters.claims import ClaimBody, ClaimId, IdempotencyKey, Prefer, RenewBody
from service.api.paths import asked
from service.api.prefer import seconds_to_wait
from service.api.problems import ProblemView, problem
from service.api.responses import INVALID, TOO_LARGE, Responses

_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_APPLIED: Final = {"schema": {"type": "string"}, "description": "wait=N, where somebody asked to wait"}
_NO_SUCH: Final[Responses] = {404: {"model": ProblemView, "description": "There is no such claim (any more)"}}
_STOPPING: Final[Responses] = {
    503: {"model": ProblemView, "description": "The service is stopping", "headers": _RETRY},
}


def router(context: Context, endpoints: ClaimEndpoints) -> APIRouter:
    """`/v1/claims`, `/v1/claims/{id}` and `/v1/claims/{id}/renew`."""
    routes = APIRouter(prefix="/v1/claims", tags=["claims"], dependencies=[Depends(no_query)])
    claim_service, since = context.core.claim_service, context.clock.now()
    reads, claims = (
        Depends(context.authenticator.require(Scope.READ)),
        Depends(context.authenticator.require(Scope.CLAIM)),
    )

    @routes.post(
        "",
        summary="Claim people who are free",
        operation_id="createClaim",
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
        return await endpoints.claim(request, who, endpoints.requested(who, body), idempotency_key, wait)

    @routes.get(
        "",
        summary="Who is held",
        operation_id="listClaims",
        responses={200: {"model": ClaimListView, "description": "The claims that there are"}, **INVALID},
    )
    async def every(request: Request, who: Principal = reads) -> Response:
        """Claims end with the service: there are none from before `since`. Of several replicas they outlive each."""
        leases = [lease for lease in claim_service.leases() if endpoints.json.shows(lease, who)]
        context.audit.look(request.scope, who, sum(len(lease.people) for lease in leases))
        oldest = since
        if not endpoints.answers_at_once:  # claims outlive a replica
            oldest = min((lease.made.wall for lease in claim_service.leases()), default=since)
        return plain(endpoints.json.many(leases, min(since, oldest), who))

    @routes.get(
        "/{id}",
        summary="One claim",
        operation_id="getClaim",
        responses={200: {"model": ClaimView, "description": "The claim"}, **_NO_SUCH, **INVALID},
    )
    async def one(
        request: Request,
        id: ClaimId,  # noqa: A002  # as in the path
        who: Principal = reads,
    ) -> Response:
        """404 when it has ended."""
        lease = endpoints.find(id, who)
        if lease is None:
            return _no_such(request)
        context.audit.look(request.scope, who, len(lease.people))
        return plain(endpoints.json.one(lease, who))

    @routes.post(
        "/{id}/renew",
        summary="Keep a claim",
        operation_id="renewClaim",
        responses={200: {"model": ClaimView, "description": "It lasts longer"}, **_NO_SUCH, **TOO_LARGE, **INVALID},
    )
    async def renew(
        request: Request,
        id: ClaimId,  # noqa: A002
        who: Principal = claims,
        body: Annotated[RenewBody | None, Body()] = None,
    ) -> Response:
        """Its time counts from now, whatever was left of it. For the client that made it, and for admins."""
        seconds = endpoints.seconds(body.lease_seconds if body is not None else None)
        if endpoints.find(id, who, to_change=True) is None:
            return _no_such(request)
        lease = claim_service.renew(id, seconds)
        if lease is None:
            return _no_such(request)
        if not endpoints.answers_at_once:
            await endpoints.accepted()
        context.audit.renewed(request.scope, who, lease)
        return plain(endpoints.json.one(lease, who))

    @routes.delete(
        "/{id}",
        summary="Let go of a claim",
        operation_id="releaseClaim",
        status_code=204,
        responses={204: {"description": "They are free for others"}, **_NO_SUCH, **INVALID},
    )
    async def release(
        request: Request,
        id: ClaimId,  # noqa: A002
        who: Principal = claims,
    ) -> Response:
        """For the client that made it, and for admins."""
        released = endpoints.release(request.scope, id, who)
        if released is not None and not endpoints.answers_at_once:
            await endpoints.accepted()
        return released or _no_such(request)

    return routes


def _no_such(request: Request) -> Response:
    refused = RequestRefused("There is no claim of this id; it may have ended", kind="no-such-claim")
    return problem(refused, *asked(request.scope))
