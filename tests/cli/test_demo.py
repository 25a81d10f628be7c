"""`pws demo`: the whole of it on loopback, in lines, in a terminal, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pws_soap.models import Presence, PresenceState
from service.cli import run
from service.cli.demo import columns, lines, loopback
from service.cli.demo import command as demo
from service.cli.demo.board import Board
from service.cli.demo.scene import Scene
from service.cli.shared import duration, wording
from service.core.clock import ManualClock
from service.core.engine import EngineState, HealthProblem, NotificationCounters, SubscriptionStatus
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Change, Source
from tests.cli.running import Lines, Running, ask
from tests.support.fake_engine import FakeEngine

S = PresenceState
LEFT = "The simulated server is left without session, endpoint or subscription."


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment whose settings of the service are nonsense: the demo heeds none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWS_SERVER__NODES", "not a node")
    monkeypatch.setenv("PWS_CALLBACK__SECRET_FILE", "/nowhere")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


# The whole


@contextmanager
def running(patch: pytest.MonkeyPatch, *words: str, out: Lines | None = None) -> Iterator[Running]:
    """`pws demo` with these words."""
    with Running(patch, demo, ["demo", "--port", "0", *words], out) as command:
        yield command


def test_changes_come_as_lines_and_the_addresses_answer(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    """From the first reading to the clean end, through real sockets; and nothing is written to disk."""
    with running(monkeypatch, "--speed", "600", "--contacts", "12") as command:
        assert "An office of 12 people, 600 times as fast as life" in command.out.until(bool)
        assert re.fullmatch(r"  look at  http://127\.0\.0\.1:\d+/", command.out.until(bool))
        url = command.out.having("/v1/presence?state").split("'")[1].partition("?")[0]
        control = command.out.having("-XPUT").split()[2]
        assert re.match(r"\d\d:\d\d:\d\d\.\d{3}  \w+@example\.com +[A-Z]+ .*first reading", command.out.having("first"))
        command.out.having("; was ")
        assert len(ask(url)["contacts"]) == 12
        ask("http://" + control, "PUT", {"state": "VACATION", "note": "gone"})
        assert command.out.until(lambda line: line.partition("  ")[2].startswith("ann@") and "gone" in line)
        summary = ask(url.replace("presence", "summary"))
        totals = {name: group["total"] for name, group in summary["groups"].items()}
        assert totals == {"support": 6, "sales": 5, "reception": 1}
        assert command.stop() == 0
    assert command.out.all[-1].startswith("Ended after ")
    assert command.out.all[-1].endswith(LEFT)
    assert not list(elsewhere.iterdir())
    assert "/pws/" not in "\n".join([*command.out.all, *command.err.all])


def test_json_is_one_contact_of_the_api_per_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output has changes and nothing else; the addresses and the last line are on standard error."""
    with running(monkeypatch, "--json", "--contacts", "3", "--speed", "1") as command:
        url = command.err.having("/v1/presence?state").split("'")[1].partition("?")[0]
        first = json.loads(command.out.until(bool))
        there = ask(f"{url}/{first['contact']}")
        moment = {"as_of", "freshness", "available", "reason"}
        assert list(there) == list(first)
        assert {key: value for key, value in there.items() if key not in moment} == {
            key: value for key, value in first.items() if key not in moment
        }
    assert all(json.loads(line)["revision"] for line in command.out.all)
    assert command.err.all[-1].endswith(LEFT)


def test_the_health_of_the_service_is_told_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error. The demo mends its server before it takes leave of it."""
    with running(monkeypatch, "--contacts", "2", "--speed", "0.001") as command:
        service = command.out.having("/v1/status").split()[1]
        address = command.out.having("-XPOST").split()[2]
        command.err.having("the service is live")
        ask("http://" + address, "POST", {})
        with pytest.raises(urllib.error.HTTPError, match="503"):
            ask(service.replace("status", "refresh"), "POST")
        command.err.having("does not answer")
    assert command.code == 0
    assert command.out.all[-1].endswith(LEFT)


def test_a_reader_who_leaves_ends_it_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `pws demo | head`: no traceback, a clean simulator."""
    left: list[dict[str, int]] = []
    look = loopback._left

    def seen(*arguments: object) -> dict[str, int]:
        left.append(look(*arguments))  # type: ignore[arg-type]  # whatever it is called with
        return left[-1]

    monkeypatch.setattr(loopback, "_left", seen)
    with running(monkeypatch, out=Lines(breaks_after=9)) as command:
        assert command.wait() == 1
    assert left == [{"sessions": 0, "endpoints": 0, "subscriptions": 0}]
    assert command.err.all[1:] == []


def test_what_is_left_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "_left", lambda _server: {"sessions": 0, "endpoints": 1, "subscriptions": 2})
    with running(monkeypatch, "--for", "0.2") as command:
        assert command.wait() == 1
    assert command.err.all[-1] == "Error: the simulated server was left with 1 endpoints, 2 subscriptions"


def test_the_process_ends_by_itself_after_its_time(elsewhere: Path) -> None:
    """The console script in a pipe: changes, then exit code 0. The one test that takes the time it takes."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pws")), "demo", "--port", "0", "--for", "3s"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(LEFT)
    assert len(re.findall(r"^\d\d:\d\d:\d\d\.\d{3}  ", done.stdout, re.MULTILINE)) > 0
    assert not list(elsewhere.iterdir())


# What is wrong is said


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["demo", "--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"Error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "--port takes another, --port 0 any free one\n"
    )


@pytest.mark.parametrize("text", ["3x", "", "0", "0s", "-5", "1h30m", "s", "1e3", "99999999999"])
def test_a_time_that_is_none_is_refused_with_what_would_do(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", f"--for={text}"]) == 2
    assert f"expected a time such as 30s, 2m, 1h, or seconds as a plain number, got {text!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2m", 120), ("1h", 3600), ("45", 45), ("1.5 M", 90), ("0.2", 0.2)]
)
def test_a_time_is_a_number_with_or_without_a_unit(text: str, seconds: float) -> None:
    assert duration.Duration().convert(text, None, None) == pytest.approx(seconds)
    assert duration.Duration().convert(seconds * 1.0, None, None) == seconds


# The scene


class Stage:
    """A scene whose store and clock the test moves."""

    def __init__(self, contacts: Sequence[str] = ("ann@example.com", "joe@example.com"), limit: int = 100) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.engine = FakeEngine()
        self.scene = Scene(
            self.engine,
            self.store,
            self.clock,
            60.0,
            urls={"who is free": "curl 'http://127.0.0.1:8080/v1/presence?state=AVAILABLE'", "short": "curl http://x"},
            office=lambda: "office time 08:47, 60x",
            limit=limit,
        )
        self.store.watch(contacts, "dispatcher")

    def read(self, *presences: Presence) -> None:
        """The service has fetched these."""
        reading = self.store.begin()
        self.store.put(presences, reading, source=Source.SUBSCRIBED)
        self.store.confirm("dispatcher", reading)
        self.store.trust("dispatcher")

    def is_in(self, state: S, name: str = "ann", **fields: object) -> Presence:
        known = Presence(f"{name}@example.com", state, display_name=f"{name.title()} Example")
        return replace(known, **fields)  # type: ignore[arg-type]  # fields of a presence

    def board(self, changes: Sequence[Change] = (), **status: object) -> Board:
        snapshot = self.scene.snapshot()
        if status:
            snapshot = replace(snapshot, status=replace(snapshot.status, **status))  # type: ignore[arg-type]
        return Board(snapshot, self.scene.urls, changes, "ends with Ctrl-C")


async def test_the_scene_hands_out_changes_in_order_and_once() -> None:
    stage = Stage()
    assert stage.scene.begun
    assert stage.scene.take() == []  # that contacts are watched is no change of theirs
    stage.read(stage.is_in(S.AVAILABLE), stage.is_in(S.BUSY, "joe"))
    stage.read(stage.is_in(S.DND))
    await stage.scene.news()
    assert [(each.record.contact, each.record.state) for each in stage.scene.take()] == [
        ("ann@example.com", S.AVAILABLE),
        ("joe@example.com", S.BUSY),
        ("ann@example.com", S.DND),
    ]
    assert stage.scene.take() == []
    assert stage.scene.changes == 3
    assert stage.scene.snapshot().changes == 3


async def test_without_news_one_looks_again_after_a_while() -> None:
    stage = Stage()
    await stage.scene.news()  # contacts are watched
    await stage.scene.news(0.01)
    assert stage.scene.changes == 0


def test_nobody_hears_of_changes_after_the_end() -> None:
    stage = Stage()
    stage.scene.close()
    stage.read(stage.is_in(S.AVAILABLE))
    assert stage.scene.take() == []


def test_changes_that_nobody_takes_out_are_bounded_and_counted() -> None:
    """The oldest go; what was lost is told."""
    stage = Stage(limit=2)
    for state in (S.AVAILABLE, S.BUSY, S.AWAY):
        stage.read(stage.is_in(state))
    assert [each.record.state for each in stage.scene.take()] == [S.BUSY, S.AWAY]
    assert stage.scene.lost == 1


# Words


def steps(stage: Stage, *presences: Presence) -> list[str]:
    """The lines that these readings make, without the time."""
    for presence in presences:
        stage.read(presence)
    return [lines.line(each)[14:] for each in stage.scene.take()]


def test_a_line_tells_who_how_since_when_and_what_was_before() -> None:
    stage = Stage()
    assert steps(
        stage,
        stage.is_in(S.AVAILABLE),
        stage.is_in(S.BUSY, activities=("busy", "on-the-phone"), on_the_phone=True),
        stage.is_in(S.BUSY, activities=("busy", "meeting"), note="back\x1b[31m\nsoon"),
        stage.is_in(S.AWAY, activities=("away",), idle=True),
    ) == [
        "ann@example.com           AVAILABLE    first reading",
        "ann@example.com           BUSY         on the phone; was AVAILABLE",
        'ann@example.com           BUSY         meeting, "back�[31m soon"',
        "ann@example.com           AWAY         idle; was BUSY",
    ]


@pytest.mark.parametrize(
    ("fields", "long", "short"),
    [
        ({"activities": ("busy", "on-the-phone", "alerting")}, "on the phone, ringing", "phone"),
        ({"on_the_phone": True}, "on the phone", "phone"),
        ({"activities": ("looking-for-work",), "note": "n"}, 'looking for work, "n"', "looking for work"),
        ({"note": "only a note"}, '"only a note"', ""),
        ({"idle": True}, "idle", "idle"),
    ],
)
def test_what_somebody_does_in_many_words_and_in_one(fields: dict[str, object], long: str, short: str) -> None:
    presence = Stage().is_in(S.BUSY, "ann", **fields)
    assert wording.doing(presence) == long
    assert wording.doing(presence, short=True) == short


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (99.9, "99s"), (100, "1m"), (6000, "1h"), (360_000, "4d"), (1e9, "999d")]
)
def test_an_age_fits_into_four_characters(seconds: float, text: str) -> None:
    assert wording.age(seconds) == text
    assert len(text) <= 4


def test_a_name_that_the_encoding_lacks_does_not_stop_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    lines._write(["Hallström"])
    assert raw.getvalue() == b"Hallstr?m\n"


# The picture


def drawn(picture: Board, width: int, height: int, *, color: bool = True, encoding: str = "utf-8") -> list[str]:
    """The picture as a terminal of this size gets it, with nothing beyond its edges."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")
    console = Console(
        file=file, force_terminal=True, width=width, height=height, color_system="standard",
        no_color=not color, _environ={},
    )  # fmt: skip
    console.print(picture, end="")
    file.flush()
    text = raw.getvalue().decode(encoding)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text).removesuffix("\n").split("\n")
    assert len(bare) <= height
    assert all(len(line.rstrip()) <= width for line in bare)
    return bare if not color else [*bare, text]


def crowd(number: int) -> Stage:
    """So many contacts, read one second after the other; the last has changed now."""
    stage = Stage([f"user{each}@example.com" for each in range(number)])
    states = [S.AVAILABLE, S.BUSY, S.DND, S.AWAY, S.UNAVAILABLE, S.VACATION]
    for each in range(number):
        stage.clock.advance(1.0)
        stage.read(
            Presence(
                f"user{each}@example.com",
                states[each % 6],
                display_name=f"Person Number {each}",
                activities=("on-the-phone",) if each % 6 == 1 else (),
                on_the_phone=each % 6 == 1,
            )
        )
    return stage


@pytest.mark.parametrize("width", [10, 15, 20, 33, 38, 40, 61, 79, 80, 100, 120, 160, 200, 400])
@pytest.mark.parametrize("height", [3, 5, 10, 14, 24, 40, 60])
def test_the_picture_fits_into_any_terminal(width: int, height: int) -> None:
    """No line is longer than the terminal and none too many (`drawn` checks), and somebody is always there."""
    stage = crowd(24)
    text = "\n".join(drawn(stage.board(stage.scene.take()), width, height)[:-1])
    if height > 3:
        assert "Pers" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_usual_terminals_show_every_contact_with_state_and_time(width: int, height: int) -> None:
    stage = crowd(24)
    text = "\n".join(drawn(stage.board(stage.scene.take()), width, height)[:-1])
    for number in range(24):
        assert re.search(rf"Person (Num…|Number {number} )", text)
    assert "more, unchanged" not in text
    assert "on the phone" in text
    for command in stage.scene.urls.values():
        assert command in text
    assert " now" in text
    assert " 20s" in text


def test_states_have_a_word_a_mark_and_a_colour() -> None:
    *_, coloured = drawn(crowd(6).board(), 100, 30)
    for mark, word, colour in (("●", "AVAILABLE", "32"), ("◆", "BUSY", "31"), ("○", "AWAY", "33")):
        assert re.search(rf"\x1b\[{colour}m{mark} {word}", coloured)


def test_without_colour_and_with_ascii_only_the_words_are_there() -> None:
    text = "\n".join(drawn(crowd(6).board(), 80, 24, color=False, encoding="ascii"))
    assert "\x1b[3" not in text
    for mark, word in (("+", "AVAILABLE"), ("x", "BUSY"), ("~", "AWAY")):
        assert f"{mark} {word}" in text


def test_a_crowd_that_does_not_fit_shows_who_changed_last() -> None:
    stage = crowd(300)
    text = "\n".join(drawn(stage.board(), 80, 24)[:-1])
    assert "Person Number 299"[:10] in text
    shown = len(re.findall(r"[●◆■○·◇] [A-Z]+ ", text.partition("Name")[2]))
    assert f"and {300 - shown} more, unchanged for longer" in text
    assert shown >= 24


def test_changes_stand_beside_the_contacts_or_below_them() -> None:
    """Where there is room: at the right of a wide terminal, below in a high one."""
    stage = crowd(5)
    changes = stage.scene.take()
    wide = drawn(stage.board(changes), 200, 24)[:-1]
    assert any("Name" in line and "Changed" in line for line in wide)
    high = drawn(stage.board(changes), 100, 40)[:-1]
    assert any(line.startswith("Changed") for line in high)
    assert sum("first reading" in line for line in high) == 5


def test_a_stale_contact_says_so_in_every_width() -> None:
    stage = crowd(3)
    stage.store.doubt("dispatcher", "the server does not answer")
    for width in (40, 70, 120):
        assert "stale" in "\n".join(drawn(stage.board(), width, 24)[:-1])


def test_a_contact_that_was_never_read_is_unknown() -> None:
    text = "\n".join(drawn(Stage().board(), 120, 24)[:-1])
    assert "? UNKNOWN" in text
    assert "unread" in text
    assert "ann@example.com" in text


def test_health_is_a_word_and_what_is_wrong_or_what_goes_on() -> None:
    stage = crowd(3)
    fine = stage.board(
        state=EngineState.LIVE,
        subscriptions=(SubscriptionStatus("imp1", "dispatcher", 1, "live", fetches=7),),
        notifications=NotificationCounters(received=9),
    )
    assert "live: 3 of 3 contacts live, 9 notifications, 7 fetches, 3 changes" in drawn(fine, 120, 24)
    broken = stage.board(
        state=EngineState.DOWN, problems=(HealthProblem(0.0, "imp1\x1b[2J does\nnot answer " + "xxx " * 90),)
    )
    shown = drawn(broken, 100, 30)[:-1]
    assert shown[2].startswith("down: imp1�[2J does not answer xxx")
    assert sum("xxx" in line for line in shown) == 2


def test_blocks_are_as_few_as_show_everybody() -> None:
    assert columns.blocks_for(24, 80, 24) == 1
    assert columns.blocks_for(24, 80, 12) == 2
    assert columns.blocks_for(24, 79, 12) == 2
    assert columns.blocks_for(24, 78, 12) == 1  # two blocks have no room
    assert columns.blocks_for(9999, 200, 10) == 4


# The table in a terminal


async def test_the_table_is_drawn_anew_after_a_change() -> None:
    """The first picture comes at once, the next one after a change, and in the end the terminal is as it was."""
    stage = Stage()
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, height=30, _environ={})
    table = asyncio.create_task(demo._table(stage.scene, console, 30.0))

    async def shows(text: str) -> None:
        async with asyncio.timeout(5):
            while text not in file.getvalue():
                stage.clock.advance(0.1)
                await asyncio.sleep(0)

    await shows("unread")
    assert "ends in 30 s, or with Ctrl-C" in file.getvalue()
    stage.read(stage.is_in(S.VACATION))
    await shows("VACATION")
    table.cancel()
    await asyncio.gather(table, return_exceptions=True)
    assert file.getvalue().startswith("\x1b[?1049h")
    assert "\x1b[?1049l" in file.getvalue()


def test_in_a_terminal_the_last_line_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes a terminal for what it is: a table, and after it one line on the ordinary screen."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    with running(monkeypatch, "--for", "1h", out=Lines(terminal=True)) as command:
        command.out.having("24 of 24 contacts live")
        assert command.stop() == 0
    assert command.out.all[-1].rpartition("\x1b[?1049l")[2].endswith(LEFT)
    assert "\x1b[?1049h" in "\n".join(command.out.all)
    assert command.err.all == ["Starting the simulated server and the service ..."]
