"""A scenario: faults and changes at given times, from a TOML file. Reading it is pure, playing it sleeps and injects.

::

    [[step]]
    at = 5.0                     # seconds from the start
    fault = "lose-reply"         # anything that `pws_soap.simulator.scripts.actions` knows
    operation = "getSubscribedPresence"
    count = 2

    [[step]]
    at = 8
    contact = "ann@example.com"  # a step without a fault changes a contact
    state = "BUSY"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pws_soap.simulator.bounds import MAX_SECONDS, bounded, shown
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.scripts.actions import check, inject
from pws_soap.simulator.scripts.contact_values import fields_from, valid_contact


@dataclass(frozen=True, slots=True)
class Step:
    """One step, `at` seconds after the start."""

    at: float
    values: Mapping[str, Any]


def parse(text: str) -> list[Step]:
    """The steps of a scenario in the order of time. Raises ValueError that names the step and the key."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError("not TOML: too many brackets inside each other") from None
    except ValueError as error:  # a TOMLDecodeError, or a number of more than 4300 digits
        raise ValueError(f"not TOML: {error}") from None
    steps = document.pop("step", None)
    if document or not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ValueError("expected [[step]] tables and nothing else")
    return sorted((_step(number, step) for number, step in enumerate(steps, 1)), key=lambda step: step.at)


def _step(number: int, values: dict[str, Any]) -> Step:
    at = values.pop("at", None)
    if isinstance(at, bool) or not isinstance(at, int | float) or at < 0:
        raise ValueError(f"step {number}: at: expected seconds, 0 or more, got {shown(at)}")
    bounded(f"step {number}: at", at, 0, MAX_SECONDS, "seconds")
    try:
        if "fault" in values:
            check(values)
        elif "contact" in values:
            valid_contact(values["contact"])
            fields_from({key: value for key, value in values.items() if key != "contact"})
        else:
            raise ValueError("expected a fault or a contact")  # noqa: TRY301 - gets the step's number below
    except ValueError as error:
        raise ValueError(f"step {number}: {error}") from None
    return Step(float(at), values)


async def play(simulator: Simulator, steps: list[Step]) -> int:
    """Play a scenario to its end; how many steps that were. Raises ValueError for a node that the simulator lacks."""
    start = simulator.clock()
    for step in steps:
        await simulator.sleep(max(0.0, start + step.at - simulator.clock()))
        if "fault" in step.values:
            inject(simulator, step.values)
        else:
            fields = fields_from({key: value for key, value in step.values.items() if key != "contact"})
            simulator.change_many({step.values["contact"]: fields})
    return len(steps)
