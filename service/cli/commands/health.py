"""`pws health`: asks a running service whether it is ready, for containers and monitors. Loads next to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from service.cli.shared.config_option import config_option
from service.cli.shared.harmless import printable
from service.cli.shared.ranges import Real
from service.cli.shared.service_url import DEFAULT_URL, configured_url

_TIMEOUT = 2.0


@click.command("health")
@click.option(
    "--url",
    envvar="PWS_URL",
    show_envvar=True,
    help=f"The service.  [default: [http] of the configuration, else {DEFAULT_URL}]",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A private authority, PEM, where the address is https.",
)
@click.option("--live", is_flag=True, help="Ask whether the process answers (/livez), not whether it is ready.")
@click.option(
    "--timeout",
    "seconds",
    type=Real(0, 60, min_open=True),
    default=_TIMEOUT,
    show_default=True,
    help="Seconds after which there is no answer.",
)
@config_option
def command(url: str | None, ca_file: Path | None, live: bool, seconds: float, config_path: Path) -> None:
    """Ask a running service whether it is ready.

    Ready is a service whose answers are live: /readyz says so. Prints one line. Exit code 0: it is ready; 1: it is not,
    or does not answer in time; 2: the words are wrong. An orchestrator that restarts what is not healthy is better
    served by --live: restarting this service does not mend the presence server.

    The address is read from the configuration; the rest of it is not looked at.

    \b
    Example:
      pws health
      pws health --live --timeout 1
      pws health --url https://presence.example.com --ca-file ca.pem
      HEALTHCHECK CMD ["pws", "health"]          (in a Containerfile)
    """
    from service.cli.shared import quick_http

    base = (url or configured_url(config_path) or DEFAULT_URL).rstrip("/")
    try:
        parts = urlsplit(base)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or "@" in base or not base.isascii() or not base.isprintable() or set(base) & set(" ?#"):
        raise click.UsageError(f"--url: expected an address such as {DEFAULT_URL}")
    path = "/livez" if live else "/readyz"
    try:
        status, body = quick_http.get(base + path, seconds, {"Accept": "application/json"}, ca_file)
    except OSError as error:
        _end(1, f"no answer: {base}: {error.strerror or error}")
    _end(*_verdict(status, body, path, base, live=live))


def _verdict(status: int, body: bytes, path: str, base: str, *, live: bool) -> tuple[int, str]:
    """Exit code and line for an answer. What is no document of the service says nothing about it."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or ("ready" not in document and not live):
        return 1, f"no answer of the service: {base}{path} says HTTP {status}; is the address right?"
    if live:
        return (0, f"alive: {base}") if status == 200 else (1, f"not alive: {base}: HTTP {status}")
    reason = document.get("reason")
    words = reason if isinstance(reason, str) else f"HTTP {status}"
    return (0, f"ready: {base}") if status == 200 else (1, f"not ready: {base}: {words}")


def _end(code: int, line: str) -> None:
    click.echo(printable(line).replace("\n", " "))
    raise click.exceptions.Exit(code)
