"""A private authority for one run of pytest, and a certificate of it for this machine's own addresses."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


def server_context(ca_file: Path) -> ssl.SSLContext:
    """The TLS context of a server at localhost, 127.0.0.1 and ::1; its authority is written to `ca_file` (PEM)."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return context
