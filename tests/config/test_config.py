"""The configuration: what is taken from where, and that every mistake is told at once, with its place."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from pws_soap.models import PresenceState, PresenceType, Secret
from service.config import Config, ConfigError, Problem, ServerSection, Watch, example_toml, load
from service.config.errors import header_of
from service.config.sections import BLOCKS
from service.core.presence.availability import Rule
from tests.support.configuration import BASE

ENVIRONMENT = {
    "PWS_SERVER__NODES": "imp1.example.com",
    "PWS_APPLICATION__USERNAME": "pwsapp",
    "PWS_APPLICATION__PASSWORD": "hunter2",
    "PWS_CALLBACK__URL": "http://10.0.0.5:8080",
    "PWS_WATCH__0__END_USER": "dispatcher",
}


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of the configuration and gives its path back."""

    def write(text: str, name: str = "pws.toml", mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return path

    return write


def test_redirect_to_names_hosts_or_any(write: Write) -> None:
    """Without a port: a host of ours may be meant with any. Nobody is named unless somebody says so."""
    for written, hosts in (
        ("[]", frozenset()),
        ('["imp3.example.com", "IMP4.example.com.", "[2001:db8::1]", "192.0.2.7"]',
         frozenset({"imp3.example.com", "imp4.example.com", "2001:db8::1", "192.0.2.7"})),
        ('"any"', None),
        ('" Any "', None),
    ):  # fmt: skip
        server = load(write(changed("[server]\n", f"[server]\nredirect_to = {written}\n")), {}).server
        assert server.redirect_hosts() == hosts
        assert server.may_go_to("https://imp1.example.com:1")
        assert server.may_go_to("https://IMP1.example.com.:8083"), "a dot at the end makes no other host"
        assert server.may_go_to("https://imp3.example.com:8083") is (hosts is None or bool(hosts))
    environ = {"PWS_SERVER__REDIRECT_TO": "imp3.example.com,imp4.example.com"}
    assert load(write(BASE), environ).server.redirect_hosts() == frozenset({"imp3.example.com", "imp4.example.com"})
    assert load(write(BASE), {"PWS_SERVER__REDIRECT_TO": "any"}).server.redirect_hosts() is None


@pytest.mark.parametrize("item", ['["imp3.example.com:8083"]', '["any"]', "[7]", '["a b"]', '[""]', "5", "true"])
def test_redirect_to_that_is_no_list_of_hosts_is_a_mistake(write: Write, item: str) -> None:
    problem = problems(write(changed("[server]\n", f"[server]\nredirect_to = {item}\n")))["server.redirect_to"]
    assert problem.expected == 'a list of hosts, such as ["imp3.example.com"], or "any"'


def problems(path: Path | None, environ: Mapping[str, str] | None = None) -> dict[str, Problem]:
    """The mistakes of a configuration that must have some, by key."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    assert "hunter2" not in str(caught.value)
    return {problem.key: problem for problem in caught.value.problems}


def changed(old: str, new: str) -> str:
    """The base configuration with one line changed."""
    assert old in BASE
    return BASE.replace(old, new)


# What is taken


def test_defaults_are_the_documented_ones(write: Write) -> None:
    config = load(write(BASE), {})
    assert config.server == ServerSection(nodes=("imp1.example.com", "imp2.example.com:9083"))
    assert (config.server.tls, config.server.wsdl, config.server.soap) == (True, "bundled", "1.1")
    assert (config.server.connect_timeout, config.server.read_timeout) == (5.0, 30.0)
    assert config.server.max_reply_bytes == 33_554_432
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8080)
    assert (config.fetch.safety_interval, config.fetch.reconcile_interval, config.fetch.max_parallel) == (600, 3600, 4)
    assert (config.lifecycle.endpoint_expires, config.lifecycle.subscription_expires) == (3600, 3600)
    assert (config.lifecycle.renew_at, config.lifecycle.stop_timeout) == (0.8, 10.0)
    assert config.lifecycle.requests_per_second == 20
    assert config.application.take_over is False
    assert config.callback.secret is None
    assert config.state.file is None
    assert config.watch[0].presence_type is PresenceType.RICH
    assert config.groups == {}


def test_base_urls_take_the_port_of_the_node_or_the_one_of_the_scheme(write: Write) -> None:
    assert load(write(BASE), {}).server.urls() == ("https://imp1.example.com:8083", "https://imp2.example.com:9083")
    plain = ServerSection(nodes=("imp1.example.com", "[2001:db8::1]", "[::1]:99"), tls=False)
    assert plain.urls() == ("http://imp1.example.com:8082", "http://[2001:db8::1]:8082", "http://[::1]:99")


def test_a_node_that_the_server_names_keeps_the_port_it_has_in_the_configuration() -> None:
    server = ServerSection(nodes=("imp1.example.com", "Imp2.example.com:9083"))
    assert server.url_of("imp2.example.com") == "https://imp2.example.com:9083"
    assert server.url_of("imp3.example.com") == "https://imp3.example.com:8083"
    assert server.url_of("imp3.example.com:1") == "https://imp3.example.com:1"
    with pytest.raises(ValueError, match="letters"):
        server.url_of("a b")


def test_the_example_file_loads_and_names_every_key(write: Write) -> None:
    config = load(write(example_toml()), {})
    assert [watch.end_user for watch in config.watch] == ["dispatcher"]
    assert config.watch[0].contacts == ("joe@example.com", "rita@example.com")
    assert config.warnings == (
        f"application.password is in clear text in {config.file}; password_file names a separate file",
    )
    for name, block in BLOCKS.items():
        assert f"[{header_of(name)}" in example_toml()
        for key in block.model_fields:
            assert f"{key} = " in example_toml(), f"{name}.{key}"


def test_every_default_that_the_example_shows_is_the_real_one(write: Write) -> None:
    """Uncommenting a setting changes nothing, unless the line says that it is an example."""
    shown = "\n".join(
        line.removeprefix("#") if re.match(r"#\w+ = ", line) and not line.endswith("# an example") else line
        for line in example_toml().partition("#[keys.")[0].splitlines()
    )
    assert len(tomllib.loads(shown)["limits"]) == 5
    plain, full = load(write(example_toml()), {}), load(write(shown), {})
    assert full == plain


def test_contacts_are_completed_merged_and_taken_without_sip(write: Write) -> None:
    text = BASE.replace(
        'contacts = ["joe@example.com"]',
        'domain = "example.com"\ncontacts = ["joe", "sip:Rita@example.com", "JOE@example.com"]\n'
        'contacts_file = "more.list"',
    )
    write("# people\nann  # the boss\n\nsip:rita@EXAMPLE.com\ncarlotta@other.example\n", "more.list")
    assert load(write(text), {}).watch[0].contacts == (
        "joe@example.com",
        "Rita@example.com",
        "ann@example.com",
        "carlotta@other.example",
    )


def test_contacts_are_taken_in_any_spelling(write: Write) -> None:
    """The server is sent the one that it knows."""
    text = BASE.replace('contacts = ["joe@example.com"]', 'contacts_file = "more.list"')
    write("Joe <sip:joe@example.com>\nrita@example.com:5060\nsips:ann@example.com;transport=tls\n", "more.list")
    assert load(write(text), {}).watch[0].contacts == ("joe@example.com", "rita@example.com", "ann@example.com")


def test_a_list_of_contacts_may_be_a_json_array_with_a_byte_order_mark(write: Write, tmp_path: Path) -> None:
    write('\ufeff["joe", "rita"]', "contacts.list")
    text = changed('contacts = ["joe@example.com"]', 'domain = "d.example"\ncontacts_file = "contacts.list"')
    config = load(write(text), {})
    assert config.watch[0].contacts == ("joe@d.example", "rita@d.example")
    assert config.watch[0].contacts_file == tmp_path / "contacts.list"


def test_there_is_no_limit_on_contacts(write: Write) -> None:
    write("\n".join(f"user{number}" for number in range(12_000)), "contacts.list")
    text = changed('contacts = ["joe@example.com"]', 'domain = "example.com"\ncontacts_file = "contacts.list"')
    assert len(load(write(text), {}).watch[0].contacts) == 12_000


def test_a_block_without_contacts_is_taken_with_a_warning(write: Write) -> None:
    config = load(write(changed('contacts = ["joe@example.com"]', "")), {})
    assert config.watch[0].contacts == ()
    assert "watch[0] (dispatcher) has no contacts" in config.warnings


def test_bare_names_in_groups_take_the_domain_that_all_blocks_share(write: Write) -> None:
    text = changed("end_user", 'domain = "example.com"\nend_user') + '[groups.support]\ncontacts = ["joe"]\n'
    assert load(write(text), {}).groups["support"].contacts == ("joe@example.com",)


@pytest.mark.parametrize(
    "written",
    [
        "ab" * 32,
        ":".join(["AB"] * 32),
        "sha256 Fingerprint=" + ":".join(["AB"] * 32),
        "SHA256:" + "AB" * 32,
    ],
)
def test_a_fingerprint_is_taken_as_people_copy_it(write: Write, written: str) -> None:
    config = load(write(changed("[application]", f'fingerprint = "{written}"\n[application]')), {})
    assert config.server.fingerprint == "ab" * 32


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    write("x", "cup.pem")
    write("x", "presence.wsdl")
    more = 'ca_file = "cup.pem"\nwsdl = "presence.wsdl"\n[state]\nfile = "later.json"\n[application]'
    config = load(write(changed("[application]", more)), {})
    assert config.server.ca_file == tmp_path / "cup.pem"
    assert config.server.wsdl == str(tmp_path / "presence.wsdl")
    assert config.state.file == tmp_path / "later.json"


def test_the_words_for_the_wsdl_are_no_paths(write: Write) -> None:
    assert load(write(changed("[application]", 'wsdl = "Live"\n[application]')), {}).server.wsdl == "live"


def test_soap_written_as_a_number_is_understood(write: Write) -> None:
    assert load(write(changed("[application]", "soap = 1.2\n[application]")), {}).server.soap == "1.2"


# The environment


def test_the_environment_alone_is_enough() -> None:
    config = load(None, ENVIRONMENT)
    assert config.server.nodes == ("imp1.example.com",)
    assert config.application.password == Secret("hunter2")
    assert config.file is None


def test_the_environment_beats_the_file(write: Write) -> None:
    environ = {
        "PWS_SERVER__NODES": "[::1]:8083, other.example.com",
        "PWS_SERVER__TLS": "off",
        "PWS_HTTP__PORT": "0",
        "PWS_FETCH__SAFETY_INTERVAL": "2.5",
        "PWS_FETCH__RECONCILE_INTERVAL": "0",
        "PWS_APPLICATION__TAKE_OVER": "yes",
        "PWS_WATCH__0__CONTACTS": '["ann@example.com"]',
        "PWS_WATCH__1__END_USER": "second",
        "PWS_WATCH__1__PRESENCE_TYPE": "basic_presence",
    }
    config = load(write(BASE), environ)
    assert config.server.nodes == ("[::1]:8083", "other.example.com")
    assert (config.server.tls, config.http.port, config.application.take_over) == (False, 0, True)
    assert (config.fetch.safety_interval, config.fetch.reconcile_interval) == (2.5, 0)
    assert config.watch[0].contacts == ("ann@example.com",)
    assert config.watch[0].end_user == "dispatcher"
    assert (config.watch[1].end_user, config.watch[1].presence_type) == ("second", PresenceType.BASIC)


def test_blocks_in_the_environment_are_counted_as_numbers() -> None:
    names = {f"PWS_WATCH__{number}__END_USER": f"user{number}" for number in range(11)}
    config = load(None, ENVIRONMENT | names)
    assert [watch.end_user for watch in config.watch] == [f"user{number}" for number in range(11)]


def test_a_whole_section_may_be_json_in_the_environment(write: Write) -> None:
    environ = {
        "PWS_WATCH": json.dumps([{"end_user": "one", "domain": "d.example", "contacts": ["joe"]}]),
        "PWS_WATCH__0__END_USER": "two",
        "PWS_GROUPS": '{"support": {"contacts": ["joe@d.example"]}}',
    }
    config = load(write(BASE), environ)
    assert [(watch.end_user, watch.contacts) for watch in config.watch] == [("two", ("joe@d.example",))]
    assert config.groups["support"].contacts == ("joe@d.example",)


def test_one_block_may_be_json_in_the_environment(write: Write) -> None:
    config = load(write(BASE), {"PWS_WATCH__0": '{"end_user": "other"}'})
    assert [watch.end_user for watch in config.watch] == ["other"]


def test_a_group_in_the_environment_finds_the_files_spelling(write: Write) -> None:
    text = BASE + '[groups.Support]\ncontacts = ["ann@example.com"]\n'
    config = load(write(text), {"PWS_GROUPS__SUPPORT__CONTACTS": "joe@example.com"})
    assert {name: group.contacts for name, group in config.groups.items()} == {"Support": ("joe@example.com",)}


def test_empty_and_foreign_variables_are_left_alone(write: Write) -> None:
    environ = {
        "PWS_SERVER__NODES": "  ",
        "PWS_PORT": "tcp://1.2.3.4:80",
        "PWS_CONFIG": "x",
        "PATH": "/bin",
        "PWS_": "x",
    }
    assert load(write(BASE), environ).server.nodes[0] == "imp1.example.com"


# Secrets


def test_a_secret_may_stand_in_a_file(write: Write) -> None:
    write("correct horse\n", "password")
    write("a-secret-of-at-least-16\r\n", "callback")
    text = BASE.replace('password = "hunter2"', 'password_file = "password"')
    text = text.replace("[[watch]]", 'secret_file = "callback"\n[[watch]]')
    config = load(write(text), {})
    assert config.application.password.reveal() == "correct horse"
    assert config.callback.secret == Secret("a-secret-of-at-least-16")
    assert config.warnings == ()


def test_a_secret_in_the_environment_beats_the_files_and_says_nothing(write: Write) -> None:
    text = changed('password = "hunter2"', 'password_file = "missing"')
    config = load(write(text), {"PWS_APPLICATION__PASSWORD": "from outside"})
    assert config.application.password.reveal() == "from outside"
    assert config.warnings == ()


def test_a_secret_file_named_in_the_environment_beats_the_file(write: Write) -> None:
    path = write("from a file", "password")
    config = load(write(BASE), {"PWS_APPLICATION__PASSWORD_FILE": str(path)})
    assert config.application.password.reveal() == "from a file"


def test_a_password_that_everybody_may_read_is_a_warning(write: Write) -> None:
    path = write("hunter2", "password", mode=0o644)
    config = load(write(changed('password = "hunter2"', 'password_file = "password"')), {})
    assert config.warnings == (f"application.password_file: everybody on this machine may read {path}; chmod 600 it",)


def test_no_secret_shows_itself(write: Write) -> None:
    config = load(write(BASE), {"PWS_CALLBACK__SECRET": "a-secret-of-at-least-16"})
    for text in (repr(config), str(config), str(config.model_dump())):
        assert "hunter2" not in text
        assert "a-secret" not in text


def test_the_registered_address_carries_the_secret_and_hides_it(write: Write) -> None:
    callback = load(write(BASE), {}).callback
    assert callback.address(Secret("s3cret")).reveal() == "http://10.0.0.5:8080/pws/s3cret"
    assert callback.address(None).reveal() == "http://10.0.0.5:8080"
    assert "s3cret" not in repr(callback.address(Secret("s3cret")))


@pytest.mark.parametrize(
    ("secret", "found"),
    [("short", "5 of them"), ("x" * 129, "129 of them"), ("not/url/safe/characters", "other characters")],
)
def test_a_callback_secret_is_long_and_url_safe(write: Write, secret: str, found: str) -> None:
    problem = problems(write(BASE), {"PWS_CALLBACK__SECRET": secret})["callback.secret"]
    assert problem.found == found
    assert secret not in str(problem)


@pytest.mark.parametrize(
    ("line", "key", "found"),
    [
        ("password_file = 3", "application.password_file", "3"),
        ('password_file = "missing"', "application.password_file", "No such file"),
        ('password_file = "."', "application.password_file", "directory"),
        ('password_file = "empty"', "application.password_file", "an empty one"),
        ('password_file = "binary"', "application.password_file", "no UTF-8"),
        ('password = "hunter2"\npassword_file = "empty"', "application.password_file", "both"),
        ('password_file = "lines"', "application.password", "control characters"),
        ("password = 5", "application.password", "something else"),
        ('password = ""', "application.password", "an empty one"),
        ("", "application.password", "nothing"),
    ],
)
def test_a_bad_password_is_told_without_showing_it(
    write: Write, tmp_path: Path, line: str, key: str, found: str
) -> None:
    write("", "empty")
    write("hunter2\nhunter2\n", "lines")
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    told = problems(write(changed('password = "hunter2"', line)))
    assert found in told[key].found
    assert set(told) <= {"application.password", "application.password_file"}
    assert ("application.password" in told) == (key == "application.password"), "told once"


# Mistakes


def test_every_mistake_is_told_at_once_with_its_place(write: Write) -> None:
    path = write(
        """
        [server]
        nodes = ["https://imp1.example.com:8083", "fine", 7]
        tsl = true
        read_timeout = "5"
        [application]
        username = "two words"
        pasword = "hunter2"
        [callback]
        url = "http://10.0.0.5:8080/?x=1"
        [http]
        port = 70000
        [[watch]]
        end_user = "dispatcher"
        contacts = ["joe", "a@@c"]
        [groups.support]
        contacts = "joe@example.com"
        [watc]
        end_user = "x"
        """
    )
    told = problems(path, {"PWS_LIFECYCLE__RENEW_AT": "2", "PWS_FETCH__MAX_PARALEL": "3"})
    assert list(told) == [
        "server.nodes[0]",
        "server.nodes[2]",
        "server.read_timeout",
        "server.tsl",
        "application.username",
        "application.password",
        "application.pasword",
        "callback.url",
        "http.port",
        "fetch.max_paralel",
        "lifecycle.renew_at",
        "watch[0].contacts[0]",
        "watch[0].contacts[1]",
        "groups.support.contacts",
        "watc",
    ]
    assert told["server.nodes[0]"].hint == "write 'imp1.example.com:8083'; server.tls chooses https or http"
    assert told["server.tsl"].hint == "did you mean 'tls'?"
    assert told["watc"].hint == "did you mean 'watch'?"
    assert told["application.pasword"].hint == "did you mean 'password'?"
    assert told["application.password"].hint == "set password_file or PWS_APPLICATION__PASSWORD"
    assert told["http.port"].where == str(path)
    assert told["http.port"].expected == "a whole number from 0 to 65535"
    assert told["lifecycle.renew_at"].where == "environment variable PWS_LIFECYCLE__RENEW_AT"
    assert told["fetch.max_paralel"].where == "environment variable PWS_FETCH__MAX_PARALEL"
    assert told["watch[0].contacts[0]"].hint == "set watch[0].domain to complete bare names"
    assert told["groups.support.contacts"].hint == "write ['joe@example.com']"


def test_the_error_reads_as_a_list(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(changed("[[watch]]", "secret = 5\n[http]\nport = true\n[[watch]]")), {})
    assert str(caught.value).splitlines() == [
        "the configuration has 2 mistakes:",
        f"  callback.secret: expected 16 to 128 letters, digits, '-' or '_', found something else than text "
        f"({caught.value.problems[0].where})",
        f"  http.port: expected a whole number from 0 to 65535, found true ({caught.value.problems[0].where})",
    ]


def test_an_empty_configuration_says_what_is_needed() -> None:
    told = problems(None)
    assert list(told) == [
        "server.nodes",
        "application.username",
        "application.password",
        "callback.url",
        "watch",
    ]
    assert told["server.nodes"].hint == "set PWS_SERVER__NODES"
    assert told["watch"].hint == "set PWS_WATCH__0__END_USER"


@pytest.mark.parametrize(
    ("node", "hint"),
    [
        ("::1", "brackets"),
        ("[::1", "brackets"),
        ("[joe]:8083", "brackets"),
        ("[::1]8083", "brackets"),
        ("imp1:", "port"),
        ("imp1:0", "port"),
        ("imp1:65536", "port"),
        ("imp1:http", "port"),
        ("im p1", "host name"),
        ("", "host name"),
        ("x" * 300, "host name"),
        ("http://[", ""),
        ("user:hunter2@imp1", ""),
    ],
)
def test_a_bad_node_is_told_with_the_way_to_write_it(write: Write, node: str, hint: str) -> None:
    problem = problems(write(changed('"imp1.example.com"', f'"{node}"')))["server.nodes[0]"]
    assert problem.expected == "host or host:port"
    assert hint in problem.hint
    assert len(problem.found) < 100


@pytest.mark.parametrize("nodes", ["[]", '["imp1", "IMP1"]'])
def test_nodes_differ_and_there_is_one(write: Write, nodes: str) -> None:
    assert "server.nodes" in problems(write(changed('["imp1.example.com", "imp2.example.com:9083"]', nodes)))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://10.0.0.5", "http://"),
        ("10.0.0.5:8080", "http://"),
        ("http://", "http://"),
        ("http://10.0.0.5:8080/?hunter2", "no query"),
        ("http://10.0.0.5:8080/#hunter2", "no query"),
        ("http://ann:hunter2@10.0.0.5:8080", "user name"),
        ("http://10.0.0.5:0", "port"),
        ("http://10.0.0.5:http", ""),
        ("http://[10.0.0.5", ""),
        ("http://10.0.0.5/a b", "142"),
        ("http://bücher.example:8080", "percent-encode"),
    ],
)
def test_a_bad_callback_url_is_told_without_what_may_be_secret(write: Write, url: str, why: str) -> None:
    problem = problems(write(changed("http://10.0.0.5:8080", url)))["callback.url"]
    assert why in problem.hint


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("nodes = 5", "server.nodes"),
        ('nodes = ["imp1", "IMP1"]', "server.nodes"),
        ('nodes = ["imp1", "imp1."]', "server.nodes"),
        ('nodes = ["imp1.:8083", "imp1:8083"]', "server.nodes"),
        ('tls = "true"', "server.tls"),
        ("read_timeout = nan", "server.read_timeout"),
        ("read_timeout = true", "server.read_timeout"),
        ("max_reply_bytes = 100000.5", "server.max_reply_bytes"),
        ("max_reply_bytes = 1", "server.max_reply_bytes"),
        ('ca_file = "missing.pem"', "server.ca_file"),
        ("ca_file = 3", "server.ca_file"),
        ('wsdl = "missing.wsdl"', "server.wsdl"),
        ('soap = "2"', "server.soap"),
        ('fingerprint = "abc"', "server.fingerprint"),
        (f'fingerprint = "{"ab" * 20}"', "server.fingerprint"),
        ("verify = false", "server.verify"),
    ],
)
def test_a_bad_value_is_told_by_its_key(write: Write, line: str, key: str) -> None:
    text = BASE.replace('nodes = ["imp1.example.com", "imp2.example.com:9083"]', "") if "nodes" in line else BASE
    assert list(problems(write(text.replace("[server]", f"[server]\n{line}")))) == [key]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWS_SERVER__TLS", "perhaps"),
        ("PWS_HTTP__PORT", "http"),
        ("PWS_HTTP__PORT", "80.5"),
        ("PWS_FETCH__RECONCILE_INTERVAL", "0.5"),
        ("PWS_SERVER__NODES", '["broken'),
        ("PWS_LIFECYCLE__ENDPOINT_EXPIRES", "86400"),
        ("PWS_LIFECYCLE__SUBSCRIPTION_EXPIRES", "3599"),
    ],
)
def test_a_bad_variable_is_told_by_its_name(write: Write, name: str, value: str) -> None:
    (problem,) = problems(write(BASE), {name: value}).values()
    assert problem.where == f"environment variable {name}"
    assert problem.key == name.removeprefix("PWS_").lower().replace("__", ".")


@pytest.mark.parametrize(
    ("environ", "key", "found"),
    [
        ({"PWS_WATCH": "{hunter2"}, "watch", "something else"),
        ({"PWS_WATCH__0": "hunter2"}, "watch[0]", "something else"),
        ({"PWS_APPLICATION": "hunter2"}, "application", "something else"),
        ({"PWS_APPLICATION": '"hunter2"'}, "application", "a single value"),
        ({"PWS_WATCH": '{"end_user": "x"}'}, "watch", "a table"),
        ({"PWS_WATCH": "[]"}, "watch", "none"),
        ({"PWS_WATCH__2__END_USER": "x"}, "watch[2].end_user", "2"),
        ({"PWS_WATCH__X__END_USER": "x"}, "watch.x.end_user", "'x'"),
        ({"PWS_SERVR__NODES": "x"}, "servr", "an unknown one"),
        ({"PWS_GROUPS__A__B": "x"}, "groups.a.b", "an unknown one"),
    ],
)
def test_a_bad_section_in_the_environment_is_told_without_its_content(
    write: Write, environ: dict[str, str], key: str, found: str
) -> None:
    problem = problems(write(BASE), environ)[key]
    assert problem.found == found
    assert problem.where == f"environment variable {next(iter(environ))}"


def test_an_end_user_has_one_block(write: Write) -> None:
    problem = problems(write(BASE), {"PWS_WATCH__1__END_USER": "Dispatcher"})["watch"]
    assert problem.found == "two of 'Dispatcher'"


def test_a_variable_does_not_hide_a_section_that_is_no_table(write: Write) -> None:
    text = 'server = "imp1"\n' + BASE[BASE.index("[application]") :]
    assert problems(write(text), {"PWS_SERVER__NODES": "imp1"})["server"].expected == "a table [server]"


def test_one_bracket_too_few_is_explained(write: Write) -> None:
    problem = problems(write(changed("[[watch]]", "[watch]")))["watch"]
    assert problem.expected == "[[watch]] blocks"
    assert problem.hint == "with two brackets on each side"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("jo e\nan n\n", "watch[0].contacts_file line 2"),
        ('["jo e", 5]', "watch[0].contacts_file entry 2"),
        ('["joe"', "watch[0].contacts_file"),
        ('[{"joe": 1}]', "watch[0].contacts_file entry 1"),
    ],
)
def test_a_bad_contact_in_a_file_is_told_by_its_line(write: Write, content: str, key: str) -> None:
    listing = write(content, "contacts.list")
    text = changed("end_user", 'domain = "example.com"\ncontacts_file = "contacts.list"\nend_user')
    problem = problems(write(text))[key]
    assert str(listing) in str(problem)


@pytest.mark.parametrize(
    "bad", ["an n", "a@@c", "a@b c", "<a@b", "a@b;c@d", "sip:", "a\u202e@b", 7, None, {"a": 1}, "x" * 400]
)
def test_one_contact_that_cannot_be_used_is_told_and_left_out(write: Write, bad: object) -> None:
    """The others are watched, among them what RFC 3261 allows in a user, and an e-mail address as a user."""
    write(json.dumps(["joe", bad, "o'neil", "r&d", "rita@mail.example@im.example"]), "contacts.list")
    text = changed("end_user", 'domain = "example.com"\ncontacts_file = "contacts.list"\nend_user')
    config = load(write(text), {})
    others = ("o'neil@example.com", "r&d@example.com", "rita@mail.example@im.example")
    assert config.watch[0].contacts == ("joe@example.com", *others)
    (warning,) = [each for each in config.warnings if "left out" in each]
    assert warning.startswith("watch[0].contacts_file entry 2: expected a user name or user@domain, found ")
    assert warning.isprintable()


def test_contacts_left_out_of_a_block_and_a_group_are_told(write: Write) -> None:
    text = changed('contacts = ["joe@example.com"]', 'contacts = ["joe@example.com", "no good"]')
    config = load(write(text + '[groups.x]\ncontacts = ["joe@example.com", "a@@c"]\n'), {})
    assert (config.watch[0].contacts, config.groups["x"].contacts) == (("joe@example.com",), ("joe@example.com",))
    told = [each.partition(":")[0] for each in config.warnings if each.endswith("; it is left out")]
    assert told == ["watch[0].contacts[1]", "groups.x.contacts[1]"]


def test_a_file_that_is_no_list_is_told_briefly(write: Write, tmp_path: Path) -> None:
    """Ten of its lines, and how many more; bytes that are no text are one mistake."""
    text = changed("end_user", 'contacts_file = "contacts.list"\nend_user')
    write("nonsense\n" * 500, "contacts.list")
    told = problems(write(text))
    assert len(told) == 11
    assert told["watch[0].contacts"].found == "490 more that are none"
    (tmp_path / "contacts.list").write_bytes(b"\xff\xfe\x00")
    assert problems(write(text))["watch[0].contacts_file"].found.endswith("not UTF-8")


def test_a_file_of_contacts_that_cannot_be_read_is_told(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("joe@example.com", "contacts.list")

    def refuse(self: Path, *_args: object, **_kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    text = changed("end_user", 'contacts_file = "contacts.list"\nend_user')
    assert problems(write(text))["watch[0].contacts_file"].found.endswith("Permission denied")


def test_bare_names_in_groups_need_one_domain(write: Write) -> None:
    problem = problems(write(BASE + '[groups.x]\ncontacts = ["joe"]\n'))["groups.x.contacts[0]"]
    assert problem.hint == "set domain in all [[watch]] blocks alike to complete bare names"


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"[server\n", "line 1"), (b"nodes = imp1", "line 1"), (b"\xff\xfe", "position 0")],
)
def test_a_file_that_is_no_toml_is_told_with_the_place(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "pws.toml"
    path.write_bytes(content)
    (problem,) = problems(path).values()
    assert found in problem.found
    assert str(path) in str(problem)


def test_a_file_that_is_missing_or_a_directory_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml")[""].expected == "a configuration file"
    assert "directory" in problems(tmp_path)[""].found


def test_the_cause_of_an_error_carries_no_text_of_the_file(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write('password = "hunter2"\nnonsense'), {})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# Warnings


def test_what_is_risky_is_warned_of(write: Write) -> None:
    text = BASE.replace("http://10.0.0.5:8080", "http://127.0.0.1:5000")
    text = text.replace("[application]", "tls = false\n[application]")
    text += '[groups.x]\ncontacts = ["a@x.y", "b@x.y", "c@x.y", "d@x.y", "JOE@example.com"]\n'
    text = text.replace('password = "hunter2"', "")
    assert load(write(text), {"PWS_APPLICATION__PASSWORD": "x"}).warnings == (
        "server.tls is false: the application user's password travels in the clear",
        "callback.url has port 5000: servers are known that notify the ports 80, 82, 8080 only",
        "callback.url http://127.0.0.1:5000 is, for the server, the server itself: notifications will not arrive",
        "groups.x: nobody watches a@x.y, b@x.y, c@x.y and 1 more",
    )


@pytest.mark.parametrize(("url", "port"), [("http://h", 80), ("https://h", 443), ("http://h:82/p/", 82)])
def test_the_callbacks_port_is_the_schemes_unless_it_is_given(write: Write, url: str, port: int) -> None:
    callback = load(write(changed("http://10.0.0.5:8080", url)), {}).callback
    assert callback.port == port
    assert not callback.url.endswith("/")


def test_one_fingerprint_for_several_nodes_is_warned_of(write: Write) -> None:
    config = load(write(changed("[application]", f'fingerprint = "{"ab" * 32}"\n[application]')), {})
    assert any("server.fingerprint is of one certificate" in warning for warning in config.warnings)


def test_a_certificate_to_check_needs_tls(write: Write) -> None:
    text = changed("[application]", f'tls = false\nfingerprint = "{"ab" * 32}"\n[application]')
    assert problems(write(text))["server.fingerprint"].hint == "there is no certificate to check then"


def test_a_certificate_is_checked_in_one_way(write: Write) -> None:
    write("x", "cup.pem")
    text = changed("[application]", f'ca_file = "cup.pem"\nfingerprint = "{"ab" * 32}"\n[application]')
    assert problems(write(text))["server.fingerprint"].found == "both"


def test_a_server_on_this_machine_is_not_warned_of(write: Write) -> None:
    text = BASE.replace("http://10.0.0.5:8080", "http://localhost:8080").replace(
        "[application]", "tls=false\n[application]"
    )
    environ = {"PWS_SERVER__NODES": "localhost:1,127.0.0.1,[::1]", "PWS_APPLICATION__PASSWORD": "x"}
    assert load(write(text.replace('password = "hunter2"', "")), environ).warnings == ()


# Values made in code


def test_the_values_are_frozen(write: Write) -> None:
    config = load(write(BASE), {})
    with pytest.raises(ValidationError):
        config.http.port = 1


def test_values_made_in_code_are_checked_the_same_way() -> None:
    assert Watch(end_user="d", contacts=("sip:a@b", "A@B")).contacts == ("a@b",)
    with pytest.raises(ValidationError, match="user@domain"):
        Watch(end_user="d", contacts=("a",))
    with pytest.raises(ValidationError, match="a list of contacts"):
        Watch.model_validate({"end_user": "d", "contacts": 7})
    assert isinstance(load(None, ENVIRONMENT), Config)


# Who is free


def test_a_group_says_only_what_differs(write: Write) -> None:
    """Everything else is as in [available], and that is as in the defaults."""
    text = BASE + (
        '\n[available]\nmax_idle = 0\nwrap_up = 20\n[groups.support]\ncontacts = ["joe@example.com"]\n'
        'free_states = ["available", "AWAY"]\ndwell = 3\nnever_activities = ["Lunch"]\n[groups.sales]\n'
    )
    config = load(write(text), {})
    support, sales = (config.groups[name].rule(config.available) for name in ("support", "sales"))
    assert support.states == {PresenceState.AVAILABLE, PresenceState.AWAY}
    assert (support.max_idle, support.wrap_up, support.dwell) == (None, 20.0, 3.0)
    assert support.never == {"lunch"}
    assert sales == config.available.rule() == Rule(max_idle=None, wrap_up=20.0)
    assert load(write(BASE), {}).available.rule() == Rule()


def test_the_environment_sets_availability_too(write: Write) -> None:
    environ = {
        "PWS_AVAILABLE__FREE_STATES": "AVAILABLE,AWAY",
        "PWS_GROUPS__SUPPORT__WRAP_UP": "15",
        "PWS_GROUPS__SUPPORT__CONTACTS": "joe@example.com",
    }
    config = load(write(BASE), environ)
    rule = config.groups["support"].rule(config.available)
    assert rule.states == {PresenceState.AVAILABLE, PresenceState.AWAY}
    assert rule.wrap_up == 15.0


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('free_states = ["UNKNOWN"]', "free_states[0]"),
        ('free_states = "AVAILABLE"', "free_states"),
        ('never_activities = ["on the phone"]', "never_activities[0]"),
        ("max_idle = 0.5", "max_idle"),
        ("dwell = -1", "dwell"),
        ('wrap_up = "soon"', "wrap_up"),
        ("wrapup = 5", "wrapup"),
    ],
)
def test_mistakes_in_a_rule_are_told_with_their_key(write: Write, line: str, key: str) -> None:
    """In the common section and in a group."""
    assert set(problems(write(f"{BASE}\n[available]\n{line}\n"))) == {f"available.{key}"}
    assert set(problems(write(f"{BASE}\n[groups.support]\n{line}\n"))) == {f"groups.support.{key}"}


# The canary

CANARY = """
[canary]
end_user = "{end_user}"
contact = "canary@example.com"
[[watch]]
end_user = "observer"
contacts = [{watched}]
[groups.support]
contacts = [{group}]
"""


def canary(end_user: str = "canary", watched: str = "canary@example.com", group: str = "joe@example.com") -> str:
    """A configuration with a canary."""
    return BASE + CANARY.format(end_user=end_user, watched=f'"{watched}"', group=f'"{group}"')


def test_a_canary_is_watched_and_has_a_session_of_its_own(write: Write) -> None:
    config = load(write(canary()), {})
    assert (config.canary.end_user, config.canary.contact, config.canary.interval) == (
        "canary",
        "canary@example.com",
        300.0,
    )
    assert load(write(BASE), {}).canary.end_user is None


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (canary(end_user="dispatcher"), "canary.end_user", "an end user of its own"),
        (canary(end_user="observer"), "canary.end_user", "an end user of its own"),
        (canary(end_user="pwsapp"), "canary.end_user", "an end user of its own"),
        (canary(watched="rita@example.com"), "canary.contact", "a contact that is watched"),
        (canary(group="sip:Canary@example.com"), "canary.contact", "a contact of no group"),
        (BASE + '[canary]\nend_user = "canary"', "canary.contact", "both end_user and contact"),
        (BASE + '[canary]\ncontact = "canary@example.com"', "canary.end_user", "both end_user and contact"),
    ],
    ids=[
        "of a block",
        "of another block",
        "the application's",
        "not watched",
        "of a group",
        "no contact",
        "no end user",
    ],
)
def test_a_canary_that_would_do_harm_is_a_mistake(write: Write, text: str, key: str, expected: str) -> None:
    """It would share a session with what is fetched, measure nothing, or be given a call."""
    assert {name: problem.expected for name, problem in problems(write(text)).items()} == {key: expected}


# Files


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/", "directory"),
        ("..", "directory"),
        ("a\\u0000b", "NUL"),
        ("~nobody-of-this-name/pws.state.json", "home"),
    ],
)
@pytest.mark.parametrize("key", ["state.file", "server.ca_file", "application.password_file", "watch[0].contacts_file"])
def test_a_path_that_no_file_can_have_is_told(write: Write, key: str, path: str, hint: str) -> None:
    text = {
        "state.file": BASE + f'\n[state]\nfile = "{path}"\n',
        "server.ca_file": changed("[application]", f'ca_file = "{path}"\n[application]'),
        "application.password_file": changed('password = "hunter2"', f'password_file = "{path}"'),
        "watch[0].contacts_file": BASE + f'contacts_file = "{path}"\n',
    }[key]
    found = problems(write(text))
    assert set(found) == {key}
    assert hint in str(found[key])


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("pws.toml", "this configuration"),
        ("./pws.toml", "this configuration"),
        ("contacts.list", "watch[0].contacts_file"),
        ("password", "application.password_file"),
        ("ca.pem", "server.ca_file"),
        ("linked", "server.ca_file"),
    ],
)
def test_the_state_file_must_be_no_file_that_is_only_read(write: Write, name: str, of: str) -> None:
    """The service would set it aside and write its own in its place."""
    write("joe\n", "contacts.list")
    write("hunter2\n", "password")
    write("", "ca.pem").with_name("linked").hardlink_to(write("", "ca.pem"))
    text = changed('password = "hunter2"', 'password_file = "password"').replace(
        "[application]", 'ca_file = "ca.pem"\n[application]'
    )
    found = problems(
        write(f'{text}domain = "example.com"\ncontacts_file = "contacts.list"\n[state]\nfile = "{name}"\n')
    )
    assert set(found) == {"state.file"}
    assert found["state.file"].found == f"that of {of}"
    assert load(write(f'{text}\n[state]\nfile = "pws.state.json"\n'), {}).state.file is not None


# Origins


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://Board.example.com:443/", "https://board.example.com"),
        ("http://board.example.com:80", "http://board.example.com"),
        ("https://board.example.com:8443", "https://board.example.com:8443"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(write: Write, given: str, origin: str) -> None:
    assert load(write(f'{BASE}\n[http]\ncors_origins = ["{given}"]\n'), {}).http.cors_origins == (origin,)


@pytest.mark.parametrize(
    "given",
    ["https://a:0", "https://a:65536", "https://a:", "https://[::1%25eth0]", "https://[::1].b", "https://u@a", "null"],
)
def test_an_origin_that_no_browser_sends_is_told(write: Write, given: str) -> None:
    assert set(problems(write(f'{BASE}\n[http]\ncors_origins = ["{given}"]\n'))) == {"http.cors_origins[0]"}


# What the environment may mean to say


@pytest.mark.parametrize(
    ("name", "makes", "near"),
    [
        ("PWS_GROUPS__SUPORT__CONTACTS", "groups.suport", "PWS_GROUPS__SUPPORT__CONTACTS"),
        ("PWS_GROUPS__SALES__CONTACTS", "groups.sales", ""),
        ("PWS_KEYS__WALL_BOARD__GROUPS", "keys.wall_board", "PWS_KEYS__WALLBOARD__GROUPS"),
    ],
)
def test_a_group_or_key_that_only_the_environment_has_is_told(write: Write, name: str, makes: str, near: str) -> None:
    """A group of one's own is allowed, and a mistyped one would be it."""
    hashed = f"sha256:{'0' * 64}"
    path = write(f'{BASE}\n[groups.Support]\ncontacts = ["joe@example.com"]\n[keys.wallboard]\nhash = "{hashed}"\n')
    more = {"PWS_KEYS__WALL_BOARD__HASH": f"sha256:{'1' * 64}"} if "KEYS" in name else {}
    value = "Support" if "KEYS" in name else "joe@example.com"
    told = [text for text in load(path, {name: value, **more}).warnings if "environment" in text]
    assert len(told) == 1
    assert f"{name} makes {makes}, which {path} does not have" in told[0].replace("HASH", "GROUPS")
    assert told[0].replace("HASH", "GROUPS").endswith(f"; did you mean {near}?") is bool(near)


def test_a_group_that_the_file_has_is_set_in_silence(write: Write) -> None:
    """Without regard to case; and without a file the environment is all there is."""
    path = write(f"{BASE}\n[groups.Support]\n")
    environ = {"PWS_GROUPS__SUPPORT__CONTACTS": "joe@example.com", "PWS_GROUPS__SUPPORT__MIN_FREE": "1"}
    assert not [text for text in load(path, environ).warnings if "environment" in text]
    alone = ENVIRONMENT | environ | {"PWS_WATCH__0__CONTACTS": "joe@example.com"}
    assert load(None, alone).warnings == ()


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_value_in_quotes_is_told(write: Write, quote: str) -> None:
    """Files of variables, such as Docker's, leave them there; a password is not shown for it."""
    environ = {"PWS_APPLICATION__PASSWORD": f"{quote}hunter2{quote}"}
    config = load(write(changed('password = "hunter2"', "")), environ)
    assert config.application.password == Secret(f"{quote}hunter2{quote}")
    told = [text for text in config.warnings if "quotes" in text]
    assert len(told) == 1
    assert told[0].startswith("environment variable PWS_APPLICATION__PASSWORD: its value stands in quotes")
    assert "hunter2" not in str(config.warnings)


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("PWS_SERVER__NODES", '"imp1.example.com"', "server.nodes[0]"),
        ("PWS_SERVER__NODES", "'[\"imp1.example.com\"]'", "server.nodes[0]"),
        ("PWS_HTTP__PORT", '"8080"', "http.port"),
        ("PWS_SERVER__TLS", "'true'", "server.tls"),
        ("PWS_CALLBACK__URL", '"http://10.0.0.5:8080"', "callback.url"),
        ("PWS_WATCH__0__CONTACTS", '"joe@example.com"', "watch[0].contacts[0]"),
        ("PWS_WATCH__0__CONTACTS", '"joe@example.com","rita@example.com"', "watch[0].contacts[0]"),
        ("PWS_GROUPS__SUPPORT__CONTACTS", "'joe@example.com'", "groups.support.contacts[0]"),
        ("PWS_GROUPS", """'{"support": {}}'""", "groups"),
    ],
)
def test_a_value_that_is_wrong_for_its_quotes_is_told_with_them(write: Write, name: str, value: str, key: str) -> None:
    found = problems(write(BASE), {name: value})
    assert "leave them out" in found[key].hint


@pytest.mark.parametrize("value", ['["joe@example.com"]', "joe@example.com", '"', "it's"])
def test_what_only_has_quotes_in_it_stands_in_none(write: Write, value: str) -> None:
    try:
        told = load(write(BASE), {"PWS_WATCH__0__CONTACTS": value}).warnings
    except ConfigError as error:
        told = (str(error),)
    assert "leave them out" not in str(told)


# Below a path


@pytest.mark.parametrize(
    ("given", "path"),
    [("/presence", "/presence"), ("/presence/", "/presence"), ("/a/b-c.d_e~f", "/a/b-c.d_e~f"), ("/", ""), ("", "")],
)
def test_the_path_of_a_proxy_is_taken_without_its_last_slash(write: Write, given: str, path: str) -> None:
    assert load(write(f'{BASE}\n[http]\nroot_path = "{given}"\n'), {}).http.root_path == path
    assert load(write(BASE), {"PWS_HTTP__ROOT_PATH": given}).http.root_path == path


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("presence", "write '/presence'"),
        ("http://a/presence", "the path alone"),
        ("/a//b", "parts"),
        ("//a", "parts"),
        ("/a/../b", "parts"),
        ("/.", "parts"),
        ("/a b", "parts"),
        ("/a%20b", "parts"),
        ("/a?b", "parts"),
        ("/a#b", "parts"),
        ('/a\\"b', "parts"),
        ("/v1", "begin with /v1"),
        ("/docs/x", "begin with /docs"),
        ("/pws", "begin with /pws"),
        ("/dashboard", "begin with /dashboard"),
        ("/openapi.json", "begin with /openapi.json"),
    ],
)
def test_a_path_that_proxies_or_we_would_read_differently_is_told(write: Write, given: str, hint: str) -> None:
    found = problems(write(f'{BASE}\n[http]\nroot_path = "{given}"\n'))
    assert set(found) == {"http.root_path"}
    assert hint in found["http.root_path"].hint
