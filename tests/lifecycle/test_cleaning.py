"""Stories of what is left behind: unknown outcomes, late replies, earlier runs, and a clean stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pws_soap.lifecycle import UNKNOWN, Act, FailureKind, Kind, Leftover, Memory, Phase, Stop, remember
from tests.lifecycle.driver import START, A, B
from tests.lifecycle.story import Story, app, endpoint, session, subscription, words

LIFE = 3600.0


def subscribing(*nodes: str) -> Story:
    """Everything is there but the subscription, which is being made."""
    story = Story(*nodes)
    story.want(ann="joe")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    return story


def leaving(*leftovers: Leftover, nodes: tuple[str, ...] = (A,)) -> Story:
    """A life that has left these behind so far, such as what a lost endpoint served."""
    story = Story(*nodes)
    story.state = replace(story.state, leftovers=leftovers)
    story.given |= {(each.kind, each.node, each.id) for each in leftovers}
    return story


def earlier(*nodes: str, memory: Memory | None = None) -> Story:
    """A start after a process that may have left something on these nodes."""
    return Story(A, B, memory=Memory(frozenset(nodes)) if memory is None else memory)


def old_subscription(number: int = 7, user: str = "ann", node: str = A, until: float = START + LIFE) -> Leftover:
    """A subscription that is no longer used."""
    return Leftover(Kind.SUBSCRIPTION, node, user, number, until)


# Unknown outcomes


def test_a_subscription_that_may_have_been_made_is_not_made_twice() -> None:
    """Nobody knows its id: its session is logged out, which removes it, and then everything is made anew."""
    story = subscribing()
    assert words(story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME)) == ["reset end-user ann"]
    assert words(story.yes(story.one(Act.RESET))) == ["make end-user ann"]
    assert words(story.live_on(2)) == ["make end-user ann", "make subscription ann"]


def test_an_endpoint_that_may_have_been_made_is_not_made_twice() -> None:
    """The same with the application's session, which takes the end users along."""
    story = Story()
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE))
    story.yes(story.one(Act.MAKE, Kind.END_USER))
    assert words(story.no(story.one(Act.MAKE, Kind.ENDPOINT), FailureKind.UNKNOWN_OUTCOME)) == ["reset application"]
    assert words(story.live_on(2)) == [
        "reset application",
        "make application",
        "make end-user ann",
        "make endpoint",
        "make subscription ann",
    ]


def test_a_login_that_may_have_succeeded_is_just_tried_again() -> None:
    """With `force` off the server gives the same session."""
    story = Story()
    story.want(ann="joe")
    assert story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME) == []
    assert words(story.wait(1)) == ["make application"]


def test_a_reset_is_tried_until_it_succeeds() -> None:
    """Nothing is made in a session that may hold something unknown."""
    story = subscribing()
    story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME)
    tries = story.refuse_all(120, FailureKind.SERVER, Kind.END_USER)
    assert {command.act for _, command in tries} == {Act.RESET}
    assert len(tries) >= 5
    story.live_on(30)
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


def test_a_reset_of_a_session_that_is_gone_is_done() -> None:
    """101: what it held is gone too."""
    story = subscribing()
    story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME)
    assert words(story.no(story.one(Act.RESET), FailureKind.SESSION_LOST)) == ["make end-user ann"]


def test_an_unknown_outcome_of_a_renewal_resets_nothing() -> None:
    """A renewal makes nothing: it is tried again."""
    story = Story().start()
    story.wait(0.8 * LIFE)
    assert story.no(story.one(Act.RENEW, Kind.SUBSCRIPTION), FailureKind.UNKNOWN_OUTCOME) == []
    assert words(story.wait(1)) == ["renew subscription ann"]


def test_the_late_reply_of_a_make_nobody_waits_for_becomes_a_leftover() -> None:
    """Its session was lost meanwhile; should it be there all the same, it is removed."""
    story = subscribing()
    late = story.one(Act.MAKE)
    story.want(ann="joe", bob="b")
    story.no(story.one(Act.MAKE, Kind.END_USER, "bob"), FailureKind.SESSION_LOST)
    story.open.remove(late)
    story.serve()
    story.open.append(late)
    assert words(story.yes(late, id=17)) == ["remove leftover subscription ann"]
    story.no(story.one(Act.REMOVE), FailureKind.SUBSCRIPTION_LOST)
    assert story.state.leftovers == ()
    assert subscription() in story.live(Kind.SUBSCRIPTION)


def test_a_late_reply_with_the_id_of_what_is_live_by_now_harms_nothing() -> None:
    """Ids are small and are given again: what is live must not be removed."""
    story = subscribing()
    late = story.one(Act.MAKE)
    story.want(ann="joe", bob="b")
    story.no(story.one(Act.MAKE, Kind.END_USER, "bob"), FailureKind.SESSION_LOST)
    story.open.remove(late)
    story.serve()
    story.open.append(late)
    assert story.yes(late, id=story.at(subscription()).id) == []
    assert story.state.leftovers == ()


def test_an_id_given_twice_is_resolved_by_beginning_anew() -> None:
    """The server lost the first subscription and gave its id to the second: the first has no news of its own."""
    story = Story(contacts_per_subscription=1).start(ann="a")
    number = story.at(subscription()).id
    story.want(ann="ab")
    asked = story.yes(story.one(Act.MAKE), id=number)
    assert words(asked) == ["remove leftover subscription ann"]
    assert asked[0].id == number
    story.live_on(2)
    assert len({story.at(key).id for key in story.live(Kind.SUBSCRIPTION)}) == 2


def test_a_make_answered_after_its_life_is_over_is_not_believed() -> None:
    """The machine slept with two of them under way: by now the id is that of the other one."""
    story = Story(contacts_per_subscription=1)
    story.want(ann="ab")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    first, second = story.open
    story.now += 2 * LIFE
    story.tick()
    story.yes(story.one(Act.MAKE, Kind.ENDPOINT))
    (again,) = story.yes(first, id=50, asked_at=START)
    story.yes(again, id=60)
    (again,) = story.yes(second, id=60, asked_at=START)
    story.yes(again, id=70)
    assert {story.at(key).id for key in story.live(Kind.SUBSCRIPTION)} == {60, 70}


def test_an_id_given_twice_is_removed_for_as_long_as_the_younger_of_the_two_lives() -> None:
    """The older reply came last."""
    story = Story(contacts_per_subscription=1, endpoint_expires=80000)
    story.want(ann="ab")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    slow, other = story.open
    story.no(other, FailureKind.SERVER)
    story.now += 3000
    (again,) = story.tick()
    story.yes(again, id=50)
    story.yes(slow, id=50, asked_at=START)
    assert [each.expires_at for each in story.state.leftovers] == [story.now + LIFE]


# What is left behind in a life


def test_leftovers_are_removed_before_new_ones_are_made() -> None:
    """The server's limits are small: first out, then in."""
    story = leaving(Leftover(Kind.ENDPOINT, A, "", 3, START + LIFE), old_subscription(7))
    story.want(ann="joe")
    assert words(story.yes(story.one(Act.MAKE))) == ["make end-user ann", "remove leftover endpoint"]
    assert words(story.yes(story.one(Act.MAKE))) == ["remove leftover subscription ann"]
    assert words(story.yes(story.one(Act.REMOVE, Kind.ENDPOINT))) == ["make endpoint"]
    assert story.yes(story.one(Act.MAKE)) == []
    assert words(story.yes(story.one(Act.REMOVE))) == ["make subscription ann"]


def test_leftovers_of_somebody_no_longer_wanted_are_removed() -> None:
    """The configuration changed while we were down: log in, remove, log out."""
    story = leaving(old_subscription(7, "zoe"))
    story.want(ann="joe")
    asked = words(story.serve())
    assert [each for each in asked if "zoe" in each] == [
        "make end-user zoe",
        "remove leftover subscription zoe",
        "remove end-user zoe",
    ]


@pytest.mark.parametrize("failure_kind", [FailureKind.SUBSCRIPTION_LOST, FailureKind.SESSION_LOST])
def test_a_leftover_the_server_does_not_know_is_forgotten(failure_kind: FailureKind) -> None:
    """133 or 137 says that it is gone, or that it is not ours any more."""
    story = leaving(old_subscription())
    story.want(ann="joe")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    story.no(story.one(Act.REMOVE), failure_kind)
    assert story.state.leftovers == ()
    story.serve()
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


@pytest.mark.parametrize(
    "failure_kind", [FailureKind.SERVER, FailureKind.THROTTLED, FailureKind.REFUSED, FailureKind.EXHAUSTED]
)
def test_a_leftover_that_cannot_be_removed_does_not_stop_the_work(failure_kind: FailureKind) -> None:
    """After a first try what is wanted is made; the rest is tried again, with pauses, until it has expired."""
    story = leaving(old_subscription())
    story.want(ann="joe")
    tries = []
    while story.now < START + 2 * LIFE:
        while story.open:
            command = story.open[0]
            if command.leftover:
                tries.append(story.now)
                story.no(command, failure_kind)
            else:
                story.yes(command)
        if len(tries) == 1:
            assert story.live(Kind.SUBSCRIPTION) == [subscription()]
        story.now = story.due() or START + 2 * LIFE
        story.tick()
    assert 10 < len(tries) < 200
    assert tries[-1] < START + LIFE
    assert story.state.leftovers == ()


def lost_again(seconds: float) -> Story:
    """A leftover whose first removal failed, and a subscription that is lost again some seconds after it was made."""
    story = leaving(old_subscription())
    story.want(ann="joe")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    story.no(story.one(Act.REMOVE), FailureKind.SERVER)
    story.yes(story.one(Act.MAKE))
    story.wait(seconds)
    story.used(subscription(), FailureKind.SUBSCRIPTION_LOST)
    return story


def test_nothing_is_made_while_a_leftover_is_being_removed() -> None:
    """Its id may be given again, and the removal must not hit what is new."""
    story = lost_again(1)
    assert words(story.open) == ["remove leftover subscription ann"]
    assert words(story.yes(story.one(Act.REMOVE))) == ["make subscription ann"]


def test_no_leftover_is_removed_while_something_is_being_made() -> None:
    """For the same reason: should the new one bear its id, the leftover is no more."""
    story = lost_again(0)
    assert words(story.open) == ["make subscription ann"]
    assert story.wait(20) == []
    assert story.yes(story.one(Act.MAKE), id=7) == []
    assert story.state.leftovers == ()


def test_a_leftover_nobody_can_log_in_for_does_not_tick() -> None:
    """The node is down: there is one clock, that of the login's back-off."""
    story = leaving(old_subscription())
    story.want(ann="joe")
    steps = story.steps
    story.refuse_all(1800, FailureKind.UNREACHABLE)
    assert story.steps - steps < 300


def test_what_has_expired_is_no_leftover() -> None:
    """Nothing is asked for."""
    story = leaving(old_subscription(until=START))
    assert story.tick() == []
    assert story.state.leftovers == ()


def test_a_leftover_on_a_node_that_redirects_its_user_goes_with_the_applications_session() -> None:
    """The user is at home elsewhere by now, and cannot get in there."""
    story = leaving(old_subscription(node=B), nodes=(A, B))
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE, node=B))
    asked = story.elsewhere(story.one(Act.MAKE, Kind.END_USER, node=B), "a.example")
    assert [(each.act, each.key) for each in asked] == [(Act.RESET, app(B))]
    story.serve()
    assert story.state.leftovers == ()
    assert story.state.users["ann"].node == A
    assert {key.node for key in story.state.resources} == {A}


# What an earlier process left

RESET = ["make application", "reset application", "make application"]


@pytest.mark.parametrize("memory", [Memory(frozenset({A})), UNKNOWN, Memory(frozenset({A, B}))])
def test_a_start_that_finds_anything_left_over_resets_before_it_makes_anything(memory: Memory) -> None:
    """The unforced login gives the key of the dead process, whose requests the server may still carry out."""
    story = earlier(memory=memory)
    story.want(ann="joe")
    asked = [words([each])[0] for each in story.serve() if each.key.node == A]
    assert asked == [*RESET, "make end-user ann", "make endpoint", "make subscription ann"]


def test_a_start_that_finds_nothing_resets_nothing() -> None:
    story = earlier()
    story.want(ann="joe")
    assert words(story.serve()) == ["make application", "make end-user ann", "make endpoint", "make subscription ann"]


def test_a_node_is_reset_once() -> None:
    """A login after that is to a session of our own."""
    story = earlier(A)
    story.want(ann="joe")
    story.serve()
    story.used(subscription(), FailureKind.SESSION_LOST)
    assert "reset application" not in words(story.live_on(120))


def test_what_is_left_on_another_node_is_removed_there() -> None:
    """And then that node is left."""
    story = earlier(B)
    story.want(ann="joe")
    asked = story.serve()
    assert words(each for each in asked if each.key.node == B) == ["make application", "reset application"]
    assert {key.node for key in story.state.resources} == {A}
    assert remember(story.state) == Memory(frozenset({A}))


def test_a_node_that_is_not_used_is_not_visited_for_what_nobody_knows() -> None:
    """But when it is used, it is reset first."""
    story = earlier(memory=UNKNOWN)
    story.want(ann="joe")
    assert {each.key.node for each in story.serve()} == {A}
    story.wait(60)
    story.move(B)
    assert words(each for each in story.serve() if each.key.node == B)[:3] == RESET


@pytest.mark.parametrize("failure_kind", [FailureKind.UNREACHABLE, FailureKind.UNKNOWN_OUTCOME, FailureKind.SERVER])
def test_nothing_is_made_on_a_node_that_cannot_be_reset(failure_kind: FailureKind) -> None:
    story = earlier(A)
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE))
    story.no(story.one(Act.RESET), failure_kind)
    assert {each.act for _, each in story.refuse_all(10, failure_kind)} == {Act.RESET}
    assert remember(story.state).nodes == {A}


def test_the_server_s_word_that_the_key_is_dead_is_a_reset() -> None:
    story = earlier(A)
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE))
    story.no(story.one(Act.RESET), FailureKind.SESSION_LOST)
    assert words(story.serve()) == ["make application", "make end-user ann", "make endpoint", "make subscription ann"]


def test_a_node_is_visited_for_what_is_left_as_long_as_anything_can_live() -> None:
    """It never answers: a day later nothing of the dead process is there any more."""
    story = earlier(B)
    story.want(ann="joe")
    story.serve_only(A, 90000, FailureKind.UNREACHABLE)
    assert {key.node for key in story.state.resources} == {A}
    assert remember(story.state) == Memory(frozenset({A}))


def test_a_session_that_could_not_be_logged_out_is_reset_before_its_node_is_used_again() -> None:
    """We left a node that had failed. It may still hold our session, and a fetch in it."""
    story = Story(A, B).start()
    story.want(ann="joe")
    story.serve_only(B, 20, FailureKind.UNREACHABLE)
    story.move(B)
    story.serve_only(B, 5 * LIFE, FailureKind.UNREACHABLE)
    assert {key.node for key in story.state.resources} >= {B}
    assert A in remember(story.state).nodes
    story.move(A)
    asked = words(each for each in story.live_on(120) if each.key.node == A)
    assert asked[:3] == RESET


# No room


@pytest.mark.parametrize("kind", [Kind.ENDPOINT, Kind.SUBSCRIPTION])
def test_where_there_is_no_room_our_own_session_is_reset_once(kind: Kind) -> None:
    """It frees what was forgotten; then the operator is needed, or time."""
    story = Story()
    story.want(ann="joe")
    while not [each for each in story.open if each.key.kind is kind]:
        story.yes(story.open[0])
    while [each for each in story.open if each.key.kind is not kind]:
        story.yes(next(each for each in story.open if each.key.kind is not kind))
    owner = app() if kind is Kind.ENDPOINT else session()
    (reset,) = story.no(story.one(Act.MAKE, kind), FailureKind.EXHAUSTED)
    assert (reset.act, reset.key) == (Act.RESET, owner)
    tries = story.refuse_all(1800, FailureKind.EXHAUSTED, kind)
    assert [each.act for _, each in tries if each.act is Act.RESET] == [Act.RESET]
    assert 5 < len([each for _, each in tries if each.key.kind is kind]) < 40
    story.live_on(400)
    assert subscription() in story.live(Kind.SUBSCRIPTION)


def test_no_room_to_add_a_contact_ends_nothing_that_works() -> None:
    story = Story().start(ann="a")
    story.want(ann="ab")
    assert story.no(story.one(Act.ALTER), FailureKind.EXHAUSTED) == []
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


# Requests that may still be carried out


def test_a_fetch_of_unknown_outcome_ends_its_session() -> None:
    """It may still wait in the server, and would take changes of whatever is fetched with this key and id."""
    story = Story().start()
    assert words(story.used(subscription(), FailureKind.UNKNOWN_OUTCOME, consumes=True)) == ["reset end-user ann"]
    assert words(story.serve()) == ["reset end-user ann", "make end-user ann", "make subscription ann"]


def test_a_poll_of_unknown_outcome_ends_nothing() -> None:
    """It takes nothing along."""
    story = Story().start()
    assert story.used(subscription(), FailureKind.UNKNOWN_OUTCOME) == []


def test_a_fetch_that_outlived_its_session_ends_no_other() -> None:
    story = Story().start()
    old = story.at(session()).generation
    story.used(subscription(), FailureKind.SESSION_LOST)
    story.serve()
    assert story.used(subscription(), FailureKind.UNKNOWN_OUTCOME, consumes=True, of_session=old) == []


def test_a_fetch_that_outlived_its_subscription_ends_the_session_that_both_share() -> None:
    """The new subscription may bear the same id."""
    story = Story().start()
    old = story.at(subscription()).generation
    story.used(subscription(), FailureKind.SUBSCRIPTION_LOST)
    story.serve()
    asked = story.used(subscription(), FailureKind.UNKNOWN_OUTCOME, generation=old, consumes=True)
    assert words(asked) == ["reset end-user ann"]


def test_contacts_that_may_be_added_or_taken_out_later_end_the_session() -> None:
    """One that is taken out behind our back would be called live, and nothing would tell of it."""
    story = Story().start(ann="ab")
    story.want(ann="a")
    assert words(story.no(story.one(Act.ALTER), FailureKind.UNKNOWN_OUTCOME)) == ["reset end-user ann"]
    story.serve()
    assert story.at(subscription()).contacts == {"a"}


def test_resets_one_after_the_other_get_slower() -> None:
    """A gateway that answers every fetch with a page of its own."""
    story, resets = Story().start(), []
    until = story.now + 300
    while story.now < until:
        story.serve()
        if subscription() in story.live(Kind.SUBSCRIPTION):
            resets.append(story.now)
            story.used(subscription(), FailureKind.UNKNOWN_OUTCOME, consumes=True)
            story.serve()
        story.now += 1
        story.tick()
    assert 5 < len(resets) < 30


# Stop


def test_a_stop_removes_everything_in_order() -> None:
    """Subscription, end user, endpoint, application; then it is finished, and nothing is left to remember."""
    story = Story().start()
    assert words(story.post(Stop())) == ["remove subscription ann"]
    assert words(story.yes(story.one(Act.REMOVE))) == ["remove end-user ann", "remove endpoint"]
    story.yes(story.one(Act.REMOVE, Kind.END_USER))
    assert words(story.yes(story.one(Act.REMOVE, Kind.ENDPOINT))) == ["remove application"]
    assert story.state.resources
    story.yes(story.one(Act.REMOVE))
    assert story.state.finished
    assert remember(story.state) == Memory()
    assert story.due() is None


def test_a_stop_before_anything_began() -> None:
    """Finished at once."""
    story = Story()
    story.post(Stop())
    assert story.state.finished


def test_a_stop_while_something_is_being_made() -> None:
    """Its reply is waited for, then it is removed."""
    story = subscribing()
    assert story.post(Stop()) == []
    assert words(story.yes(story.one(Act.MAKE))) == ["remove subscription ann"]
    story.serve()
    assert story.state.finished


def test_a_stop_while_something_is_being_made_that_fails() -> None:
    """Nothing more to remove; where the outcome is unknown, its session takes it along."""
    story = subscribing()
    story.post(Stop())
    assert words(story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME)) == [
        "remove end-user ann",
        "remove endpoint",
    ]
    story.serve()
    assert story.state.finished


def test_a_stop_during_a_login_of_unknown_outcome_is_remembered() -> None:
    """The session may be there, and nobody can log it out: the next start resets it. One that was refused is not."""
    story = Story()
    story.want(ann="joe")
    story.post(Stop())
    assert story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME) == []
    assert story.state.finished
    assert remember(story.state) == Memory(frozenset({A}))
    story = Story()
    story.want(ann="joe")
    story.post(Stop())
    story.no(story.one(Act.MAKE), FailureKind.REFUSED)
    assert remember(story.state) == Memory()


def test_a_stop_during_a_renewal_waits_for_its_reply() -> None:
    """One request at a time."""
    story = Story(endpoint_expires=80000).start()
    story.wait(0.8 * LIFE)
    assert story.post(Stop()) == []
    assert words(story.yes(story.one(Act.RENEW))) == ["remove subscription ann"]
    story.serve()
    assert story.state.finished


def test_a_stop_during_a_reset_logs_out_once() -> None:
    """The reset is the removal."""
    story = subscribing()
    story.no(story.one(Act.MAKE), FailureKind.UNKNOWN_OUTCOME)
    story.post(Stop())
    assert words(story.serve()) == ["reset end-user ann", "remove endpoint", "remove application"]
    assert story.state.finished


def test_a_stop_while_backing_off_makes_nothing() -> None:
    """Not even what had just come due."""
    story = Story()
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE))
    story.no(story.one(Act.MAKE, Kind.END_USER), FailureKind.SERVER)
    story.yes(story.one(Act.MAKE, Kind.ENDPOINT))
    story.now += 5
    asked = words(story.post(Stop()) + story.serve())
    assert not [each for each in asked if each.startswith("make")]
    assert story.state.finished


def test_a_stop_with_the_server_gone_is_bounded_and_remembers() -> None:
    """What cannot be removed by itself goes with its session; that is tried until all has expired."""
    story = Story().start()
    story.post(Stop())
    tries = story.refuse_all(60, FailureKind.UNREACHABLE)
    asked = words(command for _, command in tries)
    assert asked[:4] == ["remove subscription ann", "remove end-user ann", "remove endpoint", "remove application"]
    assert set(asked[4:]) == {"remove application"}
    assert story.memory == Memory(frozenset({A})), "the next start resets the application's session"
    story.refuse_all(2 * LIFE, FailureKind.UNREACHABLE)
    assert story.state.finished


def test_a_stop_does_not_wait_for_leftovers() -> None:
    """They go with their session; where there is none, the next start removes them."""
    story = leaving(old_subscription(), old_subscription(8, "zoe", B), nodes=(A, B))
    story.want(ann="joe")
    story.yes(story.one(Act.MAKE, node=A))
    story.yes(story.one(Act.MAKE, Kind.END_USER))
    story.no(story.one(Act.MAKE, node=B), FailureKind.UNREACHABLE)
    story.post(Stop())
    story.serve()
    assert story.state.finished
    assert story.memory == Memory(frozenset({B}))


def test_a_stop_removes_no_leftover_by_itself() -> None:
    """It goes with its session."""
    story = leaving(old_subscription())
    story.want(ann="joe")
    for kind in (Kind.APPLICATION, Kind.END_USER, Kind.ENDPOINT):
        story.yes(story.one(Act.MAKE, kind))
    story.no(story.one(Act.REMOVE), FailureKind.SERVER)
    story.yes(story.one(Act.MAKE))
    story.now += 10
    asked = words(story.post(Stop()) + story.serve())
    assert not [each for each in asked if "leftover" in each]
    assert story.state.leftovers == ()


def test_after_a_stop_nothing_is_made_whatever_happens() -> None:
    """Late news of contacts included."""
    story = Story(A, B).start()
    story.post(Stop())
    story.want(ann="xyz", bob="b")
    asked = words(story.serve())
    assert not [each for each in asked if each.startswith("make")]
    assert story.state.finished


# No longer wanted


def test_an_end_user_no_longer_wanted_leaves_nothing() -> None:
    """The other one is not disturbed."""
    story = Story().start(ann="a", bob="b")
    before = story.at(subscription("bob"))
    story.want(bob="b")
    assert words(story.serve()) == ["remove subscription ann", "remove end-user ann"]
    assert story.at(subscription("bob")) == before


def test_a_removal_that_fails_is_tried_again_until_it_has_expired() -> None:
    """While its session lives on, nothing else removes it."""
    story = Story(contacts_per_subscription=1).start(ann="ab")
    story.want(ann="a")
    tries = [command for _, command in story.refuse_all(120, FailureKind.SERVER, Kind.SUBSCRIPTION)]
    assert len([each for each in tries if each.key == subscription(slot=1)]) >= 5
    assert story.phase(subscription(slot=1)) is Phase.LINGERING
    story.live_on(2 * LIFE)
    assert story.phase(subscription(slot=1)) is None


def test_a_removal_is_tried_for_as_long_as_a_lost_renewal_may_have_prolonged_the_life() -> None:
    """The reply to the last renewal was lost: it may live for an hour from then."""
    story = Story(contacts_per_subscription=1, endpoint_expires=80000).start(ann="ab")
    renewed = 0.0
    while not renewed:
        story.now = story.due() or story.now
        for command in story.tick():
            if command.key.slot == 1:
                renewed = story.now
                story.no(command, FailureKind.UNKNOWN_OUTCOME)
            else:
                story.yes(command)
    story.want(ann="a")
    story.refuse_all(START + LIFE + 60 - story.now, FailureKind.SERVER, Kind.SUBSCRIPTION)
    assert story.phase(subscription(slot=1)) is Phase.LINGERING
    tries = story.refuse_all(2 * LIFE, FailureKind.SERVER, Kind.SUBSCRIPTION)
    assert max(at for at, command in tries if command.key.slot == 1) <= renewed + LIFE


def test_wanted_again_while_being_removed() -> None:
    """First out, then in."""
    story = Story().start()
    story.want()
    story.want(ann="joe")
    asked = words(story.serve())
    assert asked == ["remove subscription ann", "make subscription ann"]
    assert sorted(story.state.resources) == sorted([app(), endpoint(), session(), subscription()])
