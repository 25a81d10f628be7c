"""TLS from the command line: a private authority, a pinned certificate, and what an untrusted one is told with."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.cli.conftest import CommandOffice


@pytest.fixture
def secure(make_office: Callable[..., CommandOffice], tmp_path: Path) -> tuple[CommandOffice, str]:
    """A server with a certificate of a private authority (cup.pem); and the certificate's SHA-256."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "cup.pem")
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    office = make_office(tls=(str(chain), str(key)))
    der = ssl.PEM_cert_to_DER_cert(chain.read_text())
    return office, hashlib.sha256(der).hexdigest()


def test_an_unknown_authority_is_refused_with_the_keys_to_set(secure: tuple[CommandOffice, str]) -> None:
    office, fingerprint = secure
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "set server.ca_file to that authority's certificate, or server.fingerprint to its SHA-256" in result.err
    assert fingerprint.upper() in result.err.replace(":", "")
    assert office.pws("delete").code == 1


def test_a_private_authority_is_trusted(secure: tuple[CommandOffice, str]) -> None:
    office, _ = secure
    office.write(server=f'nodes = ["{office.server.nodes[0].address}"]\nca_file = "cup.pem"')
    assert office.pws("poll", "ann").code == 0


def test_a_pinned_certificate_is_trusted(secure: tuple[CommandOffice, str]) -> None:
    office, fingerprint = secure
    node = office.server.nodes[0].address
    office.write(server=f'nodes = ["{node}"]\nfingerprint = "{fingerprint}"')
    assert office.pws("poll", "ann").code == 0


def test_plain_http_at_a_port_with_tls(make_office: Callable[..., CommandOffice], tmp_path: Path) -> None:
    """The hint names what to set; and the other way round."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    office = make_office(tls=(str(chain), str(key)))
    office.write(server=f'nodes = ["{office.server.nodes[0].address}"]\ntls = false')
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "if the port speaks TLS (8083 does), server.tls must not be false" in result.err


def test_tls_at_a_port_without_it(office: CommandOffice) -> None:
    office.write(server=f'nodes = ["{office.server.nodes[0].address}"]')
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "the port does not speak TLS (wrong version number); server.tls = false is for plain HTTP" in result.err
