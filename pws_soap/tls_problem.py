"""Why TLS with a server failed, and what cures it: the one place that reads an error of the module ssl.

The commands, `pws doctor` and the service's log all say what stands here. A cure never leads to plain HTTP where the
server speaks TLS: the application user's password would travel in the clear.
"""

from __future__ import annotations

import re
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pws_soap.certificate import CLIENT_CERTIFICATE, Shown
from pws_soap.errors import TlsFailed, UntrustedServer
from pws_soap.trust import Trust, WrongCertificate
from pws_soap.x509 import Certificate, read

_SIGNED_BY_OTHERS: Final = frozenset({2, 19, 20, 21, 30, 31})
_EXPIRED, _NOT_YET_VALID, _SELF_SIGNED = 10, 9, 18
_WRONG_NAME: Final = frozenset({62, 64})
_WEAK_KEY, _WEAK_AUTHORITY, _WEAK_SIGNATURE = 66, 67, 68
_NO_AUTHORITY: Final = frozenset({24, 32, 79})
_TOO_MANY_AUTHORITIES, _PURPOSE, _UNKNOWN_EXTENSION = 25, 26, 34
_NOT_FOR_THIS_NAME: Final = frozenset({47, 48, 49, 50, 51, 52, 53})
_BAD_SIGNATURE: Final = 7
"""OpenSSL's verification codes (x509_vfy.h)."""

_LEAST_RSA_BITS: Final = 2048
"""What OpenSSL's security level 2 asks for."""

_OLD_VERSION: Final = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "VERSION_TOO_LOW", "UNKNOWN_PROTOCOL"}
)
_UNKNOWN_NAME: Final = frozenset({"TLSV1_UNRECOGNIZED_NAME", "TLSV1_ALERT_UNRECOGNIZED_NAME"})
_NOTHING_SHARED: Final = frozenset(
    {"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY", "NO_CIPHERS_AVAILABLE", "NO_SHARED_CIPHER"}
)
_WEAK_EXCHANGE: Final = frozenset({"DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "WRONG_SIGNATURE_TYPE"})
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE"})


@dataclass(frozen=True, slots=True)
class TlsProblem:
    """Why TLS failed and what to do about it.

    `distrust`: the server's certificate is the reason. `digest` is that certificate's SHA-256, empty where it was not
    seen. `unknown_authority`: naming one cures it. The cure names settings as `Trust.section` says.
    """

    reason: str
    cure: str
    distrust: bool = False
    digest: str = ""
    unknown_authority: bool = False
    speaks_tls: bool = True

    def as_error(self, node: str, operation: str) -> TlsFailed:
        """The error that tells it."""
        if not self.distrust:
            return TlsFailed(f"TLS failed: {self.reason}", self.cure, node=node, operation=operation)
        shown = f" (its SHA-256 is {bytes.fromhex(self.digest).hex(':').upper()})" if self.digest else ""
        reason = f"the server's certificate{shown} is not trusted: {self.reason}"
        return UntrustedServer(reason, self.cure, node=node, operation=operation)


def tls_problem(
    error: BaseException, host: str, trust: Trust, shown: Shown | None = None, *, now: float | None = None
) -> TlsProblem:
    """What an error of a TLS connection to `host` means.

    `error` is what ssl or the connection raised, `shown` what a look at the server showed (`certificate.look`), `now`
    the wall time in seconds since the epoch.
    """
    shown = shown or Shown()
    if isinstance(error, WrongCertificate):
        return _untrusted(
            "it is not the pinned one",
            f"compare it on the server; if it is the right one, set {trust.section}fingerprint to its SHA-256",
            shown.certificate or Certificate(str(error).replace(":", "").lower()),
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_verified(error, host, trust, shown.certificate, time.time() if now is None else now)
    return _no_handshake(error, host, trust, shown)


def _not_verified(
    error: ssl.SSLCertVerificationError, host: str, trust: Trust, certificate: Certificate | None, now: float
) -> TlsProblem:
    why = (error.verify_message or str(error)).rstrip(".")
    code = error.verify_code
    known = certificate or Certificate("")
    pin = f"{trust.section}fingerprint to its SHA-256 after comparing it on the server"
    if code == _EXPIRED:
        authority = _out_of_date(trust, now)
        if authority and (known.until is None or known.until > now):
            what = f"set {trust.section}ca_file to its renewed certificate, or {pin}"
            return _untrusted(f"{why}: the authority of ca_file, {authority}", what, certificate)
        if known.until is not None and known.until > now:
            what = f"renew the authority's certificate on the server and set {trust.section}ca_file to it, or {pin}"
            return _untrusted(f"{why}: not its own, but one of the authorities above it", what, certificate)
        since = f" on {_date(known.until)}" if known.until is not None else ""
        what = f"renew the `cup` certificate on the server; until then set {pin}"
        return _untrusted(f"it is no longer valid: {why}{since}", what, certificate)
    if code == _NOT_YET_VALID:
        since = f" before {_date(known.since)}" if known.since is not None and known.since > now else ""
        what = f"correct the clock of this machine, which says {_date(now)}, or of the server that made it"
        return _untrusted(f"it is not valid yet: {why}{since}", what, certificate)
    if code in _WRONG_NAME:
        names = ", ".join(known.names) or known.subject or "none that can be read"
        what = f"name the node in {trust.section}nodes as it does, or set {pin}"
        return _untrusted(f"it names another host: {names} ({why})", what, certificate)
    signer = f" ({known.issuer})" if known.issuer else ""
    if code == _WEAK_KEY or (code == _WEAK_SIGNATURE and (known.signature_is_weak or not known.digest)):
        which = "key is too weak" if code == _WEAK_KEY else "signature is too weak (SHA-1 or MD5)"
        what = f"make a new `cup` certificate with RSA of 2048 bits or more and SHA-256 on the server, or set {pin}"
        return _untrusted(f"its {which}: {why}", what, certificate)
    if code in {_WEAK_AUTHORITY, _WEAK_SIGNATURE}:
        weak = _weak_authority(trust)
        whose = f"its authority, {weak} in ca_file," if weak else f"its authority{signer}, or of one above that,"
        which = "key" if code == _WEAK_AUTHORITY else "signature"
        what = (
            "make a new certificate of that authority with RSA of 2048 bits or more and SHA-256, have it sign the "
            f"`cup` certificate, and set {trust.section}ca_file to it; or set {pin}"
        )
        return _untrusted(f"the {which} of {whose} is too weak: {why}", what, certificate)
    if code == _PURPOSE:
        what = f"make a new `cup` certificate for a server (extended key usage serverAuth), or set {pin}"
        return _untrusted(f"{why}: it is not for a server, or its authority may not sign it", what, certificate)
    if code in _NO_AUTHORITY:
        what = (
            "have a certificate authority sign the `cup` certificate, and set "
            f"{trust.section}ca_file to that authority's certificate; or set {pin}"
        )
        return _untrusted(
            f"{why}: what signed it{signer}, or one above that, is not marked as a certificate authority",
            what,
            certificate,
        )
    if code == _TOO_MANY_AUTHORITIES:
        what = f"set {trust.section}ca_file to the certificate of what signed it{signer}, or {pin}"
        reason = f"{why}: an authority above it allows fewer authorities below itself than there are"
        return _untrusted(reason, what, certificate)
    if code in _NOT_FOR_THIS_NAME:
        what = f"have an authority sign the `cup` certificate that may sign for the name, or set {pin}"
        return _untrusted(f"{why}: {known.issuer or 'what signed it'}, or one above that, may not", what, certificate)
    if code == _UNKNOWN_EXTENSION:
        what = f"make a new `cup` certificate without that extension, or set {pin}"
        reason = f"{why}: it, or an authority above it, has an extension that must be understood and is not"
        return _untrusted(reason, what, certificate)
    if code == _SELF_SIGNED or (known.is_self_signed and code in _SIGNED_BY_OTHERS):
        what = f"set {trust.section}ca_file to that certificate, or {pin}"
        return _untrusted(f"{why}: the server has signed it itself", what, certificate)
    if code == _BAD_SIGNATURE:
        what = f"set {trust.section}ca_file to the present certificate of what signed it{signer}, or {pin}"
        return _untrusted(f"{why}: the authority of that name in ca_file has not signed it", what, certificate)
    if code in _SIGNED_BY_OTHERS:
        what = f"set {trust.section}ca_file to that authority's certificate, or {pin}"
        return _untrusted(f"{why}: its authority{signer} is not known", what, certificate)
    return _untrusted(why, f"make a new `cup` certificate on the server, or set {pin}", certificate)


def _untrusted(reason: str, cure: str, certificate: Certificate | None) -> TlsProblem:
    digest = certificate.digest if certificate else ""
    return TlsProblem(reason, cure, distrust=True, digest=digest, unknown_authority="ca_file to" in cure)


def _no_handshake(error: BaseException, host: str, trust: Trust, shown: Shown) -> TlsProblem:
    """Why a handshake failed in which certificates played no part, or ours did."""
    found = _reason(error)
    if shown.error is not None and found not in CLIENT_CERTIFICATE:
        found = _reason(shown.error) or found
    said = f" ({_words(found)})" if found else ""
    if found in CLIENT_CERTIFICATE or shown.wants_ours:
        return TlsProblem(
            f"the server wants a certificate of the client, and we have none to show{said}",
            "switch client certificates off for this port on the server, or put a proxy that has one in between",
        )
    if found in _OLD_VERSION:
        return TlsProblem(
            f"the server speaks TLS, but no version from 1.2 on{said}",
            "switch TLS 1.2 on at the server (a newer release of it, or a proxy in front of it, has it); "
            "do not go to plain HTTP, which shows the password to everybody on the way",
        )
    if found in _UNKNOWN_NAME:
        return TlsProblem(
            f"the server has no certificate for the name {host}{said}",
            f"name the node in {trust.section}nodes as its certificate does",
        )
    if found in _WEAK_EXCHANGE:
        return TlsProblem(
            f"the server's keys for this connection are too weak{said}",
            "switch ECDHE, or DH of 2048 bits or more, on at the server; do not go to plain HTTP",
        )
    if found in _NOTHING_SHARED or (shown.speaks_tls and found in _NOT_TLS):
        return TlsProblem(
            f"the server speaks TLS, but shares neither a version from 1.2 on nor a cipher with us{said}",
            "switch TLS 1.2 with ECDHE and AES-GCM on at the server; do not go to plain HTTP",
        )
    if found in _NOT_TLS or (shown.answered and not shown.speaks_tls):
        return TlsProblem(
            f"the port does not speak TLS{said}",
            f"{trust.section}tls = false is for plain HTTP, whose port is 8082; TLS is at 8083",
            speaks_tls=False,
        )
    if shown.speaks_tls or shown.chose:
        return TlsProblem(
            f"the server speaks TLS, and ended the handshake{said}",
            "look into the server's log for the reason; do not go to plain HTTP",
        )
    return TlsProblem(
        f"the connection was closed when TLS began{said}",
        "is this the port of the service? TLS is at 8083; a server that speaks nothing newer than TLS 1.1 may also "
        "hang up so, and needs TLS 1.2",
    )


def _reason(error: BaseException) -> str:
    return (error.reason or "") if isinstance(error, ssl.SSLError) else ""


def _words(reason: str) -> str:
    """`TLSV1_ALERT_PROTOCOL_VERSION` as words."""
    return reason.lower().replace("_", " ")


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _out_of_date(trust: Trust, now: float) -> str:
    """The first authority of ca_file that has expired, with its date; empty where none has."""
    for authority in _authorities(trust):
        if authority.until is not None and authority.until <= now:
            return f"{authority.subject or 'without a name'}, expired on {_date(authority.until)}"
    return ""


def _weak_authority(trust: Trust) -> str:
    """The first authority of ca_file whose key is too weak; empty where none is."""
    for authority in _authorities(trust):
        if authority.rsa_bits is not None and authority.rsa_bits < _LEAST_RSA_BITS:
            return f"{authority.subject or 'without a name'} (RSA of {authority.rsa_bits} bits)"
    return ""


def _authorities(trust: Trust) -> list[Certificate]:
    """What ca_file holds."""
    if trust.ca_file is None:
        return []
    try:
        text = Path(trust.ca_file).read_text("ascii", "replace")
    except (OSError, ValueError):
        return []
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)
    found = []
    for block in blocks:
        with suppress(ValueError):
            found.append(read(ssl.PEM_cert_to_DER_cert(block)))
    return found
