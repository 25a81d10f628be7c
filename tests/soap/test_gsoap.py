"""A server that is not ours: gSOAP, of which the real one is made, generates it from our WSDL.

`tests/data/soap/gsoap_server.cpp` is what stands between the generated code and a working server.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pws_soap import codec, contract, errors
from pws_soap.client import PwsClient
from pws_soap.contract import SoapVersion
from pws_soap.models import Presence, PresenceState, PresenceType, Secret
from tests.soap.samples import CALLBACK, PASSWORD, SOAP11, SOAP12, people, pidf
from tests.soap.schema import WSDL_PATH

SOURCE = Path(__file__).parents[1] / "data" / "soap" / "gsoap_server.cpp"
TOOLS = ("wsdl2h", "soapcpp2", "g++")
ME = "dispatcher@example.com"

pytestmark = [
    pytest.mark.long(ci=True),
    pytest.mark.gsoap,
    pytest.mark.timeout(900),  # the first test waits for a compiler
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason="gSOAP or g++ is not installed"),
]


def run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.fail(f"{command[0]} failed: {(done.stderr or done.stdout)[-2000:]}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server, generated, compiled and started."""
    place = tmp_path_factory.mktemp("gsoap")
    run("wsdl2h", "-o", "presence.h", WSDL_PATH, cwd=place)
    run("soapcpp2", "-j", "-S", "-x", "presence.h", cwd=place)
    generated = ("soapC.cpp", "soapPresenceSoapBindingService.cpp")
    options = ("-O0", "-std=c++17", "-DWITH_PURE_VIRTUAL", "-I", ".")
    run("g++", *options, SOURCE, *generated, "-lgsoap++", "-lpthread", "-o", "server", cwd=place)
    process = subprocess.Popen([place / "server", WSDL_PATH], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("wsdl", ["bundled", "live"])
@pytest.mark.parametrize("soap", contract.SOAP_VERSIONS)
async def test_all_nine_operations(server: str, soap: SoapVersion, wsdl: str) -> None:
    """A life from login to logout, in both versions, by our WSDL and by the one that the server serves."""
    async with PwsClient(server, soap=soap, wsdl=wsdl) as pws:
        app = await pws.login("pwsapp", PASSWORD)
        assert app.backup == "imp3.example.com"
        user = await pws.login_end_user(app, "dispatcher")
        endpoint = await pws.register_endpoint(app, CALLBACK)
        assert await pws.renew_endpoint(app, endpoint) == endpoint.id
        subscription = await pws.subscribe(user, endpoint, people(2))
        await pws.add_contacts(user, endpoint, subscription, [ME])
        assert await pws.renew_subscription(user, endpoint, subscription) == subscription.id
        await pws.set_presence(user, PresenceState.VACATION)
        found = await pws.get_subscribed_presence(user, subscription)
        assert found == [
            *(Presence(uri, PresenceState.AVAILABLE) for uri in people(2)),
            Presence(ME, PresenceState.VACATION),
        ]
        assert await pws.get_polled_presence(user, [ME]) == found[2:]
        await pws.unsubscribe(user, subscription, people(1))
        assert await pws.get_subscribed_presence(user, subscription) == found[1:]
        await pws.unsubscribe(user, subscription)
        await pws.unregister_endpoint(app, endpoint)
        await pws.logout(user)
        await pws.logout(app)


@pytest.mark.parametrize("soap", contract.SOAP_VERSIONS)
async def test_rich_documents_come_and_go(server: str, soap: SoapVersion) -> None:
    """As gSOAP writes an anyType, and as it takes one."""
    async with PwsClient(server, soap=soap) as pws:
        app = await pws.login("pwsapp", PASSWORD)
        user = await pws.login_end_user(app, "dispatcher")
        found = await pws.get_polled_presence(user, people(250), rich=True)
        assert [each.contact for each in found] == people(250)
        assert {(each.state, each.on_the_phone, each.type) for each in found} == {
            (PresenceState.BUSY, True, PresenceType.RICH)
        }
        await pws.set_rich_presence(user, pidf(ME, "dnd"))
        (mine,) = await pws.get_polled_presence(user, [ME], rich=True)
        assert (mine.contact, mine.state) == (ME, PresenceState.DND)
        assert [device.id for device in mine.devices] == ["cmp-8001-162"]


async def test_more_than_a_hundred_contacts_in_one_reply(server: str) -> None:
    """gSOAP does not keep to the WSDL's limit either, when it writes."""
    async with PwsClient(server) as pws:
        app = await pws.login("pwsapp", PASSWORD)
        user = await pws.login_end_user(app, "dispatcher")
        endpoint = await pws.register_endpoint(app, CALLBACK)
        subscription = await pws.subscribe(user, endpoint, people(250))
        found = await pws.get_subscribed_presence(user, subscription)
        assert [each.contact for each in found] == people(250)
        await pws.unsubscribe(user, subscription)


async def test_redirect(server: str) -> None:
    """One of its attributes left out."""
    async with PwsClient(server) as pws:
        app = await pws.login("pwsapp", PASSWORD)
        with pytest.raises(errors.Redirected) as caught:
            await pws.login_end_user(app, "elsewhere")
    assert (caught.value.primary, caught.value.backup) == ("imp2.example.com", None)


@pytest.mark.parametrize("soap", contract.SOAP_VERSIONS)
async def test_faults_and_what_follows_them(server: str, soap: SoapVersion) -> None:
    """With code, message and fix; the connection that gSOAP closes after each does not harm the next call."""
    async with PwsClient(server, soap=soap) as pws:
        with pytest.raises(errors.LoginRefused) as caught:
            await pws.login("pwsapp", "wrong")
        assert (caught.value.code, caught.value.message) == (114, "Login failed")
        assert caught.value.fix == "Ask again differently"
        app = await pws.login("pwsapp", PASSWORD)
        user = await pws.login_end_user(app, "dispatcher")
        for _ in range(3):
            with pytest.raises(errors.SubscriptionLost):
                await pws.get_subscribed_presence(user, 4711)
            with pytest.raises(errors.EndpointLost):
                await pws.subscribe(user, 4711, [ME])
        await pws.logout(user)
        with pytest.raises(errors.NotLoggedIn):
            await pws.get_subscribed_presence(user, 1)


async def test_more_calls_than_a_connection_lives(server: str) -> None:
    """gSOAP closes a connection after a hundred requests: 120 calls that must not be repeated notice nothing of it."""
    async with PwsClient(server) as pws:
        app = await pws.login("pwsapp", PASSWORD)
        user = await pws.login_end_user(app, "dispatcher")
        endpoint = await pws.register_endpoint(app, CALLBACK)
        subscription = await pws.subscribe(user, endpoint, people(1))
        for _ in range(120):
            assert len(await pws.get_subscribed_presence(user, subscription)) == 1
        await pws.unsubscribe(user, subscription)


async def raw(server: str, key: str, soap: SoapVersion) -> tuple[bytes, bytes]:
    """Head and body of the reply to a logout, read to the end of the connection or of the body."""
    request = codec.encode(contract.bundled(soap), "logout", {}, Secret(key))
    host, _, port = server.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = [b"POST /presence-service/soap HTTP/1.1", f"Host: {host}".encode()]
    head += [f"{name}: {value}".encode() for name, value in request.headers.items()]
    head += [f"Content-Length: {len(request.body)}".encode(), b"", b""]
    writer.write(b"\r\n".join(head) + request.body)
    answer = await reader.readuntil(b"\r\n\r\n")
    (length,) = [
        int(line.split(b":")[1]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    body = await reader.readexactly(length)
    if b"Connection: close" in answer:
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    return answer, body


@pytest.mark.parametrize(("soap", "namespace"), [("1.1", SOAP11), ("1.2", SOAP12)])
async def test_what_gsoap_does_by_itself(server: str, soap: SoapVersion, namespace: str) -> None:
    """The facts that our tolerance rests on: header repeated with mustUnderstand, closed after a fault, HTTP 500."""
    async with PwsClient(server, soap=soap) as pws:
        session = await pws.login("pwsapp", PASSWORD)
    key = session.key.reveal()
    head, body = await raw(server, key, soap)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: keep-alive" in head
    assert namespace.encode() in body
    assert b"session-key" in body
    assert b"mustUnderstand=" in body
    head, body = await raw(server, key, soap)
    assert head.split()[1] in {b"400", b"500"}
    assert b"Connection: close" in head
    assert b"<code>101</code>" in body
