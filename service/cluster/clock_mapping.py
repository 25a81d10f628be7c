"""Which moment of the owner's clock is which of ours, without any clock that is trusted.

Each second a replica writes a nonce, which is its own time `p`. The owner names it in its next beat, made at its own
time `s`. So the beat was made after `p`, and a moment `m` of the owner's clock was not before `m + (p - s)` on ours:
taking it for that makes what was confirmed then look older than it is, never younger. The same beat has come here at
our time `r`, so that `m` was not after `m + (r - s)`: for what must not look longer ago than it is, such as the end of
a call.

The best of the last minute counts. Two clocks may go apart by 0.1 % (quartz is a hundred times better): so much is
taken off for each second between the beat and the moment. What is assumed is that both clocks go on while a process or
machine sleeps; a virtual machine whose clock stands still while others' go is the one thing that this cannot see.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

from service.core.clock import Moment

WINDOW: Final = 60.0
"""Seconds for which a beat counts. More would gain little, and the drift grows."""
DRIFT: Final = 0.001
"""Seconds by which two clocks go apart in one, at most."""


class _Heard(NamedTuple):
    """A beat: made at the owner's time `made`, after our `echoed`, and here by our `received`."""

    made: float
    echoed: float
    received: float


class ClockMapping:
    """The owner's clock as seen from here. One for each tenure: another owner has another clock."""

    def __init__(self) -> None:
        self._heard: deque[_Heard] = deque()
        self._at = 0.0
        self._low = -math.inf
        self._high = math.inf

    def __repr__(self) -> str:
        return f"<ClockMapping of {len(self._heard)} beats, {self._low:+.3f} to {self._high:+.3f} s>"

    @property
    def is_known(self) -> bool:
        """Whether a beat has named a nonce of ours: before that nothing of the owner's is of any age."""
        return self._low > -math.inf

    def heard(self, made: float, received: float, echoed: float | None) -> None:
        """A beat; `echoed` is the nonce of ours that it names, None where it names none. Beats come in their order."""
        self._heard.append(_Heard(made, -math.inf if echoed is None else echoed, received))
        while self._heard[0].made < made - WINDOW:
            self._heard.popleft()
        self._at = made
        self._low = max(each.echoed - each.made - DRIFT * (made - each.made) for each in self._heard)
        self._high = min(each.received - each.made + DRIFT * (made - each.made) for each in self._heard)

    def not_later(self, monotonic: float) -> float:
        """Our moment that is not later than the owner's; minus infinity as long as nothing is known."""
        return monotonic + self._low - DRIFT * abs(monotonic - self._at)

    def not_earlier(self, monotonic: float) -> float:
        """Our moment that is not earlier than the owner's; infinity as long as nothing is known."""
        return monotonic + self._high + DRIFT * abs(monotonic - self._at)

    def moment(self, moment: Moment) -> Moment:
        """The owner's moment on our clock, not later than it was. Its wall time stays: it is for people."""
        return Moment(self.not_later(moment.monotonic), moment.wall)
