"""Remembers in the engine on which nodes a session of ours may exist: for the next owner.

A node is a field of the table `nodes`. One more field, without a name, says whether there may be sessions on other
nodes too, and on which there is none for certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pws_soap.lifecycle import UNKNOWN, Memory
from service.cluster.engine import Put, Table
from service.core.events.commits import NotCommitted
from service.runtime.committing import Committing
from service.sync.session_memory import Inheritance, NotStored

_ELSEWHERE: Final = ""
_THERE: Final = b"\x01"


class _Elsewhere(msgspec.Struct, frozen=True):
    unknown: bool = False
    clean: tuple[str, ...] = ()


def remembered(table: Mapping[str, bytes], *, is_whole: bool) -> Memory:
    """What the table says. Where it is not all, there may be a session on any node."""
    nodes = frozenset(node for node in table if node != _ELSEWHERE)
    try:
        elsewhere = msgspec.json.decode(table.get(_ELSEWHERE, b"{}"), type=_Elsewhere)
    except msgspec.DecodeError:
        is_whole, elsewhere = False, _Elsewhere()
    if not is_whole:
        return Memory(nodes, unknown=True) if nodes else UNKNOWN
    return Memory(nodes, elsewhere.unknown, frozenset(elsewhere.clean) - nodes)


class EngineMemory:
    """The memory of one tenure (`service.sync.session_memory.SessionMemory`).

    `table` is what the tenures before have left, `inherited` what the owner before has handed over to this very
    replica. Without that there may be a session on any node: the engine may have gone back to before a tenure of which
    nobody has heard who is here now.
    """

    place: Final = "the engine that the replicas share"

    def __init__(
        self, table: Mapping[str, bytes], committing: Committing, *, inherited: Inheritance | None = None
    ) -> None:
        self._inherited = inherited
        self._left = remembered(table, is_whole=inherited is not None)
        self._written = remembered(table, is_whole=True)
        self._committing = committing
        self.write(self._left)  # an owner that ends before it has made anything must not leave less than it knew

    def read(self) -> Memory:
        """See SessionMemory."""
        return self._left

    def inherited(self) -> Inheritance | None:
        """See SessionMemory."""
        return self._inherited

    def write(self, memory: Memory) -> None:
        """See SessionMemory."""
        before, self._written = self._written, memory
        puts = [Put(Table.NODES, node, _THERE) for node in sorted(memory.nodes - before.nodes)]
        puts += [Put(Table.NODES, node, None) for node in sorted(before.nodes - memory.nodes)]
        if (memory.unknown, memory.clean) != (before.unknown, before.clean):
            elsewhere = _Elsewhere(memory.unknown, tuple(sorted(memory.clean)))
            puts.append(Put(Table.NODES, _ELSEWHERE, msgspec.json.encode(elsewhere)))
        if puts:
            self._committing.keep(puts)

    async def stored(self) -> None:
        """See SessionMemory."""
        try:
            await self._committing.reached_ahead()
        except NotCommitted as error:
            raise NotStored(f"the engine has not taken on which node: {error}") from None
