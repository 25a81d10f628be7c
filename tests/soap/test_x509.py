"""What a certificate says of itself, compared with what the library `cryptography` reads."""

from __future__ import annotations

import datetime
import ipaddress
import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pws_soap.x509 import Certificate, read
from tests.support.tls_servers import MadeCertificate

LOCAL = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
NAMES = (
    x509.DNSName("imp1.example.com"),
    x509.RFC822Name("admin@example.com"),
    x509.UniformResourceIdentifier("https://imp1.example.com/"),
    LOCAL,
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
)


def der(made: MadeCertificate) -> bytes:
    return made.certificate.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (
            datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            datetime.datetime(2036, 1, 2, tzinfo=datetime.UTC),
        ),
        (datetime.datetime(1999, 12, 31, tzinfo=datetime.UTC), datetime.datetime(2051, 6, 1, tzinfo=datetime.UTC)),
    ],
    ids=["years of two digits", "and of four"],
)
def test_a_certificate_is_read(since: datetime.datetime, until: datetime.datetime) -> None:
    """Whose it is, who signed it, its names and dates, its strength."""
    authority = MadeCertificate("Bücher Authority", authority=True, bits=1024)
    made = MadeCertificate("imp1", issuer=authority, names=NAMES, since=since, until=until)
    found = read(der(made))
    assert (found.digest, found.subject, found.issuer) == (made.digest, "CN=imp1", "CN=Bücher Authority")
    assert found.names == (
        "imp1.example.com",
        "admin@example.com",
        "https://imp1.example.com/",
        "127.0.0.1",
        "2001:db8::1",
    )
    assert (found.since, found.until) == (since.timestamp(), until.timestamp())
    assert (found.rsa_bits, found.signature_is_weak) == (2048, False)
    assert read(der(authority)).rsa_bits == 1024
    assert found.fingerprint == made.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


@pytest.mark.parametrize("unknown", [False, True])
def test_a_certificate_that_nobody_would_trust_is_read_all_the_same(unknown: bool) -> None:
    """With an extension that nobody understands, a weak signature, no authority."""
    made = MadeCertificate("imp1", names=(LOCAL,), authority=False, unknown=unknown, sha_1=True)
    found = read(der(made))
    assert (found.subject, found.names, found.signature_is_weak) == ("CN=imp1", ("127.0.0.1",), True)
    assert found.is_self_signed


def test_a_name_of_several_parts_and_a_key_that_is_not_of_rsa() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    parts = {
        NameOID.COUNTRY_NAME: "DE",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Voice",
        NameOID.ORGANIZATION_NAME: "Example",
        NameOID.COMMON_NAME: "imp1",
    }
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in parts.items()])
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, moment, moment)
    found = read(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    assert (found.subject, found.rsa_bits, found.names) == ("CN=imp1, O=Example, OU=Voice", None, ())


def test_what_is_no_certificate_has_a_digest_and_nothing_else() -> None:
    """Cut off or damaged anywhere: nothing is raised."""
    good = der(MadeCertificate("imp1", names=NAMES))
    for end in range(0, len(good), 7):
        found = read(good[:end])
        assert (found.subject, found.until) == ("", None)
    chance = random.Random(1)  # noqa: S311  # damages bytes, guards nothing
    for _ in range(2000):
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        assert isinstance(read(bytes(damaged)), Certificate)
