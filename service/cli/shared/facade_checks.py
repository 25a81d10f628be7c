"""Checks of [facade] that need no network: its certificate, its address, where endpoints may be, who may log in.

`pws config check` runs them, and `pws doctor`, which then asks at the façade itself.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pws_soap import x509
from service.cli.shared.findings import Blame, Notebook
from service.config import Config
from service.config.addresses import is_loopback
from service.runtime.facade_listener import CertificateNotUsable, tls_context

SOON: Final = 30
"""A certificate that expires within this many days is a warning."""
WIDE: Final = {4: 8, 6: 32}
"""By the version of IP: a network for endpoints with a shorter prefix is a warning."""
_DAY: Final = 86400.0
_END: Final = "-----END CERTIFICATE-----"
_ONLY_HERE: Final = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
)
"""This machine and its link, where metadata services of clouds are."""


def look(config: Config, note: Notebook, now: float) -> None:
    """Check [facade] and its users. `now` is the wall time, to compare with the certificate's."""
    if not config.facade.is_on:
        return
    if _certificate(config, note, now):
        _address(config, note)
    _endpoints(config, note)


def first_certificate(path: Path) -> x509.Certificate | None:
    """The first certificate of a file in PEM; None where there is none."""
    try:
        text = path.read_text("ascii", "replace")
        begin, end = text.index("-----BEGIN CERTIFICATE-----"), text.index(_END) + len(_END)
        return x509.read(ssl.PEM_cert_to_DER_cert(text[begin:end]))
    except (OSError, ValueError):
        return None


def _certificate(config: Config, note: Notebook, now: float) -> bool:
    """Whether what programs are shown can be used; its dates and names are findings of their own."""
    facade = config.facade
    try:
        tls = tls_context(config)
    except CertificateNotUsable as error:
        cure = "name a certificate in PEM and the private key that belongs to it, without a passphrase"
        note.problem(str(error), cure, fault=Blame.CONFIGURATION)
        return False
    users = len(config.facade_users)
    may = f"{users} user{'' if users == 1 else 's'} may log in"
    if tls is None or facade.certificate is None:
        note.ok(f"programs reach it as {facade.address} over plain HTTP; {may}")
        return True
    shown = first_certificate(facade.certificate)
    if shown is None:
        note.ok(f"programs reach it as {facade.address} over TLS; {may}")
        return True
    if facade.key_file is not None and os.name == "posix" and facade.key_file.stat().st_mode & stat.S_IROTH:
        note.warning(f"facade.key_file: everybody on this machine may read {facade.key_file}", "chmod 600 it")
    says = f"{facade.certificate}: certificate {shown.subject or 'unreadable'}, issued by {shown.issuer or 'unknown'}"
    days = shown.days(now)
    if days is not None and shown.until is not None and shown.until < now:
        cure = "have it renewed; SIGHUP makes pws serve read it again"
        note.problem(f"{says}, expired on {_date(shown.until)}", cure, fault=Blame.CONFIGURATION)
    elif shown.since is not None and shown.since > now:
        cure = "check this machine's clock, or wait until then"
        note.problem(f"{says}, does not hold before {_date(shown.since)}", cure, fault=Blame.CONFIGURATION)
    elif days is not None and days < SOON:
        note.warning(f"{says}, good for {days} days", "have it renewed; SIGHUP makes pws serve read it again")
    else:
        note.ok(f"{says}{'' if days is None else f', good for {days} days'}")
    host = urlsplit(facade.address or "").hostname or ""
    if not names_host(shown.names, host):
        names = ", ".join(shown.names) or "no host"
        cure = f"have one made for {host}, or set facade.address to what it names"
        note.problem(
            f"the certificate names {names}, and facade.address is {facade.address}: programs will not trust it",
            cure,
            fault=Blame.CONFIGURATION,
        )
    note.ok(f"programs reach it as {facade.address} over TLS; {may}")
    return True


def names_host(names: tuple[str, ...], host: str) -> bool:
    """Whether one of a certificate's names is the host's: a name, `*.` and a name, or an address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        host = host.casefold().rstrip(".")
        above = host.partition(".")[2]
        return any(name.casefold() in {host, f"*.{above}" if above else host} for name in names)
    return str(address) in names


def _address(config: Config, note: Notebook) -> None:
    """Whether `address` can be right for programs on other machines."""
    facade = config.facade
    parts = urlsplit(facade.address or "")
    port = parts.port or (443 if facade.speaks_tls else 80)
    if is_loopback(parts.hostname or "") and not is_loopback(facade.listen_host):
        what = f"facade.address is {facade.address}: programs on other machines would look for it on their own"
        note.warning(what, "set it to a name or address by which they reach this machine")
    elif not is_loopback(parts.hostname or "") and is_loopback(facade.listen_host):
        what = f"facade.address is {facade.address}, and facade.listen_host is {facade.listen_host}: only programs "
        what += "on this machine reach it, unless a proxy here passes it on"
        note.warning(what, 'set facade.listen_host = "0.0.0.0" where there is no such proxy')
    elif facade.listen_port and port != facade.listen_port:
        what = f"facade.address has port {port}, and facade.listen_port is {facade.listen_port}"
        note.warning(what, "make them the same, unless something in between passes the one on to the other")


def _endpoints(config: Config, note: Notebook) -> None:
    """Whether the networks in which programs may have their endpoints say something."""
    facade = config.facade
    if not facade.endpoints:
        note.ok("a program's endpoint has to be at the address that it registers it from (facade.endpoints)")
        return
    is_fine = True
    for network in facade.endpoints:
        if network.prefixlen < WIDE[network.version]:
            is_fine = False
            what = f"facade.endpoints has {network}: who may log in could have nearly any address called"
            note.warning(what, "name the networks in which programs listen, such as 10.1.0.0/16")
        elif not is_loopback(facade.listen_host) and any(
            network.version == here.version and network.overlaps(here) for here in _ONLY_HERE
        ):
            is_fine = False
            what = f"facade.endpoints has {network}: programs elsewhere could have services of this machine called"
            note.warning(what, "leave it out, unless programs run on this machine")
    if is_fine:
        note.ok(f"programs may have their endpoints in {', '.join(map(str, facade.endpoints))}")


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
