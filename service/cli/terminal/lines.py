"""What happens as lines: for people, in columns as `pws demo` has them, or one JSON document each for programs.

Writing happens in a thread, so that a reader who is slow holds up nothing but the stream, which the service notices.
"""

from __future__ import annotations

import json
import re
import select
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from service.cli.shared import output, wording
from service.cli.shared.api import one_line
from service.cli.shared.wording import CONTACT, STATE, time
from service.cli.terminal.contact import ShownContact, time_of
from service.cli.terminal.follow import Connected, Happening, Health, Lost, StreamEvent
from service.cli.terminal.picture import Picture, PictureChange
from service.core.presence.freshness import Level

UNSURE: Final = "what was told so far is not sure any more"


def write(lines: Sequence[str]) -> None:
    """Write lines at once. Raises BrokenPipeError when nobody reads them any more."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{each}\n" for each in lines)
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))  # not every encoding has a name's letters
    sys.stdout.flush()


def is_read() -> bool:
    """Whether somebody still reads standard output, as far as the system tells without a write."""
    try:
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
        return not any(happened & select.POLLERR for _, happened in pipe.poll(0))
    except (AttributeError, OSError, ValueError):  # no such call here, or no file behind it
        return True


class Words:
    """Lines for people."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._was_lost = False

    def of(self, happening: Happening, steps: Sequence[PictureChange]) -> Iterator[str]:
        """The lines that tell of a happening and what it did."""
        now = time(self._picture.now())
        match happening:
            case Lost() if not self._was_lost:
                self._was_lost = True
                yield f"{now}  NOT CONNECTED: {happening.reason}; {UNSURE}"
            case Connected() if self._was_lost:
                self._was_lost = False
                yield f"{now}  connected again"
            case StreamEvent(name="snapshot"):
                if happening.data.get("reason") in {"not-kept", "behind"}:
                    yield f"{now}  changes were missed; this is how it is now"
                if not steps:
                    yield f"{now}  no contact passes the filter"
            case StreamEvent() if not steps and happening.name not in {"change", "removed"}:
                yield f"{time(time_of(happening.data.get('at')) or self._picture.now())}  {news(happening)}"
        for step in steps:
            yield self._step(step)

    def _step(self, step: PictureChange) -> str:
        seen = step.after or step.before
        if seen is None:
            return ""
        contact = f"{output.printable(seen.contact):<{CONTACT}}"
        if step.after is None:
            gone = "left the filter" if step.watched else "no longer watched"
            return f"{time(self._picture.now())}  {contact}  {gone}"
        at = seen.changed_at if step.first or _presence_changed(step) else None
        word = seen.state.value if seen.state is not None else "FREE" if seen.available else "NOT FREE"
        return f"{time(at or self._picture.now())}  {contact}  {word:<{STATE}}  {what(step)}".rstrip()


def _presence_changed(step: PictureChange) -> bool:
    return step.before is None or step.after is None or step.before.changed_at != step.after.changed_at


def what(step: PictureChange) -> str:
    """What is so now, and what was different before."""
    seen, before = step.after, step.before
    if seen is None:
        return ""
    words = [wording.doing(seen.presence)]
    if seen.level is not Level.LIVE:
        words.append("never read" if seen.level is Level.UNKNOWN else f"stale, as of {as_of(seen)}")
    elif before is not None and before.level is not Level.LIVE:
        words.append("live again" if before.level is Level.STALE else "first reading")
    if seen.held is not None:
        words.append(held(seen))
    elif before is not None and before.held is not None:
        words.append("released")
    if before is not None and before.state is not seen.state and before.state is not None:
        words.append(f"was {before.state.value}")
    if before is not None and before.available is not seen.available and seen.held is None and seen.level is Level.LIVE:
        words.append("free now" if seen.available else f"not free: {seen.reason}" if seen.reason else "not free")
    return "; ".join(filter(None, words))


def held(seen: ShownContact) -> str:
    """Who holds a contact, and for what."""
    if seen.held is None:
        return ""
    holder = f" by {seen.held.holder}" if seen.held.holder else ""  # a key may see no more than that somebody is held
    purpose = f" for {seen.held.purpose}" if seen.held.purpose else ""
    return f"held{holder}{purpose}"


def as_of(seen: ShownContact) -> str:
    """The moment up to which the state is known to have been true, as the time of day."""
    return time(seen.as_of)[:8] if seen.as_of is not None else "?"


def news(told: StreamEvent) -> str:
    """An event about the service or a claim, in words."""
    data = told.data
    words = [told.name]
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
    words += [one_line(data.get(key)) for key in ("contact", "end_user", "group")]
    if data.get("node"):
        words.append(f"at {one_line(data['node'])}")
    if isinstance(data.get("free"), int):
        words.append(f"{data['free']} free, {data.get('min_free')} wanted")
    if data.get("reason"):
        words.append(f"({one_line(data['reason'])})")
    return " ".join(filter(None, words))


def health(state: Health) -> str:
    """How the service is doing, in one line."""
    why = f": {state.problems[0][1]}" if state.problems else ""
    return f"the service is {state.state}{why}"


class Documents:
    """Lines for programs. Whoever keeps the last line of each contact knows what the service has told."""

    def __init__(self) -> None:
        self._was_lost = False

    def of(self, happening: Happening, steps: Sequence[PictureChange]) -> Iterator[str]:
        """The lines that tell of a happening and what it did."""
        match happening:
            case Lost() if not self._was_lost:
                self._was_lost = True
                yield _json({"event": "disconnected", "id": None, "reason": happening.reason})
            case Connected() if self._was_lost:
                self._was_lost = False
                yield _json({"event": "connected", "id": None})
            case StreamEvent(name="snapshot"):
                for step in steps:
                    name = "snapshot" if step.after is not None else "removed"
                    yield _json({"event": name, "id": happening.id, **step.data})
            case StreamEvent():
                yield _json({"event": happening.name, "id": happening.id, **happening.data})


def _json(value: dict[str, object]) -> str:
    """On one line; of the control characters JSON itself escapes only the first 32, and not two line separators."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
