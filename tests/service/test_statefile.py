"""The state file: what is written comes back, and what cannot be read or written harms nobody."""

from __future__ import annotations

import copy
import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.lifecycle import Doubt, Kind, Leftover, Memory
from service import assembly, statefile
from service.clock import ManualClock
from service.config import load
from service.statefile import StateFile

NODE = "https://imp1.example.com:8083"
PLAIN = "http://imp1.example.com:8082"
DAY = 86400.0


@pytest.fixture
def clock() -> ManualClock:
    """Wall time and monotonic time that have nothing to do with each other."""
    return ManualClock(now=1_800_000_000.0, monotonic=1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path / "pws.state.json"


def memory(clock: ManualClock, expires_in: float = 3600.0, node: str = NODE) -> Memory:
    """An endpoint, a subscription and a doubtful session."""
    at = clock.monotonic() + expires_in
    return Memory(
        (
            Leftover(Kind.ENDPOINT, node, "", 1, at),
            Leftover(Kind.SUBSCRIPTION, node, "dispatcher", 7, at + 60),
        ),
        (Doubt(node, "supervisor", at + 120),),
    )


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said about the state file so far."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


# What is written comes back


def test_what_was_written_is_read(path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """Kinds, nodes, users, ids and expiries, without a word in the log."""
    StateFile(path, clock).write(memory(clock))
    assert StateFile(path, clock).read() == memory(clock)
    assert warnings(caplog) == []


def test_a_new_process_has_another_monotonic_clock(path: Path, clock: ManualClock) -> None:
    """What had an hour to live and was found ten minutes later has fifty minutes, whatever the machine's uptime is."""
    StateFile(path, clock).write(memory(clock, expires_in=3600))
    reborn = ManualClock(now=clock.now() + 600, monotonic=5.0)
    assert StateFile(path, reborn).read().leftovers[0].expires_at == pytest.approx(5.0 + 3000)


def test_times_are_written_by_the_wall_clock_of_that_moment(path: Path, clock: ManualClock) -> None:
    """After the wall clock was set, what is written fits it: a jump while we run costs nothing."""
    file = StateFile(path, clock)
    file.write(memory(clock))
    clock.jump(-7200)
    file.write(memory(clock, expires_in=1800))
    assert json.loads(path.read_text())["leftovers"][0]["expires_at"] == pytest.approx(clock.now() + 1800)
    assert StateFile(path, clock).read() == memory(clock, expires_in=1800)


def test_a_wall_clock_set_while_we_were_away_shifts_the_expiry_by_as_much(path: Path, clock: ManualClock) -> None:
    """Wall time is all that two processes have in common."""
    StateFile(path, clock).write(memory(clock, expires_in=3600))
    clock.jump(1200)
    assert StateFile(path, clock).read().leftovers[0].expires_at == pytest.approx(clock.monotonic() + 2400)


@pytest.mark.parametrize("jump", [-DAY * 365, -DAY * 2])
def test_nothing_expires_more_than_a_day_ahead(path: Path, clock: ManualClock, jump: float) -> None:
    """A clock that was set back by a year does not make us chase ids for a year."""
    StateFile(path, clock).write(memory(clock))
    clock.jump(jump)
    found = StateFile(path, clock).read()
    ends = [each.expires_at for each in found.leftovers] + [each.until for each in found.doubtful]
    assert ends == [clock.monotonic() + DAY] * 3


def test_nothing_to_remember_is_remembered(path: Path, clock: ManualClock) -> None:
    """After a clean stop the file says that nothing is left."""
    file = StateFile(path, clock)
    file.write(memory(clock))
    file.write(Memory())
    assert StateFile(path, clock).read() == Memory()


def test_without_a_path_nothing_is_kept(clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is a choice, and no warning."""
    monkeypatch.chdir(tmp_path)
    file = StateFile(None, clock)
    file.write(memory(clock))
    assert file.read() == Memory()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_a_first_start(path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is known, nothing is said, nothing is made."""
    assert StateFile(path, clock).read() == Memory()
    assert warnings(caplog) == []
    assert not path.exists()


def test_only_what_is_needed_to_clean_up_is_in_it(path: Path, clock: ManualClock) -> None:
    """No password, session key or callback path: whoever adds a key here must think of that."""
    file = StateFile(path, clock)
    file.write(memory(clock))
    file.reserve(5)
    found = json.loads(path.read_text())
    assert found.keys() == {"version", "leftovers", "doubtful", "revision_ceiling"}
    assert {key for each in found["leftovers"] for key in each} == {"kind", "node", "user", "id", "expires_at"}
    assert {key for each in found["doubtful"] for key in each} == {"node", "user", "until"}


# How it is written


def test_what_has_not_changed_is_not_written_again(path: Path, clock: ManualClock) -> None:
    """Every step of the lifecycle asks for it; the disk is only used when there is something new."""
    file = StateFile(path, clock)
    file.write(memory(clock))
    path.unlink()
    file.write(memory(clock))
    assert not path.exists()
    file.write(memory(clock, expires_in=1800))
    assert path.exists()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_it_is_for_its_owner_alone(path: Path, clock: ManualClock, mask: int) -> None:
    """Whatever the umask, and whatever the mode of what lay there before."""
    for old in (path, path.with_name(f".{path.name}.new")):
        old.write_text("{}")
        old.chmod(0o666)
    before = os.umask(mask)
    try:
        StateFile(path, clock).write(memory(clock))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("step", ["dump", "fsync", "replace"])
def test_a_crash_in_the_middle_leaves_the_old_file(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Wherever we die before the last step, the next start reads what was there, and can write again."""
    StateFile(path, clock).write(memory(clock))

    def die(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr({"dump": json, "fsync": os, "replace": Path}[step], step, die)
        with pytest.raises(KeyboardInterrupt):
            StateFile(path, clock).write(Memory())
    reborn = StateFile(path, clock)
    assert reborn.read() == memory(clock)
    reborn.write(Memory())
    assert reborn.read() == Memory()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_link_in_the_way_is_not_followed(path: Path, clock: ManualClock, tmp_path: Path) -> None:
    """In a directory that others write to, a planted link must not make us overwrite another file."""
    precious = tmp_path / "precious"
    precious.write_text("keep")
    path.with_name(f".{path.name}.new").symlink_to(precious)
    StateFile(path, clock).write(memory(clock))
    assert precious.read_text() == "keep"
    assert StateFile(path, clock).read() == memory(clock)


def test_a_place_that_cannot_be_written_to_is_told_once(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The service goes on; when there is room again it writes, and tells of the next trouble anew."""
    path = tmp_path / "not yet" / "pws.state.json"
    file = StateFile(path, clock)
    file.write(memory(clock))
    file.write(memory(clock, expires_in=1800))
    assert len(warnings(caplog)) == 1
    assert f"{path} cannot be written (No such file or directory)" in warnings(caplog)[0]
    path.parent.mkdir()
    file.write(memory(clock, expires_in=1800))
    assert StateFile(path, clock).read() == memory(clock, expires_in=1800)
    path.unlink()
    path.parent.rmdir()
    file.write(Memory())
    assert len(warnings(caplog)) == 2


# What cannot be read


def test_a_file_that_cannot_be_opened_is_left_alone(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not known to be broken: it stays where it is, and we start without it."""
    path.mkdir()
    assert StateFile(path, clock).read() == Memory()
    assert len(warnings(caplog)) == 1
    assert "cannot be read (Is a directory): starting without it" in warnings(caplog)[0]
    assert path.is_dir()


def valid(clock: ManualClock) -> dict[str, Any]:  # Any: it is JSON, to be spoilt in many ways
    """What a good file holds."""
    thing = {"kind": "subscription", "node": NODE, "user": "dispatcher", "id": 7, "expires_at": clock.now() + 60}
    return {
        "version": 1,
        "leftovers": [thing],
        "doubtful": [{"node": NODE, "user": "", "until": clock.now() + 60}],
    }


def test_a_valid_document_is_one(path: Path, clock: ManualClock) -> None:
    """Else the spoilt ones below would prove nothing."""
    path.write_text(json.dumps(valid(clock)))
    assert len(StateFile(path, clock).read().leftovers) == 1


CONTENTS = {
    "empty": b"",
    "cut off": b'{"version": 1, "leftovers": [',
    "not UTF-8": b'{"version": "\xff\xfe\xfd"}',
    "zeros, as after a power cut": bytes(512),
    "null": b"null",
    "a list": b"[]",
    "a text": b'"version"',
    "a number": b"1",
    "no version": b"{}",
    "nested too deeply": b"[" * 200_000,
    "a number of 5000 digits": b'{"version": ' + b"9" * 5000 + b"}",
    "nothing but a version": b'{"version": 1}',
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_broken_file_is_set_aside(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """With one warning that names both files, and its content kept for whoever wants to know."""
    path.write_bytes(content)
    assert StateFile(path, clock).read() == Memory()
    assert len(warnings(caplog)) == 1
    assert f"{path} is not one of ours" in warnings(caplog)[0]
    assert "set aside as pws.state.json.broken" in warnings(caplog)[0]
    assert path.with_name("pws.state.json.broken").read_bytes() == content
    assert not path.exists()


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": lambda data: data.update(version=2),
    "a version as text": lambda data: data.update(version="1"),
    "leftovers are a number": lambda data: data.update(leftovers=1),
    "leftovers are texts": lambda data: data.update(leftovers=["a"]),
    "doubtful is null": lambda data: data.update(doubtful=None),
    "an unknown kind": lambda data: data["leftovers"][0].update(kind="planet"),
    "a kind without an id": lambda data: data["leftovers"][0].update(kind="application"),
    "a kind that is a list": lambda data: data["leftovers"][0].update(kind=[]),
    "a node that is a number": lambda data: data["leftovers"][0].update(node=1),
    "a user that is null": lambda data: data["doubtful"][0].update(user=None),
    "a node that is endless": lambda data: data["doubtful"][0].update(node="n" * 1025),
    "an id of zero": lambda data: data["leftovers"][0].update(id=0),
    "a negative id": lambda data: data["leftovers"][0].update(id=-1),
    "an id that no xsd:int holds": lambda data: data["leftovers"][0].update(id=2**31),
    "an enormous id": lambda data: data["leftovers"][0].update(id=10**400),
    "an id with a fraction": lambda data: data["leftovers"][0].update(id=1.5),
    "an id that is true": lambda data: data["leftovers"][0].update(id=True),
    "no id": lambda data: data["leftovers"][0].pop("id"),
    "a time as text": lambda data: data["leftovers"][0].update(expires_at="soon"),
    "a time that is true": lambda data: data["leftovers"][0].update(expires_at=True),
    "an infinite time": lambda data: data["leftovers"][0].update(expires_at=float("inf")),
    "a time that is no number": lambda data: data["doubtful"][0].update(until=float("nan")),
    "an enormous time": lambda data: data["leftovers"][0].update(expires_at=10**400),
    "an enormous negative time": lambda data: data["doubtful"][0].update(until=-(10**400)),
    "no time": lambda data: data["doubtful"][0].pop("until"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_what_is_not_ours_is_not_believed(
    path: Path, clock: ManualClock, spoil: Callable[[dict[str, Any]], object]
) -> None:
    """One wrong value, and nothing of the file is used: half a truth could remove somebody else's subscription."""
    data = copy.deepcopy(valid(clock))
    spoil(data)
    path.write_text(json.dumps(data))
    assert StateFile(path, clock).read() == Memory()
    assert path.with_name("pws.state.json.broken").exists()


def test_a_file_too_large_is_not_read_whole(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even one whose beginning would do: somebody else wrote it."""
    content = json.dumps(valid(clock))
    monkeypatch.setattr(statefile, "_MAX_BYTES", len(content))
    path.write_text(content)
    assert len(StateFile(path, clock).read().leftovers) == 1
    path.write_text(content + "\n")
    assert StateFile(path, clock).read() == Memory()
    assert len(warnings(caplog)) == 1
    assert path.with_name("pws.state.json.broken").exists()


def test_a_broken_file_that_cannot_be_set_aside_is_overwritten(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are told, and the service starts."""
    path.write_text("broken")
    path.with_name("pws.state.json.broken").mkdir()
    file = StateFile(path, clock)
    assert file.read() == Memory()
    assert warnings(caplog)[1:] == ["it could not be set aside: Is a directory"]
    file.write(memory(clock))
    assert StateFile(path, clock).read() == memory(clock)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["endpoint", "subscription", "application", NODE, PLAIN, "https://["])
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.fixed_dictionaries({"version": st.just(1), "leftovers": inner, "doubtful": inner})
    ),
    max_leaves=10,
)
ENTRIES = st.lists(
    st.fixed_dictionaries(dict.fromkeys(("kind", "node", "user", "id", "expires_at", "until"), SCALARS)), max_size=2
)
NEARLY_OURS = st.fixed_dictionaries({"version": st.just(1), "leftovers": ENTRIES, "doubtful": ENTRIES})


@given(document=DOCUMENTS | NEARLY_OURS)
def test_no_document_whatever_stops_the_start(document: object) -> None:
    """It is read or set aside, and what was believed can be written and read again."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "state.json"
        path.write_text(json.dumps(document))
        file = StateFile(path, clock, frozenset({"https"}))
        found = file.read()
        assert path.exists() != path.with_name("state.json.broken").exists()
        assert all(each.expires_at <= clock.monotonic() + DAY for each in found.leftovers)
        file.write(found)
        assert len(StateFile(path, clock).read().leftovers) == len(found.leftovers)


@given(content=st.binary(max_size=64))
def test_no_bytes_whatever_stop_the_start(content: bytes) -> None:
    """What is no JSON at all is set aside."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "state.json"
        path.write_bytes(content)
        assert StateFile(path, ManualClock()).read() == Memory()


# Nodes that are no longer spoken to


def both(clock: ManualClock) -> Memory:
    """The same things left over TLS and without it."""
    secure, plain = memory(clock), memory(clock, node=PLAIN)
    return Memory(secure.leftovers + plain.leftovers, secure.doubtful + plain.doubtful)


@pytest.mark.parametrize(("scheme", "node"), [("https", NODE), ("http", PLAIN)])
def test_what_lies_at_nodes_of_another_scheme_is_ignored(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, scheme: str, node: str
) -> None:
    """Cleaning up there would mean to log in there: after TLS was switched on, in clear text."""
    StateFile(path, clock).write(both(clock))
    assert StateFile(path, clock, frozenset({scheme})).read() == memory(clock, node=node)
    assert len(warnings(caplog)) == 1
    assert f"3 of the entries in the state file {path}" in warnings(caplog)[0]
    assert f"not spoken to over {scheme}:" in warnings(caplog)[0]
    assert path.exists()


@pytest.mark.parametrize("schemes", [None, frozenset({"http", "https"})])
def test_all_is_read_where_all_schemes_are_spoken(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, schemes: frozenset[str] | None
) -> None:
    """And nothing is said."""
    StateFile(path, clock).write(both(clock))
    assert StateFile(path, clock, schemes).read() == both(clock)
    assert warnings(caplog) == []


@pytest.mark.parametrize("node", ["HTTP://imp1", "imp1.example.com", "", "httpsx://imp1", "https//imp1", "ftp://https"])
def test_a_node_that_is_no_https_address_is_not_taken_for_one(path: Path, clock: ManualClock, node: str) -> None:
    """The scheme is what stands before `://`; we write it in small letters."""
    StateFile(path, clock).write(memory(clock, node=node))
    assert StateFile(path, clock, frozenset({"https"})).read() == Memory()


@pytest.mark.parametrize("tls", [True, False])
def test_the_service_reads_what_fits_its_configured_nodes(path: Path, clock: ManualClock, tls: bool) -> None:
    """Switching TLS on is enough for nothing to be sent in clear text to where we were before."""
    StateFile(path, clock).write(both(clock))
    text = f"""
        server = {{ nodes = ["imp1.example.com"], tls = {str(tls).lower()} }}
        application = {{ username = "pwsapp", password = "hunter2" }}
        callback = {{ url = "http://10.0.0.5:8080" }}
        state = {{ file = "{path}" }}
        watch = [{{ end_user = "dispatcher", contacts = ["joe@example.com"] }}]
    """
    config = path.with_name("pws.toml")
    config.write_text(text)
    config.chmod(0o600)
    found = assembly.assemble(load(config, {}), clock).engine.keeper.state
    nodes = {each.node for each in found.leftovers} | {each.node for each in found.doubtful}
    assert nodes == {NODE if tls else PLAIN}
