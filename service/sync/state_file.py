"""The small file that outlives a crash: the nodes on which a session of ours may exist, and no secret.

Beside them stands the highest revision that may have been given out (see `revisions`). There are no times in it.

It is written to a second file, readable by its owner only, which then replaces the first in one step, so that a reader
finds the old or the new one. A damaged file is renamed, with a warning. Where there is none, or none that can be
written, what an earlier process left is not known: the next start assumes a session of ours on every node.

Only regular files are read, renamed, replaced or removed (`regular_file`): anything may lie at the configured path. The
file that was written last stays locked, so that a process that knows it by another name, a hard link, finds it held
(`service.runtime.state_lock`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pws_soap.lifecycle import UNKNOWN, Memory
from service.sync import regular_file

log = logging.getLogger("pws.state")

VERSION: Final = 2
_FIRST_VERSION: Final = 1
_MAX_BYTES: Final = 1024 * 1024


class StateFile:
    """The state file at `path`; None: nothing is kept.

    `schemes` are those of the configured nodes' addresses, None for any. What lies at a node of another scheme is not
    read back: to clean up there we would have to log in, and after TLS was switched on the password would go out in
    clear text.
    """

    def __init__(self, path: Path | None, schemes: frozenset[str] | None = None) -> None:
        self.path = path
        self._schemes = schemes
        self._written: tuple[Memory, int] | None = None
        self._current = UNKNOWN
        self._ceiling = 0
        self._broken = False
        self._unlock: Callable[[], object] = _nothing

    @property
    def place(self) -> Path | None:
        """The path."""
        return self.path

    async def stored(self) -> None:
        """It is, as far as it can be: where the file cannot be written, the service goes on without it."""

    def inherited(self) -> None:
        """See SessionMemory: nobody hands anything over to a process by itself."""
        return

    def read(self) -> Memory:
        """What an earlier run left; UNKNOWN where there is no file, or none that can be read and written."""
        if self.path is None:
            return UNKNOWN
        try:
            content = self._content()
        except FileNotFoundError:
            return UNKNOWN
        except OSError as error:
            log.warning(
                "the state file %(file)s cannot be read (%(error)s): starting without it",
                {"file": self.path, "error": error.strerror},
                extra={"event": "state.read-failed"},
            )
            return UNKNOWN
        try:
            memory = self._decoded(content)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            aside = self.path.with_name(self.path.name + ".broken")
            log.warning(
                "the state file %(file)s is damaged, or not one of ours (%(error)s): renamed to %(renamed_to)s, "
                "starting without it",
                {"file": self.path, "error": type(error).__name__, "renamed_to": aside.name},
                extra={"event": "state.damaged"},
            )
            try:
                regular_file.check(aside)
                self.path.replace(aside)
            except OSError as problem:
                log.warning(
                    "the state file %(file)s cannot be renamed: %(error)s",
                    {"file": self.path, "error": problem.strerror},
                    extra={"event": "state.rename-failed"},
                )
            return UNKNOWN
        self._ceiling = max(self._ceiling, self.revision_ceiling())
        self.write(self._reachable(memory))
        # One that cannot be written could not be written by the process before either.
        return UNKNOWN if self._broken else self._current

    def revision_ceiling(self) -> int:
        """The highest revision that an earlier run may have given out; 0 where the file does not say."""
        if self.path is None:
            return 0
        try:
            data = json.loads(self._content())
            found = data.get("revision_ceiling", 0)
        except (OSError, ValueError, AttributeError, RecursionError):
            return 0  # `read` logs it
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= 2**53:
            log.warning(
                "revision_ceiling in the state file %(file)s is not a number from 0 to 2**53: event ids start from the "
                "clock",
                {"file": self.path},
                extra={"event": "state.ceiling-wrong"},
            )
            return 0
        return found

    @property
    def reserved(self) -> int:
        """The highest revision that may be given out according to what was written last; 0 before that."""
        return 0 if self._written is None else self._written[1]

    def reserve(self, ceiling: int) -> None:
        """Remember that revisions up to `ceiling` may be given out."""
        self._ceiling = ceiling
        self.write(self._current)

    def write(self, memory: Memory) -> None:
        """Keep `memory`, if it differs from what was written last."""
        self._current = memory
        if self.path is None or (memory, self._ceiling) == self._written:
            return
        try:
            self._replace(self.path, self._encoded(memory) | self._ceiling_encoded())
        except OSError as error:
            if not self._broken:
                log.warning(
                    "the state file %(file)s cannot be written (%(error)s): after a crash, sessions of ours on nodes "
                    "that are no longer used stay until they expire",
                    {"file": self.path, "error": error.strerror},
                    extra={"event": "state.write-failed"},
                )
            self._broken = True
            with contextlib.suppress(OSError):
                if regular_file.check(self.path):
                    self.path.unlink()  # what it says is no longer true
            return
        self._broken = False
        self._written = memory, self._ceiling

    def _content(self) -> bytes:
        """The file's bytes, one more than it may have at most. Raises OSError."""
        assert self.path is not None  # noqa: S101  callers have looked
        with os.fdopen(regular_file.open_regular(self.path, os.O_RDONLY), "rb") as file:
            return file.read(_MAX_BYTES + 1)

    def _replace(self, path: Path, document: dict[str, Any]) -> None:  # Any: it is JSON
        """Put a new file in the place of the one at `path`, and keep it locked. Raises OSError."""
        regular_file.check(path)
        temporary = path.with_name(f".{path.name}.new")
        if not temporary.is_symlink():
            regular_file.check(temporary)
        temporary.unlink(missing_ok=True)  # of a crash, or of an older release with another mode
        # Nothing in it is secret, but who watches whom is nobody else's business either.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        unlock: Callable[[], object] = _nothing
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
                unlock = self._locked(file.fileno())
            temporary.replace(path)
        except BaseException:
            unlock()  # it holds a descriptor until then
            with contextlib.suppress(OSError):
                temporary.unlink()  # a full disk needs the room
            raise
        self._unlock()
        self._unlock = unlock

    def _locked(self, descriptor: int) -> Callable[[], object]:
        """Lock the file; what unlocks it, which also happens when this object or the process ends."""
        try:
            regular_file.lock(descriptor)
        except OSError:  # not every file system has locks, and the lock file remains
            return _nothing
        return weakref.finalize(self, os.close, os.dup(descriptor))

    def _reachable(self, memory: Memory) -> Memory:
        """What of it lies at nodes that are spoken to as the configuration says."""
        if self._schemes is None:
            return memory
        nodes = frozenset(node for node in memory.nodes if _scheme(node) in self._schemes)
        ignored = len(memory.nodes) - len(nodes)
        if ignored:
            log.warning(
                "%(nodes)d of the nodes in the state file %(file)s do not use %(schemes)s, as the configured nodes do: "
                "they are ignored, and sessions of ours on them stay until they expire",
                {"nodes": ignored, "file": self.path, "schemes": " or ".join(sorted(self._schemes))},
                extra={"event": "state.nodes-ignored"},
            )
        return Memory(nodes, memory.unknown, memory.clean)

    def _ceiling_encoded(self) -> dict[str, int]:
        return {"revision_ceiling": self._ceiling} if self._ceiling else {}

    def _encoded(self, memory: Memory) -> dict[str, Any]:  # Any: it is JSON
        elsewhere = {"unknown": memory.unknown, "clean": sorted(memory.clean)}
        return {"version": VERSION, "nodes": sorted(memory.nodes), **elsewhere}

    def _decoded(self, content: bytes) -> Memory:
        if len(content) > _MAX_BYTES:
            raise ValueError("too large")
        data = json.loads(content)
        if data["version"] == _FIRST_VERSION:  # it had ids, with the node of each
            return Memory(frozenset(_text(each["node"]) for each in (*data["leftovers"], *data["doubtful"])))
        if data["version"] != VERSION:
            raise ValueError("another version")
        if not isinstance(data["unknown"], bool):
            raise TypeError("not true or false")
        return Memory(_texts(data["nodes"]), data["unknown"], _texts(data["clean"]))


def _nothing() -> None:
    """Nothing is locked."""


def _scheme(node: str) -> str:
    return node.partition("://")[0]  # urlsplit would raise for some of what a broken file may hold


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1024:
        raise TypeError("not a short text")
    return value


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return frozenset(map(_text, value))
