"""What operators get wrong, over real sockets: `pws doctor` names the cause and the cure, and accuses nothing else.

Each row of `TABLE` misconfigures one thing. It is examined before the first start, and, where the row has words for
that, beside a running service.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Final

import pytest
from cryptography.x509 import DNSName, IPAddress

from pws_soap.client import PwsClient
from pws_soap.simulator import KNOWN_CALLBACK_PORTS, Options, State
from service.access.keys import hash_of, new_key
from service.cli.doctor import certificate
from service.runtime.state_lock import alone_with
from tests.cli.conftest import USERS, CommandOffice
from tests.cli.doctor.lab import SECRET, Lab, over_once_a_request_came
from tests.support.ports import free_port
from tests.support.small_web import small_web
from tests.support.tls_servers import DAY, NOW, MadeCertificate, context, tls_server

Arrange = Callable[[Lab], object]

OPTIONS: Final = Options(users=USERS)
PLAIN: Final = "tls = false"
NOT_TRIED: Final = re.compile("(login |)not (tried|polled)")
"""What follows from a cause is not another one."""


@dataclass(frozen=True)
class Words:
    """A finding: words in what was found, words in what to do about it, and its level."""

    cause: str
    cure: str
    level: str = "problem"


@dataclass(frozen=True)
class Misconfiguration:
    """`arrange` misconfigures the lab. `before` is what is found before the first start, `beside` beside a service.

    The service starts with the mistake in place, and doctor waits until the status has the words `until`. With
    `afterwards` it starts healthy, and the mistake is made then.
    """

    name: str
    arrange: Arrange
    before: Words
    options: Options = OPTIONS
    nodes: tuple[str, ...] = ("imp1",)
    beside: Words | None = None
    until: str = ""
    afterwards: bool = False
    also: tuple[str, ...] = ()
    """Words of further findings that name the same cause."""
    patience: float = 60.0
    """Seconds that doctor waits for a notification before the first start."""
    slow: bool = False


def warning(cause: str, cure: str) -> Words:
    return Words(cause, cure, "warning")


def section(name: str, *lines: str) -> Arrange:
    """Replaces a section of pws.toml."""

    def arrange(lab: Lab) -> None:
        lab.sections[name] = "\n".join(lines)

    return arrange


def fault(**values: object) -> Arrange:
    """Injects a fault at the server."""
    return lambda lab: lab.inject(**values)


def application(username: str, password: str, *, mode: int = 0o600, rest: str = "") -> Arrange:
    def arrange(lab: Lab) -> None:
        path = lab.directory / "another"
        path.write_text(password, "ascii")
        path.chmod(mode)
        section("application", f'username = "{username}"', 'password_file = "another"', rest)(lab)

    return arrange


def watching(end_user: str, *contacts: str, rest: str = "") -> Arrange:
    names = ", ".join(f'"{contact}"' for contact in contacts)
    return section("watch", f'end_user = "{end_user}"', 'domain = "example.com"', f"contacts = [{names}]", rest)


def node(lab: Lab, port: int | None, *lines: str, host: str = "127.0.0.1") -> None:
    """Makes another node the only one."""
    where = host if port is None else f"{host}:{port}"
    lab.sections["server"] = "\n".join([f'nodes = ["{where}"]', *lines])


def both(first: Arrange, second: Arrange) -> Arrange:
    def arrange(lab: Lab) -> None:
        first(lab)
        second(lab)

    return arrange


# Logins and contacts


def federated(lab: Lab) -> None:
    eve = "eve@partner.example"
    lab.office.at_server(lambda: lab.office.simulator.change(eve, federated=True, state=State.BUSY))


def held_by_another(lab: Lab) -> None:
    async def hold() -> None:
        async with PwsClient(lab.office.server.nodes[0].base_url) as client:
            await client.login_end_user(await client.login("otherapp", "hunter3"), "dispatcher")

    asyncio.run(hold())


def homed_elsewhere(lab: Lab) -> None:
    def move() -> None:
        lab.office.simulator.place("imp2").address = "imp2.example.com:8083"

    first = lab.office.server.nodes[0].port
    lab.office.at_server(move)
    node(lab, first, PLAIN)
    watching("supervisor", "ann")(lab)


def everything_taken(lab: Lab) -> None:
    """Another program has an endpoint and a subscription."""

    async def take() -> None:
        async with PwsClient(lab.office.server.nodes[0].base_url) as client:
            application = await client.login("otherapp", "hunter3")
            user = await client.login_end_user(application, "somebody")
            endpoint = await client.register_endpoint(application, "http://127.0.0.1:9/", expires=3600)
            await client.subscribe(user, endpoint, ["rita@example.com"], expires=3600)

    asyncio.run(take())


# The way to the node


def nobody_listens(lab: Lab) -> None:
    node(lab, free_port(), PLAIN)


def firewall_drops(lab: Lab) -> None:
    """A listener whose queue is full: what comes then gets no answer, not even a refusal."""
    full = lab.opened.enter_context(socket.socket())
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    for _ in range(2):
        waiting = lab.opened.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(full.getsockname())
    node(lab, full.getsockname()[1], PLAIN, "connect_timeout = 0.3")


def hangs(lab: Lab) -> None:
    lab.opened.callback(lab.inject, fault="node-up", node="imp1")
    lab.inject(fault="node-hang", node="imp1")
    lab.sections["server"] = f'nodes = ["{lab.address}"]\n{PLAIN}\nread_timeout = 0.3'


def another_web_server(lab: Lab) -> None:
    web = lab.opened.enter_context(small_web(404, b"<html>not here</html>"))
    node(lab, web.port, PLAIN)


def through_proxy(lab: Lab, *, clock: float = 0.0, wsdl_lacks: str = "") -> None:
    """A proxy before the node. `clock`: how far its Date is off; `wsdl_lacks`: an operation renamed in the WSDL."""
    port = lab.office.server.nodes[0].port

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on(b"")

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass_on(self, body: bytes) -> None:
            onward = HTTPConnection("127.0.0.1", port)
            headers = {name: self.headers[name] for name in ("Content-Type", "SOAPAction") if name in self.headers}
            onward.request(self.command, self.path, body or None, headers)
            answer = onward.getresponse()
            content = answer.read()
            if wsdl_lacks:
                content = content.replace(f'operation name="{wsdl_lacks}"'.encode(), b'operation name="other"')
            onward.close()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate((timestamp or time.time()) + clock, usegmt=True)

        def log_message(self, *_arguments: object) -> None:
            return

    node(lab, serve(lab, Proxy), PLAIN)


def serve(lab: Lab, handler: type[BaseHTTPRequestHandler]) -> int:
    """Serve it until the end of the test; the port."""
    web = lab.opened.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
    web.daemon_threads = True
    thread = threading.Thread(target=web.serve_forever, args=[0.01])
    thread.start()
    lab.opened.callback(thread.join)
    lab.opened.callback(web.shutdown)
    port: int = web.server_address[1]
    return port


# TLS


def secured(
    *lines: str, name: str = "127.0.0.1", ended: bool = False, not_begun: bool = False, at_tomcat: bool = False
) -> Arrange:
    """A node with a certificate for this name, which has ended or not begun, or on the port of the web pages."""

    def arrange(lab: Lab) -> None:
        authority = MadeCertificate("Example Authority", authority=True)
        authority.write(lab.directory / "ca.pem")
        MadeCertificate("Another Authority", authority=True).write(lab.directory / "other.pem")
        names = (IPAddress(ip_address(name)) if name[0].isdigit() else DNSName(name),)
        since, until = (NOW + DAY if not_begun else NOW - 9 * DAY), (NOW - DAY if ended else NOW + 90 * DAY)
        shown = MadeCertificate("imp1.example.com", issuer=authority, names=names, since=since, until=until)
        port = lab.opened.enter_context(tls_server(context(shown, lab.directory)))
        if at_tomcat:
            lab.patch.setattr(certificate, "TOMCAT_PORT", port)
        node(lab, port, *lines)

    return arrange


def tomcats_certificate(lab: Lab) -> None:
    """Both are signed by the server itself, and bear the same name."""
    names = (IPAddress(ip_address("127.0.0.1")),)
    cup, tomcat = (MadeCertificate("imp1.example.com", names=names) for _ in range(2))
    tomcat.write(lab.directory / "tomcat.pem")
    port, web = (lab.opened.enter_context(tls_server(context(shown, lab.directory))) for shown in (cup, tomcat))
    lab.patch.setattr(certificate, "TOMCAT_PORT", web)
    node(lab, port, 'ca_file = "tomcat.pem"')


# The callback


def callback(*lines: str, url: str = "http://127.0.0.1:{port}", known_port: bool = True) -> Arrange:
    def arrange(lab: Lab) -> None:
        lab.few_ports = not known_port
        lab.sections["callback"] = "\n".join([f'url = "{url.format(port=lab.port)}"', 'secret_file = "secret"', *lines])

    return arrange


def nobody_at_callback(lab: Lab) -> None:
    callback(url=f"http://127.0.0.1:{free_port()}")(lab)


def another_program_at_callback(lab: Lab) -> None:
    web = lab.opened.enter_context(small_web(404, b"not here"))
    callback(url=f"http://127.0.0.1:{web.port}")(lab)


def foreign(lab: Lab) -> None:
    over_once_a_request_came(lab.patch)
    callback('allow_from = ["10.0.0.11"]')(lab)


def rate_limit(lab: Lab) -> None:
    """All requests come within a second, however slow this machine is."""
    now = time.time()
    lab.patch.setattr(lab.office.simulator, "_clock", lambda: now)
    lab.inject(fault="rate-limit", per_second=2)


def stripping_proxy(lab: Lab) -> None:
    """A proxy that takes /pws/ off the path."""
    over_once_a_request_came(lab.patch)
    port = lab.port

    class Stripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            onward = HTTPConnection("127.0.0.1", port)
            onward.request("GET", self.path.removeprefix("/pws"))
            self.send_response(onward.getresponse().status)
            onward.close()
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    callback(url=f"http://127.0.0.1:{serve(lab, Stripping)}")(lab)


def another_program_at_our_port(lab: Lab) -> None:
    lab.port = lab.opened.enter_context(small_web(404, b"not here")).port


# This machine


def wsdl_of_ours_lacks(lab: Lab) -> None:
    lab.write()
    text = lab.bundled_wsdl().replace('operation name="unsubscribe"', 'operation name="other"')
    (lab.directory / "other.wsdl").write_text(text, "utf-8")
    lab.sections["server"] = f'nodes = ["{lab.address}"]\n{PLAIN}\nwsdl = "other.wsdl"'


def another_holds_state_file(lab: Lab) -> None:
    lab.opened.enter_context(alone_with(lab.directory / "pws.state.json"))


PASSWORD = Words("code 114", "check application.username and the password; the user needs the server's group")
END_USER = Words("end user dispatchers: login refused with code 113", "set end_user of [[watch]] to the user's id")
SILENT = "was not notified when it was made"

TABLE: Final = (
    Misconfiguration(
        "wrong password", application("pwsapp", "hunter99"), PASSWORD,
        beside=PASSWORD, afterwards=True,
    ),
    Misconfiguration(
        "application user not in the group", application("dispatcher", "hunter2"), PASSWORD,
    ),
    Misconfiguration(
        "application user as end user", watching("pwsapp", "ann"),
        Words("code 113", "must be an end user, not an application user"),
    ),
    Misconfiguration(
        "end user unknown", watching("dispatchers", "ann"), END_USER, replace(OPTIONS, any_end_user=False),
        beside=END_USER, until="113", also=("113",),
    ),
    Misconfiguration(
        "end user held elsewhere", held_by_another, Words("code 160", "application.take_over = true ends its session"),
        beside=Words("code 160", "application.take_over = true ends its session"), until="160", also=("160",),
    ),
    Misconfiguration(
        "end user taken over", both(held_by_another, application("pwsapp", "hunter2", rest="take_over = true")),
        warning("code 160", "application.take_over = false leaves it alone"),
    ),
    Misconfiguration(
        "end user homed on a node that is not named", homed_elsewhere,
        Words("imp2.example.com:8083, which server.nodes and server.redirect_to do not name", "add it to one"),
        nodes=("imp1", "imp2"), beside=Words("is homed on imp2.example.com:8083", "add it to one of them"),
        until="imp2.example.com", also=("imp2.example.com",),
    ),
    Misconfiguration(
        "wrong domain", section("watch", 'end_user = "dispatcher"', 'domain = "exampel.com"', 'contacts = ["ann"]'),
        warning("knows none of the contacts of exampel.com (ann@exampel.com)", "correct the domain or the names"),
        beside=warning("knows none of the contacts of exampel.com (ann@exampel.com)", "correct the domain"),
    ),
    Misconfiguration(
        "contacts of another domain", watching("dispatcher", "ann", "joe", "eve@partner.example"),
        warning("knows none of the contacts of partner.example (eve@partner.example)", "federation with it"),
        beside=warning("knows none of the contacts of partner.example (eve@partner.example)", "federation with it"),
    ),
    Misconfiguration(
        "a name misspelt", watching("dispatcher", "ann", "joee"),
        warning("does not know 1 of 2 contacts of example.com (joee@example.com)", "correct the names"),
        beside=warning("does not know 1 of 2 contacts of example.com (joee@example.com)", "correct the names"),
    ),
    Misconfiguration(
        "federated contacts with basic presence",
        both(federated, watching("dispatcher", "ann", "eve@partner.example", rest='presence_type = "BASIC_PRESENCE"')),
        warning("known with RICH_PRESENCE only: eve@partner.example", 'set presence_type = "RICH_PRESENCE"'),
        beside=warning("service itself", "RICH_PRESENCE is needed for them"), until="RICH_PRESENCE", also=("partner",),
    ),
    Misconfiguration(
        "wrong port", nobody_listens, Words("connection refused: nothing listens there", "8083 with it, 8082 without"),
        beside=Words("connection refused: nothing listens there", "check server.nodes"), afterwards=True,
    ),
    Misconfiguration(
        "name that is not resolved", lambda lab: node(lab, None, PLAIN, host="imp1.invalid"),
        Words("the name imp1.invalid cannot be resolved", "correct server.nodes, or this machine's DNS"),
        also=("callback.url http://127.0.0.1", "server.tls is false"),
    ),
    Misconfiguration(
        "firewall that drops", firewall_drops, Words("no connection within 0.3 s", "routes and firewalls"),
    ),
    Misconfiguration(
        "node that hangs", hangs, Words("no answer to a request within 0.3 s", "is the service on the node hanging?"),
    ),
    Misconfiguration(
        "node stopped", fault(fault="node-down", node="imp1"),
        Words("connection refused: nothing listens there", "that the service runs on the node"),
        beside=Words("service itself", "connection refused"), until="connection refused", also=("connection refused",),
    ),
    Misconfiguration(
        "another web server", another_web_server,
        Words("not SOAP", "is this an IM and Presence node, with its Presence Web Service running?"),
        also=("its WSDL cannot be fetched: HTTP 404",),
    ),
    Misconfiguration(
        "page of a proxy", fault(fault="html-reply"),
        Words("the reply is an HTML page, not SOAP", "is this an IM and Presence node"),
        beside=Words("service itself", "HTML page"), until="HTML", also=("HTML page",),
    ),
    Misconfiguration(
        "clock far off", lambda lab: through_proxy(lab, clock=7200.0),
        warning("s ahead of this machine's", "let NTP set both"),
        beside=warning("s ahead of this machine's", "let NTP set both"),
    ),
    Misconfiguration(
        "WSDL of the node lacks operations", lambda lab: through_proxy(lab, wsdl_lacks="unsubscribe"),
        warning("lacks operation unsubscribe", "is this an IM and Presence node"),
    ),
    Misconfiguration(
        "WSDL of ours lacks operations", wsdl_of_ours_lacks,
        Words("lacks operation unsubscribe", 'server.wsdl = "bundled" uses ours'),
    ),
    Misconfiguration(
        "TLS at the plain port", lambda lab: node(lab, lab.office.server.nodes[0].port),
        Words("the port does not speak TLS", "server.tls = false is for plain HTTP, whose port is 8082"),
    ),
    Misconfiguration(
        "plain HTTP at the TLS port", secured(PLAIN),
        Words("the port speaks TLS, and server.tls is false", "set server.tls = true"),
    ),
    Misconfiguration(
        "certificate of tomcat", tomcats_certificate,
        Words("server.ca_file is the authority of `tomcat`", "set server.ca_file to what signed `cup`"),
    ),
    Misconfiguration(
        "port of the web pages", secured('ca_file = "other.pem"', at_tomcat=True),
        Words("is usually that of the web pages", "set the node's port in server.nodes to 8083"),
    ),
    Misconfiguration(
        "certificate expired", secured('ca_file = "ca.pem"', ended=True),
        Words("it is no longer valid: certificate has expired", "renew the `cup` certificate on the server"),
    ),
    Misconfiguration(
        "certificate not yet valid", secured('ca_file = "ca.pem"', not_begun=True),
        Words("it is not valid yet", "correct the clock of this machine"),
    ),
    Misconfiguration(
        "certificate for another name", secured('ca_file = "ca.pem"', name="imp1.example.com"),
        Words("it names another host: imp1.example.com", "name the node in server.nodes as it does"),
    ),
    Misconfiguration(
        "authority unknown", secured('ca_file = "other.pem"'),
        Words("its authority (CN=Example Authority) is not known", "set server.ca_file to that authority's"),
    ),
    Misconfiguration(
        "our port in use", another_program_at_our_port,
        Words("another program has the port", "stop that program, or set http.port"),
    ),
    Misconfiguration(
        "nobody at callback.url", nobody_at_callback,
        Words("does not reach it either: connection refused", "correct callback.url, or the proxy"),
        beside=Words("this machine does not reach http://127.0.0.1", "correct callback.url, or the proxy"),
        until=SILENT, patience=0.2, also=("the service itself is running",),
    ),
    Misconfiguration(
        "callback.url not resolved", callback(url="http://pws.invalid:{port}"),
        Words("does not reach it either: the name pws.invalid cannot be resolved", "correct callback.url"),
        beside=Words("the name pws.invalid cannot be resolved", "correct callback.url"),
        until=SILENT, patience=0.2, slow=True, also=("the service itself is running",),
    ),
    Misconfiguration(
        "listener on loopback only", callback(url="http://127.0.0.2:{port}"),
        Words("connection refused", "the service listens on 127.0.0.1, which only this machine reaches"),
        beside=Words("connection refused", "set callback.listen_host (or http.host)"),
        until=SILENT, patience=0.2, also=("the service itself is running",),
    ),
    Misconfiguration(
        "another program at callback.url", another_program_at_callback,
        Words("another program answers there, with HTTP 404", "correct callback.url, or the proxy"),
        beside=Words("service itself", "look at callback.url"), until=SILENT, patience=0.2, slow=True,
    ),
    Misconfiguration(
        "proxy that strips the path", stripping_proxy,
        Words("other requests", "a proxy in between may change the path: it must pass on /pws/ unchanged"),
        beside=Words("service itself", "look at callback.url"), until=SILENT, slow=True,
    ),
    Misconfiguration(
        "https without anything that ends TLS", callback(url="https://127.0.0.1:{port}"),
        Words("the port does not speak TLS", "something before it must end TLS"),
        beside=Words("the port does not speak TLS", "something before it must end TLS"),
        until=SILENT, patience=0.2, slow=True, also=("the service itself is running",),
    ),
    Misconfiguration(
        "port that servers do not notify", callback(known_port=False),
        Words("servers are known that do not notify port", "give callback.url one of the ports 80, 82, 8080"),
        replace(OPTIONS, callback_ports=KNOWN_CALLBACK_PORTS),
        beside=Words("service itself", "its port (80, 82 and 8080 are known to work)"), until=SILENT, patience=0.2,
        also=("servers are known that notify the ports 80, 82, 8080 only",),
    ),
    Misconfiguration(
        "allow_from without the server", foreign,
        Words("which callback.allow_from does not name", "add the server's address to callback.allow_from"),
        beside=warning("callback.allow_from names 10.0.0.11", "add that address"),
        until=SILENT, slow=True, also=("the service itself is running",),
    ),
    Misconfiguration(
        "server too busy to notify", fault(fault="cpu", percent=90),
        Words("this machine reaches it", "above 80 % CPU it sends none"),
        beside=Words("service itself", "the server's load"), until=SILENT, patience=0.2, slow=True,
    ),
    Misconfiguration(
        "server too busy to answer", fault(fault="cpu", percent=97),
        Words("code 210 (CPU limit reached)", "the server is busy: wait a minute"),
        beside=Words("service itself", "210"), until="210", also=("210",),
    ),
    Misconfiguration(
        "more requests than the server takes", rate_limit,
        Words("code 212 (requests per second reached)", "set lifecycle.requests_per_second lower"),
    ),
    Misconfiguration(
        "no room for an endpoint", everything_taken, Words("code 138", "pws delete --sweep 1-16"),
        replace(OPTIONS, max_endpoints=1), beside=Words("service itself", "pws delete --sweep"), until="138",
    ),
    Misconfiguration(
        "no room for a subscription", everything_taken, Words("code 139", "what other programs hold expires"),
        replace(OPTIONS, max_subscriptions=1), beside=Words("service itself", "pws delete --sweep"), until="139",
    ),
    Misconfiguration(
        "no room for contacts", everything_taken, Words("code 211", "pws delete --sweep"),
        replace(OPTIONS, max_sip_subscriptions=1), beside=Words("service itself", "pws delete --sweep"), until="211",
    ),
    Misconfiguration(
        "state file without its directory", section("state", 'file = "nowhere/state.json"'),
        warning("there is no directory", "make the directory, or set state.file"),
        beside=warning("there is no directory", "make the directory, or set state.file"),
    ),
    Misconfiguration(
        "state file that is a directory", section("state", 'file = "."'),
        warning("cannot be written by this user", "make the service's user its owner, or set state.file"),
        beside=warning("cannot be written by this user", "make the service's user its owner, or set state.file"),
    ),
    Misconfiguration(
        "state file of another service", another_holds_state_file,
        Words("another service (process", "give one of them a state.file, an application user"),
    ),
    Misconfiguration(
        "no key for other machines", lambda lab: section("http", 'host = "0.0.0.0"', f"port = {lab.port}")(lab),
        Words("is open to other machines and has no key", "make a key with `pws key new`"),
    ),
    Misconfiguration(
        "password that everybody may read", application("pwsapp", "hunter2", mode=0o644),
        warning("everybody on this machine may read", "chmod 600"),
        beside=warning("everybody on this machine may read", "chmod 600"),
    ),
)  # fmt: skip


@pytest.fixture
def lab(
    make_office: Callable[..., CommandOffice], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    """A lab as the test's row wants it."""
    row = getattr(request.node, "callspec", None) and request.node.callspec.params.get("row")
    office = make_office(row.options, nodes=row.nodes) if isinstance(row, Misconfiguration) else make_office(OPTIONS)
    with ExitStack() as opened:
        yield Lab(office, monkeypatch, opened, free_port())


def judge(found: list[dict[str, str]], wanted: Words, *also: str) -> None:
    """The cause is named with its cure, and nothing else is accused."""

    def text(finding: dict[str, str]) -> str:
        return f"{finding['level']:<8} {finding['check']}: {finding['what']}; {finding['fix']}"

    told = "\n".join(map(text, found))
    named = [
        finding
        for finding in found
        if finding["level"] == wanted.level
        and wanted.cause in f"{finding['check']}: {finding['what']}"
        and wanted.cure in finding["fix"]
    ]
    assert len(named) == 1, told
    for finding in found:
        follows = NOT_TRIED.match(finding["what"]) or any(words in text(finding) for words in also)
        assert finding["level"] == "ok" or finding in named or follows, told


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=[pytest.mark.long(ci=True)] if row.slow else []) for row in TABLE],
)
def test_before_the_first_start(row: Misconfiguration, lab: Lab) -> None:
    """Cause and cure in one line, no other accusation, and nothing is left at the server."""
    row.arrange(lab)
    arranged = lab.office.left()
    judge(lab.examine(row.patience), row.before, *row.also)
    left = lab.office.left()
    assert (left["endpoints"], left["subscriptions"]) == (arranged["endpoints"], arranged["subscriptions"])


BESIDE: Final = [row for row in TABLE if row.beside is not None]


@pytest.mark.long(ci=True)
@pytest.mark.parametrize("row", BESIDE, ids=[row.name for row in BESIDE])
def test_beside_a_running_service(row: Misconfiguration, lab: Lab) -> None:
    """The service has the port, and is asked."""
    assert row.beside is not None
    if not row.afterwards:
        row.arrange(lab)
    with lab.serving():
        lab.settled(row.until)
        if row.afterwards:
            row.arrange(lab)
        judge(lab.examine(), row.beside, *row.also)


def test_nothing_is_wrong(lab: Lab) -> None:
    """The lab itself is healthy: every line says ok."""
    assert {finding["level"] for finding in lab.examine()} == {"ok"}


def test_nothing_is_wrong_beside_a_running_service(lab: Lab) -> None:
    """`pws serve` holds port and state file by right, and it is not disturbed."""
    with lab.serving_process():
        lab.settled("")
        held = lab.office.left()
        assert {finding["level"] for finding in lab.examine()} == {"ok"}
        assert lab.office.left() == held
        lab.settled("")


def test_a_service_that_runs_with_an_earlier_configuration(lab: Lab) -> None:
    """Its port was changed, and it was not restarted."""
    with lab.serving():
        lab.settled("")
        lab.port = free_port()
        cure = "if it is this service with an earlier configuration, restart it"
        judge(lab.examine(), Words("and does not listen on", cure), "has a subscription that is not ours")


def test_a_callback_that_a_balancer_leads_to_another_replica(lab: Lab) -> None:
    """It is no mistake of a replica that is not started yet; and nothing can be said where the engine is not there."""
    lab.sections["cluster"] = (
        f'url = "redis://127.0.0.1:{free_port()}"\nadvertise = "http://127.0.0.1:{lab.port}"\nsecret = "{SECRET}"'
    )
    another_program_at_callback(lab)
    wrong = {finding["check"].split()[0]: finding for finding in lab.examine(0.2) if finding["level"] != "ok"}
    assert set(wrong) - {"configuration"} == {"callback", "engine"}
    assert wrong["callback"]["level"] == "warning"
    assert wrong["callback"]["what"].endswith("which is right where that is another replica")
    assert "connect" in wrong["engine"]["what"].lower()
    assert wrong["engine"]["fix"].startswith("start Redis or Valkey there")


def test_a_second_service_with_the_same_application_user(lab: Lab) -> None:
    """It has a state file and a port of its own. What is its is left alone."""
    with lab.serving():
        lab.settled("")
        lab.port = free_port()
        lab.sections["state"] = 'file = "second.json"'
        held = lab.office.left()
        cure = "if another service or program uses pwsapp and dispatcher, give it users of its own"
        judge(lab.examine(), warning("has a subscription that is not ours: 1", cure))
        assert lab.office.left() == held


@pytest.mark.parametrize(("key", "cure"), [("", "wants a key: set PWS_KEY"), ("pws_wrong", "does not know the key")])
def test_a_service_that_does_not_answer_without_its_key(key: str, cure: str, lab: Lab) -> None:
    """It cannot be asked, and is not accused."""
    lab.sections["keys.board"] = f'hash = "{hash_of(new_key().reveal())}"'
    lab.patch.setenv("PWS_KEY", key)
    with lab.serving():
        lab.until_ready()
        judge(lab.examine(), warning(cure, "" if not key else "set PWS_KEY to a key of the service that may read"))
