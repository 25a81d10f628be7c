"""The connection tells: that a client has gone away, and a client that its answer ends in its midst."""

from __future__ import annotations

from starlette.types import Receive


class AnswerBrokenOff(ConnectionAbortedError):
    """The rest of an answer that has begun does not come. The server closes the connection, which tells the client."""


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone. What is left of the request's body is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
