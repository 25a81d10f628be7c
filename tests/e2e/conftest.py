"""Simulators that several tests share, and certificates made for one run."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.e2e.simulated import NOTHING, Certificate, Server


@dataclass(frozen=True)
class Certificates:
    """A server's certificate signed by a private authority, and one that is signed by itself."""

    authority: Path
    issued: Certificate
    self_signed: Certificate


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made once; good for 127.0.0.1, the self-signed one for no name at all."""
    directory = tmp_path_factory.mktemp("certificates")
    authority, alone = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = {
        "authority.pem": authority.cert_pem,
        "issued.pem": issued.cert_chain_pems[0],
        "issued.key": issued.private_key_pem,
        "self.pem": alone.cert_pem,
        "self.key": alone.private_key_pem,
    }
    for name, blob in files.items():
        blob.write_to_path(directory / name)
    return Certificates(
        directory / "authority.pem",
        Certificate(directory / "issued.pem", directory / "issued.key"),
        Certificate(directory / "self.pem", directory / "self.key"),
    )


def fingerprint(certificate: Certificate) -> str:
    """The SHA-256 of the certificate, in hexadecimal."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.chain.read_text())).hexdigest()


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A simulator over plain HTTP, for the whole run."""
    with Server(tmp_path_factory.mktemp("plain")) as server:
        yield server.ready()
        assert server.stop() == 0


@pytest.fixture
def server(plain_server: Server) -> Server:
    """The same, with nobody logged in and three contacts who are available."""
    plain_server.node("up")
    plain_server.forget()
    for name in ("ann", "joe", "rita"):
        plain_server.put(f"{name}@example.com", state="AVAILABLE", activities=[])
    assert plain_server.holds() == NOTHING
    return plain_server


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Server]:
    """A simulator with a certificate of the private authority, for the whole run."""
    with Server(tmp_path_factory.mktemp("tls"), certificates.issued) as server:
        yield server.ready()
        assert server.stop() == 0
