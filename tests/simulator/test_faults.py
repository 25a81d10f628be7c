"""Faults as data: whom they hit, how often, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from pws_soap.simulator import Fault
from pws_soap.simulator.faults import FaultBox


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
        ({"kind": "lose-reply", "colour": 1}, "colour: no such key"),
        ({"kind": "lose-reply", "count": "one"}, "count: expected int, got 'one'"),
        ({"kind": "lose-reply", "count": True}, "count: expected int, got True"),
        ({"kind": "lose-reply", "count": 0}, "count: expected at least 1"),
        ({"kind": "lose-reply", "probability": 2}, "probability: expected 0 to 1"),
        ({"kind": "delay-reply", "seconds": -1}, "seconds: expected 0 or more"),
        ({"kind": "http-503", "body": "long"}, "body: expected envelope, bare or empty"),
        ({"kind": "truncate-reply", "fraction": 1}, "fraction: expected 0 up to 1"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=message):
        Fault.of(values)


def test_a_fault_shows_as_plain_values_that_make_it_again() -> None:
    """For JSON."""
    fault = Fault("refuse", operation="login", count=3, code=208)
    assert Fault.of(fault.shown()) == fault
