"""Which contacts are wanted: the configuration's, and what was added and removed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import same_contact
from service.core.engine import NoSuchEndUser, Watched
from service.sync.watchlist import STEP, Reloaded, Watchlist
from tests.support.examples import examples


def contacts(watching: Watchlist) -> list[tuple[str, str]]:
    return [(each.contact, each.end_user) for each in watching.all()]


def reloaded(watching: Watchlist, configured: Mapping[str, Sequence[str]]) -> Reloaded:
    """Take a new configuration to the end."""
    steps = watching.reload(configured)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            changes: Reloaded = done.value
            return changes


def test_a_contact_of_two_end_users_is_watched_through_the_first() -> None:
    watching = Watchlist({"a": ("ann@x.y", "joe@x.y"), "b": ("ANN@x.y", "rita@x.y")})
    assert contacts(watching) == [("ann@x.y", "a"), ("joe@x.y", "a"), ("rita@x.y", "b")]
    assert watching.wanted() == {"a": frozenset({"ann@x.y", "joe@x.y"}), "b": frozenset({"rita@x.y"})}


def test_adding_tells_what_is_new_and_joins_the_named_end_user() -> None:
    watching = Watchlist({"a": ("ann@x.y",), "b": ()})
    assert list(watching.add(["Ann@x.y", "joe@x.y"], "b")) == ["joe@x.y"]
    assert contacts(watching) == [("ann@x.y", "a"), ("joe@x.y", "b")]


def test_adding_without_a_name_joins_the_first_end_user() -> None:
    watching = Watchlist({"a": (), "b": ()})
    watching.add(["joe@x.y"])
    assert contacts(watching) == [("joe@x.y", "a")]


def test_an_unknown_end_user_is_refused_with_those_there_are() -> None:
    with pytest.raises(NoSuchEndUser, match="a, b"):
        Watchlist({"a": (), "b": ()}).add(["joe@x.y"], "c")


def test_removing_tells_what_was_there() -> None:
    watching = Watchlist({"a": ("ann@x.y",)})
    watching.add(["joe@x.y"])
    assert [each.contact for each in watching.remove(["JOE@x.y", "ann@x.y", "zoe@x.y"])] == ["joe@x.y", "ann@x.y"]
    assert contacts(watching) == []


def test_a_configured_contact_that_was_removed_can_be_added_again() -> None:
    watching = Watchlist({"a": ("ann@x.y",)})
    watching.remove(["ann@x.y"])
    assert list(watching.add(["ann@x.y"])) == ["ann@x.y"]
    assert [each.configured for each in watching.all()] == [True]


def test_reading_again_replaces_the_configured_ones_and_keeps_the_others() -> None:
    watching = Watchlist({"a": ("ann@x.y", "old@x.y")})
    watching.add(["joe@x.y"])
    watching.remove(["ann@x.y"])
    reloaded(watching, {"a": ("ann@x.y", "new@x.y")})
    assert contacts(watching) == [("new@x.y", "a"), ("joe@x.y", "a")]
    assert "2 contacts" in repr(watching)


def test_a_reload_says_what_it_changed() -> None:
    """Who left, who came and who is watched through another end user, in the order of the configurations."""
    watching = Watchlist({"a": ("ann@x.y", "joe@x.y", "old@x.y"), "b": ("rita@x.y",)})
    changes = reloaded(watching, {"a": ("new@x.y", "JOE@x.y", "rita@x.y"), "b": ()})
    assert [each.contact for each in changes.left] == ["ann@x.y", "old@x.y"]
    assert [each.contact for each in changes.came] == ["new@x.y"]
    assert [(old.end_user, new.contact, new.end_user) for old, new in changes.moved] == [("b", "rita@x.y", "a")]
    assert changes.users == {"a"}
    assert all(map(watching.has, changes.came))
    assert not any(map(watching.has, [*changes.left, *(old for old, _ in changes.moved)]))


def test_a_long_reload_is_done_in_steps_and_hears_of_what_is_edited_meanwhile() -> None:
    """It counts from the last step on; what is added and removed between the steps stays so."""
    watching = Watchlist({"a": ("ann@x.y", "old@x.y")})
    many = tuple(f"p{number}@x.y" for number in range(5 * STEP))
    steps = watching.reload({"a": (*many, "ann@x.y")})
    for _ in range(8):
        next(steps)
    assert len(watching.all()) == 2
    watching.add(["joe@x.y"])
    watching.remove(["ann@x.y", many[0]])
    for _ in steps:
        pass
    assert contacts(watching) == [(contact, "a") for contact in (*many, "joe@x.y")]


def test_a_reload_comes_to_an_end_however_often_the_list_is_edited() -> None:
    watching = Watchlist({"a": ()})
    many = tuple(f"p{number}@x.y" for number in range(3 * STEP))
    taken = 0
    for _ in watching.reload({"a": many}):
        taken += 1
        watching.add([f"q{taken}@x.y"])
        assert taken < 100
    assert len(watching.all()) == len(many) + taken


class PlainWatchlist:
    """The plain way: all of the list is made anew each time it is asked for."""

    def __init__(self, configured: Mapping[str, Sequence[str]]) -> None:
        self._configured: dict[str, Sequence[str]] = dict(configured)
        self._spelling: dict[str, str] = {}
        self._added: dict[str, tuple[str, str]] = {}  # key: contact, end user
        self._removed: set[str] = set()

    def __repr__(self) -> str:
        return f"<Watchlist {len(self.all())} contacts>"

    def reload(self, configured: Mapping[str, Sequence[str]]) -> None:
        """Take a new configuration. What was removed by hand stays removed as long as it is configured."""
        self._configured = dict(configured)
        self._removed &= self._configured_keys()
        self._added = {key: each for key, each in self._added.items() if each[1] in self._configured}

    def add(self, contacts: Iterable[str], end_user: str | None = None) -> list[str]:
        """Watch these as well; those that are new. Raises NoSuchEndUser. By default the first end user's."""
        if end_user is not None and end_user not in self._configured:
            raise NoSuchEndUser(end_user, self._configured)
        user = end_user if end_user is not None else next(iter(self._configured))
        known = {same_contact(each.contact) for each in self.all()}
        configured = self._configured_keys()
        new = []
        for contact in contacts:
            key = same_contact(contact)
            if key not in known:
                known.add(key)
                self._removed.discard(key)
                if key not in configured:
                    self._added[key] = (contact, user)
                new.append(contact)
        return new

    def remove(self, contacts: Iterable[str]) -> list[str]:
        """Watch these no longer; those that were watched."""
        known = {same_contact(each.contact): each for each in self.all()}
        gone = []
        for contact in contacts:
            each = known.pop(same_contact(contact), None)
            if each is not None:
                key = same_contact(contact)
                self._added.pop(key, None)
                if each.configured:
                    self._removed.add(key)
                gone.append(each.contact)
        return gone

    def all(self) -> list[Watched]:
        """Every contact once, the configured ones first."""
        found: dict[str, Watched] = {}
        for user, contacts in self._configured.items():
            for contact in contacts:
                key = same_contact(contact)
                if key not in self._removed and key not in found:
                    found[key] = Watched(self._spelling.setdefault(key, contact), user, True)
        for key, (contact, user) in self._added.items():
            if key not in found:
                found[key] = Watched(self._spelling.setdefault(key, contact), user, False)
        # The server is given the first spelling of a contact, for as long as it is watched: another one would be the
        # same contact to it, and removing the one would remove the other.
        self._spelling = {key: each.contact for key, each in found.items()}
        return list(found.values())

    def _configured_keys(self) -> set[str]:
        return {same_contact(contact) for contacts in self._configured.values() for contact in contacts}


names = st.lists(st.sampled_from(["ann@x.y", "Ann@x.y", "ANN@x.y", "joe@x.y", "Joe@x.y", "zoe@x.y"]), max_size=4)
configurations = st.dictionaries(st.sampled_from("abc"), names, min_size=1, max_size=3)
edits = st.one_of(
    st.tuples(st.just("add"), names, st.sampled_from("abc")),
    st.tuples(st.just("remove"), names, st.none()),
    st.tuples(st.just("reload"), configurations, st.none()),
)


@settings(max_examples=examples(300))
@given(configurations, st.lists(edits, max_size=8))
def test_the_list_that_is_kept_is_the_one_that_is_made_anew(
    configured: dict[str, list[str]], history: list[tuple[str, object, str | None]]
) -> None:
    """Spellings, end users and order, whatever was added, removed and read again."""
    kept, plain = Watchlist(configured), PlainWatchlist(configured)
    plain.all()
    for what, value, user in history:
        if what == "reload":
            reloaded(kept, value)  # type: ignore[arg-type]
            plain.reload(value)  # type: ignore[arg-type]
        elif what == "add" and user in kept.wanted():
            assert list(kept.add(value, user)) == plain.add(value, user)  # type: ignore[arg-type]
        elif what == "remove":
            assert [each.contact for each in kept.remove(value)] == plain.remove(value)  # type: ignore[arg-type]
        assert kept.all() == plain.all()
