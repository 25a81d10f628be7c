"""The certificate that a server shows, and why it is trusted or not.

To read a certificate that is not trusted, connect again and trust it alone. Nothing is sent on these connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pws_soap.trust import Trust, read_fingerprint

TOMCAT_PORT: Final = 8443
"""The port of the node's web pages, whose certificate (`tomcat`) is often mistaken for the service's (`cup`)."""
_EXPIRED: Final = 10
_NAME: Final = frozenset({62, 64})
_SELF_SIGNED: Final = frozenset({18, 19})


@dataclass(frozen=True, slots=True)
class Certificate:
    """`digest` is its SHA-256. The rest is empty where it could not be read: `until` in seconds since the epoch."""

    digest: str
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    until: float | None = None
    pem: str = ""

    def days(self, now: float) -> int | None:
        """Whole days until it expires."""
        return None if self.until is None else int((self.until - now) // 86400)

    @property
    def is_self_signed(self) -> bool:
        """Whether it is its own issuer."""
        return bool(self.subject) and self.subject == self.issuer


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a certificate is not trusted, and what to do."""

    why: str
    fix: str


async def shown(host: str, port: int, patience: float) -> Certificate:
    """The certificate that a server shows. Raises OSError (SSLError where the port has no TLS) or TimeoutError."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    raw, _ = await _connected(host, port, blind, patience)
    digest, pem = hashlib.sha256(raw).hexdigest(), ssl.DER_cert_to_PEM_cert(raw)
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    alone.check_hostname = False
    alone.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    alone.load_verify_locations(cadata=pem)
    try:
        _, read = await _connected(host, port, alone, patience)
    except ssl.SSLCertVerificationError:  # most likely it has expired, and then its fields cannot be read
        return Certificate(digest, pem=pem)
    return Certificate(
        digest,
        _name(read.get("subject", ())),
        _name(read.get("issuer", ())),
        tuple(str(value) for _, value in read.get("subjectAltName", ())),
        ssl.cert_time_to_seconds(read["notAfter"]) if "notAfter" in read else None,
        pem,
    )


async def distrust(
    host: str, port: int, certificate: Certificate, trust: Trust, patience: float, *, other_port: int = TOMCAT_PORT
) -> Distrust | None:
    """Why it is not trusted; None when it is. Raises as `shown` does."""
    if trust.fingerprint is not None:
        if read_fingerprint(trust.fingerprint).hex() == certificate.digest:
            return None
        return Distrust(
            "its SHA-256 is not server.fingerprint",
            "compare it on the server; if it is the right one, set server.fingerprint to the SHA-256 above",
        )
    try:
        await _connected(host, port, ssl.create_default_context(cafile=_text(trust.ca_file)), patience)
    except ssl.SSLCertVerificationError as error:
        return await _why(error, host, certificate, trust, patience, other_port)
    return None


async def _why(
    error: ssl.SSLCertVerificationError,
    host: str,
    certificate: Certificate,
    trust: Trust,
    patience: float,
    other_port: int,
) -> Distrust:
    why = (error.verify_message or str(error)).rstrip(".")
    if error.verify_code == _EXPIRED:
        return Distrust(f"it is no longer valid: {why}", "renew the `cup` certificate on the server")
    if error.verify_code in _NAME:
        names = ", ".join(certificate.names) or "no name that can be read"
        return Distrust(f"it names another host: {names}", "name the node in server.nodes as it does")
    if trust.ca_file is not None and await _is_of_tomcat(host, trust, patience, other_port):
        return Distrust(
            f"{why}: server.ca_file is the authority of `tomcat`, the web pages at port {other_port}",
            "set server.ca_file to what signed `cup` (in the server's administration: Certificate Management, cup)",
        )
    if error.verify_code in _SELF_SIGNED or certificate.is_self_signed:
        what = "set server.ca_file to that certificate, or server.fingerprint to its SHA-256, after comparing it there"
        return Distrust(f"{why}: the server has signed it itself", what)
    signed = f" ({certificate.issuer})" if certificate.issuer else ""
    return Distrust(f"{why}: its authority{signed} is not known", "set server.ca_file to that authority's certificate")


async def _is_of_tomcat(host: str, trust: Trust, patience: float, port: int) -> bool:
    context = ssl.create_default_context(cafile=_text(trust.ca_file))
    context.check_hostname = False
    try:
        await _connected(host, port, context, min(patience, 3.0))
    except (OSError, TimeoutError):
        return False
    return True


# Any: ssl describes a certificate in nested tuples
async def _connected(host: str, port: int, context: ssl.SSLContext, patience: float) -> tuple[bytes, dict[str, Any]]:
    """Complete the TLS handshake and close: the certificate in DER, and its fields where it was verified."""
    async with asyncio.timeout(patience):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        tls = writer.get_extra_info("ssl_object")
        return tls.getpeercert(binary_form=True) or b"", tls.getpeercert() or {}
    finally:
        writer.transport.abort()


def _text(path: str | Path | None) -> str | None:
    return str(path) if path is not None else None


# Any: as above
def _name(parts: Any) -> str:
    """`CN=imp1.example.com, O=Example`."""
    short = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU"}
    found = [(short[key], value) for part in parts for key, value in part if key in short]
    return ", ".join(f"{key}={value}" for key, value in sorted(found))


def now() -> float:
    """Wall time, to compare with a certificate's."""
    return time.time()
