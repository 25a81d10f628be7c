"""The owner's clock as seen from another machine: never later than true, and not much earlier."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import dataclass
from statistics import quantiles

from hypothesis import given
from hypothesis import strategies as st

from service.cluster.clock_mapping import DRIFT, WINDOW, ClockMapping
from service.core.clock import Moment


def test_nothing_is_known_before_a_nonce_has_come_back() -> None:
    """Everything of the owner's is of any age."""
    mapping = ClockMapping()
    assert not mapping.is_known
    assert mapping.not_later(5.0) == -math.inf
    assert mapping.not_earlier(5.0) == math.inf
    mapping.heard(5.0, 105.0, None)
    assert not mapping.is_known
    assert mapping.not_earlier(5.0) == 105.0


def test_a_moment_is_as_old_as_it_may_be() -> None:
    """The nonce was written before the beat was made."""
    mapping = ClockMapping()
    mapping.heard(made=10.0, received=511.0, echoed=509.5)
    assert mapping.is_known
    assert mapping.not_later(10.0) == 509.5
    assert mapping.not_earlier(10.0) == 511.0
    assert mapping.not_later(9.0) == 508.5 - DRIFT
    assert mapping.not_later(12.0) == 511.5 - 2 * DRIFT
    assert mapping.moment(Moment(10.0, 77.0)) == Moment(509.5, 77.0)


def test_the_best_of_a_minute_counts() -> None:
    """Less what the clocks may have gone apart since; then it is forgotten."""
    mapping = ClockMapping()
    mapping.heard(10.0, 510.1, 510.0)
    mapping.heard(20.0, 522.0, 519.0)
    assert mapping.not_later(20.0) == 520.0 - 10 * DRIFT
    mapping.heard(10.0 + WINDOW + 1, 500 + 12.0 + WINDOW, 510.0 + WINDOW)
    assert mapping.not_later(11.0 + WINDOW) <= 510.0 + WINDOW


@dataclass
class Clock:
    """A machine's clock: its own zero, its own speed."""

    offset: float
    speed: float

    def at(self, true: float) -> float:
        """What it shows at a true moment."""
        return self.offset + self.speed * true


@dataclass
class Story:
    """Beats and echoes of two machines. Times are true ones; each wait is drawn from `draw`."""

    owner: Clock
    here: Clock
    seconds: float
    random: random.Random
    slow: float

    def check(self, errors: list[float]) -> None:
        """Go through it; `errors` gets by how much moments were taken for earlier than they were."""
        mapping = ClockMapping()
        echoed, written = self.random.random(), -math.inf
        nonce: float | None = None
        beat = self.random.random()
        pending: list[tuple[float, float, float | None]] = []  # arrives, made, nonce
        while beat < self.seconds:
            while echoed < beat:  # echoes before this beat; each is there some time after it was written
                arrives = echoed + self._travel()
                if arrives < beat and arrives > written:
                    written, nonce = arrives, self.here.at(echoed)
                echoed += 1.0 + 0.3 * self.random.random() + self._pause()
            here = max(beat + self._travel() + self._pause(), pending[-1][0] if pending else 0.0)  # in their order
            pending.append((here, self.owner.at(beat), nonce))
            for arrives, made, named in list(pending):
                if arrives <= beat:
                    pending.remove((arrives, made, named))
                    mapping.heard(made, self.here.at(arrives), named)
            self._judge(mapping, beat, errors)
            beat += 1.0 + self._pause()

    def _judge(self, mapping: ClockMapping, now: float, errors: list[float]) -> None:
        for back in (0.0, 0.5, 2.0, 20.0, 90.0):
            true = now - back
            found, moment = mapping.not_later(self.owner.at(true)), self.here.at(true)
            assert found <= moment + 1e-6, "later than it was"
            assert mapping.not_earlier(self.owner.at(true)) >= moment - 1e-6, "earlier than it was"
            if mapping.is_known and now > 90:
                errors.append(moment - found)

    def _travel(self) -> float:
        return 0.0005 + self.random.expovariate(1 / 0.005) + (self.random.random() < self.slow) * self.random.random()

    def _pause(self) -> float:
        """Now and then a process stands still."""
        return self.random.random() * 8 if self.random.random() < 0.01 else 0.0


def stories(seed: int, slow: float = 0.02, seconds: float = 200.0) -> Story:
    """Two machines that were started at any time, with clocks as far apart as they may go."""
    drawn = random.Random(seed)  # noqa: S311  # not for secrets
    clocks = [Clock(drawn.uniform(0, 1e7), 1 + drawn.uniform(-DRIFT, DRIFT) / 2.01) for _ in range(2)]
    return Story(clocks[0], clocks[1], seconds, drawn, slow)


@given(st.integers(0, 2**32), st.floats(0.0, 1.0))
def test_a_moment_is_never_taken_for_later(seed: int, slow: float) -> None:
    """Whatever the clocks show, however long messages take, and while processes stand still."""
    stories(seed, slow, 60.0).check([])


def test_how_much_too_old() -> None:
    """Said, and bounded: a confirmation is as good as the owner's but for about a second."""
    errors: list[float] = []
    for seed in range(20):
        stories(seed, seconds=300.0).check(errors)
    cuts = quantiles(errors, n=100)
    sys.stdout.write(f"{len(errors)} moments: too old by {cuts[49]:.2f} s (p50), {cuts[98]:.2f} s (p99)\n")
    assert cuts[98] < 1.0
