"""Requests that were sent twice: one repeated with its `Idempotency-Key` gets the answer of the first again.

Only what succeeded is kept. A request that was refused has changed nothing, and the next attempt may do better. An
answer is kept as long as its lease lives and `KEPT_AFTER` seconds more, so that a client that comes back late learns
that its claim is over instead of getting another one. All that is kept is bounded: beyond `MAX_BYTES` the answers of
leases that are over go first, then the oldest.

Keys belong to the principal that sent them: nobody gets the answer to another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

KEPT_AFTER: Final = 600.0
"""Seconds after the end of a lease."""
MAX_BYTES: Final = 32 * 1024 * 1024
_OVERHEAD: Final = 512
"""Bytes that an entry takes beside its body, roughly."""


class Name(NamedTuple):
    """Whose request it is, and what they call it."""

    holder: str
    key: str


class RequestInProgress(Exception):
    """The first request of this name has no answer yet."""


class KeyReused(Exception):
    """The first request of this name wanted something else."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer. `asked` tells one request from another; `over` is the monotonic end of its lease, if that is over."""

    lease: str
    asked: str
    body: bytes
    headers: Mapping[str, str]
    over: float | None = None

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return len(self.body) + _OVERHEAD


def _nobody(_name: Name, _kept: Kept | None) -> None:
    """Nobody hears of what is kept."""


class Replays:
    """Remembers answers. `now` is monotonic. `changed` hears of each answer that is kept, or no longer (None)."""

    def __init__(self, max_bytes: int = MAX_BYTES, changed: Callable[[Name, Kept | None], None] = _nobody) -> None:
        self._max_bytes = max_bytes
        self._changed = changed
        self._bytes = 0
        self._pending: dict[Name, str] = {}
        self._living: dict[Name, Kept] = {}
        self._over: dict[Name, Kept] = {}  # in the order of their ends
        self._names: dict[str, Name] = {}  # by lease

    def __len__(self) -> int:
        return len(self._living) + len(self._over)

    def begin(self, name: Name, asked: str, now: float) -> Kept | None:
        """A request: its answer, if it was answered before, else it is the first and is waited for.

        Raises RequestInProgress and KeyReused. After None, `keep` or `drop` must follow.
        """
        self._forget(now)
        first = self._pending.get(name)
        kept = self._living.get(name) or self._over.get(name)
        if first is None and kept is not None:
            first = kept.asked
        if first is None:
            self._pending[name] = asked
            return None
        if first != asked:
            raise KeyReused
        if kept is None or name in self._pending:
            raise RequestInProgress
        return kept

    def keep(
        self, name: Name, lease: str, body: bytes, headers: Mapping[str, str], *, is_accepted: bool = True
    ) -> None:
        """The request succeeded. A lease of it must not have ended yet.

        Where it `is_accepted` later, the request counts as in progress until `drop`, and `take_back` may come first.
        """
        kept = Kept(lease, self._pending[name], body, headers)
        if is_accepted:
            del self._pending[name]
        self._changed(name, kept)
        self.restore(name, kept)

    def restore(self, name: Name, kept: Kept) -> None:
        """An answer that another replica gave, as it is kept there; nobody hears of it."""
        if name in self._living or name in self._over:
            self._remove(name)
        (self._living if kept.over is None else self._over)[name] = kept
        self._names[kept.lease] = name
        self._bytes += kept.size
        while self._bytes > self._max_bytes and len(self) > 1:
            self._drop(next(iter(self._over or self._living)))

    def kept(self, now: float) -> list[tuple[Name, Kept]]:
        """The answers that a request would get now."""
        over = (pair for pair in self._over.items() if pair[1].over is not None and now < pair[1].over + KEPT_AFTER)
        return [*self._living.items(), *over]

    def take_back(self, name: Name) -> None:
        """The answer that was kept is not given after all."""
        if name in self._living or name in self._over:
            self._drop(name)

    def drop(self, name: Name) -> None:
        """The request is over: it failed, its client is gone, or it has an answer, which stays."""
        self._pending.pop(name, None)

    def ended(self, lease: str, now: float) -> None:
        """A lease is over: its answer is kept for a while only."""
        name = self._names.get(lease)
        kept = self._living.pop(name, None) if name is not None else None
        if name is not None and kept is not None:
            self._over[name] = Kept(kept.lease, kept.asked, kept.body, kept.headers, now)
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._over:
            name, kept = next(iter(self._over.items()))
            if kept.over is None or now < kept.over + KEPT_AFTER:
                return
            self._drop(name)

    def _drop(self, name: Name) -> None:
        self._remove(name)
        self._changed(name, None)

    def _remove(self, name: Name) -> None:
        kept = self._over.pop(name, None) or self._living.pop(name)
        self._bytes -= kept.size
        del self._names[kept.lease]
