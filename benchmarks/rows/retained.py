"""Row 13: the memory of a contact, of many, beside one dict of the same fields.

In processes of their own, so that nothing else is counted. The service has read everybody from replies of the server,
and has everything that it keeps: store, event log, and what its routes keep after all pages were asked for. The dicts
are what `json.loads` makes of the service's answers, field for field; that they are the same is checked.

Counted is what tracemalloc sees as still held, garbage collected; it says the same each time, so that one round is
enough. What the system counts (the resident set) stands beside it.
"""

from __future__ import annotations

from benchmarks.rows.measure import Figure, Scale, Spread, Target, differences
from benchmarks.rows.processes import Child


def contacts(scale: Scale) -> list[Figure]:
    """Row 13."""
    return [_part(scale, "basic", 0.8), _part(scale, "rich", 1.0)]


def _part(scale: Scale, kind: str, target: float) -> Figure:
    found = {}
    for name in ("service", "dicts"):
        with Child("keeper", contacts=scale.all_contacts, kind=kind, keep=name) as child:
            found[name] = child.said
    one, other = found["service"], found["dicts"]
    wrong = differences("fields", one["sample"], other["sample"])
    costs = {name: Spread.of([each["traced"] / scale.all_contacts / 1000]) for name, each in found.items()}
    costs |= {
        f"{name} (resident)": Spread.of([each["resident"] / scale.all_contacts / 1000]) for name, each in found.items()
    }
    value = Spread.of([one["traced"] / other["traced"]])
    part = f"{scale.all_contacts} contacts, {kind}"
    return Figure(13, part, value, "x", Target(target), costs, "KB", wrong=wrong)
