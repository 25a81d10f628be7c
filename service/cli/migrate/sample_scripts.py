"""Reads the data files of Cisco's sample scripts and proposes a configuration (protocol section 5).

People start from those scripts, so the files are taken as they are: missing keys, placeholders, bare names. What the
scripts and their files do that is not safe is listed, each with what is done instead. Nothing is written here.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from pws_soap.models import Secret
from service.config import completed

FILES: Final = ("serverparams.json", "appuser.json", "enduser.json", "contacts.list")
PASSWORD_FILE: Final = "pws-password"  # noqa: S105 - the name of a file
"""Where the password goes, beside the configuration."""
_SAFE_IN_PATH: Final = "/:@!$&()*+,;=~"
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


@dataclass(frozen=True, slots=True)
class Proposal:
    """The text of a pws.toml, the password for the file that it names, and the findings."""

    text: str
    password: Secret = field(repr=False)
    findings: tuple[ScriptFinding, ...]


class ScriptsError(ValueError):
    """The files cannot be used. `problems` says of each what is missing."""

    def __init__(self, directory: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join([f"the sample scripts' files in {directory} cannot be used:", *(f"  {p}" for p in problems)])
        )


def read(directory: Path, domain: str | None = None) -> Proposal:
    """Read the files in `directory`; `domain` completes bare names instead of the server's name.

    Raises ScriptsError with everything that is missing.
    """
    reader = _Reader(directory)
    server = reader.parameters("serverparams.json")
    application = reader.parameters("appuser.json")
    end_user = reader.parameters("enduser.json")
    node = _node(reader.value("serverparams.json", server, "SERVER"))
    username = reader.value("appuser.json", application, "USERNAME")
    password = reader.value("appuser.json", application, "PASSWD")
    user = reader.value("enduser.json", end_user, "USERNAME")
    contacts = reader.contacts()
    single = end_user.get("CONTACT")
    if isinstance(single, str) and single.strip() and not _is_placeholder(single):
        contacts.append(single.strip())
    if reader.problems:
        raise ScriptsError(directory, reader.problems)
    findings = list(_insecure(directory, server, node, domain))
    callback, decide = _callback(server)
    findings += decide
    host = node.rpartition(":")[0] or node
    unique = list({completed(name, domain or host).casefold(): name for name in contacts}.values())
    text = _toml(node, username, callback, user, domain or host, unique)
    return Proposal(text, Secret(password), tuple(findings))


class _Reader:
    """Reads the files and collects their problems."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: list[str] = []

    def parameters(self, name: str) -> dict[str, object]:
        """`{"params": [{...}]}`: the last entry counts, as in the scripts."""
        whole = self._json(name)
        if whole is None:
            return {}
        entries = whole.get("params") if isinstance(whole, dict) else None
        if not isinstance(entries, list) or not entries or not isinstance(entries[-1], dict):
            self.problems.append(f'{name}: expected {{"params": [{{...}}]}}')
            return {}
        return entries[-1]

    def value(self, name: str, parameters: dict[str, object], key: str) -> str:
        """A required text."""
        found = parameters.get(key)
        if isinstance(found, str) and found.strip() and not _is_placeholder(found):
            return found if key == "PASSWD" else found.strip()
        if parameters:
            what = "a placeholder" if isinstance(found, str) and found.strip() else "nothing"
            self.problems.append(f"{name}: expected {key}, found {what}")
        return ""

    def contacts(self) -> list[str]:
        """The JSON array of names; none where there is no file."""
        if not (self.directory / "contacts.list").exists():
            return []
        whole = self._json("contacts.list")
        if whole is None:
            return []
        if not isinstance(whole, list) or not all(isinstance(name, str) for name in whole):
            self.problems.append('contacts.list: expected a JSON array of names, such as ["joe", "rita"]')
            return []
        return [name.strip() for name in whole if name.strip()]

    def _json(self, name: str) -> object:
        path = self.directory / name
        try:
            found: object = json.loads(path.read_text("utf-8-sig"))
        except OSError as error:
            self.problems.append(f"{name}: {error.strerror or 'not readable'}")
        except json.JSONDecodeError as error:
            self.problems.append(f"{name}: broken JSON in line {error.lineno}, {error.msg}")
        except ValueError:
            self.problems.append(f"{name}: not UTF-8 text")
        else:
            return found
        return None


def _is_placeholder(text: str) -> bool:
    return text.strip().startswith("<") and text.strip().endswith(">")


def _node(server: str) -> str:
    """The host in SERVER, which may be written as a URL; with the port unless it is a default."""
    name = urlsplit(server).netloc if "://" in server else server.partition("/")[0]
    if name.startswith("["):
        return name
    host, colon, port = name.partition(":")
    return host if colon and port in {"8082", "8083", "443", "80"} else name


def _callback(server: dict[str, object]) -> tuple[str, list[ScriptFinding]]:
    """The URL of the endpoint: as given, made from HOST, or a guess that the user must correct."""
    given = server.get("ENDPOINTURL")
    if isinstance(given, str) and given.strip() and not _is_placeholder(given):
        parts = urlsplit(given.strip())
        if parts.scheme in {"http", "https"} and parts.netloc:
            # In the form that callback.url requires; the scripts' own server took any.
            path = re.sub("/{2,}", "/", quote(unquote(parts.path), safe=_SAFE_IN_PATH))
            return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}", []
    host = server.get("HOST")
    if isinstance(host, str) and host.strip() and not _is_placeholder(host):
        return f"http://{host.strip()}{'' if ':' in host else ':8080'}", []
    guess = "http://127.0.0.1:8080"
    return guess, [
        ScriptFinding(
            "serverparams.json",
            "neither HOST nor ENDPOINTURL says where notifications go",
            f"set callback.url; {guess} is a guess",
        )
    ]


def _insecure(directory: Path, server: dict[str, object], node: str, domain: str | None) -> Iterator[ScriptFinding]:
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
    for name in FILES[:3]:
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
            "watch.domain is the server's name; set your presence domain, or use --domain",
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


def _toml(node: str, username: str, callback: str, user: str, domain: str, contacts: list[str]) -> str:
    port = _port(callback)
    everywhere = "::" if "[" in callback else "0.0.0.0"  # noqa: S104  the server is on another machine
    listed = "".join(f"    {_quoted(name)},\n" for name in contacts)
    return f"""\
# Made by `pws migrate` from the sample scripts' files.

[server]
nodes = [{_quoted(node)}]
# ca_file = "cup.pem"         # where the server's certificate (cup) is signed by a private authority

[application]
username = {_quoted(username)}
password_file = {_quoted(PASSWORD_FILE)}

[callback]
url = {_quoted(callback)}     # this service as the server reaches it
listen_host = {_quoted(everywhere)}    # a listener for notifications alone, apart from the API
listen_port = {port}
# allow_from = ["10.0.0.11"]  # the server's addresses: notifications from elsewhere are refused then

[http]
host = "127.0.0.1"            # the API, for this machine; for others it takes a key: pws key new
port = {8081 if port == 8080 else 8080}

[[watch]]
end_user = {_quoted(user)}
domain = {_quoted(domain)}    # the presence domain; it completes bare names
contacts = [
{listed}]
"""


def _port(callback: str) -> int:
    parts = urlsplit(callback)
    try:
        return parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return 8080  # the URL itself is reported as a mistake


def _quoted(text: str) -> str:
    """A TOML basic string: TOML has JSON's escapes, and also wants DEL escaped, which JSON does not."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
