"""Stories of several nodes: redirects, nodes that fail, and the operator's wish."""

from __future__ import annotations

import pytest

from pws_soap.lifecycle import Act, FailureKind, Kind, Move, NodeHealth, Settings, resolve
from pws_soap.lifecycle.nodes import has_failed, named
from tests.lifecycle.driver import START, A, B, C
from tests.lifecycle.story import Story, app, endpoint, session, subscription, words


def logging_in(*nodes: str, redirect_to: frozenset[str] | None = frozenset()) -> Story:
    """The application is logged in at the first node, and the login of ann is under way."""
    story = Story(*nodes, redirect_to=redirect_to)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE))
    return story


def test_a_redirect_is_followed() -> None:
    """The application user logs in at the other node too, the user after it, and the first node is left."""
    story = logging_in(A, B)
    asked = story.elsewhere(story.one(Act.MAKE, Kind.END_USER), "b.example")
    assert [(each.act, each.key) for each in asked] == [(Act.MAKE, app(B))]
    story.serve()
    assert set(story.state.resources) == {app(B), session(node=B), endpoint(B), subscription(node=B)}
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node=B)]


def test_a_redirect_costs_no_second_login_at_the_first_node() -> None:
    """The answer of that node is known."""
    story = logging_in(A, B)
    asked = story.elsewhere(story.one(Act.MAKE, Kind.END_USER), "b.example") + story.serve()
    assert not [each for each in asked if each.key == session(node=A)]


@pytest.mark.parametrize("redirect_to", [frozenset({"c.example"}), None])
def test_a_redirect_to_a_host_that_is_named_is_followed(redirect_to: frozenset[str] | None) -> None:
    """With the scheme and port of the node that named it; None stands for any host."""
    story = logging_in(A, redirect_to=redirect_to)
    story.elsewhere(story.one(Act.MAKE, Kind.END_USER), "c.example")
    story.serve()
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node=C)]


@pytest.mark.parametrize("names", [("c.example",), (None, "c.example"), ("c.example", "d.example")])
def test_a_redirect_to_a_host_that_nobody_named_is_a_problem(names: tuple[str | None, ...]) -> None:
    """Nothing is sent there, since it would be the password; the problem says which host it is, and what to set."""
    story = logging_in(A, B)
    assert story.elsewhere(story.one(Act.MAKE, Kind.END_USER), *names) == []
    error = story.state.resources[session()].error
    assert error is not None
    assert error.kind is FailureKind.REFUSED
    assert "end user ann is homed on c.example" in error.text
    assert "server.nodes and server.redirect_to do not name; nothing was sent there: add it" in error.text
    story.live_on(1000)
    assert {key.node for key in story.state.resources} == {A}


def test_a_redirect_goes_to_the_one_of_two_hosts_that_is_named() -> None:
    """The other is not kept as a backup either."""
    for first, second in (("b.example", "c.example"), ("c.example", "b.example")):
        story = logging_in(A, B)
        story.elsewhere(story.one(Act.MAKE, Kind.END_USER), first, second)
        story.serve()
        assert story.live(Kind.SUBSCRIPTION) == [subscription(node=B)]
        assert story.state.users["ann"].backup is None


def test_a_redirect_to_another_port_of_a_host_of_ours_is_followed() -> None:
    story = logging_in(A)
    story.elsewhere(story.one(Act.MAKE, Kind.END_USER), "a.example:9999")
    story.serve()
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node="https://a.example:9999")]


@pytest.mark.parametrize("kind", [Kind.APPLICATION, Kind.END_USER])
def test_a_backup_that_nobody_named_is_not_used(kind: Kind) -> None:
    """Whether it was told at the application's login or at the end user's."""
    story = Story(A)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE), backup="c.example" if kind is Kind.APPLICATION else None)
    story.yes(story.one(Act.MAKE, Kind.END_USER), backup="c.example" if kind is Kind.END_USER else None)
    story.serve()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    story.wait(20)
    assert story.state.users["ann"].node == A


def test_the_backup_is_used_when_the_primary_of_a_redirect_has_failed() -> None:
    """Ann has left the failed home before; bob is sent there."""
    story = Story(A, B, C).start()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    story.wait(15)
    for command in [each for each in story.open if each.key.node == A]:
        story.no(command, FailureKind.UNREACHABLE)
    story.want(ann="a", bob="b")
    assert story.state.users["bob"].node == B, "a new user does not begin at a node that has failed"
    story.yes(story.one(Act.MAKE, Kind.APPLICATION, node=B))
    story.elsewhere(story.one(Act.MAKE, Kind.END_USER, "ann"), "a.example", "c.example")
    story.live_on(1)
    assert subscription("ann", node=C) in story.live(Kind.SUBSCRIPTION)


@pytest.mark.parametrize(
    "name", ["", None, "no such name", "b.example:99999", "[:::]", "[1:2]", "//evil", "user@b", "b.example/path"]
)
def test_a_redirect_to_no_name_at_all_is_an_error_and_tried_again(name: str | None) -> None:
    """Whatever the server says, the lifecycle lives."""
    story = logging_in(A, B)
    story.elsewhere(story.one(Act.MAKE, Kind.END_USER), name)
    error = story.at(session()).error
    assert error is not None
    assert "no usable name" in error.text
    story.live_on(2)
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]


def test_a_redirect_of_the_application_user_is_an_error_and_tried_again_with_pauses() -> None:
    """Application users may log in anywhere: such an answer makes no sense, and no storm."""
    story = Story(A, B)
    story.want(ann="a")
    assert story.elsewhere(story.one(Act.MAKE), "b.example") == []
    assert "only end users" in str(story.at(app()).error)
    assert words(story.wait(1)) == ["make application"]


def test_a_late_redirect_moves_nobody() -> None:
    """The operator has decided meanwhile."""
    story = logging_in(A, B)
    late = story.one(Act.MAKE, Kind.END_USER)
    story.post(Move(B))
    story.elsewhere(late, "c.example")
    story.serve()
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node=B)]


def test_a_redirect_loop_is_an_error_and_does_not_storm() -> None:
    """Each node says it is the other one; it ends when they agree."""
    story = Story(A, B)
    story.want(ann="a")
    logins = 0
    told: set[str] = set()
    while story.now < START + 1000:
        while story.open:
            command = story.open[0]
            if command.key.kind is Kind.END_USER and command.act is Act.MAKE:
                logins += 1
                story.elsewhere(command, "b.example" if command.key.node == A else "a.example")
            else:
                story.yes(command)
        told |= {each.error.text for each in story.state.resources.values() if each.error}
        story.now = story.due() or START + 1000
        story.tick()
    assert any("redirect loop" in text and A in text and B in text for text in told)
    assert logins < 200
    story.live_on(60)
    assert len(story.live(Kind.SUBSCRIPTION)) == 1


def test_hops_are_bounded() -> None:
    """A chain of ever new nodes is not followed for ever."""
    story = logging_in(A, redirect_to=None)
    for hop in range(2, 10):
        login = story.one(Act.MAKE, Kind.END_USER)
        story.elsewhere(login, f"n{hop}.example")
        errors = [each.error.text for each in story.state.resources.values() if each.error]
        if errors:
            break
        story.yes(story.one(Act.MAKE, Kind.APPLICATION))
    assert "too many redirects" in errors[0]
    assert hop - 1 == story.state.settings.max_hops


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("b.example", B),
        ("B.Example", B),
        ("b.example:8083", B),
        ("b.example:9999", "https://b.example:9999"),
        ("d.example", "https://d.example:8083"),
        ("192.0.2.1", "https://192.0.2.1:8083"),
        ("[2001:db8::1]", "https://[2001:db8::1]:8083"),
        ("[2001:db8::1]:99", "https://[2001:db8::1]:99"),
        ("d.example:0", None),
        ("d.example:65536", None),
        ("[2001:db8::1", None),
        ("d.example?", None),
        ("", None),
        (None, None),
    ],
)
def test_names_of_nodes(name: str | None, url: str | None) -> None:
    """A configured node of that name is meant, else one with the scheme and port of the node that named it."""
    settings = Settings((A, B))
    assert resolve(name, A, settings) == url


def test_a_name_without_any_port_stays_without_one() -> None:
    """Where the nodes have none."""
    assert resolve("d.example", "https://a.example", Settings(("https://a.example",))) == "https://d.example"


def test_one_failure_moves_nobody() -> None:
    """Neither do many at once: it takes several over some time."""
    story = Story(A, B).start()
    story.used(subscription(), FailureKind.UNREACHABLE)
    assert story.state.users["ann"].node == A
    for _ in range(10):
        story.used(subscription(), FailureKind.UNREACHABLE)
    assert story.state.users["ann"].node == A
    story.used(subscription())
    story.live_on(100)
    assert story.state.users["ann"].node == A
    assert not has_failed(story.state.nodes[A], story.state.settings, story.now)


def test_a_node_that_fails_for_long_enough_is_left() -> None:
    """After the policy's time, without another failure: to the next of the nodes, where everything is made anew."""
    story = Story(A, B).start()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    asked = story.wait(story.state.settings.node_patience)
    assert story.state.users["ann"].node == B
    assert [each.key for each in asked if each.act is Act.MAKE] == [app(B)]
    story.live_on(1)
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node=B)]


def test_an_answer_is_no_failure_whatever_it_says() -> None:
    """A fault says that the node is there; counting begins again."""
    story = Story(A, B).start()
    for _ in range(5):
        story.used(subscription(), FailureKind.UNREACHABLE)
        story.used(subscription(), FailureKind.UNREACHABLE)
        story.used(subscription(), FailureKind.THROTTLED)
        story.wait(20)
    assert story.state.users["ann"].node == A


def leave(story: Story, node: str) -> None:
    """That node fails until it is left."""
    for _ in range(3):
        story.used(subscription(node=node), FailureKind.UNREACHABLE)
    story.wait(15)
    for command in list(story.open):
        if command.key.node == node:
            story.no(command, FailureKind.UNREACHABLE)


def test_a_node_that_is_come_back_to_is_given_the_same_patience_as_any_other() -> None:
    """What it did hours ago says nothing about now: one failure moves nobody on."""
    story = Story(A, B).start()
    leave(story, A)
    story.serve_only(B, 2 * 3600, FailureKind.UNREACHABLE)
    assert app(A) not in story.state.resources
    leave(story, B)
    assert story.state.users["ann"].node == A
    story.no(story.one(Act.MAKE, node=A), FailureKind.UNREACHABLE)
    story.wait(70)
    assert story.state.users["ann"].node == A


def test_a_node_that_still_fails_is_not_chosen_again() -> None:
    """The removal of what it held says so, long after its pause; there is no point in going back."""
    story = Story(A, B).start()
    leave(story, A)
    story.serve_only(B, 100, FailureKind.UNREACHABLE)
    assert app(A) in story.state.resources
    leave(story, B)
    assert story.state.users["ann"].node == B


def test_the_backup_named_at_login_comes_before_the_next_of_the_nodes() -> None:
    """The server knows its cluster better than the configuration."""
    story = Story(A, B, C)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE), backup="c.example")
    story.serve()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    story.wait(20)
    assert story.state.users["ann"].node == C


def test_the_backup_named_at_the_end_users_login_counts_too() -> None:
    """Where the application's login named none."""
    story = Story(A, B, C)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE))
    story.yes(story.one(Act.MAKE, Kind.END_USER), backup="c.example")
    story.serve()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    story.wait(20)
    assert story.state.users["ann"].node == C


def test_no_flapping_back() -> None:
    """The first node is back after a minute; the user stays where it is for the day."""
    story = Story(A, B).start()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    story.wait(20)
    story.live_on(86400)
    assert story.state.users["ann"].node == B
    assert set(story.state.resources) == {app(B), session(node=B), endpoint(B), subscription(node=B)}


def test_the_node_that_came_back_is_used_when_the_present_one_fails() -> None:
    """There and back again."""
    story = Story(A, B).start()
    for here, there in ((A, B), (B, A)):
        for _ in range(3):
            story.used(subscription(node=here), FailureKind.UNREACHABLE)
        story.wait(20)
        assert story.state.users["ann"].node == there
        story.live_on(100)
        assert story.live(Kind.SUBSCRIPTION) == [subscription(node=there)]


def test_the_operator_moves_one_user_or_all() -> None:
    """Everything is made there, and removed where it was."""
    story = Story(A, B).start(ann="a", bob="b")
    story.post(Move(B, "ann"))
    story.serve()
    assert sorted(story.live(Kind.SUBSCRIPTION)) == [subscription("bob"), subscription("ann", node=B)]
    assert session("ann") not in story.state.resources
    story.post(Move(B))
    asked = words(story.serve())
    assert sorted(story.live(Kind.SUBSCRIPTION)) == [subscription("ann", node=B), subscription("bob", node=B)]
    assert app(A) not in story.state.resources
    order = ["remove subscription bob", "remove end-user bob", "remove application"]
    assert [each for each in asked if each in order] == order


def test_moving_to_where_one_is_changes_nothing() -> None:
    """Nothing is made anew, and the backup named at login is still known."""
    story = Story(A, B)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE), backup="b.example")
    story.serve()
    assert story.post(Move(A)) == []
    assert story.state.nodes[A] == NodeHealth(backup=B)


def test_all_nodes_down_for_hours() -> None:
    """Every node is tried again and again, at the pace of the back-off; the first that answers is used."""
    story = Story(A, B, C)
    story.want(ann="a")
    tries = story.refuse_all(7200, FailureKind.UNREACHABLE)
    nodes = {command.key.node for at, command in tries if at > START + 3600}
    assert nodes == {A, B, C}
    assert 7200 / 60 < len(tries) < 7200 / 5
    story.live_on(120)
    assert len(story.live(Kind.SUBSCRIPTION)) == 1


def test_a_home_that_is_down_while_the_others_redirect_to_it_is_found_again() -> None:
    """Every other node sends the user home, whatever is known of that node."""
    story = Story(A, B)
    story.want(ann="a")
    broken = True
    until = START + 2000
    while story.now < until:
        while story.open:
            command = story.open[0]
            if command.key.node == B and broken:
                story.no(command, FailureKind.UNREACHABLE)
            elif command.act is Act.MAKE and command.key == session(node=A):
                story.elsewhere(command, "b.example")
            else:
                story.yes(command)
        story.now = min(story.due() or until, until)
        story.tick()
        if broken and story.now > START + 1500:
            broken = False
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node=B)]


def test_the_removal_of_what_a_failed_node_holds_is_given_up_in_bounded_time() -> None:
    """Tried at the pace of the back-off until all of it has expired."""
    story = Story(A, B).start()
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    tries = []
    until = story.now + 2 * 3600
    while story.now < until:
        while story.open:
            command = story.open[0]
            if command.key.node == A:
                tries.append(story.now)
                story.no(command, FailureKind.UNREACHABLE)
            else:
                story.yes(command)
        story.now = min(story.due() or until, until)
        story.tick()
    assert {key.node for key in story.state.resources} == {B}
    assert len(tries) < 400
    assert tries[-1] - tries[0] <= 3600


def test_a_session_that_holds_what_could_not_be_removed_is_ended_before_it_is_used_again() -> None:
    """Moved away, the removal failed, and moved back at once: nothing of before is left in the session."""
    story = Story(A, B, contacts_per_subscription=1).start(ann="ab", bob="b")
    story.post(Move(B, "ann"))
    for command in [each for each in story.open if each.act is Act.REMOVE]:
        story.no(command, FailureKind.UNREACHABLE)
    story.post(Move(A, "ann"))
    asked = words(story.live_on(60))
    ended = [each for each in asked if each in {"reset end-user ann", "remove end-user ann"}]
    assert ended
    assert asked.index(ended[0]) < asked.index("make subscription ann")


def test_a_dot_at_the_end_of_a_host_makes_no_other_node() -> None:
    """A redirect to `b.example.` means the configured node, and a name that may be followed stays one."""
    settings = Settings((A, B), redirect_to=frozenset({"c.example."}))
    assert resolve("B.example.", A, settings) == B
    assert named("c.example.", A, settings) == C
    assert named("d.example.", A, settings) is None
    assert resolve(".", A, settings) is None
    dotted = Settings(("https://a.example.:8083",))
    assert resolve("a.example", A, dotted) == "https://a.example.:8083"
