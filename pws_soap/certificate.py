"""What a server shows in a TLS handshake: its certificate, even one that is not trusted, and how far it came.

A handshake over memory keeps what a failed one over a socket loses: the server's first bytes, whether it chose a
version and a cipher, and whether it asked for a certificate of ours. Nothing but handshakes is sent on these
connections.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from pws_soap.trust import unchecked
from pws_soap.x509 import Certificate, read

_MAX_HANDSHAKE: Final = 256 * 1024
"""Bytes of one server's side of a handshake that are read; more are no handshake."""
CLIENT_CERTIFICATE: Final = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "TLSV1_ALERT_NO_CERTIFICATE",
    }
)
"""OpenSSL's names for the alerts by which a server says that it misses a certificate of the client."""
_LATE: Final = 1.0
"""Seconds after a handshake within which a server refuses it, if it does; an alert comes at once."""
_RECORD_ALERT: Final = 21
_RECORD_HANDSHAKE: Final = 22
_CERTIFICATE_REQUEST: Final = 13
"""Content types of TLS records and the type of a handshake message (RFC 5246 sections 6.2.1 and 7.4)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one handshake showed, in which any certificate was taken.

    `answered`: the server sent something; `speaks_tls`: and that was TLS. `chose`: it chose a version and a cipher.
    `asked_for_ours`: it asked for a certificate of the client, as far as can be seen (in TLS 1.2). `error`: how the
    handshake failed, None where it did not.
    """

    answered: bool = False
    speaks_tls: bool = False
    chose: bool = False
    asked_for_ours: bool = False
    certificate: Certificate | None = None
    error: ssl.SSLError | None = None

    @property
    def wants_ours(self) -> bool:
        """Whether the server refuses us for want of a certificate of the client."""
        return self.says_ours_is_missed or (self.asked_for_ours and self.error is not None)

    @property
    def says_ours_is_missed(self) -> bool:
        """Whether the server says so itself, by an alert. One that asks may also do without."""
        return self.error is not None and (self.error.reason or "") in CLIENT_CERTIFICATE


async def look(host: str, port: int, limit: float) -> Shown:
    """What a server shows, within `limit` seconds. Raises OSError or TimeoutError where nothing can be seen."""
    async with asyncio.timeout(limit):
        shown, der = await _shake_hands(host, port, unchecked(), min(limit / 2, _LATE))
    return shown if der is None else replace(shown, certificate=read(der))


async def _shake_hands(host: str, port: int, context: ssl.SSLContext, late: float) -> tuple[Shown, bytes | None]:
    """One handshake over memory, and the certificate in DER where it came to that.

    In TLS 1.3 a server refuses us, for want of a client's certificate, only after our side of the handshake is done:
    that is waited for up to `late` seconds. A server that is content sends something else, or nothing.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
        received = b""
        error: ssl.SSLError | None = None
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if len(received) > _MAX_HANDSHAKE:
                    break
            except ssl.SSLError as failed:
                error = failed
                break
            data = b""
            with suppress(ConnectionError):
                writer.write(outgoing.read())
                await writer.drain()
                data = await reader.read(65536)
            received += data
            incoming.write(data) if data else incoming.write_eof()
        if error is None and tls.version() == "TLSv1.3":
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(late):
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            try:
                tls.read(1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as failed:
                error = failed
        der = tls.getpeercert(binary_form=True) if tls.version() is not None else None
        speaks = len(received) > 1 and received[0] in {_RECORD_ALERT, _RECORD_HANDSHAKE} and received[1] == 3
        asked = _CERTIFICATE_REQUEST in _message_types(received)
        return Shown(bool(received), speaks, tls.cipher() is not None, asked, None, error), der
    finally:
        writer.transport.abort()


def _message_types(received: bytes) -> set[int]:
    """The types of the handshake messages that came in plain, which in TLS 1.2 are all but the last."""
    messages = b""
    while len(received) >= 5 and received[0] == _RECORD_HANDSHAKE:
        size = int.from_bytes(received[3:5])
        messages += received[5 : 5 + size]
        received = received[5 + size :]
    found = set()
    while len(messages) >= 4:
        found.add(messages[0])
        messages = messages[4 + int.from_bytes(messages[1:4]) :]
    return found
