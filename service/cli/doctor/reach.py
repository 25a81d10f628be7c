"""Whether this machine reaches the callback, as the server must, and what cures it where it does not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from pws_soap.models import Secret
from service.cli.doctor.listener import place
from service.config import Config
from service.config.addresses import is_loopback

PATIENCE: Final = 3.0
"""Seconds to wait for the answer."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why no answer came. `nobody`: nothing took the connection, so that the listener's address may be the reason.
    `answers`: another program did."""

    reason: str
    nobody: bool = False
    answers: bool = False


async def ask(address: Secret) -> int | Obstacle | None:
    """The HTTP status that a GET of the address gets, or why it gets none.

    None: something speaks TLS there with a certificate that we do not trust, and the server need not agree with us.
    """
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
            http.get(address.reveal(), allow_redirects=False) as answer,
        ):
            return answer.status
    except aiohttp.ClientConnectorCertificateError:
        return None
    except aiohttp.ClientConnectorDNSError as error:
        return Obstacle(f"the name {error.host} cannot be resolved")
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ConnectionRefusedError):
            return Obstacle("connection refused, nothing listens there", nobody=True)
        if isinstance(error.os_error, ssl.SSLError):
            return Obstacle("the port does not speak TLS")
        return Obstacle(error.os_error.strerror or str(error.os_error), nobody=True)
    except TimeoutError:
        return Obstacle(f"no answer within {PATIENCE:g} s", nobody=True)
    except (aiohttp.ClientError, OSError) as error:
        return Obstacle(f"the connection broke ({type(error).__name__})")


def cure(config: Config, obstacle: Obstacle) -> str:
    """What to do where not even this machine reaches `callback.url`."""
    url = urlsplit(config.callback.url)
    host, port = place(config)
    fix = "correct callback.url, or the proxy that it leads to"
    if url.scheme == "https":
        return f"{fix}: the service speaks plain HTTP on {host}:{port}, so something before it must end TLS"
    if obstacle.nobody and is_loopback(host) and url.hostname not in {host, "localhost"}:
        key = "callback.listen_host" if config.callback.is_apart else "callback.listen_host (or http.host)"
        return f"the service listens on {host}, which only this machine reaches: set {key}; or {fix}"
    return fix
