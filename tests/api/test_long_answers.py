"""Answers that last: what the framework and the middleware made of a request has gone while they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.long_answers import AlreadyEnded, LongAnswers, continue_with, finished

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class Request:
    """A request to a route that begins a long answer, inside of one middleware. `steps` is what happened, in order."""

    def __init__(self, rest: Exception | None = None, middleware: Exception | None = None, method: str = "GET") -> None:
        self.steps: list[str] = []
        self._rest = rest
        self._middleware = middleware
        self._scope: Scope = {"type": "http", "method": method}

    async def ask(self, *, by_itself: bool = False) -> None:
        """Call the program, with `finished` around it or without."""
        app = self._around(LongAnswers(self._route))
        if by_itself:
            await app(self._scope, self._receive, self._send)
        else:
            await finished(app, self._scope, self._receive, self._send)
        assert self._scope.keys() == {"type", "method"}, "nothing is left in the scope"

    async def _route(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        continue_with(scope, START, self._send_rest, self._slot())

    async def _send_rest(self, _receive: Receive, send: Send) -> None:
        self.steps.append("rest")
        if self._rest is not None:
            raise self._rest
        await send(END)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        self.steps.append("slot")
        try:
            yield
        finally:
            self.steps.append("slot free")

    def _around(self, inner: ASGIApp) -> ASGIApp:
        async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
            async def wrapped(message: Message) -> None:
                self.steps.append("wrapper")
                await send(message)

            await inner({**scope}, receive, wrapped)
            self.steps.append("middleware over")
            if self._middleware is not None:
                raise self._middleware

        return middleware

    async def _receive(self) -> Message:
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.steps.append(message["type"])


async def test_the_rest_is_sent_when_the_middleware_is_over_through_all_that_it_put_around_send() -> None:
    request = Request()
    await request.ask()
    begins, ends = ["wrapper", START["type"]], ["wrapper", END["type"]]
    assert request.steps == ["slot", *begins, "middleware over", "rest", *ends, "slot free"]


@pytest.mark.parametrize(("method", "by_itself"), [("HEAD", False), ("GET", True)])
async def test_without_somebody_around_it_the_rest_is_sent_at_its_place(method: str, by_itself: bool) -> None:
    """As for HEAD: who answers that sees where the body begins."""
    request = Request(method=method)
    await request.ask(by_itself=by_itself)
    begins, ends = ["wrapper", START["type"]], ["wrapper", END["type"]]
    assert request.steps == ["slot", *begins, "rest", *ends, "slot free", "middleware over"]


async def test_what_goes_wrong_gives_the_slot_back() -> None:
    failing = [Request(rest=RuntimeError()), Request(middleware=RuntimeError())]
    for request in failing:
        with pytest.raises(RuntimeError):
            await request.ask()
        assert request.steps[-1] == "slot free"
    assert "rest" not in failing[1].steps


async def test_an_answer_that_a_wrapper_has_ended_is_no_error() -> None:
    request = Request(rest=AlreadyEnded())
    await request.ask()
    assert request.steps[-1] == "slot free"
