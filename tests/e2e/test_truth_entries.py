"""Entries of a reply that name a contact in another way, name it twice, or say nothing about its state.

Each story changes one contact, and spoils the entry of the fetch that tells of it. Where the service cannot tell whom
an entry is about, it must trust nobody on the strength of that reply.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pws_soap.simulator.faults.entries import STRANGER
from tests.e2e.processes import eventually
from tests.e2e.truth import ANN, CONTACTS, FETCH, POLL, Story, playing

IN_CI = pytest.mark.long(ci=True)
LONG = pytest.mark.long
KINDS = (
    "basic",
    pytest.param("elements", marks=IN_CI),
    pytest.param("escaped", marks=LONG),
    pytest.param("cdata", marks=LONG),
)
RECOGNISED = ("percent", "port", "dot", "brackets", "sips", "params", "upper")
STALE = dict.fromkeys(CONTACTS, "stale")


@pytest.fixture(scope="module", params=KINDS)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A service for BASIC presence, and one for RICH presence in each of the three carriers."""
    rich = request.param != "basic"
    options = (f"rich_carrier={request.param}",) if rich else ()
    with playing(tmp_path_factory.mktemp(request.param), *options, rich=rich) as made:
        made.kind = request.param
        made.recovers()
        yield made


def spoil(story: Story, kind: str, form: str | None = None, count: int | None = 1) -> None:
    """Let the next fetch that tells of a change be spoilt, and refuse all polls."""
    forms = {} if form is None else {"form": form}
    counts = {} if count is None else {"count": count}
    story.server.fault("http-503", operation=POLL)
    story.server.fault(kind, operation=FETCH, **forms, **counts)


def is_doubted(story: Story) -> None:
    """Nobody is live: the polls that would settle the contacts are refused."""
    assert story.levels() == STALE


@pytest.mark.parametrize("form", RECOGNISED)
def test_another_spelling_of_a_contact_settles_at_once(form: str, story: Story) -> None:
    """The change is taken from the fetch itself, no contact is polled, and nothing is called unattributed."""
    polls, unattributed = story.server.requests(POLL), story.reading("unattributed")
    story.server.fault("rename-entry", operation=FETCH, form=form, count=1)
    hits = story.server.injected("rename-entry")
    with story.observed():
        story.truth.toggle(ANN)
        story.heals()
    assert story.server.injected("rename-entry") == hits + 1
    assert (story.server.requests(POLL), story.reading("unattributed")) == (polls, unattributed)
    assert story.problems() == []


@pytest.mark.parametrize("form", ["mangled", "nameless", "latin-1"])
def test_an_entry_about_nobody_makes_all_contacts_stale_until_they_are_polled(form: str, story: Story) -> None:
    """The fetch succeeded and named none of the contacts, but it confirms none of them."""
    unattributed = story.reading("unattributed")
    spoil(story, "rename-entry", form)
    with story.observed():
        story.truth.toggle(ANN)
        eventually(lambda: is_doubted(story))
        (told,) = (each for each in story.problems() if "told of" in each)
        assert told.startswith("the last fetch of subscription")
        assert {"mangled": STRANGER, "nameless": "nobody"}.get(form, "xf6nn@example.com") in told
        story.server.clear()
    assert story.reading("unattributed") == unattributed + 1
    story.truth.toggle(ANN)
    story.recovers()


def test_an_entry_that_cannot_be_read_makes_all_contacts_stale(story: Story) -> None:
    """Broken markup takes the whole reply with it where the documents are child elements: all is subscribed anew."""
    unknown, logouts = story.reading("unknown_outcomes"), story.server.requests("logout")
    lost = story.kind == "elements"
    spoil(story, "rename-entry", "unreadable")
    with story.observed():
        story.truth.toggle(ANN)
        if lost:
            story.heals()
        else:
            eventually(lambda: is_doubted(story))
        story.server.clear()
    assert story.reading("unknown_outcomes") == unknown + lost
    assert story.server.requests("logout") == logouts + lost
    story.truth.toggle(ANN)
    story.recovers()


def test_entries_about_nobody_that_keep_coming_are_told_as_such(story: Story) -> None:
    """The problem counts the fetches in a row, and ends with the first good one."""
    spoil(story, "rename-entry", "mangled", None)
    with story.observed():
        for number in (1, 2, 3):
            times = "the last fetch" if number == 1 else f"each of the last {number} fetches"
            story.truth.toggle(ANN)
            eventually(lambda times=times: is_told(story, times))  # type: ignore[misc]  # a default argument
        story.server.clear()
        story.truth.toggle(ANN)
    story.recovers()


def is_told(story: Story, words: str) -> None:
    told = story.problems()
    assert any(words in each and STRANGER in each for each in told), told


def test_a_contact_that_is_named_twice_with_two_states_is_not_live_with_the_wrong_one(story: Story) -> None:
    """Nobody can tell which of the two entries is right."""
    story.server.fault("double-entry", operation=FETCH, count=1)
    hits = story.server.injected("double-entry")
    with story.observed():
        story.truth.toggle(ANN)
        eventually(lambda: has_hit(story, "double-entry", hits))
    story.recovers()


def has_hit(story: Story, kind: str, before: int) -> None:
    assert story.server.injected(kind) == before + 1


@pytest.mark.parametrize("form", ["empty", "missing", "unknown-word"])
def test_an_entry_without_a_valid_state_confirms_nothing_about_its_contact(form: str, story: Story) -> None:
    """It keeps its last state and is stale until it is polled."""
    before = story.truth.now(ANN)
    spoil(story, "empty-state", form)
    with story.observed():
        story.truth.toggle(ANN)
        eventually(lambda: is_stale(story, before))
        story.server.clear()
    story.recovers()


def is_stale(story: Story, state: str) -> None:
    seen = story.contacts()[ANN]
    assert (seen["freshness"], seen["state"]) == ("stale", state)
