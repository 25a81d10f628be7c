"""Lines above and below the contacts: address, counts, groups, health, commands to try, keys. Pure, for any width."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from pws_soap.models import PresenceState
from service.cli.shared.wording import mark, time
from service.cli.terminal import columns, lines
from service.cli.terminal.contact import ShownContact
from service.cli.terminal.picture import Picture, PictureCounts
from service.core.presence.freshness import Level

ALARM = "bold white on red"
CAUTION = "black on yellow"


@dataclass(frozen=True, slots=True)
class Caption:
    """Texts on the screen that do not come from the service.

    `remark` is called each time the screen is drawn, and stands beside the address; `hints` are commands to try by
    their purpose, shown as far as there is room.
    """

    command: str = "pws watch"
    remark: Callable[[], str] = str
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ViewOptions:
    """What the user chose: `fixed` and `groups` by options of the command, the rest by keys."""

    url: str
    fixed: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] = ()
    group: str | None = None
    text: str = ""
    order: int = 0
    turned: bool = False
    view: int = 0
    known_groups: tuple[tuple[str, int, int], ...] = field(default=())

    def chosen(self, picture: Picture) -> list[ShownContact]:
        """The contacts that are shown, in order."""
        passes = columns.VIEWS[self.view][1]
        words = self.text.casefold().split()
        found = [
            shown
            for shown in picture.contacts.values()
            if passes(shown, picture.level(shown)) and all(word in shown.words for word in words)
        ]
        found.sort(key=columns.ORDERS[self.order][1], reverse=self.turned)
        return found


def banner(picture: Picture, monotonic: float) -> Text | None:
    """A warning: no connection, no contacts yet, or a service that is not live. None when all is well."""
    if not picture.connected:
        since = f" since {time(picture.lost_at)[:8]}" if picture.lost_at is not None else ""
        wait = max(0.0, picture.again_at - monotonic)
        again = f"Next try in {wait:.0f} s." if wait >= 0.5 else "Trying ..."
        return Text(f" NOT CONNECTED{since}: {picture.reason}. Nothing below is sure. {again}", style=ALARM)
    if not picture.begun:
        return Text(" Waiting for the contacts ...", style=CAUTION)
    health = picture.health
    if health is None or health.state == "live":
        return None
    why = health.problems[0][1] if health.problems else "the service gives no reason"
    more = f" (and {len(health.problems) - 1} more)" if len(health.problems) > 1 else ""
    return Text(f" {health.state.upper()}: {why}{more}", style=CAUTION if health.state == "starting" else ALARM)


def head(picture: Picture, options: ViewOptions, caption: Caption, width: int) -> Text:
    """The first line: the address, and the state of the connection."""
    state = ("connected", "green") if picture.connected else ("not connected", "bold red")
    health = picture.health
    doing = f", {health.state}" if picture.connected and health is not None else ""
    text = Text.assemble((caption.command, "bold"), "  ", state, doing)
    rest = [
        options.url,
        *(f"{name}={value}" for name, value in options.fixed),
        caption.remark(),
        time(picture.now())[:8],
    ]
    return _packed(text, [Text(each, style="bright_black") for each in rest if each], width)


def counts(found: PictureCounts, visible: int, width: int, *, sure: bool, plain: bool) -> Text:
    """Numbers of contacts: all, free, held, not sure, and by state."""
    first = Text(f"{found.total} contacts" if visible == found.total else f"{visible} of {found.total}", style="bold")
    free = Text(f"{found.available} free" if sure else "? free", style="bold green" if sure else "bold yellow")
    pieces = [free]
    if found.held:
        pieces.append(Text(f"{found.held} held", style="magenta"))
    unsure = found.total - found.levels.get(Level.LIVE, 0)
    if unsure:
        pieces.append(Text(f"{unsure} not sure", style="bold yellow"))
    for state in PresenceState:
        number = found.states.get(state, 0)
        if number:
            pieces.append(mark(state, plain=plain).append(f" {number} {state.value}", style="default"))
    return _packed(first, pieces, width, most=2)


def groups(options: ViewOptions, width: int, *, sure: bool) -> Text | None:
    """The groups with their numbers, the chosen one marked; None without groups. `sure`: the numbers still hold."""
    if not options.known_groups:
        return None
    before = ", ".join(options.groups) if options.groups else "all"
    pieces = [
        Text(f" {name} {free if sure else '?'}/{total} free ", style="reverse" if name == options.group else "")
        for name, free, total in options.known_groups
    ]
    start = next((place for place, each in enumerate(options.known_groups) if each[0] == options.group), 0)
    text = Text(f" {before} ", style="reverse" if options.group is None else "")
    whole = sum(piece.cell_len + 2 for piece in pieces) + text.cell_len
    return _packed(text, pieces[start if whole > width else 0 :], width)


def last_event(picture: Picture) -> Text:
    """The last event about the service or a claim."""
    if picture.last_event is None:
        return Text("")
    return _one_line(Text(lines.event_text(picture.last_event), style="bright_black"))


def hints(caption: Caption, width: int, lines: int) -> Text | None:
    """Commands to try, in at most `lines` lines; a command that would be cut off is left out."""
    label = max(map(len, caption.hints), default=0) + 2
    fitting = [(name, command) for name, command in caption.hints.items() if label + cell_len(command) <= width]
    made = [Text.assemble((f"{name:<{label}}", "bright_black"), command) for name, command in fitting[:lines]]
    return Text("\n").join(made) if made else None


def keys(options: ViewOptions, width: int) -> Text:
    """The search, the order and the keys; where there is no room, the keys needed least are left out."""
    order = columns.ORDERS[options.order][0] + (", turned" if options.turned else "")
    pieces = [
        ("?", "help"),
        ("/", f"find: {options.text}" if options.text else "find"),
        ("v", columns.VIEWS[options.view][0]),
        ("s", f"by {order}"),
        *([("g", "group")] if options.known_groups else []),
    ]
    made = [Text.assemble((key, "bold reverse"), f" {what}") for key, what in pieces]
    return _packed(Text.assemble(("q", "bold reverse"), " end"), made, width)


def empty(picture: Picture, options: ViewOptions) -> str:
    """Why the list is empty."""
    if not picture.begun:
        return ""
    if picture.contacts:
        view = f" ({columns.VIEWS[options.view][0]})" if options.view else ""
        what = f" has {options.text!r}" if options.text else " matches"
        return f"Nobody{what}{view}. Esc shows everybody."
    return "The service has no contacts that match."


def _packed(first: Text, pieces: Sequence[Text], width: int, *, most: int = 1) -> Text:
    """The pieces one after the other, as many as fit into `most` lines."""
    done = list(_filled(first, pieces, width))[:most]
    return Text("\n").join(done)


def _filled(line: Text, pieces: Sequence[Text], width: int) -> Iterator[Text]:
    for piece in pieces:
        if line.cell_len + 2 + piece.cell_len > width:
            yield _one_line(line)
            line = piece.copy()
        else:
            line = Text.assemble(line, "  ", piece)
    yield _one_line(line)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
