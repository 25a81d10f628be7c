"""`pws key new`: shown once, and the section with which the service knows it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from service.access.keys import hash_of
from service.cli.command_line import run
from service.config import load
from tests.support.configuration import BASE

Capture = pytest.CaptureFixture[str]


def made(capsys: Capture, *words: str) -> tuple[str, str]:
    """The key and the section, from what a person sees."""
    assert run(["key", "new", *words]) == 0
    out, err = capsys.readouterr()
    (key,) = re.findall(r"^    (pws_[A-Za-z0-9_-]{43})$", out, re.MULTILINE)
    assert out.count(key) == 1
    assert key not in err
    return key, out[out.index("[keys.") :]


def test_the_section_makes_the_key_valid(capsys: Capture, tmp_path: Path) -> None:
    key, section = made(capsys, "--name", "wallboard", "--group", "support", "--no-details")
    assert key not in section
    path = tmp_path / "pws.toml"
    path.write_text(f'{BASE}[groups.support]\ncontacts = ["joe@example.com"]\n{section}', "utf-8")
    found = load(path, {}).keys["wallboard"]
    assert found.hash == hash_of(key)
    assert (found.scopes, found.groups, found.details) == (("read",), ("support",), False)


def test_each_key_is_another_and_has_a_name(capsys: Capture) -> None:
    keys = [made(capsys) for _ in range(3)]
    assert len({key for key, _ in keys}) == 3
    names = [re.match(r"\[keys\.(key-[0-9a-f]{6})\]", section) for _, section in keys]
    assert len({name[1] for name in names if name}) == 3


def test_scopes_are_as_given_each_once(capsys: Capture) -> None:
    _, section = made(capsys, "--scope", "claim", "--scope", "READ", "--scope", "claim")
    assert 'scopes = ["claim", "read"]' in section


@pytest.mark.parametrize("group", ["Süd", 'a "b" \\ c', "a\x7fb"])
def test_a_group_is_written_as_toml_reads_it(capsys: Capture, group: str) -> None:
    _, section = made(capsys, "--name", "x", "--group", group, "--group", group)
    assert tomllib.loads(section)["keys"]["x"]["groups"] == [group]


def test_json_is_one_document(capsys: Capture) -> None:
    assert run(["key", "new", "--json", "--name", "router", "--scope", "admin"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["hash"] == hash_of(document["key"])
    assert (document["name"], document["scopes"], document["groups"], document["details"]) == (
        "router",
        ["admin"],
        [],
        True,
    )
    assert tomllib.loads(document["section"])["keys"]["router"]["hash"] == document["hash"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scope", "everything"], "'read', 'claim', 'admin'"),
        (["--name", "two words"], "letters, digits"),
        (["--name", ""], "letters, digits"),
        (["--name", "anonymous"], "another name"),
        (["--group", " "], "expected the name of a group"),
        (["--scope", "admin", "--group", "support"], "make two keys"),
        (["--scope", "admin", "--no-details"], "make two keys"),
        (["extra"], "extra"),
    ],
)
def test_wrong_words_end_with_2_and_make_no_key(capsys: Capture, words: list[str], told: str) -> None:
    assert run(["key", "new", *words]) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert "pws_" not in out + err
