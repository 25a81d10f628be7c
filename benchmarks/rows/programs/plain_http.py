"""The limit of HTTP rows: programs on the service's own HTTP server that send answers which were learnt from it.

Settings: `app` is "raw", an ASGI program of a few lines, or "fastapi", the plain way to write a route.

    {"do": "learn", "file": PATH}   answers by target, as JSON: {TARGET: [STATUS, [[NAME, VALUE], ...], BODY]}
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from benchmarks.rows.programs import control
from service.runtime.server import listen, serve


class Raw:
    """Sends the answer to `METHOD TARGET`; to a target that it does not know that of `METHOD *`."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, bytes, bytes], tuple[dict[str, Any], dict[str, Any]]] = {}

    def learn(self, target: str, status: int, headers: list[list[str]], body: str) -> None:
        """Keep one answer as the messages that are sent."""
        method, _, rest = target.partition(" ")
        path, _, query = rest.partition("?")
        kept = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        start = {"type": "http.response.start", "status": status, "headers": kept}
        end = {"type": "http.response.body", "body": body.encode("latin-1")}
        self.answers[method, path.encode(), query.encode()] = (start, end)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI's own shapes
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        method = scope["method"]
        if method == "POST":
            while (await receive()).get("more_body"):
                pass
        answer = self.answers.get((method, scope["raw_path"], scope["query_string"]))
        start, end = answer or self.answers[method, b"*", b""]
        await send(start)
        await send(end)


class Device(BaseModel):
    """A device as an answer shows it."""

    id: str
    open: bool
    audio: bool | None
    video: bool | None
    text: bool | None


class Contact(BaseModel):
    """A contact as an answer shows it."""

    contact: str
    state: str
    activities: list[str]
    on_the_phone: bool | None
    display_name: str | None
    note: str | None
    idle: bool | None
    devices: list[Device]
    freshness: str
    as_of: str | None
    changed_at: str | None
    source: str | None
    revision: int
    available: bool
    reason: str
    claim: None


class Plain:
    """A route as one writes it with FastAPI: a path parameter, an optional query parameter, a model as the answer."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.contacts: dict[str, Contact] = {}

        @self.app.get("/v1/presence/{contact}")
        async def one(contact: str, max_age: float | None = None) -> Contact:
            if contact not in self.contacts or max_age == 0:
                raise HTTPException(404)
            return self.contacts[contact]

    def learn(self, target: str, _status: int, _headers: list[list[str]], body: str) -> None:
        """Keep one contact as the model."""
        found = Contact.model_validate_json(body.encode("latin-1"))
        self.contacts[target.rpartition("/")[2]] = found


async def main() -> None:
    """Serve, and obey."""
    kind = json.loads(sys.argv[1])["app"]
    program: Raw | Plain = Raw() if kind == "raw" else Plain()

    async def learn(words: dict[str, Any]) -> object:
        text = Path(words["file"]).read_text("utf-8")  # noqa: ASYNC240  # nobody else is served now
        for target, answer in json.loads(text).items():
            program.learn(target, *answer)
        gc.collect()
        gc.freeze()
        return "learnt"

    listening, stop = listen("127.0.0.1", 0), asyncio.Event()
    app = program if isinstance(program, Raw) else program.app
    serving = asyncio.create_task(serve(app, listening, stop))
    try:
        await control.obey({"learn": learn}, {"port": listening.getsockname()[1]})
    finally:
        stop.set()
        await serving


if __name__ == "__main__":
    control.run(main())
