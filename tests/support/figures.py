"""Reads what `/metrics` shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

ROOT: Final = Path(__file__).parents[2]
_ROW: Final = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


class Figure(NamedTuple):
    """A row of docs/metrics.md, or a family of what is exposed."""

    name: str
    kind: str
    help: str


class Documented(NamedTuple):
    """A row of docs/metrics.md as it stands."""

    figure: Figure
    labels: tuple[str, ...]


def documented() -> list[Documented]:
    """The table of docs/metrics.md."""
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    return [
        Documented(Figure(name, kind, what), tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, what in _ROW.findall(text)
    ]


class Figures:
    """What was exposed at one moment."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))

    def figures(self) -> set[Figure]:
        """All families, under the names that queries have for them."""
        return {Figure(_name(family), family.type, family.documentation) for family in self.families}

    def names_of_labels(self) -> set[str]:
        """All names of labels, but for those of histograms' buckets."""
        return {name for family in self.families for sample in family.samples for name in sample.labels} - {"le"}

    def value(self, name: str, **labels: str) -> float:
        """The one sample of that name and those labels. KeyError: there is none."""
        for family in self.families:
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        raise KeyError(name, labels)

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """All samples of that name, by the values of their labels, in the order of the labels' names."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): float(sample.value)
            for family in self.families
            for sample in family.samples
            if sample.name == name
        }
