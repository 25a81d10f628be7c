"""A contact in few words."""

from __future__ import annotations

import pytest

from pws_soap.models import Presence, PresenceState
from service.cli.shared import wording


@pytest.mark.parametrize(
    ("fields", "long", "short"),
    [
        ({"activities": ("busy", "on-the-phone", "alerting")}, "on the phone, ringing", "phone"),
        ({"on_the_phone": True}, "on the phone", "phone"),
        ({"activities": ("looking-for-work",), "note": "n"}, 'looking for work, "n"', "looking for work"),
        ({"note": "only a note"}, '"only a note"', ""),
        ({"idle": True}, "idle", "idle"),
    ],
)
def test_what_somebody_does_in_many_words_and_in_one(fields: dict[str, object], long: str, short: str) -> None:
    presence = Presence("ann@example.com", PresenceState.BUSY, **fields)  # type: ignore[arg-type]  # fields of a presence
    assert wording.doing(presence) == long
    assert wording.doing(presence, short=True) == short


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (99.9, "99s"), (100, "1m"), (6000, "1h"), (360_000, "4d"), (1e9, "999d")]
)
def test_an_age_fits_into_four_characters(seconds: float, text: str) -> None:
    assert wording.age(seconds) == text
    assert len(text) <= 4
