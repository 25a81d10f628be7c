"""The way to a target of webhooks, step by step: its name, its addresses, the connection, TLS. Nothing is sent on it.

`pws doctor` looks at it before something fails, `pws webhooks test` after a delivery that did.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pws_soap.certificate import Shown
from pws_soap.certificate import look as look_at_certificate
from pws_soap.errors import ArgumentError
from pws_soap.tls_problem import TlsProblem, tls_problem
from pws_soap.trust import Trust, WrongCertificate
from pws_soap.x509 import Certificate
from service.cli.shared.findings import Blame
from service.config.webhook_section import WebhookSection
from service.webhooks.sender import AddressRefused, check_address

PATIENCE: Final = 5.0
"""Seconds for each step."""


@dataclass(frozen=True, slots=True)
class WebhookObstacle:
    """What is in the way, and what to do about it. `fault`: where the mistake lies."""

    reason: str
    cure: str
    fault: Blame = Blame.SERVER


@dataclass(frozen=True, slots=True)
class Way:
    """What was found of the way: `steps` that went well, in words, and the obstacle after them, if there is one."""

    steps: tuple[str, ...]
    obstacle: WebhookObstacle | None = None
    certificate: Certificate | None = None


async def look(target: WebhookSection, patience: float = PATIENCE) -> Way:
    """Go the way up to the first obstacle."""
    parts = urlsplit(target.url.address)
    host, is_tls = target.url.host, parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    steps: list[str] = []
    try:
        found = await _resolved(host, port, patience)
        allowed = _allowed(target, found)
        if found != [host]:
            steps.append(f"the name is resolved to {', '.join(found)}")
        milliseconds = await _connected(allowed, port, patience)
        steps.append(f"connected within {milliseconds} ms")
        certificate = await _trusted(target, host, allowed, port, patience) if is_tls else None
        if is_tls:
            steps.append("the certificate is trusted")
    except _Stopped as stopped:
        return Way(tuple(steps), stopped.obstacle)
    return Way(tuple(steps), None, certificate)


class _Stopped(Exception):
    """The way ends here."""

    def __init__(self, reason: str, cure: str, fault: Blame = Blame.SERVER) -> None:
        self.obstacle = WebhookObstacle(reason, cure, fault)
        super().__init__(reason)


async def _resolved(host: str, port: int, patience: float) -> list[str]:
    """The addresses of the host, each once."""
    try:
        async with asyncio.timeout(patience):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)  # SOCK_STREAM
    except TimeoutError:
        raise _Stopped(f"the name {host} is not resolved within {patience:g} s", "check this machine's DNS") from None
    except (OSError, UnicodeError):
        raise _Stopped(f"the name {host} cannot be resolved", "correct url, or this machine's DNS") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _allowed(target: WebhookSection, found: list[str]) -> list[str]:
    """Those of the addresses to which messages may go."""
    allowed: list[str] = []
    refusals: list[str] = []
    for address in found:
        try:
            check_address(address, target.addresses)
        except AddressRefused as refused:
            refusals.append(str(refused))
        else:
            allowed.append(address)
    if not allowed:
        cure = "add it to addresses if it is right; else correct url, or what the name means"
        raise _Stopped("; ".join(refusals), cure)
    return allowed


async def _connected(addresses: list[str], port: int, patience: float) -> int:
    """Milliseconds until one of the addresses took a connection, which is closed again."""
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for address in addresses:
        began = loop.time()
        try:
            async with asyncio.timeout(patience):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError as error:
            failed = error
        except OSError as error:
            failed = error
        else:
            writer.transport.abort()
            return max(1, round((loop.time() - began) * 1000))
    where = f"port {port} of {', '.join(addresses)}"
    if isinstance(failed, ConnectionRefusedError):
        raise _Stopped(f"connection refused: nothing listens on {where}", "start the receiver, or correct url")
    if isinstance(failed, TimeoutError):
        cure = "check the network between: routes and firewalls"
        raise _Stopped(f"no connection to {where} within {patience:g} s", cure)
    reason = (failed.strerror or str(failed)) if failed is not None else "no address"
    raise _Stopped(f"no connection to {where}: {reason}", "check url and the network between")


async def _trusted(
    target: WebhookSection, host: str, addresses: list[str], port: int, patience: float
) -> Certificate | None:
    """The certificate of the target, which is trusted."""
    trust = Trust(target.ca_file)
    try:
        context = trust.context()
    except ArgumentError as error:
        raise _Stopped(str(error), "set ca_file to a file with certificates in PEM", Blame.CONFIGURATION) from None
    shown = Shown()
    try:
        shown = await look_at_certificate(host, port, patience)
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(addresses[0], port, ssl=context, server_hostname=host)
    except TimeoutError:
        cure = "is this the port of the receiver, and does it speak TLS there?"
        raise _Stopped(f"no TLS handshake within {patience:g} s", cure) from None
    except (WrongCertificate, ssl.SSLError, ConnectionError) as error:
        problem = tls_problem(error, host, trust, shown)
        raise _Stopped(problem.reason, _cure(problem, host)) from None
    except OSError as error:
        raise _Stopped(f"TLS handshake failed: {error.strerror or error}", "check the network between") from None
    writer.transport.abort()
    return shown.certificate


def _cure(problem: TlsProblem, host: str) -> str:
    if problem.unknown_authority:
        return "set ca_file to the certificate of the authority that signed it"
    if problem.distrust:
        return f"the receiver needs a certificate that names {host}, is valid now and is not weak"
    if not problem.speaks_tls:
        return "correct the port; an http:// URL to another machine needs plain_http = true"
    return "look into the receiver's log; it needs TLS 1.2 or later, and no certificate of ours"
