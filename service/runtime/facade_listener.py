"""The listener of the façade: the keys that say where it is, and the TLS that it speaks."""

from __future__ import annotations

import ssl
from typing import Final

from service.config import Config

LISTENER_KEYS: Final = "facade.listen_host, facade.listen_port"
"""The keys of the configuration that say where it listens."""
_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "PEM lib": "one of them is not in PEM",
}
"""OpenSSL's errors, by a part of them, in words."""
KEEP_ALIVE: Final = 3600
"""Seconds for which a program's connection is kept without a request: at the real server it stays open for hours."""


class CertificateNotUsable(Exception):
    """The façade's certificate or its key cannot be used. The message says why."""


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The context of the façade's listener; None where it speaks plain HTTP. Raises CertificateNotUsable."""
    section = config.facade
    if section.certificate is None or section.key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # which toolkits speak that know no newer one
    load(context, config)
    return context


def load(context: ssl.SSLContext, config: Config) -> None:
    """Have a context show the certificate of a configuration. Raises CertificateNotUsable."""
    section = config.facade
    if section.certificate is None or section.key_file is None:
        return
    try:
        # On trial first: a context that is in use would be left with the certificate of one and the key of another.
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            each.load_cert_chain(section.certificate, section.key_file, _no_passphrase)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = next((words for part, words in _REASONS.items() if part in str(error)), str(error))
        raise CertificateNotUsable(f"facade.certificate and facade.key_file cannot be used: {reason}") from None


def _no_passphrase() -> str:
    """Instead of OpenSSL's question at the terminal, at which a service would wait for ever."""
    raise ValueError("the key has a passphrase, and nobody is there to type it")
