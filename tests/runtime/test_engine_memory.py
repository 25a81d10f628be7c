"""What the engine remembers of the nodes on which a session of ours may exist."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pws_soap.lifecycle import UNKNOWN, HandedOver, Memory
from pws_soap.lifecycle.memory import NOTHING_LEFT
from service.cluster.engine import Put, Table
from service.core.events.commits import NotCommitted
from service.runtime.committing import Committing
from service.runtime.engine_memory import EngineMemory, remembered
from service.sync.session_memory import Inheritance, NotStored

HANDED_OVER = Inheritance(HandedOver((), {}), lambda _key, _session: True)


class Kept(Committing):
    """Puts, as a table would have them."""

    def __init__(self) -> None:
        self.table: dict[str, bytes] = {}
        self.works = True

    def keep(self, puts: Iterable[Put]) -> None:
        for put in puts:
            assert put.table is Table.NODES
            if put.value is None:
                del self.table[put.field]
            else:
                self.table[put.field] = put.value

    async def reached_ahead(self) -> None:
        if not self.works:
            raise NotCommitted("the engine is down")


@pytest.mark.parametrize(
    "memory",
    [
        NOTHING_LEFT,
        UNKNOWN,
        Memory(frozenset({"http://a", "http://b"})),
        Memory(frozenset({"http://a"}), unknown=True, clean=frozenset({"http://b"})),
    ],
)
def test_the_next_owner_reads_what_was_written(memory: Memory) -> None:
    """Whatever was there before."""
    for before in (NOTHING_LEFT, Memory(frozenset({"http://a", "http://c"}), unknown=True)):
        kept = Kept()
        first = EngineMemory(kept.table, kept, inherited=HANDED_OVER)
        first.write(before)
        first.write(memory)
        assert remembered(kept.table, is_whole=True) == memory
        assert EngineMemory(kept.table, kept, inherited=HANDED_OVER).read() == memory


def test_where_nothing_was_handed_over() -> None:
    """There may be sessions everywhere, as the engine may have lost a whole tenure; the owner after the next one knows
    that too."""
    kept = Kept()
    memory = EngineMemory(kept.table, kept)
    assert memory.read() == remembered(kept.table, is_whole=True) == UNKNOWN
    memory.write(Memory(frozenset({"http://a"}), unknown=True))
    assert remembered(kept.table, is_whole=True) == Memory(frozenset({"http://a"}), unknown=True)
    kept.table[""] = b"nonsense"
    assert remembered(kept.table, is_whole=True).unknown


async def test_it_is_waited_for() -> None:
    """Nothing may be made at a node before."""
    kept = Kept()
    memory = EngineMemory(kept.table, kept, inherited=HANDED_OVER)
    await memory.stored()
    kept.works = False
    with pytest.raises(NotStored, match="the engine is down"):
        await memory.stored()
