"""Revisions ascend over restarts, whatever the clock does and however a run ends."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.lifecycle import Memory
from service.config import load
from service.core.clock import ManualClock
from service.core.presence.memory_store import MemoryStore
from service.runtime import assembly
from service.sync.revisions import BLOCK, HIGHEST, INTERVAL, Revisions, first
from service.sync.state_file import StateFile

NOW = 1_800_000_000.0
LEFT = Memory(frozenset({"https://imp1.example.com:8083"}))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now=NOW, monotonic=1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pws.state.json"


def ceiling_in(path: Path) -> object:
    return json.loads(path.read_text()).get("revision_ceiling")


def test_without_a_file_a_run_begins_at_the_clock(clock: ManualClock) -> None:
    revisions = Revisions(StateFile(None), clock)
    assert revisions.start == int(NOW * 1e6)
    revisions.reserve(revisions.start)
    revisions.settle(revisions.start + 5)


def test_the_ceiling_is_written_before_the_first_revision(path: Path, clock: ManualClock) -> None:
    """And what else the file holds stays in it."""
    StateFile(path).write(LEFT)
    file = StateFile(path)
    revisions = Revisions(file, clock)
    assert file.read() == LEFT
    assert ceiling_in(path) is None
    revisions.reserve(revisions.start)
    assert ceiling_in(path) == revisions.start + BLOCK
    assert StateFile(path).read() == LEFT


def test_what_the_lifecycle_writes_keeps_the_ceiling(path: Path, clock: ManualClock) -> None:
    file = StateFile(path)
    file.reserve(BLOCK)
    file.write(LEFT)
    assert ceiling_in(path) == BLOCK
    assert StateFile(path).revision_ceiling() == BLOCK


def test_a_clean_stop_writes_the_highest_one(path: Path, clock: ManualClock) -> None:
    """The next run continues there where the clock was set back, and at the clock where it was not."""
    revisions = Revisions(StateFile(path), clock)
    revisions.reserve(revisions.start)
    revisions.settle(revisions.start + 17)
    assert ceiling_in(path) == revisions.start + 17
    clock.jump(-7200)
    assert Revisions(StateFile(path), clock).start == revisions.start + 18
    clock.jump(7300)
    assert Revisions(StateFile(path), clock).start == int(clock.now() * 1e6)


def test_after_a_kill_a_run_begins_above_the_whole_block(path: Path, clock: ManualClock) -> None:
    revisions = Revisions(StateFile(path), clock)
    revisions.reserve(revisions.start)
    clock.jump(-7200)
    assert Revisions(StateFile(path), clock).start == revisions.start + BLOCK + 1


async def test_room_is_made_again_while_it_runs(path: Path, clock: ManualClock) -> None:
    """Before half a block is used up nothing is written."""
    file = StateFile(path)
    revisions = Revisions(file, clock)
    revisions.reserve(revisions.start)
    store = MemoryStore(clock, revision=revisions.start)
    keeping = asyncio.create_task(revisions.keep_reserved(store))
    await clock.run(INTERVAL)
    assert ceiling_in(path) == revisions.start + BLOCK
    store._revision += BLOCK // 2 + 1  # a run of years
    await clock.run(INTERVAL)
    assert ceiling_in(path) == store.revision + BLOCK
    keeping.cancel()


def test_a_file_of_the_version_before_is_read(path: Path, clock: ManualClock) -> None:
    path.write_text(json.dumps({"version": 1, "leftovers": [], "doubtful": []}))
    file = StateFile(path)
    assert Revisions(file, clock).start == int(NOW * 1e6)
    assert file.read() == Memory()
    assert path.exists()


def test_an_unwritable_place_is_logged_once_and_tried_again(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the clock remains there."""
    path = tmp_path / "not yet" / "state.json"
    revisions = Revisions(StateFile(path), clock)
    assert revisions.start == int(NOW * 1e6)
    revisions.reserve(revisions.start)
    revisions.reserve(revisions.start)
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1
    path.parent.mkdir()
    revisions.reserve(revisions.start + 1)
    assert ceiling_in(path) == revisions.start + 1 + BLOCK


HOSTILE = [-1, 1.5, "1", None, True, [], {}, 2**53 + 1, 10**400, float("inf"), float("nan")]


@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_a_ceiling_that_is_none_is_not_believed(
    value: object, path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the file is: what is left at the server has nothing to do with it."""
    StateFile(path).write(LEFT)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"revision_ceiling": value}))
    file = StateFile(path)
    assert Revisions(file, clock).start == int(NOW * 1e6)
    assert "is not a number from 0 to 2**53: event ids start from the clock" in caplog.text
    assert file.read() == LEFT


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 200_000, b'{"revision_ceiling"'])
def test_a_broken_file_is_no_ceiling(content: bytes, path: Path, clock: ManualClock) -> None:
    path.write_bytes(content)
    assert Revisions(StateFile(path), clock).start == int(NOW * 1e6)


@given(now=st.floats(-1e12, 1e18), ceiling=st.integers(0, HIGHEST))
def test_no_revision_is_ever_above_what_javascript_counts(now: float, ceiling: int) -> None:
    """With room for a run of any length."""
    start = first(now, ceiling)
    assert 0 <= start <= HIGHEST - 1000 * BLOCK
    assert start > ceiling or ceiling >= HIGHEST - 1000 * BLOCK


STEPS = st.sampled_from(["before", "dump", "fsync", "replace", "after"])


@given(
    runs=st.lists(
        st.tuples(st.floats(-(10**5), 10**5), st.lists(st.integers(1, BLOCK // 3), max_size=4), st.booleans(), STEPS),
        min_size=2,
        max_size=5,
    )
)
def test_revisions_ascend_over_all_runs(runs: list[tuple[float, list[int], bool, str]]) -> None:
    """Each with a clock of its own, ended cleanly or killed, also in the middle of a write."""

    class Killed(BaseException):
        pass

    highest = -1
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "state.json"
        for shift, uses, clean, step in runs:
            clock = ManualClock(now=NOW + shift, monotonic=1.0)
            file = StateFile(path)
            revisions = Revisions(file, clock)
            file.read()
            used = revisions.start
            revisions.reserve(used)
            for use in uses:
                assert used + 1 > highest
                highest = used = used + use
                revisions.reserve(used)
            if clean:
                revisions.settle(used)
                continue
            killing = {"dump": "json.dump", "fsync": "os.fsync", "replace": "pathlib.Path.replace"}.get(step)
            if killing is None:
                continue
            with mock.patch(killing, side_effect=Killed), pytest.raises(Killed):
                file.reserve(used + 2 * BLOCK)


async def test_the_service_begins_above_and_answers_an_old_id_with_a_snapshot(path: Path, clock: ManualClock) -> None:
    """An id of the run before is none of this run's list: to resume from it would be to say nothing of what changed."""
    config_path = path.with_name("pws.toml")
    config_path.write_text(
        f"""
        server = {{ nodes = ["imp1.example.com"] }}
        application = {{ username = "pwsapp", password = "hunter2" }}
        callback = {{ url = "http://10.0.0.5:8080" }}
        state = {{ file = "{path}" }}
        watch = [{{ end_user = "dispatcher", contacts = ["joe@example.com"] }}]
        """
    )
    config_path.chmod(0o600)
    config = load(config_path, {})
    StateFile(path).reserve(int(NOW * 1e6) + 500)
    clock.jump(-7200)
    made = assembly.assemble(config, clock)
    assert made.store.revision == int(NOW * 1e6) + 501
    assert made.core.log.since(int(NOW * 1e6) + 500) is None
