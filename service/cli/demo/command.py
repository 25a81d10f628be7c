"""`pws demo`: the whole thing in one command, without a server, a configuration or a trace left behind."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

import click

from service.cli.shared import output
from service.cli.shared.duration import Duration
from service.cli.shared.ranges import Real, Whole
from service.cli.shared.signals import stop_at_signals, until

if TYPE_CHECKING:
    from rich.console import Console

    from service.cli.demo.loopback import DemoWords
    from service.cli.demo.scene import Scene
    from service.core.presence.records import Change

MAX_LATEST: Final = 200
"""Changes that are kept to be listed: more than a terminal has lines."""
PAUSE: Final = 0.1
"""Seconds between two pictures at least: an eye takes no more, and a processor has other work."""


@click.command("demo")
@click.option(
    "--port",
    type=Whole(0, 65535),
    default=8080,
    show_default=True,
    help="Port of the service, on loopback; 0 takes any free one.",
)
@click.option("--for", "seconds", type=Duration(), metavar="TIME", help="End after 30s, 2m, 1h or plain seconds.")
@click.option("--contacts", type=Whole(1, 5000), default=24, show_default=True, help="How many people the office has.")
@click.option(
    "--speed",
    type=Real(0, 1e6, min_open=True),
    default=60.0,
    show_default=True,
    help="How many times as fast as life the office day is.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON, like a contact of the API.")
def command(port: int, seconds: float | None, contacts: int, speed: float, as_json: bool) -> None:
    """Watch a simulated office, without a server.

    Runs a simulated presence server, the service and a scripted office day on loopback: people come, phone, meet,
    lunch and leave, and each change reaches the service through real SOAP over real sockets. In a terminal it shows
    them as a table, elsewhere a line for each change. The addresses to try are printed; nothing is written to disk.

    Ends with Ctrl-C, or after --for, and leaves the simulated server without session, endpoint or subscription.

    \b
    Example:
      pws demo
      pws demo --for 30s --port 0
      pws demo --json --for 1m | head -100
    """
    from rich.console import Console

    console = Console(highlight=False)
    live = not as_json and sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal
    if live:
        output.note("Starting the simulated server and the service ...")
        logging.getLogger().addHandler(logging.NullHandler())  # the table shows what is wrong; a log would tear it

    from service.cli.demo.loopback import DemoWords  # zeep, lxml and FastAPI take a moment

    left = asyncio.run(_demo(DemoWords(port, contacts, speed), seconds, console if live else None, as_json=as_json))
    if left:
        raise output.CommandFailed(f"the simulated server was left with {left}")


async def _demo(wanted: DemoWords, seconds: float | None, console: Console | None, *, as_json: bool) -> str:
    """Run and show it until a signal comes or the time is over; what the simulator is left with, in words."""
    from service.cli.demo import lines
    from service.cli.demo.loopback import office

    with stop_at_signals() as stop:
        async with office(wanted, stop) as running:
            scene = running.scene
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, stop.set)
            if console is None:
                await until(stop, _lines(scene, wanted, as_json=as_json))
            else:
                await until(stop, _table(scene, console, seconds))
    if console is None:
        await lines.write(scene, as_json=as_json)
    left = ", ".join(f"{number} {kind}" for kind, number in running.left.items() if number)
    if not left:
        missed = f", {scene.lost} of them not shown" if scene.lost else ""
        click.echo(
            f"Ended after {scene.changes} changes{missed}. "
            "The simulated server is left without session, endpoint or subscription.",
            err=as_json,
        )
    return left


async def _lines(scene: Scene, wanted: DemoWords, *, as_json: bool) -> None:
    from service.cli.demo import lines
    from service.cli.demo.loopback import LOOK

    click.echo(
        f"An office of {wanted.contacts} people, {wanted.speed:g} times as fast as life. While it runs, try:",
        err=as_json,
    )
    for name, what in scene.urls.items():
        label = f"{name}  " if name == LOOK else ""
        click.echo(f"  {label}{what}", err=as_json)
    await lines.follow(scene, as_json=as_json)


async def _table(scene: Scene, console: Console, seconds: float | None) -> None:
    """Keep the picture up to date: after a change, and every second."""
    from rich.live import Live

    from service.cli.demo.board import Board

    latest: deque[Change] = deque(maxlen=MAX_LATEST)
    ends_at = None if seconds is None else scene.clock.monotonic() + seconds
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            latest.extend(scene.take())
            snapshot = scene.snapshot()
            rest = "" if ends_at is None else f" in {max(0.0, ends_at - snapshot.monotonic):.0f} s, or"
            live.update(Board(snapshot, scene.urls, tuple(latest), f"ends{rest} with Ctrl-C"), refresh=True)
            await scene.clock.sleep(PAUSE)
            await scene.news()
