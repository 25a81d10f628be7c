"""From the sources to a `Config`, or to the list of everything that is wrong with them.

pydantic checks each value and collects; this module puts its words into ours and adds what no single key can show.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pws_soap.models import same_contact
from service.access.principal import ANYBODY
from service.config import addresses, parsers, sections, server_sections
from service.config.contacts import gather
from service.config.errors import NESTED, ConfigError, Problem, path_of, shown, variable_of
from service.config.facade_sections import FacadeSection
from service.config.raw import Draft, Location
from service.config.sources import NUMBERED, QUOTED, SECRETS, is_readable_by_all, is_secret, read

SECTIONS: Final = tuple(sections.BLOCKS)
REQUIRED: Final = tuple(name for name, field in sections.Sections.model_fields.items() if field.is_required())


def load(path: Path | None, environ: Mapping[str, str]) -> sections.Config:
    """The configuration in the file at `path` (None: without a file) and in `environ`, which beats the file.

    Relative paths start from the file's directory, also those in the environment. ConfigError lists every mistake.
    """
    return load_with_draft(path, environ)[0]


def load_with_draft(path: Path | None, environ: Mapping[str, str]) -> tuple[sections.Config, Draft]:
    """The same, and the draft, which knows where each value came from."""
    draft = read(path, environ, frozenset(SECTIONS))
    gather(draft)
    for name in REQUIRED:
        if name not in NUMBERED:
            draft.tree.setdefault(name, {})  # so that each missing key is reported, not the section
    found: sections.Sections | None = None
    try:
        found = sections.Sections.model_validate(draft.tree, context={"base": draft.base})
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _translate(draft, details)
    if found is not None:
        _check_together(draft, found)
    if draft.problems or found is None:
        raise ConfigError(sorted((_with_quotes(draft, problem) for problem in draft.problems), key=_order))
    values = {name: getattr(found, name) for name in SECTIONS}
    return sections.Config(**values, file=path, warnings=(*draft.warnings, *_warnings(found))), draft


def _with_quotes(draft: Draft, problem: Problem) -> Problem:
    """The problem with a hint at the quotes around the value, where that may be what is wrong."""
    if any(problem.where == f"environment variable {name}" for name in draft.quoted):
        return replace(problem, hint=QUOTED)
    return problem


def _order(problem: Problem) -> int:
    section = problem.key.partition(".")[0].partition("[")[0]
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)


def _translate(draft: Draft, details: ErrorDetails) -> None:
    location: Location = details["loc"]
    context: dict[str, Any] = details.get("ctx", {})  # pydantic's own type for it
    match details["type"]:
        case parsers.PROBLEM:
            draft.add(location, context["expected"], context["found"], context["hint"])
        case "missing" if location not in draft.reported:
            _missing(draft, location)
        case "missing":
            pass
        case "extra_forbidden":
            known = _known(location)
            near = difflib.get_close_matches(str(location[-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            draft.add(
                location, "a key that exists" if len(location) > 1 else "a section that exists", "an unknown one", hint
            )
        case _:
            draft.add(location, *_shape(location), _kind(details["input"]), _shape_hint(location))


def _missing(draft: Draft, location: Location) -> None:
    block = sections.BLOCKS[str(location[0])] if len(location) > 1 else sections.Sections
    also = f"{location[-1]}_file or " if is_secret(location) else ""
    variable = variable_of(location if len(location) > 1 else (*location, 0, "end_user"))
    hint = f"set {also}{variable}" if also or draft.file is None else f"set it there or as {variable}"
    draft.add(location, block.model_fields[str(location[-1])].title or "a value", "nothing", hint)


def _known(location: Location) -> list[str]:
    """The keys that exist beside `location`."""
    if len(location) == 1:
        return [name for name in SECTIONS if name not in NESTED]
    section = str(location[0])
    files = [f"{key}_file" for where, key in SECRETS if where == section]
    inner = [name for outer, name in NESTED.values() if outer == section]
    return [*sections.BLOCKS[section].model_fields, *files, *inner]


def _shape(location: Location) -> tuple[str]:
    if len(location) == 1 and location[0] in NUMBERED:
        return (f"[[{location[0]}]] blocks",)
    return (f"a table [{path_of(location)}]",)


def _shape_hint(location: Location) -> str:
    return "with two brackets on each side" if len(location) == 1 and location[0] in NUMBERED else ""


def _kind(value: object) -> str:
    """What a value is, without the value: a whole section may hold a secret."""
    return shown(value) if isinstance(value, dict | list) else "a single value"


def _check_together(draft: Draft, config: sections.Sections) -> None:
    """What no section can know alone."""
    owners: dict[str, str] = {}
    for name, key in config.keys.items():
        if name == ANYBODY.name:
            draft.add(("keys", name), "another name", shown(name), "it is what those are called who have no key")
        if not name.strip() or not name.isprintable():
            draft.add(("keys", name), "a name that can be read", shown(name), "it stands in the log and in claims")
        other = owners.setdefault(key.hash, name)
        if other != name:
            hint = "each key is made with pws key new"
            draft.add(("keys", name, "hash"), "another key than those above", f"the one of keys.{other}", hint)
        _check_groups(draft, config, ("keys", name, "groups"), key.groups)
    _check_canary(draft, config)
    _check_webhooks(draft, config)
    if config.cluster is not None and config.facade.is_on:
        hint = (
            "leave out [cluster] or facade.listen_port; a service of its own beside the replicas, with another "
            "application user, can be the façade"
        )
        draft.add(("cluster",), "no [facade] beside it, whose sessions one process alone keeps", "both", hint)
    _check_facade(draft, config)
    if config.state.file is not None:
        _check_state_file(draft, config, config.state.file)
    host, port = config.callback.listener(config.http)
    if config.callback.is_apart and port and port == config.http.port and _overlap(host, config.http.host):
        draft.add(("callback", "listen_port"), "another port than http.port", str(port), "set http.port to another one")


def _check_canary(draft: Draft, config: sections.Sections) -> None:
    """It must have a session of its own, be watched, and never be given work."""
    end_user, contact = config.canary.end_user, config.canary.contact
    if end_user is None or contact is None:
        if end_user is not contact:
            missing = "end_user" if end_user is None else "contact"
            draft.add(("canary", missing), "both end_user and contact", "one of them", "the canary is both")
        return
    if end_user in {config.application.username, *(watch.end_user for watch in config.watch)}:
        hint = "presence is fetched in that one's session, which nothing else may use"
        draft.add(("canary", "end_user"), "an end user of its own", shown(end_user), hint)
    own = same_contact(contact)
    if own not in {same_contact(watched) for watch in config.watch for watched in watch.contacts}:
        hint = "add it to the contacts of a [[watch]] block"
        draft.add(("canary", "contact"), "a contact that is watched", shown(contact), hint)
    for name, group in config.groups.items():
        if own in map(same_contact, group.contacts):
            hint = f"take it out of groups.{name}: it is nobody who could take a call"
            draft.add(("canary", "contact"), "a contact of no group", shown(contact), hint)


def _check_webhooks(draft: Draft, config: sections.Sections) -> None:
    """Names that differ, groups that exist, and no messages in clear text by mistake."""
    names: set[str] = set()
    for index, target in enumerate(config.webhooks):
        at: Location = ("webhooks", index)
        if target.name.casefold() in names:
            draft.add((*at, "name"), "another name than those above", shown(target.name), "each target has its own")
        names.add(target.name.casefold())
        _check_groups(draft, config, (*at, "group"), target.group)
        if target.url.is_plain and not target.plain_http and not addresses.is_loopback(target.url.host):
            hint = "http:// is for this machine; plain_http = true if everybody on the way may read the messages"
            draft.add((*at, "url"), "an https:// URL", shown(str(target.url)), hint)


def _check_facade(draft: Draft, config: sections.Sections) -> None:
    """What a façade needs, nothing in clear text by mistake, and ports that differ."""
    facade = config.facade
    for name, user in config.facade_users.items():
        if not name.strip() or not name.isprintable() or " " in name:
            draft.add(("facade_users", name), "a user name without spaces", shown(name))
        _check_groups(draft, config, ("facade_users", name, "groups"), user.groups)
    if (facade.certificate is None) is not (facade.key_file is None):
        missing = "certificate" if facade.certificate is None else "key_file"
        draft.add(("facade", missing), "both certificate and key_file", "one of them")
    if not facade.is_on:
        if config.facade_users or facade.address is not None:
            draft.add(("facade", "listen_port"), "the port of the façade, such as 8083", "nothing")
        return
    if facade.address is None:
        expected = "the façade as programs reach it, such as https://presence.example.com:8083"
        draft.add(("facade", "address"), expected, "nothing", "it is what ?wsdl says")
    if not config.facade_users:
        draft.add(("facade",), "at least one [facade.users.NAME]", "none", "nobody could log in")
    if facade.needs_certificate:
        hint = "or plain_http = true, if passwords may travel in the clear or a proxy before it speaks TLS"
        draft.add(("facade", "certificate"), f"a certificate where listen_host is {facade.listen_host}", "none", hint)
    others = {"http.port": (config.http.host, config.http.port)}
    if config.callback.is_apart:
        others["callback.listen_port"] = config.callback.listener(config.http)
    for key, (host, port) in others.items():
        if port and port == facade.listen_port and _overlap(host, facade.listen_host):
            draft.add(("facade", "listen_port"), f"another port than {key}", str(port))


def _check_groups(draft: Draft, config: sections.Sections, location: Location, groups: tuple[str, ...]) -> None:
    """Only groups that exist."""
    for group in groups:
        if group not in config.groups:
            known = ", ".join(config.groups)
            hint = f"there are: {known}" if known else "there is no [groups.NAME]"
            draft.add(location, "groups that exist", shown(group), hint)


def _check_state_file(draft: Draft, config: sections.Sections, state: Path) -> None:
    """The state file is replaced, so that it must be none of those that are only read."""
    read_only = {"this configuration": draft.file, **draft.files, "server.ca_file": config.server.ca_file}
    if config.cluster is not None:
        read_only |= {"cluster.password_file": config.cluster.password_file, "cluster.ca_file": config.cluster.ca_file}
    for name, path in read_only.items():
        try:
            is_same = path is not None and (path.absolute() == state.absolute() or path.samefile(state))
        except OSError:  # at least one of them is not there
            is_same = False
        if is_same:
            draft.add(("state", "file"), "a file of its own", f"that of {name}", "the service replaces the state file")
            return


def _overlap(one: str, other: str) -> bool:
    """Whether two listeners on one port would meet."""
    return one == other or bool({one, other} & {"0.0.0.0", "::"})  # noqa: S104  compared, not listened on


def _warnings(config: sections.Sections) -> Iterator[str]:
    server, callback = config.server, config.callback
    hosts = [addresses.split_node(node)[0] for node in server.nodes]
    elsewhere = not all(addresses.is_local(host) for host in hosts)
    if not server.tls and elsewhere:
        yield "server.tls is false: the application user's password travels in the clear"
    if server.fingerprint and len(server.nodes) > 1:
        yield "server.fingerprint is of one certificate, but there are several nodes: the others will be refused"
    if callback.port not in server_sections.CALLBACK_PORTS:
        known = ", ".join(str(port) for port in sorted(server_sections.CALLBACK_PORTS))
        yield f"callback.url has port {callback.port}: servers are known that notify the ports {known} only"
    if callback.is_loopback and elsewhere:
        yield f"callback.url {callback.url} is, for the server, the server itself: notifications will not arrive"
    if config.access.anonymous_from_anywhere and not addresses.is_loopback(config.http.host):
        may = "read everybody's presence" if config.keys else "read everybody's presence and change what is watched"
        yield f"access.anonymous_from_anywhere is true: anybody who reaches {config.http.host} may {may}"
    for index, watch in enumerate(config.watch):
        if not watch.contacts:
            yield f"watch[{index}] ({watch.end_user}) has no contacts"
    for index, target in enumerate(config.webhooks):
        if target.url.is_plain and not addresses.is_loopback(target.url.host):
            yield f"webhooks[{index}] ({target.name}) is sent over plain HTTP: who listens on the way reads it"
    if config.cluster is not None and config.state.file is not None:
        yield "state.file is not used: replicas remember in the engine that they share ([cluster])"
    if config.cluster is not None and config.cluster.password_file is not None:
        password_file = config.cluster.password_file
        if is_readable_by_all(password_file):
            yield f"cluster.password_file: everybody on this machine may read {password_file}; chmod 600 it"
    yield from _facade_warnings(config.facade)
    watched = {same_contact(contact) for watch in config.watch for contact in watch.contacts}
    for name, group in config.groups.items():
        strangers = [contact for contact in group.contacts if same_contact(contact) not in watched]
        if strangers:
            more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
            yield f"groups.{name}: nobody watches {', '.join(strangers[:3])}{more}"


def _facade_warnings(facade: FacadeSection) -> Iterator[str]:
    if not facade.is_on:
        return
    if facade.certificate is None and not addresses.is_loopback(facade.listen_host) and not facade.speaks_tls:
        yield "facade.plain_http is true: passwords and presence travel in the clear"
    if facade.certificate is not None and not facade.speaks_tls:
        yield f"facade.address is {facade.address}, but with facade.certificate programs have to speak https"
