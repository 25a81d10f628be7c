"""Killed at any moment and started again: never more at the server than one generation, and clean in the end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pws_soap.lifecycle import UNKNOWN, Act, FailureKind, Kind, Memory, Phase, Settings, Stop, begin, remember
from tests.lifecycle.driver import A, B
from tests.lifecycle.one_process import HEALED_IN
from tests.lifecycle.server import Mode
from tests.lifecycle.story import Story
from tests.lifecycle.world import World

CONTACTS = {"ann": frozenset("abcd"), "bob": frozenset("e")}
SLOTS = 3
"""Subscriptions that these contacts take: two of up to three for ann, one for bob."""


def world() -> World:
    """A server that takes just one generation."""
    return World(Settings((A, B), contacts_per_subscription=3), limit=SLOTS)


def a_life() -> list[Callable[[World], object]]:
    """What happens in a life, step by step."""
    answers: list[Callable[[World], object]] = [lambda each: each.answer(0)]
    return [
        lambda each: each.want(CONTACTS),
        *answers * 8,
        lambda each: each.want({**CONTACTS, "ann": frozenset("abcx")}),
        *answers * 2,
        lambda each: each.elapse(2870),
        *answers * 5,
        lambda each: each.move(1, "ann"),
        *answers * 9,
        lambda each: each.want({"ann": frozenset("a")}),
        *answers * 4,
        lambda each: each.stop(),
        *answers * 8,
    ]


@pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", range(4))
def test_a_crash_at_any_step_leaves_no_orphan(part: int, acted: bool) -> None:
    """With the requests under way carried out by the server before it, or not at all."""
    for moment in range(part, len(a_life()), 4):
        each = world()
        for happens in a_life()[:moment]:
            happens(each)
        each.crash_and_restart(acted)
        each.heal(HEALED_IN)
        assert FailureKind.EXHAUSTED not in each.cluster.failures
        for node in each.cluster.nodes.values():
            assert node.most_endpoints <= 1
            assert node.most_subscriptions <= SLOTS
        each.stop()
        each.answer_all()
        assert each.state.finished
        assert each.there() == {}
        assert remember(each.state) == Memory()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long(ci=True)) for seed in (1, 2))])
def test_a_hundred_crashes_in_a_row(seed: int) -> None:
    """Never 138 or 139, although the server takes just one generation."""
    chance = random.Random(seed)  # noqa: S311  # a walk, not a secret
    each = world()
    each.want(CONTACTS)
    for _ in range(100):
        for _ in range(chance.randrange(12)):
            each.answer(chance.randrange(4))
        if chance.random() < 0.2:
            each.elapse(chance.choice([1, 100, 3000]))
        each.crash_and_restart(chance.random() < 0.5)
    each.heal(HEALED_IN)
    assert FailureKind.EXHAUSTED not in each.cluster.failures
    assert len(each.there()) == 1 + SLOTS


def test_a_crash_with_the_server_gone_for_a_while() -> None:
    """What is remembered is removed when it is back."""
    each = world()
    each.want(CONTACTS)
    each.answer_all()
    each.stop()
    for node in (0, 1):
        each.set_mode(node, Mode.DOWN)
    each.elapse(10)
    each.crash_and_restart(False)
    each.elapse(1000)
    each.heal(HEALED_IN)
    assert len(each.there()) == 1 + SLOTS


def test_what_is_about_to_be_made_is_written_down_before_it_is_sent() -> None:
    """The memory of the very step that gives the command."""
    each = world()
    each.want(CONTACTS)
    while not any(request.command.key.kind is Kind.SUBSCRIPTION for request in each.requests):
        each.answer(0)
    assert A in each.memory.nodes


def test_what_is_no_longer_wanted_while_it_is_being_made_is_written_down() -> None:
    """It may come to life after the crash."""
    each = world()
    each.want(CONTACTS)
    while len(each.live(Kind.SUBSCRIPTION)) < SLOTS:
        each.answer(0)
    each.want({**CONTACTS, "bob": frozenset("efgh")})
    (request,) = [one for one in each.requests if one.command.act is Act.MAKE]
    each.want(CONTACTS)
    assert each.phase(request.command.key) is Phase.LEAVING
    assert A in each.memory.nodes


def test_the_first_login_is_written_down_before_it_is_sent() -> None:
    """Killed then, nobody knows whether there is a session."""
    each = world()
    each.want(CONTACTS)
    assert [request.command.act for request in each.requests] == [Act.MAKE]
    assert A in each.memory.nodes


def test_a_login_of_unknown_outcome_is_remembered() -> None:
    """It waits for its next try; the session may be there."""
    each = world()
    each.want(CONTACTS)
    each.lose(0, acted=True)
    assert A in each.memory.nodes


def test_a_memory_survives_being_remembered_again() -> None:
    """Killed before anything could be done about it, the next run knows as much as this one."""
    each = world()
    each.want(CONTACTS)
    each.answer_all()
    for memory in (Memory(each.memory.nodes | {B}), UNKNOWN, Memory(frozenset({A}), unknown=True)):
        assert remember(begin(each.settings, each.now, memory)) == memory


def test_nothing_secret_and_nothing_of_contacts_is_remembered() -> None:
    """Nodes alone."""
    each = world()
    each.want({"ann": frozenset({"somebody@example.com"})})
    each.answer_all()
    assert "somebody" not in repr(each.memory)
    assert "somebody" not in repr(each.state.resources)


def test_a_stop_is_clean_in_the_memory_too() -> None:
    """The next start has nothing to do."""
    each = world()
    each.want(CONTACTS)
    each.answer_all()
    each.post(Stop())
    each.answer_all()
    assert each.memory == Memory()


def test_a_remembered_node_that_the_settings_do_not_name_gets_no_login() -> None:
    """Whatever the file says: to clean up there would be to send the password there."""
    memory = Memory(frozenset({B, "https://evil.example:8083", "https://[evil", "no URL"}))
    for redirect_to, left in (
        (frozenset[str](), frozenset[str]()),
        (frozenset({"b.example"}), frozenset({B})),
        (None, memory.nodes),
    ):
        each = Story(A, memory=memory, redirect_to=redirect_to)
        assert each.state.suspected == left
        each.want(ann="a")
        assert {command.key.node for command in each.open} == {A} | left
