"""Whom to believe over TLS: which authorities, which pinned certificate, and how strict the check is.

How strict a context of Python's is depends on its version: since 3.13 it refuses what RFC 5280 forbids and earlier
versions take (VERIFY_X509_STRICT), and takes what they refuse (VERIFY_X509_PARTIAL_CHAIN). The certificates of
appliances and of old private authorities often lack key identifiers or other extensions of RFC 5280, and an operator
cannot change them. So `strictness` decides for every version: checked are the chain up to a trusted certificate,
the dates, the name, the strength of keys and signatures, and TLS 1.2 or later; not what RFC 5280 asks beyond. What
`ca_file` names is trusted whether it signs itself or not: an authority, one below it, the server's own certificate.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pws_soap.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Trust:
    """What is trusted over TLS: a private authority, one certificate by its SHA-256, or the system's authorities.

    There is no way to trust everybody. With a fingerprint the certificate itself is checked, before anything is sent,
    and its name and date are not. `section` stands before the names of settings in what errors advise, such as
    `server.` for `server.ca_file`.
    """

    ca_file: str | Path | None = None
    fingerprint: str | None = None
    section: str = ""

    def context(self) -> ssl.SSLContext:
        """The TLS context for connections. Raises ArgumentError for an invalid file or fingerprint."""
        if self.fingerprint is not None:
            if self.ca_file is not None:
                raise ArgumentError("fingerprint", "ca_file or fingerprint, not both", self.fingerprint)
            read_fingerprint(self.fingerprint)
            return unchecked()  # the certificate itself is compared, before anything is sent
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; a path with a null byte is a ValueError
            what = "a file with certificates in PEM"
            reason = error.strerror if isinstance(error, OSError) else None
            raise ArgumentError("ca_file", f"{what} ({reason or error})", str(self.ca_file)) from None
        return strictness(context, named=self.ca_file is not None)

    def check(self, transport: asyncio.BaseTransport) -> None:
        """Compare the certificate of a new connection with the pinned one. Raises WrongCertificate."""
        if self.fingerprint is not None:
            shown = _digest(transport)
            if shown != read_fingerprint(self.fingerprint):
                raise WrongCertificate(shown.hex(":").upper())


SYSTEM_AUTHORITIES: Final = Trust()
"""The certificate authorities that the system trusts."""


def strictness(context: ssl.SSLContext, *, named: bool = False) -> ssl.SSLContext:
    """The context, as strict as this module says, in every version of Python.

    `named`: its authorities are those that somebody has named, and each of them may end a chain.
    """
    context.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
    if named:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def unchecked() -> ssl.SSLContext:
    """A context that believes any certificate, for those who compare it themselves."""
    context = strictness(ssl.create_default_context())
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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


class WrongCertificate(Exception):
    """The server shows another certificate than the pinned one. The message is its SHA-256."""


def _digest(transport: asyncio.BaseTransport) -> bytes:
    """The SHA-256 of the certificate that the other side has shown; empty where there is none."""
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls else None
    return hashlib.sha256(certificate).digest() if certificate else b""
