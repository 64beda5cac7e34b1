"""Keys to what shapes and fills in the figures mean."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from perwatt.report.charts.svg import COLOURS, dash, el, marker

__all__ = ["fills", "pair_keys"]


def pair_keys(
    labels: Sequence[str], *, lines: bool = False, drawn: Sequence[int] | None = None
) -> list[tuple[str, Markup]]:
    """Each pair's mark and, with `lines`, its dashes. A single pair needs no key.

    `drawn`: places of those that the figure shows; None: all.
    """
    if len(labels) < 2:
        return []
    keys = []
    for n, label in enumerate(labels):
        if drawn is not None and n not in drawn:
            continue
        parts: list[object] = []
        if lines:
            classes = f"line c{n % COLOURS}"
            parts.append(el("path", d="M0,7H34", class_=classes, stroke_dasharray=dash(n)))
        parts.append(marker(n, 17.0 if lines else 8.0, 7.0))
        keys.append((label, _swatch(parts, 34 if lines else 16)))
    return keys


def fills(names: Sequence[tuple[str, str]]) -> list[tuple[str, Markup]]:
    """(words, class of the fill) → keys."""
    return [
        (words, _swatch([el("rect", x=0.0, y=1.0, width=14.0, height=12.0, class_=name)], 14))
        for words, name in names
    ]


def _swatch(parts: Sequence[object], width: int) -> Markup:
    return el("svg", *parts, width=width, height=14, viewBox=f"0 0 {width} 14", aria_hidden="true")
