"""Which contacts are wanted: the configuration's, and what was added and removed since."""

from __future__ import annotations

import pytest

from service.core.engine import NoSuchEndUser
from service.sync.watchlist import Watchlist


def contacts(watching: Watchlist) -> list[tuple[str, str]]:
    return [(each.contact, each.end_user) for each in watching.all()]


def test_a_contact_of_two_end_users_is_watched_through_the_first() -> None:
    watching = Watchlist({"a": ("ann@x.y", "joe@x.y"), "b": ("ANN@x.y", "rita@x.y")})
    assert contacts(watching) == [("ann@x.y", "a"), ("joe@x.y", "a"), ("rita@x.y", "b")]
    assert watching.wanted() == {"a": frozenset({"ann@x.y", "joe@x.y"}), "b": frozenset({"rita@x.y"})}


def test_adding_tells_what_is_new_and_joins_the_named_end_user() -> None:
    watching = Watchlist({"a": ("ann@x.y",), "b": ()})
    assert watching.add(["Ann@x.y", "joe@x.y"], "b") == ["joe@x.y"]
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
    assert watching.remove(["JOE@x.y", "ann@x.y", "zoe@x.y"]) == ["joe@x.y", "ann@x.y"]
    assert contacts(watching) == []


def test_a_configured_contact_that_was_removed_can_be_added_again() -> None:
    watching = Watchlist({"a": ("ann@x.y",)})
    watching.remove(["ann@x.y"])
    assert watching.add(["ann@x.y"]) == ["ann@x.y"]
    assert [each.configured for each in watching.all()] == [True]


def test_reading_again_replaces_the_configured_ones_and_keeps_the_others() -> None:
    watching = Watchlist({"a": ("ann@x.y", "old@x.y")})
    watching.add(["joe@x.y"])
    watching.remove(["ann@x.y"])
    watching.reload({"a": ("ann@x.y", "new@x.y")})
    assert contacts(watching) == [("new@x.y", "a"), ("joe@x.y", "a")]
    assert "2 contacts" in repr(watching)
