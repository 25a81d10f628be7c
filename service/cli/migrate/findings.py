"""What is insecure in the sample scripts and their files, and what is done instead."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

JSON_FILES: Final = ("serverparams.json", "appuser.json", "enduser.json")
PASSWORD_FILE: Final = "pws-password"  # noqa: S105 - the name of a file
"""Where the password goes, beside the configuration."""
_PATTERNS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"verify\s*=\s*False|CERT_NONE|_create_unverified_context",
        "certificate checks are switched off: anybody on the way can read the password",
        "checked always; server.ca_file or server.fingerprint where the certificate is private",
    ),
    (
        r"shell\s*=\s*True|os\.system\(|os\.popen\(",
        "what a notification carries is passed to a shell: anybody who reaches the port can run commands",
        "a notification only marks its subscription; nothing of it is ever run",
    ),
    (
        r"http://.{0,80}(:8082|presence-service)",
        "requests go over plain HTTP, the password among them",
        "server.tls is true, port 8083",
    ),
)


@dataclass(frozen=True, slots=True)
class ScriptFinding:
    """Something insecure, or something that the user must decide: where, what, and what is done instead."""

    where: str
    what: str
    instead: str


def insecure(directory: Path, server: dict[str, object], node: str, domain: str | None) -> Iterator[ScriptFinding]:
    yield ScriptFinding(
        "appuser.json",
        "the application user's password is in clear text",
        f"kept in {PASSWORD_FILE}, readable by its owner alone; delete appuser.json",
    )
    if isinstance(server.get("PASSWD"), str) and server.get("PASSWD"):
        yield ScriptFinding(
            "serverparams.json",
            "an administrator's password is in clear text, and the Presence Web Service does not need it",
            "not taken over; delete it there, and change it",
        )
    for name in JSON_FILES:
        if os.name == "posix" and (directory / name).stat().st_mode & stat.S_IROTH:
            yield ScriptFinding(name, "everybody on this machine may read it", "delete it, or chmod 600")
    yield from _in_scripts(directory)
    yield ScriptFinding(
        "the endpoint",
        "anybody who reaches it can pretend to be the server",
        "it has a secret path, and a listener of its own: the API beside it answers on this machine alone",
    )
    if domain is None:
        yield ScriptFinding(
            "contacts.list",
            f"the scripts complete names with the server's ({node}), which is rarely the presence domain",
            "set your presence domain as watch.domain, or use --domain"
            if node.startswith("[")
            else "watch.domain is the server's name; set your presence domain, or use --domain",
        )


def _in_scripts(directory: Path) -> Iterator[ScriptFinding]:
    for path in sorted(directory.glob("*.py")):
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue  # the scripts are only read to report findings
        for expression, what, instead in _PATTERNS:
            found = re.search(expression, text)
            if found:
                line = text.count("\n", 0, found.start()) + 1
                yield ScriptFinding(f"{path.name}, line {line}", what, instead)
