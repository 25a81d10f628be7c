"""Servers that speak TLS on loopback, well and badly, and the certificates they show.

Each runs in a thread of its own, so that it answers whatever event loop, command or process connects.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import warnings
import weakref
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
_WITH_SHA_256, _WITH_SHA_1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
"""Object identifiers of signatures with RSA."""

_unused: defaultdict[int, list[rsa.RSAPrivateKey]] = defaultdict(list)
"""Keys of certificates that are gone, by their bits: to find one takes a tenth of a second."""


def _key_for(certificate: MadeCertificate, bits: int) -> rsa.RSAPrivateKey:
    """A key that no other certificate has."""
    key = _unused[bits].pop() if _unused[bits] else rsa.generate_private_key(65537, bits)
    weakref.finalize(certificate, _unused[bits].append, key)
    return key


class MadeCertificate:
    """A certificate with its key: `issuer` None signs itself.

    `below`: how many authorities may stand below this one. `only`: the one name for which it may sign. `unknown`: it
    has an extension that must be understood, and that nobody does. `sha_1`: it is signed with SHA-1.
    """

    def __init__(
        self,
        common_name: str = "127.0.0.1",
        *,
        issuer: MadeCertificate | None = None,
        names: tuple[x509.GeneralName, ...] = (),
        authority: bool | None = None,
        since: datetime.datetime = NOW - DAY,
        until: datetime.datetime = NOW + 30 * DAY,
        bits: int = 2048,
        for_clients: bool = False,
        below: int | None = None,
        only: x509.GeneralName | None = None,
        unknown: bool = False,
        sha_1: bool = False,
    ) -> None:
        self.key = _key_for(self, bits)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name((issuer or self).name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if authority is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=below), critical=True)
        if only is not None:
            builder = builder.add_extension(x509.NameConstraints([only], None), critical=True)
        if unknown:
            strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5.6"), b"\x0c\x01x")
            builder = builder.add_extension(strange, critical=True)
        if for_clients:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(usage, critical=False)
        self.certificate = builder.sign((issuer or self).key, hashes.SHA256())
        if sha_1:
            self.certificate = _signed_with_sha_1(self.certificate, (issuer or self).key)

    @property
    def digest(self) -> str:
        """Its SHA-256 in hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def write(self, path: Path, *, key: bool = False) -> Path:
        """Write it to a file in PEM, with its key where that is wanted."""
        content = self.certificate.public_bytes(serialization.Encoding.PEM)
        if key:
            content += self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        path.write_bytes(content)
        return path


def _signed_with_sha_1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The certificate with another signature, one that the library no longer makes."""
    content = certificate.tbs_certificate_bytes.replace(_WITH_SHA_256, _WITH_SHA_1)
    signature = b"\0" + key.sign(content, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  # weak on purpose
    algorithm = b"\x06\x09" + _WITH_SHA_1 + b"\x05\x00"
    whole = content + b"\x30" + bytes([len(algorithm)]) + algorithm
    whole += b"\x03\x82" + len(signature).to_bytes(2) + signature
    return x509.load_der_x509_certificate(b"\x30\x82" + len(whole).to_bytes(2) + whole)


def context(certificate: MadeCertificate, directory: Path, *above: MadeCertificate) -> ssl.SSLContext:
    """A server's context that shows this certificate, however weak it is, and those `above` it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    path = certificate.write(directory / f"{certificate.digest[:16]}.pem", key=True)
    with path.open("ab") as chain:
        chain.writelines(each.certificate.public_bytes(serialization.Encoding.PEM) for each in above)
    made.load_cert_chain(path)
    return made


def old_context(certificate: MadeCertificate, directory: Path) -> ssl.SSLContext:
    """A server's context that speaks TLS 1.0 and nothing else."""
    made = context(certificate, directory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.maximum_version = ssl.TLSVersion.TLSv1
    return made


@contextmanager
def tls_server(tls: ssl.SSLContext | bytes) -> Iterator[int]:
    """The port of a server that shakes hands and then answers nothing, or that answers everything with these bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, tls), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def _serve(listener: socket.socket, tls: ssl.SSLContext | bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.settimeout(30)
        with suppress(OSError):  # ssl.SSLError is one
            if isinstance(tls, bytes):
                connection.recv(4096)
                connection.sendall(tls)
            else:
                connection = tls.wrap_socket(connection, server_side=True)
                connection.recv(4096)
        connection.close()
