"""Who needs a key, by the configuration; and which configurations are refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from service.access.keys import hash_of, new_key
from service.access.principal import ANYBODY, READER, Principal, Scope
from service.config import Config, ConfigError, load
from service.core.clock import ManualClock
from service.runtime import access_rules
from tests.support.configuration import BASE

HASH = hash_of("pws_" + "k" * 43)
KEY = f'[keys.board]\nhash = "{HASH}"\n'
ANONYMOUS = "[access]\nanonymous_from_anywhere = true\n"
GROUP = '[groups.support]\ncontacts = ["joe@example.com"]\n'


def config(tmp_path: Path, more: str = "", host: str = "127.0.0.1") -> Config:
    path = tmp_path / "pws.toml"
    path.write_text(f'{BASE}\n[http]\nhost = "{host}"\n{more}')
    path.chmod(0o600)
    return load(path, {})


def mistakes(tmp_path: Path, more: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, more)
    assert "sha256:" not in str(caught.value).replace("sha256: and 64", "").replace("such as sha256:...", "")
    return {problem.key: f"{problem.expected}, {problem.found}; {problem.hint}" for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("host", "more", "expected"),
    [
        ("127.0.0.1", "", ANYBODY),
        ("127.8.9.1", "", ANYBODY),
        ("::1", "", ANYBODY),
        ("localhost", "", ANYBODY),
        ("127.0.0.1", KEY, None),
        ("127.0.0.1", KEY + ANONYMOUS, READER),
        ("0.0.0.0", KEY, None),
        ("0.0.0.0", KEY + ANONYMOUS, READER),
        ("0.0.0.0", ANONYMOUS, ANYBODY),
        ("0.0.0.0", "", None),
        ("::", "", None),
        ("10.0.0.5", "", None),
        ("presence.example.com", "", None),
        ("localhost.example.com", "", None),
    ],
)
def test_who_comes_without_a_key(tmp_path: Path, host: str, more: str, expected: Principal | None) -> None:
    found = config(tmp_path, more, host)
    assert access_rules.anonymous(found, host) == expected
    assert bool(access_rules.refusal(found)) == (expected is None and not more)


def test_a_refusal_names_three_ways_out(tmp_path: Path) -> None:
    told = access_rules.refusal(config(tmp_path, host="0.0.0.0"))
    assert "http.host is 0.0.0.0" in told
    assert "pws key new" in told
    assert 'callback.listen_host = "0.0.0.0", callback.listen_port = 8080' in told
    assert "access.anonymous_from_anywhere = true" in told


def test_a_key_becomes_a_principal(tmp_path: Path) -> None:
    more = KEY + 'scopes = ["read", "claim"]\ngroups = ["support"]\ndetails = false\n' + GROUP
    found = config(tmp_path, more)
    assert found.keys["board"].principal("board") == Principal(
        "board", frozenset({Scope.READ, Scope.CLAIM}), frozenset({"support"}), False
    )
    rules = access_rules.rules(found, "127.0.0.1", found.groups)
    assert len(rules.keys) == 1
    assert rules.anonymous is None


def test_a_group_that_the_running_service_does_not_know_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that was limited to it sees nothing then, rather than everything."""
    found = config(tmp_path, KEY + 'groups = ["support"]\n' + GROUP)
    rules = access_rules.rules(found, "127.0.0.1", ())
    (admission,) = rules.keys._known
    assert admission.principal.groups == frozenset()
    assert admission.principal.limited
    assert "keys.board: restart the service for the key to see the new group support" in caplog.text


def test_names_of_ours_are_compared_as_dns_does(tmp_path: Path) -> None:
    path = tmp_path / "pws.toml"
    path.write_text(f'{BASE}\n[http]\nallowed_hosts = ["Presence.Example.com."]\n')
    assert access_rules.rules(load(path, {}), "127.0.0.1", ()).hosts == {"presence.example.com"}


def test_the_limits_are_those_of_the_configuration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    more = "[limits]\nrequests_per_second = 0.5\nburst = 3\nstreams = 2\nstreams_per_client = 1\n"
    authenticator = access_rules.authenticator(config(tmp_path, more), ManualClock())
    with authenticator.slots.take("a"), pytest.raises(Exception, match="limit of 1"), authenticator.slots.take("a"):
        pass
    assert caplog.text == ""


def test_mistakes_about_keys_are_reported_with_their_place(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        KEY
        + 'groups = ["nobody"]\n'
        + f'[keys.same]\nhash = "{HASH.upper().replace("SHA256", "sha256")}"\n'
        + f'[keys.anonymous]\nhash = "{hash_of("x")}"\n'
        + f'[keys."a\\nb"]\nhash = "{hash_of("y")}"\n'
        + GROUP,
    )
    assert found == {
        "keys.board.groups": "groups that exist, 'nobody'; there are: support",
        "keys.same.hash": "another key than those above, the one of keys.board; each key is made with pws key new",
        "keys.anonymous": "another name, 'anonymous'; it is what those are called who have no key",
        "keys.a\nb": "a name that can be read, 'a\\nb'; it stands in the log and in claims",
    }


@pytest.mark.parametrize("key", ["scopes", "groups"])
def test_an_empty_list_does_not_come_to_mean_everything(tmp_path: Path, key: str) -> None:
    """Anybody who takes the last group out of a key does not want it to see all contacts."""
    (told,) = mistakes(tmp_path, f"{KEY}{key} = []\n{GROUP}").items()
    assert told[0] == f"keys.board.{key}"
    assert told[1].startswith(f"at least one of the {key}, an empty list")


@pytest.mark.parametrize(("line", "key"), [('groups = ["support"]', "groups"), ("details = false", "details")])
def test_who_changes_things_sees_them(tmp_path: Path, line: str, key: str) -> None:
    found = mistakes(tmp_path, f'{KEY}scopes = ["read", "admin"]\n{line}\n{GROUP}')
    assert list(found) == [f"keys.board.{key}"]
    assert "make two keys" in found[f"keys.board.{key}"]


def test_a_key_in_the_place_of_its_hash_is_not_shown(tmp_path: Path) -> None:
    key = new_key().reveal()
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, f'[keys.board]\nhash = "{key}"\n')
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        'listen_host = "0.0.0.0"',
        "listen_port = 8080",
        'listen_host = "::"\nlisten_port = 8080',
        'listen_host = "127.0.0.1"',
    ],
)
def test_two_listeners_need_two_ports(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "pws.toml"
    path.write_text(BASE.replace("[[watch]]", f"{lines}\n[[watch]]"))
    with pytest.raises(ConfigError, match=r"callback\.listen_port: expected another port than http\.port, found 8080"):
        load(path, {})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('listen_host = "10.0.0.5"', ("10.0.0.5", 8080)),
        ("listen_port = 82", ("127.0.0.1", 82)),
        ('listen_host = "10.0.0.5"\nlisten_port = 82', ("10.0.0.5", 82)),
        ("listen_port = 0", ("127.0.0.1", 0)),
    ],
)
def test_where_notifications_are_listened_for(tmp_path: Path, lines: str, expected: tuple[str, int]) -> None:
    """What is not said is as for the API, or as in the URL."""
    path = tmp_path / "pws.toml"
    path.write_text(BASE.replace("[[watch]]", f"{lines}\n[[watch]]"))
    found = load(path, {})
    assert found.callback.is_apart
    assert found.callback.listener(found.http) == expected


@pytest.mark.parametrize(
    ("host", "more", "warned"),
    [
        ("127.0.0.1", ANONYMOUS, ""),
        ("0.0.0.0", ANONYMOUS, "anybody who reaches 0.0.0.0 may read everybody's presence and change what is watched"),
        ("0.0.0.0", ANONYMOUS + KEY, "anybody who reaches 0.0.0.0 may read everybody's presence"),
    ],
)
def test_letting_everybody_in_is_warned_of(tmp_path: Path, host: str, more: str, warned: str) -> None:
    found = [each for each in config(tmp_path, more, host).warnings if each.startswith("access.")]
    assert found == ([f"access.anonymous_from_anywhere is true: {warned}"] if warned else [])
