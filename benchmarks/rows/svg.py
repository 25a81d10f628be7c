"""A plot of a few curves on logarithmic axes, as SVG: no more than the page about speed needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

Curve = Sequence[tuple[float, float]]
_WIDTH: Final = 440
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 26, 34, 92
_COLOURS: Final = ("#1b6ca8", "#c1440e", "#2e7d32", "#6a3d9a", "#8a6d00", "#444444")
_STYLE: Final = "text{font:11px sans-serif;fill:#222}.grid{stroke:#ddd}.axis{stroke:#555}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: `across` names its axis, curves have names; all numbers are above 0."""

    title: str
    across: str
    curves: Mapping[str, Curve]


def picture(panels: Sequence[Panel]) -> str:
    """All of them side by side."""
    width = _WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * _WIDTH} 0)">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel) -> list[str]:
    points = [point for curve in panel.curves.values() for point in curve]
    across = _decades([x for x, _ in points])
    up = _decades([y for _, y in points])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x_of(value: float) -> float:
        return _LEFT + (math.log10(value) - across[0]) / (across[-1] - across[0]) * (right - _LEFT)

    def y_of(value: float) -> float:
        return bottom - (math.log10(value) - up[0]) / (up[-1] - up[0]) * (bottom - _TOP)

    found = [f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>']
    for decade in across:
        x = x_of(10.0**decade)
        found.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        found.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{10**decade:,}</text>')
    for decade in up:
        y = y_of(10.0**decade)
        found.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        found.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g}</text>')
    found.append(f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    middle = (_LEFT + right) / 2
    found.append(f'<text x="{middle:.0f}" y="{bottom + 30}" text-anchor="middle">{escape(panel.across)}</text>')
    for number, (name, curve) in enumerate(panel.curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in curve)
        found.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{line}"/>')
        found += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in curve]
        x, y = _LEFT + number % 2 * 185, bottom + 48 + number // 2 * 15
        found.append(f'<rect x="{x}" y="{y - 8}" width="10" height="3" fill="{colour}"/>')
        found.append(f'<text x="{x + 15}" y="{y - 3}">{escape(name)}</text>')
    return found


def _decades(values: Sequence[float]) -> range:
    """The exponents from below the least to above the greatest; at least two."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return range(low, max(high, low + 1) + 1)
