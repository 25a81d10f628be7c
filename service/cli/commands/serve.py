"""`pws serve`: runs the service until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.shared import hangup, output
from service.cli.shared.garbage import collection_off, leave_out_what_stays, no_full_collection
from service.cli.shared.notes import Notes
from service.cli.shared.options import config_option, settings
from service.cli.shared.signals import called_at, stop_at_signals
from service.config import Config, ConfigError, load, secret_values
from service.core.clock import SystemClock
from service.core.tracing import ID_TRACER, Tracer
from service.logs import configuration as logs
from service.logs.redaction import Redactor

if TYPE_CHECKING:
    from service.core.presence.store import Store
    from service.runtime.assembly import Assembly
    from service.runtime.service_manager import ServiceManager

log = logging.getLogger("pws.service")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the service. `log_level` is the one that was given, which beats the configuration's."""

    config: Config
    notes: Notes
    redactor: Redactor
    tracer: Tracer
    log_level: str | None


@click.command("serve")
@config_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    show_default="log.level of the configuration",
    help="How much is told on standard error.",
)
def command(config_path: Path, log_level: str | None) -> None:
    """Keep presence up to date, and answer who is free.

    Logs in, registers its endpoint under a secret path, subscribes and fetches; from then on the server's
    notifications keep it current, and everything that expires is renewed in time. Ctrl-C or SIGTERM unsubscribes,
    unregisters and logs out, within lifecycle.stop_timeout seconds. SIGHUP reads the contacts and the keys of the
    configuration again, contacts_file included. SIGUSR1 makes audit.file anew, where logrotate has moved it.

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

    config = settings(config_path, quiet=True)
    redactor = Redactor(secret_values(config))
    _check_extras(config)
    run = Run(config, Notes(config.log.format), redactor, _tracer(config, redactor), log_level)
    logs.configure(log_level or config.log.level, config.log.format, run.redactor)
    run.notes.warnings(config.warnings)
    if refusal := access_rules.refusal(config):
        raise run.notes.failure(output.Mistake(refusal))
    with logs.catch_the_rest(), asyncio.Runner(loop_factory=_fast_loop()) as runner:
        reason = runner.run(_serve(run))
    if reason:
        raise run.notes.failure(output.CommandFailed(reason))


def _check_extras(config: Config) -> None:
    """Several replicas need one package more."""
    if config.cluster is None:
        return
    try:
        import service.runtime.replicas  # noqa: F401
    except ImportError:
        raise output.Mistake(
            "cluster: the package redis is not installed: pip install 'pws-presence[redis]', or leave the section out"
        ) from None


def _tracer(config: Config, redactor: Redactor) -> Tracer:
    """The one that the configuration asks for. OpenTelemetry is imported nowhere else."""
    if not config.otel.enabled:
        return ID_TRACER
    try:
        from service.runtime.otel import OtelTracer
    except ImportError:
        raise output.Mistake(
            "otel.enabled: OpenTelemetry is not installed: pip install 'pws-presence[otel]', or set it to false"
        ) from None
    return OtelTracer(redactor)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed (it does not support every system), else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(run: Run) -> str:
    """Serve until a signal comes, as the only holder of the state file. Returns why the service ended, if by itself."""
    from service.runtime.assembly import state_path
    from service.runtime.state_lock import LockHeld, alone_with

    config = run.config
    try:
        with alone_with(state_path(config)):
            return await _serve_alone(run)
    except LockHeld as other:
        return (
            f"another service{f' (process {other.pid})' if other.pid else ''} runs with the state file "
            f"{state_path(config)}: two would take away each other's sessions. Stop that one, or give this one a "
            "state.file, an application user and end users of its own"
        )


async def _serve_alone(run: Run) -> str:
    from service.runtime import descriptors
    from service.runtime.assembly import assemble
    from service.runtime.facade_listener import KEEP_ALIVE, LISTENER_KEYS, CertificateNotUsable, tls_context
    from service.runtime.server import Beside, CannotStart, listen, serve
    from service.runtime.service_manager import ServiceManager, in_a_line

    config = run.config
    sockets: list[socket.socket] = []
    facade_tls = None
    try:
        sockets.append(listen(config.http.host, config.http.port))
        if config.callback.is_apart:
            keys = "callback.listen_host, callback.listen_port"
            sockets.append(listen(*config.callback.listener(config.http), keys))
        if config.facade.is_on:
            sockets.append(listen(config.facade.listen_host, config.facade.listen_port or 0, LISTENER_KEYS))
            facade_tls = tls_context(config)
    except (CannotStart, CertificateNotUsable) as error:
        for listening in sockets:
            listening.close()
        return str(error)
    with collection_off():  # the WSDL's types stay until the end
        assembly = assemble(config, redactor=run.redactor, tracer=run.tracer)
    run.notes.serving(_shown(sockets[0]), sum(len(each.contacts) for each in config.watch))
    if config.cluster is not None:
        run.notes.one_of_several(config.cluster.unit, str(config.cluster.address), config.cluster.advertise)
    beside: list[Beside] = []
    if assembly.callback is not None:
        beside.append(Beside(assembly.callback, sockets[1]))
        run.notes.listening_for_notifications(_shown(sockets[1]))
    if assembly.facade is not None:
        most = descriptors.for_programs(descriptors.raise_limit())
        beside.append(Beside(assembly.facade.app, sockets[-1], facade_tls, KEEP_ALIVE, most))
        shown = _shown(sockets[-1], "http" if facade_tls is None else "https")
        run.notes.listening_for_programs(shown, config.facade.address or "")
    reopen = assembly.audit.reopen if assembly.audit is not None else lambda: None
    manager = ServiceManager.of(os.environ, SystemClock())

    def closing() -> None:
        manager.stopping()
        assembly.let_go()

    with stop_at_signals() as stop, called_at("SIGUSR1", reopen), _reload_at_hangup(assembly, run, manager, facade_tls):
        informing = asyncio.create_task(
            manager.keep_informed(lambda: in_a_line(assembly.engine.status())), name="service manager"
        )
        filling = asyncio.create_task(no_full_collection(_has_read_all(assembly.store), SystemClock()), name="garbage")
        refused = asyncio.create_task(assembly.engine.refused.wait())
        refused.add_done_callback(lambda _task: stop.set())
        try:
            await serve(assembly.served, sockets[0], stop, beside=beside, ready=manager.ready, closing=closing)
        finally:
            refused.cancel()
            filling.cancel()
            informing.cancel()
    return assembly.engine.refusal if assembly.engine.refused.is_set() else ""


def _has_read_all(store: Store) -> Callable[[], bool]:
    """Whether everybody who is watched has been read."""

    def has_read_all() -> bool:
        summary = store.summary()
        return summary.read >= summary.contacts > 0

    return has_read_all


def _shown(listening: socket.socket, scheme: str = "http") -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.contextmanager
def _reload_at_hangup(
    assembly: Assembly, run: Run, manager: ServiceManager, facade_tls: ssl.SSLContext | None
) -> Iterator[None]:
    """At SIGHUP read the contacts and the keys of the configuration again; also for one that came during the start."""
    asked = asyncio.Event()
    with hangup.calls(asked.set):
        reloading = asyncio.create_task(_reload_when(asked, assembly, run, manager, facade_tls), name="reload")
        try:
            yield
        finally:
            reloading.cancel()


async def _reload_when(
    asked: asyncio.Event, assembly: Assembly, run: Run, manager: ServiceManager, facade_tls: ssl.SSLContext | None
) -> None:
    """Reload whenever it is asked for, one after the other. A bug in it must not end it."""
    known = run.config.warnings
    while True:
        await asked.wait()
        asked.clear()
        try:
            with manager.reloading():
                known = await _reload(assembly, run, known, facade_tls)
        except Exception:
            log.exception(
                "SIGHUP: unexpected error; contacts and keys may be partly those of before",
                extra={"event": "internal.error"},
            )


async def _reload(
    assembly: Assembly, run: Run, known: tuple[str, ...], facade_tls: ssl.SSLContext | None
) -> tuple[str, ...]:
    """Read the configuration again, in a thread: it may be long. A wrong one changes nothing. Its warnings."""
    from service.runtime import access_rules
    from service.runtime.reload import log_changes, log_warnings

    config = run.config
    try:
        fresh = await asyncio.to_thread(load, config.file, dict(os.environ))
    except ConfigError as error:
        log.warning(
            "SIGHUP: the configuration is wrong; contacts and keys stay as they are: %(error)s",
            {"error": error},
            extra={"event": "reload.failed"},
        )
        return known
    for secret in secret_values(fresh):
        run.redactor.hide(secret)
    if run.log_level is None:
        logs.set_level(fresh.log.level)
    # What is allowed without a key depends on the listening address, which is not read again.
    assembly.authenticator.rules = access_rules.kept_closed(
        access_rules.rules(fresh, config.http.host, config.groups), assembly.authenticator.rules
    )
    if assembly.facade is not None:
        from service.runtime import facade

        facade.reload(assembly.facade, fresh, facade_tls)
    contacts = {each.end_user: each.contacts for each in config.watch}
    for watch in fresh.watch:
        if watch.end_user in contacts:
            contacts[watch.end_user] = watch.contacts
        else:
            log.warning(
                "SIGHUP: the end user %(end_user)s is new and is not logged in before a restart",
                {"end_user": watch.end_user},
                extra={"event": "reload.end-user-new"},
            )
    for gone in contacts.keys() - {each.end_user for each in fresh.watch}:
        contacts[gone] = ()
    changes = await assembly.engine.reload(contacts)
    assembly.reconfigured(contacts, fresh.keys)
    leave_out_what_stays()
    log_changes(
        [*changes.left, *(old for old, _ in changes.moved)],
        [*changes.came, *(new for _, new in changes.moved)],
        changes.users,
    )
    assembly.app.audit.reloaded(
        [each.contact for each in changes.came], [each.contact for each in changes.left], fresh.keys
    )
    log_warnings(fresh.warnings, known)
    count, keys = sum(map(len, contacts.values())), len(fresh.keys)
    ending = "" if keys == 1 else "s"
    log.info(
        "SIGHUP: configuration read again: %(contacts)d contacts, %(keys)d key%(_ending)s",
        {"contacts": count, "keys": keys, "_ending": ending},
        extra={"event": "reload.done"},
    )
    return fresh.warnings
