"""What kind of server the setting and the markers ask for, and what they say of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pws_soap.pytest_plugin.settings import ServerSettings, settings_from
from pws_soap.simulator import Options, State, User


def mark(*args: object, **options: object) -> pytest.Mark:
    return pytest.mark.pws(*args, **options).mark


def test_nothing_said_is_what_pws_simulate_serves() -> None:
    assert settings_from(()) == ServerSettings(Options(), ("imp1",), {}, 24, False, None)


def test_lines_then_markers_of_which_the_last_counts() -> None:
    lines = ["contacts = 5", "nodes=2", "tls = TRUE", "seed= 7", "max_contacts = 10", "rich_carrier = cdata"]
    found = settings_from(lines, [mark(max_contacts=20, nodes=("a", "b-c")), mark(max_contacts=30)])
    options = Options(max_contacts=30, rich_carrier="cdata")
    assert found == ServerSettings(options, ("a", "b-c"), {}, 5, True, 7)


@pytest.mark.parametrize(
    ("value", "contacts", "invented"),
    [
        (0, {}, 0),
        (["ann@example.com"], {"ann@example.com": State.UNAVAILABLE}, 0),
        ({"ann@example.com": "BUSY"}, {"ann@example.com": State.BUSY}, 0),
    ],
)
def test_contacts_are_a_number_a_list_or_states(value: object, contacts: Mapping[str, State], invented: int) -> None:
    found = settings_from((), [mark(contacts=value)])
    assert (found.contacts, found.invented) == (contacts, invented)


def test_lists_in_lines_have_commas() -> None:
    found = settings_from(
        ["contacts = ann@example.com, joe@example.com", "nodes = a, b", "callback_ports = 80,82", "seed = none"]
    )
    assert list(found.contacts) == ["ann@example.com", "joe@example.com"]
    assert (found.nodes, found.options.callback_ports, found.seed) == (("a", "b"), frozenset({80, 82}), None)


def test_options_of_every_type() -> None:
    user = User("somebody", "password", application=True)
    options = settings_from(
        (),
        [
            mark(
                users=[user],
                callback_ports=[80],
                session_idle_timeout=60,
                max_sip_subscriptions=None,
                failover=False,
                domain="example.org",
                fault_status=500,
            )
        ],
    ).options
    assert options == Options(
        users=(user,),
        callback_ports=frozenset({80}),
        session_idle_timeout=60,
        failover=False,
        domain="example.org",
        fault_status=500,
    )


@pytest.mark.parametrize(
    ("lines", "marks", "message"),
    [
        (["contacts"], [], r"^pws_options: expected name = value, got 'contacts'$"),
        (
            ["contcts = 5"],
            [],
            r"^pws_options: contcts: no such option \(did you mean contacts\?\), expected one of conta",
        ),
        (["contacts = many"], [], r"^pws_options: contacts: expected user@domain, got 'many'$"),
        (["users = ann"], [], r"^pws_options: users: no such option, expected one of domain"),
        (["max_contacts = x"], [], r"^pws_options: max_contacts: expected a whole number, got 'x'$"),
        (["tls = yes"], [], r"^pws_options: tls: expected true or false, got 'yes'$"),
        (["seed = x"], [], r"^pws_options: seed: expected a whole number or none, got 'x'$"),
        ([], [mark(5)], r"^@pytest\.mark\.pws: expected options by name, got 5$"),
        ([], [mark(node=5)], r"^@pytest\.mark\.pws: node: no such option \(did you mean nodes\?\)"),
        ([], [mark(nodes=0)], r"nodes: expected 1 to 16, or as many different names, got 0$"),
        ([], [mark(nodes=["a", "a"])], r"nodes: expected 1 to 16, or as many different names, got \['a', 'a'\]$"),
        ([], [mark(nodes=["a b"])], r"nodes: expected 1 to 16"),
        ([], [mark(nodes=True)], r"nodes: expected 1 to 16"),
        ([], [mark(tls=1)], r"tls: expected true or false, got 1$"),
        ([], [mark(seed="x")], r"seed: expected a whole number or none, got 'x'$"),
        ([], [mark(contacts=-1)], r"contacts: expected 0 to 100000, got -1$"),
        (
            [],
            [mark(contacts="ann@example.com")],
            r"contacts: expected a number, contacts, or contacts with their states",
        ),
        ([], [mark(contacts=["ann"])], r"contacts: expected user@domain, got 'ann'$"),
        ([], [mark(contacts={"ann@example.com": "FREE"})], r"contacts: expected one of AVAILABLE, .*, got 'FREE'$"),
        ([], [mark(max_contacts="5")], r"^@pytest\.mark\.pws: max_contacts: expected a whole number, got '5'$"),
        ([], [mark(max_contacts=True)], r"max_contacts: expected a whole number, got True$"),
        ([], [mark(max_contacts=0)], r"max_contacts: expected at least 1, got 0$"),
        ([], [mark(failover="no")], r"failover: expected true or false, got 'no'$"),
        ([], [mark(domain=5)], r"domain: expected text, got 5$"),
        ([], [mark(session_idle_timeout="1")], r"session_idle_timeout: expected a number or none, got '1'$"),
        ([], [mark(callback_ports=80)], r"callback_ports: expected ports or none, got 80$"),
        ([], [mark(users=["ann"])], r"users: expected a list of pws_soap\.simulator\.User, got \['ann'\]$"),
        ([], [mark(rich_carrier="gzip")], r"rich_carrier: expected one of elements, cdata, escaped, got 'gzip'$"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(
    lines: list[str], marks: list[pytest.Mark], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        settings_from(lines, marks)
