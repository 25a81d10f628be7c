"""What `pws config check` looks at: the configuration with the line of each mistake, and what this machine says."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pws_soap.errors import ArgumentError
from pws_soap.trust import Trust
from service.cli.shared import configuration_checks
from service.cli.shared.findings import Blame, Finding, Notebook, Severity, Tell
from service.config import Config, Problem
from service.config.errors import path_of
from service.config.in_force import lines_in
from service.runtime.facade_listener import LISTENER_KEYS

_LAST: Final = re.compile(r"(\[\d+\]|\.[^.\[\]]+|^[^.\[\]]+)$")
"""The last part of a key such as `watch[0].contacts[3]`."""
_ENTRY: Final = re.compile(r" line (\d+)$")
"""What the key of a mistake in a file of contacts ends with."""


def look(path: Path | None, tell: Tell, now: Callable[[], float] = time.time) -> None:
    """Run all checks. `now` is the wall time, to compare with a certificate's."""
    lines = _lines(path)
    config = configuration_checks.read(path, _with_lines(tell, path, lines), _place(path, lines))
    if config is None:
        return
    _authorities(config, Notebook("authority", tell), now())
    for target in config.webhooks:
        if target.ca_file is not None:
            note = Notebook(f"webhook {target.name}", tell)
            _authority(target.ca_file, "ca_file", "set it to what signed the target's certificate", note, now())
    configuration_checks.look(config, tell, now())
    _listeners(config, Notebook("listener", tell))


def _lines(path: Path | None) -> dict[str, int]:
    """The lines of a file by keys as messages write them; nothing of a file that is not TOML, whose mistake has one."""
    try:
        return {path_of(location): line for location, line in lines_in(path).items()}
    except (OSError, ValueError):
        return {}


def _place(path: Path | None, lines: Mapping[str, int]) -> Callable[[Problem], str]:
    """What says where a mistake is: file and line, of the key or of what stands around it."""

    def place(problem: Problem) -> str:
        if entry := _ENTRY.search(problem.key):
            return f"{problem.where}:{entry[1]}"
        if path is None or problem.where != str(path):
            return problem.where
        key = problem.key
        while key and key not in lines:
            key = _LAST.sub("", key)
        return f"{problem.where}:{lines[key]}" if key else problem.where

    return place


def _with_lines(tell: Tell, path: Path | None, lines: Mapping[str, int]) -> Tell:
    """Adds file and line to a warning about a key that stands in the file."""

    def tell_with_line(finding: Finding) -> None:
        about = re.match(r"[\w.\[\]-]+", finding.what)
        line = lines.get(about[0].rstrip(".")) if about else None
        if finding.level is Severity.WARNING and line is not None:
            finding = replace(finding, what=f"{finding.what} ({path}:{line})")
        tell(finding)

    return tell_with_line


def _authorities(config: Config, note: Notebook, now: float) -> None:
    """Whether what is trusted can be read, and still holds."""
    server = config.server
    if not server.tls:
        return
    if server.fingerprint is not None:
        note.ok("the one certificate that server.fingerprint names is trusted")
        return
    if server.ca_file is None:
        note.ok("the system's authorities are trusted; server.ca_file names a private one")
        return
    _authority(server.ca_file, "server.ca_file", "set it to what signed `cup`", note, now)


def _authority(file: Path, key: str, cure: str, note: Notebook, now: float) -> None:
    """Whether a file holds certificates, and whether they still hold."""
    try:
        context = Trust(file).context()
    except ArgumentError as error:
        reason = error.expected.partition("(")[2].rstrip(")")
        what = f"{key} {file} is not a file with certificates in PEM: {reason}"
        note.problem(what, cure, fault=Blame.CONFIGURATION)
        return
    count = context.cert_store_stats()["x509"]
    note.ok(f"{file}: {count} certificate{'' if count == 1 else 's'}")
    for certificate in context.get_ca_certs():
        ends = str(certificate.get("notAfter", ""))
        if ends and ssl.cert_time_to_seconds(ends) < now:
            note.warning(f"{file}: the certificate of {_name(certificate)} expired on {ends}")


def _name(certificate: Mapping[str, object]) -> str:
    """The name of a certificate's subject: the common one, or that of the organization."""
    subject = certificate.get("subject")
    names = dict(pair for part in subject for pair in part) if isinstance(subject, tuple) else {}
    return str(names.get("commonName") or names.get("organizationName") or "an authority")


def _listeners(config: Config, note: Notebook) -> None:
    """Whether this machine has the addresses to listen on, and lets us."""
    places = [("http.host, http.port", config.http.host, config.http.port)]
    if config.callback.is_apart:
        places.append(("callback.listen_host, callback.listen_port", *config.callback.listener(config.http)))
    if config.facade.listen_port is not None:
        places.append((LISTENER_KEYS, config.facade.listen_host, config.facade.listen_port))
    for keys, host, port in places:
        shown = f"{f'[{host}]' if ':' in host else host}:{port}"
        try:
            _bind(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                note.warning(f"{shown} is in use: by a service that runs already, or by another program ({keys})")
            else:
                reason = error.strerror or str(error)
                fix = f"set {keys} to what this machine has and allows"
                note.problem(f"cannot listen on {shown}: {reason}", fix, fault=Blame.CONFIGURATION)
        else:
            note.ok(f"{shown} is free ({keys})")


def _bind(host: str, port: int) -> None:
    """Take an address and give it back, without listening. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    with socket.socket(family, socket.SOCK_STREAM) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
