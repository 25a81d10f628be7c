"""What holds for every request."""

from __future__ import annotations

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.api.middleware.limits import RequestLimits
from tests.support.asgi import call


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body's length."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await Response(str(size), headers={"Cache-Control": "private"} if size == 3 else None)(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails before it answers."""
    raise RuntimeError("a secret detail")


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails in the middle of its answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("too late")


async def test_answers_are_not_kept_by_caches() -> None:
    """Unless a route says otherwise; and nobody guesses their type."""
    plain = await call(RequestLimits(echo), "GET", "/")
    own = await call(RequestLimits(echo), "POST", "/", body=b"abc")
    assert plain.headers["cache-control"] == "no-store"
    assert own.headers["cache-control"] == "private"
    assert plain.headers["x-content-type-options"] == own.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("body", [b"1234", [b"12", b"34"]], ids=["whole", "in pieces"])
async def test_a_body_up_to_the_cap_passes(body: bytes | list[bytes]) -> None:
    """The cap itself is allowed."""
    assert (await call(RequestLimits(echo, max_body=4), "POST", "/", body=body)).body == b"4"


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    """413 at once, and the connection is not used again."""
    answer = await call(RequestLimits(broken, max_body=4), "POST", "/v1/refresh", body=b"12345")
    assert (answer.status, answer.json()["type"]) == (413, "/problems/body-too-large")
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"


async def test_an_absurd_length_is_too_large() -> None:
    """A number of a thousand digits is no work."""
    answer = await call(RequestLimits(echo), "POST", "/", headers={"content-length": "9" * 1000}, body=b"")
    assert answer.status == 413


async def test_an_error_becomes_a_problem_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the trace, the answer has nothing of it, and neither has the callback's path."""
    answer = await call(RequestLimits(broken), "GET", "/pws/kR3")
    assert (answer.status, answer.json()["type"]) == (500, "/problems/internal-error")
    assert b"detail" not in answer.body.replace(b'"detail"', b"")
    assert "failed to answer GET /pws" in caplog.text
    assert "kR3" not in caplog.text + str(answer)


async def test_an_error_in_the_middle_of_an_answer_is_passed_on() -> None:
    """The server breaks the connection off, so that nobody takes half an answer for a whole one."""
    with pytest.raises(RuntimeError, match="too late"):
        await call(RequestLimits(half), "GET", "/")


async def test_other_things_than_requests_pass_untouched() -> None:
    """The start and the end of the program."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    await RequestLimits(app)({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]
