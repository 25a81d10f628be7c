"""Logins, logouts and what belongs to a session (protocol section 2, Sessions)."""

from __future__ import annotations

from typing import Literal

import pytest

from pws_soap.server import messages as m
from pws_soap.simulator import Options, User

from .talk import DirectSimulator

TWO_APPLICATIONS = (User("pwsapp", "secret", application=True), User("otherapp", "secret", application=True))


def test_an_application_user_gets_a_key_and_its_key_logs_end_users_in() -> None:
    """Password first, then app-session-id (K)."""
    direct = DirectSimulator()
    application = direct.application()
    user = direct.end_user(application)
    assert len({application, user}) == 2


def test_without_force_the_same_key_comes_again_and_with_force_a_new_one() -> None:
    """force=false gives the same key, force=true a new one each time (K)."""
    direct = DirectSimulator()
    first = direct.application()
    assert direct.application() == first
    second = direct.application(force=True)
    third = direct.application(force=True)
    assert len({first, second, third}) == 3


def test_a_forced_login_ends_the_old_session_with_its_endpoints_and_end_users() -> None:
    """Option forced_login=replaces."""
    direct = DirectSimulator()
    application, user, *_ = direct.ready()
    direct.application(force=True)
    registry = direct.simulator.place("imp1").node.registry
    assert (len(registry.sessions), len(registry.endpoints), len(registry.subscriptions)) == (1, 0, 0)
    assert direct.code(m.Logout(), application) == 101
    assert direct.code(m.Logout(), user) == 101


def test_a_forced_login_may_leave_the_old_session_beside_the_new_one() -> None:
    """Option forced_login=adds: the old key works on, its endpoint is another session's."""
    direct = DirectSimulator(Options(forced_login="adds"))
    old = direct.application()
    endpoint = direct.endpoint(old)
    new = direct.application(force=True)
    assert direct.code(m.UnregisterEndPoint(endpoint), new) == 136
    assert direct.code(m.UnregisterEndPoint(endpoint), old) is None


def test_an_end_user_follows_its_application_to_a_newer_session() -> None:
    """With forced_login=adds a repeated login keeps the end user's key and gives it the new session's endpoints."""
    direct = DirectSimulator(Options(forced_login="adds"))
    old = direct.application()
    user = direct.end_user(old)
    new = direct.application(force=True)
    endpoint = direct.endpoint(new)
    assert direct.end_user(new) == user
    assert direct.subscription(user, endpoint) == 1


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (m.Login("", password="secret"), 113),
        (m.Login("pwsapp", password=""), 111),
        (m.Login("pwsapp", password="wrong"), 114),
        (m.Login("nobody", password="secret"), 114),
        (m.Login("dispatcher", password="secret"), 114),
        (m.Login("dispatcher", app_session="no such key"), 101),
    ],
)
def test_a_login_is_refused(call: m.Call, code: int) -> None:
    """Each wrong login has its code."""
    assert DirectSimulator().code(call) == code


def test_an_end_users_key_logs_nobody_in() -> None:
    """app-session-id must be an application user's."""
    direct = DirectSimulator()
    user = direct.end_user(direct.application())
    assert direct.code(m.Login("supervisor", app_session=user)) == 141


def test_unknown_end_users_are_an_option() -> None:
    """Option any_end_user."""
    direct = DirectSimulator(Options(any_end_user=False))
    application = direct.application()
    assert direct.code(m.Login("somebody", app_session=application)) == 113
    assert direct.code(m.Login("pwsapp", app_session=application)) == 113
    assert direct.code(m.Login("dispatcher", app_session=application)) is None
    direct = DirectSimulator()
    assert direct.code(m.Login("somebody", app_session=direct.application())) is None


def test_logging_out_destroys_all_that_is_the_sessions() -> None:
    """Logging out destroys all resources; an application user takes its end users along (K)."""
    direct = DirectSimulator()
    application, user, *_ = direct.ready()
    assert direct.ask(m.Logout(), application) == m.Done("logout")
    registry = direct.simulator.place("imp1").node.registry
    assert not registry.sessions
    assert not registry.endpoints
    assert not registry.subscriptions
    assert direct.code(m.Logout(), user) == 101


def test_an_end_user_that_logs_out_leaves_its_application_alone() -> None:
    """The endpoint is the application's, the subscription the end user's (K)."""
    direct = DirectSimulator()
    application, user, endpoint, _ = direct.ready()
    assert direct.code(m.Logout(), user) is None
    registry = direct.simulator.place("imp1").node.registry
    assert list(registry.endpoints) == [endpoint]
    assert not registry.subscriptions
    assert direct.application() == application


def test_every_call_but_login_needs_a_key() -> None:
    """Codes 100 and 101."""
    direct = DirectSimulator()
    assert direct.code(m.Logout()) == 100
    assert direct.code(m.Logout(), "") == 100
    assert direct.code(m.Logout(), "no such key") == 101


def test_an_end_user_that_another_application_holds_is_refused_until_forced() -> None:
    """Code 160, and force takes over (option held_elsewhere=refuse)."""
    direct = DirectSimulator(Options(users=TWO_APPLICATIONS))
    first, second = direct.application(), direct.application(name="otherapp")
    held = direct.end_user(first)
    assert direct.code(m.Login("dispatcher", app_session=second)) == 160
    taken = direct.end_user(second, force=True)
    assert taken != held
    assert direct.code(m.Logout(), held) == 101


@pytest.mark.parametrize(("how", "old_lives"), [("share", True), ("take-over", False)])
def test_an_end_user_that_another_application_holds_may_be_shared_or_taken(
    how: Literal["share", "take-over"], old_lives: bool
) -> None:
    """Option held_elsewhere."""
    direct = DirectSimulator(Options(users=TWO_APPLICATIONS, held_elsewhere=how))
    held = direct.end_user(direct.application())
    taken = direct.end_user(direct.application(name="otherapp"))
    assert taken != held
    assert (direct.code(m.Logout(), held) is None) is old_lives


def test_a_session_ends_by_idleness_only_where_the_option_says_so() -> None:
    """Option session_idle_timeout: an end user's work keeps its application's session alive too."""
    for_ever = DirectSimulator()
    key = for_ever.application()
    for_ever.now += 10 * 86400
    assert for_ever.application() == key

    direct = DirectSimulator(Options(session_idle_timeout=600))
    application, user, _, subscription = direct.ready()
    for _ in range(4):
        direct.now += 500
        assert direct.code(m.GetSubscribedPresence(subscription), user) is None
    direct.now += 601
    assert direct.code(m.GetSubscribedPresence(subscription), user) == 101
    assert direct.code(m.Logout(), application) == 101


def test_a_node_names_its_backup_and_redirects_end_users_to_their_home() -> None:
    """success/@backupServer, and redirect with both servers (K); application users may log in anywhere (K)."""
    users = (User("pwsapp", "secret", application=True), User("dispatcher", home="imp2"), User("supervisor"))
    direct = DirectSimulator(Options(users=users), nodes=("imp1", "imp2", "imp3"))
    for node in ("imp1", "imp2", "imp3"):
        direct.application(node=node)
    assert direct.ask(m.Login("pwsapp", password="secret")) == m.LoggedIn(direct.application(), "imp2")
    here = direct.application(node="imp1")
    assert direct.ask(m.Login("dispatcher", app_session=here)) == m.Redirect("imp2", "imp3")
    assert direct.code(m.Login("supervisor", app_session=here)) is None
    there = direct.application(node="imp2")
    assert isinstance(direct.ask(m.Login("dispatcher", app_session=there), node="imp2"), m.LoggedIn)


def test_sessions_are_per_node() -> None:
    """A key of one node means nothing to another (K)."""
    direct = DirectSimulator(nodes=("imp1", "imp2"))
    key = direct.application(node="imp1")
    assert direct.code(m.Logout(), key, node="imp2") == 101


def test_no_key_and_no_password_shows_in_a_repr() -> None:
    """Nothing secret in a repr."""
    direct = DirectSimulator()
    application, user, *_ = direct.ready()
    node = direct.simulator.place("imp1").node
    login = m.Login("pwsapp", password="secret")
    things: list[object] = [node, direct.simulator, direct.options, login, direct.ask(login), *direct.notifications]
    for kept in (node.registry.sessions, node.registry.endpoints, node.registry.subscriptions):
        things.extend(kept.values())
    shown = repr(things)
    for secret in (application, user, "'secret'", "/pws/path"):
        assert secret not in shown
