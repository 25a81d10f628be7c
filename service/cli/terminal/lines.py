"""Updates as lines: in columns for people, or one JSON document each for programs.

Lines are written in a thread, so that a slow reader delays only the stream; the service then coalesces events.
"""

from __future__ import annotations

import re
import select
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from service.cli.shared import output, wording
from service.cli.shared.api import one_line
from service.cli.shared.wording import CONTACT, STATE, time
from service.cli.terminal.contact import ShownContact, time_of
from service.cli.terminal.follow import Connected, ConnectionLost, Health, StreamEvent, Update
from service.cli.terminal.picture import Picture, PictureChange
from service.core.presence.freshness import Level

UNSURE: Final = "the lines so far may no longer be true"
_CALLS: Final = re.compile(r" \((?:1 call|\d+ calls in a row)\)")


def write(lines: Sequence[str]) -> None:
    """Write lines without buffering. Raises BrokenPipeError when the reader has gone."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{each}\n" for each in lines)
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))  # the encoding may lack the letters of a name
    sys.stdout.flush()


def is_read() -> bool:
    """Whether standard output still has a reader, as far as the system says without a write."""
    try:
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
        return not any(happened & select.POLLERR for _, happened in pipe.poll(0))
    except (AttributeError, OSError, ValueError):  # no such call here, or no file behind it
        return True


class TextLines:
    """Lines for people."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._was_lost = False

    def of(self, update: Update, changes: Sequence[PictureChange]) -> Iterator[str]:
        """The lines that tell of an update and what it did."""
        now = time(self._picture.now())
        match update:
            case ConnectionLost() if not self._was_lost:
                self._was_lost = True
                yield f"{now}  NOT CONNECTED: {update.reason}; {UNSURE}"
            case Connected() if self._was_lost:
                self._was_lost = False
                yield f"{now}  connected again"
            case StreamEvent(name="snapshot"):
                if update.data.get("reason") in {"not-kept", "behind"}:
                    yield f"{now}  changes were missed; this is how it is now"
                if not changes:
                    yield f"{now}  no contact passes the filter"
            case StreamEvent() if not changes and update.name not in {"change", "removed"}:
                yield f"{time(time_of(update.data.get('at')) or self._picture.now())}  {event_text(update)}"
        for change in changes:
            yield self._line(change)

    def _line(self, change: PictureChange) -> str:
        shown = change.after or change.before
        if shown is None:
            return ""
        contact = f"{output.printable(shown.contact):<{CONTACT}}"
        if change.after is None:
            gone = "left the filter" if change.watched else "no longer watched"
            return f"{time(self._picture.now())}  {contact}  {gone}"
        at = shown.changed_at if change.first or _presence_changed(change) else None
        word = shown.state.value if shown.state is not None else "FREE" if shown.available else "NOT FREE"
        return f"{time(at or self._picture.now())}  {contact}  {word:<{STATE}}  {what(change)}".rstrip()


def _presence_changed(change: PictureChange) -> bool:
    return change.before is None or change.after is None or change.before.changed_at != change.after.changed_at


def what(change: PictureChange) -> str:
    """What is true of the contact now, and its state before."""
    shown, before = change.after, change.before
    if shown is None:
        return ""
    words = [wording.doing(shown.presence)]
    if shown.level is not Level.LIVE:
        words.append("never read" if shown.level is Level.UNKNOWN else f"stale, as of {as_of(shown)}")
    elif before is not None and before.level is not Level.LIVE:
        words.append("live again" if before.level is Level.STALE else "first reading")
    if shown.held is not None:
        words.append(held(shown))
    elif before is not None and before.held is not None:
        words.append("released")
    if before is not None and before.state is not shown.state and before.state is not None:
        words.append(f"was {before.state.value}")
    if (
        before is not None
        and before.available is not shown.available
        and shown.held is None
        and shown.level is Level.LIVE
    ):
        words.append("free now" if shown.available else f"not free: {shown.reason}" if shown.reason else "not free")
    return "; ".join(filter(None, words))


def held(shown: ShownContact) -> str:
    """Who holds a contact, and for what purpose."""
    if shown.held is None:
        return ""
    # A key without details sees only that the contact is held.
    holder = f" by {shown.held.holder}" if shown.held.holder else ""
    purpose = f" for {shown.held.purpose}" if shown.held.purpose else ""
    return f"held{holder}{purpose}"


def as_of(shown: ShownContact) -> str:
    """The moment up to which the state is known to have been true, as the time of day."""
    return time(shown.as_of)[:8] if shown.as_of is not None else "?"


def event_text(event: StreamEvent) -> str:
    """An event about the service or a claim, in words."""
    data = event.data
    words = [event.name]
    claim = data.get("claim")
    if isinstance(claim, dict):
        contacts = claim.get("contacts")
        named = [
            one_line(each.get("contact") if isinstance(each, dict) else each)
            for each in (contacts if isinstance(contacts, list) else [])
        ]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        words += [one_line(claim.get("group")), f"{', '.join(named[:3])}{more}"]
        if claim.get("holder"):
            words.append(f"by {one_line(claim['holder'])}")
        if claim.get("for"):
            words.append(f"for {one_line(claim['for'])}")
    words += [one_line(data.get(key)) for key in ("contact", "end_user", "group", "target")]
    if data.get("node"):
        words.append(f"at {one_line(data['node'])}")
    if isinstance(data.get("free"), int):
        words.append(f"{data['free']} free, {data.get('min_free')} wanted")
    if data.get("reason"):
        words.append(f"({one_line(data['reason'])})")
    return " ".join(filter(None, words))


def health(state: Health) -> str:
    """The state of the service, in one line."""
    why = f": {state.problems[0][1]}" if state.problems else ""
    return f"the service is {state.state}{why}"


def news(state: Health) -> str:
    """The same without the number of calls that failed in a row: that it grows is no news."""
    return _CALLS.sub("", health(state))


class JsonLines:
    """Lines for programs. The last lines of all contacts together are the state that the service has sent."""

    def __init__(self) -> None:
        self._was_lost = False

    def of(self, update: Update, changes: Sequence[PictureChange]) -> Iterator[str]:
        """The lines that tell of an update and what it did."""
        match update:
            case ConnectionLost() if not self._was_lost:
                self._was_lost = True
                yield output.json_text({"event": "disconnected", "id": None, "reason": update.reason})
            case Connected() if self._was_lost:
                self._was_lost = False
                yield output.json_text({"event": "connected", "id": None})
            case StreamEvent(name="snapshot"):
                for change in changes:
                    name = "snapshot" if change.after is not None else "removed"
                    yield output.json_text({"event": name, "id": update.id, **change.data})
            case StreamEvent():
                yield output.json_text({"event": update.name, "id": update.id, **update.data})
