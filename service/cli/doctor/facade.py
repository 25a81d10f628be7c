"""Asks at the façade as a program does, where the service is running: log in, poll one contact over SOAP.

It connects to the façade's own listener on this machine, and knows it by the certificate of the configuration. Nobody
is logged out, since the session may be that of a program.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Final

from pws_soap.errors import Fault, LoginRefused, PwsError, Throttled, TlsFailed
from service.cli.shared.facade_checks import first_certificate
from service.cli.shared.findings import Notebook, Tell
from service.config import Config
from service.runtime.facade_listener import LISTENER_KEYS

if TYPE_CHECKING:
    from pws_soap.client import PwsClient

CONNECT: Final = 3.0
READ: Final = 25.0
"""Seconds for each; a poll of somebody who is not live waits for the presence server."""
NOT_SURE: Final = 210
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a listener on all addresses is on loopback too
_RESTART: Final = "restart pws serve, if the configuration was changed since its start"


async def look(config: Config, tell: Tell) -> None:
    """Ask there, if the configuration has a façade and something listens at its port."""
    facade, note = config.facade, Notebook("facade", tell)
    if not facade.listen_port:
        return
    host = _ANY.get(facade.listen_host, facade.listen_host)
    place = f"{f'[{host}]' if ':' in host else host}:{facade.listen_port}"
    try:
        async with asyncio.timeout(CONNECT):
            _, writer = await asyncio.open_connection(host, facade.listen_port)
    except ConnectionRefusedError:
        note.ok(f"{place} is free: pws serve is not running, and nothing was asked there")
        return
    except (OSError, TimeoutError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no answer in time"
        if isinstance(error, OSError) and error.errno in {errno.EADDRNOTAVAIL, errno.ENETUNREACH}:
            reason = "this machine has no such address"
        note.problem(f"nothing can be asked at {place}: {reason}", f"check {LISTENER_KEYS}")
        return
    writer.transport.abort()
    await _ask(config, place, note)


async def _ask(config: Config, place: str, note: Notebook) -> None:
    from pws_soap.client import PwsClient  # zeep takes a moment

    facade = config.facade
    shown = None if facade.certificate is None else first_certificate(facade.certificate)
    scheme = "http" if facade.certificate is None else "https"
    client = PwsClient(
        f"{scheme}://{place}",
        fingerprint=None if shown is None else shown.digest,
        connect_timeout=CONNECT,
        read_timeout=READ,
    )
    name = next(iter(config.facade_users))
    try:
        async with client:
            await _poll(config, client, name, note)
    except LoginRefused as error:
        what = f"{place} refuses facade.users.{name} with code {error.code} ({error.meaning})"
        note.problem(what, "reload pws serve with SIGHUP, if its users were changed since")
    except TlsFailed as error:
        note.problem(
            f"what listens at {place} does not show facade.certificate: {error.reason}",
            "reload pws serve with SIGHUP, if the certificate was changed since; else another program has the port",
        )
    except Throttled as error:
        if error.code == NOT_SURE:
            what = f"{place} answers over SOAP, and asks to wait (code {NOT_SURE}): whom it was asked for is not live"
            note.warning(what, "see what is found of the nodes and the callback")
        else:
            note.warning(f"{place} answers over SOAP, and asks to wait: {error}", "look again in a minute")
    except Fault as error:
        note.problem(
            f"{place} refuses {error.operation or 'a request'} with code {error.code} ({error.meaning})", _RESTART
        )
    except PwsError as error:
        what = f"what listens at {place} does not answer as a façade: {' '.join(str(error).split())}"
        note.problem(what, f"{_RESTART}; else another program has the port: set {LISTENER_KEYS}")


async def _poll(config: Config, client: PwsClient, name: str, note: Notebook) -> None:
    user, loop = config.facade_users[name], asyncio.get_running_loop()
    began = loop.time()
    application = await client.login(name, user.password)
    end_user = next((each for each in user.end_users if each != "*"), config.watch[0].end_user)
    session = await client.login_end_user(application, end_user)
    contact = _contact(config, name)
    if contact is None:
        note.ok(f"over SOAP {name} can log in as {end_user}, and sees no contact of the configuration")
        return
    (presence,) = await client.get_polled_presence(session, [contact])
    took = max(1, round((loop.time() - began) * 1000))
    note.ok(f"over SOAP {name} can log in as {end_user}, and a poll of one contact ({presence.state}) took {took} ms")


def _contact(config: Config, name: str) -> str | None:
    """A contact that is watched and that this user sees."""
    user = config.facade_users[name]
    watched = [contact for watch in config.watch for contact in watch.contacts]
    if not user.groups:
        return watched[0] if watched else None
    seen = {contact for group in user.groups for contact in config.groups[group].contacts}
    return next((contact for contact in watched if contact in seen), None)
