"""`pws doctor` against the simulator: all is well, and each thing that can be wrong is named with what to do."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest
import trustme
from cryptography.x509 import IPAddress

from pws_soap.certificate import look
from pws_soap.client import PwsClient
from pws_soap.errors import Redirected
from pws_soap.models import Secret, Session, SessionKind
from pws_soap.simulator import Options
from pws_soap.trust import Trust
from service.cli.doctor import certificate, logins, node, running
from service.cli.doctor import command as doctor
from service.cli.shared.findings import Blame, Finding, Notebook, Severity
from service.config import load
from tests.cli.conftest import USERS, CommandOffice, Result
from tests.cli.doctor.lab import over_once_a_request_came
from tests.cli.running import PATIENCE, Running
from tests.support.ports import free_port
from tests.support.tls_servers import DAY, NOW, MadeCertificate, context, tls_server


def examine(office: CommandOffice, *words: str, port: int | None = None, **sections: str) -> Result:
    """`pws doctor` with a callback that leads to where the service would listen."""
    port = port or free_port()
    office.write(
        **{"callback": f'url = "http://127.0.0.1:{port}"\nsecret = "a-secret-of-at-least-16"', "http": f"port = {port}"}
        | sections
    )
    return office.pws("doctor", "--timeout", "60", *words)


def node_of(office: CommandOffice) -> str:
    return f'nodes = ["{office.server.nodes[0].address}"]\ntls = false'


def test_all_is_well_and_nothing_is_left(office: CommandOffice) -> None:
    """One line for each check; but for the sessions, which may be a running service's, the server is as before."""
    result = examine(office)
    assert result.code == 0
    lines = result.out.splitlines()
    assert all(line.startswith(("ok ", "warning ")) for line in lines)
    address = office.server.nodes[0].address
    for what in (
        "configuration: ", "wsdl: bundled: complete", "state file: ", "access: ", f"node {address}: connected within",
        f"node {address}: its WSDL has all that is needed", f"node {address}: pwsapp can log in",
        f"end user dispatcher: can log in at http://{address}", f"callback from {address}: ",
    ):  # fmt: skip
        assert any(line.removeprefix("ok").lstrip().startswith(what) for line in lines), what
    assert "is reached: a notification came within" in lines[-1]
    left = office.left()
    assert (left["endpoints"], left["subscriptions"]) == (0, 0)


def test_json_is_one_document(office: CommandOffice) -> None:
    document = examine(office, "--json").document
    assert document["problems"] == 0
    assert document["complete"] is True
    assert set(document["checks"][0]) == {"check", "level", "what", "fix"}
    assert {each["level"] for each in document["checks"]} <= {"ok", "warning"}


def test_a_wrong_password_is_named_with_what_to_do(office: CommandOffice) -> None:
    result = examine(office, application='username = "pwsapp"\npassword = "hunter99"')
    assert result.code == 1
    assert "refused with code 114" in result.out
    assert "check application.username and the password; the user needs the server's group" in result.out
    assert "callback: not tried, since no node accepted the login" in result.out


def test_a_node_that_is_down_does_not_hide_the_others(make_office: Callable[..., CommandOffice]) -> None:
    office = make_office(nodes=("imp1", "imp2"))
    down = free_port()
    up = office.server.nodes[0].address
    result = examine(office, server=f'nodes = ["127.0.0.1:{down}", "{up}"]\ntls = false')
    assert result.code == 1
    assert (
        f"problem  node 127.0.0.1:{down}: connection refused: nothing listens there; check server.nodes" in result.out
    )
    assert f"ok       node {up}: pwsapp can log in" in result.out
    assert f"ok       callback from {up}" in result.out


def test_a_name_that_is_none(office: CommandOffice) -> None:
    result = examine(office, server='nodes = ["nowhere.invalid"]\ntls = false\nconnect_timeout = 3')
    assert result.code == 1
    assert "node nowhere.invalid:8082: the name nowhere.invalid" in result.out


def test_a_callback_that_is_not_reached(office: CommandOffice) -> None:
    """Registered with an address where nobody listens: it says so in time, and removes what it made."""
    away = free_port()
    result = examine(office, "--timeout", "0.3", callback=f'url = "http://127.0.0.1:{away}"')
    assert result.code == 1
    assert f"no notification came to http://127.0.0.1:{away} within 0.3 s; this machine does not reach it" in result.out
    left = office.left()
    assert (left["endpoints"], left["subscriptions"]) == (0, 0)


def test_a_callback_that_only_the_server_does_not_reach(make_office: Callable[..., CommandOffice]) -> None:
    """The server is known to notify some ports only."""
    office = make_office(Options(users=USERS, callback_ports=frozenset({80})))
    result = examine(office, "--timeout", "0.3")
    assert result.code == 1
    assert "this machine reaches it, but servers are known that do not notify port" in result.out


def test_a_proxy_that_changes_the_path_is_noticed(office: CommandOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notification comes, and not on the path that was registered."""
    over_once_a_request_came(monkeypatch)
    port = free_port()

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as onward:
                onward.sendall(f"GET /elsewhere{self.path} HTTP/1.1\r\n\r\n".encode())
                assert b" 404 " in onward.recv(100)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Redirecting) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=[0.01])
        thread.start()
        result = examine(office, port=port, callback=f'url = "http://127.0.0.1:{proxy.server_address[1]}"')
        proxy.shutdown()
        thread.join()
    assert result.code == 1
    assert "but 1 other requests; a proxy in between may change the path" in result.out


@pytest.mark.parametrize("path", ["/pws", "/presence/a%20b/"])
def test_a_path_in_the_callbacks_url_is_part_of_what_is_tried(path: str, office: CommandOffice) -> None:
    """The registered address is the service's own, and so is the route that answers it."""
    port = free_port()
    result = examine(office, port=port, callback=f'url = "http://127.0.0.1:{port}{path}"')
    assert result.code == 0
    assert f"http://127.0.0.1:{port}{path.rstrip('/')} is reached: a notification came within" in result.out


def test_a_server_that_may_not_notify_is_named(office: CommandOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service would refuse what it sends."""
    over_once_a_request_came(monkeypatch)
    port = free_port()
    callback = f'url = "http://127.0.0.1:{port}"\nallow_from = ["10.0.0.11"]'
    result = examine(office, port=port, callback=callback)
    assert result.code == 1
    assert "but requests from 127.0.0.1, which callback.allow_from does not name; add the server's" in result.out


def test_a_port_of_another_program(office: CommandOffice) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        def hang_up() -> None:
            for _ in range(2):  # it is asked once more
                taken.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = examine(office, port=port)
        thread.join(PATIENCE)
    assert result.code == 1
    assert f"callback: cannot listen on 127.0.0.1:{port}: another program has the port; stop that program" in result.out
    assert office.left()["endpoints"] == 0


@contextmanager
def service_at(answers: dict[str, str]) -> Iterator[int]:
    """Something that answers as the service would."""

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path, "")
            self.send_response(200 if body else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ('{"state": "live", "problems": [], "notifications": {"received": 7}}', 0, "live, 7 notifications received"),
        ('{"state": "live", "problems": [{"what": "notifications are being lost"}]}', 0, "live; notifications are"),
        ('{"state": "down", "problems": [{"what": "imp1 does not answer"}]}', 1, "down; imp1 does not answer"),
        ("", 0, "but its status cannot be read: "),
    ],
)
def test_where_the_service_is_running_it_is_asked(status: str, code: int, said: str, office: CommandOffice) -> None:
    """Nothing is made at the server then."""
    with service_at({"/livez": '{"alive": true}', "/v1": '{"service": "pws-presence"}', "/v1/status": status}) as port:
        result = examine(office, port=port)
    assert f"the service itself is running at http://127.0.0.1:{port}" in result.out
    assert said in result.out
    assert result.code == code
    assert office.left()["endpoints"] == 0


def test_a_service_that_hangs_is_not_another_program(office: CommandOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and says nothing: anybody who reads this must not look for a program that is in the way."""
    monkeypatch.setattr(running, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        result = examine(office, port=port)
    assert result.code == 1
    assert f"a program listens at http://127.0.0.1:{port} and does not answer within 0.3 s; if it is" in result.out
    assert "another program" not in result.out


def examine_apart(office: CommandOffice, api_port: int) -> Result:
    """With a listener for notifications apart from the API."""
    port = free_port()
    callback = f'url = "http://127.0.0.1:{port}"\nlisten_port = {port}'
    return examine(office, callback=callback, http=f"port = {api_port}")


def test_another_listener_for_notifications_is_used(office: CommandOffice) -> None:
    """callback.listen_port, beside the API's port."""
    result = examine_apart(office, free_port())
    assert result.code == 0
    assert "is reached" in result.out


@pytest.mark.parametrize("answers", [{}, {"/livez": '{"alive": true}', "/v1": '{"service": "another"}'}])
def test_another_program_at_the_apis_own_port(answers: dict[str, str], office: CommandOffice) -> None:
    """Also one that answers as if it were alive."""
    with service_at(answers) as taken:
        result = examine_apart(office, taken)
    assert result.code == 1
    assert (
        f"cannot listen on 127.0.0.1:{taken} for the API: another program has the port; stop that program" in result.out
    )
    assert "is reached" in result.out


def test_end_users_are_found_where_they_are_at_home(make_office: Callable[..., CommandOffice]) -> None:
    """And the callback is tried from each of these nodes."""
    office = make_office(nodes=("imp1", "imp2"))
    block = 'end_user = "{}"\ndomain = "example.com"\ncontacts = ["ann"]'
    result = examine(office, watch=f"{block.format('dispatcher')}\n--\n{block.format('supervisor')}")
    assert result.code == 0
    first, second = (each.address for each in office.server.nodes)
    assert f"ok       end user supervisor: can log in at http://{second}" in result.out
    assert f"ok       callback from {first}" in result.out
    assert f"ok       callback from {second}" in result.out


def test_a_home_that_is_not_configured_is_named(make_office: Callable[..., CommandOffice]) -> None:
    office = make_office(nodes=("imp1", "imp2"))
    home = office.server.nodes[1].address
    result = examine(office, server=node_of(office), watch='end_user = "supervisor"\ncontacts = ["ann@example.com"]')
    assert result.code == 0
    assert (
        f"warning  end user supervisor: is homed on {home}, which is not in server.nodes; put {home} into" in result.out
    )


async def test_a_home_that_nobody_named_gets_no_password(office: CommandOffice) -> None:
    """Neither is it connected to."""

    class Client:
        async def login_end_user(self, _application: object, user: str) -> None:
            raise Redirected(user, "imp9.example.com", None)

    office.write()
    config = load(office.config, {})
    found: list[Finding] = []
    session = Session("pwsapp", SessionKind.APPLICATION, "http://imp1", Secret("key"))
    reached = {"http://imp1": node.Reached("http://imp1", cast("PwsClient", Client()), session)}
    async with AsyncExitStack() as stack:
        assert await logins.look(config, reached, found.append, stack) == []
    assert [(finding.level, finding.fault) for finding in found] == [(Severity.PROBLEM, Blame.CONFIGURATION)]
    assert "imp9.example.com, which server.nodes and server.redirect_to do not name" in found[0].what
    assert found[0].fix == "add it to one of them if it is a node of yours"


def test_an_end_user_whom_the_server_does_not_know(make_office: Callable[..., CommandOffice]) -> None:
    office = make_office(Options(users=USERS, any_end_user=False))
    result = examine(office, watch='end_user = "nobody"\ncontacts = ["ann@example.com"]')
    assert result.code == 1
    assert "problem  end user nobody: login refused with code 113" in result.out


def test_without_contacts_the_callback_is_not_tried(office: CommandOffice) -> None:
    result = examine(office, watch='end_user = "dispatcher"')
    assert result.code == 0
    assert "warning  callback: not tried: there is no contact to subscribe to" in result.out


# The configuration


def test_every_mistake_of_the_configuration_is_a_line(office: CommandOffice) -> None:
    result = examine(office, server='nodes = ["a b"]\ntsl = false', lifecycle="renew_at = 5")
    assert result.code == 2
    assert len([line for line in result.out.splitlines() if line.startswith("problem  configuration: ")]) >= 3
    assert "did you mean 'tls'?" in result.out


def test_no_configuration_at_all(office: CommandOffice) -> None:
    result = office.pws("doctor", "--config", "nowhere.toml")
    assert result.code == 2
    assert "nowhere.toml" in result.out


def test_a_wsdl_that_is_none_is_a_mistake(office: CommandOffice, tmp_path: Path) -> None:
    (tmp_path / "other.wsdl").write_text("<html/>")
    result = examine(office, server=f'{node_of(office)}\nwsdl = "other.wsdl"')
    assert result.code == 2
    assert "is not a WSDL: its root element is 'html'; server.wsdl = \"bundled\" uses ours" in result.out


def test_the_servers_own_wsdl_is_tried(office: CommandOffice) -> None:
    result = examine(office, server=f'{node_of(office)}\nwsdl = "live"')
    assert result.code == 0
    assert "ok       wsdl: the server's own is used" in result.out


def test_a_password_that_everybody_may_read_is_warned_of(office: CommandOffice) -> None:
    office.write()
    (office.directory / "password").chmod(0o644)
    path = office.config
    path.write_text(path.read_text().replace('"password"', '"password2"'))
    (office.directory / "password2").write_text("hunter2")
    (office.directory / "password2").chmod(0o644)
    result = office.pws("doctor", "--timeout", "0.2")
    assert "warning  configuration: application.password_file: everybody on this machine may read" in result.out
    assert "chmod 600 it" in result.out


@pytest.mark.parametrize(
    ("state", "said"),
    [('file = "nowhere/state.json"', "there is no directory"), ('file = "."', "cannot be written by this user")],
)
def test_a_state_file_that_cannot_be_written_is_warned_of(state: str, said: str, office: CommandOffice) -> None:
    """The service runs without it."""
    result = examine(office, state=state)
    assert result.code in {0, 2}
    assert said in result.out or "state.file" in result.out


def test_an_api_that_is_open_to_others(office: CommandOffice) -> None:
    port = free_port()
    result = examine(office, port=port, http=f'host = "0.0.0.0"\nport = {port}')
    assert result.code == 2
    assert (
        "is open to other machines and has no key: pws serve will not start; make a key with `pws key new`"
        in result.out
    )
    result = examine(
        office, port=port, http=f'host = "0.0.0.0"\nport = {port}', access="anonymous_from_anywhere = true"
    )
    assert result.code == 0
    assert "warning  access: " in result.out
    assert "without a key" in result.out


# TLS


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA(organization_name="Example Authority")
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    return made


Secure = Callable[..., tuple[CommandOffice, str]]


@pytest.fixture
def secure(make_office: Callable[..., CommandOffice], tmp_path: Path, authority: trustme.CA) -> Secure:
    """An office over TLS with a certificate for these names, and the address of its node."""

    def make(*names: str, until: datetime | None = None, common_name: str | None = None) -> tuple[CommandOffice, str]:
        issued = authority.issue_cert(*names, not_after=until, common_name=common_name)
        chain, key = tmp_path / "server.pem", tmp_path / "server.key"
        issued.cert_chain_pems[0].write_to_path(chain)
        issued.private_key_pem.write_to_path(key)
        office = make_office(tls=(str(chain), str(key)))
        return office, office.server.nodes[0].address

    return make


def pin(tmp_path: Path) -> str:
    import hashlib

    return hashlib.sha256(ssl.PEM_cert_to_DER_cert((tmp_path / "server.pem").read_text())).hexdigest()


def test_a_good_certificate_is_described(secure: Secure, tmp_path: Path) -> None:
    office, address = secure("127.0.0.1", common_name="imp1.example.com")
    result = examine(office, server=f'nodes = ["{address}"]\nca_file = "ca.pem"')
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if ": certificate " in line)
    assert line.startswith(f"ok       node {address}: certificate CN=imp1.example.com")
    assert "Example Authority" in line
    assert "good for" in line
    result = examine(office, server=f'nodes = ["{address}"]\nfingerprint = "{pin(tmp_path)}"')
    assert result.code == 0
    assert ", the pinned one" in result.out


def test_a_certificate_is_described_whatever_is_wrong_with_it(office: CommandOffice, tmp_path: Path) -> None:
    """Whose it is and who signed it, although nothing could verify it."""
    authority = MadeCertificate("Example Authority", authority=True)
    names = (IPAddress(ip_address("127.0.0.1")),)
    strange = MadeCertificate("imp1.example.com", issuer=authority, names=names, unknown=True, until=NOW + 60 * DAY)
    authority.write(tmp_path / "ca.pem")
    says = "certificate CN=imp1.example.com, issued by CN=Example Authority"
    with tls_server(context(strange, tmp_path)) as port:
        node = f'nodes = ["127.0.0.1:{port}"]'
        result = examine(office, server=f'{node}\nca_file = "ca.pem"')
        assert f"{says}, SHA-256 {strange.digest.upper()}: unhandled critical extension" in result.out
        result = examine(office, server=f'{node}\nfingerprint = "{strange.digest}"')
        assert f"{says}, the pinned one, good for" in result.out


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ('ca_file = "other.pem"', "is not known; set server.ca_file to that authority's certificate"),
        ("", "is not known; set server.ca_file to that authority's certificate"),
        (f'fingerprint = "{"ab" * 32}"', "it is not the pinned one; compare it on the server"),
        ("tls = false", "the port speaks TLS, and server.tls is false; set server.tls = true"),
    ],
)
def test_a_server_that_is_not_trusted(server: str, said: str, secure: Secure, tmp_path: Path) -> None:
    """With its fingerprint, to compare."""
    office, address = secure("127.0.0.1")
    result = examine(office, server=f'nodes = ["{address}"]\n{server}')
    assert result.code == 1
    assert said in result.out
    if server != "tls = false":
        assert pin(tmp_path).upper() in result.out


def test_a_certificate_for_another_name(secure: Secure) -> None:
    office, address = secure("imp1.example.com")
    result = examine(office, server=f'nodes = ["{address}"]\nca_file = "ca.pem"')
    assert result.code == 1
    assert "it names another host: imp1.example.com (IP address mismatch" in result.out
    assert "; name the node in server.nodes as it does, or set server.fingerprint" in result.out


def test_a_certificate_that_ends_soon_or_has_ended(secure: Secure) -> None:
    office, address = secure("127.0.0.1", until=datetime.now(UTC) + timedelta(days=3, hours=1))
    result = examine(office, server=f'nodes = ["{address}"]\nca_file = "ca.pem"')
    assert result.code == 0
    assert ": good for 3 days; renew it on the server in time" in result.out


def test_a_certificate_that_has_ended(secure: Secure) -> None:
    office, address = secure("127.0.0.1", until=datetime.now(UTC) - timedelta(days=1))
    result = examine(office, server=f'nodes = ["{address}"]\nca_file = "ca.pem"')
    assert result.code == 1
    assert "it is no longer valid: certificate has expired on " in result.out


def test_tls_at_a_port_without_it(office: CommandOffice) -> None:
    result = examine(office, server=f'nodes = ["{office.server.nodes[0].address}"]')
    assert result.code == 1
    assert "the port does not speak TLS" in result.out
    assert "server.tls = false is for plain HTTP, whose port is 8082; TLS is at 8083" in result.out


async def test_the_authority_of_the_web_pages_is_recognised(tmp_path: Path) -> None:
    """Who took the certificate of tomcat for that of cup is told so."""
    cup, tomcat = trustme.CA(), trustme.CA()
    tomcat.cert_pem.write_to_path(tmp_path / "tomcat.pem")
    ports = []
    servers = []
    for ca in (cup, tomcat):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        servers.append(server)
        ports.append(server.sockets[0].getsockname()[1])
    shown = await look("127.0.0.1", ports[0], 5)
    trust = Trust(tmp_path / "tomcat.pem", section="server.")
    why = await certificate.problem("127.0.0.1", ports[0], shown, trust, 5, other_port=ports[1])
    assert why is not None
    assert "server.ca_file is the authority of `tomcat`" in why.reason
    assert "set server.ca_file to what signed `cup`" in why.cure
    for server in servers:
        server.close()
        await server.wait_closed()


def test_a_clock_that_is_wrong_is_warned_of() -> None:
    """A server need not say what time it is."""
    found: list[Finding] = []
    note = Notebook("node", found.append)
    for date in ("", "yesterday", "Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 11:00:00 GMT"):
        node._clock(date, note, lambda: datetime(2026, 11, 21, 10, 0, 2, tzinfo=UTC).timestamp())
    assert [(each.level, each.what) for each in found] == [
        (Severity.WARNING, "its clock is 3598 s ahead of this machine's")
    ]


# Ctrl-C


def test_interrupted_it_removes_what_it_made(office: CommandOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for a notification that does not come."""
    away = free_port()
    office.write(callback=f'url = "http://127.0.0.1:{away}"', http=f"port = {free_port()}")
    monkeypatch.chdir(office.directory)
    words = ["doctor", "--timeout", "60", "--config", str(office.config)]
    with Running(monkeypatch, doctor, words) as running:
        running.out.having("end user dispatcher: can log in")
        while office.left()["subscriptions"] == 0:
            assert running.code is None
        assert running.stop() == 130
    left = office.left()
    assert (left["endpoints"], left["subscriptions"]) == (0, 0)
    assert running.err.all[-1].startswith("Interrupted; what was made is removed.")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e9"])
def test_a_timeout_that_is_none(seconds: str, office: CommandOffice) -> None:
    assert office.pws("doctor", "--timeout", seconds).code == 2


def test_the_environment_alone_will_do(office: CommandOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every other command."""
    from service.cli.command_line import run

    port = free_port()
    for name, value in {
        "SERVER__NODES": office.server.nodes[0].address, "SERVER__TLS": "false", "APPLICATION__USERNAME": "pwsapp",
        "APPLICATION__PASSWORD": "hunter2", "CALLBACK__URL": f"http://127.0.0.1:{port}", "HTTP__PORT": str(port),
        "WATCH__0__END_USER": "dispatcher", "WATCH__0__CONTACTS": "ann@example.com",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"PWS_{name}", value)
    (office.directory / "pws.toml").unlink()
    assert run(["doctor"]) == 0
    assert os.environ["PWS_SERVER__TLS"] == "false"
