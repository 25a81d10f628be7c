"""`pws health`: asks a running service whether it is ready, for containers and monitors. Loads next to nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from pws_soap.errors import ArgumentError
from service.cli.shared.config_option import config_option
from service.cli.shared.harmless import json_text, printable
from service.cli.shared.ranges import Real
from service.cli.shared.service_url import DEFAULT_URL, configured_url

_TIMEOUT: Final = 2.0


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, on one line.")
def command(
    url: str | None, ca_file: Path | None, live: bool, seconds: float, config_path: Path, as_json: bool
) -> None:
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
        answer = quick_http.get(base + path, seconds, {"Accept": "application/json"}, ca_file)
    except ArgumentError:
        raise click.UsageError(f"--ca-file {ca_file}: not a file with certificates in PEM") from None
    except OSError as error:
        verdict = HealthVerdict(False, "no answer", _reason(error))
    else:
        verdict = _verdict(*answer, path, live=live)
    if as_json:
        line = json_text({"ok": verdict.ok, "url": base, "verdict": verdict.words, "reason": verdict.reason or None})
    else:
        line = f"{verdict.words}: {base}{': ' if verdict.reason else ''}{verdict.reason}"
    click.echo(printable(line).replace("\n", " "))
    raise click.exceptions.Exit(0 if verdict.ok else 1)


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """Whether all is well, in a few words, and why not."""

    ok: bool
    words: str
    reason: str = ""


def _verdict(status: int, body: bytes, path: str, *, live: bool) -> HealthVerdict:
    """The verdict on an answer. What is no document of the service says nothing about it."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or ("ready" not in document and not live):
        return HealthVerdict(False, "no answer of the service", f"{path} says HTTP {status}; is the address right?")
    words = "alive" if live else "ready"
    if status == 200:
        return HealthVerdict(True, words)
    reason = document.get("reason")
    return HealthVerdict(False, f"not {words}", reason if isinstance(reason, str) else f"HTTP {status}")


def _reason(error: OSError) -> str:
    """Why there is no answer. A certificate that is not trusted says what about it."""
    distrust = getattr(error, "verify_message", "")
    if distrust:
        return f"the certificate is not trusted: {distrust}; --ca-file names a private authority"
    return error.strerror or str(error)
