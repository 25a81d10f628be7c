"""Who is there, who has gone, and whether they agree."""

from __future__ import annotations

from service.cluster.members import FORGOTTEN, PRESENT, SAYS, Member, Members
from service.cluster.upstream import is_same, upstream_of


def member(replica: str, nonce: float = 1.0, **fields: object) -> Member:
    """A replica's word."""
    said: dict[str, object] = {"address": f"http://{replica}", "version": "1.9.0", "configuration": "c0ffee"}
    return Member(replica=replica, nonce=nonce, **(said | fields))  # type: ignore[arg-type]  # the fields' own types


def names(members: Members, now: float) -> list[str]:
    """Those that are there."""
    return [each.replica for each in members.present(now)]


def test_a_replica_is_there_as_long_as_what_it_says_changes() -> None:
    """Only the reader's clock counts."""
    members = Members()
    members.observe([member("one", 5.0), member("two", 900.0)], 10.0)
    assert names(members, 10.0) == ["one", "two"]
    members.observe([member("one", 5.0), member("two", 901.0)], 10.0 + PRESENT)
    assert names(members, 10.0 + PRESENT) == ["two"]
    members.observe([member("one", 4.0), member("two", 901.0)], 11.0 + PRESENT)
    assert names(members, 11.0 + PRESENT) == ["one", "two"]


def test_who_says_good_bye_is_gone_at_once() -> None:
    """And who says nothing for a minute is to be removed."""
    members = Members()
    members.observe([member("one"), member("two")], 0.0)
    members.observe([member("one")], 1.0)
    assert names(members, 1.0) == ["one"]
    assert members.forgotten(FORGOTTEN - 0.1) == []
    assert members.forgotten(FORGOTTEN) == ["one"]


def test_the_owner_learns_what_others_have_seen() -> None:
    """Epochs and ids that the engine may have lost."""
    members = Members()
    assert members.highest == (0, 0)
    members.observe([member("one", epoch=5, seen=70), member("two", epoch=4, seen=90)], 0.0)
    assert members.highest == (5, 90)
    assert members.nonces() == {"one": 1.0, "two": 1.0}


def test_to_whom_to_hand_over() -> None:
    """The newest of those that are there and read what we do."""
    members = Members()
    assert members.successor("one", 0.0) is None
    dead = member("killed", version="3.0")
    for nonce in (1.0, 2.0):
        assert members.successor("one", 0.0) is None, "nobody has said anything but once"
        told = [
            member("one", nonce),
            member("old", nonce, version="1.8.9"),
            member("new", nonce, version="1.10.0"),
            member("other", nonce, version="2.0", upstream=upstream_of("pws", ["test1"])),
        ]
        members.observe([*told, dead], 0.0)
    found = members.successor("one", 0.0)
    assert found is not None
    assert found.replica == "new"
    assert members.successor("one", SAYS) is None, "all may have been killed"
    assert len(members.present(SAYS)) == 5


def test_disagreement_is_told() -> None:
    """With who has what."""
    members = Members()
    members.observe([member("one"), member("two")], 0.0)
    assert members.disagreements(0.0) == []
    members.observe([member("one"), member("two", 2.0, configuration="decade", version="2.0")], 0.0)
    assert members.disagreements(0.0) == [
        "2 configurations: c0ffee at http://one; decade at http://two",
        "2 versions: 1.9.0 at http://one; 2.0 at http://two",
    ]
    assert members.disagreements(PRESENT) == [], "only those that are there"


def test_who_reads_the_same_server() -> None:
    """As the same application user, and with a node in common: one may be added at one replica after the other."""
    ours, grown = (
        upstream_of("pws", ["imp1.example.com"]),
        upstream_of("pws", ["IMP1.example.com.", "imp2.example.com"]),
    )
    theirs, tests = upstream_of("pws", ["test1.example.com"]), upstream_of("pws-test", ["imp1.example.com"])
    assert is_same(ours, grown)
    assert is_same(frozenset(), frozenset())
    assert not any(is_same(ours, other) for other in (theirs, tests, frozenset[str]()))
    members = Members()
    members.observe(
        [member("one", upstream=ours), member("two", upstream=theirs), member("three", upstream=grown)], 0.0
    )
    assert [each.replica for each in members.reading(ours, 0.0)] == ["one", "three"]
    assert not members.reading(tests, 0.0)
    assert not members.reading(ours, PRESENT)


def test_who_cannot_load_what_the_owner_has_written() -> None:
    """Only who is there, reads the same server, and could read what this owner writes."""
    ours, others = upstream_of("pws", ["imp1"]), upstream_of("other", ["imp1"])
    members = Members()
    for said, found in (
        (member("one", 1.0, upstream=ours), False),
        (member("one", 2.0, upstream=others, is_stuck=True), False),
        (member("one", 3.0, upstream=ours, is_stuck=True, wire=0), False),
        (member("one", 4.0, upstream=ours, is_stuck=True), True),
    ):
        members.observe([said], 0.0)
        assert members.are_stuck(ours, 1, 0.0) == found
    assert not members.are_stuck(ours, 1, PRESENT)


def test_two_at_one_address() -> None:
    """Only where both go on: the one that is there after a restart is not taken for a second one."""
    members = Members()
    members.observe([member("old", 1.0, address="http://one"), member("other", 1.0)], 0.0)
    members.observe([member("old", 2.0, address="http://one"), member("new", 1.0, address="http://one")], 1.0)
    members.observe([member("old", 2.0, address="http://one"), member("new", 2.0, address="http://one")], 2.0)
    assert members.shared_addresses(2.0) == []
    members.observe([member("old", 3.0, address="http://one"), member("new", 2.0, address="http://one")], 3.0)
    assert members.shared_addresses(3.0) == ["http://one"]
    assert members.shared_addresses(3.0 + PRESENT) == []
