"""Servers that speak TLS on loopback, well and badly, and the certificates they show.

Each runs in a thread of its own, so that it answers whatever event loop, command or process connects.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class MadeCertificate:
    """A certificate with its key: `issuer` None signs itself. `bare` has no extension but the names, if any."""

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
    ) -> None:
        self.key = rsa.generate_private_key(65537, bits)
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
            builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if for_clients:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(usage, critical=False)
        self.certificate = builder.sign((issuer or self).key, hashes.SHA256())

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


def context(certificate: MadeCertificate, directory: Path) -> ssl.SSLContext:
    """A server's context that shows this certificate, however weak it is."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.load_cert_chain(certificate.write(directory / f"{certificate.digest[:16]}.pem", key=True))
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
        thread.join(10)


def _serve(listener: socket.socket, tls: ssl.SSLContext | bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.settimeout(5)
        with suppress(OSError):  # ssl.SSLError is one
            if isinstance(tls, bytes):
                connection.recv(4096)
                connection.sendall(tls)
            else:
                connection = tls.wrap_socket(connection, server_side=True)
                connection.recv(4096)
        connection.close()
