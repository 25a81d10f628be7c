"""Answers that wait for the next change: `Prefer: wait=N` (RFC 7240), for clients that cannot hold a stream open.

A client that sends the entity tag of the answer it has is answered as soon as something that it would see has happened
since, however long ago; one that sends none, with the next event. A new `as_of` is no event: it moves with each
confirmation. A client that waits holds a slot until it is answered or goes away, which only its connection tells.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import Request
from starlette.responses import Response

from service.access.errors import KeyRequired
from service.access.principal import Principal
from service.api.context import Context
from service.api.disconnect import wait_for_disconnect
from service.api.etags import JSON, Representation, Tags, tagged
from service.api.prefer import seconds_to_wait
from service.core.events.event import Event

MAX_LOOK: Final = 2000
"""Events that are looked through for one that concerns a tag; after more of them the answer is likely to be another."""
GONE: Final = 499
"""The status of an answer that nobody hears, as servers write it into their logs."""

Concerns = Callable[[Event], bool]


async def answer(
    context: Context,
    request: Request,
    who: Principal,
    make: Callable[[], Awaitable[Representation]],
    concerns: Concerns,
    media_type: str = JSON,
) -> Response:
    """What `make` says, now or as soon as it is worth telling. `concerns`: whether an event may change what it says."""
    representation, response = await _answer(context, request, who, make, concerns, media_type)
    if response.status_code != GONE:
        context.audit.look(request.scope, who, representation.shown, unchanged=response.status_code == 304)
    return response


async def _answer(
    context: Context,
    request: Request,
    who: Principal,
    make: Callable[[], Awaitable[Representation]],
    concerns: Concerns,
    media_type: str,
) -> tuple[Representation, Response]:
    tags = Tags.of_request(request, who, media_type)
    wait = seconds_to_wait(request.headers.getlist("prefer"))
    if wait is not None and tags.known is not None:
        await context.log.caught_up(tags.known)  # else it would be told what was before
    cuts = context.log.cuts
    revision = context.log.last  # before: what happens while it is made is news
    representation = await make()
    if wait is None:
        return representation, tagged(representation, tags, revision)
    applied = {"Preference-Applied": f"wait={wait}"}
    after = _knows(context, tags, representation, revision, concerns)
    if after is None:
        return representation, tagged(representation, tags, revision, applied)
    with context.authenticator.slots.take(context.authenticator.client(request, who)):
        gone = asyncio.create_task(wait_for_disconnect(request.receive))
        slept = asyncio.create_task(context.clock.sleep(wait))
        arrived: asyncio.Task[None] | None = None
        try:
            while not (slept.done() or context.log.closed):
                arrived = asyncio.create_task(_relevant_event(context, after, concerns, cuts))
                await asyncio.wait({gone, slept, arrived}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    gone.result()  # a body over the cap is answered with 413
                    return representation, Response(status_code=GONE)
                happened, after, cuts = arrived.done(), context.log.last, context.log.cuts
                representation = await make()
                if happened and not tags.has(tags.of(representation, after)):
                    break  # else what happened had changed nothing for this client
        finally:
            await _end(gone, slept, arrived)
    if not context.authenticator.is_still_in(request):
        raise KeyRequired("The key was revoked meanwhile")
    return representation, tagged(representation, tags, after, applied)


def _knows(context: Context, tags: Tags, representation: Representation, last: int, concerns: Concerns) -> int | None:
    """The event up to which the client knows everything; None when there is an event for it already.

    `last` was the newest event when the representation was made.
    """
    if context.log.is_silent:
        return None  # what has changed since is that nobody is heard, which no event tells
    if not tags.are_given or tags.any_will_do or tags.has(tags.of(representation, last)):
        return last
    known = tags.known
    events = context.log.since(known) if known is not None else None
    if events is None or len(events) > MAX_LOOK or _any(events, concerns):
        return None
    return last


def _any(events: Sequence[Event], concerns: Concerns) -> bool:
    return any(map(concerns, events))


async def _relevant_event(context: Context, after: int, concerns: Concerns, cuts: int) -> None:
    """Returns when something happened that concerns the client, or the log is closed, or was cut since `cuts`."""
    log = context.log
    while not log.closed and log.cuts == cuts:
        await log.wait_for_event(after)
        events = log.since(after)
        if events is None or _any(events, concerns):
            return
        after = log.last


async def _end(*tasks: asyncio.Task[None] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
