"""`pws simulate`: its words, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from pws_soap.client import PwsClient
from pws_soap.errors import Fault, Redirected
from pws_soap.simulator import KNOWN_CALLBACK_PORTS, Options
from service.cli.command_line import run
from service.cli.shared.signals import stop_at_signals
from service.cli.simulate import command as simulate
from service.cli.simulate import words as simulate_words
from tests.cli.running import PATIENCE, Running, ask

Start = Callable[..., Running]
FREE = ("--port", "0", "--control-port", "0")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """`pws simulate` with these words, at free ports."""
    return lambda *words: Running(monkeypatch, simulate, ["simulate", *FREE, *words])


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An authority, a certificate of it for loopback, and the key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    paths = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.cert_pem.write_to_path(paths[0])
    issued.cert_chain_pems[0].write_to_path(paths[1])
    issued.private_key_pem.write_to_path(paths[2])
    return paths


def test_it_prints_where_everything_is_and_what_to_try(start: Start) -> None:
    """The addresses answer, and the lines for the service hold all that it needs."""
    with start() as running:
        control = running.out.having("control ").split()[1]
        running.err.having("Ctrl-C")
        assert len(ask(f"{control}/contacts?limit=100")["contacts"]) == 24
        text = "\n".join(running.out.all)
        assert running.stop() == 0
    assert "?wsdl'" in text
    assert f"curl -X PUT {control}/contacts/ann@example.com" in text
    for name in ("SERVER__NODES", "SERVER__TLS=false", "APPLICATION__PASSWORD=secret", "CALLBACK__URL", "WATCH__0"):
        assert f"PWS_{name}" in text
    assert running.err.all[-1] == "Stopped."


def test_json_is_one_document_for_programs(start: Start) -> None:
    with start("--json", "--nodes", "2") as running:
        document = json.loads(running.out.until(bool))
        assert [node["name"] for node in document["nodes"]] == ["imp1", "imp2"]
        assert ask(document["control"] + "/nodes")["nodes"][0]["address"] == document["nodes"][0]["address"]
        assert document["fingerprint"] is None
    assert len(running.out.all) == 1


async def test_the_given_users_may_log_in_where_they_are_homed(start: Start) -> None:
    """--user, --password and --end-user NAME@NODE; redirects name the machine as --name says."""
    words = ("--json", "--nodes", "2", "--user", "board", "--password", "hunter2", "--end-user", "ops@imp2")
    with start(*words, "--end-user", "joe", "--name", "localhost") as running:
        nodes = json.loads(await asyncio.to_thread(running.out.until, bool))["nodes"]
        async with PwsClient(nodes[0]["url"].partition("/presence")[0]) as client:
            application = await client.login("board", "hunter2")
            await client.login_end_user(application, "joe")
            with pytest.raises(Redirected) as redirected:
                await client.login_end_user(application, "ops")
        assert redirected.value.primary == nodes[1]["address"]
        assert nodes[1]["address"].startswith("localhost:")


async def test_two_programs_play_at_one_server(start: Start) -> None:
    """--application-user: the other's end user is code 160, its endpoint 136, its subscription 137."""
    words = ("--json", "--application-user", "wall:brick:red", "--application-user", "spare:stone")
    with start(*words) as running:
        nodes = json.loads(await asyncio.to_thread(running.out.until, bool))["nodes"]
        base = nodes[0]["url"].partition("/presence")[0]
        async with PwsClient(base) as client:
            one = await client.login("pwsapp", "secret")
            two = await client.login("wall", "brick:red")
            await client.login("spare", "stone")
            mine, theirs = await client.login_end_user(one, "dispatcher"), await client.login_end_user(two, "joe")
            with pytest.raises(Fault) as held:
                await client.login_end_user(two, "dispatcher")
            endpoint = await client.register_endpoint(one, "http://127.0.0.1:9/x", expires=3600)
            subscription = await client.subscribe(mine, endpoint, ["ann@example.com"], expires=3600)
            with pytest.raises(Fault) as foreign:
                await client.renew_endpoint(two, endpoint)
            with pytest.raises(Fault) as others:
                await client.get_subscribed_presence(theirs, subscription)
    assert [each.value.code for each in (held, foreign, others)] == [160, 136, 137]


@pytest.mark.parametrize("held", ["share", "take-over"])
async def test_an_end_user_of_another_application_may_be_shared_or_taken_over(start: Start, held: str) -> None:
    """Option held_elsewhere."""
    with start("--json", "--application-user", "wall:brick", "--option", f"held_elsewhere={held}") as running:
        nodes = json.loads(await asyncio.to_thread(running.out.until, bool))["nodes"]
        async with PwsClient(nodes[0]["url"].partition("/presence")[0]) as client:
            first = await client.login_end_user(await client.login("pwsapp", "secret"), "dispatcher")
            await client.login_end_user(await client.login("wall", "brick"), "dispatcher")
            if held == "share":
                assert await client.get_polled_presence(first, ["ann@example.com"])
            else:
                with pytest.raises(Fault) as ended:
                    await client.get_polled_presence(first, ["ann@example.com"])
                assert ended.value.code == 101


def test_all_application_users_are_told_without_their_passwords(start: Start) -> None:
    """The first is the one to try with."""
    with start("--application-user", "wall:hunter2") as running:
        running.err.having("Ctrl-C")
        lines = [line for line in running.out.all if line.startswith("application ")]
    assert lines == ["application  pwsapp, password secret", "application  wall, password as given"]
    assert "hunter2" not in "\n".join(running.out.all)


def test_a_password_of_ones_own_is_not_printed(start: Start) -> None:
    with start("--password", "hunter2") as running:
        running.err.having("Ctrl-C")
    assert "hunter2" not in "\n".join([*running.out.all, *running.err.all])
    assert any("password as given" in line for line in running.out.all)


async def test_tls_with_a_certificate_of_a_private_authority(
    start: Start, certificate: tuple[Path, Path, Path]
) -> None:
    """Served with the files given; the fingerprint printed is the one that a client may pin."""
    authority, chain, key = certificate
    with start("--json", "--tls-cert", str(chain), "--tls-key", str(key)) as running:
        document = json.loads(await asyncio.to_thread(running.out.until, bool))
        base = document["nodes"][0]["url"].partition("/presence")[0]
        assert base.startswith("https://127.0.0.1:")
        for trust in ({"ca_file": authority}, {"fingerprint": document["fingerprint"]}):
            async with PwsClient(base, **trust) as client:
                await client.login("pwsapp", "secret")


def test_with_tls_the_lines_to_try_trust_the_certificate(start: Start, certificate: tuple[Path, Path, Path]) -> None:
    _, chain, key = certificate
    with start("--tls-cert", str(chain), "--tls-key", str(key)) as running:
        pinned = running.out.having("fingerprint").split()[1]
        running.err.having("Ctrl-C")
    text = "\n".join(running.out.all)
    assert f"curl --cacert {chain} 'https://" in text
    assert f"PWS_SERVER__FINGERPRINT={pinned}" in text
    assert "PWS_SERVER__TLS" not in text


def test_an_office_day_is_played(start: Start) -> None:
    """--office lets people change by themselves, from a busy hour on."""
    with start("--office", "600") as running:
        control = running.out.having("control ").split()[1]
        running.err.having("Ctrl-C")
        states = {each["state"] for each in ask(f"{control}/contacts?limit=100")["contacts"]}
        assert {"AVAILABLE", "BUSY"} <= states


def test_a_scenario_is_played_and_its_end_is_told(start: Start, tmp_path: Path) -> None:
    scenario = tmp_path / "day.toml"
    scenario.write_text('[[step]]\nat = 0\ncontact = "ann@example.com"\nstate = "DND"\n')
    with start("--scenario", str(scenario)) as running:
        control = running.out.having("control ").split()[1]
        assert running.err.having("scenario is over") == "The scenario is over: 1 steps."
        assert ask(f"{control}/contacts/ann@example.com")["state"] == "DND"


def test_no_contacts_at_all_is_possible(start: Start) -> None:
    with start("--contacts", "0", "--domain", "example.org", "--option", "any_end_user=false") as running:
        assert running.out.having("contacts ").split()[1] == "0:"
        assert "ann@example.org" in running.out.having("curl -X PUT")
    assert "end users    " in running.out.all


def test_names_and_passwords_are_those_that_a_request_can_hold() -> None:
    """A name is a token, a password a normalizedString: so a request that gives the same text logs in."""
    users = simulate_words.users_of(" pws  app ", "a\tb", (), ("imp1",), ("wall  board : x\n",))
    assert [(user.name, user.password) for user in users] == [("pws app", "a b"), ("wall board", " x ")]


# What is wrong is said


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a refusal for wrong words."""
    assert run(["simulate", *FREE, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--option", "rich_carrier"), "expected NAME=VALUE, got 'rich_carrier'"),
        (("--option", "=1"), "expected NAME=VALUE"),
        (("--option", "rich_carier=cdata"), "rich_carier: no such option, expected one of domain,"),
        (("--option", "rich_carrier=paper"), "rich_carrier: expected one of elements, cdata, escaped, got 'paper'"),
        (("--option", "max-endpoints=many"), "max_endpoints: expected a whole number, got 'many'"),
        (("--option", "users=me"), "set users with --user, --password and --end-user"),
        (("--callback-ports", "some"), "--callback-ports: expected any, real, or ports such as 80,8080, got 'some'"),
        (("--callback-ports", "80,99999"), "--callback-ports"),
        (("--domain", "two words"), "--domain: expected a domain such as example.com"),
        (("--application-user", "other"), "--application-user: expected NAME:PASSWORD"),
        (("--application-user", ":secret"), "--application-user: expected NAME:PASSWORD"),
        (("--application-user", "other:"), "--application-user: expected NAME:PASSWORD"),
        (("--application-user", " :secret"), "--application-user: expected NAME:PASSWORD, both not empty"),
        (("--application-user", "other:a\x01b"), "without control characters: no request could hold them"),
        (("--application-user", " pwsapp :x"), "--application-user: 'pwsapp' is given twice"),
        (("--user", " "), "--user: expected a name"),
        (("--password", ""), "--password: expected a password"),
        (("--option", "domain="), "domain: expected a domain such as example.com, got ''"),
        (("--option", "callback_ports=70000"), "callback_ports: expected ports from 1 to 65535, got 70000"),
        (("--option", "requests_per_connection=0"), "requests_per_connection: expected at least 1, got 0"),
        (("--application-user", "pwsapp:x"), "--application-user: 'pwsapp' is given twice"),
        (("--application-user", "a:x", "--application-user", "a:y"), "--application-user: 'a' is given twice"),
        (("--application-user", "joe:x", "--end-user", "joe"), "--end-user: 'joe' is given twice"),
        (("--option", "cpu_request_limit=nan"), "cpu_request_limit: expected a number of 0 or more, got nan"),
        (("--option", "session_idle_timeout=inf"), "session_idle_timeout: expected a number of 0 or more, got inf"),
        (("--option", "requests_per_second=-1"), "requests_per_second: expected a number of 0 or more, got -1"),
        (("--office", "nan"), "--office"),
        (("--office", "1e-300"), "--office"),
        (("--end-user", "joe@imp7"), "one of the nodes imp1, got 'joe@imp7'"),
        (("--end-user", "joe", "--end-user", "joe"), "'joe' is given twice"),
        (("--tls-cert", __file__), "--tls-cert and --tls-key belong together"),
        (("--tls-cert", __file__, "--tls-key", __file__), "expected a certificate and its key in PEM"),
        (("--nodes", "3", "--port", "65534"), "3 nodes from port 65534 on need ports above 65535"),
        (("--port", "9000", "--control-port", "9000"), "9000 is the port of a node"),
        (("--scenario", __file__), "not TOML"),
        (("--office", "0"), "--office"),
    ],
)
def test_wrong_words_are_named(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(capsys, *words)


def test_a_scenario_for_a_node_that_is_not_there_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "day.toml"
    scenario.write_text('[[step]]\nat = 3\nfault = "node-down"\nnode = "imp2"\n')
    assert "at 3 s: expected a node of imp1, got 'imp2'" in refused(capsys, "--scenario", str(scenario))


def test_a_scenario_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = tmp_path / "day.toml"
    scenario.write_text("")

    def broken(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", broken)
    assert "Permission denied" in refused(capsys, "--scenario", str(scenario))


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["simulate", "--port", str(port), "--control-port", "0"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Error: cannot listen on 127.0.0.1:{port}: address already in use")
    assert len(err.splitlines()) == 1


def test_a_host_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", *FREE, "--host", "300.300.300.300"]) == 1
    assert "cannot listen on 300.300.300.300: " in capsys.readouterr().err


# The words made into values


def test_the_control_port_keeps_out_of_the_nodes_way() -> None:
    """8084, unless the nodes have it; then the one after them."""
    assert simulate_words.control_port_of(None, simulate_words.ports_of(8082, 2)) == 8084
    assert simulate_words.control_port_of(None, simulate_words.ports_of(8083, 3)) == 8086
    assert simulate_words.ports_of(0, 2) == (0, 0)


def test_options_reach_the_simulator() -> None:
    options = simulate_words.options_of(
        ["rich-carrier=cdata", "requests_per_second=10", "fault_status=500"], {"domain": "example.org"}, ()
    )
    assert options == Options(
        users=(), domain="example.org", rich_carrier="cdata", requests_per_second=10, fault_status=500
    )


def test_callback_ports_are_any_the_real_ones_or_a_list() -> None:
    for words, ports in (("any", None), ("real", KNOWN_CALLBACK_PORTS), ("80,8080", frozenset({80, 8080}))):
        own = {"callback_ports": simulate_words.callback_ports_of(words)}
        assert simulate_words.options_of([], own, ()).callback_ports == ports


def test_a_machine_that_listens_everywhere_is_called_by_its_name() -> None:
    assert simulate_words.name_of("0.0.0.0") == simulate_words.name_of("::") == socket.gethostname()
    assert simulate_words.name_of("127.0.0.1") == "127.0.0.1"
    assert simulate_words.name_of("localhost") == "localhost"


def test_list_options_shows_every_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--list-options"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(Options().shown()) - {"users"} == set(rows) - {"Name"}
    assert rows["rich_carrier"].split()[1:] == ["elements,", "cdata,", "escaped", "elements"]
    assert rows["callback_ports"].split()[1:] == ["ports,", "with", "commas,", "none", "none"]
    assert rows["failover"].split()[1:] == ["true,", "false", "true"]
    assert run(["simulate", "--list-options", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["max_contacts"] == 5000


# How it ends


async def test_a_signal_sets_the_event_and_no_more() -> None:
    """SIGTERM, which would end the process, ends a wait; afterwards it has its old meaning again."""
    before = signal.getsignal(signal.SIGTERM)
    with stop_at_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), PATIENCE)
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_ends_the_process_with_0() -> None:
    """The console script as a user has it: addresses on standard output, a clean end."""
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("pws")), "simulate", *FREE, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["control"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "Stopped.\n")


def test_a_reason_that_names_no_port_is_shown_as_it_is() -> None:
    assert simulate._reason(OSError(99, "cannot assign"), "10.9.9.9") == "10.9.9.9: cannot assign"
