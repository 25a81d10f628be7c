"""Who hears of changes: a seam between the store and whatever streams, counts or keeps them.

Delivery is a plain call in the store's own turn. Nothing is queued here, so nothing grows: a listener that needs a
buffer owns it and bounds it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

from service.core.presence.records import Change

MAX_LISTENERS: Final = 1000
"""More listeners than any service has streams: reaching it means that some part forgets to stop listening."""

T = TypeVar("T")
Listener = Callable[[Sequence[Change]], None]
"""Takes changes in the order of their revisions. Must be quick, must not raise, must not change the store."""

_log = logging.getLogger("pws.presence")


class ChangeBus(Protocol):
    """Hands changes to listeners."""

    def publish(self, changes: Sequence[Change]) -> None:
        """Call all listeners; never raises."""
        ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of changes from now on; call what is returned to stop. RuntimeError: too many listeners."""
        ...

    def doubted(self) -> None:
        """Call the listeners of doubts: something is in doubt now, or no longer; never raises."""
        ...

    def listen_for_doubts(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Hear of that from now on; call what is returned to stop. RuntimeError: too many listeners."""
        ...

    def replaced(self, keys: Collection[str]) -> None:
        """Call the listeners of replaced records: these have a new one that was not published; never raises."""
        ...

    def listen_for_replaced(self, listener: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Hear of that from now on; call what is returned to stop. RuntimeError: too many listeners."""
        ...

    def reread(self) -> None:
        """Call the listeners of readings: contacts were read again and are the same, so that their records stay, and
        what was stale by its age alone may be live; never raises."""
        ...

    def listen_for_reread(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Hear of that from now on; call what is returned to stop. RuntimeError: too many listeners."""
        ...


class LocalBus:
    """The bus of one process."""

    def __init__(self, limit: int = MAX_LISTENERS) -> None:
        self._limit = limit
        self._listeners: dict[object, Listener] = {}
        self._doubters: dict[object, Callable[[], None]] = {}
        self._replacers: dict[object, Callable[[Collection[str]], None]] = {}
        self._readers: dict[object, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._listeners) + len(self._doubters) + len(self._replacers) + len(self._readers)

    def publish(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        for listener in tuple(self._listeners.values()):
            try:
                listener(changes)
            except Exception:  # noqa: BLE001  one broken listener must not cost the store a reply
                _log.exception("a listener of changes failed", extra={"event": "internal.error"})

    def doubted(self) -> None:
        for listener in tuple(self._doubters.values()):
            try:
                listener()
            except Exception:  # noqa: BLE001  as above
                _log.exception("a listener of doubts failed", extra={"event": "internal.error"})

    def replaced(self, keys: Collection[str]) -> None:
        if not keys:
            return
        for listener in tuple(self._replacers.values()):
            try:
                listener(keys)
            except Exception:  # noqa: BLE001  as above
                _log.exception("a listener of replaced records failed", extra={"event": "internal.error"})

    def reread(self) -> None:
        for listener in tuple(self._readers.values()):
            try:
                listener()
            except Exception:  # noqa: BLE001  as above
                _log.exception("a listener of readings failed", extra={"event": "internal.error"})

    def listen(self, listener: Listener) -> Callable[[], None]:
        return self._add(self._listeners, listener)

    def listen_for_doubts(self, listener: Callable[[], None]) -> Callable[[], None]:
        return self._add(self._doubters, listener)

    def listen_for_replaced(self, listener: Callable[[Collection[str]], None]) -> Callable[[], None]:
        return self._add(self._replacers, listener)

    def listen_for_reread(self, listener: Callable[[], None]) -> Callable[[], None]:
        return self._add(self._readers, listener)

    def _add(self, among: dict[object, T], listener: T) -> Callable[[], None]:
        if len(self) >= self._limit:
            raise RuntimeError(f"more than {self._limit} listeners of changes")
        token = object()
        among[token] = listener

        def stop() -> None:
            among.pop(token, None)

        return stop
