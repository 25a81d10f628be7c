"""The service itself where it is running already: what it says of itself then tells more than any trial."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Final

from pws_soap.models import Secret
from service.cli.doctor.findings import Notebook
from service.cli.shared.api import LATE, Api, Json, NoAnswer, ServiceAddress, ServiceRefused, one_line
from service.config import Config

PATIENCE: Final = 3.0
SERVICE: Final = "pws-presence"
"""What the service calls itself at `GET /v1`."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what listens everywhere is here too


async def look(config: Config, host: str, port: int, note: Notebook) -> bool:
    """Ask it. False when something else than the service listens there."""
    if config.callback.is_apart:  # that listener answers the server only
        host, port = config.http.host, config.http.port
    host = _ANY.get(host, host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    key = os.environ.get("PWS_KEY", "").strip()
    api = Api(
        ServiceAddress(url, Secret(key) if key and key.isascii() and key.isprintable() else None), answer=PATIENCE
    )
    try:
        if (await api.get("/livez")).get("alive") is not True or (await api.get("/v1")).get("service") != SERVICE:
            return False
        try:
            _told(url, await api.get("/v1/status"), note)
        except (NoAnswer, ServiceRefused) as error:
            note.warning(f"the service itself is running at {url}, and does not tell how it is: {error.reason}")
    except NoAnswer as error:
        if error.reason != LATE:
            return False
        fix = "if it is this service it hangs: restart it, and look at what it logged last; else stop that program"
        note.problem(f"something listens at {url}, and does not answer within {PATIENCE:g} s", fix)
    except ServiceRefused:
        return False
    finally:
        await api.close()
    return True


async def look_at_api(config: Config, note: Notebook) -> None:
    """Where notifications have a listener apart: whether the API's own port is free, or has the service behind it."""
    host, port = config.http.host, config.http.port
    if not config.callback.is_apart or port == 0:
        return
    try:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await look(config, host, port, note):
            return
        reason = "another program does" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        fix = "stop that one, or set http.port" if error.errno == errno.EADDRINUSE else "set http.host"
        note.problem(f"cannot listen on {host}:{port} for the API: {reason}", fix)
        return
    server.close()
    await server.wait_closed()


def _told(url: str, status: Json, note: Notebook) -> None:
    state = one_line(status.get("state"))
    heard = status.get("notifications")
    received = heard.get("received") if isinstance(heard, dict) else None
    counted = f", {received} notification{'' if received == 1 else 's'} received" if isinstance(received, int) else ""
    where = f"the service itself is running at {url}: {state}{counted}"
    problems = status.get("problems")
    told = (
        [one_line(each.get("what")) for each in problems if isinstance(each, dict)]
        if isinstance(problems, list)
        else []
    )
    if state == "live" and not told:
        note.ok(where)
    elif state in {"live", "starting"}:
        note.warning(where, "; ".join(told[:3]))
    else:
        note.problem(where, "; ".join(told[:3]) or "look at /v1/status")
