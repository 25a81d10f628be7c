"""Which certificates are trusted over TLS, how a pinned one is checked, and the error for one that is not trusted."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pws_soap.errors import ArgumentError, UntrustedServer


@dataclass(frozen=True, slots=True)
class Trust:
    """What is trusted over TLS: a private authority, one certificate by its SHA-256, or the system's authorities.

    Verification cannot be switched off. With a fingerprint the certificate itself is checked, before anything is sent,
    and its name and date are not.
    """

    ca_file: str | Path | None = None
    fingerprint: str | None = None

    def context(self) -> ssl.SSLContext:
        """The TLS context for connections. Raises ArgumentError for an invalid file or fingerprint."""
        if self.fingerprint is not None:
            if self.ca_file is not None:
                raise ArgumentError("fingerprint", "ca_file or fingerprint, not both", self.fingerprint)
            read_fingerprint(self.fingerprint)
            return _unchecked()  # the certificate itself is compared, before anything is sent
        if self.ca_file is None:
            return ssl.create_default_context()
        try:
            return ssl.create_default_context(cafile=str(self.ca_file))
        except OSError as error:  # ssl.SSLError is one
            what = "a file with certificates in PEM"
            raise ArgumentError("ca_file", f"{what} ({error.strerror or error})", str(self.ca_file)) from None

    def check(self, transport: asyncio.BaseTransport) -> None:
        """Compare the certificate of a new connection with the pinned one. Raises WrongCertificate."""
        if self.fingerprint is not None:
            shown = _digest(transport)
            if shown != read_fingerprint(self.fingerprint):
                raise WrongCertificate(shown.hex(":").upper())


SYSTEM_AUTHORITIES: Final = Trust()
"""The certificate authorities that the system trusts."""


def read_fingerprint(text: str) -> bytes:
    """The 32 bytes of a SHA-256 fingerprint written in hexadecimal, with or without colons."""
    digits = text.strip().removeprefix("sha256:").removeprefix("SHA256:").replace(":", "").replace(" ", "")
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ArgumentError("fingerprint", "the SHA-256 of a certificate, 64 hexadecimal digits", text)
    return digest


def untrusted(why: str, shown: str, node: str, operation: str) -> UntrustedServer:
    """The error for a certificate that is not trusted: why, its SHA-256 (empty if unknown), and what to set."""
    print_of = f" (its SHA-256 is {shown})" if shown else ""
    cure = "Set ca_file to the authority that signed it"
    if "mismatch" in why:
        cure = "Name the node as its certificate does (ca_file is as it should be)"
    message = (
        f"the server's certificate{print_of} is not trusted: {why.rstrip('.')}. "
        f"{cure}, or fingerprint to its SHA-256 after checking it on the server"
    )
    return UntrustedServer(message, node=node, operation=operation)


class WrongCertificate(Exception):
    """The server shows another certificate than the pinned one. The message is its SHA-256."""


def _unchecked() -> ssl.SSLContext:
    """A context that accepts any certificate, for callers that compare it themselves."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _digest(transport: asyncio.BaseTransport) -> bytes:
    """The SHA-256 of the certificate that the other side has shown; empty where there is none."""
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls else None
    return hashlib.sha256(certificate).digest() if certificate else b""


async def shown_fingerprint(host: str, port: int, limit: float) -> str:
    """The fingerprint of the certificate that a server shows, so that a person can compare it. Sends nothing."""
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port, ssl=_unchecked())
    except (OSError, TimeoutError):
        return ""
    shown = _digest(writer.transport).hex().upper()
    writer.transport.abort()
    return shown
