"""Turns the options of `pws simulate` into the simulator's values. A message about a wrong one names the option."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from pws_soap.simulator import Options, User, options_from
from pws_soap.simulator.scripts.contact_values import is_xml, valid_contact
from pws_soap.simulator.scripts.scenario import Step, parse
from service.cli.shared import output

CONTROL_PORT: Final = 8084
_PORTS: Final = {"any": "none", "real": "80,82,8080"}
_KINDS: Final = {bool: "true, false", int: "a whole number", float: "a number", str: "a word"}


def ports_of(first: int, nodes: int) -> tuple[int, ...]:
    """Consecutive ports from `first` on; all 0 (any free port) where `first` is 0."""
    if first and first + nodes - 1 > 65535:
        raise output.Mistake(f"--port: {nodes} nodes from port {first} on need ports above 65535: choose a lower one")
    return tuple(first + number if first else 0 for number in range(nodes))


def control_port_of(given: int | None, taken: Sequence[int]) -> int:
    """The control interface's port: as given, else 8084, or the port after the nodes' where a node has 8084."""
    if given is None:
        return max(taken) + 1 if CONTROL_PORT in taken else CONTROL_PORT
    if given and given in taken:
        raise output.Mistake(f"--control-port: {given} is the port of a node: choose another")
    return given


def callback_ports_of(text: str) -> str:
    """The option's text for `any`, `real`, or ports."""
    ports = text.split(",")
    if text not in _PORTS and not all(port.strip().isdecimal() and 0 < int(port) < 65536 for port in ports):
        raise output.Mistake(f"--callback-ports: expected any, real, or ports such as 80,8080, got {text!r}")
    return _PORTS.get(text, text)


def domain_of(text: str) -> str:
    """A presence domain."""
    try:
        valid_contact(f"somebody@{text}")
    except ValueError:
        raise output.Mistake(f"--domain: expected a domain such as example.com, got {text!r}") from None
    return text


def options_of(settings: Sequence[str], own: dict[str, str], users: tuple[User, ...]) -> Options:
    """The simulator's options; `own` holds those that have a command-line option of their own."""
    texts = dict(own)
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise output.Mistake(f"--option: expected NAME=VALUE, got {setting!r}")
        if key == "users":
            raise output.Mistake(
                "--option users: set users with --user, --password and --end-user, further ones with --application-user"
            )
        texts[key] = value
    try:
        return replace(options_from(texts), users=users)
    except ValueError as error:
        raise output.Mistake(f"--option {error}") from None


def users_of(
    user: str, password: str, end_users: Sequence[str], nodes: Sequence[str], application_users: Sequence[str] = ()
) -> tuple[User, ...]:
    """The users who may log in, each end user with its home node. Any other name is an end user of the first node.

    `application_users` are further ones beside `user`, as NAME:PASSWORD; the first colon ends the name.
    """
    found = [
        User(
            _loggable("--user", "a name", " ".join(user.split())),
            _loggable("--password", "a password", _normalized(password)),
            application=True,
        )
    ]
    for given in application_users:
        name, _, secret = given.partition(":")
        name, secret = " ".join(name.split()), _normalized(secret)
        for text in (name, secret):
            _loggable("--application-user", "NAME:PASSWORD, both not empty", text)
        if name in {other.name for other in found}:
            raise output.Mistake(f"--application-user: {name!r} is given twice")
        found.append(User(name, secret, application=True))
    for end_user in end_users:
        name, at, home = end_user.rpartition("@")
        if not at:
            name, home = end_user, nodes[0]
        if not name or home not in nodes:
            raise output.Mistake(
                f"--end-user: expected NAME or NAME@NODE with one of the nodes {', '.join(nodes)}, got {end_user!r}"
            )
        if name in {other.name for other in found}:
            raise output.Mistake(f"--end-user: {name!r} is given twice")
        found.append(User(name, home=home))
    return tuple(found)


def _normalized(text: str) -> str:
    """A password as requests have it: xsd:normalizedString has spaces for tabs and line ends."""
    return re.sub("[\t\r\n]", " ", text)


def _loggable(option: str, expected: str, text: str) -> str:
    """A name or password with which a request can log in. It is not printed: it may be a password."""
    if not text:
        raise output.Mistake(f"{option}: expected {expected}")
    if not is_xml(text):
        raise output.Mistake(f"{option}: expected {expected}, without control characters: no request could hold them")
    return text


def steps_of(path: Path | None, nodes: Sequence[str]) -> tuple[Step, ...]:
    """The steps of a scenario file."""
    if path is None:
        return ()
    try:
        steps = parse(path.read_text("utf-8"))
    except OSError as error:
        raise output.Mistake(f"--scenario {path}: {error.strerror}") from None
    except ValueError as error:
        raise output.Mistake(f"--scenario {path}: {error}") from None
    for step in steps:
        node = step.values.get("node", nodes[0])
        if node not in nodes:
            raise output.Mistake(
                f"--scenario {path}: at {step.at:g} s: expected a node of {', '.join(nodes)}, got {node!r}"
            )
    return tuple(steps)


def show_options(*, as_json: bool) -> None:
    """Print the names that --option takes, with types and defaults."""
    values = Options().shown()
    del values["users"]
    if as_json:
        output.document(values)
        return
    hints = get_type_hints(Options)
    output.table(["Name", "Takes", "Default"], [[name, _takes(hints[name]), _typed(values[name])] for name in values])
    output.note("docs/simulator.md says what each of them is for.")


def _takes(hint: Any) -> str:  # a type as a value, of which typing says nothing better
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    if get_origin(kinds[0]) is Literal:
        text = ", ".join(map(str, get_args(kinds[0])))
    else:
        text = _KINDS.get(kinds[0], "ports, with commas")
    return f"{text}, none" if NoneType in get_args(hint) else text


def _typed(value: object) -> str:
    """A value as it is typed after --option."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def name_of(host: str) -> str:
    """The name under which others reach the machine that listens on `host`."""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    return socket.gethostname() if everywhere else host
