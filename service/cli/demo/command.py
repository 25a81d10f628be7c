"""`pws demo`: simulated server, service and view in one command; needs no configuration and writes no file."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from service.cli.shared import output
from service.cli.shared.duration import Duration
from service.cli.shared.quiet import without_logs
from service.cli.shared.ranges import Real, Whole
from service.cli.shared.signals import stop_at_signals, until

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from service.cli.demo.loopback import Office
    from service.cli.demo.replicas import ReplicatedOffice
    from service.cli.demo.simulated import DemoOptions


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
@click.option("--facade", is_flag=True, help="Speak SOAP too, as the presence server does: see docs/facade.md.")
@click.option(
    "--replicas",
    type=Whole(1, 9),
    default=1,
    show_default=True,
    help="How many processes answer; more than one need a Redis or Valkey server on this machine.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print each change as a line of JSON, as `pws watch --json` does."
)
def command(
    port: int, seconds: float | None, contacts: int, speed: float, facade: bool, replicas: int, as_json: bool
) -> None:
    """Watch a simulated office, without a server.

    Runs a simulated presence server, the service and a scripted office day on loopback: people come, phone, meet,
    lunch and leave, and each change reaches the service through real SOAP over real sockets. It shows what `pws watch`
    shows: in a terminal a live table (`?` lists its keys), elsewhere a line for each change. The addresses to try are
    printed first; nothing is written to disk.

    With --facade, programs that were written for the presence server find the service in its place, over SOAP on port
    8083 or a free one: address, WSDL, user and password are printed, and a command that asks there.

    With --replicas 3, three processes answer, each with a dashboard of its own, and a small load balancer in front of
    them on --port: one owns the sessions at the server, the others follow it over a Redis or Valkey server that is
    started for it. Buttons on the dashboards kill the owner's process for real, and start it again: see
    docs/cluster.md.

    Ends with Ctrl-C, or after --for, and leaves the simulated server without session, endpoint or subscription.

    \b
    Example:
      pws demo
      pws demo --for 30s --port 0
      pws demo --facade
      pws demo --replicas 3
      pws demo --json --for 1m | head -100
    """
    if facade and replicas > 1:
        raise output.Mistake(
            "--facade and --replicas do not go together: one process alone keeps the sessions of programs"
        )
    interactive = not as_json and output.is_interactive()
    if interactive or replicas > 1:
        what = "the service" if replicas == 1 else f"an engine and {replicas} replicas of the service"
        output.note(f"Starting the simulated server and {what} ...")

    from service.cli.demo.simulated import DemoOptions  # zeep, lxml and FastAPI take a moment

    options = DemoOptions(port, contacts, speed, facade, replicas)
    with without_logs() if interactive else nullcontext():  # the screen shows problems; log lines would garble it
        left = asyncio.run(_demo(options, seconds, interactive=interactive, as_json=as_json))
    if left:
        raise output.CommandFailed(f"the simulated server was left with {left}")


async def _demo(options: DemoOptions, seconds: float | None, *, interactive: bool, as_json: bool) -> str:
    """Run and show the office until a signal or the end of its time. Returns what the simulator still holds."""
    from service.cli.shared.api import Api, ServiceAddress
    from service.cli.terminal import view
    from service.cli.terminal.bars import Caption
    from service.cli.terminal.picture import Picture
    from service.core.clock import SystemClock

    clock = SystemClock()
    picture = Picture(clock)
    with stop_at_signals() as stop:
        async with _office(options, stop, interactive=interactive) as running:
            _introduce(running, options, err=as_json)
            ends_at = None if seconds is None else clock.monotonic() + seconds
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, stop.set)
            api = Api(ServiceAddress(running.url))

            async def show_lines() -> None:
                await running.started()  # else each contact would first have a line "never read"
                await view.show_lines(api, (), picture, as_json=as_json, patient=True)

            def remark() -> str:
                rest = "" if ends_at is None else f", ends in {max(0.0, ends_at - clock.monotonic()):.0f} s"
                roles = f", {running.remark}" if running.remark else ""
                return f"office time {running.day.time}, {options.speed:g}x{rest}{roles}"

            try:
                if interactive:
                    places = {"dashboard": f"{running.url}/", **running.places, **_facade_places(running)}
                    caption = Caption("pws demo", remark, {**places, **running.hints})
                    await until(stop, view.show_screen(api, (), picture, caption, patient=True))
                else:
                    await until(stop, show_lines())
            finally:
                await api.close()
    left = ", ".join(f"{number} {kind}" for kind, number in running.left.items() if number)
    if not left:
        click.echo(
            f"Ended after {picture.change_count} changes. "
            "The simulated server is left without session, endpoint or subscription.",
            err=as_json,
        )
    return left


def _office(
    options: DemoOptions, stop: asyncio.Event, *, interactive: bool
) -> AbstractAsyncContextManager[Office | ReplicatedOffice]:
    """One service, or several replicas. What happens to their processes, and what they log, is told in lines alone."""
    from service.cli.demo.loopback import office

    if options.replicas == 1:
        return office(options, stop)
    from service.cli.demo.replicas import replicated_office

    say = _nothing if interactive else output.note
    return replicated_office(options, stop, say, say)


def _nothing(_text: str) -> None:
    """Say nothing: the screen shows it."""


def _introduce(running: Office | ReplicatedOffice, options: DemoOptions, *, err: bool) -> None:
    """Print the addresses, then the commands to try."""
    click.echo(f"Dashboard: {running.url}/   API: {running.url}/docs   (no key needed)", err=err)
    if running.places:
        click.echo("That is a load balancer. The replicas behind it, each with a dashboard of its own:", err=err)
    for name, where in running.places.items():
        click.echo(f"  {name}: {where}", err=err)
    for what, where in _facade_places(running).items():
        click.echo(f"{what[0].upper()}{what[1:]}: {where}", err=err)
    click.echo(
        f"An office of {options.contacts} people, {options.speed:g} times as fast as life. While it runs, try:", err=err
    )
    label = max(map(len, running.hints))
    for purpose, hint in running.hints.items():
        click.echo(f"  {purpose:<{label}}  {hint}", err=err)


def _facade_places(running: Office | ReplicatedOffice) -> dict[str, str]:
    """Where a program finds the façade, and who it is there; nothing without one."""
    from service.cli.demo.loopback import FACADE_PASSWORD, FACADE_USER
    from service.cli.demo.simulated import END_USER

    if running.facade is None:
        return {}
    return {
        "façade": f"{running.facade}   (user {FACADE_USER}, password {FACADE_PASSWORD}, end user {END_USER})",
        "its WSDL": f"{running.facade}?wsdl",
    }
