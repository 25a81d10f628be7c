"""Stories of a life: how everything is made, renewed, found lost and made anew."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pws_soap.lifecycle import Act, CallReported, Command, FailureKind, Key, Kind, Phase, Settings, Succeeded
from pws_soap.lifecycle.backoff import pause, renewal
from tests.lifecycle.driver import START
from tests.lifecycle.story import Story, app, endpoint, session, subscription, words

LIFE = 3600.0


def test_from_nothing_to_live() -> None:
    """Log in, register and log the end user in side by side, subscribe; each as soon as what it needs is there."""
    story = Story()
    assert words(story.want(ann="joe")) == ["make application"]
    assert words(story.yes(story.one(Act.MAKE))) == ["make end-user ann", "make endpoint"]
    assert words(story.yes(story.one(Act.MAKE, Kind.END_USER))) == []
    assert words(story.yes(story.one(Act.MAKE, Kind.ENDPOINT))) == ["make subscription ann"]
    subscribe = story.one(Act.MAKE)
    assert subscribe.endpoint == story.at(endpoint()).id
    assert subscribe.add == {*"joe"}
    assert subscribe.expires == LIFE
    story.yes(subscribe)
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]
    assert story.at(subscription()).contacts == {*"joe"}


def test_two_end_users_share_the_application_user_and_its_endpoint() -> None:
    """One login of the application and one endpoint on a node, a session and a subscription each."""
    story = Story()
    story.want(ann="a", bob="b")
    assert sorted(words(story.serve())) == [
        "make application",
        "make end-user ann",
        "make end-user bob",
        "make endpoint",
        "make subscription ann",
        "make subscription bob",
    ]


def test_without_contacts_there_is_nothing_to_do() -> None:
    """Not even a login."""
    assert Story().want(ann="") == []


def test_renewed_at_about_four_fifths_of_their_life() -> None:
    """By id, less up to a tenth by chance, counted from before the request was sent; sessions are not renewed."""
    story = Story().start()
    renewed: dict[Key, float] = {}
    while len(renewed) < 2:
        due = story.due()
        assert due is not None
        story.now = due
        for command in story.tick():
            renewed[command.key] = story.now - START
            assert command.act is Act.RENEW
            assert command.id == story.at(command.key).id
            assert command.expires == LIFE
    assert set(renewed) == {endpoint(), subscription()}
    for after in renewed.values():
        assert 0.9 * 0.8 * LIFE <= after <= 0.8 * LIFE


def test_renewals_are_spread() -> None:
    """The jitter differs from thing to thing and from time to time, and with the seed."""
    settings = Settings((), seed=1)
    times = {renewal(settings, 3600, subscription(slot=slot), seq) for slot in range(10) for seq in range(10)}
    assert len(times) == 100
    assert max(times) - min(times) > 0.05 * LIFE
    other = Settings((), seed=2)
    assert renewal(settings, 3600, endpoint(), 1) != renewal(other, 3600, endpoint(), 1)


def test_a_life_counts_from_before_the_request_was_sent() -> None:
    """A slow reply shortens what is known to be left."""
    story = Story()
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE))
    story.now += 20
    story.yes(story.one(Act.MAKE, Kind.ENDPOINT), asked_at=START)
    assert story.at(endpoint()).expires_at == START + LIFE


def test_a_failed_renewal_changes_nothing_and_is_tried_again_in_time() -> None:
    """It stays live, and is tried again several times before it expires."""
    story = Story().start()
    tries = story.refuse_all(LIFE - 1, FailureKind.SERVER, Kind.SUBSCRIPTION, Kind.ENDPOINT)
    assert all(command.act is Act.RENEW for _, command in tries)
    assert sum(command.key == endpoint() for _, command in tries) >= 10
    assert story.phase(subscription()) is Phase.LIVE
    assert story.phase(endpoint()) is Phase.LIVE
    story.live_on(60)
    assert (story.at(endpoint()).expires_at or 0) > story.now + LIFE - 100


def test_a_change_that_nobody_announced_has_the_endpoint_renewed_at_once() -> None:
    """The server may have forgotten it, and only a renewal says so."""
    story = Story().start()
    story.live_on(100)
    (renewal,) = story.post(CallReported(subscription(), story.at(subscription()).generation, unheard=True))
    assert (renewal.act, renewal.key) == (Act.RENEW, endpoint())
    story.no(renewal, FailureKind.ENDPOINT_LOST)
    story.serve()
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


def test_what_is_lost_with_something_else_is_made_anew_with_it() -> None:
    """The pause, if any, is that of what was lost by itself."""
    story = Story().start()
    for _ in range(8):
        story.used(subscription(), FailureKind.SESSION_LOST)
        while not story.live(Kind.END_USER):
            story.serve()
            story.now = story.due() or story.now
            story.tick()
        story.serve()
        assert story.live(Kind.SUBSCRIPTION) == [subscription()]


def test_what_expired_is_made_anew() -> None:
    """The machine slept for two hours: sessions are believed in until the server says otherwise."""
    story = Story().start()
    story.now += 2 * LIFE
    assert words(story.tick()) == ["make endpoint"]
    assert words(story.serve()) == ["make endpoint", "make subscription ann"]
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


def test_a_subscription_that_expired_during_a_renewal_of_unknown_outcome_is_removed() -> None:
    """The renewal may have reached the server: then it would live on, and count against the limit."""
    story = Story(endpoint_expires=80000).start()
    old = story.at(subscription()).id
    asked: list[Command] = []
    while not asked or asked[-1].act is Act.RENEW:
        for command in list(story.open):
            story.no(command, FailureKind.UNKNOWN_OUTCOME)
        story.now = story.due() or story.now
        asked += story.tick()
    assert story.now == START + LIFE
    assert words(asked[-1:]) == ["remove leftover subscription ann"]
    assert asked[-1].id == old
    assert words(story.yes(asked[-1])) == ["make subscription ann"]


def test_a_subscription_the_server_does_not_know_is_made_anew() -> None:
    """133 and 137, at a fetch."""
    story = Story().start()
    assert words(story.used(subscription(), FailureKind.SUBSCRIPTION_LOST)) == ["make subscription ann"]
    story.serve()
    assert story.at(subscription()).id == 3


def test_a_subscription_lost_at_its_renewal_is_made_anew() -> None:
    """With a new id, not the old one."""
    story = Story(endpoint_expires=80000).start()
    story.wait(0.8 * LIFE)
    again = story.no(story.one(Act.RENEW), FailureKind.SUBSCRIPTION_LOST)
    assert words(again) == ["make subscription ann"]
    assert again[0].id is None


def test_the_subscriptions_of_a_lost_endpoint_are_removed_and_made_anew() -> None:
    """132 and 136: they live on at the server, and nobody is notified any more."""
    story = Story(subscription_expires=80000).start()
    old = story.at(subscription()).id
    story.wait(0.8 * LIFE)
    again = story.no(story.one(Act.RENEW, Kind.ENDPOINT), FailureKind.ENDPOINT_LOST)
    assert words(again) == ["make endpoint", "remove leftover subscription ann"]
    assert again[1].id == old
    assert story.yes(again[0]) == [], "first out with the old, since the limits are small"
    assert words(story.yes(again[1])) == ["make subscription ann"]


def test_an_endpoint_lost_while_a_subscription_is_being_made() -> None:
    """It may come to life all the same: then it is removed, and made anew for the new endpoint."""
    story = Story().start(bob="b")
    story.want(bob="b", ann="a")
    story.yes(story.one(Act.MAKE, Kind.END_USER))
    slow = story.one(Act.MAKE, Kind.SUBSCRIPTION)
    story.want(bob="bc", ann="a")
    story.no(story.one(Act.ALTER), FailureKind.ENDPOINT_LOST)
    assert story.phase(subscription()) is Phase.LEAVING
    assert words(story.yes(slow)) == ["remove subscription ann"]
    story.serve()
    assert sorted(story.live(Kind.SUBSCRIPTION)) == [subscription(), subscription("bob")]


@pytest.mark.parametrize("soon", [True, False], ids=["before the new one is there", "afterwards"])
def test_many_failures_with_one_lost_endpoint_register_it_once(soon: bool) -> None:
    """The second one is about the old endpoint."""
    story = Story()
    story.want(ann="a", bob="b")
    for kind in (Kind.APPLICATION, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    for user in ("ann", "bob"):
        story.yes(story.one(Act.MAKE, Kind.END_USER, user))
    first, second = story.open
    assert words(story.no(first, FailureKind.ENDPOINT_LOST)) == ["make endpoint"]
    if soon:
        assert story.no(second, FailureKind.ENDPOINT_LOST) == []
        assert words(story.serve()) == ["make endpoint", "make subscription ann", "make subscription bob"]
    else:
        story.yes(story.one(Act.MAKE, Kind.ENDPOINT))
        assert words(story.no(second, FailureKind.ENDPOINT_LOST)) == ["make subscription bob"]


def test_a_session_that_is_gone_takes_its_subscriptions_along() -> None:
    """101 at a fetch: log in again with `force` off, subscribe again, remove nothing."""
    story = Story().start()
    again = story.used(subscription(), FailureKind.SESSION_LOST)
    assert words(again) == ["make end-user ann"]
    assert not again[0].force
    assert words(story.yes(again[0])) == ["make subscription ann"]


def test_many_failures_with_one_lost_session_log_in_once() -> None:
    """Single flight: what failed in the old session says nothing about the new one."""
    story = Story(contacts_per_subscription=1).start(ann="abc")
    before = {key: story.at(key).generation for key in story.live(Kind.SUBSCRIPTION)}
    asked = [words(story.used(key, FailureKind.SESSION_LOST, generation)) for key, generation in before.items()]
    assert asked == [["make end-user ann"], [], []]
    story.serve()
    for key, generation in before.items():
        assert story.used(key, FailureKind.SESSION_LOST, generation) == []


def test_a_failed_request_of_an_older_life_changes_nothing() -> None:
    """Its session was lost and made anew in the meantime."""
    story = Story().start()
    story.wait(0.8 * LIFE)
    late = story.one(Act.RENEW, Kind.SUBSCRIPTION)
    story.open.remove(late)
    story.used(subscription(), FailureKind.SESSION_LOST)
    story.serve()
    story.open.append(late)
    before = story.state.resources
    assert story.no(late, FailureKind.SESSION_LOST) == []
    assert story.state.resources == before


def test_when_the_application_session_is_gone_everything_follows() -> None:
    """Noticed by an end user that cannot log in again; both end users follow, and nothing is removed first."""
    story = Story().start(ann="a", bob="b")
    story.used(subscription("ann"), FailureKind.SESSION_LOST)
    again = story.no(story.one(Act.MAKE), FailureKind.SESSION_LOST)
    assert words(again) == ["make application"]
    assert sorted(words(story.serve())) == [
        "make application",
        "make end-user ann",
        "make end-user bob",
        "make endpoint",
        "make subscription ann",
        "make subscription bob",
    ]


def test_two_end_users_that_notice_the_loss_of_the_application_cause_one_login() -> None:
    """The later failure was about the old session."""
    story = Story().start(ann="a", bob="b")
    story.used(subscription("ann"), FailureKind.SESSION_LOST)
    story.used(subscription("bob"), FailureKind.SESSION_LOST)
    ann, bob = story.open
    assert words(story.no(ann, FailureKind.SESSION_LOST)) == ["make application"]
    assert story.no(bob, FailureKind.SESSION_LOST) == []
    story.serve()
    assert len(story.live(Kind.SUBSCRIPTION)) == 2


def test_a_renewal_that_finds_the_session_gone() -> None:
    """The endpoint's: the application's session. The subscription's: the end user's alone."""
    story = Story().start()
    story.wait(0.8 * LIFE)
    assert words(story.no(story.one(Act.RENEW, Kind.SUBSCRIPTION), FailureKind.SESSION_LOST)) == ["make end-user ann"]
    assert words(story.no(story.one(Act.RENEW, Kind.ENDPOINT), FailureKind.SESSION_LOST)) == ["make application"]


def test_somebody_elses_user_is_waited_for() -> None:
    """160, and the operator does not allow taking over: never forced."""
    story = Story()
    story.want(ann="a")
    story.yes(story.one(Act.MAKE))
    tries = [command for _, command in story.refuse_all(1000, FailureKind.HELD, Kind.END_USER)]
    assert 3 <= len(tries) - 1 <= 20
    assert not any(command.force for command in tries)
    story.live_on(300)
    assert story.live(Kind.SUBSCRIPTION)


def test_somebody_elses_user_is_taken_over_when_the_operator_allows_it() -> None:
    """`force` on the login after the one that said 160, and on no other."""
    story = Story(take_over=True)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE))
    login = story.one(Act.MAKE, Kind.END_USER)
    assert not login.force
    story.no(login, FailureKind.HELD)
    story.wait(60)
    login = story.one(Act.MAKE, Kind.END_USER)
    assert login.force
    story.yes(login)
    story.serve()
    (again,) = story.used(subscription(), FailureKind.SESSION_LOST)
    assert not again.force


@pytest.mark.parametrize(
    ("failure_kind", "first", "most"),
    [
        (FailureKind.SERVER, 1, 30),
        (FailureKind.UNREACHABLE, 1, 30),
        (FailureKind.THROTTLED, 2, 120),
        (FailureKind.EXHAUSTED, 60, 300),
        (FailureKind.REFUSED, 60, 300),
        (FailureKind.HELD, 60, 300),
    ],
)
def test_a_pause_doubles_up_to_a_cap_with_jitter_between_half_and_full(
    failure_kind: FailureKind, first: float, most: float
) -> None:
    """By the kind of failure; many clients that failed together do not come back together."""
    settings = Settings(())
    for failures in range(1, 40):
        full = min(most, first * 2 ** (failures - 1))
        waits = [pause(settings, failure_kind, failures, endpoint(), seq) for seq in range(200)]
        assert 0.5 * full <= min(waits) < 0.55 * full
        assert 0.95 * full < max(waits) <= full


@pytest.mark.parametrize("failure_kind", [FailureKind.THROTTLED, FailureKind.EXHAUSTED])
def test_an_overloaded_server_is_asked_less_and_less(failure_kind: FailureKind) -> None:
    """What works is kept; what is missing is asked for at growing intervals, up to the cap."""
    story = Story()
    story.want(ann="a")
    tries = story.refuse_all(3000, failure_kind, Kind.SUBSCRIPTION, Kind.ENDPOINT)
    times = [at for at, command in tries if command.key == endpoint()]
    gaps = [after - before for before, after in pairwise(times)]
    most = 120 if failure_kind is FailureKind.THROTTLED else 300
    assert max(gaps) <= most
    assert all(gap >= most / 2 for gap in gaps[7:])
    assert story.phase(app()) is Phase.LIVE
    assert story.phase(session()) is Phase.LIVE
    story.live_on(most)
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


@pytest.mark.parametrize("failure_kind", [FailureKind.SUBSCRIPTION_LOST, FailureKind.SESSION_LOST])
def test_what_is_lost_again_and_again_is_made_more_and_more_slowly(failure_kind: FailureKind) -> None:
    """A server that forgets what it has just made is not hammered; one loss a day costs no pause."""
    story = Story().start()
    made = []
    while story.now < START + 1000:
        if story.live(Kind.SUBSCRIPTION):
            made.append(story.now)
            story.used(subscription(), failure_kind)
        elif (due := story.due()) is not None:
            story.now = due
            story.tick()
        story.serve()
    assert len(made) < 80, "a storm"
    assert made[1] - made[0] == 0, "the first loss is healed at once"
    gaps = [after - before for before, after in pairwise(made)]
    assert max(gaps) <= 30
    story.live_on(7200)
    before = story.now
    story.used(subscription(), failure_kind)
    story.serve()
    assert story.live(Kind.SUBSCRIPTION)
    assert story.now == before


def test_a_reply_to_nothing_is_ignored() -> None:
    """A number that was never given, for a thing that is not there."""
    story = Story().start()
    before = story.state
    assert story.post(Succeeded(session("nobody"), 99, story.now)) == []
    assert story.state == before
