"""Reads the data files of Cisco's sample scripts and proposes a configuration (protocol section 5).

People start from those scripts, so the files are taken as they are: missing keys, placeholders, bare names, numbers,
and URLs where the scripts want a host. What the scripts and their files do that is not safe is listed, each with what
is done instead, and so is what had to be written differently. Nothing is written here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from pws_soap.models import Secret
from service.cli.migrate.addresses import callback_of, node_of, port_of
from service.cli.migrate.findings import PASSWORD_FILE, ScriptFinding, insecure
from service.config import completed


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
    node, host = node_of(reader.value("serverparams.json", server, "SERVER"))
    username = reader.value("appuser.json", application, "USERNAME")
    password = reader.value("appuser.json", application, "PASSWD")
    user = reader.value("enduser.json", end_user, "USERNAME")
    contacts = reader.contacts()
    if single := _given(end_user, "CONTACT"):
        contacts.append(single)
    if reader.problems:
        raise ScriptsError(directory, reader.problems)
    findings = list(insecure(directory, server, node, domain))
    if isinstance(application["PASSWD"], _Number):
        findings.append(
            ScriptFinding("appuser.json", "the password is written as a number", "taken as it stands there")
        )
    callback, decide = callback_of(_given(server, "ENDPOINTURL"), _given(server, "HOST"))
    findings += decide
    unique = list({completed(name, _domain(host, domain)).casefold(): name for name in contacts}.values())
    text = _toml(node, username, callback, user, _domain(host, domain), unique)
    try:
        (text + password).encode()
    except UnicodeEncodeError:
        raise ScriptsError(
            directory, ["expected text, found half a character (an escape \\ud800 to \\udfff)"]
        ) from None
    return Proposal(text, Secret(password), tuple(findings))


def _domain(host: str, given: str | None) -> str | None:
    """What completes bare names: the server's name where nothing else is given, but not its IPv6 address."""
    return given or (None if ":" in host else host)


class _Number(str):
    """A number of a JSON file, as it is written there: 1.0 is another password than 1."""

    __slots__ = ()


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
            if not any(ord(char) < 0x20 for char in found):
                return found if key == "PASSWD" else found.strip()
            self.problems.append(f"{name}: expected {key} on one line, found control characters in it")
        elif parameters:
            self.problems.append(f"{name}: expected {key}, found {_kind(found)}")
        return ""

    def contacts(self) -> list[str]:
        """The JSON array of names; none where there is no file."""
        if not (self.directory / "contacts.list").exists():
            return []
        whole = self._json("contacts.list")
        if whole is None:
            return []
        if not isinstance(whole, list):
            self.problems.append('contacts.list: expected a JSON array of names, such as ["joe", "rita"]')
            return []
        for number, name in enumerate(whole, 1):
            if not isinstance(name, str):
                self.problems.append(f"contacts.list: expected a name as entry {number}, found {_kind(name)}")
        return [name.strip() for name in whole if isinstance(name, str) and name.strip()]

    def _json(self, name: str) -> object:
        path = self.directory / name
        try:
            text = path.read_text("utf-8-sig")
            found: object = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
        except OSError as error:
            self.problems.append(f"{name}: {error.strerror or 'not readable'}")
        except json.JSONDecodeError as error:
            self.problems.append(f"{name}: broken JSON in line {error.lineno}, {error.msg}")
        except RecursionError:
            self.problems.append(f"{name}: lists or tables in each other without an end")
        except ValueError:
            self.problems.append(f"{name}: not UTF-8 text")
        else:
            return found
        return None


def _is_placeholder(text: str) -> bool:
    return text.strip().startswith("<") and text.strip().endswith(">")


def _kind(found: object) -> str:
    """What stands in a file in place of a text."""
    match found:
        case None | "":
            return "nothing"
        case bool():
            return "true" if found else "false"
        case str():
            return "a placeholder" if found.strip() else "only spaces"
        case list():
            return "a list"
        case _:
            return "an object"


def _given(parameters: dict[str, object], key: str) -> str:
    """A text that may be missing; empty where it is."""
    found = parameters.get(key)
    return found.strip() if isinstance(found, str) and not _is_placeholder(found) else ""


def _toml(node: str, username: str, callback: str, user: str, domain: str | None, contacts: list[str]) -> str:
    port = port_of(callback)
    everywhere = "::" if "[" in callback else "0.0.0.0"  # noqa: S104  the server is on another machine
    completing = '# domain = "example.com"' if domain is None else f"domain = {_quoted(domain)}"
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
{completing}    # the presence domain; it completes bare names
contacts = [
{listed}]
"""


def _quoted(text: str) -> str:
    """A TOML basic string: TOML has JSON's escapes, and also wants DEL escaped, which JSON does not."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
