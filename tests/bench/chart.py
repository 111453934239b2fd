"""One bar chart as SVG: names on the left, bars to the right, numbers at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_ROW, _LEFT, _WIDTH, _RIGHT = 26, 330, 420, 90  # pixels


def bar_chart(title: str, bars: Sequence[tuple[str, float]]) -> str:
    """``bars`` are (name, value), drawn in that order; readable on a light and on a dark page."""
    longest = max((value for _, value in bars), default=0) or 1
    height = _ROW * (len(bars) + 1) + 12
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="13" fill="#777">',
        f"<title>{escape(title)}</title>",
        f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(bars, start=1):
        top, width = number * _ROW + 4, max(1, round(value / longest * _WIDTH))
        colour = "#2f6fde" if name.startswith("gateway") else "#9aa4b2"
        lines += [
            f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_ROW - 8}" rx="2" fill="{colour}"/>',
            f'<text x="{_LEFT + width + 6}" y="{top + 14}">{value:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
