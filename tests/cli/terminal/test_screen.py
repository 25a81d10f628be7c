"""The table of `pws watch`: what it shows at any size, its keys, and that it never claims more than it knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Input

from service.cli.shared.api import ServiceRefused
from service.cli.terminal import columns
from service.cli.terminal.bars import Caption
from service.cli.terminal.contact import ShownContact, read
from service.cli.terminal.contact_list import ContactList
from service.cli.terminal.follow import Connected, ConnectionLost, Health, StreamEvent, Update
from service.cli.terminal.picture import Picture
from service.cli.terminal.screen import WatchApp
from service.core.clock import ManualClock
from service.core.presence.freshness import Level
from tests.cli.streaming import contact

NOW = "2026-11-21T10:00:00.000Z"
LIVE = Health("live", (), None, 3, (("sales", 1, 2), ("support", 1, 1)))


def snapshot(*contacts: object) -> StreamEvent:
    return StreamEvent("snapshot", 10, {"contacts": list(contacts), "reason": "start"})


def change(**fields: object) -> StreamEvent:
    return StreamEvent("change", 11, contact(**fields))  # type: ignore[arg-type]  # fields of a contact


OFFICE = snapshot(
    contact("ann", "AVAILABLE"),
    contact("joe", "BUSY", activities=["busy", "on-the-phone"], on_the_phone=True, reason="support: on the phone"),
    contact("rita", "AWAY", freshness="stale", as_of="2026-11-21T09:59:00.000Z"),
)


class Show:
    """The running program, and its lines as they are on the screen."""

    def __init__(self, app: WatchApp, pilot: Pilot[None], queue: asyncio.Queue[Update | Exception]) -> None:
        self.app = app
        self.pilot = pilot
        self._queue = queue

    async def tell(self, *updates: Update | Exception) -> None:
        """These happen, and are shown."""
        for update in updates:
            self._queue.put_nowait(update)
        while not self._queue.empty():
            await self.pilot.pause()
        await self.pilot.pause()
        if self.app.is_running:
            self.app._draw()
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def lines(self) -> list[str]:
        """The screen's lines."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        lines = ["".join(segment.text for segment in strip).rstrip() for strip in strips]
        assert len(lines) <= height
        assert all(len(line) <= width for line in lines)
        return lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def names(self) -> list[str]:
        """Who is listed, from top to bottom."""
        return [line.split()[0] for line in self.lines if " Example" in line]


@asynccontextmanager
async def shown(
    *updates: Update,
    size: tuple[int, int] = (120, 24),
    asked: list[str | None] | None = None,
    caption: Caption | None = None,
) -> AsyncGenerator[Show, None]:
    """The program after these updates."""
    queue: asyncio.Queue[Update | Exception] = asyncio.Queue()

    async def follow() -> AsyncGenerator[Update, None]:
        while True:
            update = await queue.get()
            if isinstance(update, Exception):
                raise update
            yield update

    def anew(group: str | None) -> AsyncGenerator[Update, None]:
        if asked is not None:
            asked.append(group)
        return follow()

    picture = Picture(ManualClock(read(contact()).as_of or 0.0))
    app = WatchApp("http://127.0.0.1:8080", picture, anew, (Connected(), follow()), caption or Caption())
    async with app.run_test(size=size) as pilot:
        show = Show(app, pilot, queue)
        await show.tell(*updates)
        yield show


async def test_a_contact_has_a_word_a_mark_and_how_sure_it_is() -> None:
    async with shown(OFFICE, LIVE) as show:
        text = show.text
        assert "pws watch  connected, live  http://127.0.0.1:8080" in text
        assert "3 contacts  1 free  1 not sure  ● 1 AVAILABLE  ◆ 1 BUSY  ○ 1 AWAY" in text
        ann, joe, rita = (line for line in show.lines if " Example" in line)
        assert "● AVAILABLE" in ann
        assert ann.split()[-2:] == ["free", "live"]
        assert "◆ BUSY" in joe
        assert "on the phone" in joe
        assert "no: support: on the" in joe
        assert "79s  not sure" in rita
        assert "stale 60s" in rita


async def test_without_a_connection_nothing_is_sure() -> None:
    """In words that cannot be missed; and back again."""
    async with shown(OFFICE, LIVE, ConnectionLost("connection refused", 4.0)) as show:
        assert show.lines[0].startswith(" NOT CONNECTED since ")
        assert "connection refused. Nothing below is sure. Next try in 4 s." in show.lines[0]
        assert "? free  3 not sure" in show.text
        assert show.text.count("not sure") == 4
        assert " live" not in show.text
        assert "sales ?/2 free" in show.text
        await show.tell(Connected())
        assert "NOT CONNECTED" not in show.text
        assert "sales 1/2 free" in show.text
        assert "1 free" in show.text


async def test_what_is_wrong_with_the_service_stands_at_the_top() -> None:
    problems = ((None, "imp1 does not answer"), (None, "another"))
    async with shown(OFFICE, Health("degraded", problems, None)) as show:
        assert show.lines[0] == " DEGRADED: imp1 does not answer (and 1 more)"
        banner = show.app.query_one("#banner")
        assert banner.display
        await show.tell(Health("down", (), None))
        assert show.lines[0].startswith(" DOWN: the service gives no reason")
        await show.tell(LIVE)
        assert not banner.display


@pytest.mark.parametrize("size", [(40, 10), (20, 5), (10, 3), (30, 24), (59, 15), (80, 24), (120, 40), (200, 60)])
async def test_it_fits_into_any_terminal(size: tuple[int, int]) -> None:
    """Somebody is always to be seen, also below the alarm."""
    async with shown(OFFICE, LIVE, size=size) as show:
        assert "Ann" in show.text or size[1] < 4
        await show.tell(ConnectionLost("connection refused", 3.0))
        assert "NOT" in show.text
        await show.press("question_mark")
        assert show.lines
        await show.press("escape")
        assert "Ann" in show.text or size[1] < 8


async def test_finding_as_one_types() -> None:
    """In names, states and activities; Enter keeps it, Esc ends it."""
    async with shown(OFFICE, LIVE) as show:
        await show.press("slash", "p", "h", "o")
        assert show.names == ["Joe"]
        assert "1 of 3" in show.text
        await show.press("enter")
        assert show.names == ["Joe"]
        assert "find: pho" in show.lines[-1]
        await show.press("slash", "x", "q")
        assert show.names == []
        assert "Nobody has 'xq'. Esc shows everybody." in show.text
        await show.press("escape")
        assert show.names == ["Ann", "Joe", "Rita"]
        assert not show.app.query_one("#search", Input).display


async def test_orders_and_views() -> None:
    late = contact("zoe", "AVAILABLE", changed_at=NOW)
    early = contact("bob", "AVAILABLE", changed_at="2026-11-21T08:00:00.000Z")
    claim = {"id": "c", "group": "g", "for": "ticket 4711", "holder": "crm", "expires_at": NOW}
    held = contact("kim", "AVAILABLE", available=False, reason="claimed", claim=claim)
    people = snapshot(late, early, held, contact("dan", "DND", freshness="stale"))
    async with shown(people, LIVE) as show:
        assert show.names == ["Bob", "Dan", "Kim", "Zoe"]
        await show.press("S")
        assert show.names == ["Zoe", "Kim", "Dan", "Bob"]
        await show.press("S", "s")
        assert show.names == ["Bob", "Kim", "Zoe", "Dan"]  # by state
        await show.press("s")
        assert show.names[0] == "Zoe"  # who changed last
        await show.press("s")
        assert show.names[:2] == ["Bob", "Zoe"]  # free for longest
        await show.press("v")
        assert show.names == ["Bob", "Zoe"]
        await show.press("v")
        assert show.names == ["Kim"]
        assert "held, 0s left: crm" in show.text
        await show.press("v")
        assert show.names == ["Dan"]
        await show.press("escape")
        assert len(show.names) == 4


async def test_groups_are_asked_of_the_service() -> None:
    """Since its rule says who is free there; the last one leads back to how it was."""
    asked: list[str | None] = []
    async with shown(OFFICE, LIVE, asked=asked) as show:
        assert "all    sales 1/2 free    support 1/1 free" in show.text
        await show.press("g")
        assert asked == ["sales"]
        assert "Waiting for the contacts" in show.text
        await show.tell(Connected(), snapshot(contact("zoe")))
        assert show.names == ["Zoe"]
        await show.press("G", "G")
        assert asked == ["sales", None, "support"]


async def test_all_about_somebody_and_the_help() -> None:
    async with shown(OFFICE, LIVE) as show:
        await show.press("down", "down", "enter")
        assert "joe@example.com" in show.text
        assert "devices    cmp-8001-162" in show.text
        await show.tell(change(name="joe", state="DND", note="Not now"))
        assert '"Not now"' in show.text
        await show.press("escape", "question_mark")
        assert "who is free, who is held, who is not sure" in show.text
        await show.press("q")
        assert show.names == ["Ann", "Joe", "Rita"]


async def test_the_cursor_stays_with_its_contact() -> None:
    async with shown(OFFICE, LIVE) as show:
        await show.press("down", "down")
        await show.tell(StreamEvent("change", 12, contact("bea", "BUSY")))
        assert show.app.query_one(ContactList).cursor == "joe@example.com"
        await show.press("end")
        assert show.app.query_one(ContactList).cursor == "rita@example.com"


async def test_an_event_about_the_service_is_shown() -> None:
    lost = StreamEvent("subscription.lost", 12, {"end_user": "dispatcher", "node": "imp1", "reason": "code 133"})
    async with shown(OFFICE, LIVE, lost) as show:
        assert "subscription.lost dispatcher at imp1 (code 133)" in show.text


async def test_a_key_that_sees_no_details_gets_other_columns() -> None:
    brief = {"contact": "ann@example.com", "display_name": "Ann Example", "available": True, "freshness": "live"}
    async with shown(snapshot(brief), LIVE) as show:
        assert show.names == ["Ann"]
        assert "State" not in show.text
        assert "free" in show.text


async def test_control_characters_and_markup_are_text() -> None:
    async with shown(snapshot(contact("ann", display_name="[red]A\x1b[2J Example")), LIVE) as show:
        assert "[red]A\ufffd[2J Example" in show.text


CAPTION = Caption(
    "pws demo",
    lambda: "office time 08:52",
    {"who is free": "curl 'http://127.0.0.1:8080/v1/presence?state=AVAILABLE'", "short": "curl http://x"},
)


@pytest.mark.parametrize(("size", "hints"), [((120, 30), 2), ((120, 21), 1), ((120, 20), 0), ((60, 30), 1)])
async def test_commands_to_try_are_shown_whole_or_not_at_all(size: tuple[int, int], hints: int) -> None:
    """As many as there are lines for beyond twenty; the contacts come first."""
    async with shown(OFFICE, LIVE, size=size, caption=CAPTION) as show:
        assert show.lines[0].startswith("pws demo  connected")
        assert sum(hint in show.text for hint in CAPTION.hints.values()) == hints
        assert len(show.names) == 3


async def test_the_help_has_all_commands_to_try() -> None:
    async with shown(OFFICE, LIVE, caption=CAPTION) as show:
        assert "office time 08:52" in show.lines[0]
        await show.press("question_mark")
        assert "Commands to try" in show.text
        assert "curl http://x" in show.text


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_it_ends(key: str) -> None:
    async with shown(OFFICE) as show:
        await show.press(key)
        assert not show.app.is_running or show.app._exit


async def test_a_refusal_later_on_ends_it_with_the_reason() -> None:
    async with shown(OFFICE) as show:
        await show.tell(ServiceRefused("the key is gone"))
        assert str(show.app.failure) == "the key is gone"


async def test_of_five_thousand_contacts_only_those_in_sight_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    people = [contact(f"p{number}", ["BUSY", "AVAILABLE"][number % 2]) for number in range(5000)]
    async with shown(snapshot(*people), LIVE) as show:
        assert "5000 contacts  2500 free" in show.text
        drawn: list[ShownContact] = []
        draw = show.app._line

        def counted(seen: ShownContact) -> Text:
            drawn.append(seen)
            return draw(seen)

        monkeypatch.setattr(show.app.query_one(ContactList), "_draw", counted)
        show.app._draw()
        await show.press("down")
        assert 0 < len(drawn) < 200
        await show.press("end")
        assert show.names[-1] == "P999"


@pytest.mark.parametrize("details", [True, False])
def test_columns_fill_what_there_is_and_no_more(details: bool) -> None:
    seen = read(contact("ann", "UNAVAILABLE", note="a note that is much too long for any terminal " * 5))
    for width in range(3, 220):
        layout = columns.layout(width, details=details)
        row = layout.row(columns.Cell(seen, Level.LIVE, 0.0, plain=False))
        assert row.cell_len == layout.titles().cell_len
        assert row.cell_len <= width


CELLS: Sequence[tuple[dict[str, object], Level, Callable[[columns.Cell], str], str]] = [
    ({}, Level.LIVE, lambda cell: columns._free(cell).plain, "free"),
    ({}, Level.STALE, lambda cell: columns._free(cell).plain, "not sure"),
    ({"freshness": "unknown"}, Level.UNKNOWN, lambda cell: columns._short(cell).plain, "unread"),
    ({"available": False, "reason": "wrap-up"}, Level.LIVE, lambda cell: columns._free(cell).plain, "no: wrap-up"),
    ({"available": False, "reason": ""}, Level.LIVE, lambda cell: columns._free(cell).plain, "no"),
    ({"claim": {"group": "", "for": "", "holder": ""}}, Level.LIVE, lambda cell: columns._free(cell).plain, "held"),
    ({"state": "SLEEPING"}, Level.LIVE, lambda cell: columns._mark(cell).plain, "?"),
]


@pytest.mark.parametrize(("fields", "level", "look", "text"), CELLS)
def test_a_cell(fields: dict[str, object], level: Level, look: Callable[[columns.Cell], str], text: str) -> None:
    assert look(columns.Cell(read(contact("ann") | fields), level, 0.0, plain=False)) == text
