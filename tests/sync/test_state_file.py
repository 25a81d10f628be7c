"""The state file: what is written comes back, and what cannot be read or written harms nobody."""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.client import PwsClient
from pws_soap.lifecycle import UNKNOWN, Memory, Settings
from pws_soap.models import Secret
from service.config import load
from service.core.clock import ManualClock
from service.runtime import assembly
from service.sync import state_file
from service.sync.commands import Credentials
from service.sync.driver import LifecycleDriver
from service.sync.engine import SyncEngine
from service.sync.state_file import StateFile

NODE = "https://imp1.example.com:8083"
PLAIN = "http://imp1.example.com:8082"
OTHER = "https://imp2.example.com:8083"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path / "pws.state.json"


def memory(*nodes: str) -> Memory:
    """Something may be left on these nodes."""
    return Memory(frozenset(nodes or (NODE,)))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said about the state file so far."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


# What is written comes back


def test_what_was_written_is_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nodes, and what is known of others, without a word in the log."""
    for remembered in (memory(), memory(NODE, OTHER), UNKNOWN, Memory(frozenset({NODE}), True, frozenset({OTHER}))):
        StateFile(path).write(remembered)
        assert StateFile(path).read() == remembered
    assert warnings(caplog) == []


def test_no_clock_plays_a_part(path: Path) -> None:
    """What has expired by a clock that was set forward was once taken for gone."""
    StateFile(path).write(memory())
    assert json.loads(path.read_text()).keys() == {"version", "nodes", "unknown", "clean"}
    os.utime(path, (0, 0))
    assert StateFile(path).read() == memory()


def test_a_file_of_the_first_release_is_read(path: Path) -> None:
    """It held ids and times; their nodes are what counts."""
    thing = {"kind": "subscription", "node": NODE, "user": "dispatcher", "id": 7, "expires_at": 1.0}
    doubt = {"node": OTHER, "user": "", "until": 1.0}
    path.write_text(json.dumps({"version": 1, "leftovers": [thing], "doubtful": [doubt]}))
    assert StateFile(path).read() == memory(NODE, OTHER)
    path.write_text(json.dumps({"version": 1, "leftovers": [], "doubtful": []}))
    assert StateFile(path).read() == Memory()


def test_nothing_to_remember_is_remembered(path: Path) -> None:
    """After a clean stop the file says that nothing is left."""
    file = StateFile(path)
    file.write(memory())
    file.write(Memory())
    assert StateFile(path).read() == Memory()


def test_without_a_path_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is a choice, and no warning."""
    monkeypatch.chdir(tmp_path)
    file = StateFile(None)
    file.write(memory())
    assert file.read() == UNKNOWN
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_a_first_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is known, nothing is said, nothing is made."""
    assert StateFile(path).read() == UNKNOWN
    assert warnings(caplog) == []
    assert not path.exists()


def test_only_what_is_needed_to_clean_up_is_in_it(path: Path) -> None:
    """No password, session key or callback path: anybody who adds a key here must think of that."""
    file = StateFile(path)
    file.write(memory())
    file.reserve(5)
    found = json.loads(path.read_text())
    assert found.keys() == {"version", "nodes", "unknown", "clean", "revision_ceiling"}


# How it is written


def test_what_has_not_changed_is_not_written_again(path: Path) -> None:
    """Every step of the lifecycle asks for it; the disk is only used when there is something new."""
    file = StateFile(path)
    file.write(memory())
    path.unlink()
    file.write(memory())
    assert not path.exists()
    file.write(memory(NODE, OTHER))
    assert path.exists()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_it_is_for_its_owner_alone(path: Path, mask: int) -> None:
    """Whatever the umask, and whatever the mode of what lay there before."""
    for old in (path, path.with_name(f".{path.name}.new")):
        old.write_text("{}")
        old.chmod(0o666)
    before = os.umask(mask)
    try:
        StateFile(path).write(memory())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("step", ["dump", "fsync", "replace"])
def test_a_crash_in_the_middle_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Wherever we die before the last step, the next start reads what was there, and can write again."""
    StateFile(path).write(memory())

    def die(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr({"dump": json, "fsync": os, "replace": Path}[step], step, die)
        with pytest.raises(KeyboardInterrupt):
            StateFile(path).write(Memory())
    reborn = StateFile(path)
    assert reborn.read() == memory()
    reborn.write(Memory())
    assert reborn.read() == Memory()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open descriptors are listed by Linux")
def test_a_rename_that_fails_leaves_no_descriptor_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is at every write where a container has mounted the file alone."""

    def busy(_self: Path, _target: Path) -> Path:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    file = StateFile(path)
    file.write(memory())
    monkeypatch.setattr(Path, "replace", busy)
    before = len([*Path("/proc/self/fd").iterdir()])
    for number in range(5):
        file.write(memory(f"https://imp{number}.example.com:8083"))
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_link_in_the_way_is_not_followed(path: Path, tmp_path: Path) -> None:
    """In a directory that others write to, a planted link must not make us overwrite another file."""
    precious = tmp_path / "precious"
    precious.write_text("keep")
    path.with_name(f".{path.name}.new").symlink_to(precious)
    StateFile(path).write(memory())
    assert precious.read_text() == "keep"
    assert StateFile(path).read() == memory()


def test_a_place_that_cannot_be_written_to_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The service goes on; when there is room again it writes, and logs the next failure anew."""
    path = tmp_path / "not yet" / "pws.state.json"
    file = StateFile(path)
    file.write(memory())
    file.write(memory(NODE, OTHER))
    assert len(warnings(caplog)) == 1
    assert f"{path} cannot be written (No such file or directory)" in warnings(caplog)[0]
    path.parent.mkdir()
    file.write(memory(NODE, OTHER))
    assert StateFile(path).read() == memory(NODE, OTHER)
    path.unlink()
    path.parent.rmdir()
    file.write(Memory())
    assert len(warnings(caplog)) == 2


def test_what_cannot_be_written_any_more_is_not_believed_at_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk the file that says "nothing is left" must not outlive what was made since."""
    file = StateFile(path)
    file.write(Memory())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        file.write(memory())
    assert "No space left on device" in warnings(caplog)[0]
    assert StateFile(path).read() == UNKNOWN


def test_a_file_that_cannot_be_written_proves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process before could not write it either: what it says may be old."""
    StateFile(path).write(Memory())

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    for name in ("unlink", "replace"):
        monkeypatch.setattr(Path, name, read_only)
    assert StateFile(path).read() == UNKNOWN


# What cannot be read


def test_a_file_that_cannot_be_opened_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not known to be broken: it stays where it is, and we start without it."""
    path.mkdir()
    assert StateFile(path).read() == UNKNOWN
    assert len(warnings(caplog)) == 1
    assert "cannot be read (Is a directory): starting without it" in warnings(caplog)[0]
    assert path.is_dir()


def valid() -> dict[str, Any]:  # Any: it is JSON, to be spoilt in many ways
    """What a good file holds."""
    return {"version": 2, "nodes": [NODE], "unknown": False, "clean": []}


def test_a_valid_document_is_one(path: Path) -> None:
    """Else the spoilt ones below would prove nothing."""
    path.write_text(json.dumps(valid()))
    assert StateFile(path).read() == memory()


CONTENTS = {
    "empty": b"",
    "cut off": b'{"version": 2, "nodes": [',
    "not UTF-8": b'{"version": "\xff\xfe\xfd"}',
    "zeros, as after a power cut": bytes(512),
    "null": b"null",
    "a list": b"[]",
    "a text": b'"version"',
    "a number": b"1",
    "no version": b"{}",
    "nested too deeply": b"[" * 200_000,
    "a number of 5000 digits": b'{"version": ' + b"9" * 5000 + b"}",
    "nothing but a version": b'{"version": 2}',
    "nothing but the first version": b'{"version": 1}',
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_damaged_file_is_renamed(path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    """With one warning that names both files, and its content is kept."""
    path.write_bytes(content)
    assert StateFile(path).read() == UNKNOWN
    assert len(warnings(caplog)) == 1
    assert f"{path} is damaged" in warnings(caplog)[0]
    assert "renamed to pws.state.json.broken" in warnings(caplog)[0]
    assert path.with_name("pws.state.json.broken").read_bytes() == content
    assert not path.exists()


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": lambda data: data.update(version=3),
    "a version as text": lambda data: data.update(version="2"),
    "nodes are a number": lambda data: data.update(nodes=1),
    "nodes are a text": lambda data: data.update(nodes=NODE),
    "nodes are null": lambda data: data.update(nodes=None),
    "no nodes": lambda data: data.pop("nodes"),
    "a node that is a number": lambda data: data["nodes"].append(1),
    "a node that is null": lambda data: data["nodes"].append(None),
    "a node that is a list": lambda data: data["nodes"].append([]),
    "a node that is endless": lambda data: data["nodes"].append("n" * 1025),
    "unknown is a number": lambda data: data.update(unknown=0),
    "unknown is missing": lambda data: data.pop("unknown"),
    "clean is true": lambda data: data.update(clean=True),
    "clean is a mapping": lambda data: data.update(clean={}),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_what_is_not_ours_is_not_believed(path: Path, spoil: Callable[[dict[str, Any]], object]) -> None:
    """One wrong value, and nothing of the file is used: half a truth could call a node clean that is not."""
    data = copy.deepcopy(valid())
    spoil(data)
    path.write_text(json.dumps(data))
    assert StateFile(path).read() == UNKNOWN
    assert path.with_name("pws.state.json.broken").exists()


def test_a_file_too_large_is_not_read_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even one whose beginning would do: somebody else wrote it."""
    content = json.dumps(valid())
    monkeypatch.setattr(state_file, "_MAX_BYTES", len(content))
    path.write_text(content)
    assert StateFile(path).read() == memory()
    path.write_text(content + "\n")
    assert StateFile(path).read() == UNKNOWN
    assert len(warnings(caplog)) == 1
    assert path.with_name("pws.state.json.broken").exists()


def test_a_broken_file_that_cannot_be_set_aside_is_overwritten(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both are logged, and the service starts."""
    path.write_text("broken")
    path.with_name("pws.state.json.broken").mkdir()
    file = StateFile(path)
    assert file.read() == UNKNOWN
    assert warnings(caplog)[1:] == [f"the state file {path} cannot be renamed: Is a directory"]
    file.write(memory())
    assert StateFile(path).read() == memory()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([NODE, PLAIN, "https://["])
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.fixed_dictionaries({"version": st.just(2), "nodes": inner, "unknown": inner, "clean": inner})
    ),
    max_leaves=10,
)
NODES = st.lists(st.sampled_from([NODE, OTHER, PLAIN]) | SCALARS, max_size=3)
NEARLY_OURS = st.fixed_dictionaries(
    {"version": st.sampled_from([1, 2]), "nodes": NODES, "unknown": st.booleans(), "clean": NODES, "doubtful": NODES}
)


@given(document=DOCUMENTS | NEARLY_OURS)
def test_no_document_whatever_stops_the_start(document: object) -> None:
    """It is read or set aside, and what was believed can be written and read again."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "state.json"
        path.write_text(json.dumps(document))
        file = StateFile(path, frozenset({"https"}))
        found = file.read()
        assert path.exists() != path.with_name("state.json.broken").exists()
        assert all(node.startswith("https://") for node in found.nodes)
        file.write(found)
        assert StateFile(path).read() == found


@given(content=st.binary(max_size=64))
def test_no_bytes_whatever_stop_the_start(content: bytes) -> None:
    """What is no JSON at all is set aside."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "state.json"
        path.write_bytes(content)
        assert StateFile(path).read() == UNKNOWN


# Nodes that are no longer spoken to


def both() -> Memory:
    """Something left over TLS and without it."""
    return memory(NODE, PLAIN)


@pytest.mark.parametrize(("scheme", "node"), [("https", NODE), ("http", PLAIN)])
def test_what_lies_at_nodes_of_another_scheme_is_ignored(
    path: Path, caplog: pytest.LogCaptureFixture, scheme: str, node: str
) -> None:
    """Cleaning up there would mean to log in there: after TLS was switched on, in clear text."""
    StateFile(path).write(both())
    assert StateFile(path, frozenset({scheme})).read() == memory(node)
    assert len(warnings(caplog)) == 1
    assert f"1 of the nodes in the state file {path}" in warnings(caplog)[0]
    assert f"do not use {scheme}," in warnings(caplog)[0]
    assert path.exists()


@pytest.mark.parametrize("schemes", [None, frozenset({"http", "https"})])
def test_all_is_read_where_all_schemes_are_spoken(
    path: Path, caplog: pytest.LogCaptureFixture, schemes: frozenset[str] | None
) -> None:
    """And nothing is said."""
    StateFile(path).write(both())
    assert StateFile(path, schemes).read() == both()
    assert warnings(caplog) == []


@pytest.mark.parametrize("node", ["HTTP://imp1", "imp1.example.com", "", "httpsx://imp1", "https//imp1", "ftp://https"])
def test_a_node_that_is_no_https_address_is_not_taken_for_one(path: Path, node: str) -> None:
    """The scheme is what stands before `://`; we write it in small letters."""
    StateFile(path).write(memory(node))
    assert StateFile(path, frozenset({"https"})).read() == Memory()


def test_a_node_on_a_host_that_is_not_named_is_ignored_with_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To clean up there, the password would be sent there."""
    StateFile(path).write(memory(NODE, OTHER))
    credentials = Credentials("pwsapp", Secret("never sent"), Secret("http://127.0.0.1:8080/pws/secret"))
    driver = LifecycleDriver(Settings((NODE,)), credentials, PwsClient, ManualClock(), StateFile(path))
    assert driver.state.suspected == {NODE}
    assert warnings(caplog) == [
        f"1 of the nodes in the state file {path} are on hosts that server.nodes and server.redirect_to do not name: "
        "they are ignored, and sessions of ours on them stay until they expire"
    ]


@pytest.mark.parametrize("tls", [True, False])
def test_the_service_reads_what_fits_its_configured_nodes(path: Path, tls: bool) -> None:
    """Switching TLS on is enough for nothing to be sent in clear text to where we were before."""
    StateFile(path).write(both())
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
    engine = assembly.assemble(load(config, {}), ManualClock()).engine
    assert isinstance(engine, SyncEngine)
    found = engine.driver.state
    assert found.suspected == {NODE if tls else PLAIN}


# What is not a regular file of ours


def pipe(at: Path) -> None:
    os.mkfifo(at)


def socket_file(at: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(at))


def link(at: Path) -> None:
    at.with_name("precious").write_text("keep")
    at.symlink_to(at.with_name("precious"))


def dangling(at: Path) -> None:
    at.symlink_to(at.with_name("nowhere"))


def loop(at: Path) -> None:
    at.symlink_to(at)


def device(at: Path) -> None:
    try:
        os.mknod(at, 0o600 | stat.S_IFCHR, os.makedev(1, 3))  # as /dev/null
    except PermissionError:
        pytest.skip("only root makes devices")


ODD = [pipe, socket_file, link, dangling, loop, device, Path.mkdir]


@pytest.mark.parametrize("make", ODD)
def test_what_is_no_regular_file_is_neither_read_nor_replaced(
    path: Path, make: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing waits for it either, and nothing is left beside it."""
    make(path)
    before = [(each.name, each.lstat()) for each in sorted(path.parent.iterdir())]
    file = StateFile(path)
    assert file.revision_ceiling() == 0
    assert file.read() == UNKNOWN
    file.write(memory())
    file.reserve(7)
    after = [(each.name, each.lstat()) for each in sorted(path.parent.iterdir())]
    assert [(name, status.st_ino, status.st_mtime_ns) for name, status in after] == [
        (name, status.st_ino, status.st_mtime_ns) for name, status in before
    ]
    assert [text.partition(" (")[0] for text in warnings(caplog)] == [
        f"the state file {path} cannot be read",
        f"the state file {path} cannot be written",
    ]
    assert "errno" not in caplog.text.lower()


@pytest.mark.parametrize("make", [pipe, socket_file, device, Path.mkdir])
@pytest.mark.parametrize("name", [".pws.state.json.new", "pws.state.json.broken"])
def test_what_lies_where_we_would_write_for_a_moment_stays(
    path: Path, make: Callable[[Path], None], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = path.with_name(name)
    make(odd)
    path.write_text("broken")
    before = odd.lstat()
    file = StateFile(path)
    assert file.read() == UNKNOWN
    file.write(memory())
    assert (odd.lstat().st_ino, odd.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert len(warnings(caplog)) == 2
    assert path.exists() is (name == "pws.state.json.broken")


def test_a_full_disk_costs_the_file_and_leaves_no_half_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it said is no longer true, so it goes; when there is room again it is written."""
    file = StateFile(path)
    file.write(memory())

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        file.write(memory(OTHER))
        assert list(path.parent.iterdir()) == []
    assert len(warnings(caplog)) == 1
    assert "cannot be written (No space left on device)" in warnings(caplog)[0]
    file.write(memory(OTHER))
    assert StateFile(path).read() == memory(OTHER)
