"""SVG elements as escaped markup, and the shapes and colours that tell pairs apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import east_asian_width

from markupsafe import Markup, escape

__all__ = [
    "COLOURS",
    "chart",
    "dash",
    "el",
    "marker",
    "num",
    "path",
    "shortened",
    "text",
    "width_of",
]

COLOURS = 6
"""Colours in the style sheet (`.c0` …); a seventh pair has the first's, and another shape."""

_SHAPES = (
    "M-5,0A5,5 0 1 1 5,0A5,5 0 1 1 -5,0Z",  # circle
    "M-4.5,-4.5H4.5V4.5H-4.5Z",  # square
    "M0,-5.6L5.4,4.2H-5.4Z",  # triangle
    "M0,-6.2L6.2,0L0,6.2L-6.2,0Z",  # diamond
    "M-2,-5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z",  # plus
    "M0,5.6L5.4,-4.2H-5.4Z",  # triangle, upside down
    "M-5.5,-2.5L-2.5,-5.5H2.5L5.5,-2.5V2.5L2.5,5.5H-2.5L-5.5,2.5Z",  # octagon
)
_DASHES = ("none", "7 3", "2 2.5", "9 3 2 3", "5 2", "1 3", "12 4")


def num(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as it goes."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def el(name: str, *children: object, **attributes: object) -> Markup:
    """`el("g", child, class_="x", x=2.0)`. Text and values are escaped; None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(num(v) if isinstance(v, float) else v)}"'
        for key, v in attributes.items()
        if v is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")


def path(points: Iterable[tuple[float, float]], **attributes: object) -> Markup:
    """A line through points given in pixels."""
    steps = " ".join(f"{num(x)},{num(y)}" for x, y in points)
    return el("path", d=f"M{steps}", fill="none", **attributes)


def text(x: float, y: float, words: object, **attributes: object) -> Markup:
    """Words at a place in pixels; classes `axis`, `strong`, `end`, `mid` are in the style sheet."""
    return el("text", words, x=float(x), y=float(y), **attributes)


def marker(pair: int, x: float, y: float, tip: str | None = None, **attributes: object) -> Markup:
    """A pair's mark. With `tip` it can be reached by keyboard and says so on hover and focus."""
    shape = _SHAPES[pair % len(_SHAPES)]
    place = {"d": shape, "transform": f"translate({num(x)} {num(y)})"}
    classes = f"mark c{pair % COLOURS} {attributes.pop('class_', '')}".strip()
    if tip is None:
        return el("path", class_=classes, **place, **attributes)
    return el(
        "path",
        el("title", tip),
        class_=classes,
        tabindex=0,
        role="img",
        aria_label=tip,
        data_tip=tip,
        **place,
        **attributes,
    )


def dash(pair: int) -> str:
    """A pair's own dash pattern, so that lines differ without colour."""
    return _DASHES[pair % len(_DASHES)]


def width_of(words: str, *, strong: bool = False) -> float:
    """About how wide words are in a chart, in pixels, rather too much than too little."""
    columns = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in words)
    return columns * (8.3 if strong else 7.0)


def shortened(words: str, room: float, *, strong: bool = False) -> str:
    """`words` where they fit `room` pixels, else their beginning and end; tips have them whole.

    >>> shortened("a-very-long-name-of-a-model-Q4_0", 120)
    'a-very-lon…l-Q4_0'
    """
    if width_of(words, strong=strong) <= room:
        return words
    kept = len(words) - 1
    while kept > 1:
        tail = kept * 2 // 5
        cut = f"{words[: kept - tail]}…{words[len(words) - tail :]}"
        if width_of(cut, strong=strong) <= room:
            return cut
        kept -= 1
    return "…"


def chart(
    width: float, height: float, label: str, parts: Sequence[object], *, reachable: bool = False
) -> Markup:
    """The `<svg>` around `parts`. `reachable`: it has marks of its own for a screen reader."""
    return el(
        "svg",
        *parts,
        viewBox=f"0 0 {num(width)} {num(height)}",
        width=num(width),
        height=num(height),
        role="group" if reachable else "img",
        aria_label=label,
    )
