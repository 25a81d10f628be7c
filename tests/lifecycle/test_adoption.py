"""What one process hands over and another goes on with: everything that works, if the sessions are the very same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pws_soap.lifecycle import Act, FailureKind, HandedOver, Kind, Phase, Stop, handed_over
from tests.lifecycle.driver import A, B
from tests.lifecycle.story import Story, app, endpoint, session, subscription, words

LIFE = 3600.0


def handed(each: Story) -> Story:
    """The process ends, and another one has begun to log in."""
    each.hand_over()
    each.want(ann="joe")
    assert words(each.open) == ["make application"]
    return each


def adopted(each: Story) -> None:
    """Both logins give the session that was handed over."""
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    each.yes(each.one(Act.MAKE, Kind.END_USER), is_handed_over=True)


def test_what_works_is_gone_on_with() -> None:
    """Two logins and nothing else: the ids and the times of what is there stay as they were."""
    each = Story().start()
    each.live_on(600.0)
    before = {key: each.at(key) for key in (endpoint(), subscription())}
    adopted(handed(each))
    assert not each.open
    for key, old in before.items():
        new = each.at(key)
        assert (new.phase, new.id, new.contacts, new.expires_at) == (Phase.LIVE, old.id, old.contacts, old.expires_at)
        assert new.generation > each.at(app()).generation
    assert set(words(each.live_on(LIFE))) == {"renew endpoint", "renew subscription ann"}
    assert not each.state.adoptable


def test_it_is_as_if_it_had_been_made_here() -> None:
    """What is wanted is altered, and in the end all is removed."""
    each = Story().start()
    adopted(handed(each))
    each.want(ann="jox")
    assert (each.one(Act.ALTER).add, each.one(Act.ALTER).drop) == (frozenset("x"), frozenset("e"))
    each.serve()
    each.post(Stop())
    each.serve()
    assert each.state.finished
    assert not each.memory.nodes


def test_contacts_stay_in_the_subscription_that_has_them() -> None:
    """Whatever was added and removed before."""
    each = Story(contacts_per_subscription=2)
    each.want(ann="abcde")
    each.serve()
    each.want(ann="aexyz")
    each.serve()
    before = {key: each.at(key).contacts for key in each.live(Kind.SUBSCRIPTION)}
    each.hand_over()
    each.want(ann="aexyz")
    adopted(each)
    assert not each.open
    assert {key: each.at(key).contacts for key in each.live(Kind.SUBSCRIPTION)} == before


def is_made_anew(each: Story) -> None:
    """The application's session is logged out, and nothing of before is used."""
    done = words(each.live_on(60.0))
    assert "reset application" in done
    assert done.index("reset application") < done.index("make endpoint")
    assert not each.state.adoptable
    assert each.phase(subscription("ann" if "ann" in each.state.users else "bob")) is Phase.LIVE


def another_application(each: Story) -> None:
    """Somebody has reset it meanwhile."""
    each.yes(each.one(Act.MAKE, Kind.APPLICATION))


def another_end_user(each: Story) -> None:
    """Its session was ended alone."""
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    assert each.phase(endpoint()) is Phase.LIVE
    each.yes(each.one(Act.MAKE, Kind.END_USER))


def no_login(each: Story) -> None:
    """The server does not answer, and does later: the same session, but nobody knows since when."""
    each.no(each.one(Act.MAKE, Kind.APPLICATION), FailureKind.UNREACHABLE)
    each.wait(60.0)
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)


def no_end_user(each: Story) -> None:
    """The same of the end user's."""
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    each.no(each.one(Act.MAKE, Kind.END_USER), FailureKind.SERVER)


def session_lost(each: Story) -> None:
    """The application's, while the end user logs in."""
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    each.no(each.one(Act.MAKE, Kind.END_USER), FailureKind.SESSION_LOST)


def nobody_wanted(each: Story) -> None:
    """The end user is watched no longer."""
    each.want(bob="x")
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)


@pytest.mark.parametrize(
    "happens",
    [another_application, another_end_user, no_login, no_end_user, nobody_wanted],
    ids=lambda each: each.__name__,
)
def test_what_is_not_as_it_was_handed_over_is_reset(happens: Callable[[Story], None]) -> None:
    """As after a crash."""
    each = handed(Story().start())
    happens(each)
    is_made_anew(each)


def test_a_session_that_is_lost_meanwhile_is_begun_anew() -> None:
    """The server says itself that nothing is left in it."""
    each = handed(Story().start())
    session_lost(each)
    assert not each.state.adoptable
    each.live_on(10.0)
    assert each.phase(subscription()) is Phase.LIVE


def test_an_end_user_who_is_at_home_elsewhere_by_now() -> None:
    """The node that was handed over is reset."""
    each = Story(A, B).start()
    handed(each)
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    each.elsewhere(each.one(Act.MAKE, Kind.END_USER), "b.example")
    assert not each.state.adoptable
    each.live_on(10.0)
    assert each.phase(subscription(node=B)) is Phase.LIVE
    assert each.phase(app()) is None


def making(each: Story) -> None:
    """A subscription is being made."""
    each.want(ann="joe", bob="x")


def altering(each: Story) -> None:
    """Contacts are being added."""
    each.want(ann="joex")


def altering_failed(each: Story) -> None:
    """Nobody knows whether they were."""
    altering(each)
    each.no(each.one(Act.ALTER), FailureKind.SERVER)


def renewing(each: Story) -> None:
    """A new life is asked for."""
    each.wait(LIFE * 0.8)


def fetch_lost(each: Story) -> None:
    """A fetch may yet take changes along."""
    each.used(subscription(), FailureKind.UNKNOWN_OUTCOME, consumes=True)


def left_over(each: Story) -> None:
    """An old endpoint was not removed."""
    each.wait(LIFE * 0.8)
    each.no(each.one(Act.RENEW, Kind.ENDPOINT), FailureKind.ENDPOINT_LOST)


def stopping(each: Story) -> None:
    """Everything is being removed."""
    each.post(Stop())


@pytest.mark.parametrize(
    "happens",
    [making, altering, altering_failed, renewing, fetch_lost, left_over, stopping],
    ids=lambda each: each.__name__,
)
def test_what_is_not_known_is_not_handed_over(happens: Callable[[Story], None]) -> None:
    """Nothing of that node is: the next owner resets it."""
    each = Story().start()
    happens(each)
    assert handed_over(each.state) == HandedOver()
    assert each.memory.nodes == {A}


def test_a_node_that_is_handed_over_helps_itself_alone() -> None:
    """Of another one, where something is under way, nothing is gone on with."""
    each = Story(A, B)
    each.want(ann="joe", bob="x")
    each.yes(each.one(Act.MAKE, Kind.APPLICATION))
    each.yes(each.one(Act.MAKE, Kind.ENDPOINT))
    each.elsewhere(each.one(Act.MAKE, Kind.END_USER, user="bob"), "b.example")
    each.serve()
    each.used(subscription("bob", node=B), FailureKind.UNKNOWN_OUTCOME, consumes=True)
    left = each.hand_over()
    assert {resource.key for resource in left.resources} == {endpoint(), subscription()}
    assert left.homes == {"ann": A}
    each.want(ann="joe", bob="x")
    each.yes(each.one(Act.MAKE, Kind.APPLICATION, node=A), is_handed_over=True)
    each.yes(each.one(Act.MAKE, Kind.END_USER, user="ann"), is_handed_over=True)
    assert each.phase(subscription()) is Phase.LIVE
    assert words([each.one(Act.MAKE, Kind.APPLICATION, node=B)]) == ["make application"]
    each.yes(each.one(Act.MAKE, Kind.APPLICATION, node=B))
    assert each.one(Act.RESET, Kind.APPLICATION, node=B)


def test_an_end_user_who_cannot_be_logged_in_is_in_nobodys_way() -> None:
    """What works is handed over."""
    each = Story()
    each.want(ann="joe", bob="x")
    each.yes(each.one(Act.MAKE, Kind.APPLICATION))
    each.no(each.one(Act.MAKE, Kind.END_USER, user="bob"), FailureKind.REFUSED)
    each.serve()
    each.hand_over()
    each.want(ann="joe", bob="x")
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    each.no(each.one(Act.MAKE, Kind.END_USER, user="bob"), FailureKind.REFUSED)
    each.yes(each.one(Act.MAKE, Kind.END_USER, user="ann"), is_handed_over=True)
    assert each.phase(subscription()) is Phase.LIVE
    assert each.phase(session()) is Phase.LIVE


def test_a_successor_that_ends_at_once_leaves_nothing_to_go_on_with() -> None:
    """Before it knows whether the sessions are the same."""
    each = handed(Story().start())
    assert handed_over(each.state) == HandedOver()
    each.hand_over()
    each.want(ann="joe")
    each.yes(each.one(Act.MAKE, Kind.APPLICATION), is_handed_over=True)
    is_made_anew(each)
