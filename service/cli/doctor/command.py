"""`pws doctor`: runs the checks in order and prints each finding with what to fix."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from service.cli.doctor import certificate
from service.cli.shared import configuration_checks, output
from service.cli.shared.findings import Blame, Finding, Notebook, Severity, as_document, show, summary
from service.cli.shared.options import config_option
from service.cli.shared.ranges import Real
from service.cli.shared.signals import stop_at_signals
from service.config import Config
from service.config.cluster_section import ClusterSection

PATIENCE: Final = 10.0


@click.command("doctor")
@click.option(
    "--timeout",
    "patience",
    type=Real(0, 600, min_open=True),
    default=PATIENCE,
    show_default=True,
    help="Seconds to wait for a notification.",
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def command(patience: float, config_path: Path, as_json: bool) -> None:
    """Check everything, and say what to fix.

    The configuration with its secret files and its state file; each node: its name, connection, certificate, WSDL and
    clock; the logins of the application user and the end users; and whether the server reaches callback.url. For that
    it listens where the service would, registers an endpoint and a subscription to one contact, waits for the
    notification that follows at once, and removes both again, also after Ctrl-C. Where the service itself is running
    there, it is asked instead (with the key in PWS_KEY). The façade, where there is one: its certificate, address and
    networks, and while the service runs the poll of one contact over SOAP. Of several replicas: Redis or Valkey, where
    a round of what replicas do is tried under a name of its own, and each replica. Last the way to each target of
    webhooks, up to TLS: no message is sent, `pws webhooks test NAME` does that.

    Nobody is logged out, since a session may be that of a running service; nothing else is left behind.

    One line for each check: ok, warning or problem. Exit code 0: no problem; 1: the server or the network said no;
    2: the configuration is wrong.

    \b
    Example:
      pws doctor
      pws doctor --config /etc/pws/pws.toml --json
    """
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            show(finding)

    context = click.get_current_context()
    given = context.get_parameter_source("config_path") is not ParameterSource.DEFAULT
    path: Path | None = config_path
    if not given and not config_path.exists() and any(name.startswith("PWS_SERVER__") for name in os.environ):
        path = None
    interrupted = False
    config = configuration_checks.read(path, tell)
    if config is not None:
        configuration_checks.look(config, tell, certificate.now())
        interrupted = not asyncio.run(_until_done(_look(config, tell, patience)))
    worst = max((finding.fault for finding in findings if finding.fault is not None), default=0)
    if as_json:
        output.document(as_document(findings, complete=not interrupted))
    else:
        counted = summary(findings)
        output.note(f"Interrupted; what was made is removed. {counted}" if interrupted else counted or "All is well.")
    raise click.exceptions.Exit(130 if interrupted else int(worst))


async def _look(config: Config, tell: Any, patience: float) -> None:
    from service.cli.doctor import facade, webhooks  # aiohttp takes a moment

    await _look_at_server(config, tell, patience)
    if config.cluster is not None:
        await _look_at_replicas(config, config.cluster, tell)
    await facade.look(config, tell)
    await webhooks.look(config, tell)


async def _look_at_server(config: Config, tell: Any, patience: float) -> None:
    from service.cli.doctor import (  # zeep and aiohttp take a moment
        callback,
        logins,
        node,
    )

    async with AsyncExitStack() as stack:
        reached: dict[str, node.Reached] = {}
        for url in config.server.urls():
            found = await node.look(config, url, tell, stack)
            if found is not None:
                reached[url] = found
        if not reached:
            if not await callback.is_running(config, tell):
                tell(Finding("callback", Severity.WARNING, "not tried, since no node accepted the login"))
            return
        seats = await logins.look(config, reached, tell, stack)
        await callback.look(config, seats, tell, patience)


async def _look_at_replicas(config: Config, section: ClusterSection, tell: Any) -> None:
    try:
        from service.cli.doctor import engine, replicas  # they need the extra `redis`
    except ImportError:
        note = Notebook("engine", tell)
        fix = "pip install 'pws-presence[redis]', or leave [cluster] out"
        note.problem("the package redis is not installed", fix, fault=Blame.CONFIGURATION)
        return
    if await engine.look(config, section, tell):
        await replicas.look(config, section, tell)


async def _until_done(work: Coroutine[Any, Any, None]) -> bool:
    """Run the work. False when a signal ended it, after its clean-up."""
    with stop_at_signals() as stop:
        working = asyncio.create_task(work)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        await asyncio.wait([working])
        return False
