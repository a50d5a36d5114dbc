"""Curves over sizes as SVG, for docs/: logarithmic axes, a line for each name, in the colours of both themes."""

from collections.abc import Mapping
from math import ceil, floor, log10
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "docs" / "charts"
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 360, 60, 40, 160, 45
_COLORS: Final = ("#2563eb", "#dc2626", "#059669", "#a855f7", "#d97706")

Curve = Mapping[int, float]


def draw(name: str, title: str, across: str, curves: Mapping[str, Curve]) -> None:
    """Write docs/charts/NAME.svg; sizes and values must be above 0."""
    sizes = [size for curve in curves.values() for size in curve]
    values = [value for curve in curves.values() for value in curve.values()]
    x0, x1 = floor(log10(min(sizes))), ceil(log10(max(sizes)))
    y0, y1 = floor(log10(min(values))), ceil(log10(max(values)))

    def x(size: float) -> float:
        return _LEFT + (log10(size) - x0) / max(1, x1 - x0) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (log10(value) - y0) / max(1, y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12" '
        f'fill="#6b7280" stroke-linejoin="round" role="img" aria-label="{title}">',
        f'<text x="{_LEFT}" y="20" font-size="14">{title}</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{across}</text>',
    ]
    for power in range(x0, x1 + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#9ca3af" stroke-opacity="0.4"/>')
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{10**power:,g}</text>')
    for power in range(y0, y1 + 1):
        at = y(10.0**power)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#9ca3af" stroke-opacity="0.4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:,g}</text>')
    for number, (label, curve) in enumerate(curves.items()):
        color = _COLORS[number % len(_COLORS)]
        points = [(x(size), y(value)) for size, value in sorted(curve.items())]
        line = " ".join(f"{across_at:.1f},{up_at:.1f}" for across_at, up_at in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{u:.1f}" r="3" fill="{color}"/>' for a, u in points]
        parts.append(f'<text x="{_WIDTH - _RIGHT + 12}" y="{_TOP + 16 * number + 8}" fill="{color}">{label}</text>')
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.svg").write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
