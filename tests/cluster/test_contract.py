"""What every engine promises: the twin in memory, Redis and Valkey alike."""

from __future__ import annotations

import asyncio

import pytest

from service.cluster.engine import (
    BEATS_KEPT,
    HIGHEST,
    MAX_ENTRIES,
    NO_MARKS,
    Batch,
    BeatPlace,
    ClusterEngine,
    EngineFull,
    Holder,
    LeaseLost,
    LogPosition,
    LogRewound,
    Put,
    StoredEntry,
    Table,
    Taken,
)
from tests.cluster.conftest import Backend


async def owned(engine: ClusterEngine, replica: str = "one", **above: int) -> Taken:
    """The lease, which is free."""
    taken = await engine.take(replica, f"http://{replica}", f"token of {replica} {above}", **above)
    assert isinstance(taken, Taken)
    return taken


def put(table: Table, field: str, value: bytes | None = b"1") -> Put:
    """A value."""
    return Put(table, field, value)


# The lease


async def test_one_takes_it_and_the_others_are_told_who_has_it(backend: Backend) -> None:
    """With the address to pass requests on to."""
    engine = backend.engine()
    taken = await owned(engine)
    assert taken.epoch > 0
    assert (taken.last, taken.before, taken.handover) == (0, 0, None)
    assert await backend.engine().take("two", "http://two", "t") == Holder(taken.epoch, "one", "http://one")
    snapshot = await engine.snapshot()
    assert snapshot.holder == Holder(taken.epoch, "one", "http://one")


async def test_taking_it_twice_with_one_token_is_taking_it_once(backend: Backend) -> None:
    """The reply to the first was lost. Another token is another attempt, also of the same replica."""
    engine = backend.engine()
    first = await engine.take("one", "http://one", "token")
    assert await engine.take("one", "http://one", "token") == first
    assert isinstance(await engine.take("one", "http://one", "another"), Holder)
    assert (await engine.follow(LogPosition(), 0)).entries == (StoredEntry(first.begins, first.epoch, 0, b""),)  # type: ignore[union-attr]


async def test_epochs_and_ids_ascend_over_tenures(backend: Backend) -> None:
    """And each tenure says where the one before it ended."""
    engine = backend.engine()
    first = await owned(engine)
    await engine.commit(first.epoch, first.begins, Batch([(first.begins + 7, b"x")]))
    backend.expire()
    second = await owned(engine, "two")
    assert second.epoch > first.epoch
    assert second.begins > first.begins + 7
    assert (second.before, second.last) == (first.epoch, first.begins + 7)
    entry = (await engine.follow(LogPosition(first.begins + 7), 0)).entries[0]
    assert entry.begins_tenure
    assert entry.previous == first.begins + 7


async def test_a_tenure_begins_above_all_that_the_taker_has_seen(backend: Backend) -> None:
    """Also where the engine knows of none of it, and its clock is behind."""
    taken = await owned(backend.engine(), epoch_above=HIGHEST - 1000, id_above=HIGHEST - 2000)
    assert taken.epoch == HIGHEST - 999
    assert taken.begins == HIGHEST - 1999


async def test_after_the_loss_of_all_data_epochs_go_on_ascending(backend: Backend) -> None:
    """By the engine's clock; the taker learns that nothing is remembered."""
    engine = backend.engine()
    first = await owned(engine)
    backend.lose_all()
    second = await owned(engine, "two")
    assert second.epoch > first.epoch
    assert second.begins > first.begins
    assert (second.before, second.last) == (0, 0)
    with pytest.raises(LeaseLost):
        await engine.beat(first.epoch, 1, first.begins, b"beat")


# Beats


async def test_a_beat_is_heard(backend: Backend) -> None:
    """In its order, and once where it was sent twice."""
    engine = backend.engine()
    taken = await owned(engine)
    for number in (1, 2, 2, 1, 3):
        await engine.beat(taken.epoch, number, taken.begins, b"beat %d" % number)
    beats = (await engine.follow(LogPosition(taken.begins), 0)).beats
    assert [(beat.epoch, beat.number, beat.data) for beat in beats] == [
        (taken.epoch, number, b"beat %d" % number) for number in (1, 2, 3)
    ]
    later = await engine.follow(LogPosition(taken.begins, BeatPlace(taken.epoch, 2)), 0)
    assert [beat.number for beat in later.beats] == [3]


async def test_beats_are_few(backend: Backend) -> None:
    """Old ones go."""
    engine = backend.engine()
    taken = await owned(engine)
    for number in range(1, BEATS_KEPT + 6):
        await engine.beat(taken.epoch, number, taken.begins, b"beat")
    beats = (await engine.follow(LogPosition(taken.begins), 0)).beats
    assert [beat.number for beat in beats] == list(range(6, BEATS_KEPT + 6))


async def test_after_the_lease_nothing_is_renewed_or_written(backend: Backend) -> None:
    """Whether it is another's by now or nobody's."""
    engine = backend.engine()
    taken = await owned(engine)
    backend.expire()
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await engine.beat(taken.epoch, 1, taken.begins, b"beat")
        with pytest.raises(LeaseLost):
            await engine.commit(taken.epoch, taken.begins, Batch([(taken.begins + 1, b"x")], [put(Table.FEEDS, "f")]))
        claim = Batch([(taken.begins + 1, b"x")], [put(Table.HELD, "ann")])
        with pytest.raises(LeaseLost):
            await engine.claim(taken.epoch, taken.begins, claim, ["ann"])
        assert not any((await engine.snapshot()).tables.values())
        await engine.take("two", "http://two", "token")


async def test_a_beat_renews(backend: Backend) -> None:
    """For as long as a new lease lasts."""
    engine = backend.engine()
    taken = await owned(engine)
    await engine.beat(taken.epoch, 1, taken.begins, b"beat")
    assert isinstance(await engine.take("two", "http://two", "t"), Holder)


# The log


async def test_a_batch_is_written_in_one_step(backend: Backend) -> None:
    """Entries and values; a value of None goes."""
    engine = backend.engine()
    taken = await owned(engine)
    here = taken.begins
    await engine.commit(taken.epoch, here, Batch([(here + 1, b"a"), (here + 5, b"b")], [put(Table.RECORDS, "ann")]))
    jorg = put(Table.RECORDS, "jörg@büro.example", b"\x00\xff")
    await engine.commit(
        taken.epoch, here + 5, Batch((), [put(Table.RECORDS, "ann", None), jorg, put(Table.NODES, "n")])
    )
    news = await engine.follow(LogPosition(here), 0)
    assert news.entries == (
        StoredEntry(here + 1, taken.epoch, here, b"a"),
        StoredEntry(here + 5, taken.epoch, here + 1, b"b"),
    )
    assert not news.gap
    snapshot = await engine.snapshot()
    assert (snapshot.first, snapshot.last) == (here, here + 5)
    assert snapshot.tables[Table.RECORDS] == {"jörg@büro.example": b"\x00\xff"}
    assert snapshot.tables[Table.NODES] == {"n": b"1"}
    assert snapshot.tables.keys() == set(Table)


async def test_committing_twice_is_committing_once(backend: Backend) -> None:
    """The reply to the first was lost."""
    engine = backend.engine()
    taken = await owned(engine)
    batch = Batch([(taken.begins + 1, b"a"), (taken.begins + 2, b"b")], [put(Table.RECORDS, "ann")])
    await engine.commit(taken.epoch, taken.begins, batch)
    await engine.commit(taken.epoch, taken.begins, batch)
    assert len((await engine.follow(LogPosition(taken.begins), 0)).entries) == 2


async def test_a_log_that_has_lost_its_end_takes_nothing_more(backend: Backend) -> None:
    """Not from the owner that wrote it: else readers would never learn of what is missing."""
    engine = backend.engine()
    taken = await owned(engine)
    here = taken.begins
    await engine.commit(taken.epoch, here, Batch([(here + 1, b"a")]))
    backend.keep()
    await engine.commit(taken.epoch, here + 1, Batch([(here + 2, b"b")], [put(Table.RECORDS, "ann")]))
    backend.rewind()
    with pytest.raises(LogRewound, match=str(here + 1)):
        await engine.commit(taken.epoch, here + 2, Batch([(here + 3, b"c")], [put(Table.RECORDS, "bob")]))
    with pytest.raises(LogRewound):
        await engine.beat(taken.epoch, 1, here + 2, b"beat")
    with pytest.raises(LogRewound):
        await engine.commit(taken.epoch, here + 2, Batch((), [put(Table.NODES, "n")]))
    snapshot = await engine.snapshot()
    assert snapshot.last == here + 1
    assert not any(snapshot.tables.values())


async def test_a_reader_of_what_was_lost_notices_it(backend: Backend) -> None:
    """The next tenure begins where the engine's log ends, which is not where the reader is."""
    engine = backend.engine()
    taken = await owned(engine)
    backend.keep()
    await engine.commit(taken.epoch, taken.begins, Batch([(taken.begins + 1, b"a")]))
    backend.rewind()
    backend.expire()
    again = await owned(engine, "two", id_above=taken.begins + 1)
    news = await engine.follow(LogPosition(taken.begins + 1), 0)
    assert news.gap
    assert news.entries == (StoredEntry(again.begins, again.epoch, taken.begins, b""),)


async def test_a_reader_behind_the_beginning_of_the_log_notices_it(backend: Backend) -> None:
    """What was trimmed is missing without a word of the engine."""
    engine = backend.engine(kept=100)
    taken = await owned(engine)
    here = taken.begins
    for _ in range(10):
        await engine.commit(taken.epoch, here, Batch([(here + number, b"x") for number in range(1, 51)]))
        here += 50
    snapshot = await engine.snapshot()
    assert snapshot.last == here
    assert taken.begins < snapshot.first <= here - 99
    behind = await engine.follow(LogPosition(taken.begins), 0)
    assert behind.gap
    assert behind.entries[0].id == snapshot.first
    assert not (await engine.follow(LogPosition(snapshot.first), 0)).gap


async def test_a_long_log_is_read_in_parts(backend: Backend) -> None:
    """One after another, without a gap."""
    engine = backend.engine()
    taken = await owned(engine)
    ids = [taken.begins + number for number in range(1, 26)]
    await engine.commit(taken.epoch, taken.begins, Batch([(each, b"x") for each in ids]))
    found: list[int] = []
    position = LogPosition(taken.begins)
    while entries := (news := await engine.follow(position, 0, limit=10)).entries:
        assert not news.gap
        found += (entry.id for entry in entries)
        position = LogPosition(entries[-1].id)
    assert found == ids


async def test_a_reader_waits_for_news(backend: Backend) -> None:
    """And hears of them at once; without any it comes back with nothing."""
    engine = backend.engine()
    taken = await owned(engine)
    assert await engine.follow(LogPosition(taken.begins), 0.02) == ((), (), False)
    waiting = asyncio.create_task(backend.engine().follow(LogPosition(taken.begins), 30.0))
    await asyncio.sleep(0.05)
    await engine.commit(taken.epoch, taken.begins, Batch([(taken.begins + 1, b"a")]))
    assert [entry.data for entry in (await waiting).entries] == [b"a"]


@pytest.mark.parametrize(
    "batch",
    [
        Batch([(1, b"x")]),
        Batch([(12, b"x"), (12, b"y")]),
        Batch([(12, b"x"), (11, b"y")]),
        Batch([(HIGHEST, b"x")]),
        Batch([(12, b"")]),
        Batch([(12, b"x")], [Put(Table.FEEDS, "f", b"")]),
        Batch([(10 + each, b"x") for each in range(1, MAX_ENTRIES + 2)]),
    ],
    ids=["not above", "twice", "falling", "too high", "empty", "empty value", "too many"],
)
async def test_what_no_engine_could_keep_is_refused(backend: Backend, batch: Batch) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError):
        await backend.engine().commit(1, 10, batch)


# Claims


async def test_nobody_is_held_twice(backend: Backend) -> None:
    """Whatever the owner believes; nothing of the claim is written then."""
    engine = backend.engine()
    taken = await owned(engine)
    here = taken.begins
    first = Batch([(here + 1, b"made")], [put(Table.HELD, "ann", b"c1"), put(Table.CLAIMS, "c1")])
    assert await engine.claim(taken.epoch, here, first, ["ann"]) == frozenset()
    both = [put(Table.HELD, "bob", b"c2"), put(Table.HELD, "ann", b"c2"), put(Table.CLAIMS, "c2")]
    second = Batch([(here + 2, b"made")], both)
    assert await engine.claim(taken.epoch, here + 1, second, ["bob", "ann"]) == {"ann"}
    snapshot = await engine.snapshot()
    assert snapshot.tables[Table.HELD] == {"ann": b"c1"}
    assert snapshot.tables[Table.CLAIMS].keys() == {"c1"}
    assert snapshot.last == here + 1
    over = Batch([(here + 2, b"released")], [put(Table.HELD, "ann", None), put(Table.CLAIMS, "c1", None)])
    await engine.commit(taken.epoch, here + 1, over)
    third = Batch([(here + 3, b"made")], both)
    assert await engine.claim(taken.epoch, here + 2, third, ["bob", "ann"]) == frozenset()


async def test_claiming_twice_is_claiming_once(backend: Backend) -> None:
    """The reply to the first was lost: that its people are held now is by itself."""
    engine = backend.engine()
    taken = await owned(engine)
    claim = Batch([(taken.begins + 1, b"made")], [put(Table.HELD, "ann", b"c1")])
    for _ in range(2):
        assert await engine.claim(taken.epoch, taken.begins, claim, ["ann"]) == frozenset()
    assert len((await engine.follow(LogPosition(taken.begins), 0)).entries) == 1


async def test_a_claim_says_whom_it_holds(backend: Backend) -> None:
    """All that it asks for, with an event."""
    for batch in (Batch([(2, b"made")]), Batch((), [put(Table.HELD, "ann")])):
        with pytest.raises(ValueError):
            await backend.engine().claim(1, 1, batch, ["ann"])


# Giving up the lease


async def test_whom_the_owner_names_is_handed_what_it_had(backend: Backend) -> None:
    """Also if that one asks twice. The last beat tells all at once."""
    engine = backend.engine()
    first = await owned(engine)
    await engine.release(first.epoch, 5, first.begins, b"last beat", to="two", handover=b"ids")
    beats = (await engine.follow(LogPosition(first.begins), 0)).beats
    assert [(beat.number, beat.data) for beat in beats] == [(5, b"last beat")]
    for _ in range(2):
        assert (await owned(engine, "two")).handover == b"ids"
    await engine.release(first.epoch, 6, first.begins, b"again", to="three", handover=b"old")
    assert isinstance(await engine.take("three", "http://three", "t"), Holder)


async def test_another_gets_nothing(backend: Backend) -> None:
    """And after it the one that was named gets nothing either."""
    engine = backend.engine()
    first = await owned(engine)
    await engine.release(first.epoch, 1, first.begins, b"last", to="two", handover=b"ids")
    third = await owned(engine, "three")
    assert third.handover is None
    await engine.release(third.epoch, 1, third.begins, b"last", to="", handover=b"")
    assert (await owned(engine, "two")).handover is None


async def test_nothing_is_handed_over_of_a_log_that_has_lost_its_end(backend: Backend) -> None:
    """The next owner begins anew."""
    engine = backend.engine()
    taken = await owned(engine)
    await engine.release(taken.epoch, 1, taken.begins + 3, b"last", to="two", handover=b"ids")
    assert (await owned(engine, "two")).handover is None


async def test_who_took_over_and_was_forgotten_adopts_again_and_nobody_else_does(backend: Backend) -> None:
    """The engine goes back to just before the take-over: a third replica must not go on with the same ids."""
    engine = backend.engine()
    first = await owned(engine)
    await engine.release(first.epoch, 1, first.begins, b"last", to="two", handover=b"ids")
    backend.keep()
    second = await owned(engine, "two")
    assert second.handover == b"ids"
    backend.rewind()
    third = await owned(engine, "three")
    assert third.handover is None
    with pytest.raises(LeaseLost):
        await engine.beat(second.epoch, 1, second.begins, b"beat")


# Members and marks


async def test_replicas_say_that_they_are_there(backend: Backend) -> None:
    """And that they go, once or twice."""
    engine = backend.engine()
    await engine.echo("one", b"1")
    await backend.engine().echo("two", b"2")
    await engine.echo("one", b"3")
    assert await engine.members() == {"one": b"3", "two": b"2"}
    for _ in range(2):
        await engine.echo("one", None)
    assert await engine.members() == {"two": b"2"}


async def test_notifications_reach_the_owner(backend: Backend) -> None:
    """In their order, and anybody who has read on gets only later ones."""
    engine = backend.engine()
    for number in range(3):
        await backend.engine().mark(b"%d" % number)
    marks = await engine.marks(NO_MARKS, 0)
    assert [mark.data for mark in marks] == [b"0", b"1", b"2"]
    assert [mark.data for mark in await engine.marks(marks[1].id, 0)] == [b"2"]
    waiting = asyncio.create_task(engine.marks(marks[2].id, 30.0))
    await asyncio.sleep(0.05)
    await backend.engine().mark(b"3")
    assert [mark.data for mark in await waiting] == [b"3"]
    assert list(await engine.marks((await waiting)[0].id, 0.02)) == []


async def test_notifications_go_on_after_the_loss_of_data(backend: Backend) -> None:
    """Although their ids may begin anew."""
    engine = backend.engine()
    await engine.mark(b"before")
    assert list(await engine.marks("99999999999999-0", 0.02)) == [(await engine.marks(NO_MARKS, 0))[0]]
    backend.lose_all()
    assert list(await engine.marks("99999999999999-0", 0.02)) == []
    await engine.mark(b"after")
    assert [mark.data for mark in await engine.marks("99999999999999-0", 0.02)] == [b"after"]


# Memory


async def test_without_memory_nothing_is_written_and_there_is_an_owner(backend: Backend) -> None:
    """A batch is refused as a whole; beats are few, and go on, and so is a lease that is released and taken."""
    engine = backend.engine()
    taken = await owned(engine)
    here = taken.begins
    await engine.commit(taken.epoch, here, Batch([(here + 1, b"a")], [put(Table.RECORDS, "ann")]))
    backend.fill(full=True)
    for batch in (
        Batch([(here + 2, b"b")], [put(Table.RECORDS, "bob")]),
        Batch([(here + 2, b"b")]),
        Batch((), [put(Table.RECORDS, "bob")]),
    ):
        with pytest.raises(EngineFull):
            await engine.commit(taken.epoch, here + 1, batch)
    with pytest.raises(EngineFull):
        await engine.claim(taken.epoch, here + 1, Batch([(here + 2, b"b")], [put(Table.HELD, "ann")]), ["ann"])
    with pytest.raises(EngineFull):
        await engine.mark(b"x")
    await engine.beat(taken.epoch, 1, here + 1, b"beat")
    snapshot = await engine.snapshot()
    assert snapshot.last == here + 1
    assert snapshot.tables[Table.RECORDS].keys() == {"ann"}
    assert not snapshot.tables[Table.HELD]
    await engine.release(taken.epoch, 2, here + 1, b"last", to="two", handover=b"left")
    next_one = await owned(engine, "two")
    assert (next_one.before, next_one.last, next_one.handover) == (taken.epoch, here + 1, b"left")
    backend.fill(full=False)
    here = next_one.begins
    await engine.commit(next_one.epoch, here, Batch([(here + 1, b"b")], [put(Table.RECORDS, "bob")]))


async def test_without_memory_it_takes_what_a_new_owner_has_to_write(backend: Backend) -> None:
    """The nodes alone, and only of the owner; together with anything else they are refused."""
    engine = backend.engine()
    taken = await owned(engine)
    node, other = put(Table.NODES, "imp1"), put(Table.NODES, "imp2")
    backend.fill(full=True)
    await engine.commit(taken.epoch, taken.begins, Batch((), [node, other]))
    await engine.commit(taken.epoch, taken.begins, Batch((), [node, Put(Table.NODES, "imp2", None)]))
    for batch in (Batch([(taken.begins + 1, b"b")], [other]), Batch((), [other, put(Table.TENURE, "whole")])):
        with pytest.raises(EngineFull):
            await engine.commit(taken.epoch, taken.begins, batch)
    with pytest.raises(LeaseLost):
        await engine.commit(taken.epoch + 1, taken.begins, Batch((), [other]))
    with pytest.raises(LogRewound):
        await engine.commit(taken.epoch, taken.begins + 1, Batch((), [other]))
    assert (await engine.snapshot()).tables[Table.NODES].keys() == {"imp1"}


async def test_what_an_operator_wants_to_know(backend: Backend) -> None:
    """By name and version."""
    facts = await backend.engine().facts()
    assert facts.name in {"memory", "redis", "valkey"}
    assert facts.version
    assert facts.eviction == "noeviction"
    assert facts.persistent is False
    assert (facts.replicas, facts.is_primary) == (0, True)
