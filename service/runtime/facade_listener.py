"""The listener of the façade: the keys that say where it is, and the TLS that it speaks."""

from __future__ import annotations

import ssl
from typing import Final

from service.config import Config

LISTENER_KEYS: Final = "facade.listen_host, facade.listen_port"
"""The keys of the configuration that say where it listens."""


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
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(section.certificate, section.key_file)
        context.load_cert_chain(section.certificate, section.key_file)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise CertificateNotUsable(f"facade.certificate and facade.key_file cannot be used: {error}") from None
