"""The targets of webhooks: what a block may say, and that each mistake is told with its place and without a secret."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import jsonschema_rs
import pytest

from pws_soap.models import PresenceState, Secret
from service.cli.config import listing
from service.config import Config, ConfigError, Problem, in_force, load, schema, secret_values
from service.config.webhook_section import WebhookSection
from service.core.events.names import EVENT_NAMES
from service.core.presence.filters import Filter
from service.core.presence.freshness import Level
from tests.support.configuration import BASE


def whsec(size: int, fill: int = 7) -> str:
    return "whsec_" + base64.b64encode(bytes([fill]) * size).decode()


SECRET: Final = whsec(32)
OLD: Final = whsec(32, 9)
TARGET: Final = f"""
[[webhooks]]
name = "crm"
url = "https://crm.example.com/presence?code=k3y"
secret = "{SECRET}"
"""
Load = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Loads a configuration with these lines more."""

    def read(more: str = TARGET, environ: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "pws.toml"
        path.write_text(BASE + more, "utf-8")
        return load(path, environ or {})

    return read


def problems(read: Load, more: str, environ: Mapping[str, str] | None = None) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        read(more, environ)
    text = str(caught.value)
    assert not any(secret in text for secret in ("hunter2", SECRET, OLD, "k3y")), text
    return {problem.key: problem for problem in caught.value.problems}


def with_line(line: str) -> str:
    return f"{TARGET}{line}\n"


def test_a_target_needs_a_name_an_address_and_a_secret(read: Load) -> None:
    (target,) = read().webhooks
    assert (target.name, str(target.url)) == ("crm", "https://crm.example.com/presence?(hidden)")
    assert target.url.whole().reveal() == "https://crm.example.com/presence?code=k3y"
    assert [secret.reveal() for secret in target.secret] == [SECRET]
    assert (target.events, target.details, target.timeout) == (("change", "removed"), True, 15)
    assert (target.parallel, target.give_up_after, target.addresses, target.ca_file) == (4, 86400, (), None)
    assert target.filter == Filter()
    found = problems(read, "[[webhooks]]\n")
    assert set(found) == {"webhooks[0].name", "webhooks[0].url", "webhooks[0].secret"}
    assert found["webhooks[0].secret"].hint == "set secret_file or PWS_WEBHOOKS__0__SECRET"


def test_there_need_be_none(read: Load) -> None:
    assert read("").webhooks == ()


def test_filters_are_those_of_the_stream(read: Load) -> None:
    lines = """state = ["available", "BUSY"]
activity = ["On-The-Phone"]
group = ["support"]
freshness = ["live"]
available = true
q = "Example"
[groups.support]
contacts = ["joe@example.com"]
"""
    assert read(TARGET + lines).webhooks[0].filter == Filter(
        frozenset({PresenceState.AVAILABLE, PresenceState.BUSY}),
        frozenset({"on-the-phone"}),
        frozenset({"support"}),
        frozenset({Level.LIVE}),
        "example",
        True,
    )


def test_every_event_of_the_log_can_be_sent(read: Load) -> None:
    assert read(with_line(f"events = {json.dumps(EVENT_NAMES)}")).webhooks[0].events == EVENT_NAMES


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ('events = ["changed"]', "events[0]", '"change" or "removed" or "subscription.lost"'),
        ('events = ["snapshot"]', "events[0]", '"change" or "removed"'),
        ("events = []", "events", "at least one of the events"),
        ('events = "change"', "events", "a list of events"),
        ('state = ["FREE"]', "state[0]", '"AVAILABLE" or "BUSY"'),
        ('freshness = ["old"]', "freshness[0]", '"live" or "stale" or "unknown"'),
        ('group = ["sales"]', "group", "groups that exist"),
        ('q = " "', "q", "text of 1 to 200 characters"),
        ('activity = ["meeting"]\ndetails = false', "details", "true for a target with the filter `activity`"),
        ("timeout = 0.5", "timeout", "a number from 1 to 120 seconds"),
        ("parallel = 0", "parallel", "a whole number from 1 to 64"),
        ("give_up_after = 59", "give_up_after", "a number from 60 to 2592000 seconds"),
        ('addresses = ["10.0.0.1/8"]', "addresses[0]", "an address or a network"),
        ('ca_file = "gone.pem"', "ca_file", "a file"),
        ('colour = "red"', "colour", "a key that exists"),
    ],
)
def test_a_wrong_value_is_told(read: Load, line: str, key: str, expected: str) -> None:
    found = problems(read, with_line(line))
    assert list(found) == [f"webhooks[0].{key}"]
    assert found[f"webhooks[0].{key}"].expected.startswith(expected)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "a.b", "é", "x" * 65])
def test_a_name_can_stand_in_a_path(read: Load, name: str) -> None:
    assert list(problems(read, TARGET.replace('"crm"', json.dumps(name)))) == ["webhooks[0].name"]


def test_names_differ(read: Load) -> None:
    found = problems(read, TARGET + TARGET.replace('"crm"', '"CRM"'))
    assert found["webhooks[1].name"].expected == "another name than those above"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("crm.example.com/x", "it begins with https:// and names a host"),
        ("ftp://crm.example.com", "it begins with https:// and names a host"),
        ("https:///x", "it begins with https:// and names a host"),
        ("https://me:k3y@crm.example.com/", "it has no user name and no password: the signature says who sends"),
        ("https://crm.example.com/#top", "it has no fragment (#...), which is never sent"),
        ("https://crm.example.com/a b", "percent-encode what a URL does not have, and write a name in other letters "
         "as xn--"),
        ("https://crm.example.com:0/", "a port is a number from 1 to 65535"),
        ("https://crm.example.com:99999/", ""),
        ("https://[::1/", ""),
        ("http://crm.example.com/?code=k3y", "http:// is for this machine; plain_http = true if everybody on the way "
         "may read the messages"),
        ("http://127.0.0.1.example.com/", "http:// is for this machine; plain_http = true if everybody on the way "
         "may read the messages"),
    ],
)  # fmt: skip
def test_a_wrong_address_is_told_without_what_may_be_secret(read: Load, url: str, hint: str) -> None:
    found = problems(read, TARGET.replace("https://crm.example.com/presence?code=k3y", url))
    assert found["webhooks[0].url"].hint == hint


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/x", "http://[::1]:9/", "http://localhost/", "https://h", "HTTPS://[2001:db8::1]/x?y=%20"],
)
def test_addresses_that_are_taken(read: Load, url: str) -> None:
    found = read(TARGET.replace("https://crm.example.com/presence?code=k3y", url))
    assert found.webhooks[0].url.whole().reveal().startswith(url.lower()[:8])
    assert not [warning for warning in found.warnings if "plain" in warning]


def test_plain_http_to_another_machine_is_said_and_warned_of(read: Load) -> None:
    found = read(with_line("plain_http = true").replace("https://", "http://"))
    assert "webhooks[0] (crm) is sent over plain HTTP: who listens on the way reads it" in found.warnings


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        ("", "an empty one"),
        (SECRET.removeprefix("whsec_"), "one without whsec_ before it"),
        (SECRET + "!", "something that is not base64"),
        (whsec(23), "the base64 of 23 bytes"),
        (whsec(65), "the base64 of 65 bytes"),
        (f"{SECRET} {whsec(8)}", "the base64 of 8 bytes in line 2"),
        ("\\n".join(whsec(24, fill) for fill in range(5)), "5 of them"),
    ],
)
def test_a_wrong_secret_is_told_without_it(read: Load, secret: str, found: str) -> None:
    problem = problems(read, TARGET.replace(SECRET, secret))["webhooks[0].secret"]
    assert problem.found == found
    assert SECRET[6:] not in str(problem)


def test_secrets_may_stand_in_a_file_one_a_line(read: Load, tmp_path: Path) -> None:
    """The rules are those of every other secret."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n{OLD}\n")
    file.chmod(0o600)
    more = TARGET.replace(f'secret = "{SECRET}"', 'secret_file = "secret"')
    config = read(more)
    assert [secret.reveal() for secret in config.webhooks[0].secret] == [SECRET, OLD]
    assert not [warning for warning in config.warnings if "webhooks" in warning]
    assert {SECRET, OLD, "code=k3y"} <= {secret.reveal() for secret in secret_values(config)}
    file.chmod(0o644)
    assert any(warning.startswith("webhooks[0].secret_file: everybody") for warning in read(more).warnings)
    assert any(warning.startswith("webhooks[0].secret is in clear text") for warning in read().warnings)
    both = problems(read, with_line('secret_file = "secret"'))
    assert both["webhooks[0].secret_file"].expected == "either secret or secret_file"
    gone = problems(read, more.replace('"secret"', '"gone"'))
    assert "No such file" in gone["webhooks[0].secret_file"].found


def test_the_environment_sets_each_key_and_makes_blocks(read: Load) -> None:
    environ = {
        "PWS_WEBHOOKS__0__TIMEOUT": "3",
        "PWS_WEBHOOKS__0__ADDRESSES": "10.0.0.0/8,2001:db8::/32",
        "PWS_WEBHOOKS__1__NAME": "esb",
        "PWS_WEBHOOKS__1__URL": "https://esb.example.com",
        "PWS_WEBHOOKS__1__SECRET": SECRET,
    }
    one, two = read(TARGET, environ).webhooks
    assert (one.name, one.timeout) == ("crm", 3)
    assert one.addresses == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert (two.name, str(two.url)) == ("esb", "https://esb.example.com/")
    whole = json.dumps([{"name": "n8n", "url": "https://n8n.example.com", "secret": SECRET}])
    assert [target.name for target in read("", {"PWS_WEBHOOKS": whole}).webhooks] == ["n8n"]
    found = problems(read, "", {"PWS_WEBHOOKS__1__NAME": "esb"})
    assert found["webhooks[1].name"].hint == "they are numbered without a gap"
    found = problems(read, "", {"PWS_WEBHOOKS": "crm"})
    assert found["webhooks"].hint == "single keys are set as PWS_WEBHOOKS__0__URL"


def test_one_bracket_too_few_is_explained(read: Load) -> None:
    problem = problems(read, TARGET.replace("[[webhooks]]", "[webhooks]"))["webhooks"]
    assert (problem.expected, problem.hint) == ("[[webhooks]] blocks", "with two brackets on each side")


def test_no_secret_is_shown(read: Load, tmp_path: Path) -> None:
    config = read()
    settings = in_force(tmp_path / "pws.toml", {})[1]
    shown = [line for line in listing.lines(settings) if line.startswith(("[[webhooks", "url", "secret"))]
    assert [line.split("  ")[0] for line in shown if "10.0.0.5" not in line] == [
        "[[webhooks]]",
        'url = "https://crm.example.com/presence?(hidden)"',
        "secret = (hidden)",
    ]
    document = listing.as_document(config, settings)
    everything = json.dumps(document) + "\n".join(listing.lines(settings)) + repr(config) + str(config)
    assert SECRET[6:] not in everything
    assert "k3y" not in everything
    assert isinstance(document["settings"], list)
    assert {entry["key"]: entry["hidden"] for entry in document["settings"]}["webhooks[0].secret"] is True


def test_the_schema_takes_a_target_and_refuses_what_does_not_load() -> None:
    validator = jsonschema_rs.Draft202012Validator(schema())
    assert validator.is_valid(tomllib.loads(BASE))
    assert validator.is_valid(tomllib.loads(BASE + TARGET))
    for line in ('events = ["changed"]', "timeout = 0.5", 'secret_file = "x"', "parallel = 65"):
        assert not validator.is_valid(tomllib.loads(BASE + with_line(line))), line
    assert not validator.is_valid(tomllib.loads(BASE + TARGET.replace('name = "crm"\n', "")))


def test_values_made_in_code_are_checked_the_same_way() -> None:
    target = WebhookSection(name="crm", url="https://h", secret=(Secret(SECRET), Secret(OLD)))  # type: ignore[arg-type]
    assert [secret.reveal() for secret in target.secret] == [SECRET, OLD]
    again = WebhookSection(name="crm", url=target.url, secret=target.secret)
    assert again == target
