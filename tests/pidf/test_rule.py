"""The rule that makes one state of many statements: the table, the scale, the steps, and the explanation."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from pws_soap.models import SETTABLE_STATES, PresenceState
from pws_soap.pidf import Device, Reading, explain, rule
from pws_soap.pidf.rule import RANK, SCALE, WORDS, counted, decide, is_on_the_phone, statements


def _state(
    *said: str,
    phone: str | None = None,
    im: str | None = None,
    devices: tuple[Device, ...] = (),
    basic: bool | None = None,
) -> PresenceState:
    return decide(statements(said, phone, im, devices, basic)).state


def _open(*activities: str, basic: bool | None = True) -> Device:
    return Device("d", basic=basic, activities=activities)


@pytest.mark.parametrize("state", sorted(SETTABLE_STATES))
def test_a_word_of_basic_means_the_same_state_in_rich(state: PresenceState) -> None:
    """BASIC and RICH agree where both say something."""
    assert _state(state.lower()) is state
    assert _state(devices=(_open(state.lower()),)) in (state, PresenceState.UNAVAILABLE)


def test_the_word_unknown_says_nothing() -> None:
    """UNKNOWN is what remains; it is not on the scale."""
    assert _state("unknown") is PresenceState.UNKNOWN
    assert set(SCALE) == set(PresenceState) - {PresenceState.UNKNOWN}


def test_of_any_two_words_of_a_person_the_less_available_decides() -> None:
    """For all pairs of the table, in either order."""
    for one, other in product(WORDS, repeat=2):
        wanted = min(WORDS[one].state, WORDS[other].state, key=lambda state: RANK[state])
        assert _state(one, other) is wanted, (one, other)


def test_a_statement_more_never_makes_a_person_more_available() -> None:
    """Adding a word, a channel or a device to what a person says keeps the state or lowers it."""
    for said in WORDS:
        alone = RANK[_state(said)]
        for more in WORDS:
            assert RANK[_state(said, phone=more)] <= alone
            assert RANK[_state(said, im=more)] <= alone
            for basic in (True, False, None):
                assert RANK[_state(said, devices=(_open(more, basic=basic),))] <= alone


@pytest.mark.parametrize("word", [word for word, row in WORDS.items() if row.state in rule.ENGAGED])
def test_an_engagement_counts_wherever_it_is_said(word: str) -> None:
    """In a channel and at an open device, against a person who is available."""
    state = WORDS[word].state
    assert _state("available", phone=word) is state
    assert _state("available", im=word) is state
    assert _state("available", devices=(_open(word),)) is state


@pytest.mark.parametrize("word", [word for word, row in WORDS.items() if row.state not in rule.ENGAGED])
def test_absence_is_of_the_place(word: str) -> None:
    """A channel or device that is away or gone leaves a person available whom the server composed so."""
    assert _state("available", phone=word, im=word, devices=(_open(word),)) is PresenceState.AVAILABLE


def test_a_closed_device_is_old_but_for_calls() -> None:
    """Busy at a closed device does not count; a call does."""
    assert _state("available", devices=(_open("busy", basic=False),)) is PresenceState.AVAILABLE
    assert _state("available", devices=(_open("on-the-phone", basic=False),)) is PresenceState.BUSY
    assert _state(devices=(_open("away", basic=False), _open())) is PresenceState.AVAILABLE


def test_a_device_without_basic_status_counts_by_its_words() -> None:
    """Neither open nor closed: what it says counts, and nothing else."""
    assert _state(devices=(_open("away", basic=None),)) is PresenceState.AWAY
    assert _state(devices=(_open(basic=None),)) is PresenceState.UNKNOWN


def test_without_words_the_basic_statuses_decide() -> None:
    """The person's own first; then one open device is enough; then all closed."""
    shut, ajar = _open(basic=False), _open()
    assert _state(basic=True, devices=(shut,)) is PresenceState.AVAILABLE
    assert _state(basic=False, devices=(ajar,)) is PresenceState.UNAVAILABLE
    assert _state(devices=(shut, ajar)) is PresenceState.AVAILABLE
    assert _state(devices=(shut, shut)) is PresenceState.UNAVAILABLE
    assert _state() is PresenceState.UNKNOWN


def test_an_engagement_alone_decides_when_nothing_else_is_said() -> None:
    """A busy phone and nothing beside it."""
    assert _state(phone="busy") is PresenceState.BUSY


def test_words_outside_the_table_decide_nothing() -> None:
    """They are kept as activities."""
    assert _state("gardening") is PresenceState.UNKNOWN
    assert counted(("gardening",), (_open("juggling", "away"),)) == ("gardening", "juggling", "away")


def test_activities_of_devices_count_only_where_they_matter() -> None:
    """Beside a person's words: engagements of open devices and calls; else what open devices say."""
    devices = (_open("busy", "away"), _open("on-the-phone", "dnd", basic=False))
    assert counted(("available",), devices) == ("available", "busy", "on-the-phone")
    assert counted((), devices) == ("busy", "away", "on-the-phone")


@pytest.mark.parametrize("word", sorted(rule.IN_CALL))
def test_every_word_for_a_call_means_on_the_phone(word: str) -> None:
    """Among the activities or in a channel; a busy phone alone is no call."""
    assert is_on_the_phone((word,), None, None)
    assert is_on_the_phone((), word, None)
    assert is_on_the_phone((), None, word)
    assert not is_on_the_phone(("busy",), "busy", "busy")


def test_every_row_of_the_table_has_a_reason_and_a_state_of_the_scale() -> None:
    """The table is its own documentation."""
    assert all(row.reason and row.state in RANK for row in WORDS.values())
    assert WORDS.keys() >= rule.CALLS | rule.MEETINGS


def test_the_explanation_weighs_every_statement() -> None:
    """The decider first, then each other element with what became of it."""
    reading = Reading(
        "ann@example.com",
        PresenceState.BUSY,
        said=("available", "busy"),
        phone_status="on-the-phone",
        im_status="away",
        devices=(
            Device("a", basic=False, activities=("dnd",)),
            Device("b", basic=True, activities=("unavailable", "gardening")),
        ),
    )
    assert explain(reading) == (
        "BUSY: decided by person/activities/busy (the person says so)",
        "person/activities/available says AVAILABLE: more available, so it does not count",
        "person/activities/phone-status=on-the-phone says BUSY: agrees",
        "person/activities/im-status=away says AWAY: more available, so it does not count",
        "tuple[a]/status/activities/dnd says DND: a closed device's word is old",
        "tuple[a]/status/basic=closed says UNAVAILABLE: tells about this place only",
        "tuple[b]/status/activities/unavailable says UNAVAILABLE: tells about this place only",
    )


def test_the_explanation_says_what_counts_only_when_others_are_silent() -> None:
    """A less available statement that lost, lost because of its weight."""
    reading = Reading("ann@example.com", said=("available",), im_status="away")
    assert explain(reading)[1] == "person/activities/im-status=away says AWAY: counts when the person says nothing"


def test_the_explanation_of_nothing_and_of_a_problem() -> None:
    """Both say so in one line."""
    assert explain(Reading("a@b")) == ("UNKNOWN: neither the person nor a device says anything about the state",)
    assert explain(Reading("a@b", problem="cut")) == ("UNKNOWN: the document could not be read: cut",)


def test_the_documentation_has_the_table_word_by_word() -> None:
    """docs/rich-presence.md and the table in the code are the same."""
    text = (Path(__file__).parents[2] / "docs" / "rich-presence.md").read_text("utf-8")
    table = text.partition("| word | state | why |")[2].partition("\n\n")[0].splitlines()[2:]
    assert sorted(table) == sorted(f"| `{word}` | {row.state} | {row.reason} |" for word, row in WORDS.items())
