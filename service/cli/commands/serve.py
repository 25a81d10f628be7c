"""`pws serve`: runs the service until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.shared import hangup, logs, output
from service.cli.shared.garbage import collection_off
from service.cli.shared.options import config_option, settings
from service.cli.shared.signals import stop_at_signals
from service.config import Config, ConfigError, load
from service.core.clock import SystemClock

if TYPE_CHECKING:
    from service.runtime.assembly import Assembly
    from service.runtime.service_manager import ServiceManager

log = logging.getLogger("pws.service")


@click.command("serve")
@config_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="How much is told on standard error.",
)
def command(config_path: Path, log_level: str) -> None:
    """Keep presence up to date, and answer who is free.

    Logs in, registers its endpoint under a secret path, subscribes and fetches; from then on the server's
    notifications keep it current, and everything that expires is renewed in time. Ctrl-C or SIGTERM unsubscribes,
    unregisters and logs out, within lifecycle.stop_timeout seconds. SIGHUP reads the contacts and the keys of the
    configuration again, contacts_file included.

    A server that cannot be reached is tried again; a login that is refused at the start, or a certificate that is not
    trusted, ends the command with exit code 1. So that nobody reads everybody's presence by accident, a service that
    other machines reach starts only with a key (pws key new), or where access.anonymous_from_anywhere says so.

    \b
    Example:
      pws serve --config pws.toml
      curl http://127.0.0.1:8080/v1/presence
      curl http://127.0.0.1:8080/v1/status
    """
    with collection_off():
        from service.runtime import access_rules, assembly, server  # noqa: F401  as everything about HTTP they take a moment

    config = settings(config_path, callback=True)
    if refusal := access_rules.refusal(config):
        raise output.Mistake(refusal)
    logs.configure(log_level)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        reason = runner.run(_serve(config))
    if reason:
        raise output.CommandFailed(reason)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed (it does not support every system), else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(config: Config) -> str:
    """Serve until a signal comes, as the only holder of the state file. Returns why the service ended, if by itself."""
    from service.runtime.assembly import state_path
    from service.runtime.state_lock import LockHeld, alone_with

    try:
        with alone_with(state_path(config)):
            return await _serve_alone(config)
    except LockHeld as other:
        return (
            f"another service{f' (process {other.pid})' if other.pid else ''} runs with the state file "
            f"{state_path(config)}: two would take away each other's sessions. Stop that one, or give this one a "
            "state.file, an application user and end users of its own"
        )


async def _serve_alone(config: Config) -> str:
    from service.runtime.assembly import assemble
    from service.runtime.server import CannotStart, listen, serve
    from service.runtime.service_manager import ServiceManager

    sockets: list[socket.socket] = []
    try:
        sockets.append(listen(config.http.host, config.http.port))
        if config.callback.is_apart:
            keys = "callback.listen_host, callback.listen_port"
            sockets.append(listen(*config.callback.listener(config.http), keys))
    except CannotStart as error:
        for listening in sockets:
            listening.close()
        return str(error)
    with collection_off():  # the WSDL's types stay until the end
        assembly = assemble(config)
    watched = sum(len(each.contacts) for each in config.watch)
    output.note(f"Serving {_shown(sockets[0])}  ({watched} contacts; API at /docs, health at /v1/status)")
    beside = [] if assembly.callback is None else [(assembly.callback, sockets[1])]
    for _, listening in beside:
        output.note(f"Listening for notifications alone on {_shown(listening)}")
    manager = ServiceManager.of(os.environ, SystemClock())

    def closing() -> None:
        manager.stopping()
        assembly.let_go()

    with stop_at_signals() as stop, _reload_at_hangup(assembly, config, manager):
        informing = asyncio.create_task(manager.keep_informed(assembly.condition), name="service manager")
        refused = asyncio.create_task(assembly.engine.refused.wait())
        refused.add_done_callback(lambda _task: stop.set())
        try:
            await serve(assembly.app, sockets[0], stop, beside=beside, ready=manager.ready, closing=closing)
        finally:
            refused.cancel()
            informing.cancel()
    return assembly.engine.refusal if assembly.engine.refused.is_set() else ""


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.contextmanager
def _reload_at_hangup(assembly: Assembly, config: Config, manager: ServiceManager) -> Iterator[None]:
    """At SIGHUP read the contacts and the keys of the configuration again; also for one that came during the start."""
    asked = asyncio.Event()
    with hangup.calls(asked.set):
        reloading = asyncio.create_task(_reload_when(asked, assembly, config, manager), name="reload")
        try:
            yield
        finally:
            reloading.cancel()


async def _reload_when(asked: asyncio.Event, assembly: Assembly, config: Config, manager: ServiceManager) -> None:
    """Reload whenever it is asked for, one after the other. A bug in it must not end it."""
    known = config.warnings
    while True:
        await asked.wait()
        asked.clear()
        try:
            with manager.reloading():
                known = await _reload(assembly, config, known)
        except Exception:
            log.exception("SIGHUP: unexpected error; contacts and keys may be partly those of before")


async def _reload(assembly: Assembly, config: Config, known: tuple[str, ...]) -> tuple[str, ...]:
    """Read the configuration again, in a thread: it may be long. A wrong one changes nothing. Its warnings."""
    from service.runtime import access_rules
    from service.runtime.reload import log_changes, log_warnings

    try:
        fresh = await asyncio.to_thread(load, config.file, dict(os.environ))
    except ConfigError as error:
        log.warning("SIGHUP: the configuration is wrong; contacts and keys stay as they are: %s", error)
        return known
    # What is allowed without a key depends on the listening address, which is not read again.
    assembly.authenticator.rules = access_rules.kept_closed(
        access_rules.rules(fresh, config.http.host, config.groups), assembly.authenticator.rules
    )
    contacts = {each.end_user: each.contacts for each in config.watch}
    for watch in fresh.watch:
        if watch.end_user in contacts:
            contacts[watch.end_user] = watch.contacts
        else:
            log.warning("SIGHUP: the end user %s is new and is not logged in before a restart", watch.end_user)
    for gone in contacts.keys() - {each.end_user for each in fresh.watch}:
        contacts[gone] = ()
    changes = await assembly.engine.reload(contacts)
    log_changes(
        [*changes.left, *(old for old, _ in changes.moved)],
        [*changes.came, *(new for _, new in changes.moved)],
        changes.users,
    )
    log_warnings(fresh.warnings, known)
    count, keys = sum(map(len, contacts.values())), len(fresh.keys)
    ending = "" if keys == 1 else "s"
    log.info("SIGHUP: configuration read again: %d contacts, %d key%s", count, keys, ending)
    return fresh.warnings
