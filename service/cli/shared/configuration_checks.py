"""Checks of the configuration itself, before anything is sent: for `pws doctor` and `pws config check`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pws_soap.errors import ContractError
from service.cli.shared import facade_checks
from service.cli.shared.findings import Blame, Notebook, Tell
from service.config import Config, ConfigError, Problem, addresses, load


def _where(problem: Problem) -> str:
    return problem.where


def read(path: Path | None, tell: Tell, place: Callable[[Problem], str] = _where) -> Config | None:
    """Load the configuration and report its warnings, or every mistake in it with its `place`; then there is none."""
    note = Notebook("configuration", tell)
    try:
        config = load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            head = f"{problem.key}: " if problem.key else ""
            what = f"{head}expected {problem.expected}, found {problem.found} ({place(problem)})"
            note.problem(what, problem.hint, fault=Blame.CONFIGURATION)
        return None
    contacts = sum(len(watch.contacts) for watch in config.watch)
    counted = [
        _several(len(config.server.nodes), "node"),
        _several(len(config.watch), "end user"),
        _several(contacts, "contact"),
        _several(len(config.groups), "group"),
    ]
    if config.webhooks:
        counted.append(_several(len(config.webhooks), "webhook"))
    if config.facade.is_on:
        counted.append(_several(len(config.facade_users), "user of the façade", "users of the façade"))
    note.ok(f"{path or 'the environment'}: {', '.join(counted)}")
    for warning in config.warnings:
        if warning.startswith("access."):  # reported by `_access`
            continue
        what, _, fix = warning.partition("; ")
        note.warning(what, fix)
    return config


def look(config: Config, tell: Tell, now: float) -> None:
    """Run the checks that need no network. `now` is the wall time."""
    _wsdl(config, Notebook("wsdl", tell))
    _state(config, Notebook("state file", tell))
    _audit(config, Notebook("audit", tell))
    _access(config, Notebook("access", tell))
    facade_checks.look(config, Notebook("facade", tell), now)


def _wsdl(config: Config, note: Notebook) -> None:
    from pws_soap import contract  # zeep takes a moment

    source = config.server.wsdl
    if source == "live":
        note.ok("the server's own is used")
        return
    try:
        loaded = contract.bundled(config.server.soap) if source == "bundled" else contract.from_path(source)
    except ContractError as error:
        note.problem(str(error), 'server.wsdl = "bundled" uses ours', fault=Blame.CONFIGURATION)
        return
    note.ok(f"{loaded.source}: complete, at most {loaded.contacts_per_request} contacts in a list")


def _state(config: Config, note: Notebook) -> None:
    from service.runtime.assembly import state_path

    if config.cluster is not None:
        note.ok("there is none: the replicas remember in Redis or Valkey")
        return
    path = state_path(config)
    if path is None:
        note.warning("there is none: sessions that a crash leaves at the server stay", "set state.file")
        return
    folder = path.parent
    if not folder.is_dir():
        note.warning(f"{path}: there is no directory {folder}", "make the directory, or set state.file")
    elif path.is_dir() or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        note.warning(f"{path} cannot be written by this user", "make the service's user its owner, or set state.file")
    elif not os.access(folder, os.W_OK | os.X_OK):
        note.warning(
            f"{folder} cannot be written to by this user", "give the service's user write access, or set state.file"
        )
    else:
        note.ok(f"{path} can be written")


def _audit(config: Config, note: Notebook) -> None:
    path = config.audit.file
    if path is None:
        return
    folder, is_there = path.parent, os.access(path, os.F_OK)
    if not is_there and not folder.is_dir():
        note.warning(f"{path}: there is no directory {folder}", "make the directory, or set audit.file")
    elif is_there and (path.is_dir() or not os.access(path, os.W_OK)):
        note.warning(f"{path} cannot be written by this user", "make the service's user its owner, or set audit.file")
    elif (not is_there or config.audit.max_bytes) and not os.access(folder, os.W_OK | os.X_OK):
        note.warning(
            f"{folder} cannot be written to by this user", "give the service's user write access, or set audit.file"
        )
    else:
        note.ok(f"{path} can be written")


def _access(config: Config, note: Notebook) -> None:
    from service.runtime import access_rules

    where = f"the API at {config.http.host}:{config.http.port}"
    if access_rules.refusal(config):
        note.problem(
            f"{where} is open to other machines and has no key: pws serve will not start",
            'make a key with `pws key new`, or set http.host = "127.0.0.1"',
            fault=Blame.CONFIGURATION,
        )
    elif addresses.is_loopback(config.http.host):
        note.ok(f"{where} is open to this machine only, {'with' if config.keys else 'without'} a key")
    elif config.access.anonymous_from_anywhere:
        may = "read" if config.keys else "read and change everything"
        fix = "set access.anonymous_from_anywhere = false"
        note.warning(f"{where}: anybody who reaches it may {may} without a key", fix)
    else:
        note.ok(f"{where} takes one of {_several(len(config.keys), 'key')}")


def _several(number: int, thing: str, things: str = "") -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {things or thing + 's'}"
