"""Checks a service that is running already by its own status, in place of trying the callback."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
from typing import Final

from pws_soap.models import Secret
from service.cli.doctor import contacts, reach
from service.cli.shared.api import LATE, Api, Json, NoAnswer, ServiceAddress, ServiceRefused, one_line
from service.cli.shared.findings import Notebook
from service.config import Config

PATIENCE: Final = 3.0
SHOWN: Final = 3
"""Problems of the service that are repeated; further ones are counted."""
PAGE: Final = 1000
"""Contacts that are read from the service at most."""
SERVICE: Final = "pws-presence"
"""The name of the service in the reply to `GET /v1`."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a listener on all addresses is on loopback too


async def look(config: Config, host: str, port: int, note: Notebook) -> bool:
    """Report the status of the service. False when another program listens there."""
    if config.callback.is_apart:  # that listener takes notifications only
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
            status = await api.get("/v1/status")
            _report(url, status, note)
        except (NoAnswer, ServiceRefused) as error:
            what = f"the service itself is running at {url}, but its status cannot be read: {error.reason}"
            note.warning(what, "set PWS_KEY to a key of the service that may read" if key else "")
        else:
            await _callback(config, status, note)
            with contextlib.suppress(NoAnswer, ServiceRefused):  # a key may see too little for it
                await _contacts(config, api, Notebook("contacts", note.tell))
    except NoAnswer as error:
        if error.reason != LATE:
            return False
        fix = "if it is this service, it hangs: restart it and look at its last log lines; else stop that program"
        note.problem(f"a program listens at {url} and does not answer within {PATIENCE:g} s", fix)
    except ServiceRefused:
        return False
    finally:
        await api.close()
    return True


async def look_at_api(config: Config, note: Notebook) -> None:
    """Where notifications have their own listener: check that the API's port is free, or that the service has it."""
    host, port = config.http.host, config.http.port
    if not config.callback.is_apart or port == 0:
        return
    try:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await look(config, host, port, note):
            return
        reason = "another program has the port" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        fix = "stop that program, or set http.port" if error.errno == errno.EADDRINUSE else "set http.host"
        note.problem(f"cannot listen on {host}:{port} for the API: {reason}", fix)
        return
    server.close()
    await server.wait_closed()


async def _callback(config: Config, status: Json, note: Notebook) -> None:
    """Where the service has subscriptions and no notification has come, report what this machine sees of the way."""
    notifications, subscriptions = status.get("notifications"), status.get("subscriptions")
    silent = isinstance(notifications, dict) and notifications.get("received") == 0
    if not silent or not subscriptions or not status.get("problems"):
        return
    url = config.callback.url
    answer = await reach.ask(config.callback.address(Secret(secrets.token_urlsafe(32))))
    if isinstance(answer, reach.Obstacle):
        note.problem(f"this machine does not reach {url} either: {answer.reason}", reach.cure(config, answer))
    elif config.callback.allow_from:
        named = ", ".join(map(str, config.callback.allow_from))
        fix = "if the service's log says `refused a notification from`, add that address to it"
        note.warning(f"callback.allow_from names {named} only, and refuses a server with another address", fix)


async def _contacts(config: Config, api: Api, note: Notebook) -> None:
    """Report which of the configured contacts the server does not know, as far as a page tells."""
    page = await api.get(f"/v1/presence?state=UNKNOWN&freshness=live&fields=state&limit={PAGE}")
    rows = page.get("contacts")
    unknown = [row.get("contact") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    watched = [contact for watch in config.watch for contact in watch.contacts]
    contacts.report(note, watched, [name for name in unknown if isinstance(name, str)])


def _report(url: str, status: Json, note: Notebook) -> None:
    state = one_line(status.get("state"))
    notifications = status.get("notifications")
    received = notifications.get("received") if isinstance(notifications, dict) else None
    counted = f", {received} notification{'' if received == 1 else 's'} received" if isinstance(received, int) else ""
    where = f"the service itself is running at {url}: {state}{counted}"
    problems = status.get("problems")
    reasons = (
        [one_line(each.get("what")) for each in problems if isinstance(each, dict)]
        if isinstance(problems, list)
        else []
    )
    why = "; ".join(reasons[:SHOWN])
    if len(reasons) > SHOWN:
        why += f"; and {len(reasons) - SHOWN} more in {url}/v1/status"
    if state == "live" and not reasons:
        note.ok(where)
    elif state in {"live", "starting"}:
        note.warning(where, why)
    else:
        note.problem(where, why or "look at /v1/status")
