"""`pws simulate`: runs the simulated server alone, for developers without a server.

The command adds to `pws_soap.simulator` the options and what it prints first: addresses, and commands to try.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from service.cli.shared import output
from service.cli.shared.quiet import quietly
from service.cli.shared.ranges import Real, Whole
from service.cli.shared.signals import stop_at_signals

if TYPE_CHECKING:
    from pws_soap.simulator import Options, SimulatorServer
    from pws_soap.simulator.scripts.scenario import Step

PLAIN_PORT: Final = 8082
TLS_PORT: Final = 8083
DEFAULT_USER: Final = "pwsapp"
DEFAULT_PASSWORD: Final = "secret"  # noqa: S105  the simulator's own, which is public
DEFAULT_SPEED: Final = 60.0
MAX_NODES: Final = 16
OFFICE_OPENS: Final = 8.75
"""The hour at which the office day starts: people are coming in, so changes come at once."""
_PORT: Final = Whole(0, 65535)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class SimulatorWords:
    """The options of the command as values.

    `nodes` are names with ports; `name` is how redirects and backups call this machine; `speed` is the office day's,
    None for no such day.
    """

    options: Options
    nodes: tuple[tuple[str, int], ...]
    host: str
    control_port: int
    name: str
    contacts: int
    tls: tuple[Path, Path] | None
    steps: tuple[Step, ...]
    speed: float | None
    as_json: bool


@click.command("simulate")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=_PORT, help=f"Port of the first node.  [default: {PLAIN_PORT}, with TLS {TLS_PORT}; 0: any free one]"
)
@click.option(
    "--control-port", type=_PORT, help="Port of the control interface, on loopback.  [default: 8084; 0: any free one]"
)
@click.option(
    "--nodes",
    type=Whole(1, MAX_NODES),
    default=1,
    show_default=True,
    help="Nodes imp1, imp2, ... on consecutive ports; each is the backup of the one before.",
)
@click.option("--name", metavar="HOST", help="How redirects and backups call this machine.  [default: --host]")
@click.option("--contacts", type=Whole(0, 100_000), default=24, show_default=True, help="How many people are invented.")
@click.option("--domain", default="example.com", show_default=True, help="Their presence domain.")
@click.option("--user", default=DEFAULT_USER, show_default=True, help="The application user.")
@click.option("--password", default=DEFAULT_PASSWORD, show_default=True, help="The application user's password.")
@click.option(
    "--application-user",
    "application_users",
    metavar="NAME:PASSWORD",
    multiple=True,
    help="One more application user, to play two programs at one server (codes 136, 137, 160). Repeatable.",
)
@click.option(
    "--end-user",
    "end_users",
    metavar="NAME[@NODE]",
    multiple=True,
    help="An end user who is homed on that node, such as dispatcher@imp2. Others live on imp1. Repeatable.",
)
@click.option("--tls-cert", type=_FILE, help="Serve https: the certificate, PEM.")
@click.option("--tls-key", type=_FILE, help="Its private key, PEM.")
@click.option("--scenario", type=_FILE, help="Play a file of faults and changes (docs/simulator.md).")
@click.option(
    "--office",
    "speed",
    metavar="[SPEED]",
    type=Real(0.001, 1e9),
    is_flag=False,
    flag_value=DEFAULT_SPEED,
    help=f"Let people have a day at the office, {DEFAULT_SPEED:g} (or SPEED) times as fast as life.",
)
@click.option(
    "--callback-ports",
    default="any",
    show_default=True,
    metavar="any|real|PORTS",
    help="Ports that notifications are sent to; the real server is known for 80, 82 and 8080.",
)
@click.option(
    "--option",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="Anything else about the server; --list-options shows what there is. Repeatable.",
)
@click.option("--list-options", is_flag=True, help="Show what --option takes, with the defaults, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON document.")
def command(
    host: str,
    port: int | None,
    control_port: int | None,
    nodes: int,
    name: str | None,
    contacts: int,
    domain: str,
    user: str,
    password: str,
    application_users: tuple[str, ...],
    end_users: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    scenario: Path | None,
    speed: float | None,
    callback_ports: str,
    settings: tuple[str, ...],
    list_options: bool,
    as_json: bool,
) -> None:
    """Play a presence server, for developing without one.

    It speaks the Presence Web Service as Cisco's IM and Presence does: sessions, endpoints, subscriptions that expire,
    notifications, faults. A control interface changes presence and breaks things while it runs. Ctrl-C ends it.

    \b
    Example:
      pws simulate --office
      pws simulate --nodes 2 --end-user dispatcher@imp2
      pws simulate --application-user wallboard:other --option held_elsewhere=refuse
      pws simulate --callback-ports real --option rich_carrier=cdata --option requests_per_second=10
      pws simulate --tls-cert cup.pem --tls-key cup.key --port 8443

    \b
    A certificate to try TLS with (give it to the service as server.ca_file):
      openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \\
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout cup.key -out cup.pem
    """
    from service.cli.simulate import words  # lxml and aiohttp take a moment

    if list_options:
        words.show_options(as_json=as_json)
        return
    if (tls_cert is None) != (tls_key is None):
        raise output.Mistake("--tls-cert and --tls-key belong together: give both, or neither")
    names = tuple(f"imp{number}" for number in range(1, nodes + 1))
    ports = words.ports_of(port if port is not None else TLS_PORT if tls_cert else PLAIN_PORT, nodes)
    own = {"domain": words.domain_of(domain), "callback_ports": words.callback_ports_of(callback_ports)}
    wanted = SimulatorWords(
        options=words.options_of(settings, own, words.users_of(user, password, end_users, names, application_users)),
        nodes=tuple(zip(names, ports, strict=True)),
        host=host,
        control_port=words.control_port_of(control_port, ports),
        name=name or words.name_of(host),
        contacts=contacts,
        tls=(tls_cert, tls_key) if tls_cert and tls_key else None,
        steps=words.steps_of(scenario, names),
        speed=speed,
        as_json=as_json,
    )
    asyncio.run(_simulate(wanted))


async def _simulate(wanted: SimulatorWords) -> None:
    """Serve until a signal comes."""
    from pws_soap.simulator import NodeAddress, OfficeDay, SimulatorServer
    from pws_soap.simulator.scripts.office_day import HOUR

    try:
        server = SimulatorServer(
            wanted.options,
            nodes=[NodeAddress(name, wanted.host, port) for name, port in wanted.nodes],
            control_port=wanted.control_port,
            tls=wanted.tls,
        )
    except OSError as error:  # an SSLError is one
        reason = error.strerror or str(error) or type(error).__name__
        raise output.Mistake(f"--tls-cert, --tls-key: expected a certificate and its key in PEM: {reason}") from None
    with stop_at_signals() as stop, quietly():
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(server)
            except OSError as error:
                where = _reason(error, wanted.host)
                raise output.CommandFailed(
                    f"cannot listen on {where}; choose others with --port, --control-port"
                ) from None
            called = f"[{wanted.name}]" if ":" in wanted.name else wanted.name
            for node in server.nodes:
                server.simulator.place(node.name).address = f"{called}:{node.port}"
            people = server.simulator.populate(wanted.contacts)
            _tell(server, wanted, people)
            if wanted.speed is not None:
                day = OfficeDay(server.simulator, speed=wanted.speed, start=OFFICE_OPENS * HOUR)
                day.begin()
                stack.push_async_callback(day.stop)
            if wanted.steps:
                scenario = asyncio.create_task(_play(server, wanted.steps))
                stack.callback(scenario.cancel)
            await stop.wait()
    output.note("Stopped.")


async def _play(server: SimulatorServer, steps: tuple[Step, ...]) -> None:
    """Play the scenario, and print when it ends."""
    from pws_soap.simulator.scripts.scenario import play

    played = await play(server.simulator, list(steps))
    output.note(f"The scenario is over: {played} steps.")


def _reason(error: OSError, host: str) -> str:
    """The address that cannot be listened on, and why. Of the error only asyncio's text names the port."""
    text = error.strerror or str(error)
    found = re.search(r"\('([^']*)', (\d+).*?\): (.*)", text)
    return f"{found[1]}:{found[2]}: {found[3]}" if found else f"{host}: {text}"


def _tell(server: SimulatorServer, wanted: SimulatorWords, people: Sequence[str]) -> None:
    """Print the addresses, the users, and commands to try."""
    from pws_soap.server.http.app import PATH

    pinned = _fingerprint(wanted.tls[0]) if wanted.tls else None
    addresses = {node.name: server.simulator.place(node.name).address for node in server.nodes}
    scheme = "https" if wanted.tls else "http"
    urls = {name: f"{scheme}://{address}{PATH}" for name, address in addresses.items()}
    if wanted.as_json:
        click.echo(json.dumps({
            "nodes": [{"name": name, "address": addresses[name], "url": url} for name, url in urls.items()],
            "control": f"{server.control_url}/control",
            "fingerprint": pinned,
        }))  # fmt: skip
        return
    control = f"{server.control_url}/control"
    for name, url in urls.items():
        click.echo(f"{name:<12} {url}")
    click.echo(f"control      {control}")
    if pinned:
        click.echo(f"fingerprint  {pinned}")
    applications = [user for user in wanted.options.users if user.application]
    for user in applications:
        shown = DEFAULT_PASSWORD if user.password == DEFAULT_PASSWORD else "as given"
        click.echo(f"application  {user.name}, password {shown}")
    user = applications[0]
    public = user.password == DEFAULT_PASSWORD
    homes = [f"{each.name} at {each.home}" for each in wanted.options.users if each.home]
    every = ["any other name" if homes else "any name"] if wanted.options.any_end_user else []
    click.echo(f"end users    {', '.join([*homes, *every])}")
    click.echo(f"contacts     {len(people)}: {', '.join(people[:3])}{', ...' if len(people) > 3 else ''}")
    who = people[0] if people else f"ann@{wanted.options.domain}"
    curl = f"curl --cacert {wanted.tls[0]}" if wanted.tls else "curl"
    service = {
        "SERVER__NODES": ",".join(addresses.values()),
        **({"SERVER__FINGERPRINT": pinned} if pinned else {"SERVER__TLS": "false"}),
        "APPLICATION__USERNAME": user.name,
        "APPLICATION__PASSWORD": DEFAULT_PASSWORD if public else "...",
        "CALLBACK__URL": "http://127.0.0.1:8080",
        "WATCH__0__END_USER": "dispatcher",
        "WATCH__0__CONTACTS": ",".join(people[:3]) or who,
    }
    words = " \\\n    ".join(f"PWS_{name}={value}" for name, value in service.items())
    click.echo(f"""
Try:
  {curl} '{next(iter(urls.values()))}?wsdl'
  curl {control}/contacts/{who}
  curl -X PUT {control}/contacts/{who} -d '{{"state": "BUSY", "activities": ["on-the-phone"]}}'
  curl {control}/subscriptions

Point pws at it, in another terminal:
  export {words}
  pws serve        # or by hand: pws create, pws fetch 1, pws delete
""")
    output.note("Ctrl-C ends it.")


def _fingerprint(certificate: Path) -> str:
    """The SHA-256 of the first certificate of a PEM file, as `server.fingerprint` takes it."""
    text = certificate.read_text("ascii", "replace")
    begin, end = (f"-----{word} CERTIFICATE-----" for word in ("BEGIN", "END"))
    pem = begin + text.partition(begin)[2].partition(end)[0] + end
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
