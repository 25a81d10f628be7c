"""Answers that last for hours, sent when the framework is done with the request.

A route finds out who asks and for what, and refuses, as every route does. What it begins goes on here: all that the
framework and the middleware made of the request, a dozen coroutines, is gone by then, and costs no memory for hours and
no step for each event. What the middleware has put around `send` and `receive` stays, and so do its rules.

`LongAnswers` is the innermost middleware, and sends how the answer begins. `finished` is around all of it, and waits
for the rest; for a request that does not come by it, such as HEAD, `LongAnswers` waits itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ANSWER: Final = "pws.long_answer"
"""The key of a request's scope under which its long answer is kept, once the route has begun it."""
_REST: Final = "pws.rest"
"""The key of the list that takes the rest of the answer out of the middleware."""

Rest = Callable[[Receive, Send], Awaitable[None]]


class AlreadyEnded(OSError):
    """`send` has ended the answer by itself. An OSError: to who sends, it is as if the client had gone."""


def continue_with(scope: Scope, start: Message, rest: Rest, held: AbstractContextManager[Any]) -> None:
    """Have the answer begin with `start`, and `rest` send its body. `held` is entered now, and left at the end."""
    held.__enter__()
    scope[_ANSWER] = (start, rest, held)


async def finished(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call a program with all of its middleware, then send the rest of a long answer."""
    if scope["type"] != "http" or scope["method"] != "GET":
        await app(scope, receive, send)
        return
    begun: list[tuple[Callable[[], Awaitable[None]], AbstractContextManager[Any]]] = []
    scope[_REST] = begun
    try:
        await app(scope, receive, send)
    except BaseException:
        if begun:
            begun[0][1].__exit__(None, None, None)
        raise
    finally:
        del scope[_REST]
    if begun:
        rest, held = begun.pop()
        sending = rest()
        del rest, receive, send  # what the rest needs of them it has
        try:
            await sending
        except AlreadyEnded:
            pass  # not by contextlib.suppress: it would be kept for as long as the answer
        finally:
            held.__exit__(None, None, None)


class LongAnswers:
    """Wraps an ASGI program."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen: Scope = {**scope}  # the framework keeps its own things in it
        try:
            await self._app(seen, receive, send)
            if _ANSWER in seen:
                await send(seen[_ANSWER][0])
        except BaseException:
            if _ANSWER in seen:
                seen[_ANSWER][2].__exit__(None, None, None)
            raise
        if _ANSWER not in seen:
            return
        _, rest, held = seen.pop(_ANSWER)
        if _REST in scope:
            scope[_REST].append((partial(rest, receive, send), held))
            return
        del seen
        try:
            await rest(receive, send)
        finally:
            held.__exit__(None, None, None)
