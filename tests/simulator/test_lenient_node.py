"""What a node makes of requests that say little: an empty url, faults with a reason, forms that are passed on."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from pws_soap.server import messages as m
from pws_soap.simulator import Options, Simulator, SimulatorServer
from tests.support.soap_by_hand import ANN, PATH, envelope, fetch, login, poll, register, subscribe

from .talk import DirectSimulator, post, read, ready


@pytest.mark.parametrize("url", ["", " ", "\n", None])
@pytest.mark.parametrize("strict", [False, True])
def test_an_empty_url_beside_an_id_refreshes_the_endpoint(url: str | None, strict: bool) -> None:
    """The server's own text says that the url must be empty; with one it is code 123, and without an id 130."""
    desk = DirectSimulator(Options(strict=strict))
    application = desk.application()
    endpoint = desk.endpoint(application)
    desk.now += 1000
    assert desk.ask(m.RegisterEndPoint(url, endpoint, 3600), application) == m.EndPoint(endpoint)
    assert desk.simulator.place("imp1").node.registry.endpoints[endpoint].expires == desk.now + 3600
    assert desk.code(m.RegisterEndPoint("http://h", endpoint, 3600), application) == 123
    assert desk.code(m.RegisterEndPoint(url, 0, 3600), application) == 130


async def test_an_empty_url_over_the_wire() -> None:
    """`<url/>` beside the id."""
    simulator = Simulator(seed=1)
    application, _ = await ready(simulator)
    body = register("").replace("<url></url>", "<url/>").replace("<endPointID>0<", "<endPointID>1<")
    assert (await post(simulator, body, application)).text("endPointID") == "1"


@pytest.mark.parametrize("most", [3, 100, 5000])
async def test_a_list_above_the_limit_is_code_135(most: int) -> None:
    """Whatever the limit is; at the limit it is taken."""
    simulator = Simulator(Options(contacts_per_list=most), seed=1)
    _, user = await ready(simulator)
    people = [f"c{number}@example.com" for number in range(most + 1)]
    for body in (poll(*people), subscribe(*people)):
        assert (await post(simulator, body, user)).code == 135
    assert len((await post(simulator, poll(*people[1:]), user)).states) == most


async def test_the_reason_is_in_the_faults_message() -> None:
    """Also without a session key: what cannot be parsed is told first."""
    simulator = Simulator(seed=1)
    _, user = await ready(simulator)
    body = fetch().replace(">1<", ">one<")
    for key in (user, None):
        message = (await post(simulator, body, key)).text("message")
        assert "cannot be parsed. Line 1: Element 'subscriptionID': '...' is not a valid value" in message
    body = subscribe(ANN).replace(">3600<", ">soon<")
    assert "Line 1: Element 'expiration': '...' is not a valid value" in (await post(simulator, body, user)).text(
        "message"
    )
    assert (await post(simulator, body)).text("message") == "The request has no session key."


async def test_headers_of_http_reach_the_reader_in_process() -> None:
    """A packed body, without sockets."""
    simulator = Simulator(seed=1)
    simulator.populate(1)
    _, user = await ready(simulator)
    body = gzip.compress(envelope(poll(ANN), user))
    reply = read(await simulator.post("imp1", {"Content-Encoding": "gzip"}, body))
    assert reply.states == {ANN: "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("line", "headers", "answers"),
    [
        (b"POST %s HTTP/1.0", (), 1),
        (b"POST %s HTTP/1.0", (b"Connection: keep-alive",), 1),
        (b"POST %s HTTP/1.1", (b"Host: imp",), 1),
        (b"POST %s HTTP/1.1", (b"host: imp", b"soapaction:", b"CONTENT-TYPE: text/plain"), 1),
        (b"POST %s HTTP/1.1", (b"Host: imp", b'SOAPAction: "urn:something/else"'), 1),
        (b"POST %s HTTP/1.1", (b"Host: imp", b"Expect: 100-continue"), 2),
    ],
)
async def test_http_as_old_toolkits_speak_it(line: bytes, headers: tuple[bytes, ...], answers: int) -> None:
    """HTTP/1.0, no or another SOAPAction, any Content-Type, and waiting to be told to go on."""
    body = envelope(login())
    head = b"\r\n".join((line % PATH.encode(), *headers, b"Content-Length: %d" % len(body))) + b"\r\n\r\n"
    async with SimulatorServer(nodes=("imp1",), control_port=None, seed=1) as server:
        reader, writer = await asyncio.open_connection(server.nodes[0].host, server.nodes[0].port)
        writer.write(head)
        told = []
        if answers == 2:
            told.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(body)
        told.append(await reader.readuntil(b"loginResponse>"))
        writer.close()
        await writer.wait_closed()
    assert [answer.split()[1] for answer in told] == [b"100", b"200"][-answers:]
