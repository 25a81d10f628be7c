"""`pws watch`: a running service's contacts, live: a table in a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
import tomllib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from pws_soap.models import PresenceState, Secret
from service.cli.shared import output
from service.cli.shared.duration import Duration
from service.cli.shared.options import config_option
from service.cli.shared.signals import stop_at_signals, until
from service.core.presence.freshness import Level

if TYPE_CHECKING:
    from service.cli.shared.api import Api, Query, ServiceAddress
    from service.cli.watch.follow import Happening

DEFAULT_URL: Final = "http://127.0.0.1:8080"
MAX_KEY: Final = 1000


@click.command("watch")
@click.option(
    "--url",
    envvar="PWS_URL",
    show_envvar=True,
    help=f"The service.  [default: [http] of the configuration, else {DEFAULT_URL}]",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    envvar="PWS_KEY_FILE",
    show_envvar=True,
    help="A file with the API key. Without one PWS_KEY holds it; it is never an argument.",
)
@click.option(
    "--ca-file", type=click.Path(path_type=Path), help="A private authority, PEM, where the address is https."
)
@click.option(
    "--group", "groups", metavar="GROUP", multiple=True, help="Contacts of this group; its rule says who is free."
)
@click.option("--state", "states", metavar="STATE", multiple=True, help="Contacts in this state.")
@click.option("--available", is_flag=True, help="Contacts that are free.")
@click.option("--freshness", "levels", metavar="FRESHNESS", multiple=True, help="live, stale or unknown.")
@click.option("--search", "text", metavar="TEXT", help="A part of the contact or the display name.")
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON.")
@click.option("--plain", is_flag=True, help="Print lines, in a terminal too.")
@click.option("--for", "seconds", type=Duration(), metavar="TIME", help="End after 30s, 2m, 1h or plain seconds.")
@click.option("--wait", is_flag=True, help="Wait for a service that cannot be reached yet.")
@config_option
def command(
    url: str | None,
    key_file: Path | None,
    ca_file: Path | None,
    groups: tuple[str, ...],
    states: tuple[str, ...],
    available: bool,
    levels: tuple[str, ...],
    text: str | None,
    as_json: bool,
    plain: bool,
    seconds: float | None,
    wait: bool,
    config_path: Path,
) -> None:
    """Watch the contacts of a running service, live.

    Follows its stream of events and comes back by itself when the connection breaks. Until then nothing is sure, and
    it says so. In a terminal it shows a table (`?` lists its keys), elsewhere a line for each change. --group, --state
    and --freshness may be given several times: any of the values will do.

    --json prints first a line for each contact, {"event": "snapshot", "id": 59, "contact": "ann@example.com", ...}, and
    then a line for each event, by its name: "change" with the whole contact; "removed", no longer watched, or with
    "watched": true no longer among those asked for; "subscription.lost", "claim.made" and the others of the API's
    stream. "disconnected" and "connected" are its own: in between, nothing told before is sure. After changes that were
    missed the lines of a snapshot come again. So the last line of each contact is what is known of it.

    Ends with exit code 0 by Ctrl-C, SIGTERM or --for; with 1 where the service cannot be reached at the start or does
    not take the key.

    \b
    Example:
      pws watch
      pws watch --group support --available
      pws watch --json --group support | jq -r 'select(.contact) | "\\(.contact) \\(.available)"'
      PWS_KEY=$(cat key) pws watch --url https://presence.example.com --ca-file ca.pem
    """
    query = [
        *(("group", each) for each in groups),
        *(("state", _word("--state", each.upper(), list(PresenceState))) for each in states),
        *(("freshness", _word("--freshness", each.lower(), list(Level))) for each in levels),
        *([("available", "true")] if available else []),
        *([("q", text)] if text else []),
    ]
    place = place_of(url, key_file, ca_file, config_path)
    terminal = (
        not (as_json or plain) and sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") != "dumb"
    )
    asyncio.run(_watch(place, query, seconds, terminal=terminal, as_json=as_json, patient=wait))


def _word(option: str, word: str, allowed: Sequence[str]) -> str:
    """One of a few words. Raises Mistake."""
    if word not in allowed:
        raise output.Mistake(f"{option}: expected {', '.join(allowed[:-1])} or {allowed[-1]}, got {word!r}")
    return word


def place_of(url: str | None, key_file: Path | None, ca_file: Path | None, config_path: Path) -> ServiceAddress:
    """Where the service is, and the key to it. Raises Mistake."""
    from service.cli.shared.api import ServiceAddress  # aiohttp takes a moment

    url = url or _configured(config_path) or DEFAULT_URL
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = None
    if not fits or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise output.Mistake(f"--url: expected an address such as {DEFAULT_URL}, got {_shown(url)!r}")
    if parts.username is not None or parts.password is not None:
        raise output.Mistake("--url: expected no user and password in it: a key goes into PWS_KEY or --key-file")
    if ca_file is not None and parts.scheme == "http":
        raise output.Mistake("--ca-file: there is no certificate to check where the address is http")
    key = _key(key_file)
    if key is not None and parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        output.warn(f"{url} is not https: the key travels in the clear")
    return ServiceAddress(url.rstrip("/"), key, ca_file)


def _shown(url: str) -> str:
    """An address that is none, without what may be a password in it."""
    bare = url.partition("?")[0]
    return bare[:200] if "@" not in bare else "..." + bare.rpartition("@")[2][:200]


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _configured(path: Path) -> str | None:
    """The address in [http] of the configuration. Nothing else in it matters here, so the rest may be wrong."""
    http: dict[str, Any] = {}  # any TOML value, looked at below
    try:
        found = tomllib.loads(path.read_text("utf-8-sig")).get("http")
        http = found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        pass
    host = os.environ.get("PWS_HTTP__HOST") or http.get("host") or "127.0.0.1"
    port = os.environ.get("PWS_HTTP__PORT") or http.get("port") or 8080
    if not isinstance(host, str) or not str(port).isdecimal():
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  what listens everywhere is here too
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _key(path: Path | None) -> Secret | None:
    """The API key, from its file or the environment. What is wrong with it is told without it."""
    where, text = "PWS_KEY", os.environ.get("PWS_KEY", "")
    if path is not None:
        where = f"--key-file {path}"
        try:
            text = path.read_text("utf-8-sig")
            if os.name == "posix" and path.stat().st_mode & 0o004:
                output.warn(f"everybody on this machine may read {path}; chmod 600 it")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise output.Mistake(f"{where}: cannot be read: {reason}") from None
    text = text.strip()
    if path is None and not text:
        return None
    if not (0 < len(text) <= MAX_KEY and text.isascii() and text.isprintable() and " " not in text):
        raise output.Mistake(f"{where}: expected one API key, as `pws key new` prints it")
    return Secret(text)


async def _watch(
    place: ServiceAddress, query: Query, seconds: float | None, *, terminal: bool, as_json: bool, patient: bool
) -> None:
    from service.cli.shared.api import Api, NoAnswer, ServiceRefused

    try:
        api = Api(place)
        try:
            with stop_at_signals() as stop:
                if seconds is not None:
                    asyncio.get_running_loop().call_later(seconds, stop.set)
                work = _table(api, query, patient) if terminal else _lines(api, query, patient, as_json=as_json)
                await until(stop, work)
        finally:
            await api.close()
    except ServiceRefused as error:
        raise (output.Mistake if error.is_mistake else output.CommandFailed)(error.reason) from None
    except NoAnswer as error:
        raise output.CommandFailed(
            f"{place.url} cannot be reached: {error.reason}. Is the service running there? --wait waits for it"
        ) from None


async def _lines(api: Api, query: Query, patient: bool, *, as_json: bool) -> None:
    from service.cli.watch import lines
    from service.cli.watch.follow import Health, Watcher
    from service.cli.watch.picture import Picture
    from service.core.clock import SystemClock

    clock = SystemClock()
    picture = Picture(clock)
    writer = lines.Documents() if as_json else lines.Words(picture)
    said = ""
    async with aclosing(Watcher(api, query, clock, patient=patient).happenings()) as happenings:
        async for happening in happenings:
            if not lines.is_read():  # as after `| head -1`, where nothing more may happen for long
                return
            steps = picture.take(happening)
            if isinstance(happening, Health) and (now := lines.health(happening)) != said:
                said = now
                output.note(said)
            told = list(writer.of(happening, steps))
            if told:
                await asyncio.to_thread(lines.write, told)


async def _table(api: Api, query: Query, patient: bool) -> None:
    from service.cli.watch.follow import Watcher
    from service.cli.watch.screen import WatchApp
    from service.core.clock import SystemClock

    clock = SystemClock()
    given = [value for name, value in query if name == "group"]
    others = [pair for pair in query if pair[0] != "group"]

    def follow(group: str | None) -> AsyncGenerator[Happening, None]:
        chosen = given if group is None else [group]
        return Watcher(api, [*others, *(("group", each) for each in chosen)], clock, patient=True).happenings()

    first = Watcher(api, query, clock, patient=patient).happenings()
    async with aclosing(first):
        begin = await anext(first)  # what is wrong at the start is told without a table
        app = WatchApp(api.place.url, clock, follow, (begin, first), fixed=others, groups=given)
        await app.run_async()
        if app.failure is not None:
            raise app.failure
