"""Checks one node, from its name to the application user's login; the first step that fails is the last."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp

from pws_soap.certificate import look as look_at_certificate
from pws_soap.errors import ArgumentError, ContractError, PwsError
from pws_soap.models import Session
from pws_soap.trust import Trust, read_fingerprint
from service.cli.doctor import certificate
from service.cli.shared.findings import Blame, Notebook, Tell
from service.cli.shared.sessions import client_of
from service.cli.shared.sockets import Sockets
from service.config import Config

if TYPE_CHECKING:
    from pws_soap.client import PwsClient

SOON: Final = 30
"""A certificate that expires within this many days is a warning."""
DIFFERENCE: Final = 300.0
"""Seconds of difference between two clocks from which on it is a warning."""
MAX_WSDL: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reached:
    """A node where the application user is logged in."""

    url: str
    client: PwsClient
    application: Session


async def look(
    config: Config, url: str, tell: Tell, stack: AsyncExitStack, now: Callable[[], float] = certificate.now
) -> Reached | None:
    """Check one node; `stack` closes what is opened. None where a step failed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    note = Notebook(f"node {parts.netloc}", tell)
    patience = config.server.connect_timeout
    if not (await _name(host, patience, note) and await _connects(host, port, patience, note)):
        return None
    if config.server.tls and not await _tls(config, host, port, note, now):
        return None
    if not await _http(config, url, host, port, note, now):
        return None
    try:
        client = await stack.enter_async_context(client_of(config, url, within_budget=True))
        name = config.application.username
        session = await client.login(name, config.application.password)
    except ContractError as error:
        if config.server.wsdl == "live":
            note.problem(str(error), 'server.wsdl = "bundled" uses ours', fault=Blame.CONFIGURATION)
        else:
            note.warning("login not tried, since the WSDL of server.wsdl cannot be used (see above)")
        return None
    except ArgumentError as error:
        note.problem(str(error), "see server.ca_file and server.fingerprint", fault=Blame.CONFIGURATION)
        return None
    except PwsError as error:
        note.error(error)
        return None
    note.ok(f"{name} can log in")
    return Reached(url, client, session)


async def _name(host: str, patience: float, note: Notebook) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return True
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience):
            found = await loop.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        note.problem(f"the name {host} cannot be resolved", "correct server.nodes, or this machine's DNS")
        return False
    except TimeoutError:
        note.problem(f"the name {host} is not resolved within {patience:g} s", "check this machine's DNS")
        return False
    note.ok(f"the name is resolved to {', '.join(dict.fromkeys(str(each[4][0]) for each in found))}")
    return True


async def _connects(host: str, port: int, patience: float, note: Notebook) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        note.problem(f"no connection within {patience:g} s", "check the network between: routes and firewalls")
        return False
    except ConnectionRefusedError:
        note.problem(
            "connection refused: nothing listens there",
            "check server.nodes, server.tls (8083 with it, 8082 without), and that the service runs on the node",
        )
        return False
    except OSError as error:
        note.problem(f"no connection: {error.strerror or error}", "check server.nodes and the network between")
        return False
    writer.transport.abort()
    note.ok(f"connected within {max(1, round((loop.time() - began) * 1000))} ms")
    return True


async def _tls(config: Config, host: str, port: int, note: Notebook, now: Callable[[], float]) -> bool:
    server, patience = config.server, config.server.connect_timeout
    trust = Trust(server.ca_file, server.fingerprint, "server.")
    try:
        shown = await look_at_certificate(host, port, patience)
        problem = await certificate.problem(host, port, shown, trust, patience, other_port=certificate.TOMCAT_PORT)
    except ArgumentError as error:
        note.problem(str(error), "see server.ca_file and server.fingerprint", fault=Blame.CONFIGURATION)
        return False
    except (OSError, TimeoutError) as error:
        note.problem(f"TLS handshake failed: {error or 'no answer in time'}", "is this the port of the service?")
        return False
    found = shown.certificate
    if problem is not None and not (problem.distrust and found):
        note.problem(problem.reason, problem.cure)
        return False
    if found is None:
        return True
    says = f"certificate {found.subject or 'unreadable'}, issued by {found.issuer or 'unknown'}"
    if problem is not None:
        note.problem(f"{says}, SHA-256 {found.digest.upper()}: {problem.reason}", problem.cure)
        return False
    days = found.days(now())
    if days is not None and 0 <= days < SOON:
        note.warning(f"{says}: good for {days} days", "renew it on the server in time, and server.ca_file with it")
    else:
        good = f", good for {days} days" if days is not None and days >= 0 else ", expired" if days is not None else ""
        pinned = ", the pinned one" if server.fingerprint else ""
        note.ok(f"{says}{pinned}{good}")
    words = f"{found.subject} {found.issuer}".casefold()
    if "tomcat" in words and "cup" not in words:
        note.warning("this looks like the certificate of `tomcat`; the service usually has that of `cup`")
    return True


async def _http(config: Config, url: str, host: str, port: int, note: Notebook, now: Callable[[], float]) -> bool:
    """Check the server's own WSDL (it can be read, and has every name that we need) and its clock."""
    from pws_soap import contract
    from pws_soap.calls import PATH

    server = config.server
    timeout = aiohttp.ClientTimeout(total=server.read_timeout, sock_connect=server.connect_timeout)
    pinned = aiohttp.Fingerprint(read_fingerprint(server.fingerprint)) if server.fingerprint else None
    tls, sockets = (pinned or Trust(server.ca_file).context()) if server.tls else False, Sockets()
    connector = aiohttp.TCPConnector(ssl=tls, socket_factory=sockets.make)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as http,
            http.get(f"{url}{PATH}?wsdl", allow_redirects=False) as answer,
        ):
            status, date = answer.status, answer.headers.get("Date", "")
            body = await answer.content.read(MAX_WSDL)
            while not answer.content.at_eof() and len(body) < MAX_WSDL:
                body += await answer.content.read(MAX_WSDL)
    except TimeoutError:
        note.problem(f"no answer to a request within {server.read_timeout:g} s", "is the service on the node hanging?")
        return False
    except (aiohttp.ClientError, OSError) as error:
        if not server.tls and await _speaks_tls(host, port, server.connect_timeout):
            note.problem("the port speaks TLS, and server.tls is false", "set server.tls = true, and server.ca_file")
        else:
            note.problem(f"no answer to a request: {type(error).__name__}", "is this the port of the service?")
        return False
    finally:
        await sockets.close()
    _clock(date, note, now)
    fix = "is this an IM and Presence node, with its Presence Web Service running?"
    if status != 200:
        note.warning(f"its WSDL cannot be fetched: HTTP {status}", fix)
        return True
    try:
        own = contract.load(body, "of the node", server.soap)
    except ContractError as error:
        if server.wsdl == "live":
            note.problem(str(error), f'{fix} server.wsdl = "bundled" uses ours')
            return False
        note.warning(str(error), fix)
        return True
    ours = contract.bundled(server.soap)
    other = [name for name in contract.NEEDED if own.action(name) != ours.action(name)]
    differs = f"; SOAPAction differs from ours for {', '.join(other)}" if other else ""
    fewer = "" if own.contacts_per_request == ours.contacts_per_request else (
        f"; it takes {own.contacts_per_request} contacts in a list"
    )  # fmt: skip
    note.ok(f"its WSDL has all that is needed{differs}{fewer}")
    return True


async def _speaks_tls(host: str, port: int, patience: float) -> bool:
    try:
        return (await look_at_certificate(host, port, patience)).speaks_tls
    except (OSError, TimeoutError):
        return False


def _clock(date: str, note: Notebook, now: Callable[[], float]) -> None:
    """Compare the reply's Date, where it has one, with this machine's clock."""
    try:
        apart = parsedate_to_datetime(date).timestamp() - now()
    except (ValueError, TypeError):
        return
    if abs(apart) > DIFFERENCE:
        way = "ahead of" if apart > 0 else "behind"
        note.warning(f"its clock is {abs(apart):.0f} s {way} this machine's", "let NTP set both")
