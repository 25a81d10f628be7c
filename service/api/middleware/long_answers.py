"""Answers that last for hours, sent when the framework is done with the request.

A route finds out who asks and for what, and refuses, as every route does. What it begins goes on here: all that the
framework made of the request, its stacks and its wrappers around `send`, is gone by then, and costs no memory for hours
and no step for each event. Plain ASGI, inside of all other middleware, whose rules hold for every piece that is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

_REST: Final = "pws.rest"
"""The key of a request's scope under which the rest of its answer is kept."""

Rest = Callable[[Receive, Send], Awaitable[None]]


def continue_with(scope: Scope, rest: Rest, held: AbstractContextManager[Any]) -> None:
    """Have `rest` send the answer, of which nothing may have been sent. `held` is entered now, and left at the end."""
    held.__enter__()
    scope[_REST] = (rest, held)


class LongAnswers:
    """Wraps an ASGI program."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen: Scope = {**scope}  # the framework keeps its own things in it
        try:
            await self._app(seen, receive, send)
        except BaseException:
            if _REST in seen:
                seen[_REST][1].__exit__(None, None, None)
            raise
        if _REST in seen:
            rest, held = seen[_REST]
            del seen
            try:
                await rest(receive, send)
            finally:
                held.__exit__(None, None, None)
