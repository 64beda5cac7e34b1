"""Names beside marks, each where it covers the least of what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perwatt.report.charts.axes import Frame

__all__ = ["Label", "place_labels"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels; y grows downwards."""

LINE, ABOVE, BELOW, BESIDE = 15.0, -9.0, 19.0, 9.0
"""Height of a name; its baseline above and below its mark; its distance to the side."""
MARK = 6.0
ON_NAME, ON_MARK, ON_BAR = 100.0, 10.0, 1.0
"""What a place costs for each thing that it covers."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A name's place: the baseline, and whether it ends or begins at `x`."""

    x: float
    y: float
    ends: bool
    far: bool = False
    """Not beside its mark: a line had better lead there."""


def place_labels(
    marks: Sequence[tuple[float, float]],
    widths: Sequence[float],
    bars: Sequence[Box],
    frame: Frame,
) -> list[Label]:
    """A place for the name of each mark: right or left, above or below, and further where these
    are taken. `widths`: of the names, one for each mark; `bars`: lines that had better be seen.

    Greedy, in the marks' order: the cheapest place, and of equals the nearest.
    """
    taken: list[Box] = []
    around = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in marks]
    found = []
    for (x, y), width in zip(marks, widths, strict=True):
        best: tuple[float, Label, Box] | None = None
        for label in _places(x, y, width, frame):
            box = _box(label, width)
            cost = ON_NAME * sum(_overlap(box, other) for other in taken)
            cost += ON_MARK * sum(_overlap(box, other) for other in around)
            cost += ON_BAR * sum(_overlap(box, other) for other in bars)
            if best is None or cost < best[0]:
                best = cost, label, box
            if cost == 0:
                break
        assert best is not None  # there is always a first place
        taken.append(best[2])
        found.append(best[1])
    return found


def _places(x: float, y: float, width: float, frame: Frame) -> list[Label]:
    """From the nearest to the furthest, all inside the plot area."""
    found = []
    for away in range(8):
        for base in (ABOVE - away * LINE, BELOW + away * LINE):
            at = min(max(y + base, frame.y0 + 11), frame.y1 - 4)
            right = x + BESIDE
            left = x - BESIDE
            if right + width <= frame.x1:
                found.append(Label(x=right, y=at, ends=False, far=away > 0))
            if left - width >= frame.x0:
                found.append(Label(x=left, y=at, ends=True, far=away > 0))
    return found or [Label(x=frame.x0 + width, y=max(y + ABOVE, frame.y0 + 11), ends=True)]


def _box(label: Label, width: float) -> Box:
    x0 = label.x - width if label.ends else label.x
    return x0, label.y - LINE + 4, x0 + width, label.y + 3


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
