"""Faults as data: whom they hit, how often, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from pws_soap.simulator import Fault
from pws_soap.simulator.faults.kinds import FORMS, REQUEST_FAULTS, FaultBox, keys_of


def test_a_fault_hits_its_node_and_operation_so_many_times() -> None:
    """Then it is gone."""
    box = FaultBox()
    number = box.add(Fault("lose-reply", operation="login", node="imp1", count=2))
    assert box.for_request("imp2", "login") == []
    assert box.for_request("imp1", "logout") == []
    assert box.for_notification("imp1") == []
    assert [fault.kind for fault in box.for_request("imp1", "login")] == ["lose-reply"]
    assert box.active()[number][1] == 1
    assert len(box.for_request("imp1", "login")) == 1
    assert box.for_request("imp1", "login") == []
    assert box.active() == {}
    assert box.hits == {"lose-reply": 2}


def test_probability_is_repeatable_from_a_seed() -> None:
    """About as many hits as it says, and the same ones again."""

    def hits(seed: int) -> list[bool]:
        box = FaultBox(seed)
        box.add(Fault("drop-notification", probability=0.3))
        return [bool(box.for_notification("imp1")) for _ in range(1000)]

    assert hits(1) == hits(1) != hits(2)
    assert 250 < sum(hits(1)) < 350


def test_faults_are_switched_off_one_by_kind_or_all() -> None:
    """By number, by kind, or all."""
    box = FaultBox()
    first, *_ = [box.add(Fault(kind)) for kind in ("lose-reply", "lose-reply", "delay-reply", "drop-notification")]
    assert box.remove(first)
    assert not box.remove(first)
    assert box.clear("lose-reply") == 1
    assert [fault.kind for fault, _ in box.active().values()] == ["delay-reply", "drop-notification"]
    assert box.clear() == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "kind: missing"),
        ({"kind": "other"}, "fault: expected one of"),
        (
            {"kind": "lose-reply", "colour": 1},
            "colour: lose-reply takes no such key, only count, node, operation, probability",
        ),
        ({"kind": "lose-reply", "count": "one"}, "count: expected a whole number, got 'one'"),
        ({"kind": "lose-reply", "count": True}, "count: expected a whole number, got True"),
        ({"kind": "lose-reply", "count": 0}, "count: expected at least 1"),
        ({"kind": "lose-reply", "probability": 2}, "probability: expected 0 to 1"),
        ({"kind": "delay-reply", "seconds": -1}, "seconds: expected 0 or more"),
        ({"kind": "http-503", "body": "long"}, "body: expected envelope, bare or empty"),
        ({"kind": "truncate-reply", "fraction": 1}, "fraction: expected 0 up to 1"),
        ({"kind": "replace-reply", "form": 5}, "form: expected text, got 5"),
        ({"kind": "empty-state", "form": "full"}, "form: empty-state expects one of empty, missing, unknown-word, got"),
        ({"kind": "refuse", "code": 999}, "code: refuse expects a code of the server, such as 200, got 999"),
        ({"kind": "http-503", "code": 1}, "code: http-503 expects a code of the server"),
        ({"kind": "lose-reply", "seconds": 5}, "seconds: lose-reply takes no such key"),
        ({"kind": "drop-notification", "operation": "login"}, "operation: drop-notification takes no such key"),
        (
            {"kind": "lose-reply", "operation": "logIn"},
            "operation: lose-reply expects one of getPolledPresence, .*'logIn'",
        ),
        (
            {"kind": "double-entry", "operation": "login"},
            "operation: double-entry expects one of getPolledPresence, getS",
        ),
        ({"kind": "lose-reply", "form": "empty"}, "form: lose-reply takes no such key"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=message):
        Fault.of(values)


def made_again(fault: Fault) -> Fault:
    """A fault from what another shows of the keys that its kind takes."""
    return Fault.of({key: value for key, value in fault.shown().items() if key in keys_of(fault.kind)})


def test_a_fault_shows_as_plain_values_that_make_it_again() -> None:
    """For JSON."""
    fault = Fault("refuse", operation="login", count=3, code=208)
    assert made_again(fault) == fault


def test_seconds_and_form_have_defaults_of_their_kind() -> None:
    """Where they are not given; a kind without forms has none."""
    assert (Fault("delay-reply").seconds, Fault("double-reply").seconds) == (1.0, 0.03)
    assert (Fault("lose-reply").form, Fault("rename-entry").form) == ("", "percent")
    assert Fault("double-reply", seconds=0).seconds == 0


@pytest.mark.parametrize("kind", REQUEST_FAULTS)
def test_every_fault_of_a_request_shows_as_plain_values(kind: str) -> None:
    """In each of its forms."""
    for form in FORMS.get(kind, ("",)):
        fault = Fault(kind, form=form)
        assert fault.shown()["form"] == form
        assert made_again(fault) == fault


def test_a_fault_of_presence_hits_where_it_is_possible() -> None:
    """Elsewhere it is kept for later."""
    box = FaultBox()
    box.add(Fault("rename-entry", count=1))
    box.add(Fault("stale-reply", count=1))
    assert box.for_request("imp1", "getPolledPresence") == []
    assert box.for_presence("imp1", "getPolledPresence", {"lose-reply"}) == []
    assert [fault.kind for fault in box.for_presence("imp1", "getPolledPresence", {"stale-reply"})] == ["stale-reply"]
    assert [fault.kind for fault, _ in box.active().values()] == ["rename-entry"]
