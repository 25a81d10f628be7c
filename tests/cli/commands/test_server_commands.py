"""The commands that speak with the server, each against the simulator over real sockets."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pws_soap.client import PwsClient
from pws_soap.models import Presence, PresenceState, PresenceType
from pws_soap.simulator import Fault, NodeCondition, Options, State
from pws_soap.simulator.faults.requests import FaultyRequest
from service.cli.command_line import run
from tests.cli.conftest import USERS, CommandOffice
from tests.cli.running import PATIENCE


def held_by_another(office: CommandOffice) -> None:
    """Another application logs the end user in."""

    async def hold() -> None:
        async with PwsClient(office.server.nodes[0].base_url) as client:
            other = await client.login("otherapp", "hunter3")
            await client.login_end_user(other, "dispatcher")

    asyncio.run(hold())


def pws_process(command: str, office: CommandOffice) -> list[str]:
    """`pws` as a process of its own."""
    return [sys.executable, "-c", "from service.cli import main; main()", command, "--config", str(office.config)]


# create, fetch, delete


def test_a_first_round_by_hand(office: CommandOffice) -> None:
    """create prints the ids, fetch brings all contacts and then changes, delete leaves nothing."""
    made = office.pws("create")
    assert made.code == 0
    assert [line.split()[:2] for line in made.out.splitlines()[1:]] == [["endpoint", "1"], ["subscription", "1"]]
    assert office.left() == {"sessions": 2, "endpoints": 1, "subscriptions": 1}

    first = office.pws("fetch", "1", "BASIC_PRESENCE")
    assert [line.split() for line in first.out.splitlines()] == [
        ["Contact", "State"],
        ["ann@example.com", "UNAVAILABLE"],
        ["joe@example.com", "UNAVAILABLE"],
        ["rita@example.com", "UNAVAILABLE"],
    ]
    again = office.pws("fetch", "1", "BASIC_PRESENCE")
    assert (again.code, again.out) == (0, "")
    assert "Nothing has changed in subscription 1" in again.err

    office.at_server(lambda: office.simulator.change("joe@example.com", state=State.BUSY))
    changed = office.pws("fetch", "1", "basic_presence")
    assert [line.split() for line in changed.out.splitlines()[1:]] == [["joe@example.com", "BUSY"]]

    assert office.pws("delete").code == 0
    assert office.left() == {"sessions": 0, "endpoints": 0, "subscriptions": 0}


def test_the_endpoint_has_the_secret_path_and_nobody_prints_it(office: CommandOffice) -> None:
    made = office.pws("create", "--json")
    assert made.document["endpoints"][0]["url"] == "http://127.0.0.1:8080"
    registered = office.at_server(
        lambda: [point.url for point in office.simulator.places["imp1"].node.registry.endpoints.values()]
    )
    assert registered == ["http://127.0.0.1:8080/pws/a-secret-of-at-least-16"]


def test_create_prints_one_json_document(office: CommandOffice) -> None:
    document = office.pws("create", "--json").document
    node = office.server.nodes[0].base_url
    assert document == {
        "endpoints": [{"id": 1, "node": node, "url": "http://127.0.0.1:8080", "expires": 3600}],
        "subscriptions": [
            {"id": 1, "node": node, "endpoint": 1, "end_user": "dispatcher", "contacts": 3, "expires": 3600}
        ],
    }


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(32, "Broken pipe")])
def test_create_removes_what_it_cannot_print(
    office: CommandOffice, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], error: OSError
) -> None:
    """Nobody would know the ids."""

    def full(_self: object, _text: str = "") -> int:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "write", full, raising=False)
        code = run(["create", *options, "--config", str(office.config)])
    assert code == 1
    assert office.left() == {"sessions": 2, "endpoints": 0, "subscriptions": 0}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_create_removes_what_a_full_disk_does_not_take(office: CommandOffice) -> None:
    """In a process of its own, whose output is buffered and fails only when it is written."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(pws_process("create", office), stdout=full, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, b"no space left" in ended.stderr) == (1, True)
    assert office.left() == {"sessions": 2, "endpoints": 0, "subscriptions": 0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_create_removes_what_it_made_before_a_signal(
    office: CommandOffice, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what the request makes that is under way: its reply is held back until the signal is there."""
    held, signalled = threading.Event(), asyncio.Event()

    async def until_signalled(_request: FaultyRequest, _seconds: float) -> None:
        held.set()
        await signalled.wait()

    monkeypatch.setattr(FaultyRequest, "_sleep", until_signalled)
    office.at_server(lambda: office.simulator.faults.add(Fault("delay-reply", operation="subscribe", seconds=1.0)))
    command = subprocess.Popen(pws_process("create", office), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert held.wait(PATIENCE)
        assert office.left()["subscriptions"] == 1
        command.send_signal(number)
    finally:
        office.at_server(signalled.set)
    out, err = command.communicate(timeout=PATIENCE)
    assert (command.returncode, out) == (128 + number, b"")
    assert b"Traceback" not in err
    assert office.left() == {"sessions": 2, "endpoints": 0, "subscriptions": 0}


def test_rich_presence_shows_who_is_on_the_phone(office: CommandOffice) -> None:
    office.pws("create")
    office.at_server(
        lambda: office.simulator.change(
            "ann@example.com", state=State.BUSY, activities=("busy", "on-the-phone"), note="back\x1b[31m soon"
        )
    )
    shown = office.pws("fetch", "1")
    ann = next(line for line in shown.out.splitlines() if line.startswith("ann@"))
    assert "on the phone" in ann
    assert "busy" in ann
    assert "\x1b" not in shown.out
    office.at_server(lambda: office.simulator.change("ann@example.com", note="back again"))
    document = office.pws("fetch", "1", "--json").document
    assert (document["subscription"], document["presence_type"]) == (1, "RICH_PRESENCE")
    (contact,) = document["contacts"]
    assert (contact["contact"], contact["state"], contact["on_the_phone"]) == ("ann@example.com", "BUSY", True)
    assert {"id", "open", "audio", "video", "text"} == set(contact["devices"][0])


def test_two_blocks_share_an_endpoint(office: CommandOffice) -> None:
    office.write(
        watch='end_user = "dispatcher"\ncontacts = ["ann@example.com"]\n--\n'
        'end_user = "second"\ncontacts = ["joe@example.com"]'
    )
    document = office.pws("create", "--json").document
    assert len(document["endpoints"]) == 1
    assert [made["end_user"] for made in document["subscriptions"]] == ["dispatcher", "second"]
    assert office.pws("fetch", "1").code == 2, "whose subscription?"
    assert "--end-user (dispatcher, second)" in office.pws("fetch", "1").err
    assert office.pws("fetch", "1", "--end-user", "Dispatcher").code == 0
    stranger = office.pws("fetch", "1", "--end-user", "nobody")
    assert stranger.code == 2
    assert "there are: dispatcher, second" in stranger.err


def test_deleting_one_end_user_leaves_the_others(office: CommandOffice) -> None:
    office.write(
        watch='end_user = "dispatcher"\ncontacts = ["ann@example.com"]\n--\n'
        'end_user = "second"\ncontacts = ["joe@example.com"]'
    )
    office.pws("create")
    assert office.pws("delete", "--end-user", "second", "--sweep", "1-2").code == 0
    assert office.left() == {"sessions": 2, "endpoints": 1, "subscriptions": 1}


def test_a_sweep_says_what_it_found_under_each_id(office: CommandOffice) -> None:
    office.write(
        watch='end_user = "dispatcher"\ncontacts = ["ann@example.com"]\n--\n'
        'end_user = "second"\ncontacts = ["joe@example.com"]'
    )
    office.pws("create")
    swept = office.pws("delete", "--sweep", "1,2-3", "--json").document["swept"]
    found = {(row["kind"], row["id"], row["user"]): row["found"] for row in swept}
    assert found == {
        ("subscription", 1, "dispatcher"): "removed",
        ("subscription", 2, "dispatcher"): "another session's, left alone",
        ("subscription", 3, "dispatcher"): "not there",
        ("subscription", 1, "second"): "not there",
        ("subscription", 2, "second"): "removed",
        ("subscription", 3, "second"): "not there",
        ("endpoint", 1, "pwsapp"): "removed",
        ("endpoint", 2, "pwsapp"): "not there",
        ("endpoint", 3, "pwsapp"): "not there",
    }
    assert office.left() == {"sessions": 0, "endpoints": 0, "subscriptions": 0}


def test_a_sweep_is_a_readable_table(office: CommandOffice) -> None:
    office.pws("create")
    out = office.pws("delete", "--sweep", "1").out.splitlines()
    assert [line.split()[0] for line in out[:3]] == ["Tried", "subscription", "endpoint"]
    assert "dispatcher is logged out" in out[3]


def test_a_fault_during_a_sweep_is_told_and_the_sweep_goes_on(office: CommandOffice) -> None:
    office.at_server(lambda: office.simulator.faults.add(Fault("refuse", operation="unsubscribe", code=203)))
    result = office.pws("delete", "--sweep", "1", "--json")
    assert result.code == 0
    assert "code 203" in result.document["swept"][0]["found"]


@pytest.mark.parametrize("ids", ["0", "1-", "a", "5-1", "1-5000", "-", "1-1000,2001-2500,3000"])
def test_a_sweep_of_no_ids_is_refused(office: CommandOffice, ids: str) -> None:
    result = office.pws("delete", "--sweep", ids)
    assert result.code == 2
    assert "expected ids such as 1-16" in result.err


def test_a_sweep_that_breaks_off_tells_what_was_done(office: CommandOffice) -> None:
    office.pws("create")
    office.at_server(lambda: office.simulator.faults.add(Fault("lose-reply", operation="unregisterEndPoint")))
    result = office.pws("delete", "--sweep", "1", "--json")
    assert result.code == 1
    assert [(row["kind"], row["found"]) for row in result.document["swept"]] == [("subscription", "removed")]
    assert "not everything could be cleaned: unregisterEndPoint" in result.err


def test_what_was_made_is_removed_when_the_rest_fails(office: CommandOffice) -> None:
    office.at_server(lambda: office.simulator.faults.add(Fault("refuse", operation="subscribe", code=139)))
    result = office.pws("create")
    assert result.code == 1
    assert "pws delete --sweep" in result.err
    assert office.left() == {"sessions": 2, "endpoints": 0, "subscriptions": 0}


def test_a_subscription_that_was_made_in_part_is_removed_too(make_office: Callable[..., CommandOffice]) -> None:
    office = make_office(Options(users=USERS, max_sip_subscriptions=150))
    names = ", ".join(f'"user{number}@example.com"' for number in range(250))
    office.write(watch=f'end_user = "dispatcher"\ncontacts = [{names}]')
    result = office.pws("create")
    assert result.code == 1
    assert "100 of 250" in result.err
    assert office.left() == {"sessions": 2, "endpoints": 0, "subscriptions": 0}


def test_a_watch_without_contacts_makes_no_subscription(office: CommandOffice) -> None:
    office.write(watch='end_user = "dispatcher"')
    result = office.pws("create")
    assert result.code == 2
    assert "watch.contacts" in result.err
    assert office.left() == {"sessions": 0, "endpoints": 0, "subscriptions": 0}


def test_an_unknown_subscription_says_where_to_get_one(office: CommandOffice) -> None:
    result = office.pws("fetch", "7", "--json")
    assert (result.code, result.out) == (1, "")
    assert "133" in result.err
    assert "`pws create` makes one" in result.err


def test_a_lost_reply_says_that_changes_may_be_lost(office: CommandOffice) -> None:
    office.pws("create")
    office.at_server(lambda: office.simulator.faults.add(Fault("lose-reply", operation="getSubscribedPresence")))
    result = office.pws("fetch", "1")
    assert result.code == 1
    assert "`pws poll` reads the present state" in result.err


# poll and set


def test_poll_completes_names_and_needs_no_subscription(office: CommandOffice) -> None:
    office.at_server(lambda: office.simulator.change("ann@example.com", state=State.AWAY))
    result = office.pws("poll", "sip:ann", "ANN@example.com", "stranger@example.com", "--type", "BASIC_PRESENCE")
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        ["ann@example.com", "AWAY"],
        ["stranger@example.com", "UNKNOWN"],
    ]
    assert office.left()["subscriptions"] == 0


@pytest.mark.parametrize(
    "spelling",
    [
        "ann@example.com:5060",
        "ann@example.com.",
        "%61nn@example.com",
        "\uff41nn@example.com",
        "Ann <sip:ann@example.com>",
        "sips:ann@example.com;transport=tls",
        "ann@example.com/laptop",
        "ann:5060",
    ],
)
def test_poll_reads_a_contact_in_any_spelling(office: CommandOffice, spelling: str) -> None:
    """The server knows one of them; the others would come back as UNKNOWN."""
    office.at_server(lambda: office.simulator.change("ann@example.com", state=State.BUSY))
    result = office.pws("poll", spelling, "--type", "BASIC_PRESENCE")
    assert [line.split() for line in result.out.splitlines()[1:]] == [["ann@example.com", "BUSY"]]
    assert result.code == 0


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        ([], "the server said nothing about ann@example.com, joe@example.com"),
        (["ann@example.com"], "the server said nothing about joe@example.com"),
        (
            ["ann@example.com", "joe@example.com", "eve@example.com"],
            "answered about eve@example.com, who was not asked",
        ),
        (["eve@example.com"], "answered about eve@example.com, who was not asked for"),
        (["ann@example.com", ""], "answered about nobody (no name), who was not asked for"),
        (["SIP:Ann@example.com", "joe@example.com:5060"], ""),
    ],
)
def test_poll_takes_an_answer_about_those_who_were_asked_for(
    office: CommandOffice, monkeypatch: pytest.MonkeyPatch, answered: list[str], said: str
) -> None:
    """In any spelling. An answer about somebody else is an error, and nothing of it is printed."""

    async def polled(*_args: object, **_options: object) -> list[Presence]:
        return [
            Presence(name, PresenceState.BUSY, PresenceType.RICH, problem=None if name else "no name")
            for name in answered
        ]

    monkeypatch.setattr(PwsClient, "get_polled_presence", polled)
    result = office.pws("poll", "ann", "joe")
    assert result.code == (1 if said else 0)
    assert said in result.err
    assert ("BUSY" in result.out) == (bool(answered) and "not asked" not in said)


def test_poll_takes_more_contacts_than_one_request(office: CommandOffice) -> None:
    names = [f"user{number}" for number in range(120)]
    result = office.pws("poll", *names, "--json")
    assert len(result.document["contacts"]) == 120
    assert result.document["end_user"] == "dispatcher"


@pytest.mark.parametrize(("name", "hint"), [("a b", ""), ("", ""), ("joe", "watch.domain completes bare names")])
def test_poll_refuses_what_is_no_contact(office: CommandOffice, name: str, hint: str) -> None:
    office.write(watch='end_user = "dispatcher"')
    result = office.pws("poll", name)
    assert result.code == 2
    assert f"expected user@domain, got {name!r}" in result.err
    assert hint in result.err


def test_set_changes_the_presence_of_an_end_user(office: CommandOffice) -> None:
    result = office.pws("set", "dispatcher", "vacation", "--expires", "7200")
    assert (result.code, result.out) == (0, "dispatcher says VACATION for 7200 s, as one of the devices\n")
    polled = office.pws("poll", "dispatcher", "--json").document["contacts"]
    assert polled[0]["state"] == "VACATION"
    overridden = office.pws("set", "dispatcher", "DND", "--override", "--json")
    assert overridden.document == {"end_user": "dispatcher", "state": "DND", "override": True, "expires": 3600}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("DND",), "add --override"),
        (("AVAILABLE", "--override"), "leave --override out"),
        (("UNKNOWN",), "UNAVAILABLE or VACATION, got 'UNKNOWN'"),
        (("BUSY", "--expires", "60"), "3600"),
    ],
)
def test_set_refuses_before_it_asks_the_server(office: CommandOffice, words: tuple[str, ...], hint: str) -> None:
    result = office.pws("set", "dispatcher", *words)
    assert result.code == 2
    assert hint in result.err
    assert office.left()["sessions"] == 0


# What goes wrong


def test_a_wrong_password_says_so(office: CommandOffice) -> None:
    (office.directory / "password").write_text("hunter3")
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "114" in result.err
    assert "check application.username and the password" in result.err
    assert len(result.err.splitlines()) == 1


def test_an_end_user_that_does_not_exist_says_so(make_office: Callable[..., CommandOffice]) -> None:
    office = make_office(Options(users=USERS, any_end_user=False))
    result = office.pws("set", "nobody", "BUSY")
    assert result.code == 1
    assert "the end user's name" in result.err
    office.write(watch='end_user = "nobody"')
    deleted = office.pws("delete")
    assert deleted.code == 1
    assert "not everything could be cleaned: nobody:" in deleted.err
    assert office.left()["sessions"] == 0, "the application user is logged out all the same"


def test_a_user_of_another_application_is_left_alone(office: CommandOffice) -> None:
    held_by_another(office)
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "application.take_over = true" in result.err
    deleted = office.pws("delete")
    assert deleted.code == 1
    assert "take_over" in deleted.err
    assert office.left()["sessions"] == 2, "the other application's"


def test_a_user_of_another_application_is_taken_over_when_the_operator_says_so(office: CommandOffice) -> None:
    held_by_another(office)
    office.write(application='username = "pwsapp"\npassword_file = "password"\ntake_over = true')
    result = office.pws("poll", "ann")
    assert result.code == 0
    assert "taking over" in result.err


def test_a_busy_server_says_to_wait(office: CommandOffice) -> None:
    office.at_server(lambda: office.simulator.set_cpu(99))
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "wait a minute" in result.err


def test_an_unreachable_server_says_what_to_check(office: CommandOffice) -> None:
    office.at_server(lambda: office.simulator.set_state("imp1", NodeCondition.DOWN))
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "check server.nodes" in result.err
    deleted = office.pws("delete")
    assert deleted.code == 1
    assert "not everything could be cleaned" in deleted.err


def test_a_server_that_does_not_answer_names_the_time_out(office: CommandOffice) -> None:
    node = office.server.nodes[0].address
    office.write(server=f'nodes = ["{node}"]\ntls = false\nread_timeout = 0.1')
    office.at_server(lambda: office.simulator.set_state("imp1", NodeCondition.HUNG))
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "server.read_timeout" in result.err


# Several nodes


@pytest.fixture
def two(make_office: Callable[..., CommandOffice]) -> CommandOffice:
    """Two nodes; the supervisor is homed on the second one."""
    office = make_office(nodes=("imp1", "imp2"))
    office.write(watch='end_user = "supervisor"\ndomain = "example.com"\ncontacts = ["ann"]')
    return office


def test_an_end_user_is_followed_to_its_home_node(two: CommandOffice) -> None:
    made = two.pws("create", "--json")
    home = two.server.nodes[1]
    assert made.document["endpoints"][0]["node"] == home.base_url
    assert f"supervisor is homed on {home.address}" in made.err
    assert two.pws("fetch", "1").code == 0
    assert two.pws("set", "supervisor", "BUSY").code == 0


def test_delete_cleans_every_node_once(two: CommandOffice) -> None:
    two.pws("create")
    result = two.pws("delete", "--json")
    first, second = (node.base_url for node in two.server.nodes)
    assert result.document["logged_out"] == [
        {"node": first, "user": "pwsapp"},
        {"node": second, "user": "supervisor"},
        {"node": second, "user": "pwsapp"},
    ]
    assert two.left() == {"sessions": 0, "endpoints": 0, "subscriptions": 0}


def test_delete_goes_to_a_home_node_that_the_configuration_does_not_name(two: CommandOffice) -> None:
    first, second = two.server.nodes
    two.write(
        server=f'nodes = ["{first.address}"]\ntls = false',
        watch='end_user = "supervisor"\ncontacts = ["ann@example.com"]',
    )
    two.pws("create")
    nodes = [row["node"] for row in two.pws("delete", "--json").document["logged_out"]]
    assert nodes == [first.base_url, second.base_url, second.base_url]
    assert two.left()["sessions"] == 0


def test_the_second_node_is_used_when_the_first_is_down(two: CommandOffice) -> None:
    two.at_server(lambda: two.simulator.set_state("imp1", NodeCondition.DOWN))
    result = two.pws("poll", "ann")
    assert result.code == 0
    assert f"{two.server.nodes[0].base_url} cannot be reached" in result.err
    deleted = two.pws("delete")
    assert deleted.code == 1, "what is left on the first node nobody knows"
    assert two.left()["sessions"] == 0
