"""Stories of contacts that come and go, and of more of them than one subscription takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.lifecycle import Act, Command, Failure, FailureKind, Kind, Phase
from pws_soap.lifecycle.plan import spread
from tests.lifecycle.driver import START
from tests.lifecycle.story import Story, session, subscription, words


def change(command: Command) -> tuple[str, str]:
    """What is added, and what is taken out; each letter is a contact."""
    return "".join(sorted(command.add)), "".join(sorted(command.drop))


def test_a_contact_is_added_to_the_live_subscription() -> None:
    """By its id, and only what is new."""
    story = Story().start(ann="ab")
    (alter,) = story.want(ann="abc")
    assert (alter.act, alter.id) == (Act.ALTER, story.at(subscription()).id)
    assert change(alter) == ("c", "")
    story.yes(alter)
    assert story.at(subscription()).contacts == {*"abc"}


def test_a_contact_is_removed_from_the_live_subscription() -> None:
    """And only that one."""
    story = Story().start(ann="abc")
    (alter,) = story.want(ann="ab")
    assert change(alter) == ("", "c")


def test_contacts_that_change_while_a_change_is_under_way() -> None:
    """One request at a time; then what is still missing."""
    story = Story().start(ann="a")
    story.want(ann="ab")
    assert story.want(ann="c") == []
    (alter,) = story.yes(story.one(Act.ALTER))
    assert change(alter) == ("c", "ab")


def test_contacts_that_change_while_the_subscription_is_being_made() -> None:
    """It is altered as soon as it is there."""
    story = Story()
    story.want(ann="a")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    story.want(ann="ab")
    (alter,) = story.yes(story.one(Act.MAKE))
    assert alter.act is Act.ALTER
    assert change(alter) == ("b", "")


def test_a_change_that_fails_is_tried_again_with_pauses() -> None:
    """What is live stays live."""
    story = Story().start(ann="a")
    story.want(ann="ab")
    tries = story.refuse_all(100, FailureKind.SERVER, Kind.SUBSCRIPTION)
    assert 5 <= len(tries) <= 20
    assert story.phase(subscription()) is Phase.LIVE
    story.live_on(30)
    assert story.at(subscription()).contacts == {*"ab"}


@pytest.mark.parametrize("failure_kind", [FailureKind.THROTTLED, FailureKind.SERVER])
def test_a_contact_whose_addition_failed_is_taken_out_when_it_is_no_longer_wanted(failure_kind: FailureKind) -> None:
    """It may be there all the same: lists are added one by one."""
    story = Story().start(ann="a")
    story.want(ann="ab")
    story.no(story.one(Act.ALTER), failure_kind)
    story.want(ann="a")
    (alter,) = story.wait(5)
    assert alter.act is Act.ALTER
    assert change(alter) == ("", "b")
    story.yes(alter)
    assert story.wait(100) == []


def test_a_contact_whose_removal_failed_is_added_when_it_is_wanted_again() -> None:
    """It may be gone all the same."""
    story = Story().start(ann="ab")
    story.want(ann="a")
    story.no(story.one(Act.ALTER), FailureKind.SERVER)
    story.want(ann="ab")
    (alter,) = story.wait(2)
    assert alter.act is Act.ALTER
    assert change(alter) == ("b", "")


def test_a_partly_made_subscription_is_used_and_completed() -> None:
    """One of the later lists failed: the rest is added after a pause, growing while it fails."""
    story = Story()
    story.want(ann="abcd")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    partly = story.one(Act.MAKE)
    failure = Failure(FailureKind.THROTTLED, "the second list failed")
    assert story.yes(partly, contacts=frozenset("ab"), failure=failure) == []
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]
    assert story.at(subscription()).error == failure
    times = [at for at, _ in story.refuse_all(200, FailureKind.THROTTLED, Kind.SUBSCRIPTION)]
    gaps = [after - before for before, after in zip([START, *times], times, strict=False)]
    assert 1 <= gaps[0] <= 2
    assert gaps[-1] > 10 * gaps[0]
    story.live_on(120)
    assert story.at(subscription()).contacts == {*"abcd"}
    assert story.at(subscription()).error is None


def test_contacts_that_a_partly_made_subscription_may_have_are_taken_out_when_they_are_not_wanted() -> None:
    """The second list was taken in part."""
    story = Story()
    story.want(ann="abcd")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    failure = Failure(FailureKind.SERVER, "the second list failed")
    story.yes(story.one(Act.MAKE), contacts=frozenset("ab"), failure=failure)
    story.want(ann="abc")
    (alter,) = story.wait(2)
    assert change(alter) == ("c", "d")


def test_a_partly_made_subscription_of_unknown_outcome_goes_with_its_session() -> None:
    """The second list may still be waiting in the server."""
    story = Story()
    story.want(ann="abcd")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    failure = Failure(FailureKind.UNKNOWN_OUTCOME, "no reply to the second list", may_have_acted=True)
    (reset,) = story.yes(story.one(Act.MAKE), contacts=frozenset("ab"), failure=failure)
    assert reset.act is Act.RESET
    story.serve()
    assert story.at(subscription()).contacts == {*"abcd"}


def test_a_second_try_to_make_a_subscription_takes_nothing_out() -> None:
    """What the first try may have added went with it."""
    story = Story()
    story.want(ann="ab")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    story.no(story.one(Act.MAKE), FailureKind.THROTTLED)
    story.want(ann="bc")
    assert [change(each) for each in story.wait(2)] == [("bc", "")]


def test_a_new_subscription_owes_nothing_to_the_old_ones_pauses() -> None:
    """The old one refused a change for minutes; it was lost, and the new one takes the next change at once."""
    story = Story().start(ann="a")
    story.want(ann="ab")
    story.refuse_all(600, FailureKind.REFUSED, Kind.SUBSCRIPTION)
    story.used(subscription(), FailureKind.SUBSCRIPTION_LOST)
    story.serve()
    assert [change(each) for each in story.want(ann="abc")] == [("c", "")]


def test_a_full_subscription_makes_room_before_it_takes_more() -> None:
    """5000 is the server's limit (135) at every moment, not only in the end."""
    story = Story(contacts_per_subscription=3).start(ann="abc")
    (first,) = story.want(ann="bcd")
    assert change(first) == ("", "a")
    (second,) = story.yes(first)
    assert change(second) == ("d", "")
    story.yes(second)
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


def test_more_contacts_than_one_subscription_takes() -> None:
    """12,000 are three subscriptions in one session, each within the limit."""
    many = [f"p{number}@example.com" for number in range(12000)]
    story = Story()
    story.want(ann=many)
    assert sorted(words(story.serve())) == [
        "make application",
        "make end-user ann",
        "make endpoint",
        *["make subscription ann"] * 3,
    ]
    contacts = [story.at(key).contacts for key in story.live(Kind.SUBSCRIPTION)]
    assert sorted(len(each) for each in contacts) == [2000, 5000, 5000]
    assert frozenset().union(*contacts) == set(many)


def test_a_contact_stays_in_its_subscription() -> None:
    """A change to one is no reason to alter the others."""
    many = [f"p{number:05}@example.com" for number in range(12000)]
    story = Story().start(ann=many)
    gone, come = many[7], "new@example.com"
    asked = story.want(ann=[each for each in many if each != gone] + [come])
    assert len(asked) == 1
    assert asked[0].drop == {gone}
    assert asked[0].key.slot == 0
    story.serve()
    assert come in story.at(subscription(slot=0)).contacts


def test_a_subscription_without_contacts_is_removed_and_made_again_when_needed() -> None:
    """The others keep their places."""
    story = Story(contacts_per_subscription=1).start(ann="abc")
    assert words(story.want(ann="ac")) == ["remove subscription ann"]
    story.serve()
    assert sorted(story.live(Kind.SUBSCRIPTION)) == [subscription(slot=0), subscription(slot=2)]
    assert words(story.want(ann="acd")) == ["make subscription ann"]
    story.serve()
    assert story.at(subscription(slot=1)).contacts == {"d"}


def test_an_end_user_without_contacts_is_logged_out() -> None:
    """Nothing is watched for it."""
    story = Story().start(ann="a", bob="b")
    story.want(ann="", bob="b")
    story.serve()
    assert session("ann") not in story.state.resources


NAMES = st.frozensets(st.sampled_from("abcdefghijklmnop"), max_size=16)


@given(st.lists(NAMES, min_size=1, max_size=6), st.integers(1, 5))
def test_spreading_keeps_its_promises(history: list[frozenset[str]], most: int) -> None:
    """Every contact once, no subscription too large, none moved, and no more subscriptions than were ever needed."""
    slots: tuple[frozenset[str], ...] = ()
    needed = 0
    for contacts in history:
        before, slots = slots, spread(slots, contacts, most)
        assert sorted(contact for slot in slots for contact in slot) == sorted(contacts)
        assert all(len(slot) <= most for slot in slots)
        for old, new in zip(before, slots, strict=False):
            assert old & contacts <= new
        needed = max(needed, -(-len(contacts) // most))
        assert len(slots) == max(len(before), needed)
