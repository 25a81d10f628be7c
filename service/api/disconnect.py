"""Noticing that a client has gone away, which only its connection tells."""

from __future__ import annotations

from starlette.types import Receive


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone. What is left of the request's body is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
