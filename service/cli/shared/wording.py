"""Short texts about a contact: what it is doing, for how long, and the mark of its state.

The word of a state always stands beside its mark and its colour, so that nobody needs to know either.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rich.text import Text

from pws_soap.models import Presence, PresenceState
from service.cli.shared import output
from service.cli.shared.output import printable

MARKS: Final = {
    PresenceState.AVAILABLE: ("●", "+"),
    PresenceState.BUSY: ("◆", "x"),
    PresenceState.DND: ("■", "#"),
    PresenceState.AWAY: ("○", "~"),
    PresenceState.UNAVAILABLE: ("·", "."),
    PresenceState.UNKNOWN: ("?", "?"),
    PresenceState.VACATION: ("◇", "="),
}
"""The mark of each state, and one for terminals that know ASCII only."""
STATE: Final = 11
"""Characters of the longest state."""
CONTACT: Final = 24

_STATES: Final = frozenset(state.value.lower() for state in PresenceState)
_WORDS: Final = {"on-the-phone": ("on the phone", "phone"), "alerting": ("ringing", "ringing")}


def doing(presence: Presence | None, *, short: bool = False) -> str:
    """What a contact does beyond its state: the phone, a meeting, a note. `short`: the first of these, and no note."""
    if presence is None:
        return ""
    words = [
        _WORDS[activity][short] if activity in _WORDS else activity.replace("-", " ")
        for activity in presence.activities
        if activity not in _STATES
    ]
    if presence.on_the_phone and "on-the-phone" not in presence.activities:
        words.insert(0, _WORDS["on-the-phone"][short])
    if presence.idle:
        words.append("idle")
    if short:
        return printable(words[0]) if words else ""
    if presence.note:
        words.append(f'"{presence.note}"')
    return printable(", ".join(words)).replace("\n", " ")


def age(seconds: float) -> str:
    """A duration in at most four characters, such as 42s or 3h."""
    seconds = max(0.0, seconds)
    for unit, length in (("s", 1), ("m", 60), ("h", 3600)):
        if seconds < 100 * length:
            return f"{int(seconds / length)}{unit}"
    return f"{min(int(seconds / 86400), 999)}d"


def time(wall: float) -> str:
    """The local time of day of a wall time, with milliseconds."""
    return datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S.%f")[:-3]


def mark(state: PresenceState, *, plain: bool) -> Text:
    """The mark of a state in its colour."""
    return Text(MARKS[state][plain], style=output.state(state).style)
