"""Whether the certificate that a server shows is trusted, and what else the way of a mistake shows.

Nothing is sent on these connections. Why TLS failed is decided by `pws_soap.tls_problem`, as everywhere.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace
from typing import Final

from pws_soap.certificate import Shown
from pws_soap.tls_problem import TlsProblem, tls_problem
from pws_soap.trust import Trust, WrongCertificate
from service.config.server_sections import TLS_PORT

TOMCAT_PORT: Final = 8443
"""Where the node's web pages are, with another certificate, which is often taken for this one."""
HTTPS_PORT: Final = 443
"""Where web pages usually are as well."""


async def problem(
    host: str, port: int, shown: Shown, trust: Trust, patience: float, *, other_port: int = TOMCAT_PORT
) -> TlsProblem | None:
    """Why TLS with the server does not come about, or its certificate is not trusted; None when all is well.

    Raises OSError or TimeoutError where the server cannot be reached.
    """
    try:
        await _connect(host, port, trust, patience)
    except (WrongCertificate, ssl.SSLError, ConnectionError) as error:
        found = tls_problem(error, host, trust, shown)
        if found.distrust and port in {other_port, HTTPS_PORT}:
            return replace(
                found,
                reason=f"{found.reason}; port {port} is usually that of the web pages, whose certificate is `tomcat`",
                cure=f"set the node's port in {trust.section}nodes to {TLS_PORT}, where the service is; if it is here: "
                f"{found.cure}",
            )
        if found.distrust and trust.ca_file is not None and await _is_of_tomcat(host, trust, patience, other_port):
            return replace(
                found,
                reason=f"{found.reason}; {trust.section}ca_file is the authority of `tomcat`, the web pages at port "
                f"{other_port}",
                cure=f"set {trust.section}ca_file to what signed `cup` (in the server's administration: Certificate "
                "Management, cup)",
            )
        return found
    if shown.wants_ours:
        return tls_problem(shown.error or ConnectionResetError(), host, trust, shown)
    return None


async def _is_of_tomcat(host: str, trust: Trust, patience: float, port: int) -> bool:
    context = trust.context()
    context.check_hostname = False
    try:
        async with asyncio.timeout(min(patience, 3.0)):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


async def _connect(host: str, port: int, trust: Trust, patience: float) -> None:
    """Shake hands and leave."""
    async with asyncio.timeout(patience):
        _, writer = await asyncio.open_connection(host, port, ssl=trust.context())
    try:
        trust.check(writer.transport)
    finally:
        writer.transport.abort()


def now() -> float:
    """Wall time, to compare with a certificate's."""
    return time.time()
