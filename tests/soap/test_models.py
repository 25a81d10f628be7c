"""The values: frozen, compared by what a reply says, and silent about what is not to be shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from pws_soap.models import Device, Presence, PresenceState, PresenceType

WHEN = datetime(2026, 5, 30, 12, tzinfo=UTC)
DEVICE = Device("cmp-1", True, activities=("busy",), timestamp=WHEN, basic=True)
PRESENCE = Presence("ann@example.com", PresenceState.BUSY, PresenceType.RICH, devices=(DEVICE,), said=("busy",))


@pytest.mark.parametrize("value", [DEVICE, PRESENCE])
def test_a_value_is_frozen_and_can_be_copied(value: Device | Presence) -> None:
    """A copy is another object and an equal value."""
    with pytest.raises(AttributeError):
        value.activities = ()  # type: ignore[misc]  # the point of this line
    copy = replace(value)
    assert copy is not value
    assert copy == value
    assert hash(copy) == hash(value)
    assert value != "another kind of thing"


def test_devices_are_equal_whatever_their_timestamp() -> None:
    """Servers write it anew each time."""
    later = replace(DEVICE, timestamp=None, basic=None)
    assert (later, hash(later)) == (DEVICE, hash(DEVICE))
    assert replace(DEVICE, audio=False) != DEVICE
    assert replace(DEVICE, source="phone") != DEVICE


def test_presences_are_equal_whatever_only_an_explanation_tells() -> None:
    """Nor does it matter until when they hold: the same is said now."""
    other = replace(PRESENCE, document=b"<presence/>", valid_until=WHEN, said=None, basic=False, times=("a line",))
    assert (other, hash(other)) == (PRESENCE, hash(PRESENCE))
    assert replace(PRESENCE, note="hm") != PRESENCE
    assert replace(PRESENCE, problem="cut") != PRESENCE


def test_what_is_shown_is_what_the_contact_says() -> None:
    """A document is long, and may hold anything."""
    shown = repr(replace(PRESENCE, document=b"<presence/>", times=("a line",)))
    assert shown.startswith("Presence(contact='ann@example.com', state=<PresenceState.BUSY: 'BUSY'>")
    assert "devices=(Device(id='cmp-1', open=True, " in shown
    assert "<presence/>" not in shown
    assert "a line" not in shown
