"""`pws serve`: the service, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path

import click

from service.cli import output
from service.cli.common import config_option, settings
from service.config import Config


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
    unregisters and logs out, within lifecycle.stop_timeout seconds.

    A server that cannot be reached is tried again; a login that is refused at the start, or a certificate that is not
    trusted, ends the command with exit code 1.

    \b
    Example:
      pws serve --config pws.toml
      curl http://127.0.0.1:8080/v1/presence
      curl http://127.0.0.1:8080/v1/status
    """
    config = settings(config_path)
    configure_logging(log_level)
    refusal = asyncio.run(_serve(config))
    if refusal:
        raise output.Failure(refusal)


def configure_logging(level: str) -> None:
    """Our own messages, one line each, on standard error; of the libraries' only warnings, since some tell too much."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", level=logging.WARNING)
    logging.getLogger("pws").setLevel(level.upper())


async def _serve(config: Config) -> str:
    """Serve until a signal comes; why it could not go on, or nothing."""
    from service.assembly import CannotStart, assemble, listen, serve  # uvicorn and zeep take a moment

    try:
        listening = listen(config.http.host, config.http.port)
    except CannotStart as error:
        return str(error)
    assembly = assemble(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # where there are no signal handlers Ctrl-C still interrupts
            loop.add_signal_handler(each, stop.set)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    watched = sum(len(each.contacts) for each in config.watch)
    output.note(f"Serving http://{shown}:{port}  ({watched} contacts; API at /docs, health at /v1/status)")
    refused = asyncio.create_task(assembly.engine.refused.wait())
    refused.add_done_callback(lambda _task: stop.set())
    try:
        await serve(assembly.app, listening, stop)
    finally:
        refused.cancel()
    return assembly.engine.refusal if assembly.engine.refused.is_set() else ""
