"""Reads a certificate (RFC 5280) as far as its trust is told of: whose it is, who signed it, when it holds, how strong.

The module ssl describes a certificate only after it has verified it, which is just when nobody asks why it is not
trusted. Here nothing is verified. Pure: bytes in, a value out; what cannot be read stays empty, and nothing is raised.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, NamedTuple

_INTEGER, _BITS, _OCTETS, _OID, _SEQUENCE, _UTC_TIME = 0x02, 0x03, 0x04, 0x06, 0x30, 0x17
_BMP_STRING, _T61_STRING = 0x1E, 0x14
"""Tags of DER (X.690)."""
_VERSION, _EXTENSIONS = 0xA0, 0xA3
"""Tags of optional parts of a certificate (RFC 5280 section 4.1)."""
_EMAIL, _DNS, _URI, _ADDRESS = 0x81, 0x82, 0x86, 0x87
"""Tags of names for the host (RFC 5280 section 4.2.1.6)."""
_SHORT: Final = {"55.4.3": "CN", "55.4.a": "O", "55.4.b": "OU"}
_RSA: Final = "2a.86.48.86.f7.d.1.1.1"
_ALTERNATIVE_NAMES: Final = "55.1d.11"
_WEAK_SIGNATURES: Final = frozenset(
    {
        "2a.86.48.86.f7.d.1.1.2",  # MD2 with RSA
        "2a.86.48.86.f7.d.1.1.4",  # MD5 with RSA
        "2a.86.48.86.f7.d.1.1.5",  # SHA-1 with RSA
        "2b.e.3.2.1d",  # SHA-1 with RSA, as OIW names it
        "2a.86.48.ce.38.4.3",  # SHA-1 with DSA
        "2a.86.48.ce.3d.4.1",  # SHA-1 with ECDSA
    }
)
"""Object identifiers, as their bytes in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """`digest` is its SHA-256 in hexadecimal. The rest is empty where it could not be read.

    `since` and `until` are in seconds since the epoch. `rsa_bits` is the length of its key, where that is one of RSA;
    `signature_is_weak` says whether it is signed with SHA-1 or MD5.
    """

    digest: str
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    rsa_bits: int | None = None
    signature_is_weak: bool = False
    pem: str = field(default="", repr=False)

    def days(self, now: float) -> int | None:
        """Whole days that it is still good for."""
        return None if self.until is None else int((self.until - now) // 86400)

    @property
    def is_self_signed(self) -> bool:
        """Whether it is its own authority."""
        return bool(self.subject) and self.subject == self.issuer

    @property
    def fingerprint(self) -> str:
        """The SHA-256 as tools print it."""
        return bytes.fromhex(self.digest).hex(":").upper()


def read(der: bytes) -> Certificate:
    """The certificate in `der`; its digest alone where it is none that can be read."""
    bare = Certificate(hashlib.sha256(der).hexdigest(), pem=ssl.DER_cert_to_PEM_cert(der))
    try:
        return _read(der, bare)
    except (ValueError, IndexError, OverflowError):
        return bare


class _Element(NamedTuple):
    tag: int
    content: bytes


def _read(der: bytes, bare: Certificate) -> Certificate:
    signed, *_ = _parts(_first(der).content)
    parts = [*_parts(signed.content)]
    if parts[0].tag == _VERSION:
        del parts[0]
    _serial, signature, issuer, validity, subject, key, *rest = parts
    since, until = map(_moment, _parts(validity.content))
    return replace(
        bare,
        subject=_name(subject.content),
        issuer=_name(issuer.content),
        names=tuple(name for part in rest if part.tag == _EXTENSIONS for name in _names(part.content)),
        since=since,
        until=until,
        rsa_bits=_rsa_bits(key.content),
        signature_is_weak=_dotted(_first(signature.content).content) in _WEAK_SIGNATURES,
    )


def _first(content: bytes) -> _Element:
    for part in _parts(content):
        return part
    raise ValueError("nothing where something must be")


def _parts(content: bytes) -> Iterator[_Element]:
    """The parts one after the other. Raises IndexError or ValueError where their lengths are wrong."""
    at = 0
    while at < len(content):
        tag, size = content[at], content[at + 1]
        at += 2
        if size & 0x80:
            octets = size & 0x7F
            size = int.from_bytes(content[at : at + octets])
            at += octets
        if at + size > len(content):
            raise ValueError("a part that is longer than what holds it")
        yield _Element(tag, content[at : at + size])
        at += size


def _dotted(oid: bytes) -> str:
    return ".".join(f"{octet:x}" for octet in oid)


def _name(content: bytes) -> str:
    """A name in one line: `CN=imp1.example.com, O=Example`."""
    found = []
    for several in _parts(content):
        for one in _parts(several.content):
            kind, value = _parts(one.content)
            if (short := _SHORT.get(_dotted(kind.content))) is not None:
                found.append((short, _text(value)))
    return ", ".join(f"{short}={value}" for short, value in sorted(found))


def _text(part: _Element) -> str:
    encoding = {_BMP_STRING: "utf-16-be", _T61_STRING: "latin-1"}.get(part.tag, "utf-8")
    return part.content.decode(encoding, "replace")


def _moment(part: _Element) -> float:
    """Seconds since the epoch. A year of two digits is one of 1950 to 2049 (RFC 5280 section 4.1.2.5.1)."""
    text = part.content.decode("ascii")
    if part.tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _rsa_bits(key: bytes) -> int | None:
    algorithm, bits = _parts(key)
    if _dotted(_first(algorithm.content).content) != _RSA or bits.tag != _BITS:
        return None
    modulus = _first(_first(bits.content[1:]).content)
    return int.from_bytes(modulus.content).bit_length() if modulus.tag == _INTEGER else None


def _names(extensions: bytes) -> Iterator[str]:
    """The names for which it is good."""
    for extension in _parts(_first(extensions).content):
        kind, *_, value = _parts(extension.content)
        if _dotted(kind.content) != _ALTERNATIVE_NAMES or value.tag != _OCTETS:
            continue
        for name in _parts(_first(value.content).content):
            if name.tag in {_EMAIL, _DNS, _URI}:
                yield name.content.decode("ascii", "replace")
            elif name.tag == _ADDRESS:
                yield str(ip_address(name.content))
